// When a measurement has settled: windows in a row that agree.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// Clocks rise, caches and page tables fill: what is measured first is not what stays. Feed it one figure for each window
/// (a mean or median of many steps, > 0); it is warm when the last three agree within 1 %, the largest against the smallest.
/// Three in a row, because two agree by chance while a figure still drifts; the 1 % is half the margin of rates
/// (project choice).
class warm_up {
public:
    static constexpr std::size_t windows_needed = 3;

    explicit constexpr warm_up(double within = 0.01) noexcept : within_(within) {}

    /// True when this window and the two before agree. Figures that are not positive agree with nothing.
    constexpr bool add(double window) noexcept {
        last_[seen_++ % windows_needed] = window;
        if (seen_ < windows_needed) return warm_ = false;
        const auto [least, most] = std::minmax_element(last_.begin(), last_.end());
        return warm_ = *least > 0 && *most <= *least * (1 + within_);
    }

    [[nodiscard]] constexpr bool warm() const noexcept { return warm_; }
    [[nodiscard]] constexpr std::size_t windows() const noexcept { return seen_; }

private:
    double within_;
    std::array<double, windows_needed> last_{};
    std::size_t seen_ = 0;
    bool warm_ = false;
};

BARELINK_END_NAMESPACE
