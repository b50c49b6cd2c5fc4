// From shares to routes: whole bytes, offsets, legs, chunks. Private to the plan layer.
#pragma once

#include <cstdint>
#include <span>

#include <barelink/plan/detail/shares.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Writes the chosen shares of one demand into a plan: whole bytes, offsets, legs, chunks.
inline void write_routes(const machine& m, const candidate_list& ways, const demand& wanted, std::uint32_t part,
                         std::uint64_t part_offset, std::span<const share> chosen, plan& into) {
    const std::size_t first = into.routes.size();
    std::uint64_t given = 0;
    std::size_t largest = first;
    for (const share& s : chosen) {
        if (s.part != part) continue;
        const candidate& way = ways.routes[s.way];
        route r;
        r.family = way.family;
        r.part = part;
        r.gb_s = s.gb_s;
        r.overhead_us = s.overhead_us;
        r.bytes = static_cast<std::uint64_t>(s.bytes / 4096) * 4096;
        if (r.bytes > wanted.bytes - given) r.bytes = wanted.bytes - given;
        given += r.bytes;
        r.depth = s.cut.depth;
        r.chunk_bytes = s.cut.chunk_bytes;
        r.first_chunk_bytes = s.cut.first_chunk_bytes;
        r.leg_count = static_cast<std::uint8_t>(way.between_count + 1);
        const auto slots = ways.slots_of(way);
        std::size_t slot = 0;
        node_index at = wanted.from;
        for (std::size_t i = 0; i < r.leg_count; ++i) {
            leg& l = r.legs[i];
            l.from = at;
            l.to = at = i < way.between_count ? way.between[i] : wanted.to;
            l.host_copy = (i == 0 && wanted.from_pageable) || (i + 1u == r.leg_count && wanted.to_pageable);
            l.first_hop = static_cast<std::uint32_t>(into.hops.size());
            const dma_path* path = l.host_copy ? nullptr : m.path(l.from, l.to);
            for (; slot < slots.size() && (!path || into.hops.size() - l.first_hop < path->hop_count); ++slot) {
                if (slots[slot] == host_threads_slot(m)) {
                    ++slot;
                    break;
                }
                into.hops.push_back(link_direction::from_slot(slots[slot]));
            }
            l.hop_count = static_cast<std::uint32_t>(into.hops.size()) - l.first_hop;
            l.path_gb_s = path ? path->gb_s : m.costs.host_copy_gb_s * m.costs.host_threads;
            l.latency_us = path ? path->latency_us : 0;
        }
        into.routes.push_back(r);
        if (r.bytes > into.routes[largest].bytes) largest = into.routes.size() - 1;
    }
    if (into.routes.size() == first) return;
    into.routes[largest].bytes += wanted.bytes - given;
    std::uint64_t offset = part_offset;
    std::erase_if(into.routes, [](const route& r) { return r.bytes == 0; });
    for (std::size_t i = first; i < into.routes.size(); ++i) {
        route& r = into.routes[i];
        r.offset = offset;
        offset += r.bytes;
        if (r.chunk_bytes == 0 || (r.leg_count == 1 && r.chunk_bytes > r.bytes))
            r.chunk_bytes = r.first_chunk_bytes = r.bytes;
    }
}

} // namespace detail
BARELINK_END_NAMESPACE
