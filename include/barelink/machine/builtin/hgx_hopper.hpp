// Eight-GPU HGX boards on two-socket Xeon servers: H100, H200, B200.
#pragma once

#include <barelink/machine/machine_builder.hpp>

BARELINK_BEGIN_NAMESPACE
namespace builtin {
namespace detail {

/// Two Xeon packages, four GPUs on each, every GPU behind a switch with a Gen5 x16 uplink of its own: on published
/// machines all eight GPUs read the host at full rate at once (H800: 55.2 GB/s each), so no uplink is shared.
[[nodiscard]] inline machine hgx(const char* name, const char* cpu, const gpu_model& model) {
    // Published: host to device 55.3 to 55.4 (H100, H200, H800), device to host 55.1 to 55.3; both at once 52.8 and 34.4 (H800).
    constexpr host_rates gen5{55.3, 55.2, 0.073, 0.394};
    // DRAM, one socket of eight DDR5 channels. Writing: the published 44 to 45 GB/s of each GPU when all eight write (H800),
    // four to a socket. Reading: what leaves 34 GB/s of reads beside 22.5 of writes for each GPU when all eight do both (H800);
    // 0.89 of the data sheet's 307.
    const package_spec socket{cpu, 1, 272, 178, 1024 * GiB};

    machine_builder box(name);
    const node_index cpus[] = {box.package(socket), box.package(socket)};
    // UPI, three or four links of 16 GT/s: project prior.
    box.cpu_link(cpus[0], cpus[1], 100);
    for (const node_index package : cpus)
        for (int g = 0; g < 4; ++g) box.gpu(box.pcie_switch(box.root_port(package, gen5), gen5), model, gen5);
    return std::move(box.nvswitch()).finish();
}

} // namespace detail

/// 8 H100 SXM5: PCIe 55.3 / 55.2 GB/s, NVSwitch 395 GB/s a GPU (published pair).
[[nodiscard]] inline machine hgx_h100_8() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x2330);
    return detail::hgx("hgx-h100-8", "Intel(R) Xeon(R) Platinum 8462Y+", model);
}

/// 8 H200 SXM5: PCIe as H100 (published 55.4 / 55.1), NVSwitch 396 GB/s a GPU (published pair).
[[nodiscard]] inline machine hgx_h200_8() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x2335);
    return detail::hgx("hgx-h200-8", "Intel(R) Xeon(R) Platinum 8480C", model);
}

/// 8 B200: PCIe as H100 (the same Gen5 x16; no published figure), NVSwitch 792 GB/s a GPU (0.88 of nominal).
[[nodiscard]] inline machine hgx_b200_8() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x2901);
    return detail::hgx("hgx-b200-8", "Intel(R) Xeon(R) Platinum 8570", model);
}

} // namespace builtin
BARELINK_END_NAMESPACE
