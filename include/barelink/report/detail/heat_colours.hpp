// Colours for numbers: steps that look equally far apart, with text that can be read on each. Private to the report layer.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

inline constexpr std::size_t heat_steps = 24;

/// A colour in OKLab, where distances are about what people see (B. Ottosson, "A perceptual color space for image
/// processing", 2020, which the matrices below are from).
struct oklab {
    double lightness = 0, a = 0, b = 0;

    [[nodiscard]] double distance(const oklab& other) const noexcept {
        return std::hypot(lightness - other.lightness, a - other.a, b - other.b);
    }
};
/// Linear light, 0 to 1 where a screen can show it.
struct linear_rgb {
    double red = 0, green = 0, blue = 0;

    [[nodiscard]] bool shown() const noexcept {
        constexpr double slack = 1e-4;
        return std::min({red, green, blue}) >= -slack && std::max({red, green, blue}) <= 1 + slack;
    }
    /// WCAG 2: relative luminance.
    [[nodiscard]] double luminance() const noexcept { return 0.2126 * red + 0.7152 * green + 0.0722 * blue; }
};

[[nodiscard]] inline linear_rgb to_linear(const oklab& c) noexcept {
    const auto cube = [](double x) { return x * x * x; };
    const double l = cube(c.lightness + 0.3963377774 * c.a + 0.2158037573 * c.b);
    const double m = cube(c.lightness - 0.1055613458 * c.a - 0.0638541728 * c.b);
    const double s = cube(c.lightness - 0.0894841775 * c.a - 1.2914855480 * c.b);
    return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
            -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
            -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}
[[nodiscard]] inline std::string to_hex(const linear_rgb& c) {
    const auto byte = [](double linear) {
        const double x = std::clamp(linear, 0.0, 1.0);
        const double gamma = x <= 0.0031308 ? 12.92 * x : 1.055 * std::pow(x, 1 / 2.4) - 0.055; // sRGB, IEC 61966-2-1
        return static_cast<unsigned>(std::lround(255 * gamma));
    };
    return fmt::format("#{:02x}{:02x}{:02x}", byte(c.red), byte(c.green), byte(c.blue));
}

/// From dark blue over green to light yellow. Lightness and hue go straight; what a screen cannot show loses chroma.
[[nodiscard]] inline oklab heat_curve(double part) noexcept {
    constexpr double degree = 3.14159265358979323846 / 180;
    const double hue = (275 - 170 * part) * degree, lightness = 0.30 + 0.65 * part;
    const auto at = [&](double chroma) { return oklab{lightness, chroma * std::cos(hue), chroma * std::sin(hue)}; };
    double shown = 0, most = 0.135;
    if (to_linear(at(most)).shown()) return at(most);
    for (int half = 0; half < 40; ++half) {
        const double middle = (shown + most) / 2;
        (to_linear(at(middle)).shown() ? shown : most) = middle;
    }
    return at(shown);
}

/// Step 0 is the darkest. Equally far apart along the curve.
[[nodiscard]] inline const std::array<oklab, heat_steps>& heat_ramp() {
    static const std::array<oklab, heat_steps> ramp = [] {
        constexpr std::size_t fine = 2000;
        std::vector<double> far{0};
        oklab last = heat_curve(0);
        for (std::size_t i = 1; i <= fine; ++i) {
            const oklab next = heat_curve(static_cast<double>(i) / fine);
            far.push_back(far.back() + next.distance(last));
            last = next;
        }
        std::array<oklab, heat_steps> made;
        for (std::size_t step = 0; step < heat_steps; ++step) {
            const double wanted = far.back() * static_cast<double>(step) / (heat_steps - 1);
            const auto found = std::lower_bound(far.begin(), far.end(), wanted);
            const auto position = std::min<std::size_t>(static_cast<std::size_t>(found - far.begin()), fine);
            made[step] = heat_curve(static_cast<double>(position) / fine);
        }
        return made;
    }();
    return ramp;
}

/// The colour of a step, 0 for the lowest value: on a light page that is the lightest, on a dark page the darkest.
[[nodiscard]] inline linear_rgb heat_colour(std::size_t step, bool dark_page) {
    return to_linear(heat_ramp()[dark_page ? step : heat_steps - 1 - step]);
}
/// White or black, whichever is read better on it: a contrast of 4.58 at least, by WCAG 2.
[[nodiscard]] inline bool wants_white_text(const linear_rgb& on) noexcept {
    const double there = on.luminance() + 0.05;
    return 1.05 / there > there / 0.05;
}

/// CSS of the fills `q0` up and the texts `t0` up on them, for both modes.
[[nodiscard]] inline std::string heat_style() {
    std::string style;
    for (const bool dark : {false, true}) {
        if (dark) style += "@media (prefers-color-scheme:dark){\n";
        for (std::size_t step = 0; step < heat_steps; ++step) {
            const linear_rgb colour = heat_colour(step, dark);
            style += fmt::format(".q{0}{{fill:{1}}}.t{0}{{fill:{2}}}{3}", step, to_hex(colour),
                                 wants_white_text(colour) ? "#ffffff" : "#000000", step % 6 == 5 ? "\n" : "");
        }
    }
    return style + "}\n";
}

/// Where a value lies between the least and the greatest: logarithmic, over a factor of two at least.
class heat_scale {
public:
    /// Precondition: above zero.
    void add(double value) noexcept {
        low_ = any() ? std::min(low_, value) : value;
        high_ = std::max(high_, value);
    }
    void close() noexcept {
        if (any()) low_ = std::min(low_, high_ / 2);
    }
    [[nodiscard]] bool any() const noexcept { return high_ > 0; }
    /// 0 to 1.
    [[nodiscard]] double part_of(double value) const noexcept {
        return std::clamp(std::log(value / low_) / std::log(high_ / low_), 0.0, 1.0);
    }
    [[nodiscard]] std::size_t step_of(double value) const noexcept {
        return static_cast<std::size_t>(std::lround(part_of(value) * (heat_steps - 1)));
    }
    /// The ends, and round numbers in between.
    [[nodiscard]] std::vector<double> ticks() const {
        std::vector<double> found{low_};
        const int last = static_cast<int>(std::floor(std::log10(high_)));
        for (int power = static_cast<int>(std::floor(std::log10(low_))); power <= last; ++power)
            for (const double times : {1.0, 2.0, 5.0}) {
                const double tick = times * std::pow(10, power);
                if (tick > low_ * 1.001 && tick < high_ * 0.999) found.push_back(tick);
            }
        found.push_back(high_);
        return found;
    }

private:
    double low_ = 0, high_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
