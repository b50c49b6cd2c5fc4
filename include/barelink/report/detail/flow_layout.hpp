// The routes of a plan as streams through a laid-out machine: as wide as their rates, side by side where they share a link,
// turning within bars. Private to the report layer.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <barelink/plan/plan.hpp>
#include <barelink/report/detail/wire_layout.hpp>
#include <barelink/report/limits.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class flow_layout {
public:
    /// `pixels` is the width of all routes together.
    flow_layout(const machine& m, const machine_layout& layout, const wire_layout& wires, const plan& p, double pixels)
        : link_load(2 * m.links.size()), link_used(m.links.size()), node_used(m.nodes.size()), turns_in(m.nodes.size()),
          turns_left(m.nodes.size()), m_(m), layout_(layout), wires_(wires), plan_(p) {
        double total = 0;
        for (const route& r : p.routes) total += r.gb_s;
        scale_ = total > 0 ? pixels / total : 0;
        collect_hops();
        collect_turns();
        stack_on_wires();
        stack_in_bars();
        for (std::size_t r = 0; r < p.routes.size(); ++r) draw(r);
    }

    struct arrow {
        svg_point tip;
        double half_width;
        bool down;
        std::size_t route;
        bool shared; ///< by several routes
    };
    std::vector<std::string> paths; ///< per route, SVG path commands
    std::vector<arrow> arrows;      ///< where legs end
    std::vector<double> link_load;  ///< per link direction slot, GB/s
    std::vector<bool> link_used, node_used;
    std::vector<bool> turns_in, turns_left; ///< a stream turns in this node, to or from the left half of its bar

    [[nodiscard]] double width_of(std::size_t route) const noexcept {
        return std::max(1.4, plan_.routes[route].gb_s * scale_);
    }

private:
    struct hop {
        link_direction over;
        node_index from, to;
        bool ends_leg = false;
        double x = 0; ///< of the stream on a vertical wire
    };
    /// A stream's way from one wire to another inside a bar.
    struct turn {
        std::size_t route, out_of, into; ///< hops
        double key, lane = 0;
        std::uint64_t bar;
    };

    [[nodiscard]] const layout_wire& wire(const hop& h) const noexcept { return wires_.wires[h.over.link.value]; }
    [[nodiscard]] bool vertical(const hop& h) const noexcept { return wire(h).shape == layout_wire::form::vertical; }
    [[nodiscard]] bool sideways(const hop& h) const noexcept { return wire(h).shape == layout_wire::form::horizontal; }
    /// Is the hop's end at this node the lower end of its wire?
    [[nodiscard]] bool hangs_above(const hop& h, node_index at) const noexcept { return wire(h).first != at; }

    void collect_hops() {
        hops_.resize(plan_.routes.size());
        for (std::size_t r = 0; r < plan_.routes.size(); ++r)
            for (const leg& l : plan_.routes[r].path()) {
                for (const link_direction d : plan_.hops_of(l)) {
                    link_load[d.slot()] += plan_.routes[r].gb_s;
                    link_used[d.link.value] = true;
                    const hop h{d, tail_of(m_, d), head_of(m_, d)};
                    node_used[h.from.value] = node_used[h.to.value] = true;
                    if (wire(h).shape == layout_wire::form::none) continue;
                    hops_[r].push_back(h);
                }
                if (!hops_[r].empty()) hops_[r].back().ends_leg = true;
            }
    }

    void collect_turns() {
        for (std::size_t r = 0; r < hops_.size(); ++r) {
            const auto& hops = hops_[r];
            for (std::size_t i = 0; i + 1 < hops.size(); ++i) {
                std::size_t j = i + 1;
                while (j + 1 < hops.size() && sideways(hops[j])) ++j;
                if (!vertical(hops[i]) || !vertical(hops[j])) continue;
                const double from = wire(hops[i]).points[0].x, to = wire(hops[j]).points[0].x;
                if (j == i + 1 && std::abs(from - to) < 0.5) continue;
                const node_index at = hops[i].to;
                const bool package = m_.at(at).kind == node_kind::package;
                // From above and back up: the farther, the deeper. Otherwise the farther, the higher.
                const bool bowl = hangs_above(hops[i], at) && hangs_above(hops[j], hops[j].from);
                const double distance = std::abs(from - to);
                const std::uint64_t bar =
                    package ? (1ull << 40) + static_cast<std::uint64_t>(layout_.boxes[at.value].y * 10) : at.value;
                turns_.push_back({r, i, j, bowl ? distance : -distance, 0, bar});
                for (std::size_t h = i; h < j; ++h) turns_in[hops[h].to.value] = true;
                if (std::min(from, to) < layout_.boxes[at.value].middle() - 1) turns_left[at.value] = true;
            }
        }
    }

    /// Order of streams on a wire, from left to right, so that they leave it without crossing.
    [[nodiscard]] double order_of(std::size_t r, std::size_t h) const {
        const double own = wire(hops_[r][h]).points[0].x;
        double key = own, lower_end = 0;
        for (const turn& t : turns_) {
            if (t.route != r || (t.out_of != h && t.into != h)) continue;
            const hop& mine = hops_[r][h];
            const hop& other = hops_[r][t.out_of == h ? t.into : t.out_of];
            const node_index here = t.out_of == h ? mine.to : mine.from;
            const node_index there = t.out_of == h ? other.from : other.to;
            const bool above = hangs_above(mine, here);
            if (lower_end > 0 && !above) continue;
            lower_end = above ? 1 : 0;
            const double x = wire(other).points[0].x;
            constexpr double far = 1e6;
            key = above != hangs_above(other, there) ? x : x < own ? -far - x : far - x;
        }
        return key;
    }

    void stack_on_wires() {
        struct strand {
            std::size_t route, hop;
            double key;
        };
        std::map<std::uint32_t, std::vector<strand>> wires;
        for (std::size_t r = 0; r < hops_.size(); ++r)
            for (std::size_t h = 0; h < hops_[r].size(); ++h)
                wires[hops_[r][h].over.link.value].push_back({r, h, order_of(r, h)});
        for (auto& [link, strands] : wires) {
            std::stable_sort(strands.begin(), strands.end(),
                             [](const strand& a, const strand& b) { return a.key < b.key; });
            double sum = 0;
            for (const strand& s : strands) sum += width_of(s.route);
            double at = wires_.wires[link].points[0].x - sum / 2;
            std::map<bool, arrow> ends;
            for (const strand& s : strands) {
                hop& h = hops_[s.route][s.hop];
                const double width = width_of(s.route);
                h.x = at + width / 2;
                if (h.ends_leg && !vertical(h)) {
                    const bool starts = wires_.wires[link].first == h.to;
                    arrows.push_back({bent(wires_.wires[link], h.x)[starts ? 0 : 3], width / 2, false, s.route, false});
                } else if (h.ends_leg) {
                    const bool down = h.from == wires_.wires[link].first;
                    const auto [end, fresh] = ends.try_emplace(down, arrow{{h.x, 0}, width / 2, down, s.route, false});
                    arrow& a = end->second;
                    if (!fresh) {
                        const double left = std::min(a.tip.x - a.half_width, h.x - width / 2);
                        const double right = std::max(a.tip.x + a.half_width, h.x + width / 2);
                        a.tip.x = (left + right) / 2;
                        a.half_width = (right - left) / 2;
                        a.shared |= a.route != s.route;
                    }
                    a.tip.y = wires_.wires[link].points[down ? 1 : 0].y;
                }
                at += width;
            }
            for (const auto& [down, a] : ends) arrows.push_back(a);
        }
    }

    void stack_in_bars() {
        std::map<std::uint64_t, std::vector<std::size_t>> bars;
        for (std::size_t t = 0; t < turns_.size(); ++t) bars[turns_[t].bar].push_back(t);
        for (auto& [bar, members] : bars) {
            std::stable_sort(members.begin(), members.end(),
                             [&](std::size_t a, std::size_t b) { return turns_[a].key < turns_[b].key; });
            double sum = 0;
            for (const std::size_t t : members) sum += width_of(turns_[t].route);
            double at = -sum / 2;
            for (const std::size_t t : members) {
                turns_[t].lane = at + width_of(turns_[t].route) / 2;
                at += width_of(turns_[t].route);
            }
        }
    }

    [[nodiscard]] double lane_of(node_index at, std::uint32_t row) const noexcept {
        if (m_.at(at).kind == node_kind::nvswitch) return layout_.hub_lane(row);
        return m_.at(at).kind == node_kind::package ? layout_.package_lane(at) : layout_.boxes[at.value].centre();
    }

    /// A curve's points for the stream that starts at x: inner streams hang less deep.
    struct bend {
        svg_point points[4];
        const svg_point& operator[](std::size_t i) const noexcept { return points[i]; }
    };
    [[nodiscard]] static bend bent(const layout_wire& w, double x) noexcept {
        const double inwards = x - w.points[0].x, deep = (w.points[1].y > w.points[0].y ? -4.0 : 4.0) / 3 * inwards;
        const double last = w.points[3].x - inwards;
        if (std::abs(w.points[0].x - w.points[1].x) > 0.5)
            return {{w.points[0], w.points[1], w.points[2], w.points[3]}};
        return {{{x, w.points[0].y}, {x, w.points[1].y + deep}, {last, w.points[2].y + deep}, {last, w.points[3].y}}};
    }

    void draw(std::size_t r);
    std::string curve(const hop& h) const;

    const machine& m_;
    const machine_layout& layout_;
    const wire_layout& wires_;
    const plan& plan_;
    double scale_ = 0;
    std::vector<std::vector<hop>> hops_;
    std::vector<turn> turns_;
};

inline std::string flow_layout::curve(const hop& h) const {
    const bend along = bent(wire(h), h.x);
    svg_point p[4];
    for (std::size_t i = 0; i < 4; ++i) p[i] = along[wire(h).first == h.from ? i : 3 - i];
    return fmt::format("M{} {}C{} {} {} {} {} {}", svg_number(p[0].x), svg_number(p[0].y), svg_number(p[1].x),
                       svg_number(p[1].y), svg_number(p[2].x), svg_number(p[2].y), svg_number(p[3].x),
                       svg_number(p[3].y));
}

inline void flow_layout::draw(std::size_t r) {
    const auto& hops = hops_[r];
    std::string commands;
    std::vector<svg_point> points;
    const auto flush = [&] {
        commands += rounded_line(points, 7);
        points.clear();
    };
    const auto end_of = [&](const hop& h, bool entry) {
        const node_index at = entry ? h.from : h.to;
        const layout_wire& w = wire(h);
        return w.shape == layout_wire::form::curve ? bent(w, h.x)[w.first == at ? 0 : 3]
                                                   : svg_point{h.x, w.points[w.first == at ? 0 : 1].y};
    };
    for (std::size_t i = 0; i < hops.size(); ++i) {
        const hop& h = hops[i];
        if (sideways(h)) continue;
        if (i == 0) points.push_back({end_of(h, true).x, layout_.boxes[h.from.value].centre()});
        points.push_back(end_of(h, true));
        if (wire(h).shape == layout_wire::form::curve) {
            flush();
            commands += curve(h);
        }
        points.push_back(end_of(h, false));
        std::size_t next = i + 1;
        while (next < hops.size() && sideways(hops[next])) ++next;
        if (next == hops.size()) {
            points.push_back({points.back().x, layout_.boxes[h.to.value].centre()});
            break;
        }
        double lane = layout_.boxes[h.to.value].centre(), other_lane = lane;
        for (const turn& t : turns_) {
            if (t.route != r || t.out_of != i || t.into != next) continue;
            const std::uint32_t row = layout_.row_of(h.from), other_row = layout_.row_of(hops[next].to);
            lane = lane_of(h.to, row) + t.lane;
            other_lane = lane_of(hops[next].from, other_row) + t.lane;
        }
        const double x = points.back().x, other_x = end_of(hops[next], true).x;
        points.push_back({x, lane});
        if (std::abs(lane - other_lane) > 0.5) { // the NVSwitch of two lines of packages
            const double spine = layout_.spine.middle();
            points.push_back({spine, lane});
            points.push_back({spine, other_lane});
        }
        points.push_back({other_x, other_lane});
    }
    flush();
    paths.push_back(commands);
}

} // namespace detail
BARELINK_END_NAMESPACE
