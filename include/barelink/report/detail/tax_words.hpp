// A comparison's figures and verdicts in words, the same on the page and on a terminal. Private to the report layer.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <barelink/measure/tax_comparison.hpp>
#include <barelink/report/units.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// What the article says of money: 10,000 to 15,000 of a bill of 100,000.
inline constexpr double claimed_bill_low = 0.10, claimed_bill_high = 0.15;

/// `97.2`, `0.31`: a share in percent without the sign. Rounded, unlike format_percent, which never rounds up to 100 %.
[[nodiscard]] inline std::string share_digits(double share) {
    const double percent = 100 * share;
    return std::abs(percent) < 9.995 && percent != 0 ? fmt::format("{:.2f}", percent) : fmt::format("{:.1f}", percent);
}
[[nodiscard]] inline std::string share_text(double share) {
    return share_digits(share) + " %";
}
/// `96.9 to 97.6 %`.
[[nodiscard]] inline std::string share_text(const tax_interval& shares) {
    return share_digits(shares.low) + " to " + share_digits(shares.high) + " %";
}
/// `97.2 % (96.9 to 97.6)`.
[[nodiscard]] inline std::string estimate_text(const tax_interval& shares) {
    return fmt::format("{} ({} to {})", share_text(shares.mid), share_digits(shares.low), share_digits(shares.high));
}
/// A margin as it was chosen: `2 %`, `2.5 %`.
[[nodiscard]] inline std::string margin_text(double margin) {
    return fmt::format("{:g} %", std::round(margin * 1e4) / 1e2);
}

/// `1,234`, `-310`: whole units of whatever the bill is in.
[[nodiscard]] inline std::string money_text(double amount) {
    std::string digits = fmt::format("{:.0f}", std::abs(amount));
    for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
    return (amount < 0 && digits != "0" ? "-" : "") + digits;
}

[[nodiscard]] inline std::string value_text(double value, tax_unit unit) {
    return unit == tax_unit::gb_s ? format_gb_s(value) : format_us(value);
}
/// `+312 us`, `-1.2 ms`.
[[nodiscard]] inline std::string added_text(double us) {
    return (us < 0 ? "-" : "+") + format_us(std::abs(us));
}
[[nodiscard]] inline std::string added_text(const tax_interval& us) {
    return fmt::format("{} ({} to {})", added_text(us.mid), added_text(us.low), added_text(us.high));
}

/// The noise floor in the sense of `kept`: for times the control's B/A is turned over.
[[nodiscard]] inline std::optional<tax_interval> kept_noise(const tax_line& line) {
    if (!line.noise || line.unit == tax_unit::gb_s) return line.noise;
    const tax_interval& n = *line.noise;
    if (!(n.low > 0) || !(n.mid > 0) || !(n.high > 0)) return std::nullopt;
    return tax_interval{1 / n.high, 1 / n.mid, 1 / n.low};
}

/// The article's claim as the share of A's performance that B keeps; for a claim in microseconds A's own time is needed.
[[nodiscard]] inline std::optional<std::pair<double, double>> kept_claim(const tax_claim& claim, const tax_line* line) {
    if (claim.kind == tax_claim_kind::kept) return std::pair{claim.low, claim.high};
    if (!line || line->verdict == tax_verdict::not_measured || !(line->a > 0)) return std::nullopt;
    return std::pair{line->a / (line->a + claim.high), line->a / (line->a + claim.low)};
}
/// The claim in a few words: `keeps 84.8 to 89.8 %`, `+3 to 8 ms`.
[[nodiscard]] inline std::string claim_text(const tax_claim& claim) {
    return claim.kind == tax_claim_kind::kept
               ? fmt::format("{} to {} %", share_digits(claim.low), share_digits(claim.high))
               : fmt::format("+{:g} to {:g} ms", claim.low / 1000, claim.high / 1000);
}

[[nodiscard]] inline std::string verdict_text(tax_verdict verdict, double margin) {
    switch (verdict) {
    case tax_verdict::no_tax: return "no tax beyond " + margin_text(margin);
    case tax_verdict::tax: return "tax";
    case tax_verdict::faster: return "B is faster";
    case tax_verdict::inconclusive: return "inconclusive";
    case tax_verdict::not_measured: return "not measured";
    }
    return "not measured";
}

/// What an inconclusive line needs; empty for the others.
[[nodiscard]] inline std::string runs_text(const tax_line& line) {
    if (line.verdict != tax_verdict::inconclusive || line.more_runs <= 0) return {};
    if (line.more_runs >= tax_most_runs) return fmt::format("{} more runs or above", tax_most_runs);
    return fmt::format("about {} more run{}", line.more_runs, line.more_runs == 1 ? "" : "s");
}

[[nodiscard]] inline std::string against_text(tax_against_claim against) {
    switch (against) {
    case tax_against_claim::less: return "a smaller loss than the article's";
    case tax_against_claim::allowed: return "the data allow the article's claim";
    case tax_against_claim::more: return "a larger loss than the article's";
    case tax_against_claim::not_measured: return {};
    }
    return {};
}

[[nodiscard]] inline const tax_line* shown_line(const tax_comparison& c, const tax_row_result& row) noexcept {
    return row.shown && *row.shown < c.lines.size() ? &c.lines[*row.shown] : nullptr;
}

/// `host link, NVLink and latency`.
[[nodiscard]] inline std::string enumeration(const std::vector<std::string>& names) {
    std::string said;
    for (std::size_t i = 0; i < names.size(); ++i)
        said += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
    return said;
}

/// A row's title within a sentence: `host link`, but `NVLink`.
[[nodiscard]] inline std::string row_name(const tax_claim& claim) {
    std::string name = claim.title;
    const bool word = name.size() > 1 && name[1] >= 'a' && name[1] <= 'z';
    if (word && name[0] >= 'A' && name[0] <= 'Z') name[0] = static_cast<char>(name[0] - 'A' + 'a');
    return name;
}

[[nodiscard]] inline std::string capitalised(const std::string& said) {
    std::string made = said;
    if (!made.empty() && made.front() >= 'a' && made.front() <= 'z')
        made.front() = static_cast<char>(made.front() - 'a' + 'A');
    return made;
}
[[nodiscard]] inline std::string as_sentence(const std::string& said) {
    std::string made = capitalised(said);
    if (!made.empty() && made.back() != '.') made += '.';
    return made;
}

/// The five verdicts in a sentence each, what costs most first.
[[nodiscard]] inline std::vector<std::string> summary(const tax_comparison& c) {
    std::vector<std::string> said;
    const auto say = [&](tax_verdict verdict, const char* before, bool with_figures) {
        std::vector<std::string> names;
        for (const tax_row_result& row : c.rows) {
            if (row.verdict != verdict) continue;
            const tax_line* line = shown_line(c, row);
            names.push_back(row_name(row.claim) +
                            (with_figures && line ? " (B keeps " + share_text(line->kept) + ")" : ""));
        }
        if (!names.empty()) said.push_back(before + enumeration(names) + ".");
    };
    say(tax_verdict::tax, "A tax on ", true);
    say(tax_verdict::inconclusive, "Inconclusive: ", true);
    say(tax_verdict::faster, "B is faster in ", true);
    say(tax_verdict::no_tax, "No tax beyond the margin on ", false);
    say(tax_verdict::not_measured, "Not measured: ", false);
    return said;
}

/// The bill in a sentence, always as an interval.
[[nodiscard]] inline std::string money_sentence(const tax_money& money) {
    const double low = money.more.low, high = money.more.high;
    std::string span;
    if (low >= 0)
        span = fmt::format("{} to {} more", money_text(low), money_text(high));
    else if (high <= 0)
        span = fmt::format("{} to {} less", money_text(-high), money_text(-low));
    else
        span = fmt::format("between {} less and {} more", money_text(-low), money_text(high));
    return fmt::format("The same work costs {} a month on B, on a bill of {}.", span, money_text(money.monthly_bill));
}
[[nodiscard]] inline std::string money_grounds(const tax_money& money) {
    return fmt::format("Interval of {:g} %, from the decode proxy alone ({}): B loses {} of A's throughput, and with a "
                       "share T lost the same work takes 1/(1-T) machines. The article says {} to {}.",
                       100 * money.level, money.from, share_text(money.lost),
                       money_text(claimed_bill_low * money.monthly_bill),
                       money_text(claimed_bill_high * money.monthly_bill));
}

/// What the negative control says, whatever it says.
[[nodiscard]] inline std::string negative_control(const tax_comparison& c) {
    const tax_row_result& memory = c.rows[static_cast<std::size_t>(tax_row::memory)];
    std::string said = "Memory bandwidth is the negative control: no layer between code and hardware touches it, so a "
                       "gap there says that the machines differ. ";
    switch (memory.verdict) {
    case tax_verdict::no_tax: return said + "There is none beyond the margin.";
    case tax_verdict::tax:
    case tax_verdict::faster: return said + "There is one: read the other rows with that in mind.";
    case tax_verdict::inconclusive: return said + "The data do not tell whether there is one.";
    case tax_verdict::not_measured: return said + "It was not measured, so nothing shows that the machines are alike.";
    }
    return said;
}

[[nodiscard]] inline bool has_noise(const tax_comparison& c) noexcept {
    return std::any_of(c.lines.begin(), c.lines.end(), [](const tax_line& line) { return line.noise.has_value(); });
}
[[nodiscard]] inline std::string noise_sentence(const tax_comparison& c) {
    return has_noise(c) ? "The noise floor is the interval that two reports of A give against each other."
                        : "No control pair was given, so the noise floor is unknown: a second report of A would "
                          "show it.";
}

/// What was compared, in the order of the table: name, A's, B's.
[[nodiscard]] inline std::vector<std::array<std::string, 3>> subject_rows(const tax_comparison& c) {
    const tax_subject &a = c.a.subject, &b = c.b.subject;
    const auto said = [](const std::string& text) { return text.empty() ? std::string("unknown") : text; };
    return {{"GPU", said(a.gpu), said(b.gpu)},
            {"GPUs", std::to_string(a.gpus), std::to_string(b.gpus)},
            {"driver", said(a.driver), said(b.driver)},
            {"CUDA", said(a.cuda), said(b.cuda)},
            {"ECC", said(a.ecc), said(b.ecc)},
            {"MIG", said(a.mig), said(b.mig)},
            {"power cap", said(a.power_cap), said(b.power_cap)},
            {"CPU", said(a.cpu), said(b.cpu)},
            {"hypervisor", said(a.hypervisor), said(b.hypervisor)},
            {"taken", said(c.a.taken), said(c.b.taken)},
            {"processes", std::to_string(c.a.processes), std::to_string(c.b.processes)}};
}
/// `8 x NVIDIA H100 80GB HBM3, driver 580.95.05, CUDA 13.0, hypervisor KVM`.
[[nodiscard]] inline std::string subject_text(const tax_subject& s) {
    return fmt::format("{} x {}, driver {}, CUDA {}, {}{}", s.gpus, s.gpu.empty() ? "unknown GPU" : s.gpu,
                       s.driver.empty() ? "unknown" : s.driver, s.cuda.empty() ? "unknown" : s.cuda,
                       s.hypervisor.empty()     ? "hypervisor unknown"
                       : s.hypervisor == "none" ? "no hypervisor"
                                                : "hypervisor " + s.hypervisor,
                       s.simulated ? ", simulated" : "");
}

/// Worst first, otherwise as they came.
[[nodiscard]] inline std::vector<finding> worst_first(std::vector<finding> findings) {
    std::stable_sort(findings.begin(), findings.end(),
                     [](const finding& x, const finding& y) { return x.level > y.level; });
    return findings;
}

} // namespace detail
BARELINK_END_NAMESPACE
