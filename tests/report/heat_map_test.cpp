#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>

#include <barelink/report/heat_map_svg.hpp>

#include "svg_support.hpp"

using namespace barelink;

namespace heat_map_test {

heat_map of_two_gpus() {
    heat_map map;
    map.title = "links <of> \"one\" & all";
    map.subtitle = "medians of 3";
    map.rows = map.columns = {"numa:0", "gpu:0", "gpu:1"};
    map.first_rows = map.first_columns = 1;
    map.cells = {{},
                 {55.3, "", "host_to_device, 3 samples"},
                 {27.5, "", {}},
                 {55.1, "", {}},
                 {},
                 {395, "", {}},
                 {12.4, "s", {}}};
    map.notes = {"s  staged & slow"};
    return map;
}

/// The fill of the cell that says this when pointed at, as a step of the scale.
int step_of(const read_svg& svg, const std::string& said) {
    for (const auto& group : svg.all("//g[title]"))
        if (said == group.child("title").text().get())
            return std::atoi(group.child("rect").attribute("class").value() + 1);
    FAIL("no cell says " << said);
    return -1;
}

/// WCAG 2 contrast.
double contrast(double a, double b) {
    return (std::max(a, b) + 0.05) / (std::min(a, b) + 0.05);
}

} // namespace heat_map_test

TEST_CASE("every figure stands in its cell with its mark, and others are empty", "[report]") {
    const std::string picture = heat_map_svg(heat_map_test::of_two_gpus());
    check_picture(picture);
    const read_svg svg(picture);
    CHECK(svg.all("//g[title]").size() == 5); // one is a figure's, no two share a group
    CHECK(svg.count_text("55.3") == 1);
    CHECK(svg.count_text("395") == 2); // its cell, and the end of the scale
    CHECK(svg.count_text("12.4s") == 1);
    CHECK(svg.count_text("\u00b7") == 4); // two diagonal ones and two that are missing at the end
    CHECK(svg.count_text("s  staged & slow") == 1);
    CHECK(std::string(svg.root().child("title").text().get()) == "links <of> \"one\" & all");
    // Those who cannot see it are told all numbers.
    const std::string told = svg.root().child("desc").text().get();
    CHECK(told.find("numa:0: gpu:0 55.3, gpu:1 27.5.") != std::string::npos);
    CHECK(told.find("gpu:0: numa:0 55.1, gpu:1 395.") != std::string::npos);

    // A cell lies below its column's heading and right of its row's, host memory apart from GPUs.
    double column = 0, before = 0;
    for (const auto& text : svg.all("//text[@class='mid s m']"))
        if (std::string(text.text().get()) == "gpu:1") column = text.attribute("x").as_double();
    for (const auto& group : svg.all("//g[title]")) {
        const std::string said = group.child("title").text().get();
        const svg_box box(group.child("rect"));
        if (said.find("\u2192 gpu:1") != std::string::npos) CHECK(box.x + box.width / 2 == Approx(column).margin(0.2));
        if (said.rfind("numa:0 \u2192 gpu:0", 0) == 0) before = box.y + box.height;
        if (said.rfind("gpu:0 \u2192 gpu:1", 0) == 0) CHECK(box.y > before + 6);
    }
    check_apart(svg, "//rect[starts-with(@class,'q') and @rx]");
}

TEST_CASE("equal ratios are equal steps of colour", "[report]") {
    heat_map map;
    map.rows = {"a"};
    map.columns = {"1", "2", "3", "4", "5"};
    map.cells = {{1, "", {}}, {4, "", {}}, {16, "", {}}, {64, "", {}}, {256, "", {}}};
    const read_svg svg(heat_map_svg(map));
    const int least = heat_map_test::step_of(svg, "a \u2192 1: 1 GB/s");
    const int last = heat_map_test::step_of(svg, "a \u2192 5: 256 GB/s");
    CHECK(least == 0);
    CHECK(last == static_cast<int>(detail::heat_steps) - 1);
    CHECK(std::abs(heat_map_test::step_of(svg, "a \u2192 2: 4 GB/s") - last / 4.0) <= 1);
    CHECK(std::abs(heat_map_test::step_of(svg, "a \u2192 3: 16 GB/s") - last / 2.0) <= 1);

    // Noise is no structure: within a percent all look the same.
    map.cells = {{394, "", {}}, {395, "", {}}, {396, "", {}}, {397, "", {}}, {397.5, "", {}}};
    const read_svg alike(heat_map_svg(map));
    CHECK(last - heat_map_test::step_of(alike, "a \u2192 1: 394 GB/s") <= 1);
}

TEST_CASE("colours are even, go one way, and carry readable text, on light and dark pages", "[report]") {
    const auto& ramp = detail::heat_ramp();
    double least = 1e9, most = 0;
    for (std::size_t i = 1; i < ramp.size(); ++i) {
        CHECK(ramp[i].lightness > ramp[i - 1].lightness);
        least = std::min(least, ramp[i].distance(ramp[i - 1]));
        most = std::max(most, ramp[i].distance(ramp[i - 1]));
    }
    INFO("steps from " << least << " to " << most);
    CHECK(most / least < 1.1);
    for (const bool dark : {false, true}) {
        double before = dark ? -1 : 2;
        for (std::size_t step = 0; step < detail::heat_steps; ++step) {
            const detail::linear_rgb colour = detail::heat_colour(step, dark);
            INFO("step " << step << " on a " << (dark ? "dark" : "light") << " page");
            CHECK(colour.shown());
            CHECK((dark ? colour.luminance() > before : colour.luminance() < before));
            before = colour.luminance();
            const double text = detail::wants_white_text(colour) ? 1.0 : 0.0;
            CHECK(heat_map_test::contrast(colour.luminance(), text) >= 4.5);
        }
    }
    // Both modes are in the picture, and differ.
    const std::string style = detail::heat_style();
    CHECK(style.find("prefers-color-scheme:dark") != std::string::npos);
    CHECK(style.find(".q0{fill:" + detail::to_hex(detail::heat_colour(0, false))) <
          style.find("prefers-color-scheme:dark"));
    CHECK(style.rfind(".q0{fill:" + detail::to_hex(detail::heat_colour(0, true))) >
          style.find("prefers-color-scheme:dark"));
    // OKLab's own example: white is 1, 0, 0.
    CHECK(detail::to_hex(detail::to_linear({1, 0, 0})) == "#ffffff");
    CHECK(detail::to_hex(detail::to_linear({0.627955, 0.224863, 0.125846})) == "#ff0000");
}

TEST_CASE("matrices of nothing, of what is no number, and of many GPUs are pictures all the same", "[report]") {
    heat_map map;
    map.title = "nothing";
    check_picture(heat_map_svg(map));
    map.rows = {"a", "b"};
    map.columns = {"a", "b"};
    map.cells = {{std::numeric_limits<double>::quiet_NaN(), "", {}},
                 {std::numeric_limits<double>::infinity(), "", {}},
                 {0, "", {}},
                 {-3, "", {}}};
    const std::string odd = heat_map_svg(map);
    check_picture(odd);
    CHECK(read_svg(odd).all("//g[title]").empty());
    map.warning = "simulated GPUs: times are not measurements";
    map.rows.clear();
    for (int i = 0; i < 72; ++i) map.rows.push_back("gpu:" + std::to_string(i));
    map.columns = map.rows;
    map.cells.assign(72u * 72u, {123, "", {}});
    const std::string many = heat_map_svg(map);
    check_picture(many);
    const read_svg svg(many);
    CHECK(svg.count_text(map.warning) == 1);
    CHECK(svg.count_text("123") >= 72u * 72u);
    for (const auto& text : svg.all("//text[contains(@class,'num')]"))
        CHECK(text.attribute("x").as_double() <= svg.width());
}
