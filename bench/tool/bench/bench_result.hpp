// What a benchmark of copies was asked for and what it found, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tool {

/// The machine and the software that figures belong to.
struct bench_facts {
    std::string machine;
    struct gpu {
        std::string id, name;
        std::uint64_t bytes = 0;
    };
    std::vector<gpu> gpus;
    std::string cpu, kernel, date, driver; ///< `driver`: the kernel module's own words; empty where it says nothing
    unsigned cpus = 0;
    int cuda_driver = 0, cuda_runtime = 0; ///< 13000 is 13.0
    bool virtualized = false, simulated = false;
};

struct copies_parameters {
    int gpu = 0, numa = 0;
    unsigned rounds = 11;
    double least_sample_us = 1000;
    std::vector<std::uint64_t> sizes;
    std::vector<std::string> cases;
    std::string pairs = "all", relays = "none";
    std::uint64_t pool_bytes = 0; ///< 0: not asked for
};

/// One way of making the same copies: `raw`, `memcpy_async`, `mover`. One value a round.
struct way_result {
    std::string way;
    unsigned batch = 1;         ///< copies in one sample
    std::vector<double> us;     ///< of one copy: the sample's time, waiting included, by its batch
    std::vector<double> submit; ///< us that one call keeps its thread
    bool verified = false;
};

struct size_result {
    std::uint64_t bytes = 0; ///< of one copy in one direction
    std::vector<way_result> ways;
};

struct case_result {
    std::string name, title, from, to;
    unsigned directions = 1; ///< 2: both at once, and rates are those of both together
    std::string proof;       ///< of a GPU pair
    std::vector<size_result> sizes;
};

struct skipped_size {
    std::string where, why;
    std::uint64_t bytes = 0;
};

/// Seconds to make and pin the memory, one value a round.
struct pool_result {
    std::uint64_t bytes = 0;
    std::vector<double> pool_s, raw_s;
    std::vector<std::string> notes;
};

struct copies_report {
    bench_facts facts;
    copies_parameters asked;
    std::vector<case_result> cases;
    std::vector<skipped_size> skipped;
    std::optional<pool_result> pool;
    std::vector<std::string> notes;
    std::vector<std::string> failures; ///< cases that ended early, and why; what they had measured is kept

    [[nodiscard]] bool verified() const {
        for (const case_result& each : cases)
            for (const size_result& size : each.sizes)
                for (const way_result& way : size.ways)
                    if (!way.verified) return false;
        return true;
    }
};

} // namespace tool
