// One transfer run on a mover as often as asked, its bytes checked: the part of `copy` that all runtimes share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
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

/// What a copy did, whichever runtime ran it.
struct outcome {
    const char* runtime = "sim";
    bool simulated = true; ///< also where a simulated CUDA library ran it
    barelink::plan plan;
    double elapsed_us = 0;      ///< of the median run
    std::vector<double> all_us; ///< in the order of the runs
    struct route_figures {
        double us = 0;
        std::uint64_t bytes = 0;
    };
    std::vector<route_figures> routes; ///< of the median run
    bool verified = false;
    std::vector<std::string> fallbacks, notes;
    std::vector<pair_proof> proofs;
    barelink::copy_trace trace;
};

struct repeats {
    unsigned warm_ups = 0;
    unsigned runs = 1;
};

[[nodiscard]] inline barelink::mover_options mover_options_of(const barelink::request& asked) {
    barelink::mover_options options;
    options.relays = asked.relays;
    options.stage_in_host = asked.stage_in_host;
    options.trust_unproved = asked.trust_unproved;
    options.scratch_bytes = asked.scratch_bytes;
    return options;
}

namespace detail {

/// Every pair of GPUs that a leg joins, and the request's own.
inline void note_proofs(const barelink::machine& m, outcome& done) {
    const auto note = [&](barelink::node_index from, barelink::node_index to) {
        if (from == barelink::no_node || to == barelink::no_node) return;
        if (m.at(from).kind != barelink::node_kind::gpu || m.at(to).kind != barelink::node_kind::gpu) return;
        const barelink::dma_path* path = m.path(from, to);
        for (const pair_proof& known : done.proofs)
            if (known.from == m.at(from).id() && known.to == m.at(to).id()) return;
        if (path) done.proofs.push_back({m.at(from).id(), m.at(to).id(), path->proof});
    };
    const barelink::endpoint from = done.plan.asked.from, to = done.plan.asked.to;
    if (!from.on_host() && !to.on_host()) note(m.gpu(barelink::gpu_id{from.index}), m.gpu(barelink::gpu_id{to.index}));
    for (const barelink::route& route : done.plan.routes)
        for (const barelink::leg& leg : route.path()) note(leg.from, leg.to);
}

} // namespace detail

/// Runs it; `before_last` is called with nothing under way before the last run. Fills in what the tickets say, of the run
/// whose time is the median. Throws what a run fails with.
template <barelink::runtime Runtime, class BeforeLast>
void run_transfer(barelink::mover<Runtime>& with, const barelink::region& target, const barelink::region& source,
                  typename Runtime::stream_type stream, repeats often, BeforeLast before_last, outcome& done) {
    done.plan = *with.plan_for(target, source).value();
    std::vector<std::vector<outcome::route_figures>> routes;
    for (unsigned run = 0; run < often.warm_ups + often.runs; ++run) {
        if (run + 1 == often.warm_ups + often.runs) before_last();
        const auto ticket = with.copy(target, source, stream).value();
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
    detail::note_proofs(with.on().topology(), done);
}

/// Stripes of 32 MiB, or one on every node for smaller buffers.
[[nodiscard]] inline std::uint64_t stripe_for(const barelink::machine& m, std::uint64_t bytes) {
    const std::uint64_t share = barelink::divide_up(bytes, m.count(barelink::node_kind::memory));
    const std::uint64_t whole = barelink::round_up(share, 4 * barelink::KiB);
    return whole < 32 * barelink::MiB ? whole : 32 * barelink::MiB;
}

} // namespace tool
