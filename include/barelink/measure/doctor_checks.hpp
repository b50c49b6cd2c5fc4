// The checks by id and title, and findings made in their names.
#pragma once

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include <barelink/measure/finding.hpp>

BARELINK_BEGIN_NAMESPACE

struct check_name {
    const char* id;
    const char* title;
};

/// Every check there is, in the order in which reports list what is equally bad: what spoils other measurements first.
inline constexpr check_name check_names[] = {
    {"VRT-05", "clock source"},
    {"VRT-01", "hypervisor"},
    {"VRT-02", "hidden hypervisor"},
    {"VRT-03", "stolen time"},
    {"VRT-04", "cost of an exit to the hypervisor"},
    {"VRT-06", "jitter"},
    {"VRT-07", "waking up"},
    {"VRT-08", "confidential guest"},
    {"VRT-09", "virtual GPU"},
    {"VRT-10", "gVisor"},
    {"PCI-01", "PCIe generation"},
    {"PCI-02", "PCIe width"},
    {"PCI-03", "PCIe speed when idle"},
    {"PCI-04", "host copy rate"},
    {"PCI-05", "small copies"},
    {"PCI-06", "shared uplink"},
    {"PCI-07", "BAR1"},
    {"IOM-01", "IOMMU"},
    {"IOM-02", "page size of pinned memory"},
    {"ACS-01", "PCIe redirection"},
    {"P2P-01", "peer access matrix"},
    {"P2P-02", "delivery between GPUs"},
    {"P2P-03", "peer copies behind an IOMMU"},
    {"NVL-01", "NVLink rate"},
    {"NVL-02", "NVLink fabric"},
    {"TOP-01", "virtual topology"},
    {"NUM-01", "CPUs near the GPU"},
    {"NUM-02", "NUMA node of the GPU"},
    {"NUM-03", "automatic NUMA balancing"},
    {"CPU-01", "frequency governor"},
    {"CPU-02", "idle states"},
    {"CPU-03", "CPU quota"},
    {"MEM-01", "lockable memory"},
    {"MEM-02", "shared memory"},
    {"MEM-03", "cost of pageable memory"},
    {"MEM-04", "huge pages"},
    {"MEM-05", "NUMA calls"},
    {"DRV-01", "kernel module"},
    {"DRV-02", "module parameters"},
    {"DRV-03", "GPUDirect modules"},
    {"DRV-04", "cold start"},
    {"DRV-05", "driver library"},
    {"GPU-01", "MIG and MPS"},
    {"GPU-02", "ECC"},
    {"GPU-03", "busy neighbour"},
    {"GPU-04", "steady clocks"},
    {"ENV-01", "order of GPUs"},
    {"ENV-02", "debugging variables"},
};

inline constexpr const char* project_choice = "project choice";
inline constexpr const char* not_quantified = "not quantified";

/// Place in `check_names`; one past the end for an id that is not there.
[[nodiscard]] constexpr std::size_t check_place(std::string_view id) noexcept {
    std::size_t place = 0;
    for (const check_name& each : check_names) {
        if (id == each.id) break;
        ++place;
    }
    return place;
}

/// A finding of a check, with its title; its level and what it says are for the caller to fill in.
[[nodiscard]] inline finding finding_of(const char* id, std::string object = {}) {
    const std::size_t place = check_place(id);
    finding made;
    made.id = id;
    if (place < std::size(check_names)) made.title = check_names[place].title;
    made.object = std::move(object);
    made.cost = not_quantified;
    return made;
}

/// A check that could not run, or whose facts could not be read: `why` says what stood in the way.
[[nodiscard]] inline finding unknown_finding(const char* id, std::string why, std::string object = {}) {
    finding made = finding_of(id, std::move(object));
    made.level = severity::unknown;
    made.evidence = std::move(why);
    return made;
}

BARELINK_END_NAMESPACE
