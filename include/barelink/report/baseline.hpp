// What one gets without barelink's several routes: the direct copy alone, and what the driver does for GPU pairs that have
// no peer access.
#pragma once

#include <algorithm>
#include <cstdint>

#include <barelink/plan/planner.hpp>

BARELINK_BEGIN_NAMESPACE

/// The same transfer by the direct path only; through host memory when there is no direct path; no relays. Errors: those of
/// `planner::make` when there is neither.
[[nodiscard]] inline result<plan> baseline_plan(const machine& m, request asked) {
    asked.relays = gpu_set::none();
    auto direct = planner<pinned_path, peer_path>(m).make(asked);
    return direct ? std::move(direct) : planner<staged_path>(m).make(asked);
}

/// GB/s of a copy between two GPUs without peer access as the driver does it: a bounce through host memory, one block
/// after the other, no copy in while another goes out: block / (block / slower leg + hand-over), with
/// `copy_costs::driver_staging_bytes` and `driver_staging_us`. 0 when host memory reaches neither.
[[nodiscard]] inline double driver_staged_gb_s(const machine& m, node_index from, node_index to) {
    double slower_leg = 0;
    for (std::uint32_t n = 0; n < m.nodes.size(); ++n) {
        if (m.nodes[n].kind != node_kind::memory) continue;
        const dma_path* out = m.path(from, node_index{n});
        const dma_path* in = m.path(node_index{n}, to);
        if (out && in) slower_leg = std::max(slower_leg, std::min(out->gb_s, in->gb_s));
    }
    if (slower_leg <= 0) return 0;
    const double block = m.costs.driver_staging_bytes;
    return rate_gb_s(block, transfer_us(block, slower_leg) + m.costs.driver_staging_us);
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
