// A benchmark of links as text, JSON and a heat map. Pure functions of what was found.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <barelink/report/heat_map_svg.hpp>

#include "bench_links_result.hpp"
#include "bench_report.hpp"

namespace tool {

namespace detail {

/// `!` behind a figure whose bytes did not arrive, `*` behind one of fewer copies than asked for.
[[nodiscard]] inline std::string links_text_of(const links_cell* cell) {
    if (!cell) return "-";
    const bool fewer = cell->note.find("for time") != std::string::npos;
    const double rate = median(cell->gb_s);
    return fmt::format("{:.{}f}{}{}", rate, rate >= 0.995 ? 2 : 4, cell->verified ? "" : "!", fewer ? "*" : "");
}

/// Rows by columns, as nvbandwidth prints them.
template <class Text>
[[nodiscard]] std::string links_table(const links_metric& of, barelink::text_style style, Text text) {
    barelink::text_table table("<" + std::string(of.columns.size(), '>'));
    std::vector<std::string> heading{""};
    heading.insert(heading.end(), of.columns.begin(), of.columns.end());
    table.row(std::move(heading));
    for (const std::string& row : of.rows) {
        std::vector<std::string> cells{row};
        for (const std::string& column : of.columns) cells.push_back(text(of.find(row, column)));
        table.row(std::move(cells));
    }
    return table.str("  ", style);
}

/// How far the samples of a figure are apart, and the figures of a metric.
[[nodiscard]] inline std::string spread_table(const links_report& report, barelink::text_style style) {
    barelink::text_table table("<>>>>>");
    table.row({"metric", "figures", "lowest", "median", "highest", "widest spread"});
    for (const links_metric& each : report.metrics) {
        if (each.name == "sizes" || each.name == "concurrent_totals") continue;
        std::vector<double> medians;
        double widest = 0;
        for (const links_cell& cell : each.cells) {
            medians.push_back(median(cell.gb_s));
            widest = std::max(widest, cell.spread());
        }
        if (medians.empty()) continue;
        const auto [low, high] = std::minmax_element(medians.begin(), medians.end());
        table.row({each.name, std::to_string(medians.size()), barelink::format_rate(*low),
                   barelink::format_rate(median(medians)), barelink::format_rate(*high),
                   fmt::format("{:.1f} %", 100 * widest)});
    }
    return table.empty() ? std::string() : table.str("  ", style);
}

/// Absences that differ in the figure alone, as one line.
[[nodiscard]] inline std::string absences_text(const links_report& report) {
    std::vector<std::pair<const links_absence*, std::size_t>> lines;
    for (const links_absence& each : report.absent) {
        const auto known = std::find_if(lines.begin(), lines.end(), [&](const auto& line) {
            return line.first->metric == each.metric && line.first->why == each.why;
        });
        if (known == lines.end())
            lines.emplace_back(&each, 1);
        else
            ++known->second;
    }
    std::string out;
    for (const auto& [each, times] : lines)
        out += "  not measured: " + each->metric +
               (times > 1            ? fmt::format(", {} figures", times)
                : each->cell.empty() ? ""
                                     : ", " + each->cell) +
               ": " + each->why + "\n";
    return out;
}

[[nodiscard]] inline std::string placement_text(const links_report& report) {
    std::uint64_t checked = 0, elsewhere = 0;
    std::size_t silent = 0;
    for (const links_placement& each : report.placements) {
        checked += each.pages_checked;
        elsewhere += each.pages_elsewhere;
        silent += each.pages_checked == 0;
    }
    std::string out =
        fmt::format("  host memory: {} buffers, {} of {} pages checked lie on another NUMA node than asked",
                    report.placements.size(), elsewhere, checked);
    if (silent > 0) out += fmt::format("; of {} the kernel does not say where they lie", silent);
    return out + "\n";
}

} // namespace detail

[[nodiscard]] inline std::string links_text(const links_report& report, barelink::text_style style = {}) {
    const links_parameters& asked = report.asked;
    std::string out = header_text(report.facts, style);
    out +=
        fmt::format("\n  buffers of {}, {} copies after {} to warm up, medians of {}; GB/s is 10^9 bytes a second.\n"
                    "  Time by CUDA's events, in the stream of the GPU that is named to do it; gate: {}.\n",
                    barelink::format_bytes(asked.bytes), asked.copies, asked.warm_up_copies, asked.rounds, asked.gate);
    bool beyond = false, fewer = false, wrong = false;
    for (const links_metric& each : report.metrics) {
        if (each.cells.empty()) continue;
        if (!each.in_nvbandwidth && !beyond) {
            out += "\n" + style.bold("What nvbandwidth leaves out") + "\n";
            beyond = true;
        }
        out += "\n" + style.bold(each.name) + ": " + each.meaning + ", GB/s\n" +
               detail::links_table(each, style, detail::links_text_of);
        if (each.name == "sizes")
            out += "  the same, microseconds a copy\n" + detail::links_table(each, style, [](const links_cell* cell) {
                       return cell ? fmt::format("{:.2f}", cell->us()) : std::string("-");
                   });
        for (const links_cell& cell : each.cells) {
            fewer = fewer || cell.note.find("for time") != std::string::npos;
            wrong = wrong || !cell.verified;
            if (each.name == "multi_path" && !cell.note.empty()) out += "  " + cell.row + ": " + cell.note + "\n";
        }
    }
    if (fewer)
        out += fmt::format("\n  * fewer or smaller copies than asked for, so that all of it takes {:.0f} s\n",
                           asked.seconds);
    if (wrong) out += "\n  " + style.bad("! the bytes that arrived are wrong") + "\n";
    if (const std::string spread = detail::spread_table(report, style); !spread.empty())
        out += "\n" + style.bold("spread") +
               ": figures of a metric, GB/s; widest: highest less lowest sample of one figure\n" + spread;
    out += "\n" + detail::placement_text(report) + detail::absences_text(report);
    for (const std::string& said : report.notes) out += "  note: " + said + "\n";
    for (const std::string& said : report.failures) out += "  " + style.bad("failed") + ": " + said + "\n";
    out += fmt::format("  took {:.1f} s\n", report.took_s);
    if (report.facts.simulated) out += "\n  " + style.bad(simulated_warning) + "\n";
    return out;
}

[[nodiscard]] inline json links_json(const links_report& report) {
    const links_parameters& asked = report.asked;
    json out = detail::json_head("links", report.facts);
    json placements = json::array();
    for (const links_placement& each : report.placements)
        placements.push_back({{"memory", each.memory},
                              {"numa", each.asked},
                              {"pages_checked", each.pages_checked},
                              {"pages_elsewhere", each.pages_elsewhere}});
    out.update(json{{"parameters",
                     {{"gpus", asked.gpus},
                      {"rows", asked.rows},
                      {"bytes", asked.bytes},
                      {"bytes_asked", asked.bytes_asked},
                      {"copies", asked.copies},
                      {"warm_up_copies", asked.warm_up_copies},
                      {"rounds", asked.rounds},
                      {"seconds", asked.seconds},
                      {"memory_bytes", asked.memory_bytes},
                      {"gate", asked.gate},
                      {"statistic", "median of the rounds"},
                      {"unit", "GB/s, 10^9 bytes a second, one direction"},
                      {"clock", "CUDA events in the timed stream, 0.5 us; all flows begin when the first one does"},
                      {"interference", "twice as many copies as the timed stream has, from buffers of the same size"},
                      {"pinned_memory", "one mapping on the NUMA node, registered in one piece; two for each GPU"},
                      {"pageable_memory", "one mapping on the NUMA node, small pages, touched before"},
                      {"verified", "four pieces of 64 KiB, spread over every target, after every figure"}}},
                    {"verified", report.verified()},
                    {"took_s", report.took_s},
                    {"numa_placement", std::move(placements)},
                    {"metrics", json::array()},
                    {"not_measured", json::array()}});
    for (const links_metric& each : report.metrics) {
        json cells = json::array();
        for (const links_cell& cell : each.cells) {
            json one = {{"row", cell.row},
                        {"column", cell.column},
                        {"from", cell.from},
                        {"to", cell.to},
                        {"issuer", cell.issuer},
                        {"bytes", cell.bytes},
                        {"copies", cell.copies},
                        {"gate", cell.gated},
                        {"verified", cell.verified},
                        {"gb_s", median(cell.gb_s)},
                        {"least_gb_s", cell.least()},
                        {"most_gb_s", cell.most()},
                        {"n", cell.gb_s.size()},
                        {"us", cell.parts.empty() ? json(cell.us()) : json()},
                        {"samples_gb_s", cell.gb_s},
                        {"note", cell.note.empty() ? json() : json(cell.note)}};
            if (!cell.parts.empty()) {
                json parts = json::array();
                for (const auto& [name, rate] : cell.parts) parts.push_back({{"flow", name}, {"gb_s", rate}});
                one["flows"] = std::move(parts);
            }
            cells.push_back(std::move(one));
        }
        out["metrics"].push_back({{"metric", each.name},
                                  {"meaning", each.meaning},
                                  {"in_nvbandwidth", each.in_nvbandwidth},
                                  {"rows", each.rows},
                                  {"columns", each.columns},
                                  {"cells", std::move(cells)}});
    }
    for (const links_absence& each : report.absent)
        out["not_measured"].push_back(
            {{"metric", each.metric}, {"figure", each.cell.empty() ? json() : json(each.cell)}, {"why", each.why}});
    out["notes"] = report.notes;
    out["failures"] = report.failures;
    return out;
}

/// From and to every memory: NUMA nodes and GPUs. Pairs without peer access show what staging reaches.
[[nodiscard]] inline barelink::heat_map links_map(const links_report& report) {
    struct source {
        const char* metric;
        const char* mark;
    };
    // Later ones do not replace earlier ones.
    constexpr source sources[] = {{"numa_host_to_device", ""},
                                  {"numa_device_to_host", ""},
                                  {"host_to_device_memcpy_ce", ""},
                                  {"device_to_host_memcpy_ce", ""},
                                  {"device_to_device_memcpy_write_ce", ""},
                                  {"staged_device_to_device", "s"}};
    barelink::heat_map map;
    std::vector<std::string> hosts, gpus;
    std::map<std::pair<std::string, std::string>, barelink::heat_map_cell> cells;
    bool staged = false, wrong = false;
    for (const source& each : sources) {
        const links_metric* metric = report.find(each.metric);
        if (!metric) continue;
        for (const links_cell& cell : metric->cells) {
            for (const std::string& end : {cell.from, cell.to}) {
                std::vector<std::string>& list = end.rfind("gpu:", 0) == 0 ? gpus : hosts;
                if (std::find(list.begin(), list.end(), end) == list.end()) list.push_back(end);
            }
            barelink::heat_map_cell drawn;
            drawn.gb_s = median(cell.gb_s);
            drawn.mark = std::string(each.mark) + (cell.verified ? "" : "!");
            drawn.hover = fmt::format("{}, {} samples from {} to {}", metric->name, cell.gb_s.size(),
                                      barelink::format_rate(cell.least()), barelink::format_gb_s(cell.most()));
            const bool added = cells.try_emplace({cell.from, cell.to}, std::move(drawn)).second;
            staged = staged || (added && *each.mark != 0);
            wrong = wrong || !cell.verified;
        }
    }
    const auto by_number = [](const std::string& a, const std::string& b) {
        return a.size() != b.size() ? a.size() < b.size() : a < b;
    };
    std::sort(hosts.begin(), hosts.end(), by_number);
    std::sort(gpus.begin(), gpus.end(), by_number);
    map.first_rows = map.first_columns = hosts.size();
    map.rows = hosts;
    map.rows.insert(map.rows.end(), gpus.begin(), gpus.end());
    map.columns = map.rows;
    for (const std::string& from : map.rows)
        for (const std::string& to : map.columns) {
            const auto found = cells.find({from, to});
            map.cells.push_back(found == cells.end() ? barelink::heat_map_cell{} : found->second);
        }
    map.title = "Links of " + (report.facts.machine == "live" ? std::string("this machine") : report.facts.machine);
    const std::string gpu = report.facts.gpus.empty() ? std::string("no GPU") : report.facts.gpus.front().name;
    map.subtitle = fmt::format("{}, CUDA {}, {}", gpu, cuda_version(report.facts.cuda_runtime), report.facts.date);
    if (report.facts.simulated) map.warning = simulated_warning;
    map.notes.push_back(fmt::format("GB/s, one copy at a time: {} of {}, medians of {}; gate: {}", report.asked.copies,
                                    barelink::format_bytes(report.asked.bytes), report.asked.rounds,
                                    report.asked.gate));
    if (staged) map.notes.push_back("s  staged through host memory by the driver: no peer access");
    if (wrong) map.notes.push_back("!  the bytes that arrived are wrong");
    return map;
}

} // namespace tool
