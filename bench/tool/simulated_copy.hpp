// One transfer on a simulated server, with its bytes checked: what `copy` and `demo` run.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <unistd.h>

#include <barelink/move/mover.hpp>
#include <barelink/move/sim_runtime.hpp>

namespace tool {

/// What a copy did, whichever runtime ran it.
struct outcome {
    barelink::plan plan;
    double elapsed_us = 0;
    bool verified = false;
    std::vector<std::string> fallbacks;
    barelink::copy_trace trace;
};

/// A pattern whose every 64-bit word tells its position, so that a chunk in the wrong place shows.
inline std::uint64_t pattern_at(std::uint64_t word) noexcept {
    std::uint64_t mixed = (word + 1) * 0x9e3779b97f4a7c15u;
    return mixed ^ (mixed >> 29);
}
inline void fill(void* at, std::uint64_t bytes) {
    auto* out = static_cast<unsigned char*>(at);
    for (std::uint64_t done = 0; done < bytes; done += 8) {
        const std::uint64_t word = pattern_at(done / 8);
        std::memcpy(out + done, &word, bytes - done < 8 ? bytes - done : 8);
    }
}
inline bool holds_pattern(const void* at, std::uint64_t bytes) {
    const auto* in = static_cast<const unsigned char*>(at);
    for (std::uint64_t done = 0; done < bytes; done += 8) {
        const std::uint64_t word = pattern_at(done / 8);
        if (std::memcmp(in + done, &word, bytes - done < 8 ? bytes - done : 8) != 0) return false;
    }
    return true;
}

/// Stripes of 32 MiB, or one on every node for smaller buffers.
inline std::uint64_t stripe_for(const barelink::machine& m, std::uint64_t bytes) {
    const std::uint64_t share = barelink::divide_up(bytes, m.count(barelink::node_kind::memory));
    const std::uint64_t whole = barelink::round_up(share, 4 * barelink::KiB);
    return whole < 32 * barelink::MiB ? whole : 32 * barelink::MiB;
}

inline void* allocate(barelink::sim::runtime& on, barelink::endpoint end, std::uint64_t bytes) {
    const barelink::machine& m = on.topology();
    const auto node = [&](barelink::node_kind kind) { return m.find(kind, end.index); };
    switch (end.where) {
    case barelink::endpoint::place::striped_host: return on.allocate_striped(bytes, stripe_for(m, bytes)).value();
    case barelink::endpoint::place::pageable:
        return on.allocate_pageable(node(barelink::node_kind::memory), bytes).value();
    case barelink::endpoint::place::host: return on.allocate(node(barelink::node_kind::memory), bytes).value();
    case barelink::endpoint::place::gpu: return on.allocate(node(barelink::node_kind::gpu), bytes).value();
    }
    return nullptr;
}

/// Source and destination are real memory of the machine that simulates. Errors: out_of_memory.
inline void require_memory_for(std::uint64_t bytes) {
    const long pages = ::sysconf(_SC_AVPHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page <= 0) return;
    const std::uint64_t available = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page);
    if (bytes <= available / 2 && 2 * bytes + barelink::GiB <= available) return;
    barelink::detail::raise(
        barelink::error(barelink::errc::out_of_memory,
                        "simulating with bytes needs twice their size in this machine's memory, and "
                        "that is not free; use a smaller transfer or --timing-only")
            .asking(bytes));
}

inline outcome simulate(const barelink::machine& m, const barelink::request& asked, bool timing_only) {
    // Plan first: its errors are about what the user wrote.
    (void)barelink::default_planner(m).make(asked).value();
    if (!timing_only) require_memory_for(asked.bytes);
    barelink::sim::runtime on(m, {timing_only, true});
    barelink::mover_options options;
    options.relays = asked.relays;
    options.stage_in_host = asked.stage_in_host;
    options.trust_unproved = asked.trust_unproved;
    options.scratch_bytes = asked.scratch_bytes;
    barelink::mover<barelink::sim::runtime> mover(on, options);
    const barelink::endpoint gpu = asked.to.on_host() ? asked.from : asked.to;

    outcome done;
    void* const from = allocate(on, asked.from, asked.bytes);
    void* const to = allocate(on, asked.to, asked.bytes);
    if (!timing_only) fill(from, asked.bytes);
    const auto source = mover.resolve(from, asked.bytes).value(), target = mover.resolve(to, asked.bytes).value();
    done.plan = *mover.plan_for(target, source).value();
    const auto stream = on.make_stream(m.find(barelink::node_kind::gpu, gpu.index)).value();
    const auto ticket = mover.copy(target, source, stream).value();
    ticket.wait().value();
    done.elapsed_us = ticket.elapsed_us().value();
    done.fallbacks = ticket.fallbacks();
    done.verified = !timing_only && holds_pattern(to, asked.bytes);
    done.trace = on.trace();
    return done;
}

} // namespace tool
