// A benchmark of broadcasts and their kin as text and JSON. Pure functions of what was found.
#pragma once

#include <string>
#include <vector>

#include "bench_broadcast_result.hpp"
#include "bench_report.hpp"

namespace tool {

[[nodiscard]] inline double gb_s(const broadcast_cell& cell, const broadcast_cell::way& way) {
    return barelink::rate_gb_s(static_cast<double>(cell.moved), median(way.us));
}
/// Of what the wires allow; 0 when that is not known.
[[nodiscard]] inline double of_bound(const broadcast_cell& cell, const broadcast_cell::way& way) {
    return cell.bound_gb_s > 0 ? gb_s(cell, way) / cell.bound_gb_s : 0;
}

namespace detail {

/// The cases and their ways, in words.
struct broadcast_words {
    const char *name, *title;
};
inline constexpr broadcast_words broadcast_titles[] = {
    {"broadcast", "broadcast: the same bytes from host memory to every GPU; GB/s that every GPU receives"},
    {"scatter", "scatter: a part of the host memory to each GPU; GB/s of all parts together"},
    {"gather", "gather: a part of the host memory from each GPU; GB/s of all parts together"},
    {"exchange", "exchange: a part of every GPU's memory to every other; GB/s of all parts together"}};
inline constexpr broadcast_words broadcast_ways[] = {
    {"pulls", "every GPU copies all of it over its own link with cudaMemcpyAsync, each from another stripe on"},
    {"fan-out", "to the first GPU, and with cudaMemcpyPeerAsync from there to each"},
    {"loop", "cudaMemcpyAsync, between GPUs cudaMemcpyPeerAsync, one stream a GPU"},
    {"barelink", "mover.broadcast, scatter, gather, exchange"}};

[[nodiscard]] inline std::string broadcast_table(const broadcast_report& report, const std::string& name,
                                                 barelink::text_style style) {
    barelink::text_table table("<<>>>>>>><");
    table.row({"size", "way", "GB/s", "of bound", "median", "quartiles", "call", "barelink is", "interval", "bytes"});
    for (const broadcast_cell& cell : report.cells) {
        if (cell.name != name) continue;
        const broadcast_cell::way* own = cell.find("barelink");
        for (std::size_t w = 0; w < cell.ways.size(); ++w) {
            const broadcast_cell::way& way = cell.ways[w];
            const median_interval ratio = own && own != &way ? times_as_fast(*own, way) : median_interval{};
            table.row(
                {w == 0 ? barelink::format_bytes(cell.bytes) : std::string(), way.way_result::way,
                 barelink::format_rate(gb_s(cell, way)), barelink::format_percent(of_bound(cell, way)),
                 barelink::format_us(median(way.us)),
                 barelink::format_us(quantile(way.us, 0.25)) + " - " + barelink::format_us(quantile(way.us, 0.75)),
                 barelink::format_us(median(way.submit)),
                 ratio.median > 0 ? fmt::format("{:.2f} x", ratio.median) : std::string(),
                 ratio.median > 0 ? fmt::format("{:.2f} - {:.2f}", ratio.low, ratio.high) : std::string(),
                 way.verified ? "verified" : "WRONG"});
        }
        table.row({"", "bound", barelink::format_rate(cell.bound_gb_s), "",
                   barelink::format_us(barelink::transfer_us(static_cast<double>(cell.moved), cell.bound_gb_s)),
                   fmt::format("predicted {}", barelink::format_us(cell.predicted_us))});
    }
    return table.str("  ", style);
}

} // namespace detail

[[nodiscard]] inline std::string broadcast_text(const broadcast_report& report, barelink::text_style style = {}) {
    const broadcast_parameters& asked = report.asked;
    std::string out = header_text(report.facts, style);
    out += fmt::format(
        "\n  {} rounds, the ways in turn; CUDA's events in one stream, from before it forks to after it joined again.\n"
        "  Host memory pinned, striped over {} NUMA node{} by {}; raw copies from and to it are as large.\n"
        "  call: what the calls keep their thread. barelink is: so many times as fast, median over the rounds; the\n"
        "  true median lies in the interval with {:.0f} %. bound: what the wires allow.\n\n",
        asked.rounds, asked.numa_nodes, asked.numa_nodes == 1 ? "" : "s", barelink::format_bytes(asked.stripe_bytes),
        100 * interval_of(std::vector<double>(asked.rounds)).coverage);
    barelink::text_table ways("<<");
    for (const detail::broadcast_words& each : detail::broadcast_ways) ways.row({each.name, each.title});
    out += ways.str("  ", style, false);
    for (const detail::broadcast_words& each : detail::broadcast_titles) {
        const bool any = std::any_of(report.cells.begin(), report.cells.end(),
                                     [&](const broadcast_cell& cell) { return cell.name == each.name; });
        if (any) out += "\n" + style.bold(each.title) + "\n" + detail::broadcast_table(report, each.name, style);
    }
    if (!report.skipped.empty()) out += "\n";
    for (const skipped_size& each : report.skipped)
        out += "  skipped: " + each.where + ", " + barelink::format_bytes(each.bytes) + ": " + each.why + "\n";
    for (const std::string& said : report.notes) out += "  note: " + said + "\n";
    for (const std::string& said : report.failures) out += "  " + style.bad("failed") + ": " + said + "\n";
    if (report.facts.simulated) out += "\n  " + style.bad(simulated_warning) + "\n";
    return out;
}

[[nodiscard]] inline json broadcast_json(const broadcast_report& report) {
    const broadcast_parameters& asked = report.asked;
    json out = detail::json_head("broadcast", report.facts);
    out.update(
        json{{"parameters",
              {{"sizes", asked.sizes},
               {"cases", asked.cases},
               {"relays", asked.relays},
               {"rounds", asked.rounds},
               {"order", "in turn, every other round backwards"},
               {"clock", "CUDA's events in one stream, from before it forks to after it joined again; samples_wall_us: "
                         "CLOCK_MONOTONIC, from before the first call to after the last event"},
               {"host_memory", "pinned, striped over the NUMA nodes"},
               {"numa_nodes", asked.numa_nodes},
               {"stripe_bytes", asked.stripe_bytes},
               {"raw_copy_bytes", asked.stripe_bytes},
               {"raw_copy_order", "the GPUs in turn, each from another stripe on"}}},
             {"verified", report.verified()},
             {"cells", json::array()},
             {"skipped", json::array()}});
    for (const detail::broadcast_words& each : detail::broadcast_ways) out["ways"][each.name] = each.title;
    for (const broadcast_cell& cell : report.cells) {
        json ways = json::array();
        const broadcast_cell::way* own = cell.find("barelink");
        for (const broadcast_cell::way& way : cell.ways) {
            const median_interval ratio = own && own != &way ? times_as_fast(*own, way) : median_interval{};
            ways.push_back({{"way", way.way_result::way},
                            {"verified", way.verified},
                            {"median_us", median(way.us)},
                            {"q1_us", quantile(way.us, 0.25)},
                            {"q3_us", quantile(way.us, 0.75)},
                            {"gb_s", gb_s(cell, way)},
                            {"of_bound", of_bound(cell, way)},
                            {"call_us", median(way.submit)},
                            {"barelink_times_as_fast", ratio.median > 0 ? json{{"median", ratio.median},
                                                                               {"low", ratio.low},
                                                                               {"high", ratio.high},
                                                                               {"coverage", ratio.coverage}}
                                                                        : json()},
                            {"samples_us", way.us},
                            {"samples_wall_us", way.wall_us},
                            {"samples_call_us", way.submit}});
        }
        out["cells"].push_back({{"case", cell.name},
                                {"bytes", cell.bytes},
                                {"moved_bytes", cell.moved},
                                {"bound_gb_s", cell.bound_gb_s},
                                {"predicted_us", cell.predicted_us},
                                {cell.name == "broadcast" ? "trees" : "routes", cell.copies},
                                {"ways", std::move(ways)}});
    }
    for (const skipped_size& each : report.skipped)
        out["skipped"].push_back({{"case", each.where}, {"bytes", each.bytes}, {"why", each.why}});
    out["notes"] = report.notes;
    out["failures"] = report.failures;
    return out;
}

} // namespace tool
