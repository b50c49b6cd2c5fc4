#include <string>

#include <barelink/machine/builtin.hpp>
#include <barelink/report/explain.hpp>

#include "../support/catch.hpp"
#include "../support/endpoints.hpp"

using namespace barelink;
using test::gpu;
using test::host;

namespace {

request asking(endpoint from, endpoint to, std::uint64_t bytes, bool relays) {
    request asked;
    asked.from = from;
    asked.to = to;
    asked.bytes = bytes;
    if (relays) asked.relays = gpu_set::all();
    return asked;
}

} // namespace

TEST_CASE("a plan is told with its routes, figures and reasons", "[report]") {
    const machine m = builtin::hgx_h100_8();
    const plan p = default_planner(m).make(asking(endpoint::host_all(), gpu(0), GiB, true)).value();
    const std::string text = plan_text(m, p);
    CHECK(text.rfind("host:all -> gpu:0, 1 GiB on hgx-h100-8\n", 0) == 0);
    CHECK(text.find("numa:0 -> gpu:0 ") != std::string::npos);
    CHECK(text.find("numa:1 -> gpu:7 -> gpu:0 ") != std::string::npos);
    CHECK(text.find("bound      442 GB/s") != std::string::npos);
    CHECK(text.find("pcie package:1 -> root:7 -> switch:7 -> gpu:7  55.3 GB/s") != std::string::npos);
    CHECK(text.find("the direct path alone takes 19.4 ms, 55.3 GB/s") != std::string::npos);
    CHECK(text.find("not used   peer_path: one end is host memory") != std::string::npos);
    CHECK(text.find(format_gb_s(p.predicted_gb_s())) != std::string::npos);
}

TEST_CASE("the links of one chain are one limit", "[report]") {
    const machine m = builtin::hgx_h100_8();
    const plan p = default_planner(m).make(asking(endpoint::host_all(), gpu(0), GiB, true)).value();
    const auto chains = chain_limits(m, p);
    CHECK(p.limits.size() == 24);
    REQUIRE(chains.size() == 8);
    for (const limit_chain& chain : chains) {
        CHECK(chain.hops.size() == 3);
        CHECK(chain.gb_s == Approx(55.3));
        CHECK(chain.weight == Approx(1));
    }
}

TEST_CASE("limits that branch stay apart", "[report]") {
    // Two GPUs' links into one switch, and the switch's into a third: no chain, whatever their rates.
    machine_builder box("branch");
    const gpu_model model = *find_gpu_model(nvidia_vendor, 0x2330);
    const node_index cpu = box.package({"CPU", 1, 100, 100, GiB});
    for (int g = 0; g < 3; ++g) box.gpu(box.root_port(cpu, {50, 50}), model, {50, 50});
    const machine m = std::move(box.nvswitch()).finish();
    std::uint32_t nvlink[3] = {}, found = 0;
    for (std::uint32_t l = 0; l < m.links.size(); ++l)
        if (m.links[l].kind == link_kind::nvlink) nvlink[found++] = l;
    REQUIRE(found == 3);
    plan p;
    const auto add = [&](std::uint32_t l, bool reverse) { p.limits.push_back({{link_index{l}, reverse}, 395, 1}); };
    add(nvlink[0], false);
    add(nvlink[1], false);
    add(nvlink[2], true);
    CHECK(chain_limits(m, p).size() == 3);
    p.limits.clear();
    add(nvlink[0], false);
    add(nvlink[1], true);
    add(nvlink[2], true);
    CHECK(chain_limits(m, p).size() == 3);
    p.limits.erase(p.limits.begin() + 1);
    REQUIRE(chain_limits(m, p).size() == 1);
    CHECK(to_string(m, chain_limits(m, p)[0]) == "nvlink gpu:0 -> nvswitch -> gpu:2");
    p.limits.push_back({{link_index{static_cast<std::uint32_t>(m.links.size())}, false}, 80, 1});
    REQUIRE(chain_limits(m, p).size() == 2);
    CHECK(to_string(m, chain_limits(m, p)[1]) == "the host's copying threads");
}

TEST_CASE("the crossover is where plans begin to split", "[report]") {
    struct row {
        machine m;
        endpoint from, to;
    };
    const row rows[] = {{builtin::hgx_h100_8(), host(0), gpu(0)},
                        {builtin::hgx_h100_8(), endpoint::host_all(), gpu(3)},
                        {builtin::dgx_a100(), gpu(1), host(0)},
                        {builtin::dgx1_v100(), gpu(0), gpu(3)}};
    for (const row& each : rows) {
        request asked = asking(each.from, each.to, GiB, true);
        const default_planner plans(each.m);
        const std::uint64_t bytes = crossover_bytes(each.m, asked);
        INFO(each.m.name << " " << to_string(each.from) << " -> " << to_string(each.to) << " " << bytes);
        REQUIRE(bytes > 4 * KiB);
        REQUIRE(bytes < GiB);
        CHECK(bytes % (4 * KiB) == 0);
        asked.bytes = bytes;
        CHECK_FALSE(is_single_route(plans.make(asked).value()));
        asked.bytes = 2 * bytes;
        CHECK_FALSE(is_single_route(plans.make(asked).value()));
        asked.bytes = bytes / 2;
        CHECK(is_single_route(plans.make(asked).value()));
    }
}

TEST_CASE("without relays there is nothing to cross over to", "[report]") {
    const machine m = builtin::gh200();
    const request asked = asking(host(0), gpu(0), GiB, false);
    CHECK(crossover_bytes(m, asked) == 0);
    CHECK(explain(m, default_planner(m).make(asked).value()).find("no size pays for more than one route") !=
          std::string::npos);
}

TEST_CASE("the driver's staging is as slow as published", "[report]") {
    const auto staged = [](machine m) { return driver_staged_gb_s(m, m.gpu(gpu_id{0}), m.gpu(gpu_id{1})); };
    CHECK(staged(builtin::hgx_h100_8()) > 36.7); // H100, peer access off: 36.7 to 38.4
    CHECK(staged(builtin::hgx_h100_8()) < 38.4);
    CHECK(staged(builtin::rtx4090_pcie_8()) > 18.4); // RTX 4090: 18.4 to 20.6
    CHECK(staged(builtin::rtx4090_pcie_8()) < 21.2);
    CHECK(staged(builtin::dgx2_v100()) > 8.5); // V100: 8.5 to 11.4
    CHECK(staged(builtin::dgx2_v100()) < 11.4);
}

TEST_CASE("explain compares with the driver only where the driver stages", "[report]") {
    const machine cards = builtin::rtx4090_pcie_8();
    const plan far = default_planner(cards).make(asking(gpu(0), gpu(7), GiB, false)).value();
    CHECK(explain(cards, far).find("cudaMemcpyPeer without peer access") != std::string::npos);
    const machine board = builtin::hgx_h100_8();
    const plan peers = default_planner(board).make(asking(gpu(0), gpu(7), GiB, false)).value();
    CHECK(explain(board, peers).find("cudaMemcpyPeer") == std::string::npos);
}

TEST_CASE("the baseline is the direct path, or staging where there is none", "[report]") {
    const machine board = builtin::hgx_h100_8();
    const plan direct = baseline_plan(board, asking(host(0), gpu(0), GiB, true)).value();
    REQUIRE(direct.routes.size() == 1);
    CHECK(direct.routes[0].leg_count == 1);
    CHECK(direct.predicted_gb_s() == Approx(55.3).epsilon(0.01));
    const machine cards = builtin::rtx4090_pcie_8();
    const plan staged = baseline_plan(cards, asking(gpu(0), gpu(1), GiB, true)).value();
    CHECK(staged.routes[0].leg_count == 2);
    CHECK_FALSE(baseline_plan(board, asking(gpu(0), gpu(0), GiB, true)));
}

TEST_CASE("pageable ends keep their name", "[report]") {
    const machine m = builtin::gh200();
    const plan p = default_planner(m).make(asking(endpoint::pageable(numa_id{0}), gpu(0), MiB, false)).value();
    CHECK(way_text(m, p, p.routes[0]) == "pageable:0 -> numa:0 -> gpu:0");
}
