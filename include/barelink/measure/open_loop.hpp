// Latency as a caller sees it who comes at fixed times: counted from when a step was meant to start.
#pragma once

#include <cstddef>
#include <span>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// Starts at a fixed rate, whatever becomes of them. A loop that starts a step when the last one has ended measures, for a
/// stall of a second, one slow step; callers that come every millisecond would have met a thousand. Counting from the
/// intended start counts those ("coordinated omission": Gil Tene, "How NOT to measure latency", Strange Loop 2015;
/// HdrHistogram and wrk2).
struct open_loop_schedule {
    double first_us = 0;    ///< when the first step is meant to start
    double interval_us = 0; ///< between starts; > 0

    [[nodiscard]] constexpr double intended_us(std::size_t step) const noexcept {
        return first_us + interval_us * static_cast<double>(step);
    }
    /// Of a step that ended at `end_us`.
    [[nodiscard]] constexpr double latency_us(std::size_t step, double end_us) const noexcept {
        return end_us - intended_us(step);
    }
};

/// What an open loop did.
struct open_loop_outcome {
    std::size_t late = 0; ///< steps that started after their time, because an earlier one was still running
    double behind_us =
        0; ///< how far the last step's start was: a loop that ends far behind was asked for more than there is
    double elapsed_us = 0; ///< from the first intended start to the last end
};

/// Runs `step(i)` for each of `latency_us` at its time or, when that has passed, at once, and stores its latency there.
/// `now_us()` reads a clock that only goes forward; the thread spins on it between steps, since a sleep would be part of
/// what is measured. The first start is one interval after the call. Blocks until the last step has ended; `step` blocks
/// until its work has.
template <class Now, class Step>
open_loop_outcome run_open_loop(double interval_us, std::span<double> latency_us, Now&& now_us, Step&& step) {
    open_loop_outcome outcome;
    const open_loop_schedule schedule{now_us() + interval_us, interval_us};
    for (std::size_t i = 0; i < latency_us.size(); ++i) {
        const double intended = schedule.intended_us(i);
        double now = now_us();
        outcome.behind_us = now > intended ? now - intended : 0;
        if (outcome.behind_us > 0) ++outcome.late;
        while (now < intended) now = now_us();
        step(i);
        const double end = now_us();
        latency_us[i] = schedule.latency_us(i, end);
        outcome.elapsed_us = end - schedule.first_us;
    }
    return outcome;
}

BARELINK_END_NAMESPACE
