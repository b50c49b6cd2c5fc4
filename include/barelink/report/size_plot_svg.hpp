// A picture of rates over transfer sizes: one panel a case, one line a way of copying.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <barelink/report/detail/svg_theme.hpp>
#include <barelink/report/svg.hpp>
#include <barelink/report/units.hpp>

BARELINK_BEGIN_NAMESPACE

/// One way of copying: bytes and GB/s, in any order. Points of no bytes, or of a rate that is no number, are left out.
struct size_series {
    std::string name;
    std::vector<std::pair<std::uint64_t, double>> points;
};

/// What is compared within one pair of axes.
struct size_panel {
    std::string title;
    std::vector<size_series> series;
};

struct size_plot {
    std::string title;
    std::string subtitle;
    std::string warning; ///< in red under the subtitle; for numbers that must not be taken for something else
    std::vector<size_panel> panels;
};

namespace detail {

class size_plot_drawing {
public:
    explicit size_plot_drawing(const size_plot& plot) : plot_(plot), columns_(plot.panels.size() > 1 ? 2 : 1) {
        for (const size_panel& panel : plot.panels)
            for (const size_series& each : panel.series)
                if (std::find(names_.begin(), names_.end(), each.name) == names_.end()) names_.push_back(each.name);
        find_sizes();
    }

    [[nodiscard]] std::string str() {
        const double width = margin + static_cast<double>(columns_) * (panel_width + margin);
        svg_.text(margin, 36, text_cut(plot_.title, width - 2 * margin, 20), "h1");
        double y = 56;
        svg_.text(margin, y, text_cut(plot_.subtitle, width - 2 * margin, 12.5), "h2");
        if (!plot_.warning.empty()) {
            y += 20;
            svg_.text(margin, y, text_cut(plot_.warning, width - 2 * margin, 11), "b full");
        }
        y = legend(y + 24, width) + 22;
        for (std::size_t p = 0; p < plot_.panels.size(); ++p) {
            const std::size_t row = p / columns_, column = p % columns_;
            draw(plot_.panels[p], margin + static_cast<double>(column) * (panel_width + margin),
                 y + static_cast<double>(row) * (panel_height + margin));
        }
        const std::size_t full_rows = (plot_.panels.size() + columns_ - 1) / columns_;
        const auto rows = static_cast<double>(full_rows);
        return svg_.document(width, y + rows * (panel_height + margin), plot_.title,
                             "Rates in GB/s over transfer sizes: " + plot_.subtitle + ". " + plot_.warning, svg_style);
    }

private:
    static constexpr double margin = 26, panel_width = 520, panel_height = 300;
    static constexpr double axis_left = 48, axis_right = 22, axis_top = 40, axis_bottom = 34;
    static constexpr double across = panel_width - axis_left - axis_right, high = panel_height - axis_top - axis_bottom;

    [[nodiscard]] static bool drawn(const std::pair<std::uint64_t, double>& point) noexcept {
        return point.first > 0 && std::isfinite(point.second) && point.second >= 0;
    }
    /// All panels share one size axis, so that they can be compared; whole powers of two at both ends.
    void find_sizes() {
        std::uint64_t least = ~std::uint64_t{0}, most = 0;
        for (const size_panel& panel : plot_.panels)
            for (const size_series& each : panel.series)
                for (const auto& point : each.points)
                    if (drawn(point)) least = std::min(least, point.first), most = std::max(most, point.first);
        if (most == 0) least = most = 4096;
        first_power_ = static_cast<int>(std::bit_width(least)) - 1;
        last_power_ = static_cast<int>(std::bit_width(most - 1));
        if (last_power_ <= first_power_) last_power_ = first_power_ + 1;
    }
    [[nodiscard]] double x_of(double bytes) const noexcept {
        return across * (std::log2(bytes) - first_power_) / (last_power_ - first_power_);
    }
    /// The distance between lines: 1, 2 or 5 times a power of ten, at most six of them.
    [[nodiscard]] static double rate_step(const size_panel& panel) noexcept {
        double most = 0;
        for (const size_series& each : panel.series)
            for (const auto& point : each.points)
                if (drawn(point)) most = std::max(most, point.second);
        if (most <= 0) return 0.2;
        double step = std::pow(10, std::floor(std::log10(most / 6)));
        for (const double factor : {2.0, 2.5, 2.0})
            if (most / step > 6) step *= factor;
        return step;
    }
    [[nodiscard]] static double rate_end(const size_panel& panel, double step) noexcept {
        double most = 0;
        for (const size_series& each : panel.series)
            for (const auto& point : each.points)
                if (drawn(point)) most = std::max(most, point.second);
        return std::max(1.0, std::ceil(most / step - 1e-9)) * step;
    }

    void draw(const size_panel& panel, double left, double top) {
        svg_.rect(left, top, panel_width, panel_height, 8, "card");
        svg_.text(left + 16, top + 23, text_cut(panel.title, panel_width - 90, 11), "b");
        svg_.text(left + panel_width - 16, top + 23, "GB/s", "end s m");
        const svg_point origin{left + axis_left, top + axis_top + high};
        const double step = rate_step(panel), end = rate_end(panel, step);
        for (int i = 0; i * step <= end * 1.0001; ++i) {
            const double y = origin.y - high * i * step / end;
            svg_.line({origin.x, y}, {origin.x + across, y}, 1, i == 0 ? "rule" : "axis");
            svg_.text(origin.x - 7, y + 3.3, i == 0 ? "0" : three_digits(i * step), "end num s m");
        }
        size_axis(origin);
        for (const size_series& each : panel.series) draw(each, origin, end);
    }
    /// As many labels as fit side by side, a tick for every power of two.
    void size_axis(svg_point origin) {
        const double apart = across / (last_power_ - first_power_);
        int every = 1;
        while (apart * every < text_pixels("256 MiB", 9.5) + 6) ++every;
        for (int power = first_power_; power <= last_power_; ++power) {
            const double x = origin.x + apart * (power - first_power_);
            const bool labelled = (power - first_power_) % every == 0;
            svg_.line({x, origin.y}, {x, origin.y + (labelled ? 6 : 3)}, 1, "rule");
            if (labelled) svg_.text(x, origin.y + 19, format_bytes(std::uint64_t{1} << power), "mid num s m");
        }
    }
    void draw(const size_series& series, svg_point origin, double end) {
        auto points = series.points;
        std::erase_if(points, [](const auto& point) { return !drawn(point); });
        std::sort(points.begin(), points.end());
        const std::size_t number = number_of(series.name);
        std::string commands;
        std::vector<svg_point> at;
        for (const auto& [bytes, gb_s] : points) {
            at.push_back({origin.x + x_of(static_cast<double>(bytes)), origin.y - high * gb_s / end});
            commands +=
                fmt::format("{}{} {}", at.size() == 1 ? "M" : "L", svg_number(at.back().x), svg_number(at.back().y));
        }
        if (at.size() > 1) svg_.path(commands, "flow", stroke(number));
        for (std::size_t i = 0; i < at.size(); ++i) {
            svg_.open({}, fmt::format("{}, {}: {}", series.name, format_bytes(points[i].first),
                                      format_gb_s(points[i].second)));
            marker(at[i], number);
            svg_.close();
        }
    }

    [[nodiscard]] std::size_t number_of(const std::string& name) const noexcept {
        return static_cast<std::size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
    }
    /// Dashes and the shape of the markers tell lines apart where colours do not, and lines that coincide show through.
    [[nodiscard]] static std::string stroke(std::size_t number) {
        constexpr const char* dashes[] = {"", " stroke-dasharray=\"7 4\"", " stroke-dasharray=\"2 3\"",
                                          " stroke-dasharray=\"9 3 2 3\""};
        return fmt::format("stroke=\"{}\" stroke-width=\"2\"{}", route_colour(number), dashes[number % 4]);
    }
    void marker(svg_point at, std::size_t number) {
        const double size = 6;
        svg_.rect(at.x - size / 2, at.y - size / 2, size, size, number % 2 == 0 ? size / 2 : 0, "",
                  fmt::format("fill=\"{}\"", route_colour(number)));
    }
    /// Returns the last line's y.
    double legend(double y, double width) {
        double x = margin;
        for (std::size_t n = 0; n < names_.size(); ++n) {
            const double wide = 34 + text_pixels(names_[n], 11) + 24;
            if (x > margin && x + wide > width - margin) {
                x = margin;
                y += 20;
            }
            svg_.path(fmt::format("M{} {}h26", svg_number(x), svg_number(y - 3.5)), "flow", stroke(n));
            marker({x + 13, y - 3.5}, n);
            svg_.text(x + 34, y, names_[n], "");
            x += wide;
        }
        return y;
    }

    const size_plot& plot_;
    std::size_t columns_;
    std::vector<std::string> names_; ///< of all panels: a way has one colour
    int first_power_ = 0, last_power_ = 1;
    svg_writer svg_;
};

} // namespace detail

/// The plot as an SVG document: sizes on a logarithmic axis of powers of two, the same in every panel; rates from zero on.
[[nodiscard]] inline std::string size_plot_svg(const size_plot& plot) {
    return detail::size_plot_drawing(plot).str();
}

BARELINK_END_NAMESPACE
