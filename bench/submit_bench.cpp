// What submitting a copy costs over the bare CUDA call, with a CUDA library that does nothing. Prints nanoseconds a call,
// medians of rounds in turn, and the allocations of each way after warm-up.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/memcpy.hpp>

#include "timing.hpp"

namespace {

std::uint64_t allocations = 0;

struct way {
    const char* name;
    double budget_ns; ///< over the bare call; 0 for none
    std::function<bool()> call;
    std::vector<double> ns{};
    std::uint64_t allocated = 0;
};

} // namespace

// Never inlined: g++ would take the pair apart and warn that malloc's memory is deleted.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
    ++allocations;
    if (void* const made = std::malloc(bytes == 0 ? 1 : bytes)) return made;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* at) noexcept {
    std::free(at);
}
[[gnu::noinline]] void operator delete(void* at, std::size_t) noexcept {
    std::free(at);
}

int main(int argc, char** argv) {
    using namespace barelink;
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 41;
    constexpr int calls = 20000;
    constexpr std::size_t bytes = 1 * MiB;
    static char host[bytes + 64];
    auto* const device = reinterpret_cast<char*>((std::uintptr_t{1} << 44) + (std::uintptr_t{1} << 30));
    auto* const other = reinterpret_cast<char*>((std::uintptr_t{1} << 44) + (std::uintptr_t{1} << 40));

    cuda::runtime on(builtin::hgx_h100_8());
    const node_index gpu = on.topology().gpu(gpu_id{0});
    for (const node_index peer : on.topology().all(node_kind::gpu))
        for (const node_index with : on.topology().all(node_kind::gpu))
            if (peer != with) on.set_delivery(peer, with, delivery::proved); // there is nobody to prove it
    mover<cuda::runtime> moves(on);
    const cuda::stream stream = on.make_stream(gpu).value();
    const region to = moves.resolve(device, bytes).value(), from = moves.resolve(host, bytes).value();
    const region peer = moves.resolve(other, bytes).value();
    // Relays make it plan pinned copies, too: the most that it can cost.
    if (memcpy_configure({.relays = gpu_set{}.insert(gpu_id{1}), .plan_from_bytes = 64 * KiB}, builtin::hgx_h100_8()) !=
        cudaSuccess)
        return 1;

    std::vector<way> ways;
    ways.push_back({"cudaMemcpyAsync", 0, [&] {
                        return cudaMemcpyAsync(device, host, bytes, cudaMemcpyDefault, stream.handle) == cudaSuccess;
                    }});
    ways.push_back({"mover.enqueue, pinned, resolved", 300, [&] { return bool(moves.enqueue(to, from, stream)); }});
    ways.push_back(
        {"mover.copy with its ticket, pinned, resolved", 300, [&] { return bool(moves.copy(to, from, stream)); }});
    ways.push_back({"mover.copy, GPU to GPU, resolved", 0, [&] { return bool(moves.copy(peer, to, stream)); }});
    ways.push_back(
        {"mover.copy, two pointers to classify", 0, [&] { return bool(moves.copy(device, host, bytes, stream)); }});
    ways.push_back({"memcpy_async, pinned, two pointers to classify", 1000, [&] {
                        return memcpy_async(device, host, bytes, cudaMemcpyDefault, stream.handle) == cudaSuccess;
                    }});
    ways.push_back({"the same, 64 KiB", 1000, [&] {
                        return memcpy_async(device, host, 64 * KiB, cudaMemcpyDefault, stream.handle) == cudaSuccess;
                    }});
    ways.push_back({"memcpy_async, 4 KiB", 1000,
                    [&] { return memcpy_async(device, host, 4096, cudaMemcpyDefault, stream.handle) == cudaSuccess; }});

    bool all_started = true;
    for (int round = -3; round < rounds; ++round)
        for (way& each : ways) {
            const std::uint64_t before = allocations;
            const auto begin = clock_type::now();
            for (int i = 0; i < calls; ++i) all_started &= each.call();
            const double ns = us_since(begin) * 1e3 / calls;
            if (round < 0) continue; // warm-up
            each.allocated += allocations - before;
            each.ns.push_back(ns);
        }

    const double bare_ns = median(ways[0].ns);
    bool within = all_started;
    std::printf("%-48s %9s %9s %9s %12s\n", "", "ns", "over bare", "budget", "allocations");
    for (const way& each : ways) {
        const double ns = median(each.ns);
        // The vectors of samples themselves grow: at most one allocation a doubling, none a call.
        std::printf("%-48s %9.1f %9.1f %9s %12llu\n", each.name, ns, ns - bare_ns,
                    each.budget_ns > 0 ? std::to_string(static_cast<int>(each.budget_ns)).c_str() : "",
                    static_cast<unsigned long long>(each.allocated));
        within &= each.allocated == 0 && (each.budget_ns == 0 || ns - bare_ns <= each.budget_ns);
    }
    std::printf("%s\n", !all_started ? "a copy failed" : within ? "within budget" : "over budget");
    return within ? 0 : 1;
}
