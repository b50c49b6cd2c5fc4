// The host's side of an NCCL file: NUMA nodes are listed, packages are not and have to be inferred.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <barelink/machine/detail/sketch.hpp>
#include <barelink/machine/host_model.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// What one `<cpu>` element says.
struct nccl_cpu {
    int numa = -1;
    int threads = 0; ///< bits in its affinity mask
    int runs = 0;    ///< stretches of neighbouring bits: two when threads come in pairs
    std::string arch;
    sketched_package cpu;
};

/// Counts the threads of a mask such as `00000000,00ffffff`, highest word first.
inline void count_affinity(std::string_view mask, nccl_cpu& cpu) noexcept {
    bool last = false;
    for (const char c : mask) {
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        for (int bit = digit < 0 ? -1 : 3; bit >= 0; --bit) {
            const bool set = (digit >> bit & 1) != 0;
            cpu.threads += set;
            cpu.runs += set && !last;
            last = set;
        }
    }
}

/// How many packages hold the NUMA nodes of a file. Two nodes are two sockets, as GPU servers ship. More are up to four
/// to a socket (AMD's NPS4, Intel's SNC4), unless that would put more cores into one than the CPU has. Nodes without a
/// device are not in the file, so the highest number counts, not how many are listed.
[[nodiscard]] inline int infer_packages(const std::vector<nccl_cpu>& cpus) {
    int highest = 0, cores = 0;
    const nccl_cpu* some = nullptr;
    for (const nccl_cpu& each : cpus) {
        highest = each.numa > highest ? each.numa : highest;
        const int own = each.runs > 1 ? each.threads / 2 : each.threads;
        cores = own > cores ? own : cores;
        if (each.numa >= 0) some = &each;
    }
    const int nodes = highest + 1;
    if (!some || nodes <= 2) return nodes;
    if (some->arch.substr(0, 3) == "ppc") return nodes > 8 ? 2 : 1; // POWER9 numbers its sockets' nodes 0 and 8
    const int most =
        find_host_model(some->cpu.vendor.c_str(), some->cpu.family, some->cpu.model, some->cpu.name.c_str()).cores;
    const int by_nodes = (nodes + 3) / 4, by_cores = (nodes * cores + most - 1) / most;
    const int packages = by_cores > by_nodes ? by_cores : by_nodes;
    return packages > nodes ? nodes : packages;
}

/// Fills packages and memories; returns the package of each `<cpu>`, -1 for one whose node is unknown.
[[nodiscard]] inline std::vector<int> add_nccl_hosts(const std::vector<nccl_cpu>& cpus, machine_sketch& seen) {
    int highest = -1;
    for (const nccl_cpu& each : cpus) highest = each.numa > highest ? each.numa : highest;
    const int packages = highest < 0 ? 1 : infer_packages(cpus);
    const int nodes_each = highest < 0 ? 1 : (highest + packages) / packages;
    seen.packages.resize(static_cast<std::size_t>(packages));
    std::vector<int> place;
    for (const nccl_cpu& each : cpus) {
        place.push_back(each.numa < 0 ? (packages == 1 ? 0 : -1) : each.numa / nodes_each);
        for (sketched_package& package : seen.packages)
            if (package.vendor.empty() && package.name.empty()) package = each.cpu;
        if (each.numa < 0) {
            seen.note("cpu numaid", "-1 means unknown, not everywhere");
            continue;
        }
        bool known = false;
        for (const sketched_memory& other : seen.memories) known = known || other.index == each.numa;
        if (!known) seen.memories.push_back({each.numa, 0, place.back(), 0});
    }
    if (seen.memories.empty()) seen.memories.push_back({0, 0, 0, 0});
    // In order of their numbers, as every other source lists them.
    for (std::size_t i = 1; i < seen.memories.size(); ++i)
        for (std::size_t j = i; j > 0 && seen.memories[j].index < seen.memories[j - 1].index; --j)
            std::swap(seen.memories[j], seen.memories[j - 1]);
    if (highest > 1)
        seen.note("package", std::to_string(highest + 1) + " NUMA nodes were taken as " + std::to_string(packages) +
                                 (packages == 1 ? " package" : " packages") + ": the file lists nodes only");
    return place;
}

} // namespace detail
BARELINK_END_NAMESPACE
