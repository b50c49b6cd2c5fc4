// The lines of a comparison: which statistics of which series, their intervals, their verdicts.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <barelink/measure/bootstrap.hpp>
#include <barelink/measure/equivalence.hpp>
#include <barelink/measure/tax_comparison.hpp>
#include <barelink/measure/tax_gate.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

inline constexpr double shown_level = 0.90;
inline constexpr double headline_level = 0.98;
/// TAX.md's recommendation, by statistic: below these the estimate stands on few samples of its tail.
inline constexpr std::size_t enough_for_p99 = 10000, enough_for_p99_9 = 100000;

/// Both sides of one line.
struct tax_estimates {
    std::size_t line = 0;
    bootstrap_estimate a, b;
};

[[nodiscard]] constexpr double share_of(tax_statistic statistic) noexcept {
    switch (statistic) {
    case tax_statistic::p99: return 0.99;
    case tax_statistic::p99_9: return 0.999;
    default: return 0.5;
    }
}

[[nodiscard]] inline std::vector<tax_statistic> statistics_of(const tax_series& series) {
    if (series.unit == tax_unit::gb_s) return {tax_statistic::rate};
    if (series.row == tax_row::latency) return {tax_statistic::p50, tax_statistic::p99, tax_statistic::p99_9};
    if (series.row == tax_row::inference) return {tax_statistic::p50, tax_statistic::p99};
    return {tax_statistic::p50};
}

/// The latency row is about the tail, as the article's claim is; the others are about what work takes.
[[nodiscard]] constexpr bool is_headline(const tax_series& series, tax_statistic statistic) noexcept {
    if (!series.headline) return false;
    if (series.unit == tax_unit::gb_s) return true;
    return statistic == (series.row == tax_row::latency ? tax_statistic::p99 : tax_statistic::p50);
}

[[nodiscard]] inline std::size_t fewest_samples(const tax_series& series) noexcept {
    std::size_t least = series.runs.front().samples.size();
    for (const tax_run& run : series.runs) least = std::min(least, run.samples.size());
    return least;
}

[[nodiscard]] inline std::size_t all_samples(const tax_series& series) noexcept {
    std::size_t sum = 0;
    for (const tax_run& run : series.runs) sum += run.samples.size();
    return sum;
}

/// Draws of different series and sides are independent: FNV-1a of the id, and the side.
[[nodiscard]] inline std::uint64_t stream_of(std::string_view id, std::uint64_t side) noexcept {
    std::uint64_t hash = 14695981039346656037u;
    for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return hash * 4 + side;
}

[[nodiscard]] inline std::vector<bootstrap_estimate> estimate(const tax_series& series,
                                                              std::span<const tax_statistic> statistics, int resamples,
                                                              std::uint64_t seed, std::uint64_t side) {
    std::vector<std::span<const double>> runs;
    for (const tax_run& run : series.runs) runs.emplace_back(run.samples);
    std::vector<double> shares;
    for (const tax_statistic statistic : statistics) shares.push_back(share_of(statistic));
    return bootstrap_quantiles(runs, series.block, shares, {resamples, seed, stream_of(series.id, side)});
}

[[nodiscard]] inline tax_interval as_interval(const bootstrap_interval& i) noexcept {
    return {i.low, i.mid, i.high};
}
[[nodiscard]] inline tax_interval inverse(const tax_interval& i) noexcept {
    return {1 / i.high, 1 / i.mid, 1 / i.low};
}
/// Of a ratio B/A in `unit`.
[[nodiscard]] inline tax_interval kept_of(const tax_interval& ratio, tax_unit unit) noexcept {
    return unit == tax_unit::gb_s ? ratio : inverse(ratio);
}

[[nodiscard]] inline tax_line line_of(const tax_series& series, tax_statistic statistic) {
    tax_line line;
    line.id = series.id;
    line.row = series.row;
    line.what = series.what;
    line.unit = series.unit;
    line.statistic = statistic;
    line.headline = is_headline(series, statistic);
    line.level = line.headline ? headline_level : shown_level;
    return line;
}

inline void add_note(std::string& note, std::string_view more) {
    if (!note.empty()) note += "; ";
    note += more;
}

/// Ids of a report's series.
[[nodiscard]] inline std::unordered_map<std::string_view, const tax_series*> index_of(const tax_report& report) {
    std::unordered_map<std::string_view, const tax_series*> index;
    for (const tax_series& series : report.series) index.emplace(series.id, &series);
    return index;
}

[[nodiscard]] inline status same_quantity(const tax_series& a, const tax_series& b) {
    if (a.unit != b.unit)
        return bad_report("series " + a.id + " is in " + (a.unit == tax_unit::gb_s ? "GB/s" : "us") +
                          " in one report and in " + (b.unit == tax_unit::gb_s ? "GB/s" : "us") + " in the other");
    if (a.row != b.row)
        return bad_report("series " + a.id + " belongs to row " + to_string(a.row) + " in one report and to " +
                          to_string(b.row) + " in the other");
    if (a.bytes_per_token != b.bytes_per_token)
        return bad_report("series " + a.id + " reads a different number of bytes for a token in the two reports");
    return {};
}

/// Statistics of a series that both sides have samples enough for; the others become lines without figures.
[[nodiscard]] inline std::vector<tax_statistic> split_by_size(const tax_series& in_a, const tax_series& in_b,
                                                              std::vector<tax_line>& lines) {
    std::vector<tax_statistic> enough;
    const std::size_t have = std::min(fewest_samples(in_a), fewest_samples(in_b));
    for (const tax_statistic statistic : statistics_of(in_a)) {
        const bool tail = statistic == tax_statistic::p99 || statistic == tax_statistic::p99_9;
        const std::size_t need = tail ? samples_needed(share_of(statistic)) : 1;
        if (have >= need) {
            enough.push_back(statistic);
            continue;
        }
        tax_line line = line_of(in_a, statistic);
        line.note = "n too small: " + std::to_string(have) + " samples in a process, " + to_string(statistic) +
                    " needs " + std::to_string(need);
        lines.push_back(std::move(line));
    }
    return enough;
}

/// One line for each statistic of each series; `estimates` of those that have figures.
[[nodiscard]] inline status pair_series(const tax_report& a, const tax_report& b, int resamples, std::uint64_t seed,
                                        std::vector<tax_line>& lines, std::vector<tax_estimates>& estimates) {
    const auto in_b = index_of(b), in_a = index_of(a);
    std::vector<tax_line> one_sided;
    for (const tax_series& series : a.series) {
        const auto found = in_b.find(series.id);
        if (found == in_b.end()) {
            one_sided.push_back(line_of(series, statistics_of(series).front()));
            one_sided.back().note = "only in A";
            continue;
        }
        const tax_series& other = *found->second;
        if (status good = same_quantity(series, other); !good) return good;
        const std::size_t first_without = lines.size();
        const std::vector<tax_statistic> statistics = split_by_size(series, other, lines);
        const auto of_a = estimate(series, statistics, resamples, seed, 0);
        const auto of_b = estimate(other, statistics, resamples, seed, 1);
        // In the order of the statistics: those with enough samples are the smaller shares.
        for (std::size_t s = 0; s < statistics.size(); ++s) {
            tax_line line = line_of(series, statistics[s]);
            line.headline = line.headline || is_headline(other, statistics[s]);
            line.level = line.headline ? headline_level : shown_level;
            line.a = of_a[s].value;
            line.b = of_b[s].value;
            line.ratio = as_interval(ratio_interval(of_a[s], of_b[s], line.level));
            line.kept = kept_of(line.ratio, line.unit);
            if (line.unit == tax_unit::us)
                line.added_us = as_interval(difference_interval(of_a[s], of_b[s], line.level));
            line.runs_a = of_a[s].runs;
            line.runs_b = of_b[s].runs;
            line.samples_a = all_samples(series);
            line.samples_b = all_samples(other);
            if (series.method != other.method) add_note(line.note, "measured by different methods");
            lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(first_without + s), std::move(line));
            estimates.push_back({first_without + s, of_a[s], of_b[s]});
        }
    }
    for (const tax_series& series : b.series)
        if (!in_a.contains(series.id)) {
            one_sided.push_back(line_of(series, statistics_of(series).front()));
            one_sided.back().note = "only in B";
        }
    lines.insert(lines.end(), std::make_move_iterator(one_sided.begin()), std::make_move_iterator(one_sided.end()));
    return {};
}

/// What the control pair says of the lines that it has too.
[[nodiscard]] inline status add_noise(const tax_report& first, const tax_report& second, int resamples,
                                      std::uint64_t seed, std::vector<tax_line>& lines) {
    std::vector<tax_line> control;
    std::vector<tax_estimates> estimates;
    // Its own draws: A may be one of the two.
    if (status good = pair_series(first, second, resamples, seed + 1, control, estimates); !good) return good;
    for (const tax_estimates& known : estimates)
        for (tax_line& line : lines)
            if (const tax_line& other = control[known.line];
                line.id == other.id && line.statistic == other.statistic && line.a > 0 && line.unit == other.unit)
                line.noise = as_interval(ratio_interval(known.a, known.b, shown_level));
    return {};
}

/// Gives every line that has figures its margin, verdict and notes.
inline void decide_lines(std::vector<tax_line>& lines, std::span<const tax_estimates> estimates, double rate_margin,
                         double tail_margin) {
    for (const tax_estimates& known : estimates) {
        tax_line& line = lines[known.line];
        const bool tail = line.statistic == tax_statistic::p99 || line.statistic == tax_statistic::p99_9;
        line.margin = tail ? tail_margin : rate_margin;
        margin_case facts;
        facts.kept = {line.kept.low, line.kept.mid, line.kept.high};
        facts.error = ratio_error(known.a, known.b);
        facts.degrees = degrees_of_freedom(known.a, known.b);
        facts.runs = std::min(line.runs_a, line.runs_b);
        facts.margin = line.margin;
        facts.family = static_cast<int>(estimates.size());
        if (line.noise) facts.noise = 1 - std::min(line.noise->mid, 1 / line.noise->mid);
        const margin_decision made = decide(facts);
        line.verdict = static_cast<tax_verdict>(made.verdict);
        line.more_runs = made.more_runs;
        if (facts.runs < 2) {
            line.more_runs = 9; // ten processes are the tool's default
            add_note(line.note, "one process: how processes differ is not known");
        }
        if (made.within_noise) add_note(line.note, "no more than what two reports of A differ by");
        if (made.by_chance)
            add_note(line.note, "chance alone would show this in one of " + std::to_string(estimates.size()) +
                                    " quantities too often");
        const std::size_t have = std::min(line.samples_a, line.samples_b);
        const std::size_t enough = line.statistic == tax_statistic::p99     ? enough_for_p99
                                   : line.statistic == tax_statistic::p99_9 ? enough_for_p99_9
                                                                            : 0;
        if (have < enough)
            add_note(line.note, "few samples: " + std::to_string(have) + " of the " + std::to_string(enough) +
                                    " that are recommended");
    }
}
static_assert(static_cast<int>(tax_verdict::no_tax) == static_cast<int>(margin_verdict::no_tax) &&
              static_cast<int>(tax_verdict::tax) == static_cast<int>(margin_verdict::tax) &&
              static_cast<int>(tax_verdict::faster) == static_cast<int>(margin_verdict::faster) &&
              static_cast<int>(tax_verdict::inconclusive) == static_cast<int>(margin_verdict::inconclusive));

} // namespace detail

BARELINK_END_NAMESPACE
