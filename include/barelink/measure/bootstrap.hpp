// How far an estimate from a few processes may be off: the processes and the steps in them, drawn again and again.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <barelink/measure/detail/resampled_run.hpp>
#include <barelink/measure/order_statistics.hpp>
#include <barelink/measure/random.hpp>

BARELINK_BEGIN_NAMESPACE

struct bootstrap_options {
    int resamples = 10000; ///< at least 100
    std::uint64_t seed = 20260101;
    /// Two things that are compared must be drawn independently: give each a stream of its own.
    std::uint64_t stream = 0;
};

/// One statistic of one machine.
struct bootstrap_estimate {
    double value = 0;          ///< the statistic of every run, averaged over the runs
    double relative_error = 0; ///< standard error over `value`
    int runs = 0;
    /// log(resampled / value) of every resample, scaled so that their variance is `relative_error` squared. In the order drawn.
    std::vector<double> deviations;
};

/// An interval around an estimate.
struct bootstrap_interval {
    double low = 0;
    double mid = 0;
    double high = 0;
};

/// Two-level block bootstrap of quantiles. `runs` are what processes measured, in order; of each, `block` samples in a row
/// may depend on each other and are drawn together (a run is cut into at most 250 blocks: longer ones are as right and cost
/// less to draw). Samples must be positive and finite, runs not empty. One result for each of `shares`, all from the same draws.
///
/// The statistic is the quantile of each run, averaged over the runs: the process is the unit that repeats (Kalibera and
/// Jones, "Rigorous benchmarking in reasonable time", ISMM 2013), and a mean over runs is smooth where a quantile of all
/// samples together jumps from run to run. Each resample draws runs with replacement and, for each, its blocks with
/// replacement. That counts the noise within runs twice, and of n runs it shows only (n-1)/n of the variance between them
/// (Davison and Hinkley, Bootstrap Methods and their Application, 1997, 3.8). So deviations are scaled to the variance that
/// has no bias, s^2/n of the runs' own statistics; what the resampling gives is their shape. One run says nothing of how runs
/// differ: then deviations are those of its blocks alone, and no decision may rest on them.
///
/// Sorts each run once; a resample walks from a checkpoint near the quantile. 10 runs of 10,000 steps and 10,000 resamples
/// take about 0.1 s. Allocates.
[[nodiscard]] inline std::vector<bootstrap_estimate> bootstrap_quantiles(std::span<const std::span<const double>> runs,
                                                                         std::size_t block,
                                                                         std::span<const double> shares,
                                                                         const bootstrap_options& options = {}) {
    std::vector<bootstrap_estimate> found(shares.size());
    std::vector<detail::resampled_run> sorted;
    sorted.reserve(runs.size());
    for (const std::span<const double> run : runs) sorted.emplace_back(run, block);
    const double n = static_cast<double>(runs.size());
    const auto resamples = static_cast<std::size_t>(std::max(options.resamples, 100));

    std::vector<double> variance(shares.size()); // of the mean over runs, from the runs' own statistics
    for (std::size_t q = 0; q < shares.size(); ++q) {
        double sum = 0, squares = 0;
        for (const auto& run : sorted) sum += run.quantile(shares[q]);
        found[q].value = sum / n;
        found[q].runs = static_cast<int>(runs.size());
        for (const auto& run : sorted) {
            const double off = run.quantile(shares[q]) / found[q].value - 1;
            squares += off * off;
        }
        if (runs.size() > 1) variance[q] = squares / (n - 1) / n;
        found[q].deviations.reserve(resamples);
    }

    random_numbers random(options.seed, options.stream);
    std::vector<double> sums(shares.size());
    for (std::size_t i = 0; i < resamples; ++i) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (std::size_t r = 0; r < runs.size(); ++r) {
            auto& run = sorted[random.below(static_cast<std::uint32_t>(sorted.size()))];
            run.draw(random);
            for (std::size_t q = 0; q < shares.size(); ++q) sums[q] += run.drawn_quantile(shares[q]);
        }
        for (std::size_t q = 0; q < shares.size(); ++q)
            found[q].deviations.push_back(std::log(sums[q] / n / found[q].value));
    }

    for (std::size_t q = 0; q < shares.size(); ++q) {
        double sum = 0, squares = 0;
        for (const double d : found[q].deviations) sum += d;
        const double mean = sum / static_cast<double>(resamples);
        for (const double d : found[q].deviations) squares += (d - mean) * (d - mean);
        const double drawn = squares / static_cast<double>(resamples - 1);
        if (runs.size() == 1) variance[q] = drawn;
        found[q].relative_error = std::sqrt(variance[q]);
        const double scale = drawn > 0 ? std::sqrt(variance[q] / drawn) : 0;
        for (double& d : found[q].deviations) d *= scale;
    }
    return found;
}

/// Degrees of freedom of the difference of two means whose variances differ (Welch, Biometrika 1947; Satterthwaite 1946).
/// Runs are what is counted; at least 1.
[[nodiscard]] inline double degrees_of_freedom(const bootstrap_estimate& a, const bootstrap_estimate& b) noexcept {
    const double va = a.relative_error * a.relative_error, vb = b.relative_error * b.relative_error;
    const double da = std::max(a.runs - 1, 1), db = std::max(b.runs - 1, 1);
    if (va + vb <= 0) return da + db;
    return std::max(1.0, (va + vb) * (va + vb) / (va * va / da + vb * vb / db));
}

/// Standard error of log(B/A).
[[nodiscard]] inline double ratio_error(const bootstrap_estimate& a, const bootstrap_estimate& b) noexcept {
    return std::hypot(a.relative_error, b.relative_error);
}

namespace detail {

/// Percentiles of `deviations`, which are sorted here, widened from the normal deviate to Student's t of so many degrees:
/// a percentile interval from few runs is too narrow by that (Hesterberg, "What teachers should know about the bootstrap",
/// The American Statistician 2015: the expanded percentile interval).
[[nodiscard]] inline bootstrap_interval widened_percentiles(std::vector<double>& deviations, double level,
                                                            double degrees) {
    std::sort(deviations.begin(), deviations.end());
    const double tail = (1 - level) / 2;
    const double wider = student_t_quantile(tail, degrees) / normal_quantile(tail);
    return {wider * quantile_of_sorted(deviations, tail), 0, wider * quantile_of_sorted(deviations, 1 - tail)};
}

} // namespace detail

/// Percentile interval of the ratio B/A. `a` and `b` come from streams of their own and as many resamples. Allocates.
[[nodiscard]] inline bootstrap_interval ratio_interval(const bootstrap_estimate& a, const bootstrap_estimate& b,
                                                       double level) {
    std::vector<double> off(std::min(a.deviations.size(), b.deviations.size()));
    for (std::size_t i = 0; i < off.size(); ++i) off[i] = b.deviations[i] - a.deviations[i];
    const bootstrap_interval logs = detail::widened_percentiles(off, level, degrees_of_freedom(a, b));
    const double ratio = b.value / a.value;
    return {ratio * std::exp(logs.low), ratio, ratio * std::exp(logs.high)};
}

/// Percentile interval of the difference B - A, in their unit. As above.
[[nodiscard]] inline bootstrap_interval difference_interval(const bootstrap_estimate& a, const bootstrap_estimate& b,
                                                            double level) {
    const double difference = b.value - a.value;
    std::vector<double> off(std::min(a.deviations.size(), b.deviations.size()));
    for (std::size_t i = 0; i < off.size(); ++i)
        off[i] = b.value * std::exp(b.deviations[i]) - a.value * std::exp(a.deviations[i]) - difference;
    const bootstrap_interval apart = detail::widened_percentiles(off, level, degrees_of_freedom(a, b));
    return {difference + apart.low, difference, difference + apart.high};
}

BARELINK_END_NAMESPACE
