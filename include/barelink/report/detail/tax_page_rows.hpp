// The tax page's five rows: intervals against the article's claims, the same as numbers, each row's quantities. Private to the
// report layer.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/tax_comparison.hpp>
#include <barelink/report/detail/interval_chart.hpp>
#include <barelink/report/detail/tax_page_marks.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class tax_rows_writer {
public:
    tax_rows_writer(const tax_comparison& c, html_writer& page) : c_(c), page_(page), shares_(share_axis()) {}

    void charts() {
        page_.element("h2", "The five rows, held against the article");
        page_.element("p", "What B keeps of A's performance. Left of 100 % B is slower, for rates and for times alike.",
                      "class=\"soft small\"");
        page_.open("table", "class=\"rows\"");
        page_.open("tbody");
        scale();
        for (const tax_row_result& row : c_.rows) {
            const tax_line* line = shown_line(c_, row);
            page_.open("tr");
            page_.open("th", "scope=\"row\"");
            page_.text(row.claim.title);
            page_.element("span", std::string("article: ") + row.claim.text);
            page_.close();
            page_.open("td", "class=\"chart\"");
            interval_chart chart;
            if (line) chart = chart_of(*line);
            chart.title = row.claim.title;
            if (row.verdict == tax_verdict::not_measured) {
                chart.measured.reset();
                chart.absent = "not measured";
            }
            const auto claim = kept_claim(row.claim, line);
            if (claim && (100 * claim->second >= shares_.low))
                chart.claim = in_percent(claim->first, claim->second);
            else if (claim)
                chart.claim_off_axis = fmt::format("\u25c2 the article's {} would be {} to {} %", claim_text(row.claim),
                                                   share_digits(claim->first), share_digits(claim->second));
            page_.raw(interval_svg(chart, shares_));
            page_.close();
            page_.open("td", "class=\"said\"");
            write_chip(page_, row.verdict, line ? line->margin : 0);
            said_of(row, line);
            page_.close();
            page_.close();
        }
        page_.close();
        page_.close();
        legend();
    }
    void numbers() {
        page_.element("h2", "The same in numbers");
        page_.open("div", "class=\"wide\"");
        page_.open("table");
        page_.head({16, 14, 10, 10, 19, 14, 17},
                   {"Row", "Article: B keeps", "A", "B", "B keeps", "Noise floor", "Verdict"});
        page_.open("tbody");
        for (const tax_row_result& row : c_.rows) {
            const tax_line* line = shown_line(c_, row);
            const bool told = line && row.verdict != tax_verdict::not_measured;
            page_.open("tr");
            page_.open("th", "scope=\"row\"");
            page_.text(row.claim.title);
            page_.close();
            page_.element("td", claim_text(row.claim), "class=\"num\"");
            page_.element("td", told ? value_text(line->a, line->unit) : "\u2013", "class=\"num\"");
            page_.element("td", told ? value_text(line->b, line->unit) : "\u2013", "class=\"num\"");
            page_.element("td", told ? estimate_text(line->kept) : "\u2013", "class=\"num\"");
            page_.element("td", noise_of(told ? line : nullptr), "class=\"num\"");
            page_.element("td", verdict_text(row.verdict, line ? line->margin : 0));
            page_.close();
        }
        page_.close();
        page_.close();
        page_.close();
        page_.element("p", negative_control(c_) + " " + noise_sentence(c_),
                      "class=\"soft small\" style=\"margin-top:12px\"");
        for (const std::string& caution : c_.cautions) page_.element("p", as_sentence(caution), "class=\"small\"");
    }
    /// One row: what is claimed, what is found, what may explain it, every quantity.
    void section(const tax_row_result& row) {
        page_.open("section");
        page_.element("h2", row.claim.title);
        const tax_line* shown_here = shown_line(c_, row);
        std::string said = fmt::format("The article says: {}", row.claim.text);
        if (*row.claim.remark) said += fmt::format(" ({})", row.claim.remark);
        said += ".";
        if (row.verdict == tax_verdict::not_measured) {
            said += " Not measured here: " + (row.why.empty() ? "no reason was given" : row.why) + ".";
        } else if (shown_here) {
            const std::string against = against_text(row.against_claim);
            said += fmt::format(" Here: {}. It rests on {} ({}), where B keeps {}{}.",
                                verdict_text(row.verdict, shown_here->margin), shown_here->what,
                                to_string(shown_here->statistic), share_text(shown_here->kept),
                                against.empty() ? "" : ": " + against);
            if (shown_here->added_us) said += " B's time less A's: " + added_text(*shown_here->added_us) + ".";
        }
        page_.element("p", said);
        const bool is_control = row.claim.row == tax_row::memory; // said under the numbers
        if (!row.note.empty() && !is_control) page_.element("p", as_sentence(row.note));
        explain(row);
        if (row.unexplained) page_.element("p", "Unexplained: doctor found nothing on B that may explain this tax.");
        lines(row);
        page_.close();
    }

private:
    /// The axis of all charts of shares: every claim about rates, and what was measured, lies on it.
    [[nodiscard]] interval_axis share_axis() const {
        std::vector<double> values{98, 102};
        for (const tax_row_result& row : c_.rows) {
            if (row.claim.kind == tax_claim_kind::kept) {
                values.push_back(100 * row.claim.low);
                values.push_back(100 * row.claim.high);
            }
            const tax_line* line = shown_line(c_, row);
            if (!line || line->verdict == tax_verdict::not_measured) continue;
            values.insert(values.end(), {100 * line->kept.low, 100 * line->kept.high});
            values.insert(values.end(), {100 * (1 - line->margin), 100 * (1 + line->margin)});
        }
        interval_axis axis = interval_axis::around(values, 0, 150);
        axis.label = percent_label;
        return axis;
    }
    [[nodiscard]] static std::string percent_label(double value) { return fmt::format("{:g} %", value); }
    [[nodiscard]] static span_of_values in_percent(double low, double high) noexcept { return {100 * low, 100 * high}; }

    [[nodiscard]] interval_chart chart_of(const tax_line& line) const {
        interval_chart chart;
        chart.title = fmt::format("{} ({}): {}", shown(line.what), to_string(line.statistic),
                                  verdict_text(line.verdict, line.margin));
        chart.reference = 100;
        chart.colour = verdict_class(line.verdict);
        if (line.verdict == tax_verdict::not_measured) {
            chart.absent = "not measured";
            chart.description = shown(line.note);
            return chart;
        }
        chart.description = "B keeps " + estimate_text(line.kept) + " of A's performance.";
        chart.measured = in_percent(line.kept.low, line.kept.high);
        chart.estimate = 100 * line.kept.mid;
        chart.margin = in_percent(1 - line.margin, 1 + line.margin);
        if (const auto noise = kept_noise(line)) chart.noise = in_percent(noise->low, noise->high);
        return chart;
    }

    void said_of(const tax_row_result& row, const tax_line* line) {
        std::string said;
        if (row.verdict == tax_verdict::not_measured)
            said = row.why;
        else if (line)
            said = "B keeps " + share_text(line->kept) + (runs_text(*line).empty() ? "" : "; " + runs_text(*line));
        page_.element("span", said, "class=\"small num\"");
    }
    void scale() {
        page_.open("tr", "class=\"axis top\"");
        page_.element("td", "");
        page_.open("td", "class=\"chart\"");
        page_.raw(axis_svg(shares_));
        page_.close();
        page_.element("td", "");
        page_.close();
    }
    void legend() {
        const auto entry = [&](const char* drawn, const std::string& said) {
            page_.open("li");
            page_.raw(fmt::format("<svg viewBox=\"0 0 24 12\" aria-hidden=\"true\">{}</svg>", drawn));
            page_.text(said);
            page_.close();
        };
        page_.open("ul", "class=\"legend\"");
        entry("<rect x=\"0\" y=\"2\" width=\"24\" height=\"8\" rx=\"2\" class=\"bar v-gone\"/>"
              "<rect x=\"10\" y=\"0\" width=\"4\" height=\"12\" rx=\"2\" class=\"dot v-gone\"/>",
              fmt::format("measured: estimate and {} interval", level_text()));
        entry("<rect width=\"24\" height=\"12\" class=\"claim\"/>", "the article's claim");
        if (has_noise(c_)) entry("<rect width=\"24\" height=\"12\" class=\"noise\"/>", "noise floor: A against A");
        entry("<line x1=\"12\" x2=\"12\" y1=\"0\" y2=\"12\" class=\"margin\" stroke-width=\"1.2\" "
              "stroke-dasharray=\"3 3\"/>",
              "margin, fixed beforehand");
        entry("<line x1=\"12\" x2=\"12\" y1=\"0\" y2=\"12\" class=\"one\" stroke-width=\"1.2\"/>", "no difference");
        page_.close();
    }
    [[nodiscard]] std::string level_text() const {
        for (const tax_row_result& row : c_.rows)
            if (const tax_line* line = shown_line(c_, row); line && line->level > 0)
                return fmt::format("{:g} %", 100 * line->level);
        return "confidence";
    }

    [[nodiscard]] static std::string noise_of(const tax_line* line) {
        const auto noise = line ? kept_noise(*line) : std::nullopt;
        return noise ? share_text(*noise) : line ? "unknown" : "\u2013";
    }

    void explain(const tax_row_result& row) {
        if (row.only_a.empty() && row.only_b.empty()) return;
        const bool open = row.verdict == tax_verdict::tax || row.verdict == tax_verdict::inconclusive;
        page_.element("p", row.verdict == tax_verdict::no_tax
                               ? "Doctor found on one machine only, at no cost to this row beyond the margin:"
                           : open ? "Doctor found on one machine only what may explain it:"
                                  : "Doctor found on one machine only, of what may touch this row:");
        page_.open("ul", "class=\"why\"");
        for (const auto& [side, all] : {std::pair{"b", &row.only_b}, std::pair{"a", &row.only_a}})
            for (const finding& each : worst_first(*all)) {
                page_.open("li");
                page_.element("span", side[0] == 'a' ? "A" : "B", fmt::format("class=\"tag {}\"", side));
                write_level(page_, each.level);
                page_.text(fmt::format(" {} {}{}: {}", each.id, each.title,
                                       each.object.empty() ? "" : " (" + each.object + ")",
                                       as_sentence(each.evidence)));
                if (!each.cost.empty()) page_.text(" Cost: " + as_sentence(each.cost));
                if (!each.remedy.empty()) page_.text(" Remedy: " + as_sentence(each.remedy));
                page_.close();
            }
        page_.close();
    }
    void lines(const tax_row_result& row) {
        if (row.lines.empty()) return;
        const interval_axis axis = axis_of(row);
        page_.open("div", "class=\"wide\"");
        page_.open("table", "class=\"lines\"");
        page_.raw("<colgroup>");
        for (const char* width : {"20", "5", "8.5", "8.5", "16.5", "14.5", "12", "15"})
            page_.raw(fmt::format("<col style=\"width:{}%\"/>", width));
        page_.raw("</colgroup>\n");
        page_.open("thead");
        page_.open("tr");
        page_.element("th", "Quantity", "scope=\"col\"");
        page_.element("th", "", "scope=\"col\"");
        for (const char* cell : {"A", "B"}) page_.element("th", cell, "scope=\"col\" class=\"r\"");
        page_.element("th", "B keeps", "scope=\"col\"");
        page_.open("th", "scope=\"col\" class=\"mini\"");
        page_.raw(axis_svg(axis));
        page_.close();
        page_.element("th", "Noise floor", "scope=\"col\"");
        page_.element("th", "Verdict", "scope=\"col\"");
        page_.close();
        page_.close();
        page_.open("tbody");
        for (std::size_t i = 0; i < row.lines.size(); ++i) {
            const tax_line& line = c_.lines[row.lines[i]];
            std::size_t alike = 1;
            while (i + alike < row.lines.size() && c_.lines[row.lines[i + alike]].id == line.id) ++alike;
            const bool first = i == 0 || c_.lines[row.lines[i - 1]].id != line.id;
            page_.open("tr", line.headline ? "class=\"head\"" : "");
            if (first)
                page_.element("th", line.what,
                              alike > 1 ? fmt::format("scope=\"rowgroup\" rowspan=\"{}\"", alike) : "scope=\"row\"");
            cells_of(line, axis);
            page_.close();
        }
        page_.close();
        page_.close();
        page_.close();
    }
    void cells_of(const tax_line& line, const interval_axis& axis) {
        const bool told = line.verdict != tax_verdict::not_measured;
        page_.element("td", to_string(line.statistic), "class=\"soft\"");
        page_.element("td", told ? value_text(line.a, line.unit) : "\u2013", "class=\"r\"");
        page_.element("td", told ? value_text(line.b, line.unit) : "\u2013", "class=\"r\"");
        page_.element("td", told ? estimate_text(line.kept) : "\u2013", "class=\"num\"");
        page_.open("td", "class=\"mini\"");
        if (told) page_.raw(interval_svg(chart_of(line), axis, 20));
        page_.close();
        page_.element("td", noise_of(told ? &line : nullptr), "class=\"num\"");
        page_.open("td");
        page_.text(verdict_text(line.verdict, line.margin));
        const std::string needs = runs_text(line);
        if (!needs.empty()) page_.text(", " + needs);
        if (!line.note.empty()) page_.element("span", line.note, "class=\"note\"");
        page_.close();
    }

    /// A row's own axis: its quantities differ by less than the rows do.
    [[nodiscard]] interval_axis axis_of(const tax_row_result& row) const {
        std::vector<double> values{98, 102};
        for (const std::size_t at : row.lines) {
            const tax_line& line = c_.lines[at];
            if (line.verdict == tax_verdict::not_measured) continue;
            values.insert(values.end(), {100 * line.kept.low, 100 * line.kept.high, 100 * (1 - line.margin),
                                         100 * (1 + line.margin)});
        }
        interval_axis axis = interval_axis::around(values, 0, 150, 3);
        axis.width = 160;
        axis.label = percent_label;
        return axis;
    }

    const tax_comparison& c_;
    html_writer& page_;
    interval_axis shares_;
};

} // namespace detail
BARELINK_END_NAMESPACE
