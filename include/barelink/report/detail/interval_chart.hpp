// One interval on an axis, against what was claimed, what noise alone does, and what would be too small to matter.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <barelink/report/svg.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// From `first` to `second`, in the axis' unit.
using span_of_values = std::pair<double, double>;

/// A linear axis that several charts share, so that they can be compared one below the other.
struct interval_axis {
    double low = 0, high = 1, step = 0.1;
    double width = 560; ///< pixels of the whole chart
    std::string (*label)(double value) = [](double value) { return fmt::format("{:g}", value); };
    static constexpr double side = 22;

    /// Wide enough for all values that lie between `least` and `most`, ends on whole steps, about as many steps as wanted.
    [[nodiscard]] static interval_axis around(const std::vector<double>& values, double least, double most,
                                              double steps = 8) {
        double low = most, high = least;
        for (const double value : values) {
            if (!std::isfinite(value)) continue;
            low = std::min(low, std::clamp(value, least, most));
            high = std::max(high, std::clamp(value, least, most));
        }
        if (low > high) low = least, high = most;
        interval_axis axis;
        const double range = std::max(high - low, 1e-6);
        axis.step = std::pow(10, std::floor(std::log10(range / steps)));
        for (const double factor : {2.0, 2.5, 2.0})
            if (range / axis.step > steps) axis.step *= factor;
        axis.low = std::floor(low / axis.step + 1e-9) * axis.step;
        axis.high = std::ceil(high / axis.step - 1e-9) * axis.step;
        if (axis.high <= axis.low) axis.high = axis.low + axis.step;
        return axis;
    }

    [[nodiscard]] bool holds(double value) const noexcept { return value >= low && value <= high; }
    /// Values outside lie on the nearer end.
    [[nodiscard]] double x(double value) const noexcept {
        const double part = (std::clamp(value, low, high) - low) / (high - low);
        return side + part * (width - 2 * side);
    }
};

struct interval_chart {
    std::string title, description;         ///< for those who cannot see it
    std::string colour = "v-unknown";       ///< class of the bar: the verdict's
    std::optional<span_of_values> measured; ///< the interval; none: nothing was measured
    double estimate = 0;
    std::optional<span_of_values> claim, noise, margin;
    std::string claim_label;    ///< said within the claim's zone; empty: the legend says it
    std::string claim_off_axis; ///< said at the edge when the claim lies beyond it
    std::string absent;         ///< said in place of the bar
    double reference = 1;       ///< "no difference"
};

/// The scale above charts of one axis: as many labels as fit side by side.
[[nodiscard]] inline std::string axis_svg(const interval_axis& axis) {
    svg_writer svg;
    const int steps = static_cast<int>(std::lround((axis.high - axis.low) / axis.step));
    const auto value_of = [&](int step) {
        const double value = axis.low + step * axis.step;
        return std::abs(value) < axis.step / 2 ? 0.0 : value;
    };
    double widest = 0;
    for (int i = 0; i <= steps; ++i) widest = std::max(widest, text_pixels(axis.label(value_of(i)), 10.5));
    const double apart = (axis.width - 2 * interval_axis::side) / steps;
    const int every = std::max(1, static_cast<int>(std::ceil((widest + 4) / apart)));
    for (int i = 0; i <= steps; ++i) {
        const double x = axis.x(axis.low + i * axis.step);
        svg.line({x, 16}, {x, 21}, 1, "ax");
        if (i % every == 0) svg.text(x, 11, axis.label(value_of(i)), "mid lab");
    }
    svg.line({axis.x(axis.low), 21}, {axis.x(axis.high), 21}, 1, "ax");
    return svg.picture(axis.width, 22, "Scale",
                       fmt::format("From {} to {}", axis.label(axis.low), axis.label(axis.high)), "scale");
}

/// The chart, as high as a line of a table.
[[nodiscard]] inline std::string interval_svg(const interval_chart& chart, const interval_axis& axis,
                                              double height = 56) {
    svg_writer svg;
    const double middle = height / 2, top = 1, whole = height - 2;
    const auto zone = [&](const span_of_values& values, double y, double high, const char* classes) {
        const double from = axis.x(values.first), to = axis.x(values.second);
        if ((values.first > axis.high && values.second > axis.high) ||
            (values.first < axis.low && values.second < axis.low))
            return;
        svg.rect(from, y, std::max(to - from, 1.0), high, 0, classes);
    };
    const int steps = static_cast<int>(std::lround((axis.high - axis.low) / axis.step));
    for (int i = 0; i <= steps; ++i) {
        const double x = axis.x(axis.low + i * axis.step);
        svg.line({x, 0}, {x, height}, 1, "grid");
    }
    if (chart.claim) zone(*chart.claim, top, whole, "claim");
    if (chart.claim && !chart.claim_label.empty()) {
        const double from = axis.x(chart.claim->first), to = axis.x(chart.claim->second);
        svg.text((from + to) / 2, middle + 3.7, text_cut(chart.claim_label, to - from, 10.5), "mid off");
    }
    if (chart.noise) zone(*chart.noise, top, whole, "noise");
    if (axis.holds(chart.reference))
        svg.line({axis.x(chart.reference), 0}, {axis.x(chart.reference), height}, 1.2, "one");
    if (chart.margin)
        for (const double value : {chart.margin->first, chart.margin->second})
            if (axis.holds(value))
                svg.line({axis.x(value), 0}, {axis.x(value), height}, 1.2, "margin", "stroke-dasharray=\"3 3\"");
    if (chart.measured) {
        const auto [low, high] = *chart.measured;
        const double from = axis.x(low), to = std::max(axis.x(high), from + 1), thick = 9;
        const auto arrow = [&](double x, double toward) {
            svg.path(fmt::format("M{} {}l{} {}l{} {}z", svg_number(x + 12 * toward), svg_number(middle),
                                 svg_number(-10 * toward), -7, 0, 14),
                     "bar " + chart.colour);
        };
        svg.rect(from, middle - thick / 2, to - from, thick, 2, "bar " + chart.colour);
        if (low < axis.low) arrow(from, -1);
        if (high > axis.high) arrow(to, 1);
        if (axis.holds(chart.estimate))
            svg.rect(axis.x(chart.estimate) - 2, middle - 9, 4, 18, 2, "dot " + chart.colour);
    } else {
        svg.text(axis.x(axis.high), middle + 4, text_cut(chart.absent, axis.width - 16, 11.5), "end gone");
    }
    if (!chart.claim_off_axis.empty())
        svg.text(2, height - 6, text_cut(chart.claim_off_axis, axis.width - 40, 10.5), "off");
    return svg.picture(axis.width, height, chart.title, chart.description, "chart");
}

} // namespace detail
BARELINK_END_NAMESPACE
