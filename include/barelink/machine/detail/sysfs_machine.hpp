// A machine from Linux's /sys and CUDA's facts.
#pragma once

#include <string>
#include <utility>

#include <barelink/machine/detail/assemble.hpp>
#include <barelink/machine/detail/merge_gpu_facts.hpp>
#include <barelink/machine/detail/sysfs_host.hpp>
#include <barelink/machine/detail/sysfs_pci.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Memories that only CUDA names, each on a package of its own because nothing says more; one at least, since GPUs
/// copy from somewhere.
inline void add_named_memories(machine_sketch& seen, const cuda::gpu_inventory& facts) {
    const auto add = [&](int node) {
        for (const sketched_memory& each : seen.memories)
            if (each.index == node) return;
        sketched_memory added;
        added.index = node;
        added.package = static_cast<int>(seen.packages.size());
        seen.packages.emplace_back();
        seen.memories.push_back(added);
        seen.note("numa:" + std::to_string(node), "is not in /sys: its size and its package are not known");
    };
    for (const cuda::gpu_facts& gpu : facts.gpus)
        if (gpu.host_numa != unknown_numa) add(gpu.host_numa.value);
    if (seen.memories.empty()) add(0);
}

/// A machine of what /sys below `root` and CUDA say.
[[nodiscard]] inline result<machine> machine_from_sysfs(const std::string& root, const cuda::gpu_inventory& facts) {
    machine_sketch seen;
    seen.name = small_file(root + "/sys/class/dmi/id/product_name", 256);
    if (seen.name.empty()) seen.name = "live";
    seen.live = true;
    const sysfs_host host(root, seen);
    add_named_memories(seen, facts);
    const sysfs_pci pci(root, seen);
    merge_gpu_facts(seen, facts);
    return assemble(std::move(seen));
}

} // namespace detail
BARELINK_END_NAMESPACE
