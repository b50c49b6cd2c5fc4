// What the tax page says of the two machines: what they are, and what doctor found on each. Private to the report layer.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <barelink/measure/tax_comparison.hpp>
#include <barelink/report/detail/tax_page_marks.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class tax_machines_writer {
public:
    tax_machines_writer(const tax_comparison& c, const tax_report& a, const tax_report& b, html_writer& page)
        : c_(c), a_(a), b_(b), page_(page) {}

    void subjects() {
        page_.open("section");
        page_.element("h2", "What was compared");
        page_.open("div", "class=\"wide\"");
        page_.open("table");
        page_.head({20, 40, 40}, {"", "A", "B"});
        page_.open("tbody");
        for (const auto& [name, a, b] : subject_rows(c_)) {
            page_.open("tr");
            page_.element("th", name, "scope=\"row\"");
            page_.element("td", a);
            page_.element("td", b, a == b || name == "taken" ? "" : "class=\"diff\"");
            page_.close();
        }
        page_.open("tr");
        page_.element("th", "reading the clock", "scope=\"row\"");
        page_.element("td", fmt::format("{} ns", three_digits(a_.clock_ns)));
        page_.element("td", fmt::format("{} ns", three_digits(b_.clock_ns)));
        page_.close();
        page_.close();
        page_.close();
        page_.close();
        page_.close();
    }

    void doctor() {
        page_.open("section");
        page_.element("h2", "What doctor found");
        if (!c_.only_a.empty() || !c_.only_b.empty())
            page_.element("p",
                          fmt::format("{} findings differ between the machines and belong to no row; they are in "
                                      "the tables.",
                                      c_.only_a.size() + c_.only_b.size()),
                          "class=\"soft small\"");
        findings("On A", a_);
        findings("On B", b_);
        page_.close();
    }

private:
    void findings(const char* heading, const tax_report& report) {
        page_.open("h3");
        page_.text(std::string(heading) + ", ");
        page_.element("bdi", report.name);
        page_.close();
        std::vector<finding> all = worst_first(report.findings);
        const std::size_t before = all.size();
        std::erase_if(all, [](const finding& f) { return f.level == severity::ok; });
        if (before == 0) return page_.element("p", "The report holds no findings.", "class=\"soft\"");
        if (!all.empty()) {
            page_.open("div", "class=\"wide\"");
            page_.open("table");
            page_.head({8, 20, 28, 16, 28}, {"", "Check", "What was read", "Cost", "Remedy"});
            page_.open("tbody");
            for (const finding& each : all) {
                page_.open("tr");
                page_.open("td");
                write_level(page_, each.level);
                page_.close();
                page_.element("td", fmt::format("{} {}{}", each.id, each.title,
                                                each.object.empty() ? "" : " (" + each.object + ")"));
                page_.element("td", each.evidence);
                page_.element("td", each.cost);
                page_.element("td", each.remedy);
                page_.close();
            }
            page_.close();
            page_.close();
            page_.close();
        }
        page_.element("p",
                      fmt::format("{} check{} more: as {} should be.", before - all.size(),
                                  before - all.size() == 1 ? "" : "s", before - all.size() == 1 ? "it" : "they"),
                      "class=\"soft small\" style=\"margin-top:8px\"");
    }

    const tax_comparison& c_;
    const tax_report &a_, &b_;
    html_writer& page_;
};

} // namespace detail
BARELINK_END_NAMESPACE
