// The four ways that the library knows. A family is a type with a name and a `propose`; users add their own beside these.
#pragma once

#include <concepts>
#include <string_view>
#include <vector>

#include <barelink/plan/route_sink.hpp>

BARELINK_BEGIN_NAMESPACE

/// What `planner<Paths...>` accepts: `name` for plans to show, and `propose`, a pure function that tells the sink every way
/// it knows for one demand.
template <class Family>
concept path_family = requires(const machine& m, const demand& wanted, route_sink& sink) {
    { Family::name } -> std::convertible_to<std::string_view>;
    { Family::propose(m, wanted, sink) } -> std::same_as<void>;
};

/// Pinned host memory <-> the GPU, one copy engine command.
struct pinned_path {
    static constexpr std::string_view name = "pinned_path";
    static void propose(const machine& m, const demand& wanted, route_sink& sink) {
        if (wanted.from_pageable || wanted.to_pageable)
            return sink.decline(
                "the host memory is pageable: a copy engine cannot read it; pin it, or let it be staged");
        if (m.at(wanted.from).kind == m.at(wanted.to).kind) return sink.decline("both ends are GPUs");
        if (!sink.add({})) sink.decline("the GPU has no DMA path to this host memory");
    }
};

/// GPU -> GPU over NVLink or PCIe peer access.
struct peer_path {
    static constexpr std::string_view name = "peer_path";
    static void propose(const machine& m, const demand& wanted, route_sink& sink) {
        if (m.at(wanted.from).kind != node_kind::gpu || m.at(wanted.to).kind != node_kind::gpu)
            return sink.decline("one end is host memory");
        if (sink.add({})) return;
        const dma_path* path = m.path(wanted.from, wanted.to);
        if (!path) return sink.decline("no NVLink joins the two GPUs and PCIe peer access is not granted");
        if (!path->allowed) return sink.decline("peer access is not allowed in this direction");
        sink.decline(path->proof == delivery::failed
                         ? "peer access is granted, and a test pattern did not arrive: the path loses data"
                         : "peer access is granted but not proved by delivery; trust_unproved uses it all the same");
    }
};

/// Through a ring of pinned host memory: GPU -> host -> GPU, and pageable memory <-> GPU by host threads. Proposes a ring on
/// every NUMA node; the linear program picks.
struct staged_path {
    static constexpr std::string_view name = "staged_path";
    static void propose(const machine& m, const demand& wanted, route_sink& sink) {
        const bool pageable = wanted.from_pageable || wanted.to_pageable;
        const bool gpu_pair = m.at(wanted.from).kind == node_kind::gpu && m.at(wanted.to).kind == node_kind::gpu;
        if (!pageable && !gpu_pair) return sink.decline("pinned host memory needs no staging");
        bool any = false;
        for (std::uint32_t n = 0; n < m.nodes.size(); ++n)
            if (m.nodes[n].kind == node_kind::memory) any |= sink.add({node_index{n}});
        if (!any) sink.decline("no host memory may stand in between");
    }
};

/// Through the memory of other GPUs, alone or with pinned host memory: host -> relay -> GPU, GPU -> relay -> host,
/// GPU -> relay -> GPU. Only GPUs in `request::relays`. Detours that could not carry a byte more are left out.
struct relay_path {
    static constexpr std::string_view name = "relay_path";
    static void propose(const machine& m, const demand& wanted, route_sink& sink) {
        if (wanted.relays.empty())
            return sink.decline("no GPU may relay: none is listed (request::relays, --allow-relay)");
        // Where bytes may rest, or have to: the ring next to a pageable end is a NUMA node.
        struct stop {
            node_index where;
            bool gpu, first, second;
            const dma_path *in, *out; ///< from the source, to the destination
        };
        std::vector<stop> stops;
        for (std::uint32_t n = 0; n < m.nodes.size(); ++n) {
            const node_index where{n};
            const bool gpu = m.at(where).kind == node_kind::gpu, may = sink.may_rest(where);
            if (!may && m.at(where).kind != node_kind::memory) continue;
            stop s{where, gpu, false, false, sink.usable(wanted.from, where), sink.usable(where, wanted.to)};
            s.first = wanted.from_pageable ? !gpu : may && s.in;
            s.second = wanted.to_pageable ? !gpu : may && s.out;
            if (s.first || s.second) stops.push_back(s);
        }
        const dma_path* direct = sink.usable(wanted.from, wanted.to);
        const bool from_ring = wanted.from_pageable, to_ring = wanted.to_pageable;

        bool any = false;
        for (const stop& a : stops) {
            if (!a.first) continue;
            if (a.gpu && !to_ring && !sink.pointless(direct, {a.in, a.out})) any |= sink.add({a.where});
            for (const stop& b : stops) {
                if (!b.second || a.where == b.where || (!a.gpu && !b.gpu)) continue;
                const dma_path* across = sink.usable(a.where, b.where);
                if (!from_ring && sink.pointless(b.in, {a.in, across})) continue;
                if (!to_ring && sink.pointless(a.out, {across, b.out})) continue;
                if (!from_ring && !to_ring && sink.pointless(direct, {a.in, across, b.out})) continue;
                any |= sink.add({a.where, b.where});
            }
        }
        if (!any) sink.decline("no allowed GPU opens a way that the direct one does not already fill");
    }
};

BARELINK_END_NAMESPACE
