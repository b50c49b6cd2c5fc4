// A picture of a plan: its routes as streams through the machine, and what they add up to.
#pragma once

#include <string>
#include <vector>

#include <barelink/report/detail/flow_layout.hpp>
#include <barelink/report/detail/machine_drawing.hpp>
#include <barelink/report/plan_text.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

class plan_drawing {
public:
    plan_drawing(const machine& m, const plan& p)
        : m_(m), plan_(p), tree_(m), layout_(m, tree_, sizes()), wires_(m, tree_, layout_),
          flows_(m, layout_, wires_, p,
                 p.routes.size() < 2   ? 12
                 : p.routes.size() < 4 ? 18
                                       : 24),
          drawing_(m, layout_, wires_, svg_) {}

    [[nodiscard]] std::string str() {
        const std::string title = to_string(plan_.asked.from) + " \u2192 " + to_string(plan_.asked.to) + ", " +
                                  format_bytes(plan_.asked.bytes);
        const std::string figures = fmt::format("{} on {}, {} of the bound", format_gb_s(plan_.predicted_gb_s()),
                                                m_.name, format_percent(part_of_bound()));
        drawing_.heading(title, figures + ", " + format_us(plan_.predicted_us));
        drawing_.cards();
        drawing_.hub();
        drawing_.wires("faded");
        bars();
        streams();
        boxes();
        loads();
        const double below = panel(layout_.bottom + 26);
        return svg_.document(layout_.width, below, title,
                             fmt::format("A plan of {} routes: {}.", plan_.routes.size(), figures), svg_style);
    }

private:
    [[nodiscard]] static layout_sizes sizes() {
        layout_sizes sizes;
        sizes.package_height = 54;
        sizes.package_text = 20;
        sizes.hub_height = 50;
        sizes.hub_text = 18;
        sizes.bare_gap = 20;
        return sizes;
    }
    [[nodiscard]] double part_of_bound() const noexcept {
        return plan_.bound_gb_s > 0 ? plan_.predicted_gb_s() / plan_.bound_gb_s : 0;
    }
    /// Streams run over it: it is painted below them.
    [[nodiscard]] bool below_streams(node_index n) const {
        return m_.at(n).kind == node_kind::package ||
               (m_.at(n).kind == node_kind::pcie_switch && flows_.turns_in[n.value]);
    }
    void box(node_index n) {
        if (!layout_.boxes[n.value].drawn || m_.at(n).kind == node_kind::nvswitch) return;
        if (!flows_.node_used[n.value]) svg_.open("dim");
        bool ends = false, passed = false;
        for (const route& r : plan_.routes) {
            ends |= r.from() == n || r.to() == n;
            for (std::size_t l = 1; l < r.leg_count; ++l) passed |= r.legs[l].from == n;
        }
        drawing_.box(n, ends ? "lit" : "", passed && !ends && m_.at(n).kind == node_kind::gpu ? "relay" : "");
        if (!flows_.node_used[n.value]) svg_.close();
    }
    void bars() {
        for (std::uint32_t n = 0; n < m_.nodes.size(); ++n)
            if (layout_.boxes[n].drawn && below_streams(node_index{n})) drawing_.frame(node_index{n});
    }
    void boxes() {
        for (std::uint32_t n = 0; n < m_.nodes.size(); ++n) {
            if (!layout_.boxes[n].drawn) continue;
            const layout_box& b = layout_.boxes[n];
            if (!below_streams(node_index{n}))
                box(node_index{n});
            else if (m_.nodes[n].kind == node_kind::package)
                drawing_.package_name(node_index{n});
            else if (flows_.turns_left[n])
                svg_.text(b.x + b.width - 8, b.centre() + 3.5, m_.nodes[n].id(), "end s m over");
            else
                svg_.text(b.x + 8, b.centre() + 3.5, m_.nodes[n].id(), "s m over");
        }
        drawing_.hub_names();
    }
    void streams();
    void loads();
    double panel(double y);
    double table(double x, double y, double right);
    double gauges(double x, double y, double right);

    const machine& m_;
    const plan& plan_;
    svg_writer svg_;
    host_tree tree_;
    machine_layout layout_;
    wire_layout wires_;
    flow_layout flows_;
    machine_drawing drawing_;
};

inline void plan_drawing::streams() {
    for (std::size_t r = 0; r < plan_.routes.size(); ++r) {
        const route& each = plan_.routes[r];
        svg_.open({}, fmt::format("{}: {}, {} of {}", way_text(m_, plan_, each), format_gb_s(each.gb_s),
                                  share_text(plan_, each.bytes), format_bytes(plan_.asked.bytes)));
        const double width = flows_.width_of(r);
        svg_.path(flows_.paths[r], "flow",
                  fmt::format("stroke=\"{}\" stroke-width=\"{:.2f}\"", route_colour(r), width));
        svg_.path(flows_.paths[r], "pulse", fmt::format("stroke-width=\"{:.2f}\"", std::min(2.2, width * 0.4)));
        svg_.close();
    }
    for (const flow_layout::arrow& a : flows_.arrows) {
        const double half = a.half_width + 4, long_side = std::clamp(0.6 * half, 8.0, 13.0),
                     back = a.down ? -long_side : long_side;
        const bool dark = a.shared || a.half_width > 5;
        svg_.path(fmt::format("M{} {}l{} {}h{}z", svg_number(a.tip.x), svg_number(a.tip.y), svg_number(-half),
                              svg_number(back), svg_number(2 * half)),
                  dark ? "tip" : "", dark ? std::string() : fmt::format("fill=\"{}\"", route_colour(a.route)));
    }
}

/// What every used link carries, of what it could; red where that is all of it.
inline void plan_drawing::loads() {
    for (std::uint32_t l = 0; l < m_.links.size(); ++l) {
        const layout_wire& wire = wires_.wires[l];
        if (!flows_.link_used[l] || !wire.labelled) continue;
        const link& each = m_.links[l];
        const bool from_a = wire.first == each.a;
        std::vector<std::string> lines;
        bool full = false;
        for (const bool onward : {true, false}) {
            const bool reverse = onward != from_a;
            const double load = flows_.link_load[link_direction{link_index{l}, reverse}.slot()];
            if (load <= 0) continue;
            full |= load > 0.998 * each.gb_s(reverse);
            lines.push_back(format_rate(load) + " / " + format_rate(each.gb_s(reverse)));
        }
        if (lines.size() == 2) {
            const bool flat = wire.shape != layout_wire::form::vertical;
            lines[0] = (flat ? "\u2192 " : "\u2193 ") + lines[0];
            lines[1] = (flat ? "\u2190 " : "\u2191 ") + lines[1];
        }
        drawing_.pill(wire.label, lines,
                      std::string(drawing_.on_card(wire.label) ? "pill-card" : "pill") + (full ? " pill-full" : ""),
                      full ? "b full" : "");
    }
}

inline double plan_drawing::panel(double y) {
    svg_.line({26, y}, {layout_.width - 26, y}, 1, "rule");
    y += 12;
    if (layout_.width < 1000) return gauges(26, table(26, y, layout_.width - 26) + 8, layout_.width - 26) + 12;
    const double split = std::min(26 + (layout_.width - 52) * 0.56, 640.0);
    return std::max(table(26, y, split - 14), gauges(split + 18, y, std::min(layout_.width - 26, split + 600))) + 12;
}

inline double plan_drawing::table(double x, double y, double right) {
    const double share = right - 150, family = share - 76;
    y += 16;
    svg_.text(x + 22, y, "route", "m s");
    svg_.text(family, y, "family", "m s");
    svg_.text(share, y, "share of bytes", "m s");
    svg_.text(right, y, "GB/s", "m s end");
    double largest = 1;
    for (const route& r : plan_.routes) largest = std::max(largest, static_cast<double>(r.bytes));
    for (std::size_t i = 0; i < plan_.routes.size(); ++i) {
        const route& r = plan_.routes[i];
        y += 21;
        const std::string colour = fmt::format("fill=\"{}\"", route_colour(i));
        std::string way = way_text(m_, plan_, r);
        for (std::size_t at = way.find("->"); at != std::string::npos; at = way.find("->"))
            way.replace(at, 2, "\u2192");
        svg_.rect(x, y - 9.5, 12, 12, 3, "", colour);
        svg_.text(x + 22, y, text_cut(way, family - x - 30, 11), "");
        svg_.text(family, y, r.family, "m s");
        svg_.rect(share, y - 8, std::max(1.0, 58 * static_cast<double>(r.bytes) / largest), 9, 2, "", colour);
        svg_.text(share + 104, y, share_text(plan_, r.bytes), "num s end");
        svg_.text(right, y, format_rate(r.gb_s), "num end b");
    }
    return y + 14;
}

inline double plan_drawing::gauges(double x, double y, double right) {
    struct gauge {
        std::string name;
        double gb_s;
        const char* fill;
    };
    std::vector<gauge> all{{"this plan", plan_.predicted_gb_s(), "fill-good"},
                           {"bound", plan_.bound_gb_s, "fill-soft"}};
    if (const auto plain = baseline_plan(m_, plan_.asked); plain && !same_ways(m_, *plain, plan_))
        all.push_back({plain->routes.front().leg_count > 1 ? "staged in host memory" : "direct path alone",
                       plain->predicted_gb_s(), "fill-soft"});
    double most = 0;
    for (const gauge& g : all) most = std::max(most, g.gb_s);
    const double bar = x + 140, room = right - bar - 82;
    y += 16;
    svg_.text(x, y, "GB/s, predicted", "m s");
    for (const gauge& g : all) {
        y += 21;
        svg_.text(x, y, g.name, g.name == "this plan" ? "b" : "");
        svg_.rect(bar, y - 9, room, 11, 3, "track");
        svg_.rect(bar, y - 9, std::max(1.0, most > 0 ? room * g.gb_s / most : 0), 11, 3, g.fill);
        svg_.text(right, y, format_gb_s(g.gb_s), g.name == "this plan" ? "num end b" : "num end");
    }
    y += 26;
    const std::vector<limit_chain> chains = chain_limits(m_, plan_);
    if (!chains.empty()) svg_.text(x, y, "What sets the bound", "m s");
    constexpr std::size_t most_chains = 8;
    for (std::size_t i = 0; i < chains.size() && i < most_chains; ++i) {
        y += 17;
        const bool cut = i + 1 == most_chains && chains.size() > most_chains;
        std::string said = cut ? fmt::format("and {} more", chains.size() - i) : to_string(m_, chains[i]);
        for (std::size_t at = said.find("->"); at != std::string::npos; at = said.find("->"))
            said.replace(at, 2, "\u2192");
        svg_.text(x, y, text_cut(said, right - x - 80, 11), "s");
        if (!cut) svg_.text(right, y, format_gb_s(chains[i].gb_s), "num s end full");
    }
    y += 20;
    svg_.text(x, y, std::string("Rates: ") + to_string(plan_.rests_on), "m s");
    return y + 10;
}

} // namespace detail

/// The plan as an SVG document: the machine faded, every route a stream in a colour of its own and as wide as its rate; below it
/// shares, the bound and what sets it. The streams move in viewers that animate, unless the viewer asks for less motion.
[[nodiscard]] inline std::string plan_svg(const machine& m, const plan& p) {
    return detail::plan_drawing(m, p).str();
}

BARELINK_END_NAMESPACE
