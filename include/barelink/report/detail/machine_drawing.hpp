// Draws a laid-out machine: cards, boxes, wires as wide as they are fast, labels, legend. Private to the report layer.
#pragma once

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include <barelink/report/detail/svg_theme.hpp>
#include <barelink/report/detail/wire_layout.hpp>
#include <barelink/report/topology_text.hpp>
#include <barelink/report/units.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Pixels for one direction: the square root of the rate, so that 25 and 800 GB/s fit into one picture. The legend says so.
[[nodiscard]] inline double lane_pixels(double gb_s) noexcept {
    return std::max(1.0, 0.42 * std::sqrt(std::max(0.0, gb_s)));
}

/// `NVIDIA H100 80GB HBM3` -> `H100 80GB HBM3`: the maker is known.
[[nodiscard]] inline std::string short_name(std::string name) {
    for (const std::string_view prefix : {"NVIDIA ", "Tesla ", "GeForce ", "AMD ", "Intel(R) ", "Intel Corporation "})
        if (name.rfind(prefix, 0) == 0) name.erase(0, prefix.size());
    for (const std::string_view noise : {"(R)", "(TM)", " Processor", " CPU"})
        for (std::size_t at = name.find(noise); at != std::string::npos; at = name.find(noise))
            name.erase(at, noise.size());
    return name;
}

class machine_drawing {
public:
    machine_drawing(const machine& m, const machine_layout& layout, const wire_layout& wires, svg_writer& svg)
        : m_(m), layout_(layout), wires_(wires), svg_(svg) {}

    void heading(const std::string& title, const std::string& subtitle) {
        svg_.text(26, 36, title, "h1");
        svg_.text(26, 56, subtitle, "h2");
    }
    void cards() {
        for (const layout_box& card : layout_.cards) svg_.rect(card.x, card.y, card.width, card.height, 10, "card");
    }
    void hub() {
        for (const layout_box& bar : layout_.hub_bars) svg_.rect(bar.x, bar.y, bar.width, bar.height, 8, "hub");
        if (!layout_.spine.drawn) return;
        const layout_box& spine = layout_.spine;
        svg_.rect(spine.x, spine.y, spine.width, spine.height, 8, "hub");
    }
    void hub_names() {
        for (const layout_box& bar : layout_.hub_bars)
            svg_.text(bar.x + 12, layout_.sizes().hub_text > 0 ? bar.bottom() - 7 : bar.centre() + 4, "nvswitch", "b");
    }
    void wires(std::string_view group = {}) {
        svg_.open(group);
        for (std::uint32_t l = 0; l < m_.links.size(); ++l) wire(l);
        svg_.close();
    }
    void boxes() {
        for (std::uint32_t n = 0; n < m_.nodes.size(); ++n)
            if (layout_.boxes[n].drawn && m_.nodes[n].kind != node_kind::nvswitch) box(node_index{n});
    }
    void labels() {
        for (std::uint32_t l = 0; l < m_.links.size(); ++l)
            if (wires_.wires[l].labelled) rate_label(l);
    }
    /// A label of one or two lines, centred on a point, on an opaque ground.
    void pill(svg_point at, const std::vector<std::string>& lines, const std::string& ground, const std::string& ink) {
        double wide = 0;
        for (const std::string& line : lines) wide = std::max(wide, text_pixels(line, 10));
        const double high = 13 * static_cast<double>(lines.size()) + 1;
        svg_.rect(at.x - wide / 2 - 4, at.y - high / 2, wide + 8, high, 5, ground);
        for (std::size_t i = 0; i < lines.size(); ++i)
            svg_.text(at.x, at.y - high / 2 + 10.5 + 13 * static_cast<double>(i), lines[i], "mid num s " + ink);
    }
    [[nodiscard]] bool on_card(svg_point at) const {
        for (const layout_box& card : layout_.cards)
            if (at.x >= card.x && at.x <= card.x + card.width && at.y >= card.y && at.y <= card.bottom()) return true;
        return false;
    }
    double legend(double y);
    void box(node_index n, const std::string& extra_class = {}, const std::string& third_line = {});
    /// The frame without its text, for bars that streams run over, and the text for later.
    void frame(node_index n);
    void package_name(node_index n);

private:
    void wire(std::uint32_t l);
    void rate_label(std::uint32_t l);

    const machine& m_;
    const machine_layout& layout_;
    const wire_layout& wires_;
    svg_writer& svg_;
};

/// Two strokes side by side, one for each direction: traffic keeps to the right of the way it goes.
inline void machine_drawing::wire(std::uint32_t l) {
    const layout_wire& w = wires_.wires[l];
    if (w.shape == layout_wire::form::none) return;
    const link& each = m_.links[l];
    const bool from_a = w.first == each.a;
    const double onward = lane_pixels(each.gb_s(!from_a)), back = lane_pixels(each.gb_s(from_a)), gap = 1.6;
    const std::string name = link_class(each.kind);
    svg_.open({}, fmt::format("{}: {} {}, {} back, {}", m_.id(link_index{l}), format_rate(each.gb_s_ab), "GB/s",
                              format_rate(each.gb_s_ba), to_string(each.source)));
    if (w.shape == layout_wire::form::curve) {
        const auto& p = w.points;
        const std::string d = fmt::format("M{} {}C{} {} {} {} {} {}", svg_number(p[0].x), svg_number(p[0].y),
                                          svg_number(p[1].x), svg_number(p[1].y), svg_number(p[2].x),
                                          svg_number(p[2].y), svg_number(p[3].x), svg_number(p[3].y));
        svg_.path(d, name, fmt::format("stroke-width=\"{:.2f}\"", onward + back + gap));
        svg_.path(d, "gap-bg", fmt::format("stroke-width=\"{:.2f}\"", gap));
    } else {
        // To the right of the direction of travel: downwards that is the left of the picture.
        const double dx = w.points[1].x - w.points[0].x, dy = w.points[1].y - w.points[0].y;
        const double length = std::max(1e-9, std::hypot(dx, dy)), nx = -dy / length, ny = dx / length;
        const double ahead = (gap + onward) / 2 - (onward - back) / 2, behind = (gap + back) / 2 + (onward - back) / 2;
        const auto shifted = [&](svg_point p, double by) { return svg_point{p.x + nx * by, p.y + ny * by}; };
        svg_.line(shifted(w.points[0], ahead), shifted(w.points[1], ahead), onward, name);
        svg_.line(shifted(w.points[0], -behind), shifted(w.points[1], -behind), back, name);
    }
    svg_.close();
}

inline void machine_drawing::rate_label(std::uint32_t l) {
    const layout_wire& w = wires_.wires[l];
    const link& each = m_.links[l];
    if (w.shape == layout_wire::form::none) return;
    const bool from_a = w.first == each.a;
    const std::string there = format_rate(each.gb_s(!from_a)), back = format_rate(each.gb_s(from_a));
    const bool sideways = w.shape != layout_wire::form::vertical;
    const std::uint32_t group = std::max(layout_.group_size[each.a.value], layout_.group_size[each.b.value]);
    std::vector<std::string> lines{group > 1 ? fmt::format("{} \u00d7 {}", group, there) : there};
    if (there != back) lines = {(sideways ? "\u2192 " : "\u2193 ") + there, (sideways ? "\u2190 " : "\u2191 ") + back};
    const std::string ground =
        std::string(on_card(w.label) ? "pill-card" : "pill") + (each.source == evidence::measured ? " pill-measured"
                                                                : each.source == evidence::read   ? " pill-read"
                                                                                                  : "");
    pill(w.label, lines, ground, each.source == evidence::measured ? "b" : "");
}

inline void machine_drawing::frame(node_index n) {
    const layout_box& b = layout_.boxes[n.value];
    const node_kind kind = m_.at(n).kind;
    const char* fill = kind == node_kind::memory                                      ? "mem"
                       : kind == node_kind::gpu                                       ? "gpu"
                       : kind == node_kind::package || kind == node_kind::pcie_switch ? "bar"
                                                                                      : "node";
    svg_.rect(b.x, b.y, b.width, b.height, kind == node_kind::gpu ? 8 : 6, fill);
}

inline void machine_drawing::package_name(node_index n) {
    const layout_box& b = layout_.boxes[n.value];
    const double line = layout_.sizes().package_text > 0 ? b.y + 15 : b.centre() + 4;
    svg_.text(b.x + 12, line, m_.at(n).id(), "b over");
    if (b.width > 170)
        svg_.text(b.x + b.width - 12, line, text_cut(short_name(m_.at(n).name), b.width - 100, 11), "end m over");
}

inline void machine_drawing::box(node_index n, const std::string& extra_class, const std::string& third_line) {
    const node& there = m_.at(n);
    const layout_box& b = layout_.boxes[n.value];
    svg_.open({}, there.id() + (there.name.empty() ? "" : ": " + there.name) +
                      (there.pci.known ? ", " + to_string(there.pci) : "") +
                      (there.bytes > 0 ? ", " + format_bytes(there.bytes) : ""));
    frame(n);
    if (!extra_class.empty())
        svg_.rect(b.x, b.y, b.width, b.height, there.kind == node_kind::gpu ? 8 : 6, extra_class, "fill=\"none\"");
    if (there.kind == node_kind::package) {
        package_name(n);
    } else if (there.kind == node_kind::memory) {
        svg_.text(b.middle(), b.y + 15, there.id(), "mid b");
        svg_.text(b.middle(), b.y + 28, there.bytes > 0 ? format_bytes(there.bytes) : "memory", "mid s m");
    } else if (there.kind == node_kind::gpu) {
        svg_.text(b.middle(), b.y + 17, there.id(), "mid b");
        std::string name = there.name.empty() ? "GPU" : short_name(there.name);
        for (std::size_t end;
             text_pixels(name, 9.5) > b.width - 4 && (end = name.find_last_of("- :")) != std::string::npos;)
            name.erase(end);
        svg_.text(b.middle(), b.y + 31, text_cut(name, b.width - 4, 9.5), "mid s");
        const std::string third = !third_line.empty() ? third_line : !there.cuda ? "not CUDA" : to_string(there.pci);
        svg_.text(b.middle(), b.y + 43.5, text_cut(third, b.width - 4, 8.5),
                  third_line.empty() ? "mid xs m" : "mid xs b");
    } else if (there.kind == node_kind::nic || there.kind == node_kind::disk) {
        const std::uint32_t group = layout_.group_size[n.value];
        const std::string what = there.kind == node_kind::nic ? "NICs" : "disks";
        svg_.text(b.middle(), b.centre(), group > 1 ? fmt::format("{} {}", group, what) : there.id(), "mid s b");
        svg_.text(b.middle(), b.centre() + 12,
                  text_cut(group > 1 ? there.id() + "\u2026" : short_name(there.name), b.width - 4, 8.5), "mid xs m");
    } else {
        svg_.text(b.middle(), b.centre() + 3.5, there.id(), "mid s m");
    }
    svg_.close();
}

/// Kinds that occur, the scale of widths, and what the labels' frames mean. Returns the y below it.
inline double machine_drawing::legend(double y) {
    constexpr const char* names[] = {"memory (DRAM)", "between packages", "PCIe", "NVLink", "NVLink-C2C"};
    double x = 26;
    svg_.line({x, y}, {layout_.width - 26, y}, 1, "rule");
    for (const link_kind kind : {link_kind::dram, link_kind::cpu, link_kind::pcie, link_kind::nvlink, link_kind::c2c}) {
        bool occurs = false;
        for (const link& each : m_.links) occurs |= each.kind == kind;
        if (!occurs) continue;
        svg_.line({x, y + 20}, {x + 22, y + 20}, 5, link_class(kind));
        const std::string name = names[static_cast<std::size_t>(kind)];
        svg_.text(x + 28, y + 24, name, "");
        x += 28 + text_pixels(name, 11) + 18;
    }
    x = 26;
    double fastest = 0;
    for (const link& each : m_.links) fastest = std::max({fastest, each.gb_s_ab, each.gb_s_ba});
    for (const double gb_s : {10.0, 50.0, 200.0, 800.0}) {
        if (gb_s > 10 && gb_s > 1.2 * fastest) continue;
        svg_.line({x, y + 44}, {x + 22, y + 44}, lane_pixels(gb_s), "k-cpu", "style=\"stroke:#8793a6\"");
        svg_.text(x + 28, y + 48, format_rate(gb_s), "num");
        x += 28 + text_pixels(format_rate(gb_s), 11) + 14;
    }
    svg_.text(x - 4, y + 48, "GB/s", "m");
    svg_.text(26, y + 70, "Every link is two lines, one for each direction; widths grow with the root of the rate.",
              "m");
    std::string frames;
    bool read = false, measured = false;
    for (const link& each : m_.links) {
        read |= each.source == evidence::read;
        measured |= each.source == evidence::measured;
    }
    frames = "Rates: " + evidence_summary(m_);
    if (read || measured)
        frames +=
            fmt::format(" ({}{}{})", measured ? "bold in a dark frame: measured" : "", measured && read ? "; " : "",
                        read ? "framed: read from the machine; no frame: assumed" : "no frame: assumed");
    if (wires_.cpu_links_left_out > 0)
        frames += fmt::format(". {} more links between packages are not drawn", wires_.cpu_links_left_out);
    svg_.text(26, y + 88, frames, "m");
    return y + 104;
}

} // namespace detail
BARELINK_END_NAMESPACE
