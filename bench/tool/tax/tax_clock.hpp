// The clock of the tax report: CLOCK_MONOTONIC, microseconds.
#pragma once

#include <time.h>

namespace tool {

[[nodiscard]] inline double tax_clock_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}
[[nodiscard]] inline double tax_clock_us() noexcept {
    return tax_clock_ns() * 1e-3;
}
[[nodiscard]] inline double tax_clock_s() noexcept {
    return tax_clock_ns() * 1e-9;
}

} // namespace tool
