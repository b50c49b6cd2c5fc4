// IOM-01: whether an IOMMU translates what GPUs read and write. In a guest only the guest's own can be seen.
#pragma once

#include <string>

#include <barelink/measure/checks/gpus.hpp>
#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

/// How an IOMMU treats a device, as far as the system tells.
enum class iommu_mode : std::uint8_t { unknown, none, identity, lazy, strict, blocked };

struct iommu_reading {
    iommu_mode mode = iommu_mode::unknown;
    std::string evidence;

    [[nodiscard]] bool translates() const noexcept { return mode == iommu_mode::lazy || mode == iommu_mode::strict; }
};

namespace detail::host {

/// The words of the kernel's command line that are about the IOMMU; empty when there are none or it cannot be read.
[[nodiscard]] inline std::string iommu_words(const system_view& system) {
    std::string words;
    if (const result<std::string> command = system.read("/proc/cmdline"))
        for_words(*command, [&](std::string_view each) {
            if (contains(each, "iommu")) words += (words.empty() ? "" : " ") + std::string(each);
        });
    return words;
}

} // namespace detail::host

/// The group of a GPU and its type; where there is no group, whether there are groups at all. `none` is only said where
/// /sys/kernel lists its folders: an empty /sys is `unknown`. Never fails.
[[nodiscard]] inline iommu_reading read_iommu(const system_view& system, const node& gpu) {
    iommu_reading seen;
    const std::string words = detail::host::iommu_words(system);
    const auto with_words = [&](const std::string& said) {
        return said + (words.empty() ? "" : "; the kernel's command line has " + words);
    };
    const result<std::string> group = gpu.pci.known ? system.resolve(detail::host::pci_folder(gpu) + "/iommu_group")
                                                    : error(errc::not_found, "the GPU's PCI address is not known");
    if (group) {
        const std::string file = "/sys/kernel/iommu_groups/" + detail::host::last_part(*group) + "/type";
        const result<std::string> type = system.read(file);
        seen.evidence = with_words(type ? file + " is " + *type : std::string(type.error().what()));
        if (type)
            seen.mode = *type == "identity"  ? iommu_mode::identity
                        : *type == "DMA-FQ"  ? iommu_mode::lazy
                        : *type == "DMA"     ? iommu_mode::strict
                        : *type == "blocked" ? iommu_mode::blocked
                                             : iommu_mode::unknown;
        return seen;
    }
    const result<std::vector<std::string>> groups = system.list("/sys/kernel/iommu_groups");
    const result<std::string> device = gpu.pci.known ? system.read(detail::host::pci_folder(gpu) + "/vendor")
                                                     : error(errc::not_found, "the GPU's PCI address is not known");
    if (groups && groups->empty() && device) {
        seen.mode = iommu_mode::none;
        seen.evidence = with_words("/sys/kernel/iommu_groups is empty");
    } else {
        seen.evidence = with_words(group.error().what());
    }
    return seen;
}

[[nodiscard]] inline findings check_iommu(const doctor_scene& scene) {
    findings all;
    for (const node* gpu : detail::host::gpus_of(*scene.on)) {
        const iommu_reading seen = read_iommu(scene.system, *gpu);
        finding f = finding_of("IOM-01", gpu->id());
        f.evidence = seen.evidence;
        f.limit = "identity (passthrough) or no IOMMU on bare metal; strict translation fails";
        const bool metal = scene.under.on_metal();
        switch (seen.mode) {
        case iommu_mode::unknown: break;
        case iommu_mode::none:
        case iommu_mode::identity:
            if (metal)
                f.level = severity::ok;
            else
                f.evidence += "; this is the guest's view: what the host's IOMMU does cannot be read here, ask IOM-02";
            break;
        case iommu_mode::lazy: f.level = severity::warn; break;
        case iommu_mode::strict: f.level = metal ? severity::fail : severity::warn; break;
        case iommu_mode::blocked: f.level = severity::warn; break;
        }
        if (f.level >= severity::warn) {
            f.cost = "up to 20 % at 200 Gb/s, recovered with huge pages (published for NICs)";
            f.remedy = seen.mode == iommu_mode::blocked
                           ? "the device's group is blocked: give the device back to its driver"
                           : "boot with iommu=pt, or write identity into the group's type while the driver is unloaded";
            f.reaction = "pinned pools take huge pages where there are any; peer paths need a delivery proof";
        }
        all.push_back(std::move(f));
    }
    if (all.empty()) all.push_back(unknown_finding("IOM-01", detail::host::no_gpu));
    return all;
}

BARELINK_END_NAMESPACE
