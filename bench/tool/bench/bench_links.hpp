// The benchmark of links on live GPUs: what nvbandwidth measures, the way it measures it, and then what it leaves out.
#pragma once

#include <algorithm>

#include "bench_links_beyond.hpp"
#include "bench_links_rows.hpp"

namespace tool {

/// Runs what the report asks for and fills it in. Throws what keeps it from going on.
inline void run_links_bench(const barelink::machine& m, links_report& report) {
    links_figures figures(m, report);
    links_rows rows(figures);
    links_beyond beyond(figures);
    const auto guarded = [&](const std::string& row, auto work) {
        if (figures.wants(row)) figures.guard(row, work);
    };
    for (const std::string& row : report.asked.rows) figures.expect(row);
    // Before anything opens peer access: a pair cannot be told to do without it afterwards.
    guarded("staged", [&] { beyond.run_staged(); });
    guarded("sizes", [&] { beyond.run_sizes(false); });
    figures.open_peers();
    for (const std::string& row : nvbandwidth_rows) guarded(row, [&] { rows.run(row); });
    guarded("pageable", [&] { beyond.run_pageable(); });
    guarded("numa", [&] { beyond.run_numa(); });
    guarded("sizes", [&] { beyond.run_sizes(true); });
    guarded("concurrent", [&] { beyond.run_concurrent(); });
    guarded("multi_path", [&] { beyond.run_multi_path(); });
    // nvbandwidth's in its order, then the others, however they were measured.
    std::stable_partition(report.metrics.begin(), report.metrics.end(),
                          [](const links_metric& each) { return each.in_nvbandwidth; });
    report.took_s = figures.seconds_so_far();
    figures.progress("");
}

} // namespace tool
