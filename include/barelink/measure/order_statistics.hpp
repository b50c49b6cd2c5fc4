// Medians and quantiles, how sure they are without assuming a distribution, and how many samples they need.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <barelink/measure/detail/distributions.hpp>

BARELINK_BEGIN_NAMESPACE

/// The `p` quantile (0 < p < 1) of `sorted` (ascending, not empty): the smallest value with at least a share p of the
/// samples at or below it; the mean of it and the next where the share is p exactly, so that 0.5 gives the usual median.
/// Definition 2 of Hyndman and Fan, "Sample quantiles in statistical packages", 1996.
[[nodiscard]] inline double quantile_of_sorted(std::span<const double> sorted, double p) noexcept {
    const double rank = p * static_cast<double>(sorted.size());
    const double whole = std::round(rank);
    // 0.999 * 1000 is not 999 in binary.
    const bool on_a_sample = std::fabs(rank - whole) <= 1e-9 * rank;
    const auto position = [&](double r) {
        return r < 1 ? 0 : std::min(static_cast<std::size_t>(r) - 1, sorted.size() - 1);
    };
    if (!on_a_sample) return sorted[position(std::ceil(rank))];
    return 0.5 * (sorted[position(whole)] + sorted[position(whole + 1)]);
}

/// The same of samples in any order, which are copied. Allocates.
[[nodiscard]] inline double quantile(std::span<const double> samples, double p) {
    std::vector<double> sorted(samples.begin(), samples.end());
    std::sort(sorted.begin(), sorted.end());
    return quantile_of_sorted(sorted, p);
}

/// The middle value, or the mean of the two in the middle. Allocates.
[[nodiscard]] inline double median(std::span<const double> samples) {
    return quantile(samples, 0.5);
}

/// Samples that the two-sided order-statistic interval of a quantile needs to exist: with fewer, the largest sample is below
/// the quantile too often to bound it. The smallest n with p^n and (1-p)^n at most (1 - confidence) / 2 (Meeker, Hahn and
/// Escobar, Statistical Intervals, 2nd ed., 5.2). At 95 %: 6 for the median, 368 for P99 and 3,688 for P99.9.
[[nodiscard]] inline std::size_t samples_needed(double p, double confidence = 0.95) noexcept {
    const double tail = (1 - confidence) / 2;
    const double rarer = std::max(p, 1 - p);
    return static_cast<std::size_t>(std::max(1.0, std::ceil(std::log(tail) / std::log(rarer) - 1e-9)));
}

/// Bounds of a quantile: two of the samples.
struct order_interval {
    double low = 0;
    double high = 0;
    std::size_t low_rank = 0; ///< 1: the smallest sample
    std::size_t high_rank = 0;
    double coverage =
        0; ///< the chance that independent samples give bounds around the true quantile: at least what was asked
};

/// The interval between the two order statistics that leave at most half of 1 - confidence on each side, by the binomial
/// distribution: no assumption but that samples are independent (David and Nagaraja, Order Statistics, 3rd ed., 7.1).
/// Nothing when there are fewer than `samples_needed`. `sorted` ascends.
[[nodiscard]] inline std::optional<order_interval> quantile_interval(std::span<const double> sorted, double p,
                                                                     double confidence = 0.95) noexcept {
    if (sorted.size() < samples_needed(p, confidence)) return std::nullopt;
    const auto n = static_cast<std::int64_t>(sorted.size());
    const double tail = (1 - confidence) / 2 * (1 + 1e-12);
    // The number of samples below the quantile is binomial: the sample of rank r is above it when at most r - 1 are below.
    std::int64_t low = 1, beyond = n;
    while (low + 1 < beyond) {
        const std::int64_t middle = low + (beyond - low) / 2;
        (detail::binomial_cdf(middle - 1, n, p) <= tail ? low : beyond) = middle;
    }
    std::int64_t high = n;
    beyond = 0;
    while (beyond + 1 < high) {
        const std::int64_t middle = beyond + (high - beyond) / 2;
        (1 - detail::binomial_cdf(middle - 1, n, p) <= tail ? high : beyond) = middle;
    }
    return order_interval{sorted[static_cast<std::size_t>(low - 1)], sorted[static_cast<std::size_t>(high - 1)],
                          static_cast<std::size_t>(low), static_cast<std::size_t>(high),
                          detail::binomial_cdf(high - 1, n, p) - detail::binomial_cdf(low - 1, n, p)};
}

BARELINK_END_NAMESPACE
