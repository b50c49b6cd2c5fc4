// Tax reports for a terminal: one machine's, and what two of them say about each other.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/order_statistics.hpp>
#include <barelink/measure/tax_comparison.hpp>
#include <barelink/report/detail/html.hpp>
#include <barelink/report/detail/tax_words.hpp>
#include <barelink/report/text_table.hpp>

BARELINK_BEGIN_NAMESPACE

/// The verdicts first, then the five rows held against the article's claims, the money, what doctor found on one machine only, and
/// of each row the quantities that are worth a line: those that its verdict rests on and those that differ or may differ. The
/// page and JSON have all of them, and what doctor found on one machine although the row shows no tax. Names are shown without control characters.
[[nodiscard]] std::string tax_text(const tax_comparison& c, text_style style = {});

/// One machine's report: each quantity with the samples behind it, what was not measured and why, doctor's findings.
[[nodiscard]] std::string tax_report_text(const tax_report& report, text_style style = {});

namespace detail {

class tax_terminal {
public:
    tax_terminal(const tax_comparison& c, text_style style) : c_(c), style_(style) {}

    [[nodiscard]] std::string str() {
        header();
        rows();
        money();
        for (const tax_row_result& row : c_.rows) lines(row);
        findings(c_.only_a, c_.only_b, "found on one machine only, of no row");
        out_ += '\n';
        paragraph(negative_control(c_));
        paragraph(noise_sentence(c_));
        for (const std::string& caution : c_.cautions) paragraph(as_sentence(caution));
        paragraph(c_.method);
        return out_;
    }

private:
    void header() {
        out_ += style_.bold(shown(capitalised(c_.title))) + "\n\n";
        if (c_.simulated) out_ += "  " + style_.bad("! simulated GPUs: no figure is a measurement") + '\n';
        for (const std::string& why : c_.watermark) out_ += "  " + style_.bad("! " + shown(why)) + '\n';
        if (c_.simulated || !c_.watermark.empty()) out_ += '\n';
        text_table sides("<<<");
        sides.row({"A", shown(c_.a.name), shown(subject_text(c_.a.subject))});
        sides.row({"B", shown(c_.b.name), shown(subject_text(c_.b.subject))});
        out_ += sides.str("  ", style_, false) + '\n';
        for (const std::string& said : summary(c_)) out_ += "  " + said + '\n';
        out_ += '\n';
    }
    /// Sentences, as wide as a terminal usually is at least.
    void paragraph(const std::string& said) {
        constexpr std::size_t widest = 100;
        std::string line = " ", rest = shown(said) + ' ';
        for (std::size_t at = 0, end; (end = rest.find(' ', at)) != std::string::npos; at = end + 1) {
            const std::string word = rest.substr(at, end - at);
            if (word.empty()) continue;
            if (text_width(line) + 1 + text_width(word) > widest) {
                out_ += style_.dim(line) + '\n';
                line = " ";
            }
            line += ' ' + word;
        }
        if (line.size() > 1) out_ += style_.dim(line) + '\n';
    }

    [[nodiscard]] std::string painted(tax_verdict verdict, const std::string& said) const {
        return verdict == tax_verdict::tax                                        ? style_.bad(said)
               : verdict == tax_verdict::no_tax || verdict == tax_verdict::faster ? style_.good(said)
                                                                                  : said;
    }
    /// The verdict and what an inconclusive one needs. Last in its row: colours do not count as columns.
    [[nodiscard]] std::string verdict(const tax_line& line) const {
        const std::string needs = runs_text(line);
        return painted(line.verdict, verdict_text(line.verdict, line.margin)) + (needs.empty() ? "" : ", " + needs);
    }
    [[nodiscard]] std::string verdict_and_note(const tax_line& line) const {
        return verdict(line) + (line.note.empty() ? "" : " (" + shown(line.note) + ")");
    }

    void rows() {
        text_table table("<<>><<<");
        table.row({"", "article: B keeps", "A", "B", "B keeps", "noise floor", "verdict"});
        for (const tax_row_result& row : c_.rows) {
            const tax_line* line = shown_line(c_, row);
            const std::string claim = claim_text(row.claim);
            if (!line || line->verdict == tax_verdict::not_measured) {
                table.row({row.claim.title, claim, "-", "-", "-", "-",
                           "not measured: " + shown(row.why.empty() && line ? line->note : row.why)});
                continue;
            }
            const auto noise = kept_noise(*line);
            table.row({row.claim.title, claim, value_text(line->a, line->unit), value_text(line->b, line->unit),
                       estimate_text(line->kept), noise ? share_text(*noise) : "unknown", verdict(*line)});
        }
        out_ += table.str("  ", style_);
        const tax_row_result& latency = c_.rows[static_cast<std::size_t>(tax_row::latency)];
        const tax_line* line = shown_line(c_, latency);
        if (line && line->added_us)
            out_ +=
                fmt::format("  {} of latency: B adds {}\n", to_string(line->statistic), added_text(*line->added_us));
    }
    void money() {
        if (c_.money) {
            out_ += "\n  " + style_.bold(money_sentence(*c_.money)) + '\n';
            paragraph(money_grounds(*c_.money));
        } else if (!c_.no_money.empty()) {
            out_ += "\n  No figure for the bill: " + shown(c_.no_money) + '\n';
        }
    }

    void quantity(text_table& table, const tax_line& line) const {
        table.row({shown(line.what), to_string(line.statistic), value_text(line.a, line.unit),
                   value_text(line.b, line.unit), estimate_text(line.kept),
                   line.headline ? verdict_and_note(line) : verdict(line)});
    }
    void lines(const tax_row_result& row) {
        out_ += '\n' + style_.bold(row.claim.title);
        const std::string against = against_text(row.against_claim);
        out_ += fmt::format(": the article says {}{}\n", row.claim.text, against.empty() ? "" : "; here " + against);
        text_table table("<<>><<");
        std::size_t others = 0;
        std::vector<std::pair<std::string, std::size_t>> missing; // how many for each reason
        std::vector<const tax_line*> news;
        for (const std::size_t at : row.lines) {
            const tax_line& line = c_.lines[at];
            if (line.headline && line.verdict == tax_verdict::not_measured) {
                table.row({shown(line.what), to_string(line.statistic), "-", "-", "-", verdict_and_note(line)});
            } else if (line.headline) {
                quantity(table, line);
            } else if (line.verdict == tax_verdict::not_measured) {
                const auto alike = std::find_if(missing.begin(), missing.end(),
                                                [&](const auto& each) { return each.first == line.note; });
                if (alike == missing.end())
                    missing.emplace_back(line.note, 1);
                else
                    ++alike->second;
            } else if (line.verdict == tax_verdict::no_tax) {
                ++others;
            } else {
                news.push_back(&line);
            }
        }
        // What costs most first; a server has 56 ordered pairs of GPUs.
        constexpr std::size_t most = 10;
        std::stable_sort(news.begin(), news.end(), [](const tax_line* x, const tax_line* y) {
            const bool x_tax = x->verdict == tax_verdict::tax, y_tax = y->verdict == tax_verdict::tax;
            return x_tax != y_tax ? x_tax : x->kept.mid < y->kept.mid;
        });
        for (std::size_t i = 0; i < std::min(most, news.size()); ++i) quantity(table, *news[i]);
        out_ += table.str("  ", style_, false);
        if (news.size() > most)
            out_ += fmt::format("  {} more that differ less: the page and JSON have them\n", news.size() - most);
        if (others > 0) out_ += fmt::format("  {} more: no tax beyond the margin\n", others);
        for (const auto& [why, count] : missing)
            out_ += fmt::format("  {} more: no figure{}\n", count, why.empty() ? "" : ", " + shown(why));
        if (row.verdict == tax_verdict::not_measured && !row.why.empty())
            out_ += "  not measured: " + shown(row.why) + '\n';
        const bool is_control = row.claim.row == tax_row::memory; // said at the end
        if (!row.note.empty() && !is_control) paragraph(as_sentence(row.note));
        const bool fine = row.verdict == tax_verdict::no_tax || row.verdict == tax_verdict::not_measured;
        if (!fine) findings(row.only_a, row.only_b, "");
        if (row.unexplained) out_ += "  Unexplained: doctor found nothing on B that may explain it.\n";
    }
    void findings(const std::vector<finding>& only_a, const std::vector<finding>& only_b, const char* heading) {
        if (only_a.empty() && only_b.empty()) return;
        if (*heading) out_ += '\n' + style_.bold(capitalised(heading)) + '\n';
        for (const auto& [side, all] : {std::pair{"B", &only_b}, std::pair{"A", &only_a}})
            for (const finding& each : worst_first(*all)) {
                const std::string level = fmt::format("{:7}", to_string(each.level));
                out_ += fmt::format("  on {}: {} {} {}{}: {}\n", side,
                                    each.level >= severity::warn ? style_.bad(level) : level, shown(each.id),
                                    shown(each.title), each.object.empty() ? "" : " (" + shown(each.object) + ")",
                                    shown(each.evidence));
            }
    }

    const tax_comparison& c_;
    text_style style_;
    std::string out_;
};

/// A quantile of all processes' samples; `n too small` where they are too few for it to be bounded.
[[nodiscard]] inline std::string quantile_text(const std::vector<double>& sorted, double p, tax_unit unit) {
    if (sorted.size() < samples_needed(p)) return "n too small";
    return value_text(quantile_of_sorted(sorted, p), unit);
}

} // namespace detail

inline std::string tax_text(const tax_comparison& c, text_style style) {
    return detail::tax_terminal(c, style).str();
}

inline std::string tax_report_text(const tax_report& report, text_style style) {
    using detail::shown;
    std::string out = style.bold(shown(report.name)) + "\n";
    out += fmt::format("  {}\n  taken {}, {} process{}, {}; reading the clock costs {} ns\n",
                       shown(detail::subject_text(report.subject)), shown(report.taken), report.processes,
                       report.processes == 1 ? "" : "es", shown(report.tool), detail::three_digits(report.clock_ns));
    if (report.subject.simulated) out += "  " + style.bad("! simulated GPUs: no figure is a measurement") + '\n';
    for (const tax_row row : tax_rows) {
        out += '\n' + style.bold(claim_of(row).title) + '\n';
        text_table rates("<>>>>"), times("<>>>>");
        rates.row({"", "median", "least", "most", "runs x samples"});
        times.row({"", "P50", "P99", "P99.9", "runs x samples"});
        bool any_rate = false, any_time = false;
        for (const tax_series& series : report.series) {
            if (series.row != row) continue;
            std::vector<double> all;
            for (const tax_run& run : series.runs) all.insert(all.end(), run.samples.begin(), run.samples.end());
            if (all.empty()) continue;
            std::sort(all.begin(), all.end());
            const std::string size = fmt::format("{} x {}", series.runs.size(), all.size() / series.runs.size());
            const std::string what = (series.headline ? "* " : "  ") + shown(series.what);
            if (series.unit == tax_unit::gb_s) {
                any_rate = true;
                rates.row({what, format_gb_s(quantile_of_sorted(all, 0.5)), format_gb_s(all.front()),
                           format_gb_s(all.back()), size});
            } else {
                any_time = true;
                times.row({what, format_us(quantile_of_sorted(all, 0.5)), detail::quantile_text(all, 0.99, series.unit),
                           detail::quantile_text(all, 0.999, series.unit), size});
            }
        }
        if (any_rate) out += rates.str("  ", style);
        if (any_time) out += times.str("  ", style);
        for (const tax_absence& absence : report.absent)
            if (absence.row == row)
                out += fmt::format("  not measured{}{}: {}\n", absence.what.empty() ? "" : ", ", shown(absence.what),
                                   shown(absence.why));
    }
    std::size_t well = 0;
    std::string told;
    for (const finding& each : detail::worst_first(report.findings)) {
        if (each.level == severity::ok) {
            ++well;
            continue;
        }
        const std::string level = fmt::format("{:7}", to_string(each.level));
        told += fmt::format("  {} {} {}{}: {}\n", each.level >= severity::warn ? style.bad(level) : level,
                            shown(each.id), shown(each.title),
                            each.object.empty() ? "" : " (" + shown(each.object) + ")", shown(each.evidence));
    }
    if (!report.findings.empty())
        out += fmt::format("\n{}\n{}  {} as they should be\n", style.bold("Doctor"), told, well);
    return out;
}

BARELINK_END_NAMESPACE
