#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include <barelink/machine/builtin.hpp>
#include <barelink/plan/planner.hpp>
#include <barelink/report/chrome_trace.hpp>
#include <barelink/report/timeline_svg.hpp>

#include "svg_support.hpp"

using namespace barelink;

namespace {

struct traced {
    machine m = builtin::hgx_h100_8();
    plan p;
    copy_trace trace;

    /// Every route's legs at the rate of the plan, `chunks` of them, each leg one chunk behind the one before it.
    explicit traced(std::uint32_t chunks = 4, double start_us = 100) {
        request asked;
        asked.from = endpoint::host_all();
        asked.to = endpoint::gpu(gpu_id{0});
        asked.bytes = 256 * MiB;
        asked.relays = gpu_set::all();
        p = default_planner(m).make(asked).value();
        for (std::uint32_t r = 0; r < p.routes.size(); ++r) {
            const double chunk_us = transfer_us(static_cast<double>(p.routes[r].bytes), p.routes[r].gb_s) / chunks;
            for (std::uint32_t l = 0; l < p.routes[r].leg_count; ++l)
                for (std::uint32_t c = 0; c < chunks; ++c) {
                    const leg& way = p.routes[r].legs[l];
                    const double start = start_us + (c + l) * chunk_us;
                    trace.push_back({way.from, way.to, r, l, c, way.host_copy, p.routes[r].bytes / chunks, start,
                                     start + chunk_us});
                }
        }
    }
};

} // namespace

TEST_CASE("a Chrome trace holds every copy, from zero on", "[report]") {
    const traced t;
    const auto parsed = nlohmann::json::parse(chrome_trace(t.m, t.p, t.trace));
    std::size_t copies = 0;
    std::uint64_t bytes = 0;
    double first = 1e9;
    std::map<int, double> busy_until;
    for (const auto& event : parsed["traceEvents"]) {
        if (event["ph"] != "X") continue;
        ++copies;
        bytes += event["args"]["bytes"].get<std::uint64_t>();
        const double start = event["ts"];
        first = std::min(first, start);
        CHECK(start + 1e-5 >= busy_until[event["tid"]]); // one thread's events do not overlap
        busy_until[event["tid"]] = start + event["dur"].get<double>();
        CHECK(event["args"]["gb_s"].get<double>() == Approx(55.3).epsilon(0.01));
    }
    CHECK(copies == t.trace.size());
    CHECK(first == 0);
    std::uint64_t moved = 0;
    for (const copy_record& each : t.trace) moved += each.bytes;
    CHECK(bytes == moved);
}

TEST_CASE("copies of one leg at the same time get threads of their own", "[report]") {
    traced t;
    t.trace.push_back(t.trace.front());
    const auto parsed = nlohmann::json::parse(chrome_trace(t.m, t.p, t.trace));
    std::map<std::string, int> names;
    for (const auto& event : parsed["traceEvents"])
        if (event["name"] == "thread_name") ++names[event["args"]["name"]];
    const node& from = t.m.at(t.trace.front().from);
    const node& to = t.m.at(t.trace.front().to);
    CHECK(names[from.id() + " -> " + to.id()] == 2);
    CHECK(names.size() == 15);
}

TEST_CASE("names in a trace are escaped", "[report]") {
    traced t;
    t.m.name = "a \"machine\"\n\\";
    CHECK_NOTHROW(nlohmann::json::parse(chrome_trace(t.m, t.p, t.trace)));
}

TEST_CASE("the timeline has a bar for every copy and a lane for every leg", "[report]") {
    const traced t;
    const std::string picture = timeline_svg(t.m, t.p, t.trace);
    check_picture(picture);
    const read_svg svg(picture);
    CHECK(svg.all("//g/rect").size() == t.trace.size());
    for (const route& r : t.p.routes)
        for (const leg& l : r.path()) CHECK(svg.count_text(t.m.at(l.from).id() + " \u2192 " + t.m.at(l.to).id()) >= 1);
    check_apart(svg, "//rect[@class='lane']");
    CHECK(picture == timeline_svg(t.m, t.p, t.trace));
}

TEST_CASE("chunks too many to tell apart are merged, and time is kept", "[report]") {
    const traced t(5000);
    const read_svg svg(timeline_svg(t.m, t.p, t.trace));
    const auto bars = svg.all("//g/rect");
    CHECK(bars.size() < t.trace.size() / 4);
    double right = 0;
    for (const auto& bar : bars) right = std::max(right, svg_box(bar).x + svg_box(bar).width);
    CHECK(right == Approx(svg.width() - 30).margin(2));
}

TEST_CASE("a timeline of nothing is a picture all the same", "[report]") {
    const traced t;
    check_picture(timeline_svg(t.m, t.p, {}));
    CHECK(nlohmann::json::parse(chrome_trace(t.m, t.p, {}))["traceEvents"].size() == 1);
}
