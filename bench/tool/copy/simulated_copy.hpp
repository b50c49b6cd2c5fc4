// One transfer on a simulated server, with its bytes checked: what `copy` and `demo` run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <unistd.h>

#include <barelink/move/sim_runtime.hpp>
#include <barelink/report/broadcast_text.hpp>

#include "copy_run.hpp"

namespace tool {

namespace detail {

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

/// Source and destinations are real memory of the machine that simulates. Errors: out_of_memory.
inline void require_memory_for(std::uint64_t bytes, std::uint64_t buffers) {
    const long pages = ::sysconf(_SC_AVPHYS_PAGES), page = ::sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page <= 0) return;
    const std::uint64_t available = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page);
    if (bytes <= available / buffers && buffers * bytes + barelink::GiB <= available) return;
    barelink::detail::raise(
        barelink::error(barelink::errc::out_of_memory,
                        barelink::text::join({"simulating with bytes needs ", std::to_string(buffers).c_str(),
                                              " times their size in this machine's memory, and that is not free; use a "
                                              "smaller transfer or --timing-only"}))
            .asking(bytes));
}

} // namespace detail

/// Virtual time is the same every time: one run is enough unless somebody wants more. The trace is of the last.
inline outcome simulate(const barelink::machine& m, const barelink::request& asked, bool timing_only,
                        repeats often = {}) {
    // Plan first: its errors are about what the user wrote.
    (void)barelink::default_planner(m).make(asked).value();
    if (!timing_only) detail::require_memory_for(asked.bytes, 2);
    barelink::sim::runtime on(m, {timing_only, true});
    barelink::mover<barelink::sim::runtime> mover(on, mover_options_of(asked));
    const barelink::endpoint gpu = asked.to.on_host() ? asked.from : asked.to;

    void* const from = detail::allocate(on, asked.from, asked.bytes);
    void* const to = detail::allocate(on, asked.to, asked.bytes);
    if (!timing_only) fill(from, asked.bytes);
    const auto source = mover.resolve(from, asked.bytes).value(), target = mover.resolve(to, asked.bytes).value();
    const auto stream = on.make_stream(m.find(barelink::node_kind::gpu, gpu.index)).value();
    const auto clear = [&] {
        if (!timing_only) fill(to, asked.bytes, 0, content::complement);
        on.clear_trace();
    };
    outcome done;
    run_transfer(mover, target, source, stream, often, clear, done);
    done.verified = !timing_only && holds_pattern(to, asked.bytes);
    done.trace = on.trace();
    return done;
}

/// The same bytes to many GPUs; no trace.
inline broadcast_outcome simulate(const barelink::machine& m, const barelink::broadcast_request& asked,
                                  bool timing_only, repeats often = {}) {
    const auto receivers = receivers_of(m, barelink::plan_broadcast(m, asked).value());
    if (!timing_only) detail::require_memory_for(asked.bytes, 1 + receivers.size());
    barelink::sim::runtime on(m, {.timing_only = timing_only});
    barelink::mover<barelink::sim::runtime> mover(on, mover_options_of(asked));

    void* const from = detail::allocate(on, asked.from, asked.bytes);
    if (!timing_only) fill(from, asked.bytes);
    const auto source = mover.resolve(from, asked.bytes).value();
    std::vector<barelink::region> targets;
    for (const barelink::node_index gpu : receivers)
        targets.push_back(mover.resolve(on.allocate(gpu, asked.bytes).value(), asked.bytes).value());
    const auto clear = [&] {
        for (const barelink::region& each : targets)
            if (!timing_only) fill(each.base, asked.bytes, 0, content::complement);
    };
    broadcast_outcome done;
    run_broadcast(mover, targets, source, on.make_stream(receivers.front()).value(), often, clear, done);
    done.verified = !timing_only;
    for (const barelink::region& each : targets) done.verified = done.verified && holds_pattern(each.base, asked.bytes);
    return done;
}

} // namespace tool
