// How two machines' times are spread: one upwards, the other downwards, from one logarithmic axis of time.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <barelink/report/svg.hpp>
#include <barelink/report/units.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// One machine's times in us. A mark that the samples are too few for is none.
struct histogram_side {
    std::vector<double> times;
    std::optional<double> p50, p99, p999;
};

class latency_drawing {
public:
    latency_drawing(const histogram_side& up, const histogram_side& down) : up_(up), down_(down) { find_ranges(); }

    [[nodiscard]] std::string str(const std::string& title, const std::string& description) {
        shares();
        bars(up_, middle - axis_high / 2, -1, "a-fill");
        bars(down_, middle + axis_high / 2, 1, "b-fill");
        times();
        marks(up_, middle - axis_high / 2, -1, "a-mark");
        marks(down_, middle + axis_high / 2, 1, "b-mark");
        svg_.text(width - 4, middle - axis_high / 2 - half + 11, "A", "end who a-text");
        svg_.text(width - 4, middle + axis_high / 2 + half - 3, "B", "end who b-text");
        return svg_.picture(width, 2 * middle, title, description, "spread");
    }

private:
    static constexpr double width = 500, left = 40, right = 22, half = 82, axis_high = 20, label_high = 24;
    static constexpr double middle = label_high + half + axis_high / 2, across = width - left - right;
    static constexpr std::size_t bins = 110;

    void find_ranges() {
        double least = 0, most = 0;
        std::size_t largest = 1;
        for (const histogram_side* side : {&up_, &down_}) {
            for (const double time : side->times)
                if (time > 0 && std::isfinite(time)) {
                    least = least > 0 ? std::min(least, time) : time;
                    most = std::max(most, time);
                }
            largest = std::max(largest, side->times.size());
        }
        if (most <= 0) least = most = 1;
        const double room = std::max(0.04 * std::log(most / least), 0.02);
        low_ = std::log(least) - room;
        high_ = std::log(most) + room;
        floor_ = std::log10(0.5 / static_cast<double>(largest)); // one sample stands out of the axis
    }
    [[nodiscard]] double x(double time) const noexcept {
        return left + across * std::clamp((std::log(time) - low_) / (high_ - low_), 0.0, 1.0);
    }
    [[nodiscard]] double high_of(double share) const noexcept {
        return share > 0 ? half * std::max(0.0, 1 - std::log10(share) / floor_) : 0;
    }

    /// Lines at 100 %, 10 %, 1 % and so on: shares are logarithmic, because the tail is what matters.
    void shares() {
        for (int decade = 0; decade > floor_; --decade) {
            const double share = std::pow(10, decade), high = high_of(share);
            if (high < 7) continue;
            for (const double sign : {-1.0, 1.0}) {
                const double y = middle + sign * (axis_high / 2 + high);
                svg_.line({left, y}, {left + across, y}, 1, "grid");
                svg_.text(left - 5, y + 3, fmt::format("{:g} %", 100 * share), "end lab-s");
            }
        }
    }
    /// One outline instead of a rectangle for each bin: half the size, and no seams between them.
    void bars(const histogram_side& side, double base, double sign, const char* classes) {
        std::array<std::size_t, bins> count{};
        std::size_t all = 0;
        for (const double time : side.times) {
            if (!(time > 0) || !std::isfinite(time)) continue;
            const double part = (std::log(time) - low_) / (high_ - low_);
            ++count[std::min(bins - 1, static_cast<std::size_t>(std::max(0.0, part * bins)))];
            ++all;
        }
        if (all == 0) return svg_.text(left + across / 2, base + sign * half / 2, "no samples", "mid gone");
        std::string outline = fmt::format("M{} {}", svg_number(left), svg_number(base));
        double before = 0;
        for (std::size_t i = 0; i < bins; ++i) {
            const double high = high_of(static_cast<double>(count[i]) / static_cast<double>(all));
            if (high == before) continue;
            outline += fmt::format("H{}V{}", svg_number(left + across * static_cast<double>(i) / bins),
                                   svg_number(base + sign * high));
            before = high;
        }
        svg_.path(outline + fmt::format("H{}V{}z", svg_number(left + across), svg_number(base)), classes);
    }

    /// Where the axis has labels: 1, 2 and 5 times powers of ten, or even steps where the range is short.
    [[nodiscard]] std::vector<double> ticks() const {
        const double least = std::exp(low_), most = std::exp(high_);
        std::vector<double> found;
        if (most / least > 8) {
            const int first = static_cast<int>(std::floor(std::log10(least)));
            const int last = static_cast<int>(std::floor(std::log10(most)));
            for (int power = first; power <= last; ++power)
                for (const double factor : {1.0, 2.0, 5.0}) {
                    const double tick = factor * std::pow(10, power);
                    if (tick >= least && tick <= most) found.push_back(tick);
                }
            return found;
        }
        double step = std::pow(10, std::floor(std::log10((most - least) / 5)));
        for (const double factor : {2.0, 2.5, 2.0})
            if ((most - least) / step > 5) step *= factor;
        const int first = static_cast<int>(std::ceil(least / step)), last = static_cast<int>(std::floor(most / step));
        for (int i = first; i <= last; ++i) found.push_back(i * step);
        return found;
    }
    void times() {
        const double above = middle - axis_high / 2, below = middle + axis_high / 2;
        svg_.line({left, above}, {left + across, above}, 1, "ax");
        svg_.line({left, below}, {left + across, below}, 1, "ax");
        double taken = 0;
        for (const double tick : ticks()) {
            const std::string said = format_us(tick);
            const double at = x(tick), wide = text_pixels(said, 10.5);
            svg_.line({at, above}, {at, above + 3}, 1, "ax");
            svg_.line({at, below - 3}, {at, below}, 1, "ax");
            if (at - wide / 2 < taken + 8 || at + wide / 2 > width) continue;
            svg_.text(at, middle + 3.7, said, "mid lab");
            taken = at + wide / 2;
        }
    }

    /// Lines at the percentiles, their labels side by side in order however close the percentiles are.
    void marks(const histogram_side& side, double base, double sign, const char* classes) {
        struct label {
            double at, x, wide;
            std::string said;
        };
        std::vector<label> labels;
        const auto add = [&](const char* name, const std::optional<double>& value) {
            if (!value || !(*value > 0)) return;
            const std::string said = fmt::format("{} {}", name, format_us(*value));
            labels.push_back({x(*value), 0, text_pixels(said, 10.5), said});
        };
        add("P50", side.p50);
        add("P99", side.p99);
        add("P99.9", side.p999);
        constexpr double gap = 9;
        double from = 0;
        for (label& each : labels) {
            each.x = std::max(each.at - each.wide / 2, from);
            from = each.x + each.wide + gap;
        }
        double to = width;
        for (auto each = labels.rbegin(); each != labels.rend(); ++each) {
            each->x = std::min(each->x, to - each->wide);
            to = each->x - gap;
        }
        const double end = base + sign * half, said_at = sign < 0 ? end - 12 : end + 19;
        for (const label& each : labels) {
            svg_.line({each.at, base}, {each.at, end}, 1.2, classes);
            svg_.line({each.at, end}, {each.x + each.wide / 2, end + sign * 8}, 1, classes);
            svg_.text(each.x + each.wide / 2, said_at, each.said, "mid lab");
        }
    }

    const histogram_side &up_, &down_;
    double low_ = 0, high_ = 1, floor_ = -3;
    svg_writer svg_;
};

/// A upwards, B downwards. Both axes are logarithmic: time to the right, the share of the samples away from the middle.
[[nodiscard]] inline std::string latency_svg(const histogram_side& a, const histogram_side& b, const std::string& title,
                                             const std::string& description) {
    return latency_drawing(a, b).str(title, description);
}

} // namespace detail
BARELINK_END_NAMESPACE
