// A broadcast's plan for people: its trees, what it predicts, what limits it, and what every GPU for itself would take.
#pragma once

#include <algorithm>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include <barelink/plan/broadcast_plan.hpp>
#include <barelink/report/plan_text.hpp>

BARELINK_BEGIN_NAMESPACE

/// The GPUs that the bytes are for, in the machine's order.
[[nodiscard]] inline std::vector<node_index> receivers_of(const machine& m, const broadcast_plan& p) {
    std::vector<node_index> all;
    for (const node_index n : m.all(node_kind::gpu)) {
        const gpu_id id{m.at(n).index};
        if (m.at(n).cuda && p.asked.to.contains(id) && p.asked.from != endpoint::gpu(id)) all.push_back(n);
    }
    return all;
}

namespace detail {

/// `six`; digits above twelve.
[[nodiscard]] inline std::string count_text(std::size_t count) {
    constexpr const char* words[] = {"no",    "one",   "two",  "three", "four",   "five",  "six",
                                     "seven", "eight", "nine", "ten",   "eleven", "twelve"};
    return count < std::size(words) ? words[count] : std::to_string(count);
}

/// `gpu:0 to gpu:7`, `gpu:0, gpu:2`.
[[nodiscard]] inline std::string receivers_text(const machine& m, const broadcast_plan& p) {
    const std::vector<node_index> all = receivers_of(m, p);
    std::string listed;
    bool in_a_row = all.size() > 2;
    for (std::size_t i = 0; i < all.size(); ++i) {
        listed += (i > 0 ? ", " : "") + m.at(all[i]).id();
        in_a_row &= i == 0 || m.at(all[i]).index == m.at(all[i - 1]).index + 1;
    }
    return in_a_row ? m.at(all.front()).id() + " to " + m.at(all.back()).id() : listed;
}

/// The whole of a tree below one of its memories: ` -> gpu:0 -> {gpu:1, gpu:2 -> gpu:3}`.
[[nodiscard]] inline std::string branches_text(const machine& m, std::span<const tree_arc> arcs, std::int32_t parent) {
    std::vector<std::string> children;
    for (std::size_t a = 0; a < arcs.size(); ++a)
        if (arcs[a].parent == parent)
            children.push_back(m.at(arcs[a].to).id() + branches_text(m, arcs, static_cast<std::int32_t>(a)));
    if (children.empty()) return {};
    std::string said;
    for (const std::string& child : children) said += (said.empty() ? "" : ", ") + child;
    return " -> " + (children.size() > 1 ? "{" + said + "}" : said);
}

/// Whether the whole of it can be read in a table: short, and no memory hands on to more than four.
[[nodiscard]] inline bool is_readable(const std::string& whole, std::span<const tree_arc> arcs) {
    constexpr std::size_t longest = 68, widest = 4;
    for (std::int32_t parent = -1; parent < static_cast<std::int32_t>(arcs.size()); ++parent) {
        const auto children =
            std::count_if(arcs.begin(), arcs.end(), [&](const tree_arc& a) { return a.parent == parent; });
        if (static_cast<std::size_t>(children) > widest) return false;
    }
    return whole.size() <= longest;
}

/// The beginning of a tree as long as it does not branch, at most two copies of it; then how many memories follow, and how.
[[nodiscard]] inline std::string shortened_way(const machine& m, std::span<const tree_arc> arcs, std::uint32_t levels) {
    std::string said = m.at(arcs.front().from).id();
    std::int32_t at = -1;
    std::size_t shown = 0;
    for (; shown < 2; ++shown) {
        std::size_t children = 0, only = 0;
        for (std::size_t a = 0; a < arcs.size(); ++a)
            if (arcs[a].parent == at) ++children, only = a;
        if (children != 1) break;
        said += " -> " + m.at(arcs[only].to).id();
        at = static_cast<std::int32_t>(only);
    }
    const std::size_t steps = levels - shown;
    std::size_t rest = 0;
    for (const tree_arc& a : arcs.subspan(shown)) rest += !a.ring;
    said += shown > 0 && !arcs.front().ring ? " -> the other " : " -> ";
    said += count_text(rest);
    if (steps == arcs.size() - shown) return said + " in a row";
    return said + (steps == 1 ? " side by side" : " in " + count_text(steps) + " steps");
}

} // namespace detail

/// `numa:0 -> gpu:0 -> {gpu:1, gpu:2 -> gpu:3}`; a long one by its beginning: `numa:0 -> gpu:0 -> gpu:1 -> the other six in a
/// row`.
[[nodiscard]] inline std::string way_text(const machine& m, const broadcast_plan& p, const tree& t) {
    const auto arcs = p.arcs_of(t);
    if (arcs.empty()) return {};
    const std::string whole = m.at(arcs.front().from).id() + detail::branches_text(m, arcs, -1);
    return detail::is_readable(whole, arcs) ? whole : detail::shortened_way(m, arcs, t.levels);
}

namespace detail {

[[nodiscard]] inline std::string trees_table(const machine& m, const broadcast_plan& p, text_style style) {
    text_table table("><>><>");
    table.row({"#", "way", "bytes", "share", "chunks", "GB/s"});
    for (std::size_t i = 0; i < p.trees.size(); ++i) {
        const tree& t = p.trees[i];
        table.row({std::to_string(i + 1), way_text(m, p, t), format_bytes(t.bytes), share_text(p, t.bytes),
                   t.levels < 2 || t.chunk_bytes >= t.bytes
                       ? "one copy"
                       : fmt::format("{} x {}", divide_up(t.bytes, t.chunk_bytes), format_bytes(t.chunk_bytes)),
                   format_rate(t.gb_s)});
    }
    return table.str("  ", style);
}

/// Every GPU copying for itself, against the plan.
[[nodiscard]] inline std::string comparison_text(const machine& m, const broadcast_plan& p) {
    const bool plain = std::all_of(p.trees.begin(), p.trees.end(), [](const tree& t) { return t.levels < 2; });
    if (plain) return "this is every GPU pulling for itself";
    const auto alone = own_pulls_us(m, p.asked);
    if (!alone) return "some GPU cannot pull for itself";
    return fmt::format("every GPU pulling for itself takes {}, {}: the plan is {} times as fast", format_us(*alone),
                       format_gb_s(rate_gb_s(static_cast<double>(p.asked.bytes), *alone)),
                       format_rate(*alone / p.predicted_us));
}

} // namespace detail

/// The plan as text: several lines, the last one ended. Rates in GB/s that every GPU receives; a tree's `chunks` flow down it one
/// after the other.
[[nodiscard]] inline std::string plan_text(const machine& m, const broadcast_plan& p, text_style style = {}) {
    std::string out = fmt::format("{}, {} each on {}\n\n",
                                  style.bold(to_string(p.asked.from) + " -> " + detail::receivers_text(m, p)),
                                  format_bytes(p.asked.bytes), m.name);
    out += detail::trees_table(m, p, style) + '\n';
    out += detail::figures_text(m, p, style);
    out += fmt::format("  {}   {}\n", style.bold("compared"), detail::comparison_text(m, p));
    out += fmt::format("  {}   {}\n", style.bold("evidence"), detail::evidence_text(p.rests_on));
    return out;
}

BARELINK_END_NAMESPACE
