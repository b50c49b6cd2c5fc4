// A benchmark of loading a file as text and JSON. Pure functions of what was found.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "bench_load_result.hpp"
#include "bench_report.hpp"

namespace tool {

[[nodiscard]] inline double gb_s(const load_report& of, const load_way& way) {
    return barelink::rate_gb_s(static_cast<double>(of.asked.bytes), median(way.s) * 1e6);
}

/// Round by round: how many times as fast one way is as another.
[[nodiscard]] inline std::vector<double> times_as_fast(const load_way& way, const load_way* than) {
    std::vector<double> all;
    for (std::size_t i = 0; than && i < way.s.size() && i < than->s.size(); ++i)
        if (way.s[i] > 0) all.push_back(than->s[i] / way.s[i]);
    return all;
}

/// The storage at its best or the link, whichever is slower; nullptr when neither was measured.
[[nodiscard]] inline const load_way* limit_of(const load_report& of) {
    const load_way *storage = of.find("storage"), *deep = of.find("storage-uring"), *link = of.find("link");
    if (!storage || (deep && median(deep->s) < median(storage->s))) storage = deep ? deep : storage;
    if (!storage || !link) return storage ? storage : link;
    return median(storage->s) >= median(link->s) ? storage : link;
}

/// What the library promises, and whether it kept it.
struct load_condition {
    std::string promise;
    double found = 0, wanted = 0;
    bool met = false;
};

[[nodiscard]] inline std::vector<load_condition> load_conditions(const load_report& of) {
    std::vector<load_condition> all;
    const load_way *mine = of.find("barelink"), *limit = limit_of(of), *mmap = of.find("mmap");
    if (!mine || mine->s.empty()) return all;
    const auto at_least = [&](const std::string& promise, double found, double wanted) {
        all.push_back({promise, found, wanted, found >= wanted});
    };
    if (limit && !limit->s.empty())
        at_least("of the " + limit->way + "'s rate", median(times_as_fast(*mine, limit)), 0.9);
    if (mmap && !mmap->s.empty()) at_least("times mmap and a plain copy", median(times_as_fast(*mine, mmap)), 3);
    // 16 MiB: thread stacks, the heap, what the library does not count as its ring.
    const double peak = median(mine->peak), most = static_cast<double>(mine->pinned + 16 * barelink::MiB);
    all.push_back({"bytes of memory at most: the ring and 16 MiB", peak, most, peak <= most});
    return all;
}

[[nodiscard]] inline std::string load_text(const load_report& report, barelink::text_style style = {}) {
    const load_parameters& asked = report.asked;
    std::string out = header_text(report.facts, style);
    if (report.facts.simulated)
        out +=
            "  The file, the disk and the host's memory are real; the copies to the GPU are the host's own memcpy.\n";
    out += fmt::format(
        "\n{}\n  {}, {} on {}, to gpu:{} through numa:{}\n  {} rounds, the ways in turn; wall clock from "
        "opening the file to the last byte on the GPU, memory made included\n  chunks of {}, {} reads at once{}, {} of "
        "the storage alone, at most {} of ring; plain reads and copies of {}\n",
        style.bold(asked.file), barelink::format_bytes(asked.bytes), report.file_system, report.block_device, asked.gpu,
        asked.numa, asked.rounds, barelink::format_bytes(asked.chunk_bytes), asked.workers,
        asked.liburing && !asked.threads_only ? " or as many as the ring holds by io_uring" : " by threads",
        asked.storage_reads, barelink::format_bytes(asked.ring_bytes), barelink::format_bytes(asked.plain_bytes));
    const load_way* const limit = limit_of(report);
    const load_way* const mmap = report.find("mmap");
    barelink::text_table table("<>>>>>>>>><");
    table.row({"way", "GB/s", "median", "quartiles", "of limit", "times mmap", "interval", "memory", "pinned", "cached",
               "bytes"});
    for (const load_way& way : report.ways) {
        const median_interval ratio = interval_of(times_as_fast(way, mmap));
        table.row({way.way, barelink::format_rate(gb_s(report, way)), barelink::format_us(median(way.s) * 1e6),
                   barelink::format_us(quantile(way.s, 0.25) * 1e6) + " - " +
                       barelink::format_us(quantile(way.s, 0.75) * 1e6),
                   limit ? fmt::format("{:.3f}", median(times_as_fast(way, limit))) : std::string(),
                   mmap && way.moves ? fmt::format("{:.2f}", ratio.median) : std::string(),
                   mmap && way.moves ? fmt::format("{:.2f} - {:.2f}", ratio.low, ratio.high) : std::string(),
                   barelink::format_bytes(static_cast<std::uint64_t>(median(way.peak))),
                   barelink::format_bytes(way.pinned), fmt::format("{:.1f} %", 100 * median(way.cached)),
                   !way.moves     ? ""
                   : way.verified ? "verified"
                                  : "WRONG"});
    }
    out += "\n" + table.str("  ", style);
    for (const load_condition& each : load_conditions(report))
        out += fmt::format("  {} {:.6g} {}, wanted {:.6g}\n", each.met ? style.good("met:    ") : style.bad("NOT met:"),
                           each.found, each.promise, each.wanted);
    for (const load_way& way : report.ways)
        for (const std::string& said : way.notes) out += "  note: " + way.way + ": " + said + "\n";
    for (const std::string& said : report.notes) out += "  note: " + said + "\n";
    for (const std::string& said : report.failures) out += "  " + style.bad("failed") + ": " + said + "\n";
    if (report.facts.simulated) out += "\n  " + style.bad(simulated_warning) + "\n";
    return out;
}

[[nodiscard]] inline json load_json(const load_report& report) {
    const load_parameters& asked = report.asked;
    json out = detail::json_head("load", report.facts);
    out.update(
        json{{"parameters",
              {{"file", asked.file},
               {"bytes", asked.bytes},
               {"made", asked.made},
               {"file_system", report.file_system},
               {"block_device", report.block_device},
               {"gpu", asked.gpu},
               {"numa", asked.numa},
               {"rounds", asked.rounds},
               {"order", "in turn, every other round backwards"},
               {"clock", "CLOCK_MONOTONIC, from opening the file to the last byte on the GPU, memory made included"},
               {"cold", "posix_fadvise(DONTNEED) before each sample, checked with mincore"},
               {"chunk_bytes", asked.chunk_bytes},
               {"ring_bytes", asked.ring_bytes},
               {"plain_bytes", asked.plain_bytes},
               {"workers", asked.workers},
               {"storage_reads", asked.storage_reads},
               {"io_uring", asked.liburing && !asked.threads_only}}},
             {"verified", report.verified()},
             {"ways", json::array()},
             {"conditions", json::array()}});
    for (const load_way& way : report.ways)
        out["ways"].push_back(
            {{"way", way.way},
             {"gb_s", gb_s(report, way)},
             {"median_s", median(way.s)},
             {"q1_s", quantile(way.s, 0.25)},
             {"q3_s", quantile(way.s, 0.75)},
             {"of_limit", median(times_as_fast(way, limit_of(report)))},
             {"times_mmap", way.moves ? json(median(times_as_fast(way, report.find("mmap")))) : json()},
             {"peak_bytes", median(way.peak)},
             {"pinned_bytes", way.pinned},
             {"cached_before", median(way.cached)},
             {"verified", way.moves ? json(way.verified) : json()},
             {"samples_s", way.s},
             {"samples_peak_bytes", way.peak},
             {"samples_cached_before", way.cached},
             {"notes", way.notes}});
    for (const load_condition& each : load_conditions(report))
        out["conditions"].push_back(
            {{"promise", each.promise}, {"found", each.found}, {"wanted", each.wanted}, {"met", each.met}});
    out["notes"] = report.notes;
    out["failures"] = report.failures;
    return out;
}

} // namespace tool
