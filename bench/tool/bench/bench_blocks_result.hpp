// What a benchmark of scattered blocks was asked for and what it found, as plain values.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "bench_result.hpp"
#include "bench_statistics.hpp"

namespace tool {

struct blocks_parameters {
    int gpu = 0, numa = 0;
    unsigned rounds = 11;
    double least_sample_us = 1000;
    std::uint64_t seed = 1;
    std::uint64_t memory_bytes = 0; ///< largest cell, in bytes moved; 0: what fits
    int multiprocessors = 16;       ///< of the kernel, alone, in barelink, and in the staged way
    unsigned host_threads = 8;      ///< that gather and scatter
    std::vector<std::uint64_t> sizes;
    std::vector<std::uint32_t> counts;
    std::vector<std::string> directions, ways;
    bool kernel = false;   ///< compiled in
    bool may_block = true; ///< barelink may let host threads gather and scatter, as the staged way does
};

/// `count` blocks of `bytes` each, one direction. A way's `us` is that of the whole list, `submit` what its call kept the thread.
struct blocks_cell {
    std::string direction; ///< `h2d` or `d2h`
    std::uint64_t bytes = 0;
    std::uint32_t count = 0;
    std::vector<way_result> ways;
    std::string chosen; ///< which way barelink went, and what did not go as planned

    [[nodiscard]] std::uint64_t all_bytes() const noexcept { return bytes * count; }
    [[nodiscard]] const way_result* find(const std::string& name) const {
        for (const way_result& each : ways)
            if (each.way == name) return &each;
        return nullptr;
    }
};

struct skipped_cell {
    std::string direction;
    std::uint64_t bytes = 0;
    std::uint32_t count = 0;
    std::string way, why; ///< `way`: empty when nothing of the cell was run
};

/// One of the machine's `block_costs`, as it was and as the measurements would have it.
struct fitted_cost {
    std::string name;
    double before = 0, now = 0;
};

struct blocks_report {
    bench_facts facts;
    blocks_parameters asked;
    std::vector<blocks_cell> cells;
    std::vector<skipped_cell> skipped;
    std::vector<fitted_cost> fit;
    std::string fit_from; ///< evidence of the costs before
    std::vector<std::string> notes, failures;

    [[nodiscard]] bool verified() const {
        for (const blocks_cell& cell : cells)
            for (const way_result& way : cell.ways)
                if (!way.verified) return false;
        return true;
    }
};

/// The ways that are barelink's own.
[[nodiscard]] inline bool is_own(const way_result& way) {
    return way.way == "barelink" || way.way == "prepared";
}

/// The fastest of the others by its median; nullptr when none ran.
[[nodiscard]] inline const way_result* best_other(const blocks_cell& cell) {
    const way_result* best = nullptr;
    for (const way_result& each : cell.ways)
        if (!is_own(each) && !each.us.empty() && (!best || median(each.us) < median(best->us))) best = &each;
    return best;
}

/// `other`'s time over `way`'s, round by round: above 1 `way` is faster.
[[nodiscard]] inline median_interval times_as_fast(const way_result& way, const way_result& other) {
    std::vector<double> all;
    for (std::size_t i = 0; i < way.us.size() && i < other.us.size(); ++i)
        if (way.us[i] > 0) all.push_back(other.us[i] / way.us[i]);
    return interval_of(std::move(all));
}

/// What is wanted of barelink, and what it did; see `blocks_conditions`.
struct blocks_condition {
    std::string text;
    bool met = false;
};

inline constexpr double wanted_of_best = 0.98, wanted_of_loop = 4, wanted_gb_s = 45;
inline constexpr std::uint64_t wanted_bytes = 32 * 1024; ///< the cell that must be `wanted_of_loop` times the loop
inline constexpr std::uint32_t wanted_count = 4096;

/// 0.98 of the best other way or more in this cell.
[[nodiscard]] inline bool keeps_up(const blocks_cell& cell) {
    const way_result* own = cell.find("barelink");
    const way_result* best = best_other(cell);
    return own && best && times_as_fast(*own, *best).median >= wanted_of_best;
}

} // namespace tool
