// Grace superchips: GPUs on C2C instead of PCIe.
#pragma once

#include <barelink/machine/machine_builder.hpp>

BARELINK_BEGIN_NAMESPACE
namespace builtin {

/// One Grace and one H100 over C2C.
[[nodiscard]] inline machine gh200() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x2342);
    machine_builder box("gh200");
    // LPDDR5X of the 480 GB part. Reading: 384 GB/s by data sheet; the copy engine reads it at 378, more than STREAM's
    // threads reach. Writing: the published STREAM triad, 348.
    const node_index grace = box.package({"NVIDIA Grace", 1, 384, 348, 480 * GiB});
    // Published copies over C2C: 377 and 380 host to device, 297 and 298 device to host.
    box.gpu_over_c2c(grace, model, {378, 297});
    return std::move(box).finish();
}

/// One compute tray of a GB200 NVL72: two Grace, each with two GPUs over C2C, and the GPUs on NVSwitch.
[[nodiscard]] inline machine gb200_4() {
    constexpr gpu_model model = *find_gpu_model(nvidia_vendor, 0x2941);
    // C2C carries 450 GB/s of a Grace in each direction by data sheet, as on GH200, and two GPUs part it: half of what
    // copies reach there.
    constexpr host_rates half_c2c{189, 148.5};
    // LPDDR5X, 512 GB/s by data sheet. Reading at the share of GH200's copies, writing at the share of its STREAM
    // triad.
    constexpr package_spec grace{"NVIDIA Grace", 1, 500, 460, 480 * GiB};

    machine_builder box("gb200-4");
    const node_index cpus[] = {box.package(grace), box.package(grace)};
    // Published copies to the other socket's GPU on a dual GH200: 133.2 and 132.5 (STREAM's threads reach 112 to 119).
    box.cpu_link(cpus[0], cpus[1], 133);
    for (const node_index package : cpus)
        for (int g = 0; g < 2; ++g) box.gpu_over_c2c(package, model, half_c2c);
    // 18 links of a GPU: 792 GB/s, 0.88 of nominal; no published pair.
    return std::move(box.nvswitch()).finish();
}

} // namespace builtin
BARELINK_END_NAMESPACE
