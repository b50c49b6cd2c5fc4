// What probes found out and plans must heed, as plain values, and how a machine takes it in.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE

/// One thing that a probe learned. Nodes and links by their ids, so that it can be written down and read for the same machine.
struct probe_result {
    enum class kind : std::uint8_t {
        delivery,     ///< of the direct path `from` -> `to`: `proof`
        path_off,     ///< bytes arrive over `from` -> `to`, but staging is faster: not to be used
        nearest_node, ///< the GPU `from` is nearest to the NUMA node `to`
        link_rate     ///< a link `from` carries `gb_s` in the direction `to`, which is `ab` or `ba`
    };
    kind what = kind::delivery;
    std::string from, to;
    delivery proof = delivery::unproved;
    double gb_s = 0;
    std::string check; ///< the check that learned it, such as `P2P-02`

    friend bool operator==(const probe_result&, const probe_result&) = default;
};

/// As in JSON.
[[nodiscard]] constexpr const char* to_string(probe_result::kind what) noexcept {
    switch (what) {
    case probe_result::kind::delivery: return "delivery";
    case probe_result::kind::path_off: return "path_off";
    case probe_result::kind::nearest_node: return "nearest_node";
    case probe_result::kind::link_rate: return "link_rate";
    }
    return "delivery";
}

namespace detail::probes {

[[nodiscard]] inline node_index node_by_id(const machine& m, const std::string& id) {
    for (std::uint32_t n = 0; n < m.nodes.size(); ++n)
        if (m.nodes[n].id() == id) return node_index{n};
    return no_node;
}

/// Hangs the ports above GPUs from the package of the node that all GPUs below them are near to.
inline void follow_gpus(machine& m, const std::vector<node_index>& moved) {
    const auto above = [&](node_index n) {
        for (const link& each : m.links)
            if (each.kind == link_kind::pcie && each.b == n) return each.a;
        return no_node;
    };
    const auto top_of = [&](node_index n) { // the last one below a package
        for (node_index up = above(n); up != no_node && m.at(up).kind != node_kind::package; up = above(n)) n = up;
        return n;
    };
    for (const node_index gpu : moved) {
        const node_index top = top_of(gpu), memory = m.memory(m.at(gpu).numa);
        bool agreed = memory != no_node;
        for (std::uint32_t n = 0; n < m.nodes.size(); ++n)
            if (m.nodes[n].kind == node_kind::gpu && top_of(node_index{n}) == top)
                agreed = agreed && m.nodes[n].numa == m.at(gpu).numa;
        if (!agreed) continue;
        node_index package = no_node;
        for (const link& each : m.links)
            if (each.kind == link_kind::dram && each.a == memory) package = each.b;
        for (link& each : m.links)
            if (each.kind == link_kind::pcie && each.b == top && package != no_node) each.a = package;
        for (std::uint32_t n = 0; n < m.nodes.size(); ++n) { // its ports are there, too
            const bool port = m.nodes[n].kind == node_kind::root_port || m.nodes[n].kind == node_kind::pcie_switch;
            if (port && top_of(node_index{n}) == top) m.nodes[n].numa = m.at(gpu).numa;
        }
    }
}

} // namespace detail::probes

/// Changes the machine so that plans heed what was learned, each change with a note. A pair that failed, or that staging
/// beats, loses its direct path; a proved one may be used. A GPU moves to its NUMA node together with the ports above it, unless
/// other GPUs below them are elsewhere. Links get their rate, `measured`. What is not in the machine is noted and
/// changes nothing. Paths are derived again.
inline void apply_effects(std::span<const probe_result> learned, machine& m) {
    std::vector<node_index> moved;
    const auto by = [](const probe_result& each) { return " (" + each.check + ")"; };
    const auto note = [&](const std::string& object, std::string said) { // applied again it is said once
        for (const machine_note& each : m.notes)
            if (each.object == object && each.said == said) return;
        m.note(object, std::move(said));
    };
    for (const probe_result& each : learned) {
        const node_index from = detail::probes::node_by_id(m, each.from), to = detail::probes::node_by_id(m, each.to);
        const bool pair = from != no_node && to != no_node && from != to;
        const std::string names = each.from + "-" + each.to;
        bool heeded = false;
        switch (each.what) {
        case probe_result::kind::delivery:
            heeded = pair;
            if (!pair) break;
            m.set_delivery(from, to, each.proof != delivery::failed, each.proof);
            if (each.proof == delivery::failed)
                note(names, "copies do not arrive: the direct path is not used" + by(each));
            break;
        case probe_result::kind::path_off:
            heeded = pair;
            if (!pair) break;
            m.set_delivery(from, to, false, delivery::unproved);
            note(names, "the direct path is slower than staging through host memory and is not used" + by(each));
            break;
        case probe_result::kind::nearest_node:
            heeded = pair && m.at(from).kind == node_kind::gpu && m.at(to).kind == node_kind::memory;
            if (!heeded) break;
            m.nodes[from.value].numa = m.at(to).numa;
            moved.push_back(from);
            note(each.from, "measurement says that it is nearest to " + each.to + by(each));
            break;
        case probe_result::kind::link_rate:
            for (std::uint32_t l = 0; l < m.links.size(); ++l) {
                if (!(each.gb_s > 0) || m.id(link_index{l}) != each.from || (each.to != "ab" && each.to != "ba"))
                    continue;
                (each.to == "ba" ? m.links[l].gb_s_ba : m.links[l].gb_s_ab) = each.gb_s;
                m.links[l].source = evidence::measured;
                heeded = true;
            }
            if (heeded) note(each.from, "is priced at what copies reached over it, direction " + each.to + by(each));
            break;
        }
        if (!heeded) note(each.from, "a probe's result for it and " + each.to + " does not fit this machine: left out");
    }
    if (!moved.empty()) detail::probes::follow_gpus(m, moved);
    m.connect();
}

BARELINK_END_NAMESPACE
