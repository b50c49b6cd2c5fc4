// What a calibration is asked, and what it found: the machine with measured rates, and what each rate rests on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <barelink/core/units.hpp>
#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE

struct calibrate_options {
    /// The GPUs to use; empty: all that CUDA can drive. No other GPU is touched or gets a context.
    std::vector<node_index> gpus;
    /// No measurement is begun after this long; what is there is used.
    double time_limit_us = 30e6;
    /// Held at most, GPUs and host together.
    std::uint64_t memory_bytes = 8 * GiB;
    /// The largest single copy. Copies are as large as takes about a millisecond.
    std::uint64_t most_copy_bytes = 256 * MiB;
    /// Nobody opened peer access between the GPUs yet, so that the driver's own staging can be measured on any pair.
    bool peers_closed = false;
};

/// How much is known about one direction of a link.
enum class link_knowledge : std::uint8_t {
    unseen,   ///< no copy crossed it
    at_least, ///< it was never full: copies reach this, and may reach more
    measured, ///< it was full
};
[[nodiscard]] constexpr const char* to_string(link_knowledge known) noexcept {
    switch (known) {
    case link_knowledge::unseen: return "unseen";
    case link_knowledge::at_least: return "at least";
    case link_knowledge::measured: return "measured";
    }
    return "unseen";
}

/// One direction of one link, GB/s.
struct calibrated_link {
    link_direction where;
    double before_gb_s = 0; ///< as assumed
    double gb_s = 0;        ///< as the calibrated machine has it
    double seen_gb_s = 0;   ///< the most that was seen to cross it
    link_knowledge known = link_knowledge::unseen;
    /// Several links may be the reason for what was seen; this one had the nearest assumption.
    bool chosen = false;
    friend bool operator==(const calibrated_link&, const calibrated_link&) = default;
};

/// One copy of a set, GB/s.
struct calibrated_copy {
    node_index from, to;
    double alone_gb_s = 0;
    double together_gb_s = 0;
    double explained_gb_s = 0; ///< by the calibrated links
    friend bool operator==(const calibrated_copy&, const calibrated_copy&) = default;
};
/// Copies that ran at the same time.
struct calibrated_set {
    std::vector<calibrated_copy> copies;
    friend bool operator==(const calibrated_set&, const calibrated_set&) = default;
};

/// A cost of `copy_costs` or `block_costs` that was measured.
struct calibrated_cost {
    std::string name;
    double before = 0;
    double after = 0;
    friend bool operator==(const calibrated_cost&, const calibrated_cost&) = default;
};

/// Copies of one size, back to back in one stream.
struct calibrated_size {
    std::uint64_t bytes = 0;
    double us = 0; ///< for each copy
    friend bool operator==(const calibrated_size&, const calibrated_size&) = default;
};

struct calibration {
    machine calibrated;
    std::vector<calibrated_link> links; ///< both directions of every link, in the machine's order
    std::vector<calibrated_set> alone;  ///< every path that was measured, a set of one copy each
    std::vector<calibrated_set> together;
    std::vector<calibrated_set> both_ways; ///< to and from a GPU at once
    std::vector<calibrated_cost> costs;
    std::vector<calibrated_size> sizes; ///< from host memory to the first GPU
    /// What the links cannot explain, could not be measured or was left out, in sentences; also among the machine's notes.
    std::vector<machine_note> notes;
    double took_us = 0;
    bool complete = true; ///< false: the time limit came first
};

BARELINK_END_NAMESPACE
