// What batches of scattered blocks cost the calling thread, with a CUDA library that does nothing: checking and planning a list
// of 65,536 entries, and running a prepared one with new block numbers. Prints milliseconds, medians of rounds in turn.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <random>
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/move/cuda.hpp>

#include "timing.hpp"

extern "C" bool null_cuda_knows_allocations;

namespace {

std::uint64_t allocations = 0;

struct way {
    const char* name;
    double budget_ms; ///< 0 for none
    bool allocates;   ///< makes something new each time
    std::function<bool()> call;
    std::vector<double> ms{};
    std::uint64_t allocated = 0;
};

cudaError_t no_kernel(const barelink::block*, std::uint32_t, int, cudaStream_t) {
    return cudaSuccess;
}

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
    null_cuda_knows_allocations = true;
    constexpr std::uint64_t count = 65536, size = 4 * KiB;
    cuda::options chosen;
    chosen.block_kernel = no_kernel;
    cuda::runtime on(builtin::hgx_h100_8(), chosen);
    const node_index gpu = on.topology().gpu(gpu_id{0});
    mover<cuda::runtime> moves(on);
    const cuda::stream stream = on.make_stream(gpu).value();
    // Nothing is written to it: the pool may be larger than this machine's memory would like.
    auto* const pool = reinterpret_cast<char*>(std::uintptr_t{1} << 40);
    on.pin(pool, 2 * count * size, {memory_kind::pinned, on.topology().memory(numa_id{0}), 0, 0}).value();
    auto* const cache = static_cast<char*>(on.allocate(gpu, 2 * count * size).value());

    std::mt19937_64 random(1);
    std::vector<std::int64_t> to(count), from(count);
    for (std::uint64_t i = 0; i < count; ++i) to[i] = from[i] = static_cast<std::int64_t>(2 * i);
    std::shuffle(to.begin(), to.end(), random);
    std::shuffle(from.begin(), from.end(), random);
    std::vector<block> list;
    std::vector<std::uint64_t> to_addresses, from_addresses, sizes(count, size);
    for (std::uint64_t i = 0; i < count; ++i) {
        list.push_back({cache + static_cast<std::uint64_t>(to[i]) * size,
                        pool + static_cast<std::uint64_t>(from[i]) * size, size});
        to_addresses.push_back(reinterpret_cast<std::uint64_t>(list[i].to));
        from_addresses.push_back(reinterpret_cast<std::uint64_t>(list[i].from));
    }
    paged_blocks pages;
    pages.block_bytes = size;
    pages.to = {cache, 0, 0, 2 * count};
    pages.from = {pool, 0, 0, 2 * count};
    pages.to_numbers = to;
    pages.from_numbers = from;
    auto by_batch = moves.prepare(pages, stream, batch_options::by(block_way::batch)).value();
    auto by_kernel = moves.prepare(pages, stream, batch_options::by(block_way::kernel)).value();
    auto listed = moves.prepare(list, stream, batch_options::by(block_way::batch)).value();
    const auto renumber = [&] {
        for (std::size_t i = 0; i < 64; ++i) std::swap(to[random() % count], to[random() % count]);
    };

    std::vector<way> ways;
    ways.push_back({"prepare, structs", 5, true, [&] { return bool(moves.prepare(list, stream)); }});
    ways.push_back({"prepare, flat arrays", 5, true, [&] {
                        return bool(moves.prepare(block_arrays{to_addresses, from_addresses, sizes}, stream));
                    }});
    ways.push_back({"prepare, block numbers", 5, true, [&] { return bool(moves.prepare(pages, stream)); }});
    ways.push_back(
        {"copy_batch, structs, planned and run", 5, false, [&] { return bool(moves.copy_batch(list, stream)); }});
    ways.push_back({"run prepared, new block numbers, batch copy", 1, false, [&] {
                        renumber();
                        return bool(moves.run(by_batch, to, from, stream));
                    }});
    ways.push_back({"run prepared, new block numbers, kernel", 1, false, [&] {
                        renumber();
                        return bool(moves.run(by_kernel, to, from, stream));
                    }});
    ways.push_back({"run prepared, a list of structs, batch copy", 1, false,
                    [&] { return bool(moves.run(listed, list, stream)); }});

    bool all_started = true;
    for (int round = -10; round < rounds; ++round) // lists and flights are all made after 64 batches
        for (way& each : ways) {
            const int calls = round < 0 ? 10 : 1;
            const std::uint64_t before = allocations;
            const auto begin = clock_type::now();
            for (int i = 0; i < calls; ++i) all_started &= each.call();
            const double ms = us_since(begin) / 1e3;
            if (round < 0) continue; // warm-up
            each.allocated += allocations - before;
            each.ms.push_back(ms);
        }

    bool within = all_started;
    std::printf("%llu blocks\n%-48s %9s %9s %12s\n", static_cast<unsigned long long>(count), "", "ms", "budget",
                "allocations");
    for (const way& each : ways) {
        const double ms = median(each.ms);
        std::printf("%-48s %9.3f %9.1f %12llu\n", each.name, ms, each.budget_ms,
                    static_cast<unsigned long long>(each.allocated));
        within &= (each.allocates || each.allocated == 0) && (each.budget_ms == 0 || ms <= each.budget_ms);
    }
    std::printf("%s\n", !all_started ? "a batch failed" : within ? "within budget" : "over budget");
    return within ? 0 : 1;
}
