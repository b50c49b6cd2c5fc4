#include <barelink/machine/builtin.hpp>
#include <barelink/report/machine_svg.hpp>

#include "../support/generated_machines.hpp"
#include "svg_support.hpp"

using namespace barelink;

TEST_CASE("every built-in machine is drawn whole", "[report]") {
    for (const builtin::entry& each : builtin::names()) {
        INFO(each.name);
        const machine m = each.make();
        const std::string picture = machine_svg(m);
        check_picture(picture);
        const read_svg svg(picture);
        for (const node& n : m.nodes)
            if (n.kind != node_kind::nvswitch) CHECK(svg.count_text(n.id()) == 1);
        CHECK(svg.count_text("nvswitch") == m.count(node_kind::nvswitch));
        check_apart(svg, "//rect[starts-with(@class,'pill') or @class='gpu' or @class='mem' or @class='node' or "
                         "@class='bar' or @class='hub']");
        check_apart(svg, "//rect[@class='card']");
        check_fits(svg);
        CHECK(picture == machine_svg(each.make()));
    }
}

TEST_CASE("any machine is drawn", "[report]") {
    const auto seed = GENERATE(range(0u, 60u));
    const machine m = generated::random_machine(seed);
    INFO(m.name);
    const std::string picture = machine_svg(m);
    check_picture(picture);
    check_fits(read_svg(picture));
    check_apart(read_svg(picture), "//rect[@class='gpu' or @class='mem' or @class='node']");
}

TEST_CASE("links are as wide as they are fast", "[report]") {
    const auto strokes = [](const machine& m, const char* kind) {
        std::vector<double> widths;
        const read_svg svg(machine_svg(m));
        for (const auto& line : svg.all((std::string("//g/line[@class='k-") + kind + "']").c_str()))
            widths.push_back(line.attribute("stroke-width").as_double());
        return widths;
    };
    const auto slow = strokes(builtin::dgx2_v100(), "nvlink"), fast = strokes(builtin::hgx_h100_8(), "nvlink");
    REQUIRE(slow.size() == 32); // a stroke for each direction
    REQUIRE(fast.size() == 16);
    CHECK(fast[0] / slow[0] == Approx(std::sqrt(395 / 145.6)).epsilon(0.01));
    const auto grace = strokes(builtin::gh200(), "c2c");
    REQUIRE(grace.size() == 2);
    CHECK(grace[0] / grace[1] == Approx(std::sqrt(378.0 / 297)).epsilon(0.01));
}

TEST_CASE("rates are written where they change", "[report]") {
    const read_svg hgx(machine_svg(builtin::hgx_h100_8()));
    CHECK(hgx.count_text("395") == 8);
    CHECK(hgx.count_text("\u2193 55.3") == 8); // once a chain, not once a link
    const read_svg cube(machine_svg(builtin::dgx1_v100()));
    CHECK(cube.count_text("48.5") == 8);
    CHECK(cube.count_text("24.3") == 8);
}

TEST_CASE("names from files are escaped", "[report]") {
    machine m = builtin::gh200();
    m.name = "<script>&\"";
    m.nodes[m.gpu(gpu_id{0}).value].name = "a<b>\x01&amp;";
    const std::string picture = machine_svg(m);
    check_picture(picture);
    CHECK(read_svg(picture).count_text("<script>&\"") == 1);
}

TEST_CASE("odd machines: empty, without links, a rack", "[report]") {
    check_picture(machine_svg(machine{}));
    machine lone;
    lone.name = "lone";
    node gpu;
    gpu.kind = node_kind::gpu;
    lone.add(gpu);
    gpu.kind = node_kind::memory;
    lone.add(gpu);
    lone.connect();
    check_picture(machine_svg(lone));
    const std::string rack = machine_svg(generated::nvl72());
    check_picture(rack);
    check_apart(read_svg(rack), "//rect[starts-with(@class,'pill')]");
    CHECK(read_svg(rack).width() < 3 * read_svg(rack).height());
}
