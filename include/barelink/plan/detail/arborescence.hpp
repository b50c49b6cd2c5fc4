// The cheapest way to reach every vertex from a root: one arc into each. Private to the plan layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Minimum-cost arborescence by contraction of cycles (Chu and Liu 1965; Edmonds, Optimum branchings, 1967). Dense graphs of a
/// few dozen vertices: cubic time.
class arborescence {
public:
    struct arc {
        std::uint32_t from, to;
        double cost;
    };

    /// Positions in `arcs` of the chosen ones, one into each vertex but the root; empty when some vertex cannot be reached.
    [[nodiscard]] static std::vector<std::uint32_t> cheapest(std::uint32_t vertices, std::uint32_t root,
                                                             std::span<const arc> arcs) {
        constexpr std::uint32_t none = 0xffffffffu;
        std::vector<std::uint32_t> into(vertices, none);
        for (std::uint32_t a = 0; a < arcs.size(); ++a) {
            const arc& each = arcs[a];
            if (each.to == root || each.from == each.to) continue;
            if (into[each.to] == none || each.cost < arcs[into[each.to]].cost) into[each.to] = a;
        }
        for (std::uint32_t v = 0; v < vertices; ++v)
            if (v != root && into[v] == none) return {};

        // Each vertex of a cycle of chosen arcs becomes part of one vertex.
        std::vector<std::uint32_t> group(vertices, none), seen(vertices, none);
        std::uint32_t groups = 0;
        bool cycles = false;
        for (std::uint32_t v = 0; v < vertices; ++v) {
            std::uint32_t at = v;
            while (at != root && seen[at] == none && group[at] == none) {
                seen[at] = v;
                at = arcs[into[at]].from;
            }
            if (at == root || group[at] != none || seen[at] != v) continue;
            cycles = true;
            for (std::uint32_t c = at; group[c] == none; c = arcs[into[c]].from) group[c] = groups;
            ++groups;
        }
        std::vector<std::uint32_t> chosen;
        if (!cycles) {
            for (std::uint32_t v = 0; v < vertices; ++v)
                if (v != root) chosen.push_back(into[v]);
            return chosen;
        }
        const std::uint32_t in_cycles = groups;
        for (std::uint32_t v = 0; v < vertices; ++v)
            if (group[v] == none) group[v] = groups++;

        // An arc into a cycle costs what it costs more than the one that it would replace.
        std::vector<arc> outer;
        std::vector<std::uint32_t> meant;
        for (std::uint32_t a = 0; a < arcs.size(); ++a) {
            const arc& each = arcs[a];
            if (each.to == root || group[each.from] == group[each.to]) continue;
            const double replaced = group[each.to] < in_cycles ? arcs[into[each.to]].cost : 0;
            outer.push_back({group[each.from], group[each.to], each.cost - replaced});
            meant.push_back(a);
        }
        const std::vector<std::uint32_t> rest = cheapest(groups, group[root], outer);
        std::vector<bool> replaced(vertices, false);
        for (const std::uint32_t a : rest) {
            chosen.push_back(meant[a]);
            replaced[arcs[meant[a]].to] = true;
        }
        if (rest.empty()) return {};
        for (std::uint32_t v = 0; v < vertices; ++v)
            if (group[v] < in_cycles && !replaced[v]) chosen.push_back(into[v]);
        return chosen;
    }
};

} // namespace detail
BARELINK_END_NAMESPACE
