// What a benchmark of broadcasts prints and concludes, from numbers written by hand.
#include <string>
#include <vector>

#include <tool/bench/bench_broadcast_report.hpp>

#include "../support/catch.hpp"

using namespace tool;

namespace {

broadcast_cell::way way(const char* name, std::vector<double> us, bool verified = true) {
    broadcast_cell::way made;
    made.way_result::way = name;
    made.us = us;
    made.wall_us = us;
    made.submit = {7, 7, 7};
    made.verified = verified;
    return made;
}

/// 1 GB to every GPU in 20 ms by itself, 4 ms by barelink; 2 ms are the bound.
broadcast_report of_two_cells() {
    broadcast_report report;
    report.facts.machine = "box";
    report.facts.gpus = {{"gpu:0", "NVIDIA H100 80GB HBM3", 80ull << 30}};
    report.asked.rounds = 3;
    report.asked.sizes = {1000000000, 2000000000};
    report.asked.cases = {"broadcast", "exchange"};
    report.asked.stripe_bytes = 32 << 20;
    report.asked.numa_nodes = 2;
    report.cells.push_back({"broadcast",
                            1000000000,
                            1000000000,
                            500,
                            3900,
                            8,
                            {way("pulls", {20000, 20000, 24000}), way("fan-out", {40000, 40000, 40000}),
                             way("barelink", {4000, 4000, 4000})}});
    report.cells.push_back({"exchange",
                            1000000000,
                            7000000000,
                            3500,
                            2000,
                            56,
                            {way("loop", {2500, 2500, 2500}), way("barelink", {2000, 2500, 2600})}});
    report.skipped.push_back({"broadcast", "gpu:0 has 1 GiB left, 3 GiB are needed", 2000000000});
    return report;
}

} // namespace

TEST_CASE("broadcast: rates are of what each case moves, ratios of the rounds", "[tool]") {
    const broadcast_report report = of_two_cells();
    const broadcast_cell &to_all = report.cells[0], &exchange = report.cells[1];
    CHECK(gb_s(to_all, to_all.ways[0]) == Approx(50));
    CHECK(gb_s(to_all, to_all.ways[2]) == Approx(250));
    CHECK(of_bound(to_all, to_all.ways[2]) == Approx(0.5));
    CHECK(gb_s(exchange, exchange.ways[0]) == Approx(2800));
    CHECK(of_bound(exchange, exchange.ways[1]) == Approx(0.8));
    CHECK(report.verified());

    const std::string text = broadcast_text(report);
    INFO(text);
    for (const char* part : {"box", "striped over 2 NUMA nodes by 32 MiB", "GB/s that every GPU receives", "5.00 x",
                             "5.00 - 6.00", "10.00 x", "bound", "predicted 3.9 ms", "1.00 x", "0.96 - 1.25",
                             "skipped: broadcast, 1.86 GiB: gpu:0 has 1 GiB left, 3 GiB are needed"})
        CHECK(text.find(part) != std::string::npos);
    CHECK(text.find("WRONG") == std::string::npos);
    CHECK(text.find("scatter: a part") == std::string::npos); // nobody asked
    CHECK(text.find(simulated_warning) == std::string::npos);
}

TEST_CASE("broadcast: JSON has every parameter, sample and ratio, and says what is wrong", "[tool]") {
    broadcast_report report = of_two_cells();
    json out = broadcast_json(report);
    CHECK(out["bench"] == "broadcast");
    CHECK(out["verified"] == true);
    CHECK(out["parameters"]["stripe_bytes"] == 32 << 20);
    CHECK(out["parameters"]["cases"] == json({"broadcast", "exchange"}));
    CHECK(out["cells"][0]["trees"] == 8);
    CHECK(out["cells"][1]["routes"] == 56);
    CHECK(out["cells"][1]["moved_bytes"] == 7000000000);
    CHECK(out["cells"][0]["bound_gb_s"] == 500);
    const json& ways = out["cells"][0]["ways"];
    CHECK(ways[0]["barelink_times_as_fast"]["median"] == 5);
    CHECK(ways[0]["samples_us"] == json({20000, 20000, 24000}));
    CHECK(ways[2]["barelink_times_as_fast"].is_null());
    CHECK(ways[2]["of_bound"].get<double>() == Approx(0.5));
    CHECK(ways[2]["call_us"] == 7);
    CHECK(out["skipped"][0]["case"] == "broadcast");

    report.cells[1].ways[1].verified = false;
    report.facts.simulated = true;
    report.failures.push_back("gather, 1 GiB: lost");
    CHECK_FALSE(report.verified());
    const std::string text = broadcast_text(report);
    CHECK(text.find("WRONG") != std::string::npos);
    CHECK(text.find("failed: gather, 1 GiB: lost") != std::string::npos);
    CHECK(text.find(simulated_warning) != std::string::npos);
    out = broadcast_json(report);
    CHECK(out["verified"] == false);
    CHECK(out["warning"] == simulated_warning);
}
