// What a published row measured, read from its metric's name.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include <barelink/core/units.hpp>

#include "published_rows.hpp"

namespace fidelity {

/// Groups of the table, and what is run for them.
enum class kind : std::uint8_t {
    host,      ///< host memory and one GPU, pinned, one way
    host_far,  ///< the same with the other package's memory
    host_both, ///< both ways at once
    host_all,  ///< all GPUs at once
    host_all_both,
    curve,       ///< host memory and one GPU, many sizes
    pageable,    ///< host memory that is not pinned
    pair,        ///< two GPUs with peer access, one way
    pair_both,   ///< both ways at once
    one_and_all, ///< one GPU and all the others at once
    staged,      ///< two GPUs without peer access, one way
    staged_both,
    latency, ///< 16 bytes between two GPUs, microseconds
    staged_latency,
    submission, ///< the calling thread's time for a copy between two GPUs, microseconds
};

inline constexpr kind all_kinds[] = {kind::host,          kind::host_far,       kind::host_both, kind::host_all,
                                     kind::host_all_both, kind::curve,          kind::pageable,  kind::pair,
                                     kind::pair_both,     kind::one_and_all,    kind::staged,    kind::staged_both,
                                     kind::latency,       kind::staged_latency, kind::submission};

[[nodiscard]] constexpr const char* to_string(kind k) noexcept {
    switch (k) {
    case kind::host: return "host and one GPU, one way";
    case kind::host_far: return "host and one GPU, the other package's memory";
    case kind::host_both: return "host and one GPU, both ways at once";
    case kind::host_all: return "host and all GPUs at once, one way";
    case kind::host_all_both: return "host and all GPUs at once, both ways";
    case kind::curve: return "host and one GPU, by size";
    case kind::pageable: return "host and one GPU, pageable memory";
    case kind::pair: return "GPU pair, one way";
    case kind::pair_both: return "GPU pair, both ways at once";
    case kind::one_and_all: return "one GPU and all the others at once";
    case kind::staged: return "GPU pair without peer access, one way";
    case kind::staged_both: return "GPU pair without peer access, both ways at once";
    case kind::latency: return "GPU pair, 16 bytes";
    case kind::staged_latency: return "GPU pair without peer access, 16 bytes";
    case kind::submission: return "GPU pair, the calling thread's time for a copy";
    }
    return "";
}

struct question {
    kind what = kind::host;
    bool to_device = true; ///< of host kinds: the direction that is measured
    bool pulled = false;   ///< of GPU pairs: issued by the GPU that receives
    bool sum = false;      ///< of both ways: both directions together, else the forward one
    int gpu = 0, peer = 1; ///< from and to of pairs
    int memory = -1;       ///< NUMA node, -1: near to the GPU
    std::uint64_t bytes = 0;
    int copies = 16;
};

namespace detail {

inline bool contains(const std::string& where, const char* what) {
    return where.find(what) != std::string::npos;
}

/// The number behind `prefix`, `otherwise` when it is not that.
inline int number_behind(const std::string& name, const char* prefix, int otherwise) {
    const std::size_t length = std::char_traits<char>::length(prefix);
    if (name.compare(0, length, prefix) != 0 || name.size() == length) return otherwise;
    return std::atoi(name.c_str() + length);
}

} // namespace detail

/// Why a row is none of the kinds that are modelled, nullptr when it is one of them. The published system may still have no
/// machine here.
inline const char* not_modelled(const published_row& row) {
    using detail::contains;
    const std::string &metric = row.metric, &system = row.system;
    if (contains(metric, "_sm")) return "copied by a kernel, not by a copy engine";
    if (contains(metric, "gdr")) return "loads and stores of the CPU over BAR1";
    if (row.direction == "collective" || contains(metric, "a2asweep") || contains(metric, "one2all"))
        return "collectives and kernels that copy";
    if (row.unit == "percent" || row.unit == "x") return "a ratio, not a rate";
    if (contains(metric, "Triad") || contains(metric, "STREAM") || row.direction == "local")
        return "memory bandwidth, no copy between memories";
    if (contains(row.tool, "osu_bw")) return "MPI over UCX: its own protocols";
    if (contains(metric, "MMA")) return "relays by another program's schedule";
    if (contains(row.tool, "vortex")) return "an application's benchmark, its own work included";
    if (contains(metric, "CPU") && contains(metric, "Latency") &&
        (contains(metric, "Disabled") || contains(metric, "Reads")))
        return "calls that wait inside the driver, which the simulator submits like any other";
    if (contains(system, "ecs-user")) return "cloud instances of unknown make, GPUs at a fraction of their links";
    if (contains(system, "consumer board")) return "a desktop board whose slots are not known";
    if (contains(row.gpu, "not stated") || row.gpu.empty()) return "the GPU is not stated";
    return nullptr;
}

/// Reads a metric's name. False for one that is none of those known here.
inline bool read_question(const published_row& row, question& q) {
    using detail::contains;
    const std::string& metric = row.metric;
    const int from = detail::number_behind(row.from, "GPU", -1), to = detail::number_behind(row.to, "GPU", -1);
    const bool both = contains(metric, "idirectional") && !contains(metric, "nidirectional");
    q.pulled = contains(metric, "_read") || contains(metric, "Reads") || contains(metric, " read ");
    q.to_device = contains(row.direction, "H2D") || row.direction == "bidir";
    q.sum = contains(metric, "total") || contains(row.tool, "p2pBandwidth") || contains(row.tool, "rocm");
    q.bytes = row.bytes;

    if (contains(metric, "P2P=") || contains(row.tool, "p2pBandwidth")) {
        const bool off = contains(metric, "Disabled") || contains(metric, "no P2P");
        q.gpu = from < 0 ? 0 : from;
        q.peer = to < 0 ? 1 : to;
        q.copies = 5;
        if (row.unit == "us") {
            q.copies = 100;
            if (q.bytes == 0) q.bytes = 16;
            q.what = off ? kind::staged_latency : contains(metric, "CPU") ? kind::submission : kind::latency;
        } else {
            if (q.bytes == 0) q.bytes = 160'000'000;
            q.what = off ? (both ? kind::staged_both : kind::staged) : both ? kind::pair_both : kind::pair;
        }
        return true;
    }
    if (row.unit == "us") return false;
    if (contains(metric, "all_to_one") || contains(metric, "one_to_all")) {
        q.what = kind::one_and_all;
        q.to_device = contains(metric, "all_to_one"); // to the one
        q.gpu = to >= 0 ? to : from;
    } else if (contains(metric, "host_to_all") || contains(metric, "all_to_host")) {
        q.what = both ? kind::host_all_both : kind::host_all;
        q.gpu = from >= 0 ? from : to;
    } else if (contains(row.direction, "D2D")) {
        const bool off = contains(metric, "no peer access");
        q.what = off ? kind::staged : both ? kind::pair_both : kind::pair;
        q.gpu = from < 0 ? 0 : from;
        q.peer = to < 0 ? 1 : to;
        if (off) q.copies = 5;
    } else if (contains(row.direction, "H2D") || contains(row.direction, "D2H") || row.direction == "bidir") {
        q.what = contains(metric, "pageable") ? kind::pageable
                 : contains(metric, "shmoo")  ? kind::curve
                 : both                       ? kind::host_both
                 : contains(metric, "remote") ? kind::host_far
                                              : kind::host;
        q.gpu = from >= 0 ? from : to >= 0 ? to : 0;
        q.memory = std::max(detail::number_behind(row.from, "Grace", -1), detail::number_behind(row.to, "Grace", -1));
        if (q.what == kind::curve) q.copies = 100; // of bandwidthTest, for every size
        if (q.what == kind::pageable || contains(row.tool, "bandwidthTest"))
            q.copies = q.what == kind::curve ? 100 : 10;
        if (q.bytes == 0 && contains(row.tool, "bandwidthTest")) q.bytes = 32'000'000;
    } else {
        return false;
    }
    if (q.bytes == 0) q.bytes = 512 * barelink::MiB; // nvbandwidth's buffer
    return true;
}

/// A published value in GB/s, or in microseconds; 0 for a unit that is neither.
inline double in_our_units(const published_row& row) {
    if (row.unit == "GB/s" || row.unit == "us") return row.value;
    if (row.unit == "GiB/s") return row.value * 1.073741824;
    if (row.unit == "MB/s") return row.value / 1e3;
    if (row.unit == "TB/s") return row.value * 1e3;
    if (row.unit == "ns") return row.value / 1e3;
    return 0;
}

} // namespace fidelity
