// The tax report on a terminal, and the words that it shares with the page.
#include <string>
#include <vector>

#include <barelink/report/tax_text.hpp>

#include "../support/catch.hpp"
#include "tax_samples.hpp"

namespace tax_text_test {

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}
std::size_t at(const std::string& text, const std::string& part) {
    INFO(part << " in\n" << text);
    const std::size_t found = text.find(part);
    REQUIRE(found != std::string::npos);
    return found;
}

/// The line of the text that begins with this, its columns one space apart.
std::string row_of(const std::string& text, const std::string& title) {
    const std::size_t begin = at(text, "\n  " + title) + 3;
    std::string line;
    for (const char c : text.substr(begin, text.find('\n', begin) - begin))
        if (c != ' ' || line.empty() || line.back() != ' ') line += c;
    return line;
}

} // namespace tax_text_test

using namespace tax_text_test;
using namespace barelink;

TEST_CASE("the terminal says the verdicts, then the rows, then the money", "[report]") {
    const tax_samples::pair p;
    const std::string text = tax_text(p.c);
    CHECK(text.rfind("Gap between two machines\n", 0) == 0);
    CHECK(at(text, "A tax on NVLink (B keeps 86.8 to 87.5 %) and latency (B keeps 84.7 to 91.7 %).") <
          at(text, "Inconclusive: inference"));
    CHECK(at(text, "Inconclusive: inference") <
          at(text, "No tax beyond the margin on host link and memory bandwidth."));
    CHECK(row_of(text, "Host link") ==
          "Host link 84.8 to 89.8 % 55.3 GB/s 54.9 GB/s 99.3 % (99.0 to 99.6) 99.7 to 100.3 % no tax beyond 2 %");
    CHECK(row_of(text, "Latency") == "Latency +3 to 8 ms 5.9 ms 6.7 ms 88.1 % (84.7 to 91.7) 96.2 to 104.2 % tax");
    CHECK(has(row_of(text, "Inference"), "inconclusive, about 7 more runs"));
    CHECK(has(text, "P99 of latency: B adds +800 us (+532 us to +1.07 ms)"));
    CHECK(has(text, "The same work costs 908 to 3,413 more a month on B, on a bill of 100,000."));
    CHECK(has(text, "The article says\n  10,000 to 15,000."));
    CHECK(has(text, "on B: fail    NVL-01 NVLink rate (gpu:1): 345 GB/s"));
    CHECK(has(text, "Memory bandwidth is the negative control"));
    CHECK(has(text, "not measured (n too small)"));
    CHECK(has(row_of(text, "decode proxy, 14 GB"), "inconclusive, about 7 more runs"));
    CHECK_FALSE(has(text, "\x1b"));
    for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
        CHECK((end == begin || text[end - 1] != ' '));
    // The same words with colours.
    std::string bare;
    const std::string painted = tax_text(p.c, text_style{true});
    for (std::size_t i = 0; i < painted.size(); ++i) {
        if (painted[i] == '\x1b')
            i = painted.find('m', i);
        else
            bare += painted[i];
    }
    CHECK(painted.size() > bare.size());
    CHECK(bare == text);
}

TEST_CASE("lines without news are counted, rows without figures say why", "[report]") {
    tax_samples::pair p;
    p.c.lines[2].verdict = tax_verdict::no_tax; // all GPUs at once, no headline
    p.c.lines[12].verdict = p.c.lines[14].verdict = tax_verdict::not_measured;
    p.c.lines[12].note = p.c.lines[14].note = "n too small: 9 samples";
    p.c.rows[3].verdict = tax_verdict::not_measured;
    p.c.rows[3].why = "one GPU: there is no NVLink";
    p.c.rows[3].shown.reset();
    p.c.rows[3].lines.clear();
    p.c.rows[4].only_b.clear();
    p.c.rows[4].unexplained = true;
    p.c.money.reset();
    p.c.no_money = "the decode proxy was not measured";
    for (tax_line& line : p.c.lines) line.noise.reset();
    const std::string text = tax_text(p.c);
    CHECK(row_of(text, "NVLink") == "NVLink 75.0 to 80.0 % - - - - not measured: one GPU: there is no NVLink");
    CHECK(has(text, "  1 more: no tax beyond the margin\n"));
    CHECK(has(text, "  2 more: no figure, n too small: 9 samples\n"));
    CHECK_FALSE(has(text, "pinned memory to all 8 GPUs at once"));
    CHECK(has(text, "Unexplained: doctor found nothing on B that may explain it."));
    CHECK(has(text, "No figure for the bill: the decode proxy was not measured"));
    CHECK(has(text, "the noise floor is unknown"));
    CHECK(has(text, " unknown "));
}

TEST_CASE("of many quantities that differ the worst are listed, and the others counted", "[report]") {
    tax_samples::pair p;
    tax_line line = p.c.lines[8]; // the NVLink row's second
    REQUIRE(line.row == tax_row::nvlink);
    for (int i = 0; i < 20; ++i) {
        line.what = "pair " + std::to_string(i);
        line.kept.mid = 0.9 - 0.01 * i;
        line.verdict = i == 3 ? tax_verdict::tax : tax_verdict::inconclusive;
        line.note = "a note of a detail";
        p.c.rows[3].lines.push_back(p.c.lines.size());
        p.c.lines.push_back(line);
    }
    const std::string text = tax_text(p.c);
    CHECK(at(text, "\n  gpu:0 to gpu:1, one way") < at(text, "\n  pair 3 ")); // headlines first, then taxes
    CHECK(at(text, "\n  pair 3 ") < at(text, "\n  pair 19 "));
    CHECK(has(text, "\n  pair 12 "));
    CHECK_FALSE(has(text, "\n  pair 11 "));
    CHECK(has(text, "  11 more that differ less: the page and JSON have them\n"));
    CHECK_FALSE(has(text, "a note of a detail"));
}

TEST_CASE("names do not drive the terminal, and marks come before figures", "[report]") {
    tax_samples::pair p;
    p.c.a.name = "evil\x1b]0;title\x07\r\nname";
    p.c.watermark = {"the driver differs: 580.95.05 in A, 570.12 in B"};
    const std::string text = tax_text(p.c);
    CHECK(has(text, "evil ]0;title   name"));
    CHECK_FALSE(has(text, "\x1b"));
    CHECK_FALSE(has(text, "\x07"));
    CHECK(at(text, "! the driver differs") < at(text, "A tax on NVLink"));
    CHECK_FALSE(has(text, "simulated"));
    p.c.simulated = true;
    const std::string marked = tax_text(p.c);
    CHECK(at(marked, "! simulated GPUs: no figure is a measurement") < at(marked, "A tax on NVLink"));
}

TEST_CASE("one machine's report lists samples, percentiles that they allow, absences and findings", "[report]") {
    tax_report report = tax_samples::report(true);
    report.series[9].runs.resize(1);
    report.series[9].runs[0].samples.resize(367); // P99 needs 368
    const std::string text = tax_report_text(report);
    CHECK(has(text, "8 x NVIDIA H100 80GB HBM3, driver 580.95.05, CUDA 13.0, hypervisor KVM"));
    CHECK(has(text, "reading the clock costs 31.4 ns"));
    CHECK(has(row_of(text, "  4 KiB from pinned memory"), "n too small n too small 1 x 367"));
    const std::string step = row_of(text, "* decode step");
    CHECK(has(step, "10 x 1200"));
    CHECK_FALSE(has(step, "too small")); // 12,000 samples bound P99.9
    CHECK(has(text, "not measured, into one GPU over relays: the tool was told not to use relays"));
    CHECK(at(text, "fail    NVL-01") < at(text, "warn    VRT-06"));
    CHECK(has(text, "1 as they should be"));
    CHECK_FALSE(has(text, "simulated"));
    report.subject.simulated = true;
    CHECK(has(tax_report_text(report), "! simulated GPUs: no figure is a measurement"));
    // A median between two samples: the mean of them.
    tax_report two;
    two.series.push_back({"x", tax_row::memory, "copy", "m", tax_unit::gb_s, false, 1, 0, {{{4.0}}, {{6.0}}}});
    CHECK(row_of(tax_report_text(two), "  copy") == " copy 5 GB/s 4 GB/s 6 GB/s 2 x 1");
}

TEST_CASE("money is an interval in words, whichever side of nothing it lies", "[report]") {
    tax_money money;
    money.monthly_bill = 100000;
    money.more = {-310.4, 500, 1249.6};
    CHECK(detail::money_sentence(money) ==
          "The same work costs between 310 less and 1,250 more a month on B, on a bill of 100,000.");
    money.more = {-9000, -5000, -1000};
    CHECK(detail::money_sentence(money) ==
          "The same work costs 1,000 to 9,000 less a month on B, on a bill of 100,000.");
    CHECK(detail::money_text(1234567.4) == "1,234,567");
    CHECK(detail::money_text(-0.3) == "0");
    CHECK(detail::money_text(999.6) == "1,000");
}

TEST_CASE("shares, claims and the noise floor all count what B keeps", "[report]") {
    CHECK(detail::share_text(0.99974) == "100.0 %"); // rounded: not format_percent's caution
    CHECK(detail::share_text(0.0031) == "0.31 %");
    CHECK(detail::share_text(-0.0031) == "-0.31 %");
    tax_line line;
    line.unit = tax_unit::us;
    line.a = 5000;
    line.verdict = tax_verdict::tax;
    const auto claim = detail::kept_claim(claim_of(tax_row::latency), &line);
    REQUIRE(claim);
    CHECK(claim->first == Approx(5.0 / 13));
    CHECK(claim->second == Approx(5.0 / 8));
    CHECK_FALSE(detail::kept_claim(claim_of(tax_row::latency), nullptr));
    line.noise = tax_interval{0.98, 1.01, 1.04};
    CHECK(detail::kept_noise(line)->low == Approx(1 / 1.04));
    CHECK(detail::kept_noise(line)->high == Approx(1 / 0.98));
    line.unit = tax_unit::gb_s;
    CHECK(detail::kept_noise(line)->low == 0.98);
    line.verdict = tax_verdict::inconclusive;
    line.more_runs = 1;
    CHECK(detail::runs_text(line) == "about 1 more run");
    line.more_runs = tax_most_runs;
    CHECK(detail::runs_text(line) == "1000 more runs or above");
}

TEST_CASE("text is shown as UTF-8 or not at all", "[report]") {
    CHECK(detail::shown("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") == "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    const std::string mark = "\xef\xbf\xbd";
    CHECK(detail::shown("\xc3") == mark);                                  // cut short
    CHECK(detail::shown("\xc0\xaf") == mark + mark);                       // overlong
    CHECK(detail::shown("\xed\xa0\x80") == mark + mark + mark);            // a surrogate
    CHECK(detail::shown("\xf4\x90\x80\x80") == mark + mark + mark + mark); // beyond Unicode
    CHECK(detail::shown("a\tb\nc\x7f"
                        "d\xc2\x9b"
                        "e\xe2\x80\xae"
                        "f") == "a b c d e f");
}
