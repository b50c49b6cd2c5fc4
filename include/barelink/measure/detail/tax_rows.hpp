// The rows of a comparison: their verdicts, the article's claim, what doctor found that may explain them, and the money.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <barelink/measure/detail/tax_lines.hpp>
#include <barelink/measure/tax_comparison.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

/// Which rows a check may explain, by the start of its id: what the check is about (DOCTOR.md), not what it found.
struct explained_rows {
    std::string_view prefix;
    bool host_link, memory, inference, nvlink, latency;
};
inline constexpr explained_rows explanations[] = {
    // The host and its virtualization reach every step that the host waits for, and no kernel that runs alone.
    {"VRT-08", true, false, true, false, true}, // confidential guest: host copies too
    {"VRT-", false, false, true, false, true},
    {"PCI-01", true, false, true, true, true}, // links carry peer copies too
    {"PCI-02", true, false, true, true, true},
    {"PCI-06", true, false, false, true, false},
    {"PCI-", true, false, true, false, true},
    {"IOM-", true, false, true, true, true},
    {"ACS-", false, false, false, true, false},
    {"P2P-", true, false, false, true, false}, // relays into one GPU are copies between GPUs
    {"NVL-", true, false, false, true, false},
    {"TOP-", true, false, false, true, false},
    {"NUM-", true, true, true, false, true}, // host DRAM is in the memory row
    {"CPU-", false, true, true, false, true},
    {"MEM-", true, true, true, false, true},
    {"DRV-", true, true, true, true, true},
    {"GPU-", true, true, true, true, true},
    {"ENV-", true, true, true, true, true},
    {"TAX-02", false, false, false, true, false}, // pairs that are interrupted
};

/// Whether a check may explain a row; nothing for ids that the table does not know.
[[nodiscard]] constexpr bool may_explain(std::string_view id, tax_row row) noexcept {
    for (const explained_rows& e : explanations) {
        if (!id.starts_with(e.prefix)) continue;
        const std::array<bool, 5> explained{e.host_link, e.memory, e.inference, e.nvlink, e.latency};
        return explained[static_cast<std::size_t>(row)];
    }
    return false;
}

/// Findings of `mine` that are worse than what `other` has for the same check and object. `unknown` is not worse than ok:
/// the check could not look.
[[nodiscard]] inline std::vector<finding> worse_findings(const tax_report& mine, const tax_report& other) {
    const auto rank = [](const finding& f) {
        return f.level == severity::ok || f.level == severity::unknown ? 0 : static_cast<int>(f.level);
    };
    std::vector<finding> worse;
    for (const finding& f : mine.findings) {
        int best = 0;
        bool same_fact = false;
        for (const finding& o : other.findings)
            if (o.id == f.id && o.object == f.object) {
                best = std::max(best, rank(o));
                same_fact = same_fact || o.evidence == f.evidence;
            }
        // The hypervisor is no better or worse, and explains what differs.
        const bool other_hypervisor = f.id == "VRT-01" && f.level == severity::info && !same_fact &&
                                      mine.subject.hypervisor != other.subject.hypervisor;
        if (rank(f) > best || other_hypervisor) worse.push_back(f);
    }
    std::stable_sort(worse.begin(), worse.end(), [](const finding& x, const finding& y) { return x.level > y.level; });
    return worse;
}

[[nodiscard]] constexpr tax_against_claim hold_against(const tax_claim& claim, const tax_line& line) noexcept {
    if (claim.kind == tax_claim_kind::kept) {
        if (line.kept.low > claim.high) return tax_against_claim::less;
        return line.kept.high < claim.low ? tax_against_claim::more : tax_against_claim::allowed;
    }
    if (!line.added_us) return tax_against_claim::not_measured;
    if (line.added_us->high < claim.low) return tax_against_claim::less;
    return line.added_us->low > claim.high ? tax_against_claim::more : tax_against_claim::allowed;
}

/// Worst first: what a row's verdict takes from its headline lines.
[[nodiscard]] constexpr int badness(tax_verdict verdict) noexcept {
    switch (verdict) {
    case tax_verdict::tax: return 4;
    case tax_verdict::inconclusive: return 3;
    case tax_verdict::no_tax: return 2;
    case tax_verdict::faster: return 1;
    case tax_verdict::not_measured: return 0;
    }
    return 0;
}

/// Why a row has no verdict.
[[nodiscard]] inline std::string why_not_measured(const tax_report& a, const tax_report& b, const tax_comparison& made,
                                                  const tax_row_result& row) {
    std::string why;
    const auto reasons = [&](const tax_report& report, const char* side) {
        std::string said;
        for (const bool whole : {true, false})
            for (const tax_absence& absence : report.absent)
                if (absence.row == row.claim.row && absence.what.empty() == whole && (whole || said.empty()))
                    add_note(said, whole ? absence.why : absence.what + ": " + absence.why);
        return said.empty() ? said : side + said;
    };
    std::string in_a = reasons(a, "");
    const std::string in_b = reasons(b, "");
    if (!in_a.empty() && in_a == in_b) return in_a;
    if (!in_a.empty()) why = reasons(a, "A: ");
    if (!in_b.empty()) add_note(why, reasons(b, "B: "));
    if (!why.empty()) return why;
    if (row.lines.empty()) return "neither report has a figure for it";
    for (const std::size_t l : row.lines)
        if (made.lines[l].headline && !made.lines[l].note.empty())
            return made.lines[l].what + ": " + made.lines[l].note;
    return "no headline figure is in both reports";
}

inline void fill_rows(const tax_report& a, const tax_report& b, tax_comparison& made) {
    const std::vector<finding> only_a = worse_findings(a, b), only_b = worse_findings(b, a);
    const auto keep = [](const std::vector<finding>& from, auto wanted) {
        std::vector<finding> kept;
        std::copy_if(from.begin(), from.end(), std::back_inserter(kept), wanted);
        return kept;
    };
    for (std::size_t r = 0; r < tax_rows.size(); ++r) {
        tax_row_result& row = made.rows[r];
        row.claim = claim_of(tax_rows[r]);
        for (const bool headline : {true, false})
            for (std::size_t l = 0; l < made.lines.size(); ++l)
                if (made.lines[l].row == tax_rows[r] && made.lines[l].headline == headline) row.lines.push_back(l);
        for (const std::size_t l : row.lines) {
            const tax_line& line = made.lines[l];
            if (!line.headline || line.verdict == tax_verdict::not_measured) continue;
            const int more = row.shown ? badness(line.verdict) - badness(row.verdict) : 1;
            if (more < 0 || (more == 0 && line.kept.mid >= made.lines[*row.shown].kept.mid)) continue;
            row.shown = l;
            row.verdict = line.verdict;
        }
        const auto explains = [&](const finding& f) { return may_explain(f.id, tax_rows[r]); };
        row.only_a = keep(only_a, explains);
        row.only_b = keep(only_b, explains);
        if (!row.shown) {
            row.why = why_not_measured(a, b, made, row);
            continue;
        }
        row.against_claim = hold_against(row.claim, made.lines[*row.shown]);
        row.unexplained =
            row.verdict == tax_verdict::tax && std::none_of(row.only_b.begin(), row.only_b.end(),
                                                            [](const finding& f) { return f.level >= severity::warn; });
    }
    const auto explains_nothing = [](const finding& f) {
        return std::none_of(tax_rows.begin(), tax_rows.end(), [&](tax_row row) { return may_explain(f.id, row); });
    };
    made.only_a = keep(only_a, explains_nothing);
    made.only_b = keep(only_b, explains_nothing);
}

inline void add_cautions(const tax_report& a, const tax_report& b, tax_comparison& made) {
    tax_row_result& memory = made.rows[static_cast<std::size_t>(tax_row::memory)];
    if (memory.verdict == tax_verdict::tax || memory.verdict == tax_verdict::faster) {
        memory.note = "the negative control differs: no layer slows a GPU's reads of its own memory, so the machines "
                      "differ in more than the layer";
        made.cautions.push_back(
            "memory bandwidth, the negative control, differs: the other rows may differ for the same reason");
    } else if (memory.verdict == tax_verdict::no_tax) {
        memory.note = "the negative control: no layer slows a GPU's reads of its own memory, and here it does not";
    }
    if (made.simulated) made.cautions.push_back("GPUs were simulated: no figure is a measurement");
    if (a.subject.gpus != b.subject.gpus)
        made.cautions.push_back("A has " + std::to_string(a.subject.gpus) + " GPUs, B has " +
                                std::to_string(b.subject.gpus) + ": totals are not alike");
    if (!made.one_host && !a.subject.cpu.empty() && !b.subject.cpu.empty() && a.subject.cpu != b.subject.cpu)
        made.cautions.push_back("the CPUs differ: " + a.subject.cpu + " in A, " + b.subject.cpu + " in B");
    std::string unknown;
    for (const std::string& name : tax_gate_unknown(a.subject, b.subject))
        unknown += (unknown.empty() ? "" : ", ") + name;
    if (!unknown.empty()) made.cautions.push_back("not known of both, so not compared: " + unknown);
}

/// From the decode proxy alone: bandwidths are parts of a machine, a bill is for work done. Several headline proxies give
/// the interval that holds all of theirs, around the one with the largest loss.
inline void add_money(double bill, tax_comparison& made) {
    const tax_row_result& row = made.rows[static_cast<std::size_t>(tax_row::inference)];
    if (!row.shown) {
        made.no_money = "the decode proxy is not measured in both reports";
        return;
    }
    tax_money money;
    money.monthly_bill = bill;
    tax_interval kept = made.lines[*row.shown].kept;
    money.from = made.lines[*row.shown].id;
    money.level = made.lines[*row.shown].level;
    for (const std::size_t l : row.lines) {
        const tax_line& line = made.lines[l];
        if (!line.headline || line.verdict == tax_verdict::not_measured) continue;
        kept.low = std::min(kept.low, line.kept.low);
        kept.high = std::max(kept.high, line.kept.high);
        if (line.kept.mid < kept.mid) {
            kept.mid = line.kept.mid;
            money.from = line.id;
        }
    }
    if (made.lines[*row.shown].runs_a < 2 || made.lines[*row.shown].runs_b < 2) {
        made.no_money = "one process: how processes differ is not known";
        return;
    }
    money.lost = {1 - kept.high, 1 - kept.mid, 1 - kept.low};
    const auto more = [bill](double lost) { return bill * (1 / (1 - lost) - 1); };
    money.more = {more(money.lost.low), more(money.lost.mid), more(money.lost.high)};
    made.money = money;
}

[[nodiscard]] inline std::string describe_method(int resamples, std::size_t lines, double rate_margin,
                                                 double tail_margin) {
    char said[1024];
    std::snprintf(said, sizeof said,
                  "A figure is a statistic of each process, averaged over processes. Intervals: two-level bootstrap "
                  "(processes, then "
                  "blocks of steps), %d resamples, fixed seed, percentiles widened for few processes; 98 %% for what a "
                  "row rests on, 90 "
                  "%% elsewhere. A tax is a loss whose whole interval is beyond the margin (%g %% for rates and "
                  "medians, %g %% for P99 "
                  "and P99.9, fixed beforehand) and that chance, over all %zu figures together, shows in at most 5 %% "
                  "of comparisons of "
                  "machines that do not differ (Bonferroni); no tax: the whole interval is within the margin.",
                  resamples, 100 * rate_margin, 100 * tail_margin, lines);
    return said;
}

} // namespace detail

BARELINK_END_NAMESPACE
