// The tax report's page as a whole: head, money, the sections in their order, foot. Private to the report layer.
#pragma once

#include <string>

#include <barelink/measure/tax_comparison.hpp>
#include <barelink/report/detail/page_style.hpp>
#include <barelink/report/detail/tax_page_machines.hpp>
#include <barelink/report/detail/tax_page_rows.hpp>
#include <barelink/report/detail/tax_page_samples.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class tax_page_writer {
public:
    tax_page_writer(const tax_comparison& c, const tax_report& a, const tax_report& b) : c_(c), a_(a), b_(b) {}

    [[nodiscard]] std::string str() {
        page_.open("main");
        head();
        money();
        tax_rows_writer rows(c_, page_);
        rows.charts();
        rows.numbers();
        for (const tax_row_result& row : c_.rows) rows.section(row);
        tax_samples_writer samples(c_, a_, b_, page_);
        samples.spreads();
        tax_machines_writer machines(c_, a_, b_, page_);
        machines.subjects();
        machines.doctor();
        samples.methods();
        foot();
        page_.close();
        return fmt::format(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
            "<meta name=\"color-scheme\" content=\"light dark\"/>\n<link rel=\"icon\" href=\"data:,\"/>\n"
            "<title>{}: {} and {}</title>\n<style>{}</style></head>\n<body>\n{}{}</body></html>\n",
            xml_escaped(shown(capitalised(c_.title))), xml_escaped(shown(c_.a.name)), xml_escaped(shown(c_.b.name)),
            page_style, watermark(), page_.str());
    }

private:
    [[nodiscard]] bool marked() const noexcept { return c_.simulated || !c_.watermark.empty(); }

    /// On every page of a print: a fixed element is painted on each.
    [[nodiscard]] std::string watermark() const {
        if (!marked()) return {};
        const std::string said = c_.simulated ? "SIMULATED, NOT MEASURED" : "NOT A LIKE-FOR-LIKE COMPARISON";
        std::string lines;
        for (int i = 0; i < 3; ++i) lines += "<span>" + said + "</span>";
        return "<div class=\"mark\" aria-hidden=\"true\">" + lines + "</div>\n";
    }

    void head() {
        page_.open("header");
        if (marked()) {
            page_.open("div", "class=\"banner\" role=\"note\"");
            page_.element("p", c_.simulated ? "Simulated: no figure on this page is a measurement."
                                            : "The two machines are not alike; these figures are no like-for-like "
                                              "comparison.");
            for (const std::string& why : c_.watermark) page_.element("p", as_sentence(why));
            page_.close();
        }
        page_.element("p", "Barelink tax report", "class=\"over\"");
        page_.element("h1", capitalised(c_.title));
        page_.open("p", "class=\"lead\"");
        for (const std::string& said : summary(c_)) page_.text(said + " ");
        page_.close();
        page_.open("div", "class=\"pair\"");
        machine("a", "A", c_.a);
        machine("b", "B", c_.b);
        page_.close();
        page_.close();
    }
    void machine(const char* side, const char* letter, const tax_side& of) {
        page_.open("div", fmt::format("class=\"machine {}\"", side));
        page_.element("span", letter, fmt::format("class=\"tag {}\"", side));
        page_.open("b");
        page_.element("bdi", of.name);
        page_.close();
        page_.element("p", subject_text(of.subject));
        page_.element("p", fmt::format("{}; {} process{}", of.taken, of.processes, of.processes == 1 ? "" : "es"));
        page_.close();
    }
    void money() {
        if (!c_.money && c_.no_money.empty()) return;
        page_.open("section", "class=\"money\" aria-label=\"Money\"");
        if (!c_.money) {
            page_.element("p", "No figure for the bill.", "class=\"sum\"");
            page_.element("p", as_sentence(c_.no_money), "class=\"soft\"");
            page_.close();
            return;
        }
        const tax_money& m = *c_.money;
        page_.element("p", money_sentence(m), "class=\"sum\"");
        page_.element("p", money_grounds(m), "class=\"soft small\"");
        const span_of_values claim{claimed_bill_low * m.monthly_bill, claimed_bill_high * m.monthly_bill};
        interval_axis axis = interval_axis::around({0, claim.first, claim.second, m.more.low, m.more.high},
                                                   -m.monthly_bill, 3 * m.monthly_bill);
        axis.width = 940;
        axis.label = money_text;
        interval_chart chart;
        chart.title = "What B adds to the bill, a month";
        chart.description = money_sentence(m);
        chart.measured = span_of_values{m.more.low, m.more.high};
        chart.estimate = m.more.mid;
        chart.claim = claim;
        chart.claim_label = "the article";
        chart.reference = 0;
        chart.colour = verdict_class(c_.rows[static_cast<std::size_t>(tax_row::inference)].verdict);
        page_.raw(axis_svg(axis));
        page_.raw(interval_svg(chart, axis, 34));
        page_.close();
    }

    void foot() {
        page_.open("footer");
        page_.element("p", c_.method);
        page_.element("p", fmt::format("A was measured by {}, B by {}.", a_.tool.empty() ? "an unknown tool" : a_.tool,
                                       b_.tool.empty() ? "an unknown tool" : b_.tool));
        page_.close();
    }

    const tax_comparison& c_;
    const tax_report &a_, &b_;
    html_writer page_;
};

} // namespace detail
BARELINK_END_NAMESPACE
