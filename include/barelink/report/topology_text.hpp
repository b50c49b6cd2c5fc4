// The machine as text: a tree of what hangs below what, every link with its rate and where that figure comes from.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <barelink/report/detail/host_tree.hpp>
#include <barelink/report/text_table.hpp>
#include <barelink/report/units.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

[[nodiscard]] inline std::string counted(std::size_t count, const char* one, const char* many) {
    return fmt::format("{} {}", count, count == 1 ? one : many);
}

/// `2 packages, 2 NUMA nodes, 8 GPUs on NVSwitch`.
[[nodiscard]] inline std::string machine_summary(const machine& m) {
    std::string said = counted(m.count(node_kind::package), "package", "packages") + ", " +
                       counted(m.count(node_kind::memory), "NUMA node", "NUMA nodes") + ", ";
    const std::size_t gpus = m.count(node_kind::gpu);
    said += gpus == 0 ? "no GPU" : counted(gpus, "GPU", "GPUs");
    if (m.count(node_kind::nvswitch) > 0) said += " on NVSwitch";
    if (m.count(node_kind::nic) > 0) said += ", " + counted(m.count(node_kind::nic), "NIC", "NICs");
    if (m.count(node_kind::disk) > 0) said += ", " + counted(m.count(node_kind::disk), "disk", "disks");
    if (m.virtualized) said += ", in a virtual machine";
    return said;
}

/// `all assumed`, or how many of each kind of evidence.
[[nodiscard]] inline std::string evidence_summary(const machine& m) {
    std::size_t count[3] = {};
    for (const link& each : m.links) ++count[static_cast<std::size_t>(each.source)];
    std::string said;
    for (const evidence e : {evidence::measured, evidence::read, evidence::assumed}) {
        const std::size_t found = count[static_cast<std::size_t>(e)];
        if (found == 0) continue;
        if (found == m.links.size()) return std::string("all ") + to_string(e);
        said += fmt::format("{}{} {}", said.empty() ? "" : ", ", found, to_string(e));
    }
    return said;
}

/// `gpu:0 to gpu:7` for a run, a list otherwise.
[[nodiscard]] inline std::string id_list(const machine& m, const std::vector<node_index>& nodes) {
    std::string said;
    for (std::size_t i = 0; i < nodes.size();) {
        std::size_t last = i;
        while (last + 1 < nodes.size() && m.at(nodes[last + 1]).kind == m.at(nodes[i]).kind &&
               m.at(nodes[last + 1]).index == m.at(nodes[last]).index + 1)
            ++last;
        said += (said.empty() ? "" : ", ") + m.at(nodes[i]).id();
        if (last > i) said += (last == i + 1 ? ", " : " to ") + m.at(nodes[last]).id();
        i = last + 1;
    }
    return said;
}

/// Model, size, and what is shared: the second column of the tree.
[[nodiscard]] inline std::string described(const machine& m, const host_tree& tree, node_index n) {
    const node& there = m.at(n);
    std::string said = there.name;
    const auto add = [&](const std::string& part) { said += (said.empty() ? "" : ", ") + part; };
    if (there.bytes > 0) add(format_bytes(there.bytes));
    if (there.kind == node_kind::gpu && !there.cuda) add("not driven by CUDA");
    const std::size_t sharers = tree.gpus_below(m, n);
    const bool joins = there.kind == node_kind::pcie_switch || there.kind == node_kind::root_port;
    if (joins && sharers > 1 && tree.at(n).below.size() > 1) add(fmt::format("{} GPUs share the link above", sharers));
    return said;
}

inline void tree_rows(const machine& m, const host_tree& tree, node_index n, const std::string& trunk,
                      const std::string& branch, text_table& table) {
    const node& there = m.at(n);
    std::vector<std::string> cells{
        branch + there.id(), described(m, tree, n),
        there.numa == unknown_numa || there.kind == node_kind::memory ? "" : std::to_string(there.numa.value),
        to_string(there.pci)};
    if (tree.at(n).link != no_link) {
        const link& above = m.at(link_index{tree.at(n).link});
        cells.insert(cells.end(), {to_string(above.kind), format_rate(m.gb_s(tree.down(m, n))),
                                   format_rate(m.gb_s(tree.up(m, n))), to_string(above.source)});
    }
    table.row(std::move(cells));
    std::vector<node_index> children = tree.at(n).memories;
    children.insert(children.end(), tree.at(n).below.begin(), tree.at(n).below.end());
    for (const node_index child : children) {
        const bool last = child == children.back();
        tree_rows(m, tree, child, trunk + (last ? "   " : "\u2502  "),
                  trunk + (last ? "\u2514\u2500 " : "\u251c\u2500 "), table);
    }
}

/// Links that are not in the tree, the alike in one row.
inline void joined_rows(const machine& m, const std::vector<std::uint32_t>& links, text_table& table) {
    std::vector<bool> told(m.links.size());
    for (const std::uint32_t l : links) {
        if (told[l]) continue;
        const link& first = m.links[l];
        const bool hub = m.at(first.b).kind == node_kind::nvswitch;
        std::vector<node_index> on_hub;
        std::string pairs;
        for (const std::uint32_t other : links) {
            const link& each = m.links[other];
            if (told[other] || each.kind != first.kind || each.gb_s_ab != first.gb_s_ab ||
                each.gb_s_ba != first.gb_s_ba || each.source != first.source ||
                (m.at(each.b).kind == node_kind::nvswitch) != hub)
                continue;
            told[other] = true;
            on_hub.push_back(each.a);
            pairs += (pairs.empty() ? "" : ", ") + m.at(each.a).id() + "-" + m.at(each.b).id();
        }
        table.row({to_string(first.kind), format_rate(first.gb_s_ab), format_rate(first.gb_s_ba),
                   to_string(first.source), hub ? id_list(m, on_hub) + ", each to the " + m.at(first.b).id() : pairs});
    }
}

} // namespace detail

/// The machine for people. Rates in GB/s; `down` is from the node above to the node, `up` the other way.
[[nodiscard]] inline std::string topology_text(const machine& m, text_style style = {}) {
    const detail::host_tree tree(m);
    std::string out = fmt::format("{}: {}\n", style.bold(m.name), detail::machine_summary(m));
    if (!m.links.empty()) out += style.dim(fmt::format("rates in GB/s, {}", detail::evidence_summary(m))) + "\n";
    out += '\n';

    text_table nodes("<<>< >>");
    nodes.row({"node", "what", "NUMA", "PCI", "link above", "down", "up", "evidence"});
    for (const node_index root : tree.roots) detail::tree_rows(m, tree, root, "", "", nodes);
    out += nodes.str("  ", style);

    text_table joins("<>><<");
    joins.row({"link", "there", "back", "evidence", "between"});
    detail::joined_rows(m, tree.cpu_links, joins);
    detail::joined_rows(m, tree.other_links, joins);
    detail::joined_rows(m, tree.nvlinks, joins);
    if (!tree.cpu_links.empty() || !tree.other_links.empty() || !tree.nvlinks.empty())
        out += '\n' + joins.str("  ", style);

    if (!m.notes.empty()) out += "\n  " + style.bold("notes") + '\n';
    for (const machine_note& note : m.notes) out += fmt::format("  {}: {}\n", note.object, note.said);
    return out;
}

BARELINK_END_NAMESPACE
