// This machine through CUDA and Linux's /sys alone, for programs that link the CUDA runtime and nothing else.
#pragma once

#include <barelink/machine/cuda_gpus.hpp>
#include <barelink/machine/detail/sysfs_machine.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda {

/// Reads this machine without hwloc: GPUs, their pairs and their NUMA nodes from CUDA, memories, packages and the PCI
/// tree above NVIDIA's devices from /sys. NICs and disks are not in it. Creates no context, leaves no last error. GPU
/// pairs are `unproved`; NVLinks are inferred and `assumed`. Errors: those of `read_gpus`.
[[nodiscard]] inline result<machine> discover() {
    const result<gpu_inventory> facts = read_gpus();
    if (!facts) return facts.error();
    return ::barelink::detail::machine_from_sysfs("", *facts);
}

} // namespace cuda
BARELINK_END_NAMESPACE
