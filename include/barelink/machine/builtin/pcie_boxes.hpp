// Servers whose GPUs are cards: no NVLink, and PCIe decides.
#pragma once

#include <barelink/machine/machine_builder.hpp>

BARELINK_BEGIN_NAMESPACE
namespace builtin {
namespace detail {

/// Genoa, one NUMA node to a package: twelve DDR5-4800 channels, 460 GB/s nominal; between packages four xGMI links of
/// 16 lanes at 32 GT/s. What copies reach of them: project priors.
inline constexpr package_spec genoa{"AMD EPYC 9554 64-Core Processor", 1, 350, 280, 768 * GiB};
inline constexpr double genoa_xgmi_gb_s = 110;
/// What reading and writing host memory at once lose below an EPYC root port: published for MI210 on this CPU, 28 GB/s one way and
/// 45 both ways together; how it parts into the two directions follows published runs on other AMD hosts (18 of 28 to the
/// device, 26.8 to the host).
inline constexpr double epyc_to_device_lost = 0.38, epyc_to_host_lost = 0.04;

} // namespace detail

/// 8 L40S on two EPYC packages, two GPUs to a Gen5 switch whose uplink carries both at Gen4 rate; the driver grants
/// peer access to every pair.
[[nodiscard]] inline machine l40s_pcie_8() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x26b9);
    // The GPU is Gen4, and copies reach what an A100 reaches: no published figure of its own.
    constexpr host_rates gen4{25.7, 25.8, detail::epyc_to_device_lost, detail::epyc_to_host_lost};
    constexpr host_rates gen5{55.3, 55.2, detail::epyc_to_device_lost, detail::epyc_to_host_lost};

    machine_builder box("l40s-pcie-8");
    const node_index cpus[] = {box.package(detail::genoa), box.package(detail::genoa)};
    box.cpu_link(cpus[0], cpus[1], detail::genoa_xgmi_gb_s);
    for (const node_index package : cpus) {
        for (int pair = 0; pair < 2; ++pair) {
            const node_index shared = box.pcie_switch(box.root_port(package, gen5), gen5);
            for (int g = 0; g < 2; ++g) box.gpu(shared, model, gen4);
        }
    }
    return std::move(box.peers(peer_scope::all)).finish();
}

/// 8 RTX 4090 on the root ports of two EPYC packages. GeForce has no peer access: every GPU pair goes through host
/// memory.
[[nodiscard]] inline machine rtx4090_pcie_8() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x2684);
    // Published over boxes and slots: 25.5 to 26.3 host to device, 26.8 device to host.
    constexpr host_rates gen4{25.9, 26.8, detail::epyc_to_device_lost, detail::epyc_to_host_lost};

    machine_builder box("rtx4090-pcie-8");
    const node_index cpus[] = {box.package(detail::genoa), box.package(detail::genoa)};
    box.cpu_link(cpus[0], cpus[1], detail::genoa_xgmi_gb_s);
    for (const node_index package : cpus)
        for (int g = 0; g < 4; ++g) box.gpu(box.root_port(package, gen4), model, gen4);
    return std::move(box.peers(peer_scope::none)).finish();
}

/// 4 A100 PCIe on one EPYC package, two GPUs to a switch that shares one Gen4 x16 uplink; peer access for every pair.
[[nodiscard]] inline machine a100_pcie_4_switch() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x20b5);
    // Published A100 pinned copies: 25.7 host to device, 25.8 device to host.
    constexpr host_rates gen4{25.7, 25.8, detail::epyc_to_device_lost, detail::epyc_to_host_lost};

    machine_builder box("a100-pcie-4-switch");
    // Milan, eight DDR4-3200 channels, 204.8 GB/s nominal; what copies reach of it is a project prior.
    const node_index cpu = box.package({"AMD EPYC 7763 64-Core Processor", 1, 160, 130, 512 * GiB});
    for (int pair = 0; pair < 2; ++pair) {
        const node_index shared = box.pcie_switch(box.root_port(cpu, gen4), gen4);
        box.gpu(shared, model, gen4);
        box.gpu(shared, model, gen4);
    }
    return std::move(box.peers(peer_scope::all)).finish();
}

} // namespace builtin
BARELINK_END_NAMESPACE
