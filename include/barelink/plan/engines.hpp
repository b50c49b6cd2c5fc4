// Copy engines: what serves one copy at a time, besides the links that copies share.
#pragma once

#include <cstdint>

#include <barelink/machine/machine.hpp>
#include <barelink/plan/plan.hpp>

BARELINK_BEGIN_NAMESPACE

/// A GPU has one engine that reads host memory, one that writes it, and for its peers one engine for each link that its
/// copies leave by (pushed) or come in by (pulled): the driver gives the peers of different NVLinks different engines, and
/// all peers behind an NVSwitch, or behind PCIe, the same one. (A single peer engine per GPU could not reach the published 2.95
/// times the direct rate over direct, relayed and host paths of a 4-GPU NVLink node: it would stop at 2.75.)
///
/// Dense numbers: 2 * node for reads of host memory, + 1 for writes, then one for every link direction.
[[nodiscard]] inline std::uint32_t engine_count(const machine& m) noexcept {
    return static_cast<std::uint32_t>(2 * m.nodes.size() + 2 * m.links.size());
}

/// The engine that a copy between two memories occupies. For GPU pairs: that of the GPU whose stream issued it.
[[nodiscard]] inline std::uint32_t engine_of(const machine& m, const dma_path& path, bool pulled) noexcept {
    const bool from_gpu = m.at(path.from).kind == node_kind::gpu;
    const bool to_gpu = m.at(path.to).kind == node_kind::gpu;
    if (!from_gpu) return 2 * path.to.value;
    if (!to_gpu) return 2 * path.from.value + 1;
    const auto hops = m.hops(path);
    return static_cast<std::uint32_t>(2 * m.nodes.size()) + (pulled ? hops.back() : hops.front()).slot();
}

/// Microseconds from the end of a copy to the start of a copy right behind it in one stream, along one path: by what has to come
/// back first; see `copy_costs`.
[[nodiscard]] inline double chain_us(const machine& m, const dma_path& path, bool pulled) noexcept {
    if (m.at(path.from).kind != node_kind::gpu) return m.costs.chain_read_us;
    if (m.at(m.hops(path).back().link).kind != link_kind::nvlink) return m.costs.chain_posted_us;
    return pulled ? m.costs.chain_nvlink_pull_us : m.costs.chain_nvlink_us;
}

/// The GPU whose stream issues a leg.
[[nodiscard]] inline node_index issuer_of(const machine& m, const leg& l) noexcept {
    if (m.at(l.from).kind != node_kind::gpu) return l.to;
    if (m.at(l.to).kind != node_kind::gpu) return l.from;
    return l.pulled ? l.to : l.from;
}

namespace detail {

/// Decides push or pull for every GPU-to-GPU leg: the engine with less to do takes it, so that no chunk queues behind a
/// long command of another route. Returns the load of the busiest engine
/// (1 is busy all the time): above 1 the routes queue and cannot reach their rates.
inline double assign_engines(const machine& m, plan& p) {
    std::vector<double> load(engine_count(m), 0.0);
    double busiest = 0;
    const auto charge = [&](std::uint32_t engine, double share) {
        load[engine] += share;
        if (load[engine] > busiest) busiest = load[engine];
    };
    for (const bool peers : {false, true})
        for (route& r : p.routes)
            for (leg& l : std::span(r.legs.data(), r.leg_count)) {
                const dma_path* path = l.host_copy ? nullptr : m.path(l.from, l.to);
                const bool is_peer = m.at(l.from).kind == node_kind::gpu && m.at(l.to).kind == node_kind::gpu;
                if (!path || is_peer != peers) continue;
                const double share = r.gb_s / path->gb_s;
                if (is_peer) {
                    const double pushed = load[engine_of(m, *path, false)], pulled = load[engine_of(m, *path, true)];
                    // Its engine needs the grant in the other direction.
                    const dma_path* back = m.path(l.to, l.from);
                    l.pulled = pulled < pushed && back && back->allowed;
                }
                charge(engine_of(m, *path, l.pulled), share);
            }
    return busiest;
}

} // namespace detail

BARELINK_END_NAMESPACE
