// What a report must be before anything is concluded from it, and what two reports must have in common.
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <barelink/core/error.hpp>
#include <barelink/core/result.hpp>
#include <barelink/measure/tax_report.hpp>

BARELINK_BEGIN_NAMESPACE

/// Samples outside are not measurements of anything on a server: GB/s or microseconds (eleven days are 1e12 us).
inline constexpr double tax_least_sample = 1e-6;
inline constexpr double tax_most_sample = 1e12;

namespace detail {

[[nodiscard]] inline error bad_report(const std::string& message) {
    return {errc::invalid_argument, text(message.data(), message.size())};
}

/// What is wrong with a sample; null: nothing.
[[nodiscard]] inline const char* sample_fault(double sample) noexcept {
    if (std::isnan(sample)) return "is not a number";
    if (std::isinf(sample)) return "is infinite";
    if (sample < 0) return "is negative";
    if (sample == 0) return "is zero";
    if (sample < tax_least_sample) return "is too small for a measurement (below 1e-6)";
    if (sample > tax_most_sample) return "is too large for a measurement (above 1e12)";
    return nullptr;
}

[[nodiscard]] inline status validate_series(const std::string& report, const tax_series& series) {
    const std::string where = report + ": series " + series.id + ": ";
    if (series.unit != tax_unit::gb_s && series.unit != tax_unit::us) return bad_report(where + "has no known unit");
    if (static_cast<std::size_t>(series.row) >= tax_rows.size()) return bad_report(where + "belongs to no row");
    if (series.block == 0) return bad_report(where + "has blocks of 0 samples");
    if (!std::isfinite(series.bytes_per_token) || series.bytes_per_token < 0)
        return bad_report(where + "bytes per token must be 0 or more");
    if (series.runs.empty()) return bad_report(where + "has no runs");
    for (std::size_t r = 0; r < series.runs.size(); ++r) {
        const std::vector<double>& samples = series.runs[r].samples;
        if (samples.empty()) return bad_report(where + "run " + std::to_string(r + 1) + " has no samples");
        for (std::size_t i = 0; i < samples.size(); ++i)
            if (const char* fault = sample_fault(samples[i]))
                return bad_report(where + "sample " + std::to_string(i + 1) + " of run " + std::to_string(r + 1) + " " +
                                  fault);
    }
    return {};
}

[[nodiscard]] inline bool is_unknown(std::string_view fact) noexcept {
    return fact.empty() || fact == "unknown";
}

/// What must be alike, by the name that messages use.
struct gated_fact {
    const char* name;
    const std::string* a;
    const std::string* b;
};

[[nodiscard]] inline std::vector<gated_fact> gated_facts(const tax_subject& a, const tax_subject& b) {
    return {{"GPU model", &a.gpu, &b.gpu}, {"driver", &a.driver, &b.driver}, {"CUDA", &a.cuda, &b.cuda},
            {"ECC", &a.ecc, &b.ecc},       {"MIG", &a.mig, &b.mig},          {"power cap", &a.power_cap, &b.power_cap}};
}

} // namespace detail

/// Whether a report can be compared at all: every series has an id of its own, runs, samples that are positive numbers,
/// and a unit. Errors: `invalid_argument`, one line that names the report, the series, the run and the sample.
[[nodiscard]] inline status validate(const tax_report& report) {
    const std::string name = report.name.empty() ? "report" : report.name;
    if (report.series.empty() && report.absent.empty())
        return detail::bad_report(name + ": has no series, and does not say why");
    if (!std::isfinite(report.clock_ns) || report.clock_ns < 0)
        return detail::bad_report(name + ": the clock's cost must be 0 or more nanoseconds");
    if (report.processes < 0) return detail::bad_report(name + ": the number of processes is negative");
    std::unordered_set<std::string_view> ids;
    for (const tax_series& series : report.series) {
        if (series.id.empty()) return detail::bad_report(name + ": a series has no id");
        if (!ids.insert(series.id).second) return detail::bad_report(name + ": two series have the id " + series.id);
        if (status good = detail::validate_series(name, series); !good) return good;
    }
    return {};
}

/// Why the figures of two machines must not be held against each other: one sentence for each fact that differs (GPU model,
/// driver, CUDA, ECC, MIG, power cap, simulated or not). Empty: none. What one of them does not know is no difference;
/// `tax_gate_unknown` lists it.
[[nodiscard]] inline std::vector<std::string> tax_gate(const tax_subject& a, const tax_subject& b) {
    std::vector<std::string> differ;
    if (a.simulated != b.simulated)
        differ.push_back(std::string("the GPUs differ: ") + (a.simulated ? "simulated" : "real") + " in A, " +
                         (b.simulated ? "simulated" : "real") + " in B");
    for (const auto& [name, in_a, in_b] : detail::gated_facts(a, b))
        if (!detail::is_unknown(*in_a) && !detail::is_unknown(*in_b) && *in_a != *in_b)
            differ.push_back(std::string("the ") + name + " differs: " + *in_a + " in A, " + *in_b + " in B");
    return differ;
}

/// What could not be held against each other because a report does not know it; empty: nothing.
[[nodiscard]] inline std::vector<std::string> tax_gate_unknown(const tax_subject& a, const tax_subject& b) {
    std::vector<std::string> names;
    for (const auto& [name, in_a, in_b] : detail::gated_facts(a, b))
        if (detail::is_unknown(*in_a) || detail::is_unknown(*in_b)) names.emplace_back(name);
    return names;
}

BARELINK_END_NAMESPACE
