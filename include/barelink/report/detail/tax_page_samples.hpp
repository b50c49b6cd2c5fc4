// What the tax page says of samples: how times are spread, how each quantity was measured, what was not. Private to the
// report layer.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <barelink/measure/tax_comparison.hpp>
#include <barelink/report/detail/html.hpp>
#include <barelink/report/detail/latency_histogram.hpp>
#include <barelink/report/detail/tax_words.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class tax_samples_writer {
public:
    tax_samples_writer(const tax_comparison& c, const tax_report& a, const tax_report& b, html_writer& page)
        : c_(c), a_(a), b_(b), page_(page) {}

    void spreads() {
        std::vector<const tax_series*> chosen;
        std::size_t all = 0;
        for (const bool headline : {true, false})
            for (const tax_series& series : a_.series) {
                if (series.unit != tax_unit::us || series.headline != headline || !find(b_, series.id)) continue;
                ++all;
                if (chosen.size() < most_spreads) chosen.push_back(&series);
            }
        if (chosen.empty()) return;
        page_.open("section");
        page_.element("h2", "How times are spread");
        page_.element(
            "p",
            "All samples of all processes: A upwards, B downwards. Time and share are logarithmic, because the "
            "tail is what users feel. Marks are percentiles of each process, averaged over the processes; one "
            "that the samples are too few for is left out.",
            "class=\"soft small\"");
        page_.open("div", "class=\"spreads\"");
        for (const tax_series* series : chosen) spread(*series, *find(b_, series->id));
        page_.close();
        if (all > chosen.size())
            page_.element(
                "p",
                fmt::format("{} more quantities are not drawn; the reports hold their samples.", all - chosen.size()),
                "class=\"soft small\" style=\"margin-top:10px\"");
        page_.close();
    }
    void methods() {
        page_.open("section");
        page_.element("h2", "Methods and samples");
        page_.open("div", "class=\"wide\"");
        page_.open("table");
        page_.head({26, 42, 16, 16}, {"Quantity", "How it was measured", "Samples of A", "Samples of B"});
        page_.open("tbody");
        for (const tax_series& series : a_.series) method(series, &series, find(b_, series.id));
        for (const tax_series& series : b_.series)
            if (!find(a_, series.id)) method(series, nullptr, &series);
        page_.close();
        page_.close();
        page_.close();
        absences("On A not measured", a_);
        absences("On B not measured", b_);
        page_.close();
    }

private:
    /// Headlines first, then in A's order; more than these would drown the rest.
    static constexpr std::size_t most_spreads = 12;

    void spread(const tax_series& a, const tax_series& b) {
        const histogram_side up = side_of(a, true), down = side_of(b, false);
        const auto said = [](const char* who, const histogram_side& side) {
            std::string text = fmt::format("{}: {} samples", who, side.times.size());
            for (const auto& [name, mark] :
                 {std::pair{"P50", side.p50}, std::pair{"P99", side.p99}, std::pair{"P99.9", side.p999}})
                if (mark) text += fmt::format(", {} {}", name, format_us(*mark));
            return text;
        };
        page_.open("figure");
        page_.element("b", a.what);
        page_.raw(latency_svg(up, down, "Spread of " + shown(a.what), said("A", up) + ". " + said("B", down) + "."));
        page_.open("figcaption", "class=\"num\"");
        page_.text(said("A", up));
        page_.raw("<br/>");
        page_.text(said("B", down));
        page_.close();
        page_.close();
    }
    [[nodiscard]] histogram_side side_of(const tax_series& series, bool is_a) const {
        histogram_side side;
        for (const tax_run& run : series.runs)
            side.times.insert(side.times.end(), run.samples.begin(), run.samples.end());
        for (const tax_line& line : c_.lines) {
            if (line.id != series.id || line.verdict == tax_verdict::not_measured) continue;
            const double value = is_a ? line.a : line.b;
            if (line.statistic == tax_statistic::p50) side.p50 = value;
            if (line.statistic == tax_statistic::p99) side.p99 = value;
            if (line.statistic == tax_statistic::p99_9) side.p999 = value;
        }
        return side;
    }
    [[nodiscard]] static const tax_series* find(const tax_report& report, std::string_view id) noexcept {
        for (const tax_series& series : report.series)
            if (series.id == id) return &series;
        return nullptr;
    }

    void method(const tax_series& series, const tax_series* a, const tax_series* b) {
        page_.open("tr");
        page_.element("td", series.what);
        page_.element("td", series.method);
        page_.element("td", samples_of(a), "class=\"num\"");
        page_.element("td", samples_of(b), "class=\"num\"");
        page_.close();
    }
    [[nodiscard]] static std::string samples_of(const tax_series* series) {
        if (!series) return "none";
        std::size_t all = 0;
        for (const tax_run& run : series->runs) all += run.samples.size();
        return fmt::format("{} in {} process{}{}", all, series->runs.size(), series->runs.size() == 1 ? "" : "es",
                           series->block > 1 ? fmt::format(", blocks of {}", series->block) : "");
    }
    void absences(const char* heading, const tax_report& report) {
        if (report.absent.empty()) return;
        page_.element("h3", heading);
        page_.open("ul", "class=\"why\"");
        for (const tax_absence& each : report.absent)
            page_.element("li", fmt::format("{}{}: {}", claim_of(each.row).title,
                                            each.what.empty() ? "" : ", " + each.what, as_sentence(each.why)));
        page_.close();
    }

    const tax_comparison& c_;
    const tax_report &a_, &b_;
    html_writer& page_;
};

} // namespace detail
BARELINK_END_NAMESPACE
