// A benchmark of copies as text, JSON and a plot. Pure functions of what was found.
#pragma once

#include <string>

#include <barelink/core/version.hpp>
#include <barelink/report/size_plot_svg.hpp>
#include <barelink/report/text_table.hpp>
#include <barelink/report/units.hpp>

#include "bench_result.hpp"
#include "bench_statistics.hpp"
#include "cuda_gpus.hpp"
#include "json.hpp"

namespace tool {

/// `13.0` for CUDA's 13000.
[[nodiscard]] inline std::string cuda_version(int number) {
    return number > 0 ? fmt::format("{}.{}", number / 1000, number % 1000 / 10) : std::string("unknown");
}

[[nodiscard]] inline double gb_s(const case_result& of, const size_result& size, double us) {
    return barelink::rate_gb_s(static_cast<double>(size.bytes * of.directions), us);
}

/// Raw time over this way's time, round by round: above 1 it is faster than raw. No values for ways that did not run in turn
/// with raw.
[[nodiscard]] inline std::vector<double> ratios(const size_result& size, const way_result& way) {
    std::vector<double> all;
    const way_result* raw = nullptr;
    for (const way_result& each : size.ways)
        if (each.way == "raw") raw = &each;
    if (!raw || raw == &way || way.way.rfind("raw", 0) == 0) return all;
    for (std::size_t i = 0; i < raw->us.size() && i < way.us.size(); ++i)
        if (way.us[i] > 0) all.push_back(raw->us[i] / way.us[i]);
    return all;
}

/// What the figures belong to, one fact a line.
[[nodiscard]] inline std::string header_text(const bench_facts& facts, barelink::text_style style = {}) {
    barelink::text_table table("<<");
    table.row({"machine", facts.machine + (facts.virtualized ? ", a virtual machine" : "")});
    for (std::size_t g = 0; g < facts.gpus.size();) {
        std::size_t last = g;
        while (last + 1 < facts.gpus.size() && facts.gpus[last + 1].name == facts.gpus[g].name) ++last;
        table.row({last > g ? "GPUs" : "GPU",
                   facts.gpus[g].id + (last > g ? " to " + facts.gpus[last].id : std::string()) + ": " +
                       facts.gpus[g].name + ", " + barelink::format_bytes(facts.gpus[g].bytes)});
        g = last + 1;
    }
    table.row({"CPU", fmt::format("{}, {} logical", facts.cpu.empty() ? "unknown" : facts.cpu, facts.cpus)});
    table.row({"CUDA", fmt::format("driver for {}, runtime {}", cuda_version(facts.cuda_driver),
                                   cuda_version(facts.cuda_runtime))});
    if (!facts.driver.empty()) table.row({"driver", facts.driver});
    table.row({"kernel", facts.kernel});
    table.row({"date", facts.date});
    std::string out = table.str("  ", style, false);
    if (facts.simulated) out += "\n  " + style.bad(simulated_warning) + "\n";
    return out;
}

namespace detail {

[[nodiscard]] inline std::string case_table(const case_result& of, barelink::text_style style) {
    barelink::text_table table("<<>>>>>><");
    table.row({"size", "way", "GB/s", "median", "quartiles", "call", "raw/way", "interval", "bytes"});
    for (const size_result& size : of.sizes)
        for (std::size_t w = 0; w < size.ways.size(); ++w) {
            const way_result& way = size.ways[w];
            const median_interval ratio = interval_of(ratios(size, way));
            table.row(
                {w == 0 ? barelink::format_bytes(size.bytes) : std::string(), way.way,
                 barelink::format_rate(gb_s(of, size, median(way.us))), barelink::format_us(median(way.us)),
                 barelink::format_us(quantile(way.us, 0.25)) + " - " + barelink::format_us(quantile(way.us, 0.75)),
                 barelink::format_us(median(way.submit)),
                 ratio.median > 0 ? fmt::format("{:.3f}", ratio.median) : std::string(),
                 ratio.median > 0 ? fmt::format("{:.3f} - {:.3f}", ratio.low, ratio.high) : std::string(),
                 way.verified ? "verified" : "WRONG"});
        }
    return table.str("  ", style);
}

} // namespace detail

[[nodiscard]] inline std::string copies_text(const copies_report& report, barelink::text_style style = {}) {
    std::string out = header_text(report.facts, style);
    const double coverage = interval_of(std::vector<double>(report.asked.rounds)).coverage;
    out += fmt::format(
        "\n  {} rounds, the ways in turn; wall clock from before the call to after the stream is synchronised,\n"
        "  by the copies of a sample of at least {}. call: what one call keeps its thread. raw/way: times as\n"
        "  fast as raw, median over the rounds; the true median lies in the interval with {:.0f} %.\n",
        report.asked.rounds, barelink::format_us(report.asked.least_sample_us), 100 * coverage);
    for (const case_result& each : report.cases)
        if (!each.sizes.empty())
            out += "\n" + style.bold(each.title) + (each.proof.empty() ? "" : ", direct path " + each.proof) + "\n" +
                   detail::case_table(each, style);
    if (report.pool && !report.pool->pool_s.empty()) {
        const pool_result& pool = *report.pool;
        const double mine = median(pool.pool_s), raw = median(pool.raw_s);
        out += fmt::format("\n{}\n  pinned_pool {}, cudaHostAlloc {}, {:.2f} times as fast; medians of {}\n",
                           style.bold("pinning " + barelink::format_bytes(pool.bytes)), barelink::format_us(mine * 1e6),
                           barelink::format_us(raw * 1e6), mine > 0 ? raw / mine : 0, pool.pool_s.size());
        for (const std::string& said : pool.notes) out += "  note: " + said + "\n";
    }
    if (!report.skipped.empty()) out += "\n";
    for (const skipped_size& each : report.skipped)
        out += "  skipped: " + each.where + ", " + barelink::format_bytes(each.bytes) + ": " + each.why + "\n";
    for (const std::string& said : report.notes) out += "  note: " + said + "\n";
    for (const std::string& said : report.failures) out += "  " + style.bad("failed") + ": " + said + "\n";
    if (report.facts.simulated) out += "\n  " + style.bad(simulated_warning) + "\n";
    return out;
}

namespace detail {

[[nodiscard]] inline json way_json(const case_result& of, const size_result& size, const way_result& way) {
    json out = {{"way", way.way},
                {"batch", way.batch},
                {"verified", way.verified},
                {"median_us", median(way.us)},
                {"q1_us", quantile(way.us, 0.25)},
                {"q3_us", quantile(way.us, 0.75)},
                {"gb_s", gb_s(of, size, median(way.us))},
                {"call_us", median(way.submit)},
                {"call_q1_us", quantile(way.submit, 0.25)},
                {"call_q3_us", quantile(way.submit, 0.75)}};
    const median_interval ratio = interval_of(ratios(size, way));
    out["raw_over_way"] =
        ratio.median > 0
            ? json{{"median", ratio.median}, {"low", ratio.low}, {"high", ratio.high}, {"coverage", ratio.coverage}}
            : json();
    out["samples_us"] = way.us;
    out["samples_call_us"] = way.submit;
    return out;
}

[[nodiscard]] inline json facts_json(const bench_facts& facts) {
    json gpus = json::array();
    for (const bench_facts::gpu& each : facts.gpus)
        gpus.push_back({{"id", each.id}, {"name", each.name}, {"bytes", each.bytes}});
    return {{"name", facts.machine},
            {"gpus", std::move(gpus)},
            {"cpu", facts.cpu},
            {"logical_cpus", facts.cpus},
            {"virtualized", facts.virtualized},
            {"kernel", facts.kernel},
            {"driver", facts.driver},
            {"cuda_driver", cuda_version(facts.cuda_driver)},
            {"cuda_runtime", cuda_version(facts.cuda_runtime)}};
}

/// What the JSON of every benchmark begins with.
[[nodiscard]] inline json json_head(const char* bench, const bench_facts& facts) {
    return {
        {"bench", bench},
        {"barelink", fmt::format("{}.{}.{}", BARELINK_VERSION_MAJOR, BARELINK_VERSION_MINOR, BARELINK_VERSION_PATCH)},
        {"simulated", facts.simulated},
        {"warning", facts.simulated ? json(simulated_warning) : json()},
        {"date", facts.date},
        {"machine", facts_json(facts)}};
}

} // namespace detail

[[nodiscard]] inline json copies_json(const copies_report& report) {
    const copies_parameters& asked = report.asked;
    json out = detail::json_head("copies", report.facts);
    out.update(json{{"parameters",
                     {{"gpu", asked.gpu},
                      {"numa", asked.numa},
                      {"sizes", asked.sizes},
                      {"cases", asked.cases},
                      {"pairs", asked.pairs},
                      {"relays", asked.relays},
                      {"rounds", asked.rounds},
                      {"order", "in turn, every other round backwards"},
                      {"clock", "CLOCK_MONOTONIC, from before the first call to after the streams are synchronised"},
                      {"least_sample_us", asked.least_sample_us},
                      {"pinned_memory", "one mapping on the NUMA node, registered in one piece"},
                      {"pageable_memory", "one mapping on the NUMA node, small pages, touched before"},
                      {"pool_bytes", asked.pool_bytes}}},
                    {"verified", report.verified()},
                    {"cases", json::array()},
                    {"skipped", json::array()}});
    for (const case_result& each : report.cases) {
        json sizes = json::array();
        for (const size_result& size : each.sizes) {
            json ways = json::array();
            for (const way_result& way : size.ways) ways.push_back(detail::way_json(each, size, way));
            sizes.push_back({{"bytes", size.bytes}, {"ways", std::move(ways)}});
        }
        out["cases"].push_back({{"case", each.name},
                                {"from", each.from},
                                {"to", each.to},
                                {"directions", each.directions},
                                {"proof", each.proof.empty() ? json() : json(each.proof)},
                                {"sizes", std::move(sizes)}});
    }
    for (const skipped_size& each : report.skipped)
        out["skipped"].push_back({{"case", each.where}, {"bytes", each.bytes}, {"why", each.why}});
    if (report.pool)
        out["pool"] = {{"bytes", report.pool->bytes},
                       {"pinned_pool_s", report.pool->pool_s},
                       {"cuda_host_alloc_s", report.pool->raw_s},
                       {"pinned_pool_median_s", median(report.pool->pool_s)},
                       {"cuda_host_alloc_median_s", median(report.pool->raw_s)},
                       {"ratio", median(report.pool->raw_s) / median(report.pool->pool_s)},
                       {"notes", report.pool->notes}};
    out["notes"] = report.notes;
    out["failures"] = report.failures;
    return out;
}

/// Medians; a panel a case.
[[nodiscard]] inline barelink::size_plot copies_plot(const copies_report& report) {
    barelink::size_plot plot;
    plot.title = "Copies on " + report.facts.machine;
    const std::string gpu = report.facts.gpus.empty() ? std::string("no GPU") : report.facts.gpus.front().name;
    plot.subtitle = fmt::format("{}, CUDA {}, {}; medians of {} rounds, the ways in turn, wall clock", gpu,
                                cuda_version(report.facts.cuda_runtime), report.facts.date, report.asked.rounds);
    if (report.facts.simulated) plot.warning = simulated_warning;
    for (const case_result& each : report.cases) {
        barelink::size_panel panel{each.title, {}};
        for (const size_result& size : each.sizes)
            for (const way_result& way : size.ways) {
                auto known = std::find_if(panel.series.begin(), panel.series.end(),
                                          [&](const barelink::size_series& s) { return s.name == way.way; });
                if (known == panel.series.end()) known = panel.series.insert(known, {way.way, {}});
                known->points.emplace_back(size.bytes, gb_s(each, size, median(way.us)));
            }
        if (!panel.series.empty()) plot.panels.push_back(std::move(panel));
    }
    return plot;
}

} // namespace tool
