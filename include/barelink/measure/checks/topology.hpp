// TOP-01: whether the PCI tree around the GPUs is the real one or a hypervisor's.
#pragma once

#include <string>
#include <vector>

#include <barelink/machine/detail/number_list.hpp>
#include <barelink/measure/checks/gpus.hpp>
#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail::host {

/// Ports that only emulators make: QEMU's own (1b36) and the old Intel and TI ports that it imitates.
[[nodiscard]] inline bool is_emulated_port(const system_view& system, const std::string& folder) {
    const result<std::string> vendor = system.read(folder + "/vendor"), device = system.read(folder + "/device");
    if (!vendor || !device) return false;
    return *vendor == "0x1b36" || *vendor == "0x1af4" || (*vendor == "0x8086" && *device == "0x3420") ||
           (*vendor == "0x104c" && (*device == "0x8232" || *device == "0x8233"));
}

} // namespace detail::host

/// Real: a port of hardware above the GPU and a NUMA node. Flat: neither. Partial: one of them.
[[nodiscard]] inline findings check_topology(const doctor_scene& scene) {
    findings all;
    for (const node* gpu : detail::host::gpus_of(*scene.on)) {
        const std::string folder = detail::host::pci_folder(*gpu);
        const result<std::vector<std::string>> above =
            gpu->pci.known
                ? detail::host::bridges_above(scene.system, folder)
                : result<std::vector<std::string>>(error(errc::not_found, "the GPU's PCI address is not known"));
        const result<std::string> numa = scene.system.read(folder + "/numa_node");
        long long number = -1;
        if (!above || !numa || !detail::host::parse(*numa, number)) {
            all.push_back(unknown_finding("TOP-01",
                                          !above  ? above.error().what()
                                          : !numa ? numa.error().what()
                                                  : "numa_node is no number",
                                          gpu->id()));
            continue;
        }
        std::size_t emulated = 0;
        for (const std::string& port : *above) emulated += detail::host::is_emulated_port(scene.system, port);
        const bool ported = above->size() > emulated, placed = number >= 0;
        finding f = finding_of("TOP-01", gpu->id());
        const std::string ports = above->empty()
                                      ? "on a root bus, no port above it"
                                      : detail::host::counted(above->size(), "port", "ports") + " above it" +
                                            (emulated > 0 ? ", " + std::to_string(emulated) + " emulated" : "");
        f.evidence = std::string(ported && placed   ? "real"
                                 : ported || placed ? "partial"
                                                    : "flat") +
                     ": " + ports + ", numa_node " + std::to_string(number);
        f.limit = "a port that is not emulated above the GPU, and a NUMA node";
        // A single-node server of metal may well say -1.
        const result<std::string> nodes = scene.system.read("/sys/devices/system/node/online");
        const bool one_node = nodes && detail::numbers_in(*nodes).size() == 1;
        const bool complete = ported && (placed || one_node);
        f.level = complete ? severity::ok : severity::warn;
        if (f.level == severity::warn) {
            f.cost =
                "which GPUs share a link and which memory is near is hidden: an engine that goes by the tree places "
                "wrongly; not quantified";
            f.remedy =
                "expose the topology to the guest (virtual root ports per switch, NUMA nodes), or ship a topology "
                "file as the clouds do for NCCL";
            f.reaction = "give --topology-file, or calibrate: what is measured together shows what is shared";
        }
        all.push_back(std::move(f));
    }
    if (all.empty()) all.push_back(unknown_finding("TOP-01", detail::host::no_gpu));
    return all;
}

BARELINK_END_NAMESPACE
