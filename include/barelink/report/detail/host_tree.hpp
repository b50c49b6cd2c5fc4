// The host side of a machine as a tree: packages, and below them memories, ports, switches, GPUs. What text and pictures
// are laid out by. Private to the report layer.
#pragma once

#include <cstdint>
#include <vector>

#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

inline constexpr std::uint32_t no_link = 0xffffffffu;

/// Every node hangs below the node that reaches it from a package in the fewest links, over the widest link; C2C counts only for
/// nodes that PCIe does not reach. NVSwitches are not in it; a node without a link to any package is a root of its own.
struct host_tree {
    struct place {
        node_index above = no_node;
        std::uint32_t link = no_link; ///< to the node above
        std::uint32_t level = 0;      ///< packages are 0
        bool seen = false;
        std::vector<node_index> memories; ///< in node order
        std::vector<node_index> below;    ///< everything else, in node order
    };
    std::vector<place> places;              ///< per node
    std::vector<node_index> roots;          ///< packages first
    std::vector<std::uint32_t> other_links; ///< host-side links that are not in the tree, CPU links apart
    std::vector<std::uint32_t> cpu_links;
    std::vector<std::uint32_t> nvlinks;

    explicit host_tree(const machine& m) : places(m.nodes.size()) {
        std::vector<node_index> layer;
        for (const node_index package : m.all(node_kind::package)) {
            roots.push_back(package);
            layer.push_back(package);
            places[package.value].seen = true;
        }
        grow(m, layer, false);
        grow(m, layer, true);
        // What no package reaches: its topmost node becomes a root, ports and switches before the GPUs below them.
        for (const node_kind kind : {node_kind::root_port, node_kind::pcie_switch, node_kind::memory, node_kind::gpu,
                                     node_kind::nic, node_kind::disk})
            for (const node_index n : m.all(kind)) {
                if (places[n.value].seen) continue;
                roots.push_back(n);
                places[n.value].seen = true;
                layer.assign(1, n);
                grow(m, layer, true);
            }
        hang(m);
    }

    [[nodiscard]] const place& at(node_index n) const noexcept { return places[n.value]; }
    /// Direction of a tree link towards the node below.
    [[nodiscard]] link_direction down(const machine& m, node_index below) const noexcept {
        const link_index l{at(below).link};
        return {l, m.at(l).a == below};
    }
    [[nodiscard]] link_direction up(const machine& m, node_index below) const noexcept {
        const link_direction d = down(m, below);
        return {d.link, !d.reverse};
    }
    /// GPUs at and below a node.
    [[nodiscard]] std::size_t gpus_below(const machine& m, node_index n) const {
        std::size_t found = m.at(n).kind == node_kind::gpu ? 1 : 0;
        for (const node_index child : at(n).below) found += gpus_below(m, child);
        return found;
    }
    [[nodiscard]] node_index root_of(node_index n) const noexcept {
        while (at(n).above != no_node) n = at(n).above;
        return n;
    }

private:
    static bool is_tree_link(const machine& m, const link& l) noexcept {
        return l.kind != link_kind::cpu && l.kind != link_kind::nvlink && m.at(l.a).kind != node_kind::nvswitch &&
               m.at(l.b).kind != node_kind::nvswitch;
    }

    void grow(const machine& m, std::vector<node_index> layer, bool over_c2c) {
        std::vector<node_index> next;
        for (std::uint32_t level = 1; !layer.empty(); ++level, layer.swap(next)) {
            next.clear();
            for (std::uint32_t l = 0; l < m.links.size(); ++l) {
                const link& each = m.links[l];
                if (!is_tree_link(m, each) || (each.kind == link_kind::c2c && !over_c2c)) continue;
                for (const node_index from : layer) {
                    if (each.a != from && each.b != from) continue;
                    const node_index to = each.a == from ? each.b : each.a;
                    place& there = places[to.value];
                    const bool wider = there.level == level && there.above != no_node && there.link != no_link &&
                                       m.links[there.link].gb_s_ab < each.gb_s_ab;
                    if (there.seen && !wider) continue;
                    if (!there.seen && !m.at(to).is_memory()) next.push_back(to);
                    there.above = from;
                    there.link = l;
                    there.level = level;
                    there.seen = true;
                }
            }
        }
    }

    void hang(const machine& m) {
        for (std::uint32_t n = 0; n < places.size(); ++n) {
            if (places[n].above == no_node) continue;
            place& parent = places[places[n].above.value];
            (m.nodes[n].kind == node_kind::memory ? parent.memories : parent.below).push_back(node_index{n});
        }
        for (std::uint32_t l = 0; l < m.links.size(); ++l) {
            const link& each = m.links[l];
            const bool in_tree = places[each.a.value].link == l || places[each.b.value].link == l;
            if (each.kind == link_kind::cpu)
                cpu_links.push_back(l);
            else if (!is_tree_link(m, each))
                nvlinks.push_back(l);
            else if (!in_tree)
                other_links.push_back(l);
        }
    }
};

} // namespace detail
BARELINK_END_NAMESPACE
