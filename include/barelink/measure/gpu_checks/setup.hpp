// What the checks that use GPUs may touch, and what is known before they start.
#pragma once

#include <cstdint>
#include <vector>

#include <barelink/machine/machine.hpp>
#include <barelink/move/delivery_proof.hpp>
#include <barelink/move/host_mapping.hpp>
#include <barelink/plan/request.hpp>

BARELINK_BEGIN_NAMESPACE

/// Whether an IOMMU translates the addresses of devices: what check IOM-01 read.
enum class dma_translation : std::uint8_t { unknown, off, on };

/// Sizes are project choices, within those of the contract: host copies of 64 to 512 MiB, small ones of 4 B to 64 KiB.
struct gpu_check_setup {
    /// No other GPU gets a context, memory or work.
    gpu_set gpus = gpu_set::all();
    std::uint64_t host_bytes = 128 * MiB; ///< of one large host copy
    std::uint64_t pair_bytes = 64 * MiB;  ///< of one copy between GPUs
    int copies = 8;                       ///< of a large copy, counted after a first one
    /// Of each small size. At least 368 for a 99th percentile with its interval.
    int small_copies = 400;
    /// Memory that the checks hold at most, all GPUs and the host together.
    std::uint64_t memory_bytes = 4 * GiB;
    proof_options proof;
    /// After this long a host copy has hung. Project choice: a thousand times what the largest takes.
    double timeout_us = 10e6;
    dma_translation iommu = dma_translation::unknown;
    /// No hypervisor: link speeds in sysfs mean what they say.
    bool bare_metal = false;
    /// The kernel puts memory on the NUMA node that is asked for. Where it refuses, nothing is said about nodes.
    bool places_memory = true;
};

/// The GPUs that the checks may use: those that CUDA can drive, by number.
[[nodiscard]] inline std::vector<node_index> listed_gpus(const machine& m, const gpu_check_setup& setup) {
    std::vector<node_index> found;
    for (std::uint32_t n = 0; n < m.nodes.size(); ++n)
        if (m.nodes[n].kind == node_kind::gpu && m.nodes[n].cuda && setup.gpus.contains(gpu_id{m.nodes[n].index}))
            found.push_back(node_index{n});
    return found;
}

/// The host memory that copies of a GPU start from: its own node's, else the widest way to it.
[[nodiscard]] inline node_index host_memory_of(const machine& m, node_index gpu) noexcept {
    if (m.at(gpu).numa != unknown_numa)
        if (const node_index near = m.memory(m.at(gpu).numa); near != no_node) return near;
    const dma_path* best = nullptr;
    for (const dma_path& path : m.paths())
        if (path.to == gpu && m.at(path.from).kind == node_kind::memory && (!best || path.gb_s > best->gb_s))
            best = &path;
    return best ? best->from : no_node;
}

/// Whether the kernel puts memory on the NUMA node that is asked for: one page on each node. False also where it does not tell.
[[nodiscard]] inline bool memory_lands_where_asked(const machine& m) {
    for (const node_index memory : m.all(node_kind::memory)) {
        host_layout where;
        where.nodes = {m.at(memory).numa};
        const auto page = host_mapping::make(4 * KiB, where, {1, host_mapping_options::huge_pages::never});
        if (!page) return false;
        const auto lies = node_of(page->data());
        if (!lies || *lies != m.at(memory).numa) return false;
    }
    return true;
}

BARELINK_END_NAMESPACE
