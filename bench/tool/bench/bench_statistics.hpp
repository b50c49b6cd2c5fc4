// Medians, quartiles, and how sure a median is: order statistics, which assume nothing about the times.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace tool {

/// Between the two values around it by the distance to each; 0 for no values.
[[nodiscard]] inline double quantile(std::vector<double> values, double part) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const double at = part * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (values[above] - values[below]) * (at - static_cast<double>(below));
}
[[nodiscard]] inline double median(const std::vector<double>& values) {
    return quantile(values, 0.5);
}

/// A median and the interval between two order statistics that holds the true one with a probability of `coverage`.
struct median_interval {
    double median = 0, low = 0, high = 0, coverage = 0;
};

/// The narrowest symmetric interval that covers at least `wanted`; from the least to the greatest value where there are too
/// few (fewer than five for 90 %), and then `coverage` says so. Each value lies above the median with probability 1/2, so
/// the k-th least to the k-th greatest of n cover 1 - 2 P(B(n, 1/2) < k).
[[nodiscard]] inline median_interval interval_of(std::vector<double> values, double wanted = 0.9) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    const std::size_t n = values.size();
    double term = std::pow(0.5, static_cast<double>(n)), below = term; // P(B = 0), P(B < 1)
    std::size_t k = 1;
    for (std::size_t next = 2; 2 * next <= n + 1; ++next) {
        term *= static_cast<double>(n - next + 2) / static_cast<double>(next - 1);
        if (1 - 2 * (below + term) < wanted) break;
        below += term;
        k = next;
    }
    return {median(values), values[k - 1], values[n - k], std::max(0.0, 1 - 2 * below)};
}

} // namespace tool
