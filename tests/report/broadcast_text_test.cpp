#include <string>

#include <barelink/machine/builtin.hpp>
#include <barelink/plan/broadcast.hpp>
#include <barelink/report/broadcast_text.hpp>

#include "../support/catch.hpp"
#include "../support/endpoints.hpp"

using namespace barelink;
using test::gpu;

namespace {

broadcast_plan planned(const machine& m, endpoint from, gpu_set to, std::uint64_t bytes = 8 * GiB) {
    broadcast_request asked;
    asked.from = from;
    asked.to = to;
    asked.bytes = bytes;
    return plan_broadcast(m, asked).value();
}
bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

/// A tree written by hand: arcs as pairs of GPU numbers, parents first; -1 is the first NUMA node.
struct drawn_tree {
    explicit drawn_tree(std::initializer_list<std::pair<int, int>> arcs, std::uint32_t levels) {
        p.asked = {.from = endpoint::host(numa_id{0}), .to = gpu_set::all(), .bytes = GiB};
        for (const auto& [from, to] : arcs) {
            tree_arc a{node_of(from), node_of(to)};
            for (std::size_t i = 0; i < p.arcs.size(); ++i)
                if (p.arcs[i].to == a.from) a.parent = static_cast<std::int32_t>(i);
            a.ring = to < 0;
            p.arcs.push_back(a);
        }
        p.trees.push_back({.arc_count = static_cast<std::uint32_t>(p.arcs.size()), .levels = levels, .bytes = GiB});
    }
    node_index node_of(int index) const { return index < 0 ? m.memory(numa_id{-1 - index}) : m.gpu(gpu_id{index}); }
    std::string way() const { return way_text(m, p, p.trees.front()); }

    machine m = builtin::hgx_h100_8();
    broadcast_plan p;
};

} // namespace

TEST_CASE("a broadcast is told with its trees, figures and what every GPU for itself would take", "[report]") {
    const machine m = builtin::hgx_h100_8();
    const broadcast_plan p = planned(m, endpoint::host_all(), gpu_set::all());
    const std::string text = plan_text(m, p);
    INFO(text);
    CHECK(text.rfind("host:all -> gpu:0 to gpu:7, 8 GiB each on hgx-h100-8\n", 0) == 0);
    CHECK(says(text, "1  numa:0 -> gpu:0 -> gpu:1 -> the other six in a row  1 GiB  12.5 %  64 x 16 MiB  55.3\n"));
    CHECK(says(text, "8  numa:1 -> gpu:7 -> gpu:0 -> the other six in a row  1 GiB  12.5 %"));
    CHECK(says(text, format_us(p.predicted_us) + ", " + format_gb_s(p.predicted_gb_s())));
    CHECK(says(text, "bound      442 GB/s, set by"));
    CHECK(says(text, "pcie package:1 -> root:7  55.3 GB/s")); // narrower than what is below: it also carries losses
    CHECK(says(text, "every GPU pulling for itself takes 172 ms, 50 GB/s: the plan is 8.69 times as fast"));
    CHECK(says(text, "evidence   rates from a table"));
    CHECK(text.back() == '\n');
}

TEST_CASE("every GPU pulling for itself is planned as what it is: all of them at once", "[report]") {
    const machine cards = builtin::rtx4090_pcie_8();
    const broadcast_plan p = planned(cards, endpoint::host_all(), gpu_set::all());
    CHECK(says(plan_text(cards, p), "this is every GPU pulling for itself"));

    // Two GPUs behind one uplink pull half as fast as alone, and that is what the trees avoid.
    const machine switches = builtin::find("a100-pcie-4-switch").value();
    const auto pulls = [&](gpu_set to) {
        const broadcast_request asked{.from = endpoint::host(numa_id{0}), .to = to, .bytes = 8 * GiB};
        const auto plans = own_pulls(switches, asked).value();
        double us = 0;
        for (const plan& each : plans) {
            CHECK(each.asked.bytes == 8 * GiB);
            us = std::max(us, each.predicted_us);
        }
        return std::pair(plans.size(), us);
    };
    const auto one = pulls(gpu_set().insert(gpu_id{0})), both = pulls(gpu_set().insert(gpu_id{0}).insert(gpu_id{1}));
    CHECK(one.first == 1);
    CHECK(both.first == 2);
    CHECK(both.second == Approx(2 * one.second).epsilon(0.02));
    const broadcast_plan trees = planned(switches, endpoint::host(numa_id{0}), gpu_set::all());
    const std::string text = plan_text(switches, trees);
    INFO(text);
    CHECK(says(text, "numa:0 -> {gpu:0 -> gpu:1, gpu:2 -> gpu:3}"));
    CHECK(says(text, "every GPU pulling for itself takes 668 ms, 12.8 GB/s: the plan is 2 times as fast"));
}

TEST_CASE("a GPU's broadcast names the host memory in between, and only the GPUs that were asked for", "[report]") {
    const machine cards = builtin::rtx4090_pcie_8();
    const broadcast_plan p = planned(cards, gpu(0), gpu_set::all());
    const std::string text = plan_text(cards, p);
    INFO(text);
    CHECK(text.rfind("gpu:0 -> gpu:1 to gpu:7, 8 GiB each", 0) == 0);
    CHECK(says(text, "gpu:0 -> numa:0 -> seven side by side"));
    CHECK(says(text, "every GPU pulling for itself takes"));

    const machine m = builtin::hgx_h100_8();
    const broadcast_plan few = planned(m, endpoint::host(numa_id{1}), gpu_set().insert(gpu_id{2}).insert(gpu_id{5}));
    CHECK(plan_text(m, few).rfind("host:1 -> gpu:2, gpu:5, 8 GiB each", 0) == 0);
    const auto to = receivers_of(m, few);
    REQUIRE(to.size() == 2);
    CHECK(m.at(to[0]).id() == "gpu:2");
    CHECK(m.at(to[1]).id() == "gpu:5");
    CHECK(receivers_of(cards, p).size() == 7);
}

TEST_CASE("short trees are written out, long ones by how they go on", "[report]") {
    CHECK(drawn_tree({{-1, 0}}, 1).way() == "numa:0 -> gpu:0");
    CHECK(drawn_tree({{-1, 0}, {0, 1}, {1, 2}, {2, 3}}, 4).way() == "numa:0 -> gpu:0 -> gpu:1 -> gpu:2 -> gpu:3");
    CHECK(drawn_tree({{-1, 0}, {0, 1}, {0, 2}, {2, 3}}, 3).way() == "numa:0 -> gpu:0 -> {gpu:1, gpu:2 -> gpu:3}");
    CHECK(drawn_tree({{-1, 0}, {-1, 2}, {0, 1}, {2, 3}}, 2).way() == "numa:0 -> {gpu:0 -> gpu:1, gpu:2 -> gpu:3}");
    CHECK(drawn_tree({{-1, 0}, {0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 7}}, 8).way() ==
          "numa:0 -> gpu:0 -> gpu:1 -> the other six in a row");
    CHECK(drawn_tree({{-1, 0}, {-1, 1}, {-1, 2}, {-1, 3}, {-1, 4}, {-1, 5}, {-1, 6}, {-1, 7}}, 1).way() ==
          "numa:0 -> eight side by side");
    CHECK(drawn_tree({{-1, 0}, {0, 1}, {0, 2}, {0, 3}, {0, 4}, {1, 5}, {2, 6}, {4, 7}}, 3).way() ==
          "numa:0 -> gpu:0 -> the other seven in two steps");
    CHECK(drawn_tree({{-1, 0}, {0, -2}, {-2, 1}, {-2, 2}, {-2, 3}, {-2, 4}, {-2, 5}, {-2, 6}}, 3).way() ==
          "numa:0 -> gpu:0 -> numa:1 -> the other six side by side");
}
