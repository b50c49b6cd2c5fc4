#include <cmath>
#include <limits>
#include <string>

#include <barelink/core/units.hpp>
#include <barelink/report/size_plot_svg.hpp>

#include "svg_support.hpp"

using namespace barelink;

namespace {

size_plot of_two_panels() {
    size_plot plot;
    plot.title = "pinned & pageable";
    plot.subtitle = "medians of 11 rounds";
    plot.panels = {
        {"host to GPU",
         {{"raw", {{4 * KiB, 0}, {1 * MiB, 25}, {256 * MiB, 50}}}, {"mover", {{256 * MiB, 40}, {4 * KiB, 10}}}}},
        {"GPU to host", {{"raw", {{4 * KiB, 0.5}}}}}};
    return plot;
}

/// Centres of the markers that say this when pointed at.
svg_point marker(const read_svg& svg, const std::string& said) {
    for (const auto& group : svg.all("//g[title]"))
        if (said == group.child("title").text().get()) {
            const svg_box box(group.child("rect"));
            return {box.x + box.width / 2, box.y + box.height / 2};
        }
    FAIL("no marker says " << said);
    return {};
}

} // namespace

TEST_CASE("points lie where their size and rate say", "[report]") {
    const std::string picture = size_plot_svg(of_two_panels());
    check_picture(picture);
    const read_svg svg(picture);
    const auto panels = svg.all("//rect[@class='card']");
    REQUIRE(panels.size() == 2);
    const svg_point low = marker(svg, "raw, 4 KiB: 0 GB/s"), high = marker(svg, "raw, 256 MiB: 50 GB/s");
    const svg_point middle = marker(svg, "raw, 1 MiB: 25 GB/s");
    CHECK(middle.x == Approx((low.x + high.x) / 2).margin(0.1)); // 2^12, 2^20, 2^28
    CHECK(middle.y == Approx((low.y + high.y) / 2).margin(0.1));
    CHECK(marker(svg, "mover, 256 MiB: 40 GB/s").x == Approx(high.x).margin(0.1));
    CHECK(marker(svg, "mover, 256 MiB: 40 GB/s").y == Approx(low.y - 0.8 * (low.y - high.y)).margin(0.1));
    // The lowest line is the axis, the highest rate lies on a labelled line.
    for (const auto& text : svg.all("//text[.='50']"))
        CHECK(text.attribute("y").as_double() - 3.3 == Approx(high.y).margin(0.2));
    CHECK(svg.count_text("50") == 1);
    // Both panels have the same size axis.
    const svg_box first(panels[0]), second(panels[1]);
    CHECK(marker(svg, "raw, 4 KiB: 0.5 GB/s").x - second.x == Approx(low.x - first.x).margin(0.1));
    for (const auto& panel : panels) CHECK(svg_box(panel).width > 0);
    CHECK(low.x > first.x);
    CHECK(high.x < first.x + first.width);
    CHECK(low.y < first.y + first.height);
}

TEST_CASE("a line runs through the points from small to large", "[report]") {
    const read_svg svg(size_plot_svg(of_two_panels()));
    std::size_t lines = 0;
    for (const auto& path : svg.all("//path[@class='flow']")) {
        const std::string commands = path.attribute("d").value();
        if (commands.find('L') == std::string::npos) continue; // the legend's
        ++lines;
        double before = 0;
        for (std::size_t at = 0; at != std::string::npos; at = commands.find('L', at + 1)) {
            const double x = std::stod(commands.substr(at + 1));
            CHECK(x > before);
            before = x;
        }
    }
    CHECK(lines == 2); // one point makes none
}

TEST_CASE("sizes are labelled in powers of two, side by side", "[report]") {
    for (const std::uint64_t most : {8 * KiB, 1 * MiB, 4 * GiB, 512 * GiB}) {
        size_plot plot;
        plot.panels = {{"one", {{"raw", {{4 * KiB, 1}, {most, 2}}}}}};
        const read_svg svg(size_plot_svg(plot));
        CHECK(svg.count_text("4 KiB") == 1);
        double before = -100;
        std::size_t labels = 0;
        for (const auto& text : svg.all("//text[@class='mid num s m']")) {
            const double x = text.attribute("x").as_double();
            const double half = detail::text_pixels(text.text().get(), 9.5) / 2;
            CHECK(x - half > before);
            CHECK(x + half <= svg.width());
            before = x + half;
            ++labels;
        }
        INFO(most);
        CHECK(labels >= 2);
    }
}

TEST_CASE("every way has one colour and one place in the legend", "[report]") {
    size_plot plot = of_two_panels();
    for (int i = 0; i < 12; ++i)
        plot.panels[1].series.push_back({"a way with a long name, number " + std::to_string(i), {{1 * MiB, 1}}});
    const std::string picture = size_plot_svg(plot);
    check_picture(picture);
    const read_svg svg(picture);
    CHECK(svg.count_text("raw") == 1);
    const svg_box panel(svg.all("//rect[@class='card']").front());
    for (const auto& text : svg.all("//text")) {
        const std::string said = text.text().get();
        if (said.rfind("a way", 0) != 0) continue;
        CHECK(text.attribute("x").as_double() + detail::text_pixels(said, 11) <= svg.width());
        CHECK(text.attribute("y").as_double() < panel.y);
    }
}

TEST_CASE("a warning is said in the picture and to those who cannot see it", "[report]") {
    size_plot plot = of_two_panels();
    plot.warning = "simulated GPUs: times are not measurements";
    const read_svg svg(size_plot_svg(plot));
    CHECK(svg.count_text(plot.warning) == 1);
    CHECK(std::string(svg.root().child("desc").text().get()).find(plot.warning) != std::string::npos);
}

TEST_CASE("plots of nothing and of what is no number are pictures all the same", "[report]") {
    size_plot plot;
    plot.title = "nothing";
    check_picture(size_plot_svg(plot));
    plot.panels = {{"empty", {}},
                   {"odd",
                    {{"raw",
                      {{0, 1},
                       {4 * KiB, std::numeric_limits<double>::quiet_NaN()},
                       {8 * KiB, std::numeric_limits<double>::infinity()},
                       {5000, 1e-6}}}}}};
    const std::string picture = size_plot_svg(plot);
    check_picture(picture);
    CHECK(read_svg(picture).all("//g/rect").size() == 1);
}
