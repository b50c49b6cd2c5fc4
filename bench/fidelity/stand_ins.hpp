// Which machine stands for a published system: built-in ones, and a few that differ from one by a data sheet's figure.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include <barelink/machine/builtin.hpp>

#include "published_rows.hpp"

namespace fidelity {

struct stand_in {
    barelink::machine machine;
    std::string says; ///< its name, and what it differs in
};

namespace detail {

inline bool has(const std::string& where, const char* what) {
    return where.find(what) != std::string::npos;
}

/// GPU cards of a PCIe box with a driver that grants peer access over PCIe.
inline barelink::machine with_peer_access(barelink::machine m) {
    for (const barelink::node_index from : m.all(barelink::node_kind::gpu))
        for (const barelink::node_index to : m.all(barelink::node_kind::gpu))
            if (from != to) m.grants.push_back({from, to, true, barelink::delivery::assumed});
    m.connect();
    return m;
}

/// Two GH200 modules: the figures of `gh200`, and those between the two Graces of `gb200-4`.
inline barelink::machine dual_gh200() {
    constexpr barelink::gpu_model model = *barelink::find_gpu_model(barelink::nvidia_vendor, 0x2342);
    barelink::machine_builder box("dual-gh200");
    constexpr barelink::package_spec grace{"NVIDIA Grace", 1, 384, 348, 480 * barelink::GiB};
    const barelink::node_index cpus[] = {box.package(grace), box.package(grace)};
    box.cpu_link(cpus[0], cpus[1], 133);
    for (const barelink::node_index cpu : cpus) box.gpu_over_c2c(cpu, model, {378, 297});
    return std::move(box).finish();
}

/// GPUs on one Xeon of `hgx-h100-8`, every pair joined by `links` NVLinks.
inline barelink::machine hopper_pairs(const char* name, const barelink::gpu_model& model, int gpus, int links,
                                      const barelink::copy_costs& costs = {}) {
    constexpr barelink::host_rates gen5{55.3, 55.2, 0.073, 0.394};
    barelink::machine_builder box(name);
    const barelink::node_index cpu =
        box.package({"Intel(R) Xeon(R) Platinum 8462Y+", 1, 272, 178, 1024 * barelink::GiB});
    std::vector<barelink::node_index> all;
    for (int g = 0; g < gpus; ++g) all.push_back(box.gpu(box.root_port(cpu, gen5), model, gen5));
    for (std::size_t a = 0; a < all.size(); ++a)
        for (std::size_t b = a + 1; b < all.size(); ++b) box.nvlink(all[a], all[b], links);
    return std::move(box.costs(costs)).finish();
}

} // namespace detail

/// By system where a system is known, else by GPU; nothing when no machine here is like it.
inline std::optional<stand_in> stand_in_for(const published_row& row) {
    using namespace barelink;
    using detail::has;
    const std::string &system = row.system, &gpu = row.gpu;
    const auto model = [](const char* name) { return *find_gpu_model(name); };
    if (has(gpu, "GH200"))
        return has(system, "dual") ? stand_in{detail::dual_gh200(), "two gh200, joined as in gb200-4"}
                                   : stand_in{builtin::gh200(), "gh200"};
    if (has(gpu, "GB200")) return stand_in{builtin::gb200_4(), "gb200-4"};
    if (has(gpu, "B200")) return stand_in{builtin::hgx_b200_8(), "hgx-b200-8"};
    if (has(gpu, "H800"))
        return stand_in{builtin::detail::hgx("hgx-h800-8", "Intel(R) Xeon(R) Platinum 8462Y+", model("NVIDIA H800")),
                        "hgx-h100-8 with H800 (8 NVLinks of 18)"};
    if (has(gpu, "H20") && !has(gpu, "H200"))
        return stand_in{builtin::detail::hgx("hgx-h20-8", "Intel(R) Xeon(R) Platinum 8462Y+", model("NVIDIA H20")),
                        "hgx-h100-8 with H20"};
    if (has(gpu, "H200")) return stand_in{builtin::hgx_h200_8(), "hgx-h200-8"};
    if (has(gpu, "H100 PCIe") || has(gpu, "H100 NVL") || has(system, "NVLink bridge")) {
        // The driver's hand-over is a property of a server; this one's is fitted to its copies one way (26.1 GB/s).
        copy_costs costs;
        costs.driver_staging_us = 10.6;
        return stand_in{detail::hopper_pairs("h100-pcie-bridge", model("NVIDIA H100 PCIe"), 2, 12, costs),
                        "a socket of hgx-h100-8 with 2 H100 PCIe on a bridge (12 NVLinks), hand-overs of 10.6 us"};
    }
    if (has(system, "Azure ND H100")) return stand_in{builtin::azure_nd_h100_v5_vm(), "azure-nd-h100-v5-vm"};
    if (has(system, "H100-80GB x4"))
        return stand_in{detail::hopper_pairs("hgx-h100-4", model("NVIDIA H100 80GB HBM3"), 4, 6),
                        "a socket of hgx-h100-8 with 4 H100, 6 NVLinks a pair (HGX H100 4-GPU)"};
    if (has(gpu, "H100")) return stand_in{builtin::hgx_h100_8(), "hgx-h100-8"};
    if (has(gpu, "A100") && has(gpu, "PCIe")) return stand_in{builtin::a100_pcie_4_switch(), "a100-pcie-4-switch"};
    if (has(gpu, "A100")) return stand_in{builtin::dgx_a100(), "dgx-a100"};
    if (has(gpu, "V100") && has(system, "DGX-2")) return stand_in{builtin::dgx2_v100(), "dgx2-v100"};
    if (has(gpu, "V100")) return stand_in{builtin::dgx1_v100(), "dgx1-v100"};
    if (has(gpu, "L40S")) return stand_in{builtin::l40s_pcie_8(), "l40s-pcie-8"};
    if (has(gpu, "RTX 4090") || has(gpu, "RTX4090")) {
        if (has(row.metric, "P2P=Enabled"))
            return stand_in{detail::with_peer_access(builtin::rtx4090_pcie_8()), "rtx4090-pcie-8 with peer access"};
        return stand_in{builtin::rtx4090_pcie_8(), "rtx4090-pcie-8"};
    }
    if (has(gpu, "MI210"))
        return stand_in{builtin::rtx4090_pcie_8(), "rtx4090-pcie-8 (the same CPU and PCIe generation)"};
    return std::nullopt;
}

} // namespace fidelity
