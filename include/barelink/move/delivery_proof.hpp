// Do bytes really arrive from one GPU at another? A grant of peer access does not say so.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE

struct proof_options {
    /// After this long a pair that has not answered has failed. Project choice: ten thousand times what a pair needs.
    double timeout_us = 2e6;
    /// Copied each way, bytes. Project choice: more than one page of every size that an IOMMU maps, but the largest.
    std::uint64_t bytes = 256 * KiB;
};

namespace detail {

/// What a proof works with. Released at the end, but for a copy that never ended: its memory may still be written.
template <runtime Runtime>
struct proof_bench {
    Runtime& on;
    std::array<void*, 4> memory{}; ///< pattern and answer in host memory; source and destination on the GPUs
    std::array<typename Runtime::stream_type, 2> streams{};
    std::array<typename Runtime::event_type, 3> events{};
    std::size_t made_memory = 0, made_streams = 0, made_events = 0;
    bool abandoned = false;

    explicit proof_bench(Runtime& runtime) : on(runtime) {}
    proof_bench(const proof_bench&) = delete;
    proof_bench& operator=(const proof_bench&) = delete;
    ~proof_bench() {
        if (abandoned) return;
        for (std::size_t i = 0; i < made_events; ++i) (void)on.destroy(events[i]);
        for (std::size_t i = 0; i < made_streams; ++i) (void)on.destroy(streams[i]);
        for (std::size_t i = 0; i < made_memory; ++i) (void)on.release(memory[i]);
    }

    [[nodiscard]] status make(node_index from, node_index to, node_index host, std::uint64_t bytes) {
        for (const node_index where : {host, host, from, to}) {
            auto made = on.allocate(where, bytes);
            if (!made) return made.error();
            memory[made_memory++] = *made;
        }
        for (const node_index gpu : {from, to}) {
            auto made = on.make_stream(gpu);
            if (!made) return made.error();
            streams[made_streams++] = *made;
        }
        for (const node_index gpu : {from, to, to}) {
            auto made = on.make_event(gpu, false);
            if (!made) return made.error();
            events[made_events++] = *made;
        }
        return {};
    }

    /// One copy between the GPUs by the engine of one of them, between a fill of both ends and the owner's answer.
    [[nodiscard]] status enqueue(std::uint64_t bytes, bool pulled) {
        const auto [push, pull] = streams;
        const auto [pattern, answer, source, destination] = memory;
        status done = on.copy(source, pattern, bytes, push);
        if (done) done = on.copy(destination, answer, bytes, pull); // what was there before must not pass for it
        if (done) done = on.record(events[pulled ? 0 : 1], pulled ? push : pull);
        if (done) done = on.wait(pulled ? pull : push, events[pulled ? 0 : 1]);
        if (done) done = on.copy(destination, source, bytes, pulled ? pull : push);
        if (done && !pulled) done = on.record(events[0], push);
        if (done && !pulled) done = on.wait(pull, events[0]);
        if (done) done = on.copy(answer, destination, bytes, pull);
        if (done) done = on.record(events[2], pull);
        return done;
    }

    /// False when the time is over.
    [[nodiscard]] result<bool> arrives(double timeout_us) { return ends(events[2], timeout_us); }
    [[nodiscard]] result<bool> ends(typename Runtime::event_type event, double timeout_us) {
        const double until_us = on.clock_us() + timeout_us;
        for (;;) {
            auto done = on.is_done(event);
            if (!done || *done) return done;
            if (on.clock_us() > until_us) return false;
        }
    }
    /// After a call failed: whether what the streams were given before has ended.
    [[nodiscard]] bool quiet(double timeout_us) {
        for (std::size_t end = 0; end < streams.size(); ++end) {
            if (!on.record(events[end], streams[end])) return false;
            const auto ended = ends(events[end], timeout_us);
            if (!ended || !*ended) return false;
        }
        return true;
    }
};

inline std::atomic<std::uint64_t> proofs_made{0}; ///< of this process: no two use the same nonce

/// A word for each position that no other proof of this process used before.
[[nodiscard]] inline std::uint64_t nonce_at(std::uint64_t seed, std::uint64_t word) noexcept {
    std::uint64_t mixed = (seed ^ (word + 1)) * 0x9e3779b97f4a7c15ull;
    mixed = (mixed ^ (mixed >> 31)) * 0xbf58476d1ce4e5b9ull;
    return mixed ^ (mixed >> 29);
}

} // namespace detail

/// Copies a nonce from one GPU to another over their direct path, by the engine of each in turn, and has the owner hand back
/// what it holds. Blocks for some 100 us; allocates and frees a little memory on both GPUs and on the host; creates their
/// contexts. What it found is kept in the runtime's machine: `proved`, or `failed`, and then no plan uses the path. A copy that
/// does not end in time is `failed`, and the memory it may still write is never freed.
/// Errors: out_of_memory and what else keeps the proof from being made; the path stays what it was.
template <runtime Runtime>
[[nodiscard]] result<delivery> prove_delivery(Runtime& on, node_index from, node_index to, proof_options options = {}) {
    const auto judge = [&](delivery proof) {
        on.set_delivery(from, to, proof);
        return proof;
    };
    const dma_path* path = on.topology().path(from, to);
    if (!path || !path->allowed) return judge(delivery::failed);
    if (auto opened = on.open_peer(from, to); !opened) {
        if (opened.error().code() != errc::not_permitted) return opened.error();
        return judge(delivery::failed);
    }
    const machine& m = on.topology();
    node_index host = m.at(to).numa == unknown_numa ? no_node : m.memory(m.at(to).numa);
    if (host == no_node) host = m.all(node_kind::memory).front();

    const std::uint64_t words = options.bytes / sizeof(std::uint64_t), bytes = words * sizeof(std::uint64_t);
    detail::proof_bench<Runtime> bench(on);
    if (auto made = bench.make(from, to, host, bytes); !made) return made.error();
    auto* pattern = static_cast<std::uint64_t*>(bench.memory[0]);
    auto* answer = static_cast<std::uint64_t*>(bench.memory[1]);
    for (const bool pulled : {false, true}) {
        const std::uint64_t seed = (static_cast<std::uint64_t>(on.clock_us()) << 20) ^ ++detail::proofs_made;
        for (std::uint64_t w = 0; w < words; ++w) {
            pattern[w] = detail::nonce_at(seed, w);
            answer[w] = ~pattern[w];
        }
        if (auto sent = bench.enqueue(bytes, pulled); !sent) {
            bench.abandoned = !bench.quiet(options.timeout_us); // some of it may be on its way
            return sent.error();
        }
        const auto arrived = bench.arrives(options.timeout_us);
        if (!arrived) {
            bench.abandoned = !bench.quiet(options.timeout_us);
            return arrived.error();
        }
        bench.abandoned = !*arrived;
        if (!*arrived) return judge(delivery::failed);
        for (std::uint64_t w = 0; w < words; ++w)
            if (answer[w] != detail::nonce_at(seed, w)) return judge(delivery::failed);
    }
    return judge(delivery::proved);
}

BARELINK_END_NAMESPACE
