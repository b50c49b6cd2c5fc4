// Compares two reports: every series that both have, the five rows, the money.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <barelink/core/error.hpp>
#include <barelink/core/result.hpp>
#include <barelink/measure/detail/tax_lines.hpp>
#include <barelink/measure/detail/tax_rows.hpp>
#include <barelink/measure/tax_comparison.hpp>
#include <barelink/measure/tax_gate.hpp>

BARELINK_BEGIN_NAMESPACE

/// Fix these before looking at the data.
struct tax_compare_options {
    /// What counts as a tax: of rates and medians, and of P99 and P99.9 (project choices).
    double rate_margin = 0.02;
    double tail_margin = 0.05;
    double monthly_bill = 0; ///< of A, in any currency; 0: no money line
    /// Compare machines that the gate refuses; the result then says why every page carries a watermark.
    bool anyway = false;
    int resamples = 10000;
    std::uint64_t seed = 20260101;
};

/// Two reports of A, borrowed for the call: what they differ by is the noise floor.
struct tax_control_pair {
    const tax_report& first;
    const tax_report& second;
};

/// Compares B with A. Pure: the same reports and options give the same result.
///
/// Every quantity of both reports gives one line (rates) or up to three (times: P50, P99, P99.9); see `bootstrap_quantiles`
/// for the intervals and `decide` for the verdicts. A row's verdict is the worst of its headline lines'. "Tax" is claimed in
/// at most 5 % of comparisons of machines that do not differ, all lines together.
///
/// Errors, `invalid_argument`: a report that `validate` refuses, an id with different units or rows, options out of range,
/// and, without `anyway`, what `tax_gate` finds, here and between A and the control pair.
[[nodiscard]] inline result<tax_comparison> compare(const tax_report& a, const tax_report& b,
                                                    const tax_compare_options& options = {},
                                                    std::optional<tax_control_pair> control = std::nullopt) {
    for (const double margin : {options.rate_margin, options.tail_margin})
        if (!(margin > 0 && margin < 0.5)) return detail::bad_report("margins must be above 0 and below 0.5");
    if (!(std::isfinite(options.monthly_bill) && options.monthly_bill >= 0))
        return detail::bad_report("the monthly bill must be 0 or more");
    std::vector<const tax_report*> reports{&a, &b};
    if (control) reports.insert(reports.end(), {&control->first, &control->second});
    for (const tax_report* report : reports)
        if (status good = validate(*report); !good) return good.error();

    tax_comparison made;
    made.watermark = tax_gate(a.subject, b.subject);
    if (control) {
        for (const tax_report* half : {&control->first, &control->second})
            for (const std::string& why : tax_gate(a.subject, half->subject))
                made.watermark.push_back("the control pair is not of A's kind: " + why);
    }
    if (!made.watermark.empty() && !options.anyway)
        return detail::bad_report(a.name + " and " + b.name + " cannot be compared: " + made.watermark.front() +
                                  " (\"anyway\" compares them under a watermark)");

    made.one_host = !a.subject.host.empty() && a.subject.host == b.subject.host;
    made.title = made.one_host ? "gap between two reports of one host" : "gap between two machines";
    made.simulated = a.subject.simulated || b.subject.simulated;
    made.a = {a.name, a.taken, a.subject, a.processes};
    made.b = {b.name, b.taken, b.subject, b.processes};

    std::vector<detail::tax_estimates> estimates;
    if (status good = detail::pair_series(a, b, options.resamples, options.seed, made.lines, estimates); !good)
        return good.error();
    if (control)
        if (status good =
                detail::add_noise(control->first, control->second, options.resamples, options.seed, made.lines);
            !good)
            return good.error();
    detail::decide_lines(made.lines, estimates, options.rate_margin, options.tail_margin);
    detail::fill_rows(a, b, made);
    detail::add_cautions(a, b, made);
    if (options.monthly_bill > 0) detail::add_money(options.monthly_bill, made);
    made.method =
        detail::describe_method(options.resamples, estimates.size(), options.rate_margin, options.tail_margin);
    return made;
}

BARELINK_END_NAMESPACE
