// Numbers for people: sizes, rates and times with three significant digits and the unit that fits.
#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

#include <barelink/core/units.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

/// Three significant digits without trailing zeros: `55.3`, `395`, `0.42`, `8`.
[[nodiscard]] inline std::string three_digits(double value) {
    const double size = value < 0 ? -value : value;
    const int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
    std::string text = fmt::format("{:.{}f}", value, decimals);
    if (text.find('.') != std::string::npos) {
        while (text.back() == '0') text.pop_back();
        if (text.back() == '.') text.pop_back();
    }
    return text;
}

} // namespace detail

/// `4 KiB`, `1 GiB`, `1.5 MiB`, `513 B`. Powers of two, rounded to three digits above 1 KiB.
[[nodiscard]] inline std::string format_bytes(std::uint64_t bytes) {
    if (bytes < KiB) return fmt::format("{} B", bytes);
    constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    for (; value >= 1023.95 && unit + 1 < std::size(units); ++unit) value /= 1024;
    return fmt::format("{} {}", value >= 999.5 ? fmt::format("{:.0f}", value) : detail::three_digits(value),
                       units[unit]);
}

/// `55.3`, `395`, `0.42`: GB/s without the unit, for tables and drawings.
[[nodiscard]] inline std::string format_rate(double gb_s) {
    return detail::three_digits(gb_s);
}

/// `55.3 GB/s`.
[[nodiscard]] inline std::string format_gb_s(double gb_s) {
    return detail::three_digits(gb_s) + " GB/s";
}

/// `2.31 us`, `19.4 ms`, `1.5 s`.
[[nodiscard]] inline std::string format_us(double us) {
    if (us < 999.5) return detail::three_digits(us) + " us";
    if (us < 999.5e3) return detail::three_digits(us / 1e3) + " ms";
    return detail::three_digits(us / 1e6) + " s";
}

/// `97.6 %`; 100 % only for what is 100 %, so that a plan just below its bound does not claim to reach it.
[[nodiscard]] inline std::string format_percent(double part) {
    const double percent = 100 * part;
    if (percent < 100 && percent > 99.94) return percent > 99.9999 ? "100 %" : "99.9 %";
    return fmt::format("{:.1f} %", percent) == "100.0 %" ? "100 %" : fmt::format("{:.1f} %", percent);
}

BARELINK_END_NAMESPACE
