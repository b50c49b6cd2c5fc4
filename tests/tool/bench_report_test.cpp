// What a benchmark of copies prints, and its statistics, from numbers written by hand.
#include <string>
#include <vector>

#include <tool/bench/bench_report.hpp>
#include <tool/pattern.hpp>

#include "../support/catch.hpp"

using namespace tool;

namespace {

copies_report of_one_case() {
    copies_report report;
    report.facts.machine = "box";
    report.facts.virtualized = true;
    report.facts.gpus = {{"gpu:0", "NVIDIA H100 80GB HBM3", 80ull << 30},
                         {"gpu:1", "NVIDIA H100 80GB HBM3", 80ull << 30},
                         {"gpu:2", "NVIDIA L4", 24ull << 30}};
    report.facts.cpu = "AMD EPYC 9654";
    report.facts.cpus = 192;
    report.facts.kernel = "Linux 6.8.0 x86_64";
    report.facts.date = "2026-01-02T03:04:05Z";
    report.facts.cuda_driver = 13010;
    report.facts.cuda_runtime = 13000;
    report.asked.rounds = 5;
    case_result found{"pinned-h2d", "pinned memory, host:0 \u2192 gpu:0", "host:0", "gpu:0", 1, "", {}};
    size_result size{1000000, {}};
    size.ways.push_back({"raw", 10, {100, 110, 120, 130, 140}, {3, 3, 3, 3, 3}, true});
    size.ways.push_back({"mover", 10, {50, 55, 60, 65, 70}, {1, 2, 3, 4, 5}, true});
    found.sizes.push_back(size);
    report.cases.push_back(found);
    return report;
}

} // namespace

TEST_CASE("the header says what the figures belong to", "[tool]") {
    bench_facts facts = of_one_case().facts;
    CHECK(header_text(facts) == "  machine  box, a virtual machine\n"
                                "  GPUs     gpu:0 to gpu:1: NVIDIA H100 80GB HBM3, 80 GiB\n"
                                "  GPU      gpu:2: NVIDIA L4, 24 GiB\n"
                                "  CPU      AMD EPYC 9654, 192 logical\n"
                                "  CUDA     driver for 13.1, runtime 13.0\n"
                                "  kernel   Linux 6.8.0 x86_64\n"
                                "  date     2026-01-02T03:04:05Z\n");
    facts.simulated = true;
    facts.driver = "NVRM version: 580";
    const std::string said = header_text(facts);
    CHECK(said.find("\n\n  simulated GPUs: times are not measurements\n") != std::string::npos);
    CHECK(said.find("  driver   NVRM version: 580\n") != std::string::npos);
}

TEST_CASE("figures in text and JSON follow from the samples", "[tool]") {
    const copies_report report = of_one_case();
    const std::string text = copies_text(report);
    INFO(text);
    CHECK(text.find("  8.33  ") != std::string::npos); // 1 MB in 120 us
    CHECK(text.find("  2.000  2.000 - 2.000  verified") != std::string::npos);
    CHECK(text.find("in the interval with 94 %") != std::string::npos);
    CHECK(text.find("simulated") == std::string::npos);
    const json out = copies_json(report);
    CHECK(out["simulated"] == false);
    CHECK(out["verified"] == true);
    const json& ways = out["cases"][0]["sizes"][0]["ways"];
    CHECK(ways[0]["median_us"] == 120.0);
    CHECK(ways[0]["q1_us"] == 110.0);
    CHECK(ways[0]["gb_s"].get<double>() == Approx(8.3333).epsilon(1e-4));
    CHECK(ways[0]["raw_over_way"].is_null());
    CHECK(ways[1]["raw_over_way"]["median"] == 2.0);
    CHECK(ways[1]["raw_over_way"]["coverage"].get<double>() == Approx(0.9375));
    CHECK(ways[1]["call_us"] == 3.0);
    CHECK(ways[1]["samples_us"].size() == 5);
}

TEST_CASE("both directions count twice, wrong bytes and simulated GPUs are not passed over", "[tool]") {
    copies_report report = of_one_case();
    report.cases[0].directions = 2;
    report.cases[0].sizes[0].ways[1].verified = false;
    report.facts.simulated = true;
    CHECK(gb_s(report.cases[0], report.cases[0].sizes[0], 100) == Approx(20));
    CHECK_FALSE(report.verified());
    CHECK(copies_text(report).find("WRONG") != std::string::npos);
    CHECK(copies_json(report)["warning"] == simulated_warning);
    const barelink::size_plot plot = copies_plot(report);
    CHECK(plot.warning == simulated_warning);
    REQUIRE(plot.panels.size() == 1);
    REQUIRE(plot.panels[0].series.size() == 2);
    CHECK(plot.panels[0].series[0].name == "raw");
    CHECK(plot.panels[0].series[0].points[0].second == Approx(16.667).epsilon(1e-3));
}

TEST_CASE("medians know how sure they are", "[tool]") {
    CHECK(quantile({4, 1, 3, 2}, 0.5) == 2.5);
    CHECK(quantile({}, 0.5) == 0);
    std::vector<double> values;
    for (int i = 11; i >= 1; --i) values.push_back(i);
    const median_interval eleven = interval_of(values); // third least to third greatest: 1 - 2 * 67 / 2048
    CHECK(eleven.median == 6);
    CHECK(eleven.low == 3);
    CHECK(eleven.high == 9);
    CHECK(eleven.coverage == Approx(1 - 134.0 / 2048));
    const median_interval three = interval_of({1, 2, 3});
    CHECK(three.low == 1);
    CHECK(three.high == 3);
    CHECK(three.coverage == Approx(0.75));
    CHECK(interval_of({7}).coverage == 0);
}

TEST_CASE("a pattern belongs to its place, its complement to none", "[tool]") {
    std::vector<unsigned char> bytes(1001, 0), other(1001, 0);
    fill(bytes.data(), bytes.size());
    CHECK(holds_pattern(bytes.data(), bytes.size()));
    CHECK(holds_pattern(bytes.data() + 64, 937, 64));
    CHECK_FALSE(holds_pattern(bytes.data() + 64, 937, 72));
    fill(other.data(), other.size(), 0, content::complement);
    for (std::size_t i = 0; i < bytes.size(); ++i) REQUIRE((bytes[i] ^ other[i]) == 0xff);
    for (const std::size_t at : {0u, 500u, 999u, 1000u}) {
        bytes[at] ^= 1;
        CHECK_FALSE(holds_pattern(bytes.data(), bytes.size()));
        bytes[at] ^= 1;
    }
}
