// P2P-01: which GPUs may copy directly to which, by what CUDA grants, and whether that is as it should be.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/gpu_model.hpp>
#include <barelink/measure/gpu_checks/check_sheet.hpp>
#include <barelink/measure/gpu_checks/setup.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail::probes {

[[nodiscard]] inline const gpu_model* model_of(const node& gpu) noexcept {
    const gpu_model* model = find_gpu_model(gpu.vendor, gpu.device);
    return model ? model : find_gpu_model(gpu.name.c_str());
}
[[nodiscard]] inline std::string pair_text(const machine& m, node_index from, node_index to) {
    return m.at(from).id() + " -> " + m.at(to).id();
}
[[nodiscard]] inline bool over_nvlink(const machine& m, const dma_path& path) {
    for (const link_direction hop : m.hops(path))
        if (m.at(hop.link).kind == link_kind::nvlink) return true;
    return false;
}
[[nodiscard]] inline bool grants(const machine& m, node_index from, node_index to) {
    const dma_path* path = m.path(from, to);
    return path && path->allowed;
}

inline constexpr const char* staged_cost =
    "copies between them go through host memory: published 36.7 to 38.4 instead of 395 GB/s "
    "between two H100, 14 to 19 us instead of 2.3 to 3.4 for 16 bytes";

} // namespace detail::probes

/// Reads nothing: the grants are the machine's, which are CUDA's on a live one.
[[nodiscard]] inline std::vector<finding> check_peer_matrix(const machine& m, const gpu_check_setup& setup) {
    detail::probes::check_sheet sheet("P2P-01",
                                      "a grant in both directions, which is what data-centre GPUs get on bare metal");
    const std::vector<node_index> gpus = listed_gpus(m, setup);
    if (gpus.size() == 1) sheet.info(m.at(gpus[0]).id(), "there is one GPU and no pair");
    std::vector<std::string> refused, joined;
    for (std::size_t i = 0; i < gpus.size(); ++i)
        for (std::size_t j = i + 1; j < gpus.size(); ++j) {
            const node_index a = gpus[i], b = gpus[j];
            const bool there = detail::probes::grants(m, a, b), back = detail::probes::grants(m, b, a);
            const std::string pair = m.at(a).id() + " <-> " + m.at(b).id();
            if (there && back) {
                sheet.ok(pair, "granted both ways");
                continue;
            }
            if (there || back) {
                const std::string open =
                    there ? detail::probes::pair_text(m, a, b) : detail::probes::pair_text(m, b, a);
                finding& one_way = sheet.add(severity::warn, pair, "granted " + open + " and not back");
                one_way.cost = detail::probes::staged_cost;
                one_way.remedy = "compare driver, IOMMU group and virtual machine settings of the two GPUs";
                one_way.reaction = "the direction that is granted is used, the other one staged";
                continue;
            }
            const gpu_model *one = detail::probes::model_of(m.at(a)), *other = detail::probes::model_of(m.at(b));
            const bool modules = one && other && one->form != gpu_form::card && other->form != gpu_form::card &&
                                 one->nvlinks > 0 && other->nvlinks > 0;
            const auto linked = [&](node_index gpu) {
                return std::any_of(m.paths().begin(), m.paths().end(), [&](const dma_path& path) {
                    return path.from == gpu && path.allowed && m.at(path.to).kind == node_kind::gpu &&
                           detail::probes::over_nvlink(m, path);
                });
            };
            if (modules && m.count(node_kind::nvswitch) == 0 && linked(a) && linked(b))
                sheet.info(pair, "not granted: the NVLinks of these GPUs join other pairs");
            else if (modules)
                joined.push_back(pair);
            else if (one && other && (!one->pcie_peer_access || !other->pcie_peer_access))
                sheet.info(pair, "not granted: the driver gives GeForce GPUs no peer access over PCIe");
            else
                refused.push_back(pair);
        }
    if (!joined.empty()) {
        finding& lost = sheet.add(severity::fail, detail::probes::check_sheet::names(joined),
                                  "CUDA grants no direct copy between modules that NVLink should join");
        lost.cost = detail::probes::staged_cost;
        lost.remedy =
            "look at nvidia-fabricmanager (NVL-02), MIG (GPU-01), and whether the container or virtual machine has all "
            "GPUs and NVSwitches";
        lost.reaction = "copies are staged through pinned host memory";
    }
    if (!refused.empty()) {
        finding& lost =
            sheet.add(severity::warn, detail::probes::check_sheet::names(refused), "CUDA grants no direct copy");
        lost.cost = detail::probes::staged_cost;
        lost.remedy =
            "in a virtual machine pass the GPUs through in one group and with their switch; on bare metal look at the "
            "IOMMU (IOM-01) and at whether the driver supports peer access for this GPU";
        lost.reaction = "copies are staged through pinned host memory";
    }
    return std::move(sheet).take("no GPU is listed");
}

BARELINK_END_NAMESPACE
