// Two reports and what they say about each other, written by hand: a VM that loses NVLink and a little latency.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/tax_comparison.hpp>

namespace tax_samples {

/// The same numbers on every machine: a linear congruential generator (Knuth's MMIX) and sums of twelve of its values.
class dice {
public:
    explicit dice(std::uint64_t seed) : state_(seed) {}
    double uniform() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<double>(state_ >> 11) / 9007199254740992.0;
    }
    double normal() {
        double sum = -6;
        for (int i = 0; i < 12; ++i) sum += uniform();
        return sum;
    }

private:
    std::uint64_t state_;
};

inline barelink::tax_series rates(const char* id, barelink::tax_row row, const char* what, double gb_s, bool headline,
                                  std::uint64_t seed) {
    barelink::tax_series series;
    series.id = id;
    series.row = row;
    series.what = what;
    series.method = "512 MiB, 16 copies, median of 3; CUDA events";
    series.headline = headline;
    dice roll(seed);
    for (int r = 0; r < 10; ++r) {
        series.runs.emplace_back();
        const double level = gb_s * (1 + 0.002 * roll.normal());
        for (int i = 0; i < 20; ++i) series.runs.back().samples.push_back(level * (1 + 0.001 * roll.normal()));
    }
    return series;
}

inline barelink::tax_series times(const char* id, barelink::tax_row row, const char* what, double us, double tail,
                                  bool headline, std::uint64_t seed, std::size_t samples = 1000) {
    barelink::tax_series series;
    series.id = id;
    series.row = row;
    series.what = what;
    series.method = "closed loop; host clock around submit and wait";
    series.unit = barelink::tax_unit::us;
    series.headline = headline;
    series.block = 50;
    dice roll(seed);
    for (int r = 0; r < 10; ++r) {
        series.runs.emplace_back();
        for (std::size_t i = 0; i < samples; ++i) {
            double time = us * std::exp(0.02 * roll.normal());
            if (roll.uniform() < 0.02) time += tail * -std::log(1 - roll.uniform());
            series.runs.back().samples.push_back(time);
        }
    }
    return series;
}

inline barelink::finding finding_of(const char* id, const char* title, barelink::severity level, const char* object,
                                    const char* evidence, const char* cost, const char* remedy) {
    return {id, title, level, object, evidence, "project choice", cost, remedy, ""};
}

inline barelink::tax_report report(bool is_b) {
    using barelink::severity, barelink::tax_row;
    const double nvlink = is_b ? 0.872 : 1, tail = is_b ? 240 : 90;
    const std::uint64_t seed = is_b ? 1000 : 1;
    barelink::tax_report made;
    made.name = is_b ? "vm-3.cloud.example" : "metal-7.rack.example";
    made.taken = is_b ? "2026-11-23T16:40:12+00:00" : "2026-11-23T14:05:51+00:00";
    made.tool = "barelink 0.5.0";
    made.subject = {"NVIDIA H100 80GB HBM3",
                    8,
                    "580.95.05",
                    "13.0",
                    "on",
                    "off",
                    "unknown",
                    is_b ? "b" : "a",
                    "Intel(R) Xeon(R) Platinum 8480+",
                    is_b ? "KVM" : "none",
                    false};
    made.clock_ns = is_b ? 31.4 : 22.6;
    made.processes = 10;
    auto& all = made.series;
    all.push_back(rates("host_link/h2d/gpu:0", tax_row::host_link, "pinned memory to gpu:0, alone", is_b ? 54.9 : 55.3,
                        true, seed + 1));
    all.push_back(
        rates("host_link/d2h/gpu:0", tax_row::host_link, "gpu:0 to pinned memory, alone", 55.2, true, seed + 2));
    all.push_back(rates("host_link/h2d/all", tax_row::host_link, "pinned memory to all 8 GPUs at once",
                        is_b ? 431 : 442, false, seed + 3));
    all.push_back(rates("memory/copy/gpu:0", tax_row::memory, "copy kernel in gpu:0's memory", 2904, true, seed + 4));
    all.push_back(rates("memory/read/numa:0", tax_row::memory, "host memory of numa:0, read", 268, false, seed + 5));
    all.push_back(times("inference/14GB/kv10/graph", tax_row::inference, "decode proxy, 14 GB, 10 % KV, CUDA graph",
                        is_b ? 5320 : 5210, tail, true, seed + 6, 400));
    all.back().bytes_per_token = 15.4e9;
    all.push_back(rates("nvlink/0-1", tax_row::nvlink, "gpu:0 to gpu:1, one way", 395 * nvlink, true, seed + 7));
    all.push_back(
        rates("nvlink/0-1/both", tax_row::nvlink, "gpu:0 and gpu:1, both ways", 742 * nvlink, false, seed + 8));
    all.push_back(times("latency/step/open", tax_row::latency, "decode step, open loop at 150 a second",
                        is_b ? 5400 : 5290, tail * 3, true, seed + 9, 1200));
    all.push_back(times("latency/h2d/4KiB", tax_row::latency, "4 KiB from pinned memory, host side", is_b ? 6.9 : 6.1,
                        is_b ? 9 : 4, false, seed + 10, 1500));
    if (is_b) {
        made.findings.push_back(finding_of("NVL-01", "NVLink rate", severity::fail, "gpu:1",
                                           "345 GB/s, 0.76 of nominal, where 0.88 is usual", "12 % of pair copies",
                                           "look for a link that is down with nvidia-smi nvlink"));
        made.findings.push_back(
            finding_of("VRT-01", "hypervisor", severity::info, "", "KVM (CPUID 0x40000000)", "not quantified", ""));
        made.findings.push_back(finding_of("VRT-06", "jitter", severity::warn, "cpu:12",
                                           "gaps of up to 412 us while spinning", "the floor of any P99",
                                           "pin virtual CPUs and keep the emulator's threads elsewhere"));
    }
    made.findings.push_back(finding_of("ENV-02", "debug variables", severity::ok, "", "none set", "", ""));
    made.findings.push_back(finding_of("IOM-01", "IOMMU", is_b ? severity::unknown : severity::info, "",
                                       is_b ? "hidden by the hypervisor" : "identity", "not quantified", ""));
    made.absent.push_back({tax_row::host_link, "into one GPU over relays", "the tool was told not to use relays"});
    return made;
}

/// A line as `compare` makes it, with the figures given here.
inline barelink::tax_line line(const barelink::tax_series& series, barelink::tax_statistic statistic, double a,
                               double b, double width, barelink::tax_verdict verdict) {
    barelink::tax_line made;
    made.id = series.id;
    made.row = series.row;
    made.what = series.what;
    made.unit = series.unit;
    made.statistic = statistic;
    made.headline = series.headline;
    made.verdict = verdict;
    made.margin =
        statistic == barelink::tax_statistic::p99 || statistic == barelink::tax_statistic::p99_9 ? 0.05 : 0.02;
    made.level = series.headline ? 0.98 : 0.90;
    made.runs_a = made.runs_b = 10;
    if (verdict == barelink::tax_verdict::not_measured) {
        made.note = "n too small";
        return made;
    }
    made.a = a;
    made.b = b;
    const double ratio = b / a;
    made.ratio = {ratio * (1 - width), ratio, ratio * (1 + width)};
    made.noise = barelink::tax_interval{1 - width, 1 + width / 10, 1 + width};
    if (series.unit == barelink::tax_unit::gb_s) {
        made.kept = made.ratio;
    } else {
        made.kept = {1 / made.ratio.high, 1 / ratio, 1 / made.ratio.low};
        made.added_us = barelink::tax_interval{a * (made.ratio.low - 1), b - a, a * (made.ratio.high - 1)};
    }
    if (verdict == barelink::tax_verdict::inconclusive) made.more_runs = 7;
    return made;
}

struct pair {
    barelink::tax_report a = report(false), b = report(true);
    barelink::tax_comparison c;

    pair() {
        using barelink::tax_statistic, barelink::tax_verdict, barelink::tax_row;
        c.title = "gap between two machines";
        c.a = {a.name, a.taken, a.subject, a.processes};
        c.b = {b.name, b.taken, b.subject, b.processes};
        const auto add = [&](std::size_t series, tax_statistic statistic, double of_a, double of_b, double width,
                             tax_verdict verdict) {
            const barelink::tax_series& from = a.series[series];
            auto& row = c.rows[static_cast<std::size_t>(from.row)];
            row.lines.push_back(c.lines.size());
            c.lines.push_back(line(from, statistic, of_a, of_b, width, verdict));
        };
        add(0, tax_statistic::rate, 55.3, 54.9, 0.003, tax_verdict::no_tax);
        add(1, tax_statistic::rate, 55.2, 55.2, 0.003, tax_verdict::no_tax);
        add(2, tax_statistic::rate, 442, 431, 0.004, tax_verdict::tax);
        add(3, tax_statistic::rate, 2904, 2905, 0.002, tax_verdict::no_tax);
        add(4, tax_statistic::rate, 268, 275, 0.004, tax_verdict::faster);
        add(5, tax_statistic::p50, 5210, 5320, 0.012, tax_verdict::inconclusive);
        add(5, tax_statistic::p99, 5620, 6280, 0.03, tax_verdict::tax);
        add(6, tax_statistic::rate, 395, 344.4, 0.004, tax_verdict::tax);
        add(7, tax_statistic::rate, 742, 647, 0.005, tax_verdict::tax);
        add(8, tax_statistic::p99, 5900, 6700, 0.04, tax_verdict::tax);
        add(8, tax_statistic::p50, 5290, 5400, 0.003, tax_verdict::tax);
        add(8, tax_statistic::p99_9, 0, 0, 0, tax_verdict::not_measured);
        add(9, tax_statistic::p50, 6.1, 6.9, 0.004, tax_verdict::tax);
        add(9, tax_statistic::p99, 7.6, 12.1, 0.05, tax_verdict::tax);
        add(9, tax_statistic::p99_9, 24.2, 44.0, 0.11, tax_verdict::tax);
        const std::size_t shown[] = {0, 3, 5, 7, 9};
        for (std::size_t i = 0; i < 5; ++i) {
            c.rows[i].claim = barelink::tax_claims[i];
            c.rows[i].shown = shown[i];
            c.rows[i].verdict = c.lines[shown[i]].verdict;
            c.rows[i].against_claim = i == 3 ? barelink::tax_against_claim::less : barelink::tax_against_claim::less;
        }
        c.rows[3].only_b.push_back(b.findings[0]);
        c.rows[4].only_b.push_back(b.findings[2]);
        c.rows[4].unexplained = false;
        c.money =
            barelink::tax_money{100000, {0.009, 0.0207, 0.033}, {908, 2114, 3413}, 0.98, "inference/14GB/kv10/graph"};
        c.method =
            "Two-level bootstrap over processes and blocks of steps, 10,000 resamples, seed 1; intervals of 90 %, "
            "98 % for headlines; verdicts by equivalence within a margin of 2 % for rates and medians, 5 % for P99.";
    }
};

} // namespace tax_samples
