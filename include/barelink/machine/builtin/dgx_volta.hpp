// DGX-1 (V100) and DGX-2: PCIe Gen3 trees with shared uplinks below NVLink.
#pragma once

#include <barelink/machine/machine_builder.hpp>

BARELINK_BEGIN_NAMESPACE
namespace builtin {
namespace detail {

/// V100 over Gen3 x16: host to device 12.4 (published size curve, 16 MB), device to host 13.1 (published). What both at once
/// lose: from published runs of nvbandwidth on Gen3 GPUs below a Xeon (12.40 and 13.20 alone, 11.50 and 11.33 at once).
inline constexpr host_rates v100_gen3{12.4, 13.1, 0.08, 0.16};

/// Published for 16 bytes between two GPUs of a DGX-2: 2.8 us of the calling thread on the Xeons of that time; 2.3 us a copy pushed
/// and 9.5 us pulled, many in one stream.
[[nodiscard]] inline copy_costs volta_costs() {
    copy_costs costs;
    costs.submit_us = 2.75;
    costs.chain_nvlink_pull_us = 8.8;
    return costs;
}

} // namespace detail

/// 8 V100 SXM2 in a hybrid cube mesh, two GPUs to a PCIe switch. GPUs that no NVLink joins have no direct path: they
/// are on different sockets, and the driver grants no peer access across QPI.
[[nodiscard]] inline machine dgx1_v100() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x1db1);
    // Broadwell-EP, four DDR4-2400 channels, 76.8 GB/s nominal; two QPI links of 9.6 GT/s, 38.4 nominal. What copies
    // reach of them: project priors.
    constexpr package_spec socket{"Intel(R) Xeon(R) CPU E5-2698 v4", 1, 62, 50, 256 * GiB};

    machine_builder box("dgx1-v100");
    const node_index cpus[] = {box.package(socket), box.package(socket)};
    box.cpu_link(cpus[0], cpus[1], 20);
    node_index gpus[8];
    for (int pair = 0; pair < 4; ++pair) {
        const node_index port = box.root_port(cpus[pair / 2], detail::v100_gen3);
        const node_index shared = box.pcie_switch(port, detail::v100_gen3);
        gpus[2 * pair] = box.gpu(shared, model, detail::v100_gen3);
        gpus[2 * pair + 1] = box.gpu(shared, model, detail::v100_gen3);
    }
    // `nvidia-smi topo -m` of a DGX-1V: NV1 and NV2 by pair; every GPU has six links.
    struct wires {
        int a, b, links;
    };
    constexpr wires mesh[] = {{0, 1, 1}, {0, 2, 1}, {0, 3, 2}, {0, 4, 2}, {1, 2, 2}, {1, 3, 1}, {1, 5, 2}, {2, 3, 2},
                              {2, 6, 1}, {3, 7, 1}, {4, 5, 1}, {4, 6, 1}, {4, 7, 2}, {5, 6, 2}, {5, 7, 1}, {6, 7, 2}};
    for (const wires& each : mesh) box.nvlink(gpus[each.a], gpus[each.b], each.links);
    return std::move(box.costs(detail::volta_costs())).finish();
}

/// 16 V100 SXM3 on NVSwitch. The PCIe tree is that of a DGX-2's hwloc capture: two root ports to a package, below each
/// a switch with two switches, two GPUs to each of those: four GPUs share one Gen3 x16 uplink.
[[nodiscard]] inline machine dgx2_v100() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x1db8);
    // Skylake-SP, six DDR4-2666 channels, 128 GB/s nominal; three UPI links of 10.4 GT/s, 62 nominal. What copies reach
    // of them: project priors.
    constexpr package_spec socket{"Intel(R) Xeon(R) Platinum 8174 CPU @ 3.10GHz", 1, 100, 80, 768 * GiB};

    machine_builder box("dgx2-v100");
    const node_index cpus[] = {box.package(socket), box.package(socket)};
    box.cpu_link(cpus[0], cpus[1], 33);
    for (const node_index package : cpus) {
        for (int tree = 0; tree < 2; ++tree) {
            const node_index port = box.root_port(package, detail::v100_gen3);
            const node_index top = box.pcie_switch(port, detail::v100_gen3);
            for (int pair = 0; pair < 2; ++pair) {
                const node_index below = box.pcie_switch(top, detail::v100_gen3);
                for (int g = 0; g < 2; ++g) box.gpu(below, model, detail::v100_gen3);
            }
        }
    }
    // Six links of a GPU: 145.6 GB/s, the published pair of a DGX-2.
    return std::move(box.nvswitch().costs(detail::volta_costs())).finish();
}

} // namespace builtin
BARELINK_END_NAMESPACE
