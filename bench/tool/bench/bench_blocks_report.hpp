// A benchmark of scattered blocks as text and JSON. Pure functions of what was found.
#pragma once

#include <string>
#include <vector>

#include "bench_blocks_result.hpp"
#include "bench_report.hpp"

namespace tool {

namespace detail {

[[nodiscard]] inline std::string direction_name(const std::string& direction) {
    return direction == "h2d" ? "host to GPU" : direction == "d2h" ? "GPU to host" : direction;
}
[[nodiscard]] inline double cell_gb_s(const blocks_cell& cell, const way_result& way) {
    return barelink::rate_gb_s(static_cast<double>(cell.all_bytes()), median(way.us));
}
[[nodiscard]] inline std::string times(double value) {
    return value > 0 ? fmt::format("{:.2f}", value) : std::string();
}

[[nodiscard]] inline std::string blocks_table(const blocks_report& report, const std::string& direction,
                                              barelink::text_style style) {
    std::vector<std::string> head = {"block", "blocks"};
    for (const std::string& way : report.asked.ways) head.push_back(way);
    for (const char* more : {"of best", "interval", "x loop", "bytes", "barelink went"}) head.emplace_back(more);
    std::string aligned = ">>" + std::string(report.asked.ways.size(), '>') + ">>><<";
    barelink::text_table table(aligned.c_str());
    table.row(head);
    std::uint64_t before = 0;
    for (const blocks_cell& cell : report.cells) {
        if (cell.direction != direction) continue;
        std::vector<std::string> row = {cell.bytes == before ? std::string() : barelink::format_bytes(cell.bytes),
                                        std::to_string(cell.count)};
        before = cell.bytes;
        bool right = true;
        for (const std::string& name : report.asked.ways) {
            const way_result* way = cell.find(name);
            row.push_back(way ? barelink::format_rate(cell_gb_s(cell, *way)) : std::string("-"));
            right = right && (!way || way->verified);
        }
        const way_result *own = cell.find("barelink"), *best = best_other(cell), *loop = cell.find("loop");
        const median_interval of_best = own && best ? times_as_fast(*own, *best) : median_interval{};
        row.push_back(own && best ? times(of_best.median) + (keeps_up(cell) ? "" : " !") : std::string());
        row.push_back(own && best ? fmt::format("{:.2f} - {:.2f}", of_best.low, of_best.high) : std::string());
        row.push_back(own && loop ? times(times_as_fast(*own, *loop).median) : std::string());
        row.push_back(right ? "verified" : "WRONG");
        row.push_back(cell.chosen);
        table.row(row);
    }
    return table.str("  ", style);
}

} // namespace detail

/// What is wanted of barelink in the cells that were measured, and whether it is met: `wanted_of_best` of the best other way
/// everywhere, and in the cell of 4096 blocks of 32 KiB `wanted_of_loop` times the loop and `wanted_gb_s`.
[[nodiscard]] inline std::vector<blocks_condition> blocks_conditions(const blocks_report& report) {
    std::vector<blocks_condition> all;
    std::size_t kept = 0, compared = 0;
    for (const blocks_cell& cell : report.cells) {
        if (!cell.find("barelink") || !best_other(cell)) continue;
        ++compared;
        kept += keeps_up(cell);
    }
    if (compared > 0)
        all.push_back(
            {fmt::format("at least {:.2f} of the best other way: {} of {} cells", wanted_of_best, kept, compared),
             kept == compared});
    for (const blocks_cell& cell : report.cells) {
        const way_result *own = cell.find("barelink"), *loop = cell.find("loop");
        if (cell.bytes != wanted_bytes || cell.count != wanted_count || !own) continue;
        const std::string where = fmt::format("{} x {}, {}", cell.count, barelink::format_bytes(cell.bytes),
                                              detail::direction_name(cell.direction));
        const double gb_s = detail::cell_gb_s(cell, *own);
        if (loop) {
            const double ratio = times_as_fast(*own, *loop).median;
            all.push_back({fmt::format("{}: at least {:.0f} times the loop: {:.2f}", where, wanted_of_loop, ratio),
                           ratio >= wanted_of_loop});
        }
        all.push_back({fmt::format("{}: {:.0f} GB/s or more: {}", where, wanted_gb_s, barelink::format_rate(gb_s)),
                       gb_s >= wanted_gb_s});
    }
    return all;
}

[[nodiscard]] inline std::string blocks_text(const blocks_report& report, barelink::text_style style = {}) {
    const blocks_parameters& asked = report.asked;
    std::string out = header_text(report.facts, style);
    out += fmt::format(
        "\n  GB/s, medians of {} rounds, the ways in turn; wall clock from before the call to after the stream is\n"
        "  synchronised, lists ready in the form that each way takes. Blocks lie in a random order on both sides\n"
        "  (seed {}), pinned memory on NUMA node {}. Kernels use {} multiprocessors, host threads are {}.\n"
        "  of best: times as fast as the best of the others, median over the rounds, ! below {:.2f}; the true median\n"
        "  lies in the interval with {:.0f} %.\n",
        asked.rounds, asked.seed, asked.numa, asked.multiprocessors, asked.host_threads, wanted_of_best,
        100 * interval_of(std::vector<double>(asked.rounds)).coverage);
    for (const std::string& direction : asked.directions) {
        const bool any = std::any_of(report.cells.begin(), report.cells.end(),
                                     [&](const blocks_cell& cell) { return cell.direction == direction; });
        if (any)
            out += "\n" + style.bold(detail::direction_name(direction)) + "\n" +
                   detail::blocks_table(report, direction, style);
    }
    if (const auto conditions = blocks_conditions(report); !conditions.empty()) {
        out += "\n";
        for (const blocks_condition& each : conditions)
            out += "  " + (each.met ? style.good("met    ") : style.bad("NOT MET")) + "  " + each.text + "\n";
    }
    if (!report.fit.empty()) {
        barelink::text_table table("<>>");
        table.row({"block costs that explain this", report.fit_from, "fitted"});
        for (const fitted_cost& each : report.fit)
            table.row({each.name, fmt::format("{:.3g}", each.before), fmt::format("{:.3g}", each.now)});
        out += "\n" + table.str("  ", style);
    }
    if (!report.skipped.empty()) out += "\n";
    for (const skipped_cell& each : report.skipped) {
        std::string what = each.way;
        if (each.count > 0)
            what = fmt::format("{} x {}, {}{}", each.count, barelink::format_bytes(each.bytes),
                               detail::direction_name(each.direction), each.way.empty() ? "" : ", " + each.way);
        out += "  skipped: " + what + ": " + each.why + "\n";
    }
    for (const std::string& said : report.notes) out += "  note: " + said + "\n";
    for (const std::string& said : report.failures) out += "  " + style.bad("failed") + ": " + said + "\n";
    if (report.facts.simulated) out += "\n  " + style.bad(simulated_warning) + "\n";
    return out;
}

[[nodiscard]] inline json blocks_json(const blocks_report& report) {
    const blocks_parameters& asked = report.asked;
    json out = detail::json_head("blocks", report.facts);
    out.update(json{{"parameters",
                     {{"gpu", asked.gpu},
                      {"numa", asked.numa},
                      {"sizes", asked.sizes},
                      {"counts", asked.counts},
                      {"directions", asked.directions},
                      {"ways", asked.ways},
                      {"kernel", asked.kernel},
                      {"multiprocessors", asked.multiprocessors},
                      {"host_threads", asked.host_threads},
                      {"may_block", asked.may_block},
                      {"seed", asked.seed},
                      {"memory_bytes", asked.memory_bytes},
                      {"rounds", asked.rounds},
                      {"least_sample_us", asked.least_sample_us},
                      {"order", "in turn, every other round backwards"},
                      {"clock", "CLOCK_MONOTONIC, from before the first call to after the stream is synchronised"},
                      {"layout", "blocks side by side, in a random order of its own on either side"},
                      {"lists", "made before, in the form that each way takes"},
                      {"pinned_memory", "one mapping on the NUMA node, registered in one piece"}}},
                    {"verified", report.verified()},
                    {"conditions", json::array()},
                    {"cells", json::array()},
                    {"fit", json::array()},
                    {"skipped", json::array()}});
    for (const fitted_cost& each : report.fit)
        out["fit"].push_back({{"cost", each.name}, {"before", each.before}, {"fitted", each.now}});
    for (const blocks_condition& each : blocks_conditions(report))
        out["conditions"].push_back({{"condition", each.text}, {"met", each.met}});
    for (const blocks_cell& cell : report.cells) {
        json ways = json::array();
        const way_result *loop = cell.find("loop"), *best = best_other(cell);
        const auto ratio = [](const way_result& way, const way_result* other) {
            if (!other || other == &way || other->us.empty()) return json();
            const median_interval found = times_as_fast(way, *other);
            return json{
                {"median", found.median}, {"low", found.low}, {"high", found.high}, {"coverage", found.coverage}};
        };
        for (const way_result& way : cell.ways)
            ways.push_back({{"way", way.way},
                            {"batch", way.batch},
                            {"verified", way.verified},
                            {"median_us", median(way.us)},
                            {"q1_us", quantile(way.us, 0.25)},
                            {"q3_us", quantile(way.us, 0.75)},
                            {"gb_s", detail::cell_gb_s(cell, way)},
                            {"call_us", median(way.submit)},
                            {"of_best_other", is_own(way) ? ratio(way, best) : json()},
                            {"of_loop", ratio(way, loop)},
                            {"samples_us", way.us},
                            {"samples_call_us", way.submit}});
        out["cells"].push_back({{"direction", cell.direction},
                                {"bytes", cell.bytes},
                                {"count", cell.count},
                                {"best_other", best ? json(best->way) : json()},
                                {"keeps_up", cell.find("barelink") && best ? json(keeps_up(cell)) : json()},
                                {"barelink_went", cell.chosen},
                                {"ways", std::move(ways)}});
    }
    for (const skipped_cell& each : report.skipped)
        out["skipped"].push_back({{"direction", each.direction},
                                  {"bytes", each.bytes},
                                  {"count", each.count},
                                  {"way", each.way.empty() ? json() : json(each.way)},
                                  {"why", each.why}});
    out["notes"] = report.notes;
    out["failures"] = report.failures;
    return out;
}

} // namespace tool
