// Where every link of a machine lies in a picture. Private to the report layer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <barelink/report/detail/machine_layout.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class wire_layout {
public:
    wire_layout(const machine& m, const host_tree& tree, const machine_layout& layout)
        : wires(m.links.size()), m_(m), tree_(tree), layout_(layout) {
        place_links();
        place_curves();
    }

    std::vector<layout_wire> wires;     ///< per link
    std::size_t cpu_links_left_out = 0; ///< too many to draw

private:
    void place_links();
    void place_cpu_link(std::uint32_t l);
    void place_curves();

    const machine& m_;
    const host_tree& tree_;
    const machine_layout& layout_;
};

inline void wire_layout::place_links() {
    for (std::uint32_t n = 0; n < m_.nodes.size(); ++n) {
        const host_tree::place& place = tree_.places[n];
        if (place.link == no_link || !layout_.boxes[n].drawn || !layout_.boxes[place.above.value].drawn) continue;
        const layout_box &box = layout_.boxes[n], &above = layout_.boxes[place.above.value];
        layout_wire& wire = wires[place.link];
        wire.shape = layout_wire::form::vertical;
        const bool memory = m_.nodes[n].kind == node_kind::memory;
        wire.first = memory ? node_index{n} : place.above;
        wire.points[0] = {box.middle(), memory ? box.bottom() : above.bottom()};
        wire.points[1] = {box.middle(), memory ? above.y : box.y};
        wire.labelled = memory || layout_.says_rate(node_index{n});
        wire.label = {box.middle(), memory ? (box.bottom() + above.y) / 2 : box.y - layout_.sizes().link_gap / 2};
    }
    for (const std::uint32_t l : tree_.other_links) {
        const link& each = m_.links[l];
        const bool a_above = layout_.boxes[each.a.value].y <= layout_.boxes[each.b.value].y;
        const node_index top = a_above ? each.a : each.b, end = a_above ? each.b : each.a;
        if (!layout_.boxes[top.value].drawn || !layout_.boxes[end.value].drawn || top == end) continue;
        const layout_box &upper = layout_.boxes[top.value], &lower = layout_.boxes[end.value];
        const double x = std::clamp(lower.middle() + 0.4 * lower.width, upper.x + 6, upper.x + upper.width - 6);
        wires[l].shape = layout_wire::form::vertical;
        wires[l].first = top;
        wires[l].points[0] = {x, upper.bottom()};
        wires[l].points[1] = {lower.middle() + 0.4 * lower.width, lower.y};
        wires[l].label = {x, lower.y - layout_.sizes().link_gap / 2};
        wires[l].labelled = true;
    }
    for (const std::uint32_t l : tree_.cpu_links) place_cpu_link(l);
    for (const std::uint32_t l : tree_.cpu_links) cpu_links_left_out += wires[l].shape == layout_wire::form::none;
    const node_index hub = layout_.hub();
    for (const std::uint32_t l : tree_.nvlinks) {
        const link& each = m_.links[l];
        const node_index gpu = each.a == hub ? each.b : each.a;
        if (hub == no_node || (each.a != hub && each.b != hub) || !layout_.boxes[gpu.value].drawn) continue;
        const layout_box &box = layout_.boxes[gpu.value], &bar = layout_.hub_bars[layout_.row_of(gpu)];
        layout_wire& wire = wires[l];
        wire.shape = layout_wire::form::vertical;
        wire.first = gpu;
        wire.points[0] = {box.middle(), box.bottom()};
        wire.points[1] = {box.middle(), bar.y};
        wire.label = {box.middle(), bar.y - (layout_.sizes().hub_gap - layout_.sizes().pad) / 2 - 1};
        wire.labelled = true;
    }
}

inline void wire_layout::place_cpu_link(std::uint32_t l) {
    const link& each = m_.links[l];
    const std::size_t from = layout_.card_of(each.a), to = layout_.card_of(each.b);
    if (from >= layout_.cards.size() || to >= layout_.cards.size() || from == to) return;
    const node_index left = from < to ? each.a : each.b, right = from < to ? each.b : each.a;
    const layout_box &a = layout_.boxes[left.value], &b = layout_.boxes[right.value];
    layout_wire& wire = wires[l];
    wire.first = left;
    wire.labelled = true;
    if (std::max(from, to) - std::min(from, to) == 1 && a.y == b.y) {
        wire.shape = layout_wire::form::horizontal;
        wire.points[0] = {a.x + a.width, layout_.package_lane(left)};
        wire.points[1] = {b.x, layout_.package_lane(right)};
        wire.label = {(a.x + a.width + b.x) / 2, layout_.package_lane(left)};
        return;
    }
    if (tree_.cpu_links.size() > machine_layout::most_cpu_links) {
        wire.labelled = false;
        return;
    }
    wire.shape = layout_wire::form::curve;
    const layout_box &card = layout_.cards[std::min(from, to)], &other = layout_.cards[std::max(from, to)];
    if (card.y != other.y) { // on different lines: along the left edge
        const double edge = std::min(a.x, b.x) - 36;
        wire.points[0] = {a.x, a.centre()};
        wire.points[1] = {edge, a.centre() + 40};
        wire.points[2] = {edge, b.centre() - 40};
        wire.points[3] = {b.x, b.centre()};
        wire.label = {std::max(a.x - 12, 42.0), card.bottom() + 12};
        return;
    }
    const double distance = layout_.card_distance(each), height = 1.333 * (2 + 22 * distance);
    const double spread = 7 * distance;
    wire.points[0] = {card.middle() + card.width * 0.2 - spread, card.y};
    wire.points[3] = {other.middle() - other.width * 0.2 + spread, other.y};
    wire.points[1] = {wire.points[0].x, card.y - height};
    wire.points[2] = {wire.points[3].x, other.y - height};
    wire.label = {(wire.points[0].x + wire.points[3].x) / 2, std::min(card.y, other.y) - 0.75 * height};
}

/// Curves leave a GPU in the order of their other ends, so that those of one GPU do not cross each other.
inline void wire_layout::place_curves() {
    struct end {
        std::uint32_t link;
        double other, own;
    };
    std::vector<std::vector<end>> ends(m_.nodes.size());
    for (const std::uint32_t l : tree_.nvlinks) {
        const link& each = m_.links[l];
        if (!layout_.joins_pair(each) || !layout_.boxes[each.a.value].drawn || !layout_.boxes[each.b.value].drawn)
            continue;
        const double a = layout_.boxes[each.a.value].middle(), b = layout_.boxes[each.b.value].middle();
        ends[each.a.value].push_back({l, b, a});
        ends[each.b.value].push_back({l, a, b});
        layout_wire& wire = wires[l];
        wire.shape = layout_wire::form::curve;
        wire.first = a <= b ? each.a : each.b;
        wire.labelled = true;
    }
    for (std::uint32_t n = 0; n < m_.nodes.size(); ++n) {
        auto& mine = ends[n];
        const auto place = [](const end& e) {
            return e.other < e.own ? -1 / (e.own - e.other) : 1 / (e.other - e.own);
        };
        std::sort(mine.begin(), mine.end(), [&](const end& a, const end& b) { return place(a) < place(b); });
        for (std::size_t i = 0; i < mine.size(); ++i) {
            const double count = static_cast<double>(mine.size());
            const double step = std::min(15.0, (layout_.boxes[n].width - 16) / std::max(1.0, count - 1));
            const double x = layout_.boxes[n].middle() + step * (static_cast<double>(i) - (count - 1) / 2);
            layout_wire& wire = wires[mine[i].link];
            const bool starts = wire.first == node_index{n};
            wire.points[starts ? 0 : 3] = {x, layout_.boxes[n].bottom()};
            wire.points[starts ? 1 : 2] = {x, layout_.boxes[n].bottom() + 4.0 / 3 * layout_.hanging[mine[i].link]};
        }
    }
    for (const std::uint32_t l : tree_.nvlinks)
        if (wires[l].shape == layout_wire::form::curve)
            wires[l].label = {
                (wires[l].points[0].x + wires[l].points[3].x) / 2,
                (wires[l].points[0].y + 3 * wires[l].points[1].y + 3 * wires[l].points[2].y + wires[l].points[3].y) /
                    8};
}

} // namespace detail
BARELINK_END_NAMESPACE
