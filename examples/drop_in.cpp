// One word changed: cudaMemcpyAsync became barelink::memcpy_async. Loads ordinary memory into a GPU and brings it back, once
// with each, and compares bytes and times.
#include <barelink/memcpy.hpp>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

using copy_function = cudaError_t (*)(void*, const void*, std::size_t, cudaMemcpyKind, cudaStream_t);

bool fine(cudaError_t code, const char* doing) {
    if (code != cudaSuccess) std::fprintf(stderr, "drop_in: %s: %s\n", doing, cudaGetErrorString(code));
    return code == cudaSuccess;
}

/// There and back in GB/s, 0 when a call failed or a byte is wrong.
double there_and_back(copy_function copy, void* gpu, cudaStream_t stream, std::vector<char>& data) {
    std::vector<char> answer(data.size());
    const auto begin = std::chrono::steady_clock::now();
    if (!fine(copy(gpu, data.data(), data.size(), cudaMemcpyHostToDevice, stream), "to the GPU")) return 0;
    if (!fine(copy(answer.data(), gpu, data.size(), cudaMemcpyDeviceToHost, stream), "from the GPU")) return 0;
    if (!fine(cudaStreamSynchronize(stream), "waiting")) return 0;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    return answer == data ? 2.0 * static_cast<double>(data.size()) / took.count() * 1e-9 : 0;
}

} // namespace

int main() {
    constexpr std::size_t bytes = std::size_t{256} << 20;
    std::vector<char> data(bytes);
    for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<char>(i * 31 + i / 251);
    void* gpu = nullptr;
    cudaStream_t stream = nullptr;
    if (!fine(cudaMalloc(&gpu, bytes), "256 MiB on the GPU") || !fine(cudaStreamCreate(&stream), "a stream")) return 1;

    cudaDeviceProp gpu_is{};
    if (!fine(cudaGetDeviceProperties(&gpu_is, 0), "asking for the GPU's name")) return 1;
    std::printf("%s\n", gpu_is.name);

    const copy_function ways[] = {cudaMemcpyAsync, barelink::memcpy_async};
    double best[2] = {};
    for (int round = 0; round < 5; ++round) // in turn: neither gets the warmer machine
        for (int way = 0; way < 2; ++way) {
            const double gb_s = there_and_back(ways[way], gpu, stream, data);
            if (gb_s == 0) return std::fprintf(stderr, "drop_in: wrong bytes\n"), 1;
            if (gb_s > best[way]) best[way] = gb_s;
        }
    std::printf("cudaMemcpyAsync        %6.1f GB/s\nbarelink::memcpy_async %6.1f GB/s\nall bytes arrived\n", best[0],
                best[1]);
    const barelink::memcpy_counters did = barelink::memcpy_counted();
    std::printf("planned %llu copies, left %llu to CUDA, fell back %llu times\n",
                static_cast<unsigned long long>(did.planned), static_cast<unsigned long long>(did.left_to_cuda),
                static_cast<unsigned long long>(did.fallbacks));
    (void)cudaStreamDestroy(stream);
    (void)cudaFree(gpu);
    return did.fallbacks == 0 ? 0 : 1;
}
