// Batches of scattered blocks through the CUDA code: every way, captured, in streams of any kind, and what may be wrong.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <barelink/move/cuda.hpp>

#include <support/captured_graph.hpp>
#include <support/catch.hpp>
#include <support/cuda_box.hpp>

using namespace barelink;
using test::graph;

namespace {

using cuda_mover = mover<cuda::runtime>;

/// Stands for the copy kernel: nvcc is not needed.
void kernel_of_the_test() {}
cudaError_t launch_of_the_test(const block* list, std::uint32_t count, int multiprocessors, cudaStream_t stream) {
    void* arguments[] = {&list, &count};
    return cudaLaunchKernel(reinterpret_cast<const void*>(&kernel_of_the_test),
                            dim3(static_cast<unsigned>(multiprocessors)), dim3(256), arguments, 0, stream);
}
void stand_in() {
    simcuda::kernel_stand_in by;
    by.argument_bytes = {sizeof(const block*), sizeof(std::uint32_t)};
    by.us = [](void**, const simcuda::kernel_launch&) { return 30.0; };
    by.run = [](void** arguments, const simcuda::kernel_launch&) {
        const block* list = nullptr;
        std::uint32_t count = 0;
        std::memcpy(&list, arguments[0], sizeof list);
        std::memcpy(&count, arguments[1], sizeof count);
        for (std::uint32_t i = 0; i < count; ++i) std::memcpy(list[i].to, list[i].from, list[i].bytes);
    };
    simcuda::stand_in(reinterpret_cast<const void*>(&kernel_of_the_test), by);
}

struct box : cuda_box::server {
    static cuda::options with_kernel(bool kernel) {
        cuda::options chosen;
        chosen.register_bytes = 2 * MiB;
        if (kernel) chosen.block_kernel = launch_of_the_test;
        return chosen;
    }
    explicit box(bool kernel = true) : server("hgx-h100-8", with_kernel(kernel)) { stand_in(); }
};

std::vector<block> scattered_blocks(const cuda_box::buffer& to, const cuda_box::buffer& from, std::size_t count,
                                    std::uint64_t most, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<block> list;
    const std::uint64_t room = to.size() / count;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t bytes = std::min<std::uint64_t>(room, random() % (most + 1));
        list.push_back({to.data() + i * room + random() % (room - bytes + 1),
                        from.data() + random() % (from.size() - bytes + 1), bytes});
    }
    std::shuffle(list.begin(), list.end(), random);
    return list;
}
/// What `to` holds after the list ran on its present bytes.
std::vector<char> expected(const cuda_box::buffer& to, const std::vector<block>& list) {
    std::vector<char> bytes(to.data(), to.data() + to.size());
    for (const block& each : list)
        if (each.bytes > 0)
            std::memcpy(bytes.data() + (static_cast<char*>(each.to) - to.data()), each.from, each.bytes);
    return bytes;
}
bool holds(const cuda_box::buffer& to, const std::vector<char>& bytes) {
    return std::memcmp(to.data(), bytes.data(), bytes.size()) == 0 && to.guarded();
}

constexpr block_way all_ways[] = {block_way::one_by_one, block_way::batch, block_way::strided, block_way::bounce,
                                  block_way::kernel};

} // namespace

TEST_CASE("Every way of every batch moves every byte, through the CUDA code") {
    const std::pair<endpoint, endpoint> pairs[] = {
        {places::host(0), places::gpu(0)},      {places::gpu(0), places::host(1)},
        {endpoint::host_all(), places::gpu(3)}, {places::gpu(3), endpoint::host_all()},
        {places::gpu(0), places::gpu(5)},       {places::gpu(2), places::gpu(2)},
        {places::pageable(0), places::gpu(1)},  {places::gpu(1), places::pageable(1)},
    };
    std::size_t ran = 0;
    for (const auto& [from, to] : pairs) {
        box on;
        const auto before = simcuda::live();
        {
            cuda_mover moves(on.on);
            const cuda_box::buffer source(on.on, from, 5 * MiB, 3), target(on.on, to, 6 * MiB, 5);
            const cuda::stream stream = on.stream(to.on_host() ? from.index : to.index);
            for (const std::uint64_t most : {1u, 9000u, 200000u}) {
                source.fill(most);
                const auto list = scattered_blocks(target, source, 31, most, static_cast<unsigned>(most));
                std::vector<batch_options> options = {{}};
                for (const block_way way : all_ways) options.push_back(batch_options::by(way));
                for (const batch_options& chosen : options) {
                    INFO(to_string(from) << " to " << to_string(to) << ", " << most << " bytes, "
                                         << (chosen.choose == batch_options::choice::named ? to_string(chosen.way)
                                                                                           : "automatic"));
                    target.clear();
                    const auto wanted = expected(target, list);
                    const auto done = moves.copy_batch(list, stream, chosen);
                    if (!done) {
                        REQUIRE(chosen.choose == batch_options::choice::named);
                        CHECK(done.error().code() == errc::unsupported);
                        continue;
                    }
                    REQUIRE(done->wait());
                    CHECK(holds(target, wanted));
                    CHECK(done->fallbacks().empty());
                    ++ran;
                }
            }
            for (int g = 0; g < 8; ++g) {
                const bool involved = (!from.on_host() && from.index == g) || (!to.on_host() && to.index == g);
                CHECK((!simcuda::has_context(g) || involved || g == 0));
            }
            REQUIRE(on.on.destroy(stream));
        }
        CHECK(simcuda::live() == before);
        CHECK(simcuda::pending_error() == cudaSuccess);
    }
    CHECK(ran >= 90);
}

TEST_CASE("A batch asks about allocations, not about blocks") {
    box on;
    cuda_mover moves(on.on);
    const cuda_box::buffer pool(on.on, places::host(0), 8 * MiB), cache(on.on, places::gpu(0), 8 * MiB);
    const cuda::stream stream = on.stream(0);
    std::vector<block> list;
    for (std::uint64_t i = 0; i < 2048; ++i)
        list.push_back({cache.data() + i * 4096, pool.data() + (i * 1023 % 2048) * 4096, 4096});
    pool.fill(1);
    const auto wanted = expected(cache, list);
    REQUIRE(moves.copy_batch(list, stream).value().wait());
    const std::uint64_t before = simcuda::calls();
    REQUIRE(moves.copy_batch(list, stream));
    CHECK(simcuda::calls() - before < 150);
    REQUIRE(on.on.synchronize(on.on.make_event(on.gpu(0), false).value()));
    auto prepared = moves.prepare(list, stream).value();
    const std::uint64_t then = simcuda::calls();
    const auto done = moves.run(prepared, list, stream);
    REQUIRE(done);
    CHECK(simcuda::calls() - then < 40);
    REQUIRE(done->wait());
    CHECK(holds(cache, wanted));
}

TEST_CASE("Captured batches read their sources and their lists when the graph is launched") {
    box on;
    {
        cuda_mover moves(on.on);
        const cuda_box::buffer pool(on.on, places::host(0), 1 * MiB), cache(on.on, places::gpu(0), 1 * MiB),
            other(on.on, places::gpu(0), 1 * MiB), far(on.on, places::gpu(1), 1 * MiB),
            pageable(on.on, places::pageable(0), 1 * MiB);
        const cuda::stream stream = on.stream(0), launched = on.stream(0);
        const auto first = scattered_blocks(cache, pool, 60, 9000, 1),
                   second = scattered_blocks(other, pool, 50, 7000, 2);
        for (const block_way way : all_ways) {
            INFO(to_string(way));
            const batch_options chosen = batch_options::by(way);
            std::optional<cuda_mover::ticket> ticket;
            bool refused = false;
            const graph both(stream.handle, [&] {
                auto started = moves.copy_batch(first, stream, chosen);
                refused = !started;
                if (refused) {
                    CHECK(started.error().code() == errc::unsupported);
                    return;
                }
                ticket.emplace(*started);
                REQUIRE(moves.copy_batch(second, stream, chosen));
            });
            CHECK(refused == (way == block_way::bounce)); // host threads cannot be captured
            if (refused) continue;
            CHECK(ticket->captured());
            CHECK(ticket->fallbacks().size() == (way == block_way::batch ? 1 : 0));
            // Other batches in between use lists and rings of their own.
            for (std::uint64_t seed = 0; seed < 3; ++seed) {
                const cuda_box::buffer aside(on.on, places::gpu(0), 1 * MiB);
                const auto besides = scattered_blocks(aside, pool, 40, 9000, 77);
                REQUIRE(moves.copy_batch(besides, launched, batch_options::by(block_way::kernel)).value().wait());
                pool.fill(seed);
                cache.clear();
                other.clear();
                const auto wanted = expected(cache, first), wanted_too = expected(other, second);
                both.run(launched.handle);
                CHECK(holds(cache, wanted));
                CHECK(holds(other, wanted_too));
            }
        }
        // Between GPUs and down as well, in one capture; several groups.
        auto mixed = scattered_blocks(far, cache, 40, 5000, 3);
        const auto down = scattered_blocks(pool, other, 40, 5000, 4);
        mixed.insert(mixed.end(), down.begin(), down.end());
        REQUIRE(moves.copy_batch(mixed, stream).value().wait()); // proves the pair
        const graph all(stream.handle, [&] { REQUIRE(moves.copy_batch(mixed, stream)); });
        cache.fill(31);
        other.fill(32);
        far.clear();
        pool.clear();
        const auto wanted = expected(far, {mixed.begin(), mixed.begin() + 40}), wanted_too = expected(pool, down);
        all.run(launched.handle);
        CHECK(holds(far, wanted));
        CHECK(holds(pool, wanted_too));
        // Pageable memory is refused, and the capture goes on.
        const auto staged = scattered_blocks(cache, pageable, 5, 5000, 5);
        const graph none(stream.handle, [&] {
            const auto started = moves.copy_batch(staged, stream);
            REQUIRE_FALSE(started);
            CHECK(started.error().code() == errc::unsupported);
        });
    }
    CHECK(simcuda::pending_error() == cudaSuccess);
}

TEST_CASE("The legacy stream takes no batch copies, and says what it does instead") {
    box on(false);
    cuda_mover moves(on.on);
    const cuda_box::buffer pool(on.on, places::host(0), 1 * MiB), cache(on.on, places::gpu(0), 1 * MiB);
    const auto list = scattered_blocks(cache, pool, 60, 9000, 1);
    const cuda::stream stream = on.stream(0);
    REQUIRE(cudaSetDevice(0) == cudaSuccess);
    pool.fill(1);
    cache.clear();
    const auto wanted = expected(cache, list);
    auto prepared = moves.prepare(list, stream).value();
    CHECK(prepared.plans()[0].way == block_way::batch);
    const std::uint64_t before = simcuda::calls("cudaMemcpyBatchAsync");
    const auto done = moves.run(prepared, list, cuda::stream{nullptr});
    REQUIRE(done);
    CHECK(done->fallbacks().size() == 1);
    CHECK(simcuda::calls("cudaMemcpyBatchAsync") == before);
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(holds(cache, wanted));
    CHECK(moves.counters().fallbacks == 1);
    REQUIRE(moves.run(prepared, list, stream).value().wait());
    CHECK(simcuda::calls("cudaMemcpyBatchAsync") == before + 1);
}

TEST_CASE("Registrations of the caller's own are told apart, and partly registered memory is refused by its number") {
    box on;
    cuda_mover moves(on.on);
    const cuda::stream stream = on.stream(0);
    const cuda_box::buffer cache(on.on, places::gpu(0), 256 * KiB);
    alignas(4096) static char mine[256 * KiB];
    REQUIRE(cudaHostRegister(mine, 64 * KiB, cudaHostRegisterDefault) == cudaSuccess);
    REQUIRE(cudaHostRegister(mine + 64 * KiB, 64 * KiB, cudaHostRegisterDefault) == cudaSuccess);
    patterned::fill(mine, sizeof mine, 8);
    std::vector<block> list = {{cache.data(), mine, 100}, {cache.data() + 100, mine + 100, 128 * KiB - 100}};
    CHECK(moves.prepare(list, stream).value().plans()[0].asked.blocks == 2);
    for (const block_way way : {block_way::one_by_one, block_way::batch, block_way::kernel}) {
        cache.clear();
        REQUIRE(moves.copy_batch(list, stream, batch_options::by(way)).value().wait());
        CHECK(patterned::holds(cache.data(), 128 * KiB, 8));
    }
    list.push_back({cache.data() + 128 * KiB, mine + 100 * KiB, 60 * KiB}); // its end is not registered
    const auto refused = moves.copy_batch(list, stream);
    REQUIRE_FALSE(refused);
    CHECK(std::string(refused.error().what()).find("entry 2: ") == 0);
    REQUIRE(cudaHostUnregister(mine) == cudaSuccess);
    REQUIRE(cudaHostUnregister(mine + 64 * KiB) == cudaSuccess);
}

TEST_CASE("Freed memory in a list is named before anything moves") {
    box on;
    cuda_mover moves(on.on);
    const cuda::stream stream = on.stream(0);
    const cuda_box::buffer pool(on.on, places::host(0), 64 * KiB);
    void *kept = nullptr, *freed = nullptr, *managed = nullptr;
    REQUIRE(cudaMalloc(&kept, 64 * KiB) == cudaSuccess);
    REQUIRE(cudaMalloc(&freed, 64 * KiB) == cudaSuccess);
    REQUIRE(cudaMallocManaged(&managed, 64 * KiB, cudaMemAttachGlobal) == cudaSuccess);
    std::vector<block> list(10, block{kept, pool.data(), 64});
    list[7].to = managed;
    const auto unsupported = moves.copy_batch(list, stream);
    REQUIRE_FALSE(unsupported);
    CHECK(unsupported.error().code() == errc::unsupported);
    CHECK(std::string(unsupported.error().what()).find("entry 7: ") == 0);
    list[7].to = reinterpret_cast<void*>(std::uintptr_t{4096}); // nobody's
    const auto nobody = moves.copy_batch(list, stream);
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error().code() == errc::invalid_argument);
    CHECK(std::string(nobody.error().what()).find("entry 7: ") == 0);
    CHECK(simcuda::calls("cudaMemcpyAsync") + simcuda::calls("cudaMemcpyBatchAsync") == 0);
    for (void* each : {kept, freed, managed}) REQUIRE(cudaFree(each) == cudaSuccess);
}

TEST_CASE("Whatever CUDA call of a batch fails, it is reported, nothing is left behind and the next batch works") {
    std::size_t failed = 0;
    for (const block_way way : {block_way::batch, block_way::kernel, block_way::bounce})
        for (std::uint64_t number = 0;; ++number) {
            box on;
            const auto before = simcuda::live();
            bool went_through = false;
            {
                cuda_mover moves(on.on);
                const cuda_box::buffer pool(on.on, places::host(0), 256 * KiB), cache(on.on, places::gpu(0), 256 * KiB),
                    far(on.on, places::gpu(1), 256 * KiB);
                const cuda::stream stream = on.stream(0);
                pool.fill(1);
                auto list = scattered_blocks(cache, pool, 12, 9000, 1);
                const auto more = scattered_blocks(far, pool, 12, 9000, 2);
                list.insert(list.end(), more.begin(), more.end());
                simcuda::fail_any(number, cudaErrorUnknown);
                const std::uint64_t calls = simcuda::calls();
                const auto first = moves.copy_batch(list, stream, batch_options::by(way));
                went_through = first && simcuda::calls() - calls <= number;
                if (!first) ++failed;
                while (simcuda::calls() - calls <= number) (void)cudaGetDevice(nullptr); // use the failure up
                (void)cudaGetLastError();
                cache.clear();
                far.clear();
                const auto wanted = expected(cache, {list.begin(), list.begin() + 12}),
                           wanted_far = expected(far, more);
                const auto again = moves.copy_batch(list, stream, batch_options::by(way));
                REQUIRE(again);
                REQUIRE(again->wait());
                CHECK(holds(cache, wanted));
                CHECK(holds(far, wanted_far));
                REQUIRE(on.on.destroy(stream));
            }
            CHECK(simcuda::live() == before);
            if (went_through || number > 400) break;
        }
    CHECK(failed > 60);
}
