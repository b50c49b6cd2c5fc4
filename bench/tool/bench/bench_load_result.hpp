// What a benchmark of loading a file was asked for and what it found, as plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench_result.hpp"

namespace tool {

struct load_parameters {
    std::string file;
    std::uint64_t bytes = 0;
    bool made = false; ///< by the benchmark, and removed by it
    int gpu = 0, numa = 0;
    unsigned rounds = 5;
    std::vector<std::string> ways;
    std::uint64_t chunk_bytes = 0, ring_bytes = 0, plain_bytes = 0; ///< `plain_bytes`: of one plain read and copy
    std::uint32_t workers = 0, storage_reads = 0; ///< reads at once: of barelink's threads, of the storage alone
    bool threads_only = false, liburing = false;
};

/// One way of getting the file to the GPU, or what the storage or the link does alone. One value a round.
struct load_way {
    std::string way;
    bool moves = true;          ///< from the file to the GPU
    std::vector<double> s;      ///< from opening the file to the last byte on the GPU
    std::vector<double> peak;   ///< bytes of memory that the process had more than before, at most
    std::vector<double> cached; ///< part of the file that was in the page cache before
    std::uint64_t pinned = 0;   ///< of the memory, what was page-locked
    bool verified = false;
    std::vector<std::string> notes;
};

struct load_report {
    bench_facts facts;
    load_parameters asked;
    std::string file_system, block_device;
    std::vector<load_way> ways;
    std::vector<std::string> notes, failures;

    [[nodiscard]] const load_way* find(const std::string& name) const {
        for (const load_way& each : ways)
            if (each.way == name) return &each;
        return nullptr;
    }
    [[nodiscard]] bool verified() const {
        for (const load_way& each : ways)
            if (each.moves && !each.verified) return false;
        return true;
    }
};

} // namespace tool
