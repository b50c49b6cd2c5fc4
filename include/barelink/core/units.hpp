// Sizes, rates and times. GB/s is 10^9 bytes per second in one direction; KiB, MiB and GiB are powers of two.
#pragma once

#include <cstdint>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

inline constexpr std::uint64_t KiB = 1ull << 10;
inline constexpr std::uint64_t MiB = 1ull << 20;
inline constexpr std::uint64_t GiB = 1ull << 30;

/// The largest transfer: sizes are checked against it, so that sums of a few of them cannot wrap.
inline constexpr std::uint64_t max_transfer_bytes = 1ull << 62;

/// Microseconds that `bytes` take at `gb_s`. Infinite at a rate of zero.
[[nodiscard]] constexpr double transfer_us(double bytes, double gb_s) noexcept {
    return bytes / (gb_s * 1e3);
}

/// Rate in GB/s of `bytes` moved in `us` microseconds; 0 for no time.
[[nodiscard]] constexpr double rate_gb_s(double bytes, double us) noexcept {
    return us > 0 ? bytes / (us * 1e3) : 0;
}

[[nodiscard]] constexpr std::uint64_t divide_up(std::uint64_t value, std::uint64_t by) noexcept {
    return value / by + (value % by != 0);
}
[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) noexcept {
    return divide_up(value, to) * to;
}

BARELINK_END_NAMESPACE
