#include <barelink/machine/builtin.hpp>
#include <barelink/report/plan_svg.hpp>

#include "../support/endpoints.hpp"
#include "../support/generated_machines.hpp"
#include "svg_support.hpp"

using namespace barelink;
using test::gpu;

namespace {

plan make(const machine& m, endpoint from, endpoint to, std::uint64_t bytes = GiB) {
    request asked;
    asked.from = from;
    asked.to = to;
    asked.bytes = bytes;
    asked.relays = gpu_set::all();
    return default_planner(m).make(asked).value();
}

} // namespace

TEST_CASE("a plan's picture has a stream and a row for every route", "[report]") {
    const machine m = builtin::hgx_h100_8();
    const plan p = make(m, endpoint::host_all(), gpu(0));
    const std::string picture = plan_svg(m, p);
    check_picture(picture);
    const read_svg svg(picture);
    CHECK(svg.all("//path[@class='flow']").size() == p.routes.size());
    CHECK(svg.count_text("numa:0 \u2192 gpu:0") == 1);
    CHECK(svg.count_text("numa:1 \u2192 gpu:7 \u2192 gpu:0") == 1);
    CHECK(svg.count_text("55.3 / 55.3") == 8); // all eight PCIe chains are full
    CHECK(svg.count_text("relay") == 7);
    CHECK(svg.count_text(format_gb_s(p.predicted_gb_s())) == 1);
    CHECK(svg.count_text(format_gb_s(p.bound_gb_s)) == 1);
    check_apart(svg,
                "//rect[starts-with(@class,'pill') or @class='gpu' or @class='mem' or @class='node' or @class='bar']");
    CHECK(picture == plan_svg(m, p));
}

TEST_CASE("streams are as wide as their rates, and begin and end where the bytes do", "[report]") {
    const machine m = builtin::gb200_4();
    const plan p = make(m, gpu(0), gpu(2));
    const read_svg svg(plan_svg(m, p));
    const auto flows = svg.all("//path[@class='flow']");
    REQUIRE(flows.size() == p.routes.size());
    for (std::size_t r = 1; r < flows.size(); ++r)
        CHECK(flows[r].attribute("stroke-width").as_double() / flows[0].attribute("stroke-width").as_double() ==
              Approx(p.routes[r].gb_s / p.routes[0].gb_s).epsilon(0.02));
    const detail::host_tree tree(m);
    for (const auto& flow : flows) {
        const std::string d = flow.attribute("d").value();
        CHECK(d.front() == 'M');
        double x = 0, y = 0;
        REQUIRE(std::sscanf(d.c_str(), "M%lf %lf", &x, &y) == 2);
        bool inside = false;
        for (const auto& rect : svg.all("//rect[@class='lit']")) {
            const svg_box box(rect);
            inside |= x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
        }
        CHECK(inside);
    }
}

TEST_CASE("plans of every built-in machine are drawn", "[report]") {
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        const auto last = static_cast<std::int32_t>(m.count(node_kind::gpu)) - 1;
        INFO(each.name);
        for (const plan& p : {make(m, endpoint::host_all(), gpu(0)), make(m, gpu(last), endpoint::host_all()),
                              make(m, endpoint::pageable(numa_id{0}), gpu(last), 64 * MiB),
                              make(m, endpoint::host(numa_id{0}), gpu(0), 4 * KiB)})
            check_picture(plan_svg(m, p));
        if (last > 0) check_picture(plan_svg(m, make(m, gpu(0), gpu(last))));
    }
}

TEST_CASE("plans on any machine are drawn", "[report]") {
    const auto seed = GENERATE(range(0u, 40u));
    const machine m = generated::random_machine(seed);
    INFO(m.name);
    request asked;
    asked.bytes = GiB;
    asked.relays = gpu_set::all();
    for (const auto& [from, to] : {std::pair{endpoint::host_all(), gpu(0)}, std::pair{gpu(0), gpu(1)}}) {
        asked.from = from;
        asked.to = to;
        if (const auto p = default_planner(m).make(asked)) check_picture(plan_svg(m, *p));
    }
}
