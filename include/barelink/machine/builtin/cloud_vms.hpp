// Cloud machines as their guests see them.
#pragma once

#include <barelink/machine/machine_builder.hpp>

BARELINK_BEGIN_NAMESPACE
namespace builtin {

/// Azure ND H100 v5: 8 H100 SXM5 on NVSwitch. The hypervisor shows every GPU in a PCI domain of its own, on a host
/// bridge and with no switch; the NUMA node is known.
[[nodiscard]] inline machine azure_nd_h100_v5_vm() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x2330);
    // Published in the VM: 51 host to device, 52 device to host. What both at once lose: as on bare metal.
    constexpr host_rates gen5{51, 52, 0.073, 0.394};
    // DRAM and UPI as on bare metal (`hgx_h100_8`).
    constexpr package_spec socket{"Intel(R) Xeon(R) Platinum 8480C", 1, 272, 178, 950 * GiB};

    machine_builder box("azure-nd-h100-v5-vm");
    const node_index cpus[] = {box.package(socket), box.package(socket)};
    box.cpu_link(cpus[0], cpus[1], 100);
    for (const node_index package : cpus)
        for (int g = 0; g < 4; ++g) box.gpu(box.host_bridge(package, gen5), model, gen5);
    return std::move(box.nvswitch().virtualized()).finish();
}

} // namespace builtin
BARELINK_END_NAMESPACE
