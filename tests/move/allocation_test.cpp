// Submitting a copy allocates nothing once the mover has seen its like.
#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/move/mover.hpp>

#include <support/catch.hpp>
#include <support/null_runtime.hpp>
#include <support/transfer_scenarios.hpp>

using namespace barelink;

namespace {

thread_local std::uint64_t counted_news = 0;

void* counted_new(std::size_t bytes) {
    ++counted_news;
    return std::malloc(bytes == 0 ? 1 : bytes);
}

} // namespace

// For the whole program, because there is no other way to see every allocation. Never inlined: g++ would take the pair
// apart and warn that malloc's memory is deleted.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
    if (void* const made = counted_new(bytes)) return made;
    throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    return counted_new(bytes);
}
[[gnu::noinline]] void operator delete(void* at) noexcept {
    std::free(at);
}
[[gnu::noinline]] void operator delete(void* at, std::size_t) noexcept {
    std::free(at);
}
[[gnu::noinline]] void operator delete(void* at, const std::nothrow_t&) noexcept {
    std::free(at);
}

namespace {

void* address_of(const machine& m, endpoint e) {
    switch (e.where) {
    case endpoint::place::striped_host:
        return null_runtime::address(memory_kind::striped, m.all(node_kind::memory).front());
    case endpoint::place::pageable: return null_runtime::address(memory_kind::pageable, m.memory(numa_id{e.index}));
    case endpoint::place::host: return null_runtime::address(memory_kind::pinned, m.memory(numa_id{e.index}));
    case endpoint::place::gpu: return null_runtime::address(memory_kind::device, m.gpu(gpu_id{e.index}));
    }
    return nullptr;
}

} // namespace

TEST_CASE("After the first copies of a kind nothing is allocated, neither on the heap nor on a device") {
    for (const transfer_scenario& s : transfer_scenarios) {
        INFO(s.name);
        null_runtime on(builtin::find(s.machine).value());
        const auto stream = on.make_stream(on.topology().gpu(gpu_id{0})).value();
        mover<null_runtime> moves(on, s.options());
        void* const src = address_of(on.topology(), s.from);
        void* const dst = address_of(on.topology(), s.to);
        // The tickets of 64 copies are kept, so it takes 64 to have seen everything.
        for (int i = 0; i < 64; ++i) REQUIRE(moves.copy(dst, src, s.bytes, stream));
        const std::uint64_t copies = on.copies(), allocations = on.allocations(), news = counted_news;
        bool all_started = true;
        for (int i = 0; i < 100; ++i) {
            const auto started = moves.copy(dst, src, s.bytes, stream);
            all_started = all_started && started && started->wait() && *started->poll();
        }
        const std::uint64_t more_news = counted_news - news;
        CHECK(all_started);
        CHECK(more_news == 0);
        CHECK(on.allocations() == allocations);
        CHECK(on.copies() >= copies + 100);
    }
}

TEST_CASE("Kinds of copies and streams in turn allocate nothing either") {
    null_runtime on(builtin::hgx_h100_8());
    const machine& m = on.topology();
    null_runtime::stream_type streams[4];
    for (auto& each : streams) each = on.make_stream(m.gpu(gpu_id{0})).value();
    mover<null_runtime> moves(on, {.relays = gpu_set::all()});
    struct ends {
        void *from, *to;
    };
    const auto between = [&](endpoint from, endpoint to) { return ends{address_of(m, from), address_of(m, to)}; };
    const ends pairs[] = {between(places::host(0), places::gpu(0)), between(places::gpu(3), places::host(1)),
                          between(places::gpu(0), places::gpu(3)), between(endpoint::host_all(), places::gpu(2)),
                          between(places::pageable(0), places::gpu(1))};
    const auto round = [&](std::uint64_t bytes) {
        bool all_started = true;
        for (const auto& stream : streams)
            for (const ends& each : pairs) all_started = all_started && moves.copy(each.to, each.from, bytes, stream);
        return all_started;
    };
    for (int i = 0; i < 16; ++i)
        for (const std::uint64_t bytes : {4 * KiB, 32 * MiB, 33 * MiB}) REQUIRE(round(bytes));
    const std::uint64_t news = counted_news;
    bool all_started = true;
    for (int i = 0; i < 4; ++i)
        for (const std::uint64_t bytes : {32 * MiB, 4 * KiB, 33 * MiB}) all_started = all_started && round(bytes);
    const std::uint64_t more_news = counted_news - news;
    CHECK(all_started);
    CHECK(more_news == 0);
}

TEST_CASE("Broadcasts and copies together allocate nothing after the first of a kind") {
    null_runtime on(builtin::hgx_h100_8());
    const machine& m = on.topology();
    const auto stream = on.make_stream(m.gpu(gpu_id{0})).value();
    mover<null_runtime> moves(on, {.relays = gpu_set::all()});
    const std::uint64_t bytes = 64 * MiB;
    const region host = moves.resolve(address_of(m, endpoint::host_all()), bytes).value();
    std::vector<region> gpus;
    for (int i = 0; i < 8; ++i) gpus.push_back(moves.resolve(address_of(m, places::gpu(i)), bytes).value());
    std::vector<region> shards;
    for (const region& each : gpus) shards.push_back(each.part(0, bytes / 8));
    const auto list = scattered(shards, host).value();
    const auto round = [&] {
        return bool(moves.broadcast(gpus, host, stream)) && bool(moves.copy_together(list, stream));
    };
    for (int i = 0; i < 64; ++i) REQUIRE(round());
    const std::uint64_t news = counted_news, allocations = on.allocations();
    bool all_started = true;
    for (int i = 0; i < 20; ++i) all_started = all_started && round();
    const std::uint64_t more_news = counted_news - news;
    CHECK(all_started);
    CHECK(more_news == 0);
    CHECK(on.allocations() == allocations);
}

TEST_CASE("Jobs allocate nothing for a chunk, nor at all after the first of a kind") {
    for (const transfer_scenario& s : transfer_scenarios) {
        if (s.from.where == endpoint::place::pageable || s.to.where == endpoint::place::pageable) continue;
        INFO(s.name);
        null_runtime on(builtin::find(s.machine).value());
        const auto stream = on.make_stream(on.topology().gpu(gpu_id{0})).value();
        mover<null_runtime> moves(on, s.options());
        void* const src = address_of(on.topology(), s.from);
        void* const dst = address_of(on.topology(), s.to);
        const auto round = [&](job_options chosen) {
            auto started = moves.start(dst, src, s.bytes, stream, chosen);
            return started && started->wait() && *started->poll();
        };
        constexpr job_options kinds[] = {{}, {.adaptive = false}, {.background = true}, {.most_chunk_bytes = 64 * KiB}};
        for (int i = 0; i < 2; ++i)
            for (const job_options& each : kinds) REQUIRE(round(each));
        const std::uint64_t copies = on.copies(), allocations = on.allocations(), news = counted_news;
        bool all_done = true;
        for (int i = 0; i < 20; ++i)
            for (const job_options& each : kinds) all_done = all_done && round(each);
        const std::uint64_t more_news = counted_news - news;
        CHECK(all_done);
        CHECK(more_news == 0);
        CHECK(on.allocations() == allocations);
        CHECK(on.copies() >= copies + 80);
    }
}

TEST_CASE("The counter counts") {
    const std::uint64_t news = counted_news;
    // Called by name: compilers may leave out a new-expression whose result is not used, and clang does.
    void* const one = ::operator new(16);
    void* const other = ::operator new(16);
    const std::uint64_t more_news = counted_news - news;
    ::operator delete(one);
    ::operator delete(other);
    CHECK(more_news == 2);
}
