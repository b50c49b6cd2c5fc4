// What a benchmark of blocks prints and concludes, from numbers written by hand.
#include <string>
#include <vector>

#include <barelink/machine/builtin.hpp>

#include <tool/bench/bench_blocks_report.hpp>
#include <tool/bench/block_fit.hpp>

#include "../support/catch.hpp"

using namespace tool;

namespace {

way_result way(const char* name, double us, bool verified = true) {
    return {name, 1, {us, us, us}, {us / 2, us / 2, us / 2}, verified};
}

/// 4096 blocks of 32 KiB are 134 MB: 45 GB/s take 2983 us.
blocks_report of_two_cells(double own_us) {
    blocks_report report;
    report.facts.machine = "box";
    report.facts.gpus = {{"gpu:0", "NVIDIA H100 80GB HBM3", 80ull << 30}};
    report.asked.rounds = 3;
    report.asked.sizes = {32768, 262144};
    report.asked.counts = {16, 4096};
    report.asked.directions = {"h2d", "d2h"};
    report.asked.ways = {"loop", "batch", "barelink"};
    report.cells.push_back(
        {"h2d", 32768, 4096, {way("loop", 12000), way("batch", 4000), way("barelink", own_us)}, "kernel"});
    report.cells.push_back({"d2h", 262144, 16, {way("loop", 100), way("barelink", 101)}, "batch"});
    report.skipped.push_back({"d2h", 262144, 4096, "", "1 GiB on each side, 64 MiB are free"});
    report.skipped.push_back({"", 0, 0, "kernel", "this barelink was built without nvcc"});
    return report;
}

} // namespace

TEST_CASE("blocks: conditions follow from the medians", "[tool]") {
    const auto met = blocks_conditions(of_two_cells(2900));
    REQUIRE(met.size() == 3);
    CHECK(met[0].text == "at least 0.98 of the best other way: 2 of 2 cells");
    CHECK(met[1].text == "4096 x 32 KiB, host to GPU: at least 4 times the loop: 4.14");
    CHECK(met[2].text == "4096 x 32 KiB, host to GPU: 45 GB/s or more: 46.3");
    for (const blocks_condition& each : met) CHECK(each.met);

    const auto missed = blocks_conditions(of_two_cells(4100)); // 0.976 of the batch copy, 2.9 times the loop
    CHECK(missed[0].text == "at least 0.98 of the best other way: 1 of 2 cells");
    for (const blocks_condition& each : missed) CHECK_FALSE(each.met);

    blocks_report others = of_two_cells(1);
    for (blocks_cell& cell : others.cells) cell.ways.pop_back();
    CHECK(blocks_conditions(others).empty());
}

TEST_CASE("blocks: the best of the others is the fastest, barelink's own ways left out", "[tool]") {
    blocks_cell cell{"h2d", 1024, 16, {way("barelink", 1), way("loop", 9), way("staged", 5), way("prepared", 2)}, ""};
    REQUIRE(best_other(cell));
    CHECK(best_other(cell)->way == "staged");
    CHECK(times_as_fast(cell.ways[0], cell.ways[1]).median == 9);
    CHECK(keeps_up(cell));
    cell.ways[0].us = {5.11, 5.11, 5.11}; // 0.978
    CHECK_FALSE(keeps_up(cell));
    cell.ways[0].us = {5.1, 5.1, 5.1}; // 0.9804
    CHECK(keeps_up(cell));
}

TEST_CASE("blocks: text and JSON say what was measured, what was not, and whether bytes are right", "[tool]") {
    blocks_report report = of_two_cells(2900);
    const std::string text = blocks_text(report);
    INFO(text);
    CHECK(text.find("host to GPU") != std::string::npos);
    CHECK(text.find("  46.3") != std::string::npos);
    CHECK(text.find("4.14  verified  kernel") != std::string::npos);
    CHECK(text.find("met      4096 x 32 KiB, host to GPU: 45 GB/s") != std::string::npos);
    CHECK(text.find("NOT MET") == std::string::npos);
    CHECK(text.find("skipped: 4096 x 256 KiB, GPU to host: 1 GiB on each side") != std::string::npos);
    CHECK(text.find("skipped: kernel: this barelink was built without nvcc") != std::string::npos);
    CHECK(text.find("WRONG") == std::string::npos);
    CHECK(text.find("simulated") == std::string::npos);

    json out = blocks_json(report);
    CHECK(out["bench"] == "blocks");
    CHECK(out["verified"] == true);
    CHECK(out["conditions"][2]["met"] == true);
    CHECK(out["parameters"]["counts"] == json({16, 4096}));
    const json& ways = out["cells"][0]["ways"];
    CHECK(out["cells"][0]["best_other"] == "batch");
    CHECK(out["cells"][0]["barelink_went"] == "kernel");
    CHECK(ways[1]["of_best_other"].is_null());
    CHECK(ways[2]["of_best_other"]["median"].get<double>() == Approx(4000.0 / 2900));
    CHECK(ways[2]["of_loop"]["median"].get<double>() == Approx(12000.0 / 2900));
    CHECK(ways[2]["gb_s"].get<double>() == Approx(134217728 / 2900e3));
    CHECK(ways[2]["call_us"] == 1450);
    CHECK(out["skipped"][0]["way"].is_null());
    CHECK(out["skipped"][1]["way"] == "kernel");

    report.cells[1].ways[0].verified = false;
    report.facts.simulated = true;
    CHECK_FALSE(report.verified());
    CHECK(blocks_text(report).find("WRONG") != std::string::npos);
    CHECK(blocks_text(report).find(simulated_warning) != std::string::npos);
    out = blocks_json(report);
    CHECK(out["verified"] == false);
    CHECK(out["warning"] == simulated_warning);
}

TEST_CASE("blocks: costs are found again from times that follow them", "[tool]") {
    using namespace barelink;
    machine m = builtin::hgx_h100_8();
    const dma_path up = *m.path(m.memory(numa_id{0}), m.gpu(gpu_id{0})),
                   down = *m.path(m.gpu(gpu_id{0}), m.memory(numa_id{0}));
    blocks_report report;
    report.asked.multiprocessors = 16;
    const double share = 0.8, rate = up.gb_s * share;
    for (const char* direction : {"h2d", "d2h"})
        for (const std::uint64_t bytes : {1024u, 32768u, 262144u})
            for (const std::uint32_t count : {16u, 256u, 4096u, 65536u}) {
                const dma_path& path = direction[0] == 'h' ? up : down;
                const double all = static_cast<double>(bytes * count);
                const double batch = 3 + 0.7 * count + transfer_us(all, path.gb_s) + path.latency_us;
                const double kernel = m.costs.submit_us + 9 + 0.01 * count + transfer_us(all, rate) + path.latency_us;
                report.cells.push_back({direction, bytes, count, {way("batch", batch), way("kernel", kernel)}, ""});
            }
    block_costs costs;
    const auto found = fit_block_costs(m, report, costs);
    REQUIRE(found.size() == 5);
    CHECK(found[0].name == "batch_us");
    CHECK(found[0].before == block_costs{}.batch_us);
    CHECK(costs.batch_us == Approx(3).epsilon(1e-6));
    CHECK(costs.batch_block_us == Approx(0.7).epsilon(1e-6));
    CHECK(costs.kernel_us == Approx(9).epsilon(1e-6));
    CHECK(costs.kernel_block_us == Approx(0.01).epsilon(1e-6));
    CHECK(costs.kernel_link_share == Approx(share).epsilon(1e-6));
    CHECK(costs.row_us == block_costs{}.row_us);
    CHECK(costs.of(block_cost::batch_us) == evidence::measured);
    CHECK(costs.of(block_cost::kernel_link_share) == evidence::measured);
    CHECK(costs.of(block_cost::row_us) == evidence::assumed);
    CHECK(costs.of(block_cost::kernel_multiprocessor_gb_s) == evidence::assumed);

    // Faster than the links' rates say: no cost becomes negative.
    for (blocks_cell& cell : report.cells)
        for (way_result& each : cell.ways)
            for (double& us : each.us) us *= 0.5;
    block_costs cheaper;
    (void)fit_block_costs(m, report, cheaper);
    for (const double each : {cheaper.batch_us, cheaper.batch_block_us, cheaper.kernel_us, cheaper.kernel_block_us})
        CHECK(each >= 0);
    CHECK(cheaper.kernel_link_share <= 1);

    report.cells.resize(2); // too few for a fit
    block_costs same;
    CHECK(fit_block_costs(m, report, same).empty());
    CHECK(same == block_costs{});
}
