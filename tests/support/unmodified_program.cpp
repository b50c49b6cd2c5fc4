// A CUDA program that has never heard of barelink: loads memory into a GPU and back, twice, and checks it.
#include <cstdio>
#include <vector>

#include <cuda_runtime_api.h>

int main() {
    const std::size_t bytes = (std::size_t{24} << 20) + 12345;
    std::vector<unsigned char> data(bytes), answer(bytes);
    void* gpu = nullptr;
    cudaStream_t stream = nullptr;
    if (cudaMalloc(&gpu, bytes) != cudaSuccess || cudaStreamCreate(&stream) != cudaSuccess) return 1;
    for (unsigned round = 1; round <= 2; ++round) {
        for (std::size_t i = 0; i < bytes; ++i) data[i] = static_cast<unsigned char>(i * round + i / 253);
        if (cudaMemcpyAsync(gpu, data.data(), bytes, cudaMemcpyHostToDevice, stream) != cudaSuccess) return 2;
        if (cudaMemcpyAsync(answer.data(), gpu, bytes, cudaMemcpyDeviceToHost, stream) != cudaSuccess) return 3;
        if (cudaStreamSynchronize(stream) != cudaSuccess || answer != data) return 4;
    }
    // A small one.
    if (cudaMemcpyAsync(answer.data(), gpu, 1000, cudaMemcpyDeviceToHost, stream) != cudaSuccess) return 5;
    if (cudaStreamSynchronize(stream) != cudaSuccess || answer != data) return 6;
    std::puts("bytes arrived");
    std::fflush(stdout);
    return cudaFree(gpu) == cudaSuccess && cudaStreamDestroy(stream) == cudaSuccess ? 0 : 7;
}
