// The tax report's page, read back as XML: its structure, its figures, and names that would like to be markup.
#include <cstdlib>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <barelink/report/tax_page.hpp>

#include "svg_support.hpp"
#include "tax_samples.hpp"

namespace tax_page_test {

using barelink::tax_verdict;

/// Without the spaces that do not break.
std::string plain(std::string text) {
    for (std::size_t at = 0; (at = text.find("\xc2\xa0", at)) != std::string::npos; ++at) text.replace(at, 2, " ");
    return text;
}

/// All text within, in the order of reading.
std::string text_of(const pugi::xml_node& node) {
    std::string said = node.value();
    for (const auto& child : node.children()) said += text_of(child);
    return plain(said);
}

struct read_page {
    std::string source;
    pugi::xml_document document;

    explicit read_page(const tax_samples::pair& p) : source(tax_page(p.c, p.a, p.b)) {
        const auto parsed = document.load_buffer(source.data(), source.size());
        INFO(parsed.description()
             << " at " << parsed.offset << ": "
             << source.substr(static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, parsed.offset - 40)), 90));
        REQUIRE(parsed);
        REQUIRE(std::string(document.document_element().name()) == "html");
    }
    [[nodiscard]] std::vector<pugi::xml_node> all(const std::string& xpath) const {
        std::vector<pugi::xml_node> found;
        for (const auto& each : document.select_nodes(xpath.c_str())) found.push_back(each.node());
        return found;
    }
    [[nodiscard]] pugi::xml_node one(const std::string& xpath) const {
        const auto found = all(xpath);
        INFO(xpath);
        REQUIRE(found.size() == 1);
        return found.front();
    }
    [[nodiscard]] std::vector<std::string> texts(const std::string& xpath) const {
        std::vector<std::string> found;
        for (const auto& each : all(xpath)) found.push_back(text_of(each));
        return found;
    }
};

/// What every page must be, whatever the reports say.
void check_page(const read_page& page) {
    std::set<std::string> elements;
    for (const auto& each : page.all("//*")) elements.insert(each.name());
    for (const char* unsafe :
         {"script", "img", "iframe", "object", "embed", "form", "base", "foreignObject", "a", "use"})
        CHECK(elements.count(unsafe) == 0);
    for (const auto& each : page.all("//*/@*[starts-with(name(), 'on')]")) FAIL("handler on " << each.name());
    // The only reference of the page is to an icon that is empty, so that browsers ask nobody for one.
    for (const auto& each : page.document.select_nodes("//@src | //@href"))
        CHECK(std::string(each.attribute().value()) == "data:,");
    const std::string style = page.one("//style").text().get();
    for (const char* fetched : {"http:", "https:", "url(", "@import"}) CHECK(style.find(fetched) == std::string::npos);
    CHECK(style.find("prefers-color-scheme:dark") != std::string::npos);
    CHECK(style.find("@media print") != std::string::npos);
    for (const auto& svg : page.all("//svg[not(@aria-hidden)]")) {
        CHECK(std::strlen(svg.attribute("aria-label").value()) > 0);
        CHECK(std::strlen(svg.child("title").text().get()) > 0);
        CHECK(svg.child("desc"));
        const std::string box = svg.attribute("viewBox").value();
        const double width = std::strtod(box.c_str() + 4, nullptr);
        for (const auto& rect : svg.children("rect")) {
            const svg_box each(rect);
            if (!(each.x >= 0 && each.width >= 0 && each.x + each.width <= width + 0.2))
                FAIL_CHECK(svg.attribute("aria-label").value()
                           << ": " << each.what << " from " << each.x << ", " << each.width << " wide");
        }
    }
    for (const auto& attribute : page.document.select_nodes("//svg//@*[not(name()='aria-label')]")) {
        const std::string value = attribute.attribute().value();
        if (value.find("nan") != std::string::npos || value.find("inf") != std::string::npos)
            FAIL_CHECK(attribute.attribute().name() << "=" << value);
    }
}

const char* const row_titles[] = {"Host link", "Memory bandwidth", "Inference", "NVLink", "Latency"};

} // namespace tax_page_test

using namespace tax_page_test;

TEST_CASE("every row of the article has its verdict, and the table the comparison's figures", "[report]") {
    const tax_samples::pair p;
    const read_page page(p);
    check_page(page);
    CHECK(page.texts("//h1") == std::vector<std::string>{"Gap between two machines"});
    CHECK(page.texts("//table[@class='rows']//tr[th]/td[@class='said']/span[1]") ==
          std::vector<std::string>{"no tax beyond 2 %", "no tax beyond 2 %", "inconclusive", "tax", "tax"});
    const auto rows = page.all("//h2[.='The same in numbers']/following-sibling::div[1]//tbody/tr");
    REQUIRE(rows.size() == 5);
    std::vector<std::vector<std::string>> cells;
    for (const auto& row : rows) {
        cells.emplace_back();
        for (const auto& cell : row.children()) cells.back().push_back(text_of(cell));
    }
    CHECK(cells[0] == std::vector<std::string>{"Host link", "84.8 to 89.8 %", "55.3 GB/s", "54.9 GB/s",
                                               "99.3 % (99.0 to 99.6)", "99.7 to 100.3 %", "no tax beyond 2 %"});
    CHECK(cells[2] == std::vector<std::string>{"Inference", "70.0 to 85.0 %", "5.21 ms", "5.32 ms",
                                               "97.9 % (96.8 to 99.1)", "98.8 to 101.2 %", "inconclusive"});
    CHECK(cells[4] == std::vector<std::string>{"Latency", "+3 to 8 ms", "5.9 ms", "6.7 ms", "88.1 % (84.7 to 91.7)",
                                               "96.2 to 104.2 %", "tax"});
    // Each line of the comparison is a line of a row's table, with its statistic and verdict.
    const auto lines = page.all("//table[@class='lines']/tbody/tr");
    REQUIRE(lines.size() == p.c.lines.size());
    CHECK(text_of(lines[5].select_node("td[last()]").node()) == "inconclusive, about 7 more runs");
    CHECK(page.texts("//table[@class='lines']/tbody/tr/th[.='decode step, open loop at 150 a second']/@rowspan/..") ==
          std::vector<std::string>{"decode step, open loop at 150 a second"});
    CHECK(text_of(lines[11].select_node("td[last()]/span").node()) == "n too small");
    // The finding stands with the row that it explains, the money is an interval, nothing is marked.
    CHECK(text_of(page.one("//section[h2='NVLink']//li")).find("345 GB/s, 0.76 of nominal") != std::string::npos);
    CHECK(page.texts("//p[@class='sum']") ==
          std::vector<std::string>{"The same work costs 908 to 3,413 more a month on B, on a bill of 100,000."});
    CHECK(page.all("//*[@class='mark' or @class='banner']").empty());
}

TEST_CASE("bars lie on the axis where the figures say", "[report]") {
    const tax_samples::pair p;
    const read_page page(p);
    const pugi::xml_node axis = page.all("//table[@class='rows']//svg[@class='scale']").front();
    std::vector<std::pair<double, double>> ticks; // x, percent
    for (const auto& text : axis.children("text"))
        ticks.emplace_back(text.attribute("x").as_double(), std::strtod(text.text().get(), nullptr));
    REQUIRE(ticks.size() >= 4);
    const auto x_of = [&](double percent) {
        const auto &first = ticks.front(), &last = ticks.back();
        return first.first + (percent - first.second) * (last.first - first.first) / (last.second - first.second);
    };
    for (const auto& [x, percent] : ticks) CHECK(x == Approx(x_of(percent)).margin(0.11));
    for (std::size_t r = 0; r < 5; ++r) {
        INFO(row_titles[r]);
        const pugi::xml_node svg = page.one(std::string("//table[@class='rows']//svg[title='") + row_titles[r] + "']");
        const barelink::tax_line& line = p.c.lines[*p.c.rows[r].shown];
        const auto check_zone = [&](const char* classes, double low, double high) {
            const auto found = svg.select_nodes((std::string("rect[starts-with(@class,'") + classes + "')]").c_str());
            REQUIRE(found.size() == 1);
            const svg_box box(found.first().node());
            CHECK(box.x == Approx(x_of(100 * low)).margin(0.2));
            CHECK(box.x + box.width == Approx(std::max(x_of(100 * high), x_of(100 * low) + 1)).margin(0.2));
        };
        check_zone("bar", line.kept.low, line.kept.high);
        const auto noise = barelink::detail::kept_noise(line);
        REQUIRE(noise);
        check_zone("noise", noise->low, noise->high);
        if (r < 4) check_zone("claim", p.c.rows[r].claim.low, p.c.rows[r].claim.high);
        const svg_box dot(svg.select_node("rect[starts-with(@class,'dot')]").node());
        CHECK(dot.x + dot.width / 2 == Approx(x_of(100 * line.kept.mid)).margin(0.2));
        std::vector<double> margins;
        for (const auto& each : svg.select_nodes("line[@class='margin']"))
            margins.push_back(each.node().attribute("x1").as_double());
        REQUIRE(margins.size() == 2);
        CHECK(margins[0] == Approx(x_of(100 * (1 - line.margin))).margin(0.2));
        CHECK(margins[1] == Approx(x_of(100 * (1 + line.margin))).margin(0.2));
    }
    // The article's 3 to 8 ms of a P99 of 5.9 ms are far from the others: said, not drawn.
    const pugi::xml_node latency = page.one("//table[@class='rows']//svg[title='Latency']");
    CHECK(latency.select_nodes("rect[@class='claim']").empty());
    CHECK(text_of(latency.select_node("text[@class='off']").node()).find("+3 to 8 ms would be 42.4 to 66.3 %") !=
          std::string::npos);
}

TEST_CASE("a page is marked on screen and in print when its figures must not be taken for something else", "[report]") {
    tax_samples::pair p;
    p.c.watermark = {"the driver differs: 580.95.05 in A, 570.12 in B"};
    {
        const read_page page(p);
        check_page(page);
        CHECK(text_of(page.one("//div[@class='banner']")).find("The driver differs: 580.95.05 in A, 570.12 in B.") !=
              std::string::npos);
        for (const std::string& said : page.texts("//div[@class='mark']/span"))
            CHECK(said == "NOT A LIKE-FOR-LIKE COMPARISON");
        CHECK(page.all("//div[@class='mark']/span").size() == 3);
    }
    p.c.watermark.clear();
    p.c.simulated = true;
    const read_page page(p);
    CHECK(page.texts("//div[@class='mark']/span[1]") == std::vector<std::string>{"SIMULATED, NOT MEASURED"});
    CHECK(text_of(page.one("//div[@class='banner']")).find("no figure on this page is a measurement") !=
          std::string::npos);
    // Fixed elements are what browsers paint on every page of a print.
    const std::string style = page.one("//style").text().get();
    CHECK(style.find(".mark{position:fixed") != std::string::npos);
}

TEST_CASE("a report is not trusted: markup, control characters and broken UTF-8 in every text", "[report]") {
    tax_samples::pair p;
    const std::string evil = "<script>alert(1)</script>\"'>&amp;]]>\x1b[31m\x7f\xff\xc0\xaf\xed\xa0\x80\xe2\x80\xae"
                             "end";
    const std::string read =
        "<script>alert(1)</script>\"'>&amp;]]> [31m \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
        "\xef\xbf\xbd\xef\xbf\xbd end";
    for (barelink::tax_report* r : {&p.a, &p.b}) {
        for (std::string* text : {&r->name, &r->taken, &r->tool, &r->subject.gpu, &r->subject.driver, &r->subject.cuda,
                                  &r->subject.cpu, &r->subject.hypervisor, &r->subject.ecc})
            *text = evil;
        for (auto& series : r->series) series.what = series.method = evil;
        for (auto& absence : r->absent) absence.what = absence.why = evil;
        for (auto& f : r->findings) f.id = f.title = f.object = f.evidence = f.cost = f.remedy = evil;
    }
    p.c.a = {p.a.name, p.a.taken, p.a.subject, 10};
    p.c.b = {p.b.name, p.b.taken, p.b.subject, 10};
    p.c.title = p.c.method = p.c.no_money = evil;
    p.c.watermark = p.c.cautions = {evil};
    for (auto& line : p.c.lines) line.what = line.note = evil;
    for (auto& row : p.c.rows) {
        row.note = row.why = evil;
        row.only_a = row.only_b = p.b.findings;
    }
    p.c.rows[1].verdict = tax_verdict::not_measured;
    p.c.money->from = evil;
    const read_page page(p);
    check_page(page);
    CHECK(page.texts("//div[@class='machine a']/b/bdi") == std::vector<std::string>{read});
    CHECK(page.source.find("<script") == std::string::npos);
    for (const char c : page.source)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == '\x7f') FAIL("a control character got through");
    p.c.money.reset();
    check_page(read_page(p));
}

TEST_CASE("what was not measured is said with its reason, never drawn as zero", "[report]") {
    tax_samples::pair p;
    p.c.rows[3].verdict = tax_verdict::not_measured;
    p.c.rows[3].why = "one GPU: there is no NVLink";
    p.c.rows[3].shown.reset();
    p.c.rows[3].lines.clear();
    p.c.money.reset();
    p.c.no_money = "the decode proxy was not measured";
    for (auto& line : p.c.lines) line.noise.reset();
    const read_page page(p);
    check_page(page);
    const pugi::xml_node row = page.one("//table[@class='rows']//tr[th[starts-with(.,'NVLink')]]");
    CHECK(text_of(row.select_node("td[@class='said']/span[1]").node()) == "not measured");
    CHECK(text_of(row.select_node("td[@class='said']/span[2]").node()) == "one GPU: there is no NVLink");
    CHECK(row.select_nodes(".//rect[starts-with(@class,'bar')]").empty());
    CHECK(row.select_nodes(".//rect[@class='claim']").size() == 1);
    CHECK(page.texts("//h2[.='The same in numbers']/following-sibling::div[1]//tr[th='NVLink']/td[position()>1]") ==
          std::vector<std::string>{"\u2013", "\u2013", "\u2013", "\u2013", "not measured"});
    CHECK(page.texts("//p[@class='sum']") == std::vector<std::string>{"No figure for the bill."});
    CHECK(page.source.find("the noise floor is unknown") != std::string::npos);
    CHECK(page.all("//rect[@class='noise']").empty());

    // Nothing at all was measured, by either.
    tax_samples::pair none;
    none.a.series.clear();
    none.b = none.a;
    none.c = {};
    for (std::size_t r = 0; r < 5; ++r) none.c.rows[r].claim = barelink::tax_claims[r];
    const read_page empty(none);
    check_page(empty);
    CHECK(empty.texts("//table[@class='rows']//tr[th]/td[@class='said']/span[1]") ==
          std::vector<std::string>(5, "not measured"));
    CHECK(empty.all("//figure").empty());
}

TEST_CASE("what lies beyond the axis ends in an arrow at its end", "[report]") {
    tax_samples::pair p;
    auto& line = p.c.lines[0];
    line.kept = line.ratio = {2.2, 2.6, 3.1};
    line.verdict = p.c.rows[0].verdict = tax_verdict::faster;
    p.c.lines[7].kept = p.c.lines[7].ratio = {0.02, 0.03, 0.05};
    const read_page page(p);
    check_page(page);
    const pugi::xml_node faster = page.one("//table[@class='rows']//svg[title='Host link']");
    CHECK(faster.select_nodes("path").size() == 1);
    CHECK(faster.select_nodes("rect[starts-with(@class,'dot')]").empty());
    const pugi::xml_node slow = page.one("//table[@class='rows']//svg[title='NVLink']");
    CHECK(slow.select_nodes("path").empty());
    CHECK(slow.select_nodes("rect[starts-with(@class,'dot')]").size() == 1);
}

TEST_CASE("a spread shows both machines' times with their percentiles, labels apart", "[report]") {
    const tax_samples::pair p;
    const read_page page(p);
    CHECK(page.all("//figure").size() == 3);
    const pugi::xml_node svg = page.one("//figure[b='4 KiB from pinned memory, host side']/svg");
    CHECK(svg.select_nodes("path[@class='a-fill']").size() == 1);
    CHECK(svg.select_nodes("path[@class='b-fill']").size() == 1);
    const std::string said = svg.child("desc").text().get();
    CHECK(said == "A: 15000 samples, P50 6.1 us, P99 7.6 us, P99.9 24.2 us. B: 15000 samples, P50 6.9 us, P99 12.1 us, "
                  "P99.9 44 us.");
    // A mark stands where the time's logarithm says: held against the labels of the axis of time.
    std::vector<std::pair<double, double>> ticks;
    double right = 0;
    for (const auto& each : svg.select_nodes("text[@class='mid lab']")) {
        const std::string label = each.node().text().get();
        const double x = each.node().attribute("x").as_double();
        if (label.rfind("P", 0) == 0) continue;
        ticks.emplace_back(x, std::log(std::strtod(label.c_str(), nullptr)));
        const double half = barelink::detail::text_pixels(label, 10.5) / 2;
        CHECK(x - half > right);
        right = x + half;
    }
    REQUIRE(ticks.size() >= 2);
    const auto x_of = [&](double us) {
        const auto &a = ticks.front(), &b = ticks.back();
        return a.first + (std::log(us) - a.second) * (b.first - a.first) / (b.second - a.second);
    };
    std::vector<double> at;
    for (const auto& each : svg.select_nodes("line[@class='a-mark'][@x1=@x2]"))
        at.push_back(each.node().attribute("x1").as_double());
    REQUIRE(at.size() >= 3);
    CHECK(at[0] == Approx(x_of(6.1)).margin(0.5));
    CHECK(at.back() == Approx(x_of(24.2)).margin(0.5));
    // Labels of one side lie apart and within even where percentiles coincide, in the middle or at either end.
    for (const double where : {30.0, 1.0, 1000.0}) {
        barelink::detail::histogram_side same;
        same.times = {1, 30, 1000};
        same.p50 = same.p99 = same.p999 = where;
        const std::string close = barelink::detail::latency_svg(same, same, "t", "d");
        pugi::xml_document drawn;
        REQUIRE(drawn.load_buffer(close.data(), close.size()));
        double before = 0, row = 0;
        std::size_t labels = 0;
        for (const auto& each : drawn.select_nodes("//text[starts-with(.,'P')]")) {
            const double x = each.node().attribute("x").as_double(), y = each.node().attribute("y").as_double();
            const double half = barelink::detail::text_pixels(each.node().text().get(), 10.5) / 2;
            if (y != row) before = 0;
            row = y;
            CHECK(x - half >= before - 0.1);
            CHECK(x + half <= 500.1);
            before = x + half;
            ++labels;
        }
        CHECK(labels == 6);
    }
}

TEST_CASE("the height of a spread is the logarithm of the share", "[report]") {
    barelink::detail::histogram_side up, down;
    up.times.assign(999, 10);
    up.times.push_back(1000); // one of a thousand
    down.times = {10, std::numeric_limits<double>::quiet_NaN(), -3, 0};
    const std::string picture = barelink::detail::latency_svg(up, down, "t", "d");
    pugi::xml_document drawn;
    REQUIRE(drawn.load_buffer(picture.data(), picture.size()));
    const std::string outline = drawn.select_node("//path[@class='a-fill']").node().attribute("d").value();
    std::vector<double> levels;
    const double base = std::strtod(outline.c_str() + outline.find(' '), nullptr);
    for (std::size_t v = outline.find('V'); v != std::string::npos; v = outline.find('V', v + 1))
        levels.push_back(base - std::strtod(outline.c_str() + v + 1, nullptr));
    REQUIRE(levels.size() == 5); // up, down, up, down, and back to where it began
    const double tall = levels[0], low = levels[2];
    CHECK(levels[1] == Approx(0).margin(0.01));
    CHECK(levels[3] == Approx(0).margin(0.01));
    // Shares of 0.999 and 0.001 over a floor of half a sample in a thousand: 3.3 decades are the whole height of 82.
    CHECK(tall == Approx(82).margin(0.2));
    CHECK(low == Approx(82 * std::log10(2.0) / std::log10(2000.0)).margin(0.2));
    CHECK(picture.find("nan") == std::string::npos);
}
