// One transfer run on a mover as often as asked, its bytes checked: the part of `copy` that all runtimes share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include <barelink/move/mover.hpp>
#include <barelink/move/trace.hpp>

#include "pattern.hpp"

namespace tool {

/// What a GPU pair that the plan may use was found to deliver.
struct pair_proof {
    std::string from, to;
    barelink::delivery proof;
};

struct route_figures {
    double us = 0;
    std::uint64_t bytes = 0;
};

/// What a copy or a broadcast did, whichever runtime ran it.
template <class Plan>
struct outcome_of {
    const char* runtime = "sim";
    bool simulated = true; ///< also where a simulated CUDA library ran it
    Plan plan;
    double elapsed_us = 0;             ///< of the median run
    std::vector<double> all_us;        ///< in the order of the runs
    std::vector<route_figures> routes; ///< of the median run; trees of a broadcast
    bool verified = false;
    std::vector<std::string> fallbacks, notes;
    std::vector<pair_proof> proofs;
    barelink::copy_trace trace;
};
using outcome = outcome_of<barelink::plan>;
using broadcast_outcome = outcome_of<barelink::broadcast_plan>;
template <class Request>
using outcome_for = std::conditional_t<std::is_same_v<Request, barelink::request>, outcome, broadcast_outcome>;

struct repeats {
    unsigned warm_ups = 0;
    unsigned runs = 1;
};

/// `Request`: of a copy or of a broadcast.
template <class Request>
[[nodiscard]] barelink::mover_options mover_options_of(const Request& asked) {
    barelink::mover_options options;
    options.relays = asked.relays;
    options.stage_in_host = asked.stage_in_host;
    options.trust_unproved = asked.trust_unproved;
    options.scratch_bytes = asked.scratch_bytes;
    return options;
}

namespace detail {

/// A pair of memories, when both are GPUs and it is not noted yet.
inline void note_proof(const barelink::machine& m, barelink::node_index from, barelink::node_index to,
                       std::vector<pair_proof>& into) {
    if (from == barelink::no_node || to == barelink::no_node) return;
    if (m.at(from).kind != barelink::node_kind::gpu || m.at(to).kind != barelink::node_kind::gpu) return;
    const barelink::dma_path* path = m.path(from, to);
    for (const pair_proof& known : into)
        if (known.from == m.at(from).id() && known.to == m.at(to).id()) return;
    if (path) into.push_back({m.at(from).id(), m.at(to).id(), path->proof});
}
/// Every pair of GPUs that a leg joins, and the request's own.
inline void note_proofs(const barelink::machine& m, outcome& done) {
    const barelink::endpoint from = done.plan.asked.from, to = done.plan.asked.to;
    if (!from.on_host() && !to.on_host())
        note_proof(m, m.gpu(barelink::gpu_id{from.index}), m.gpu(barelink::gpu_id{to.index}), done.proofs);
    for (const barelink::route& route : done.plan.routes)
        for (const barelink::leg& leg : route.path()) note_proof(m, leg.from, leg.to, done.proofs);
}
inline void note_proofs(const barelink::machine& m, broadcast_outcome& done) {
    for (const barelink::tree_arc& a : done.plan.arcs) note_proof(m, a.from, a.to, done.proofs);
}

/// `start() -> ticket` as often as asked; see `run_transfer`.
template <class Plan, class Start, class BeforeLast>
void run_often(Start start, repeats often, BeforeLast before_last, outcome_of<Plan>& done) {
    std::vector<std::vector<route_figures>> routes;
    for (unsigned run = 0; run < often.warm_ups + often.runs; ++run) {
        if (run + 1 == often.warm_ups + often.runs) before_last();
        const auto ticket = start();
        ticket.wait().value();
        for (const std::string& said : ticket.fallbacks())
            if (std::find(done.fallbacks.begin(), done.fallbacks.end(), said) == done.fallbacks.end())
                done.fallbacks.push_back(said);
        if (run < often.warm_ups) continue;
        done.all_us.push_back(ticket.elapsed_us().value());
        routes.emplace_back();
        for (std::size_t r = 0; r < ticket.routes(); ++r)
            routes.back().push_back({ticket.route_us(r).value_or(0), ticket.route_bytes(r)});
    }
    std::vector<std::size_t> order(done.all_us.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return done.all_us[a] < done.all_us[b]; });
    const std::size_t median = order[(order.size() - 1) / 2];
    done.elapsed_us = done.all_us[median];
    done.routes = routes[median];
}

} // namespace detail

/// Runs it; `before_last` is called with nothing under way before the last run. Fills in what the tickets say, of the run
/// whose time is the median. Throws what a run fails with.
template <barelink::runtime Runtime, class BeforeLast>
void run_transfer(barelink::mover<Runtime>& with, const barelink::region& target, const barelink::region& source,
                  typename Runtime::stream_type stream, repeats often, BeforeLast before_last, outcome& done) {
    done.plan = *with.plan_for(target, source).value();
    detail::run_often([&] { return with.copy(target, source, stream).value(); }, often, before_last, done);
    detail::note_proofs(with.on().topology(), done);
}
/// The same bytes to every target.
template <barelink::runtime Runtime, class BeforeLast>
void run_broadcast(barelink::mover<Runtime>& with, const std::vector<barelink::region>& targets,
                   const barelink::region& source, typename Runtime::stream_type stream, repeats often,
                   BeforeLast before_last, broadcast_outcome& done) {
    done.plan = *with.plan_for(targets, source).value();
    detail::run_often([&] { return with.broadcast(targets, source, stream).value(); }, often, before_last, done);
    detail::note_proofs(with.on().topology(), done);
}

/// Stripes of 32 MiB, or one on every node for smaller buffers.
[[nodiscard]] inline std::uint64_t stripe_for(const barelink::machine& m, std::uint64_t bytes) {
    const std::uint64_t share = barelink::divide_up(bytes, m.count(barelink::node_kind::memory));
    const std::uint64_t whole = barelink::round_up(share, 4 * barelink::KiB);
    return whole < 32 * barelink::MiB ? whole : 32 * barelink::MiB;
}

} // namespace tool
