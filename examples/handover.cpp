// A KV cache goes from one GPU to another that has no direct link: over relays and host memory at once, beside what
// cudaMemcpyPeerAsync does there.
//
//   handover [MiB] [FROM TO]
#include <barelink/machine/cuda.hpp>
#include <barelink/move/cuda.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using barelink::gpu_id;

void check(cudaError_t code, const char* doing) {
    if (code != cudaSuccess)
        barelink::status(
            barelink::error(barelink::errc::device, (std::string(doing) + ": " + cudaGetErrorString(code)).c_str()))
            .value();
}

/// The first pair that CUDA grants no peer access; the first two GPUs where it grants all.
std::pair<gpu_id, gpu_id> pick(const barelink::machine& m) {
    std::vector<barelink::node_index> gpus;
    for (const barelink::node_index each : m.all(barelink::node_kind::gpu))
        if (m.at(each).cuda) gpus.push_back(each);
    if (gpus.size() < 2)
        barelink::status(barelink::error(barelink::errc::not_found, "it takes two GPUs to hand something over"))
            .value();
    for (const barelink::node_index from : gpus)
        for (const barelink::node_index to : gpus) {
            const barelink::dma_path* direct = m.path(from, to);
            if (from != to && !(direct && direct->allowed)) return {gpu_id{m.at(from).index}, gpu_id{m.at(to).index}};
        }
    return {gpu_id{m.at(gpus[0]).index}, gpu_id{m.at(gpus[1]).index}};
}

} // namespace

int main(int count, char** arguments) try {
    const std::uint64_t bytes = (count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 128) * barelink::MiB;
    barelink::cuda::runtime cuda(barelink::cuda::discover().value());
    const barelink::machine& m = cuda.topology();
    auto [from, to] = pick(m);
    if (count > 3) from = gpu_id{std::atoi(arguments[2])}, to = gpu_id{std::atoi(arguments[3])};
    const barelink::node_index source = m.gpu(from), target = m.gpu(to);
    if (source == barelink::no_node || target == barelink::no_node || bytes == 0)
        return std::fprintf(stderr, "usage: handover [MiB] [FROM TO]\n"), 2;
    const barelink::dma_path* direct = m.path(source, target);
    std::printf("gpu:%d -> gpu:%d, %s\n", from.value, to.value,
                direct && direct->allowed ? "which have a direct path" : "which have no direct path");

    std::vector<unsigned char> cache(bytes), answer(bytes);
    for (std::uint64_t i = 0; i < bytes; ++i) cache[i] = static_cast<unsigned char>(i * 131 + i / 4093);
    void* const there = cuda.allocate(source, bytes).value();
    void* const here = cuda.allocate(target, bytes).value();
    check(cudaMemcpy(there, cache.data(), bytes, cudaMemcpyHostToDevice), "filling the cache");

    barelink::mover moves(cuda, {.relays = barelink::gpu_set::all()});
    const auto stream = cuda.make_stream(target).value();
    check(cudaSetDevice(cuda.device_of(target)), "choosing a GPU"); // events belong to the stream's
    cudaEvent_t begin{}, end{};
    check(cudaEventCreate(&begin), "making an event");
    check(cudaEventCreate(&end), "making an event");
    // GB/s of the better of two: the first proves paths, makes rings and opens what has to be opened.
    const auto best_of_two = [&](auto hand_over) {
        double best = 0;
        for (int round = 0; round < 2; ++round) {
            check(cudaMemsetAsync(here, 0, bytes, stream.handle), "clearing");
            check(cudaEventRecord(begin, stream.handle), "recording an event");
            hand_over();
            check(cudaEventRecord(end, stream.handle), "recording an event");
            check(cudaEventSynchronize(end), "waiting");
            float ms = 0;
            check(cudaEventElapsedTime(&ms, begin, end), "asking for a time");
            check(cudaMemcpy(answer.data(), here, bytes, cudaMemcpyDeviceToHost), "reading back");
            if (answer != cache)
                barelink::status(barelink::error(barelink::errc::not_delivered, "wrong bytes arrived")).value();
            const double gb_s = barelink::rate_gb_s(static_cast<double>(bytes), 1e3 * static_cast<double>(ms));
            if (gb_s > best) best = gb_s;
        }
        return best;
    };
    const double plain = best_of_two([&] {
        check(cudaMemcpyPeerAsync(here, cuda.device_of(target), there, cuda.device_of(source), bytes, stream.handle),
              "copying plainly");
    });
    const double own = best_of_two([&] { (void)moves.copy(here, there, bytes, stream).value(); });

    const barelink::region dst = moves.resolve(here, bytes).value(), src = moves.resolve(there, bytes).value();
    const barelink::plan& planned = *moves.plan_for(dst, src).value();
    for (const barelink::route& way : planned.routes) {
        std::string path = m.at(way.from()).id();
        for (const barelink::leg& each : way.path()) path += " -> " + m.at(each.to).id();
        std::printf("  %-40s %6.1f MiB, planned at %5.1f GB/s\n", path.c_str(),
                    static_cast<double>(way.bytes) / barelink::MiB, way.gb_s);
    }
    std::printf("cudaMemcpyPeerAsync %6.1f GB/s\nbarelink            %6.1f GB/s, the wires allow %.1f\n", plain, own,
                planned.bound_gb_s);
    std::printf("%.2f times as fast, all bytes arrived\n", own / plain);
    for (cudaEvent_t each : {begin, end}) check(cudaEventDestroy(each), "destroying an event");
    cuda.destroy(stream).value();
    for (void* each : {there, here}) cuda.release(each).value();
    return 0;
} catch (const barelink::error& failed) {
    std::fprintf(stderr, "handover: %s\n", failed.what());
    return 1;
}
