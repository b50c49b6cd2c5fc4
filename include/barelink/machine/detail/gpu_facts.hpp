// What CUDA's queries say about GPUs and their pairs, as plain values: filled with CUDA, judged without.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <barelink/machine/node.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda {

/// What a query said. `unknown`: it failed, or this CUDA version does not have it.
enum class answer : std::int8_t { unknown = -1, no = 0, yes = 1 };

/// One GPU that CUDA shows.
struct gpu_facts {
    int ordinal = 0;
    pci_address pci;
    /// PCI vendor and device, 0 when CUDA is too old to say.
    std::uint16_t vendor = 0;
    std::uint16_t device = 0;
    std::string name;
    /// Compute capability, 90 is 9.0; 0 when unknown.
    int sm = 0;
    std::uint64_t memory_bytes = 0;
    /// Host NUMA node nearest to it. -1 is unknown, which is also what CUDA says of systems without NUMA.
    numa_id host_numa = unknown_numa;
    /// The NUMA node that its own memory is, on systems where it is one.
    numa_id memory_numa = unknown_numa;
    /// Asynchronous copy engines, 0 when unknown.
    int copy_engines = 0;
    /// All native atomics work over its link to the CPU, which is so over C2C and not over PCIe.
    answer host_atomics = answer::unknown;
    /// It reads memory that nobody pinned; and does so through the CPU's page tables.
    answer pageable_access = answer::unknown;
    answer host_page_tables = answer::unknown;
    answer host_register = answer::unknown;
    /// Registered host memory has one address for CPU and GPU; else ask `cudaHostGetDevicePointer`.
    answer host_pointer_for_registered = answer::unknown;
    /// Contexts are shared with other processes through MPS.
    answer mps = answer::unknown;
    /// One part of a GPU that is split up. Several have the same PCI address.
    bool mig = false;

    friend bool operator==(const gpu_facts&, const gpu_facts&) = default;
};

/// One GPU's way into another's memory.
struct peer_facts {
    answer access = answer::unknown;
    answer native_atomics = answer::unknown;
    answer partial_atomics = answer::unknown; ///< some of them; CUDA 13 and later
    /// Relative; 0 is the fastest pair. Means nothing without access (pairs without any read 0). -1 is unknown.
    int performance_rank = -1;

    friend bool operator==(const peer_facts&, const peer_facts&) = default;
};

/// All GPUs in CUDA's order, and every ordered pair of them.
struct gpu_inventory {
    std::vector<gpu_facts> gpus;
    std::vector<peer_facts> peers; ///< row by row: `from` * GPUs + `to`

    [[nodiscard]] const peer_facts& peer(std::size_t from, std::size_t to) const noexcept {
        return peers[from * gpus.size() + to];
    }
    [[nodiscard]] peer_facts& peer(std::size_t from, std::size_t to) noexcept { return peers[from * gpus.size() + to]; }

    friend bool operator==(const gpu_inventory&, const gpu_inventory&) = default;
};

} // namespace cuda
BARELINK_END_NAMESPACE
