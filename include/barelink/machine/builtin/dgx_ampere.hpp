// DGX A100: NVSwitch above PCIe Gen4 uplinks that two GPUs share, on packages of four NUMA nodes.
#pragma once

#include <barelink/machine/machine_builder.hpp>

BARELINK_BEGIN_NAMESPACE
namespace builtin {

/// 8 A100 SXM4 80GB. Both packages run as four NUMA nodes (NPS4), as the machine ships; GPUs 0 to 7 are near nodes 3,
/// 3, 1, 1, 7, 7, 5, 5 (its documentation and topology files agree). Two GPUs, each behind a switch of its own, share a
/// switch with one Gen4 x16 uplink; the switches between those two, which nothing shares, are left out.
[[nodiscard]] inline machine dgx_a100() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x20b2);
    // Published on a DGX A100, pinned: 25.7 host to device, 25.8 device to host.
    // What both at once lose: as on a Genoa server with MI210 (published: 28 one way, 45 both ways together).
    constexpr host_rates gen4{25.7, 25.8, 0.38, 0.04};
    // Rome, eight DDR4-3200 channels, two to a node, 51.2 GB/s nominal; between packages three or four xGMI links of 16
    // lanes at 18 GT/s. What copies reach of them: project priors.
    constexpr package_spec socket{"AMD EPYC 7742 64-Core Processor", 4, 42, 34, 128 * GiB};

    machine_builder box("dgx-a100");
    const node_index cpus[] = {box.package(socket), box.package(socket)};
    box.cpu_link(cpus[0], cpus[1], 60);
    for (const int near : {3, 1, 7, 5}) {
        const node_index port = box.root_port(cpus[near / 4], gen4, numa_id{near});
        const node_index shared = box.pcie_switch(port, gen4);
        for (int g = 0; g < 2; ++g) box.gpu(box.pcie_switch(shared, gen4), model, gen4);
    }
    // Twelve links of a GPU: 274.5 GB/s, within the published 265 to 276 of a pair.
    return std::move(box.nvswitch()).finish();
}

} // namespace builtin
BARELINK_END_NAMESPACE
