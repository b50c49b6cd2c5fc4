// What a path family talks to: it proposes ways, the sink checks and collects them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <barelink/plan/plan.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

/// A proposed route, with the link directions that it fills. `slots` may name one direction more than once.
struct candidate {
    std::string_view family;
    std::uint32_t part = 0;
    std::uint8_t between_count = 0;
    std::array<node_index, max_between> between{};
    std::uint32_t first_slot = 0;
    std::uint32_t slot_count = 0;
};

/// Why a family has nothing to offer for one demand.
struct declined_demand {
    std::string_view family;
    std::string why;
    std::uint32_t part = 0;
};

struct candidate_list {
    std::vector<candidate> routes;
    std::vector<std::uint32_t> slots; ///< link_direction::slot(), or host_threads_slot
    std::vector<declined_demand> declined;

    [[nodiscard]] std::span<const std::uint32_t> slots_of(const candidate& c) const noexcept {
        return {slots.data() + c.first_slot, c.slot_count};
    }
};

/// The pseudo link of the host's copying threads: one past the machine's link directions.
[[nodiscard]] inline std::uint32_t host_threads_slot(const machine& m) noexcept {
    return static_cast<std::uint32_t>(2 * m.links.size());
}

/// The slots that a copy by host threads fills: the DRAM link that is read, the one that is written, the way between two
/// packages, and the threads themselves (last).
inline void append_host_copy_slots(const machine& m, node_index from, node_index to,
                                   std::vector<std::uint32_t>& slots) {
    const auto dram_of = [&](node_index memory, bool write) {
        for (std::uint32_t l = 0; l < m.links.size(); ++l) {
            const link& each = m.links[l];
            if (each.kind != link_kind::dram || (each.a != memory && each.b != memory)) continue;
            slots.push_back(link_direction{link_index{l}, (each.a == memory) == write}.slot());
            return each.a == memory ? each.b : each.a;
        }
        return no_node;
    };
    const node_index read_at = dram_of(from, false);
    const node_index written_at = dram_of(to, true);
    if (read_at != written_at)
        for (std::uint32_t l = 0; l < m.links.size(); ++l) {
            const link& each = m.links[l];
            const bool forward = each.a == read_at && each.b == written_at;
            if (each.kind == link_kind::cpu && (forward || (each.b == read_at && each.a == written_at)))
                slots.push_back(link_direction{link_index{l}, !forward}.slot());
        }
    slots.push_back(host_threads_slot(m));
}

} // namespace detail

/// Collects the routes of one family for one demand. A family calls `add` for every way it knows, or `decline` once.
class route_sink {
public:
    route_sink(const machine& m, const demand& wanted, std::uint32_t part, detail::candidate_list& into)
        : machine_(m), wanted_(wanted), part_(part), into_(into) {}

    /// Set by the planner before each family's turn.
    void speak_for(std::string_view family) noexcept {
        family_ = family;
        others_ = into_.routes.size();
    }

    /// Proposes a route through the memories `between` (at most two; none is the direct way). For a pageable end the memory
    /// next to it is the ring: a NUMA node. Returns false, and adds nothing, when a leg has no usable DMA path, when a GPU in
    /// between is not an allowed relay, when a memory repeats, or when another family proposed the same way.
    bool add(std::span<const node_index> between);
    bool add(std::initializer_list<node_index> between) {
        return add(std::span<const node_index>(between.begin(), between.size()));
    }

    /// Says why the family has nothing to offer; shown in `plan::rejected`.
    void decline(std::string why) { into_.declined.push_back({family_, std::move(why), part_}); }

    /// The DMA path of one leg if a plan may use it, else nullptr.
    [[nodiscard]] const dma_path* usable(node_index from, node_index to) const noexcept {
        const dma_path* path = machine_.path(from, to);
        return path && path->usable(wanted_.trust_unproved) ? path : nullptr;
    }
    /// True when `legs`, one after the other, fill every link that `direct` fills: such a detour can never add to what the
    /// wires allow. Legs and direct may be nullptr (no path): then there is nothing to compare, and the answer is false.
    [[nodiscard]] bool pointless(const dma_path* direct, std::initializer_list<const dma_path*> legs) const noexcept;

    /// May bytes rest on this node on their way? GPUs must be allowed relays, host memory must be allowed at all.
    [[nodiscard]] bool may_rest(node_index n) const noexcept {
        const node& there = machine_.at(n);
        if (n == wanted_.from || n == wanted_.to) return false;
        return there.kind == node_kind::gpu ? there.cuda && wanted_.relays.contains(gpu_id{there.index})
                                            : there.kind == node_kind::memory && wanted_.stage_in_host;
    }

private:
    bool append_dma(node_index from, node_index to);

    const machine& machine_;
    const demand& wanted_;
    std::uint32_t part_;
    detail::candidate_list& into_;
    std::string_view family_;
    std::size_t others_ = 0; ///< routes that other families proposed before
};

inline bool route_sink::append_dma(node_index from, node_index to) {
    const dma_path* path = usable(from, to);
    if (!path) return false;
    for (const link_direction hop : machine_.hops(*path)) into_.slots.push_back(hop.slot());
    return true;
}

inline bool route_sink::add(std::span<const node_index> between) {
    if (between.size() > max_between) return false;
    const std::size_t rings = (wanted_.from_pageable ? 1u : 0u) + (wanted_.to_pageable ? 1u : 0u);
    if (between.size() < (rings > 0 ? 1u : 0u)) return false;

    detail::candidate way{family_, part_, static_cast<std::uint8_t>(between.size()), {}, 0, 0};
    node_index stops[max_between + 2] = {wanted_.from};
    for (std::size_t i = 0; i < between.size(); ++i) stops[i + 1] = way.between[i] = between[i];
    const std::size_t last = between.size() + 1;
    stops[last] = wanted_.to;
    for (std::size_t i = 1; i < last; ++i) {
        const bool ring = (i == 1 && wanted_.from_pageable) || (i + 1 == last && wanted_.to_pageable);
        if (ring ? machine_.at(stops[i]).kind != node_kind::memory : !may_rest(stops[i])) return false;
        for (std::size_t j = 1; j < i; ++j)
            if (stops[i] == stops[j]) return false;
    }
    for (const detail::candidate& other : std::span(into_.routes.data(), others_))
        if (other.part == part_ && other.between_count == way.between_count && other.between == way.between)
            return false;

    way.first_slot = static_cast<std::uint32_t>(into_.slots.size());
    for (std::size_t i = 0; i < last; ++i) {
        const bool by_host = (i == 0 && wanted_.from_pageable) || (i + 1 == last && wanted_.to_pageable);
        if (by_host) {
            detail::append_host_copy_slots(machine_, stops[i], stops[i + 1], into_.slots);
            continue;
        }
        if (append_dma(stops[i], stops[i + 1])) continue;
        into_.slots.resize(way.first_slot);
        return false;
    }
    way.slot_count = static_cast<std::uint32_t>(into_.slots.size()) - way.first_slot;
    into_.routes.push_back(way);
    return true;
}

inline bool route_sink::pointless(const dma_path* direct, std::initializer_list<const dma_path*> legs) const noexcept {
    if (!direct) return false;
    hop_set filled_by_legs;
    for (const dma_path* leg : legs) {
        if (!leg) return false;
        filled_by_legs.insert(leg->hop_bits);
    }
    if (!filled_by_legs.covers(direct->hop_bits)) return false;
    if (machine_.links.size() <= hop_set::exact_links) return true;
    for (const link_direction hop : machine_.hops(*direct)) {
        bool filled = false;
        for (const dma_path* leg : legs)
            for (const link_direction other : machine_.hops(*leg)) filled |= other == hop;
        if (!filled) return false;
    }
    return true;
}

BARELINK_END_NAMESPACE
