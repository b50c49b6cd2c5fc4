// This machine: what hwloc sees, and what CUDA says of its GPUs when there is a driver.
#pragma once

#include <string>
#include <utility>

#include <barelink/machine/cuda_gpus.hpp>
#include <barelink/machine/detail/merge_gpu_facts.hpp>
#include <barelink/machine/hwloc_live.hpp>

BARELINK_BEGIN_NAMESPACE

/// Reads this machine through hwloc and asks CUDA for its GPUs: numbered in CUDA's order, their memory, NUMA nodes and
/// peer access CUDA's, NVLinks inferred (`assumed`) where hwloc lists none. Creates no context, leaves no last error.
/// GPU pairs are `unproved` until a copy has been checked. Where CUDA answers nothing (no driver, the fabric is not up)
/// the machine is hwloc's, and a note `cuda` says why; where it shows no GPU, hwloc's GPUs are drawn and not used.
/// Errors: device, when hwloc cannot load the topology.
[[nodiscard]] inline result<machine> live_machine() {
    result<detail::machine_sketch> seen = detail::live_hwloc_sketch();
    if (!seen) return std::move(seen).error();
    result<cuda::gpu_inventory> facts = cuda::read_gpus();
    if (!facts) {
        seen->note("cuda", facts.error().what());
        if (facts.error().native() == cudaErrorNoDevice) detail::merge_gpu_facts(*seen, {});
    } else {
        detail::merge_gpu_facts(*seen, *facts);
    }
    return detail::assemble(*std::move(seen));
}

BARELINK_END_NAMESPACE
