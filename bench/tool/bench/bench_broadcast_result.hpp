// What a benchmark of broadcasts and their kin was asked for and what it found, as plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench_blocks_result.hpp"

namespace tool {

struct broadcast_parameters {
    unsigned rounds = 11;
    std::vector<std::uint64_t> sizes;
    std::vector<std::string> cases; ///< `broadcast`, `scatter`, `gather`, `exchange`
    std::string relays = "none";
    std::uint64_t stripe_bytes = 0; ///< of the host memory; also the size of one raw copy from or to it
    std::size_t numa_nodes = 0;     ///< that it is striped over
};

/// One case at one size. `bytes`: of the host memory, and what every GPU receives of a broadcast; what every GPU holds of an
/// exchange. A way's `us` are by CUDA's events, its `wall_us` by the thread's clock.
struct broadcast_cell {
    std::string name;
    std::uint64_t bytes = 0;
    std::uint64_t moved = 0; ///< that rates are of: `bytes` of a broadcast, all bytes on their way of the others
    double bound_gb_s = 0;
    double predicted_us = 0;
    std::uint64_t copies = 0; ///< trees of a broadcast, routes of the others
    struct way : way_result {
        std::vector<double> wall_us;
    };
    std::vector<way> ways;

    [[nodiscard]] const way* find(const std::string& wanted) const {
        for (const way& each : ways)
            if (each.way_result::way == wanted) return &each;
        return nullptr;
    }
};

struct broadcast_report {
    bench_facts facts;
    broadcast_parameters asked;
    std::vector<broadcast_cell> cells;
    std::vector<skipped_size> skipped;
    std::vector<std::string> notes, failures;

    [[nodiscard]] bool verified() const {
        for (const broadcast_cell& cell : cells)
            for (const broadcast_cell::way& way : cell.ways)
                if (!way.verified) return false;
        return true;
    }
};

} // namespace tool
