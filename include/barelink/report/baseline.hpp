// What one gets without barelink's several routes: the direct copy alone, and what the driver does for GPU pairs that have
// no peer access.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <barelink/machine/driver_staging.hpp>
#include <barelink/plan/broadcast_plan.hpp>
#include <barelink/plan/planner.hpp>

BARELINK_BEGIN_NAMESPACE

/// The same transfer by the direct path only; through host memory when there is no direct path; no relays. Errors: those of
/// `planner::make` when there is neither.
[[nodiscard]] inline result<plan> baseline_plan(const machine& m, request asked) {
    asked.relays = gpu_set::none();
    auto direct = planner<pinned_path, peer_path>(m).make(asked);
    return direct ? std::move(direct) : planner<staged_path>(m).make(asked);
}

/// The same bytes to every GPU of a broadcast without its trees: each copies all of them for itself, all at the same time, through
/// host memory where the source is a GPU that it has no direct path from. One plan a GPU. Errors: those of `planner::make`.
[[nodiscard]] inline result<std::vector<plan>> own_pulls(const machine& m, const broadcast_request& asked) {
    std::vector<request> each;
    for (const node_index n : m.all(node_kind::gpu)) {
        const gpu_id id{m.at(n).index};
        if (!m.at(n).cuda || !asked.to.contains(id) || asked.from == endpoint::gpu(id)) continue;
        request one;
        one.from = asked.from;
        one.to = endpoint::gpu(id);
        one.bytes = asked.bytes;
        one.trust_unproved = asked.trust_unproved;
        one.stripe_bytes = asked.stripe_bytes;
        one.stripe_phase = asked.stripe_phase;
        each.push_back(one);
    }
    auto direct = planner<pinned_path, peer_path>(m).make(std::span<const request>(each));
    if (direct) return direct;
    return planner<pinned_path, peer_path, staged_path>(m).make(std::span<const request>(each));
}

/// Until the last of them ends, microseconds.
[[nodiscard]] inline result<double> own_pulls_us(const machine& m, const broadcast_request& asked) {
    const auto plans = own_pulls(m, asked);
    if (!plans) return plans.error();
    double us = 0;
    for (const plan& each : *plans) us = std::max(us, each.predicted_us);
    return us;
}

/// GB/s of a copy between two GPUs without peer access as the driver does it; see `driver_staging`. 0 when host memory reaches
/// neither.
[[nodiscard]] inline double driver_staged_gb_s(const machine& m, node_index from, node_index to) {
    return driver_staging_of(m, from, to).gb_s;
}

/// Does every part of a plan go one way? `host:all` has a part for every NUMA node.
[[nodiscard]] inline bool is_single_route(const plan& p) noexcept {
    for (std::size_t i = 1; i < p.routes.size(); ++i)
        if (p.routes[i].part == p.routes[i - 1].part) return false;
    return true;
}

/// The transfer size in bytes from which more than one route pays, found by doubling and then bisection over
/// `Planner::make` to within 1 %; 0 when no size up to `most` does. Sizes are multiples of 4 KiB.
template <class Planner = default_planner>
[[nodiscard]] std::uint64_t crossover_bytes(const machine& m, request asked, std::uint64_t most = 64 * GiB) {
    const Planner plans(m);
    const auto splits = [&](std::uint64_t bytes) {
        asked.bytes = bytes;
        const auto made = plans.make(asked);
        return made && !is_single_route(*made);
    };
    constexpr std::uint64_t step = 4 * KiB;
    std::uint64_t high = step;
    while (!splits(high)) {
        if (high >= most) return 0;
        high *= 2;
    }
    std::uint64_t low = high / 2;
    while (high - low > step && high - low > high / 100) {
        const std::uint64_t middle = round_up((low + high) / 2, step);
        (splits(middle) ? high : low) = middle;
    }
    return high;
}

BARELINK_END_NAMESPACE
