// Two reports side by side: what each row says, how sure that is, what it explains and what it costs. Plain values;
// `compare` in tax_compare.hpp makes them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <barelink/measure/finding.hpp>
#include <barelink/measure/tax_claim.hpp>
#include <barelink/measure/tax_report.hpp>

BARELINK_BEGIN_NAMESPACE

enum class tax_verdict : std::uint8_t {
    no_tax,       ///< B is not slower than A by more than the margin; it may be faster
    tax,          ///< B is slower than A by more than the margin
    faster,       ///< B is faster than A by more than the margin
    inconclusive, ///< the data allow either side of the margin: `more_runs` says what would tell
    not_measured, ///< no figure: `note` or `why` says why
};

/// As in JSON: `no_tax`, `tax`, `faster`, `inconclusive`, `not_measured`.
[[nodiscard]] constexpr const char* to_string(tax_verdict verdict) noexcept {
    switch (verdict) {
    case tax_verdict::no_tax: return "no_tax";
    case tax_verdict::tax: return "tax";
    case tax_verdict::faster: return "faster";
    case tax_verdict::inconclusive: return "inconclusive";
    case tax_verdict::not_measured: return "not_measured";
    }
    return "not_measured";
}

/// Taken of every process, then averaged over the processes. `rate` is the median of rates.
enum class tax_statistic : std::uint8_t { rate, p50, p99, p99_9 };

/// `rate`, `P50`, `P99`, `P99.9`.
[[nodiscard]] constexpr const char* to_string(tax_statistic statistic) noexcept {
    switch (statistic) {
    case tax_statistic::rate: return "rate";
    case tax_statistic::p50: return "P50";
    case tax_statistic::p99: return "P99";
    case tax_statistic::p99_9: return "P99.9";
    }
    return "rate";
}

/// low <= mid <= high, but that the estimate may lie outside a skewed interval by a hair.
struct tax_interval {
    double low = 0;
    double mid = 0; ///< the estimate
    double high = 0;

    friend bool operator==(const tax_interval&, const tax_interval&) = default;
};

/// One statistic of one series, in A and in B. With `not_measured` every figure is 0 and only `note` is to be shown.
struct tax_line {
    std::string id; ///< the series'
    tax_row row = tax_row::host_link;
    std::string what; ///< the series'
    tax_unit unit = tax_unit::gb_s;
    tax_statistic statistic = tax_statistic::rate;
    bool headline = false; ///< the row's verdict rests on it
    double a = 0;          ///< in `unit`
    double b = 0;
    /// B/A as measured: below 1 is a loss for rates, above 1 for times.
    tax_interval ratio;
    /// The share of A's performance that B keeps: B/A for rates, A/B for times. Below 1 is a loss for both.
    tax_interval kept;
    /// B - A in microseconds, for times only.
    std::optional<tax_interval> added_us;
    double level = 0; ///< of the three intervals: 0.90, headlines 0.98
    /// B/A of the control pair, two reports of A: the noise floor.
    std::optional<tax_interval> noise;
    double margin = 0; ///< what counts as a tax, fixed beforehand: 0.02 is 2 %
    tax_verdict verdict = tax_verdict::not_measured;
    int more_runs = 0; ///< about so many more processes of each would decide; 0: none, or they would not help
    std::string note;  ///< such as `n too small`; empty: nothing to say
    int runs_a = 0;    ///< processes
    int runs_b = 0;
    std::size_t samples_a = 0; ///< of all processes
    std::size_t samples_b = 0;

    friend bool operator==(const tax_line&, const tax_line&) = default;
};

/// Most runs that `more_runs` proposes: then B's loss is as good as the margin itself.
inline constexpr int tax_most_runs = 1000;

/// How what was measured stands to the article's claim.
enum class tax_against_claim : std::uint8_t {
    not_measured,
    less,    ///< the whole interval is a smaller loss than claimed
    allowed, ///< the interval and the claim have values in common
    more,    ///< the whole interval is a larger loss than claimed
};

[[nodiscard]] constexpr const char* to_string(tax_against_claim claim) noexcept {
    switch (claim) {
    case tax_against_claim::not_measured: return "not_measured";
    case tax_against_claim::less: return "less";
    case tax_against_claim::allowed: return "allowed";
    case tax_against_claim::more: return "more";
    }
    return "not_measured";
}

/// One of the five rows.
struct tax_row_result {
    tax_claim claim; ///< its `row` is this row
    tax_verdict verdict = tax_verdict::not_measured;
    std::string why;                  ///< of `not_measured`
    std::vector<std::size_t> lines;   ///< positions in `tax_comparison::lines`, headlines first
    std::optional<std::size_t> shown; ///< the headline line that the verdict rests on: the worst of them
    tax_against_claim against_claim = tax_against_claim::not_measured;
    /// What doctor found (worse than ok) in one report and not, or less bad, in the other, of checks that may explain this row.
    std::vector<finding> only_a;
    std::vector<finding> only_b;
    bool unexplained = false; ///< a tax, and nothing that doctor warns of on B alone may explain it: a legal answer
    std::string note;         ///< such as what a gap in the negative control means; empty: nothing to say

    friend bool operator==(const tax_row_result& x, const tax_row_result& y) {
        return x.claim.row == y.claim.row && x.verdict == y.verdict && x.why == y.why && x.lines == y.lines &&
               x.shown == y.shown && x.against_claim == y.against_claim && x.only_a == y.only_a &&
               x.only_b == y.only_b && x.unexplained == y.unexplained && x.note == y.note;
    }
};

/// What the loss of the decode proxy adds to a bill: with a share T lost, the same work takes 1/(1-T) machines.
struct tax_money {
    double monthly_bill = 0; ///< in the caller's currency
    tax_interval lost;       ///< T; negative: B is faster
    tax_interval more;       ///< bill x (1/(1-T) - 1), in the bill's currency; negative: B saves
    double level = 0;
    std::string from; ///< id of the series

    friend bool operator==(const tax_money&, const tax_money&) = default;
};

/// What was compared.
struct tax_side {
    std::string name;
    std::string taken;
    tax_subject subject;
    int processes = 0;

    friend bool operator==(const tax_side&, const tax_side&) = default;
};

struct tax_comparison {
    std::string title; ///< `gap between two machines`, unless both are one host
    bool one_host = false;
    bool simulated = false; ///< of either: no figure is a measurement
    tax_side a, b;
    /// Why every page carries a watermark: what the gate would have refused, one sentence each. Empty: nothing.
    std::vector<std::string> watermark;
    std::vector<std::string> cautions;  ///< what the reader should know of the whole, one sentence each
    std::vector<tax_line> lines;        ///< in A's order of series; what only one report has at the end
    std::array<tax_row_result, 5> rows; ///< in the order of `tax_rows`
    std::optional<tax_money> money;     ///< absent: no bill was given, or there is no decode proxy
    std::string no_money;               ///< why `money` is absent, where a bill was given
    /// Findings that differ and belong to no row.
    std::vector<finding> only_a, only_b;
    std::string method; ///< how the intervals and verdicts came about, a few sentences

    friend bool operator==(const tax_comparison&, const tax_comparison&) = default;
};

BARELINK_END_NAMESPACE
