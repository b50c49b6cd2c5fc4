// Which links and which engine a copy takes on the simulated server. Private to sim_runtime.hpp, which includes it last.
#pragma once

#include <cstdint>
#include <utility>

#include <barelink/machine/driver_staging.hpp>
#include <barelink/move/sim_runtime.hpp>

BARELINK_BEGIN_NAMESPACE
namespace sim {

inline result<detail::operation> runtime::copy_between(void* to, const void* from, std::uint64_t bytes, stream s) {
    const auto source = memory_.classify(from, bytes), target = memory_.classify(to, bytes);
    if (!source) return source.error();
    if (!target) return target.error();
    if (source->kind == memory_kind::pageable || target->kind == memory_kind::pageable)
        return error(errc::invalid_argument, "a copy engine cannot reach pageable memory: stage it through a ring");
    const auto way = find_way(node_at(*source), node_at(*target), issuer(s), is_cached(from, to));
    if (!way) return way.error();
    auto op = operation_of(detail::operation::kind::copy, *way);
    op.to = to;
    op.from = from;
    op.bytes = bytes;
    op.us = machine_.costs.engine_us;
    op.tag = tag_;
    op.tag.from = node_at(*source);
    op.tag.to = node_at(*target);
    return op;
}

/// The buffer of the driver that both directions of a pair use.
inline std::uint32_t runtime::staging_between(node_index one, node_index other, double gb_s) {
    for (const staging_pair& each : staging_)
        if ((each.one == one && each.other == other) || (each.one == other && each.other == one)) return each.resource;
    staging_.push_back({one, other, engine_.add_resource(gb_s)});
    return staging_.back().resource;
}

inline result<std::uint32_t> runtime::find_way(node_index from, node_index to, node_index issuer, bool cached) {
    const bool pulled = issuer == to;
    std::uint32_t& known =
        way_of_[4 * (from.value * machine_.nodes.size() + to.value) + (cached ? 2 : 0) + (pulled ? 1 : 0)];
    const dma_path* path = machine_.path(from, to);
    const node &a = machine_.at(from), &b = machine_.at(to);
    if (known == detail::nothing) {
        detail::way found;
        if (path && path->allowed && (pulled ? may_access(to, from) : may_access(from, to))) {
            engine_.append(found, *path, !cached);
            found.engine = engine_of(machine_, *path, pulled);
            found.latency_us = path->latency_us;
            found.chain_us = chain_us(machine_, *path, pulled);
        } else if (from == to && a.kind == node_kind::gpu) {
            found.engine = 2 * from.value;
            found.most_gb_s = machine_.blocks.device_gb_s;
        } else if (a.kind == node_kind::gpu && b.kind == node_kind::gpu) {
            // The driver stages through host memory: both host paths are busy, at the rate of its small buffer, which the two
            // directions of a pair share.
            const driver_staging by = driver_staging_of(machine_, from, to);
            if (!by.out) return error(errc::unsupported, "no way between the two GPUs, not even through host memory");
            engine_.append(found, *by.out, false);
            engine_.append(found, *by.in, false);
            found.shared.push_back({staging_between(from, to, by.both_ways_gb_s), 1.0});
            found.most_gb_s = by.gb_s;
            found.engine = engine_of(machine_, *by.out, false);
            found.latency_us = by.start_us;
        } else {
            return error(errc::unsupported,
                         text::join({"no copy engine joins ", a.id().c_str(), " and ", b.id().c_str()}));
        }
        known = static_cast<std::uint32_t>(engine_.ways.size());
        engine_.ways.push_back(std::move(found));
    }
    for (const peer_fault& fault : peer_faults_)
        if (fault.from == from && fault.to == to) {
            engine_.ways[known].refused = fault.what == peer_fault::kind::refused;
            engine_.ways[known].zeros = fault.what == peer_fault::kind::delivers_zeros;
            engine_.ways[known].hangs = fault.what == peer_fault::kind::hangs;
        }
    return known;
}

inline detail::way runtime::host_way(node_index from, node_index to) const {
    detail::way found;
    barelink::detail::append_host_copy_slots(machine_, from, to, found.slots);
    found.slots.pop_back(); // its threads are its own
    found.most_gb_s = machine_.costs.host_copy_gb_s * machine_.costs.host_threads;
    return found;
}

} // namespace sim
BARELINK_END_NAMESPACE
