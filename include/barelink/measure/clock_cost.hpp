// What reading a clock costs, and the smallest step it shows: nothing shorter can be measured with it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

struct clock_cost {
    double read_ns = 0;    ///< one read, by the median of batches
    double step_ns = 0;    ///< the smallest difference above 0 between two reads in a row; 0: the clock never moved
    bool backward = false; ///< it went backward at least once: times by it mean nothing
};

/// Reads `now_ns()` (nanoseconds, any origin, as a floating-point number of small enough size or as an integer) 11 times
/// `reads` times in a row. A batch costs its last read less its first, over the reads between; the median of batches keeps
/// out those that an interrupt hit. Blocks for about 11 * reads of them, a millisecond for a good clock; a clock through a
/// system call or a device (hpet, acpi_pm: 1.5 to 3 us) takes thirty times that.
template <class Clock>
[[nodiscard]] clock_cost measure_clock_cost(Clock&& now_ns, std::size_t reads = 2000) {
    clock_cost cost;
    std::array<double, 11> batches{};
    reads = std::max<std::size_t>(reads, 2);
    for (double& batch : batches) {
        const auto first = now_ns();
        auto last = first;
        for (std::size_t i = 1; i < reads; ++i) {
            const auto now = now_ns();
            if (now < last) {
                cost.backward = true;
            } else if (const double step = static_cast<double>(now - last);
                       step > 0 && (cost.step_ns == 0 || step < cost.step_ns)) {
                cost.step_ns = step;
            }
            last = now;
        }
        batch = last > first ? static_cast<double>(last - first) / static_cast<double>(reads - 1) : 0;
    }
    std::sort(batches.begin(), batches.end());
    cost.read_ns = batches[batches.size() / 2];
    return cost;
}

BARELINK_END_NAMESPACE
