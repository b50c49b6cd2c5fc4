#include <string>

#include <tool/bench/bench_links_report.hpp>

#include "../support/catch.hpp"

namespace bench_links_report_test {

tool::links_cell cell(const char* from, const char* to, std::vector<double> gb_s) {
    tool::links_cell made;
    made.row = made.from = from;
    made.column = made.to = to;
    made.bytes = 1'000'000;
    made.copies = 16;
    made.verified = true;
    made.gb_s = std::move(gb_s);
    return made;
}

tool::links_report of_two_gpus() {
    tool::links_report report;
    report.facts.machine = "live";
    report.facts.gpus = {{"gpu:0", "NVIDIA A10", 24ull << 30}, {"gpu:1", "NVIDIA A10", 24ull << 30}};
    report.asked.bytes = 1'000'000;
    report.asked.gate = "spin kernel";
    tool::links_metric write;
    write.name = "device_to_device_memcpy_write_ce";
    write.in_nvbandwidth = true;
    write.rows = write.columns = {"gpu:0", "gpu:1"};
    write.cells = {cell("gpu:0", "gpu:1", {20, 25, 22}), cell("gpu:1", "gpu:0", {10, 10, 10})};
    tool::links_metric staged = write;
    staged.name = "staged_device_to_device";
    staged.in_nvbandwidth = false;
    staged.cells = {cell("gpu:0", "gpu:1", {5}), cell("gpu:1", "gpu:10", {4})};
    report.metrics = {write, staged};
    return report;
}

} // namespace bench_links_report_test

TEST_CASE("the window of copies that run together ends with the first that ends", "[bench_links_report_test]") {
    // 1 MB copies. The first flow is done after 200 us; the other one has then done one and two thirds.
    const tool::common_window window = tool::window_of({{100, 200}, {80, 260, 300}}, 1'000'000);
    CHECK(window.us == Approx(200));
    REQUIRE(window.gb_s.size() == 2);
    CHECK(window.gb_s[0] == Approx(10));
    CHECK(window.gb_s[1] == Approx((1 + 120.0 / 180) * 1e6 / 200e3));
    CHECK(window.total() == Approx(10 + 25.0 / 3));
    // One that has done nothing of its first copy but a part.
    CHECK(tool::window_of({{100}, {400}}, 1'000'000).gb_s[1] == Approx(2.5));
    CHECK(tool::window_of({}, 1).total() == 0);
}

TEST_CASE("figures are medians, with least, most and spread", "[bench_links_report_test]") {
    tool::links_report report = bench_links_report_test::of_two_gpus();
    const tool::links_cell& first = report.metrics[0].cells[0];
    CHECK(first.least() == 20);
    CHECK(first.most() == 25);
    CHECK(first.spread() == Approx(5.0 / 22));
    CHECK(first.us() == Approx(1e6 / 22e3));
    const tool::json out = tool::links_json(report);
    CHECK(out["metrics"][0]["cells"][0]["gb_s"] == 22);
    CHECK(out["metrics"][0]["cells"][0]["n"] == 3);
    CHECK(out["metrics"][0]["cells"][0]["samples_gb_s"].size() == 3);
    CHECK(out["verified"] == true);

    std::string text = tool::links_text(report);
    CHECK(text.find("22.00") != std::string::npos);
    CHECK(text.find("What nvbandwidth leaves out") != std::string::npos);
    CHECK(text.find("wrong") == std::string::npos);
    report.metrics[0].cells[1].verified = false;
    report.absent = {{"numa", {}, "one NUMA node"}, {"staged", "a", "late"}, {"staged", "b", "late"}};
    text = tool::links_text(report);
    CHECK(text.find("10.00!") != std::string::npos);
    CHECK(text.find("! the bytes that arrived are wrong") != std::string::npos);
    CHECK(text.find("not measured: numa: one NUMA node") != std::string::npos);
    CHECK(text.find("not measured: staged, 2 figures: late") != std::string::npos);
    CHECK(tool::links_json(report)["verified"] == false);
}

TEST_CASE("the map has what staging reaches only where there is no peer access", "[bench_links_report_test]") {
    const barelink::heat_map map = tool::links_map(bench_links_report_test::of_two_gpus());
    REQUIRE(map.rows == std::vector<std::string>{"gpu:0", "gpu:1", "gpu:10"});
    CHECK(map.first_rows == 0);
    CHECK(map.at(0, 1)->gb_s == 22);
    CHECK(map.at(0, 1)->mark.empty());
    CHECK(map.at(1, 2)->gb_s == 4);
    CHECK(map.at(1, 2)->mark == "s");
    CHECK(map.warning.empty());
    CHECK(map.title == "Links of this machine");
}
