// PCI-01, PCI-02, PCI-03, PCI-07: the link of a GPU as /sys tells it (bare metal only), and how much of its memory shows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <barelink/core/units.hpp>
#include <barelink/machine/pcie.hpp>
#include <barelink/measure/checks/gpus.hpp>
#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

/// What a link runs at, and what both of its ends could. 0: not told.
struct pcie_reading {
    int generation = 0, width = 0;         ///< now
    int max_generation = 0, max_width = 0; ///< the smaller of the device's own and of the port's above it
    std::string source;                    ///< the device's folder
};

namespace detail::host {

/// 5 for `32.0 GT/s PCIe`; 0 for `Unknown`.
[[nodiscard]] inline int generation_of(const std::string& speed) {
    const double gt_s = std::strtod(speed.c_str(), nullptr);
    int found = 0;
    for (const pcie_generation& each : pcie_generations)
        if (gt_s >= each.gt_s * 0.99) found = each.number;
    return found;
}
/// What one end can; 0 when it does not tell.
[[nodiscard]] inline int generation_in(const system_view& system, const std::string& file) {
    const result<std::string> text = system.read(file);
    return text ? generation_of(*text) : 0;
}
[[nodiscard]] inline int width_in(const system_view& system, const std::string& file) {
    const result<std::string> text = system.read(file);
    long long lanes = 0;
    return text && parse(*text, lanes) && lanes > 0 && lanes <= 32 ? static_cast<int>(lanes) : 0; // 255: unknown
}
[[nodiscard]] inline int smaller_known(int a, int b) noexcept {
    return a == 0 ? b : b == 0 ? a : std::min(a, b);
}

} // namespace detail::host

/// Reads the link above a GPU. Its speed may be lower while nothing is copied. Errors: not_found without a PCI address, those
/// of reading.
[[nodiscard]] inline result<pcie_reading> read_pcie_link(const system_view& system, const node& gpu) {
    const std::string folder = detail::host::pci_folder(gpu);
    if (folder.empty()) return error(errc::not_found, "the GPU's PCI address is not known");
    const result<std::string> speed = system.read(folder + "/current_link_speed");
    if (!speed) return speed.error();
    pcie_reading link;
    link.source = folder;
    link.generation = detail::host::generation_of(*speed);
    link.width = detail::host::width_in(system, folder + "/current_link_width");
    link.max_generation = detail::host::generation_in(system, folder + "/max_link_speed");
    link.max_width = detail::host::width_in(system, folder + "/max_link_width");
    if (const result<std::vector<std::string>> above = detail::host::bridges_above(system, folder);
        above && !above->empty()) {
        const std::string& port = above->back();
        link.max_generation = detail::host::smaller_known(
            link.max_generation, detail::host::generation_in(system, port + "/max_link_speed"));
        link.max_width =
            detail::host::smaller_known(link.max_width, detail::host::width_in(system, port + "/max_link_width"));
    }
    return link;
}

/// PCI-01 of one reading. Only one taken while bytes are copied can fail.
[[nodiscard]] inline finding judge_pcie_generation(const pcie_reading& link, const std::string& gpu, bool copying) {
    finding f = finding_of("PCI-01", gpu);
    const std::string when = copying ? "while copying" : "while idle";
    f.limit = "the slower of what the GPU and the port above it can";
    if (link.generation == 0 || link.max_generation == 0) {
        f.evidence = link.source + " does not tell the link's speed";
        return f;
    }
    f.evidence = "Gen" + std::to_string(link.generation) + " of Gen" + std::to_string(link.max_generation) + ' ' +
                 when + " (" + link.source + "/current_link_speed)";
    if (link.generation >= link.max_generation) {
        f.level = severity::ok;
    } else if (!copying) {
        f.evidence += ": idle links train down, only a reading while copying can tell";
    } else {
        f.level = severity::fail;
        f.cost = "linear: copies at " + detail::host::figure(pcie_copy_gb_s(link.generation, link.width)) + " of " +
                 detail::host::figure(pcie_copy_gb_s(link.max_generation, link.width)) +
                 " GB/s; one production GPU ran at Gen2 for hours, 8 of 64 GB/s, without an error (published)";
        f.remedy =
            "reset the GPU or restart the server so that the link trains again; then look at riser, retimer and slot";
        f.reaction = "calibrate measures the link as it is, and plans go by that";
    }
    return f;
}

/// PCI-02 of one reading. Widths stay while a link idles, but only a reading while copying fails.
[[nodiscard]] inline finding judge_pcie_width(const pcie_reading& link, const std::string& gpu, bool copying) {
    finding f = finding_of("PCI-02", gpu);
    f.limit = "the narrower of what the GPU and the port above it can";
    if (link.width == 0 || link.max_width == 0) {
        f.evidence = link.source + " does not tell the link's width";
        return f;
    }
    f.evidence = 'x' + std::to_string(link.width) + " of x" + std::to_string(link.max_width) +
                 (copying ? " while copying (" : " while idle (") + link.source + "/current_link_width)";
    f.level = link.width >= link.max_width ? severity::ok : copying ? severity::fail : severity::warn;
    if (f.level == severity::ok) return f;
    f.cost = "linear: " + detail::host::figure(100.0 * link.width / link.max_width) + " % of the link's rate is left";
    f.remedy = "seat the card and its riser again; look at how the slots share lanes";
    f.reaction = "calibrate measures the link as it is, and plans go by that";
    return f;
}

namespace detail::host {

/// Calls `each(gpu, reading)` for GPUs on metal; elsewhere, and for what cannot be read, makes `unknown` findings.
template <class Each>
[[nodiscard]] findings for_links(const char* id, const doctor_scene& scene, Each each) {
    findings all;
    const std::vector<const node*> gpus = gpus_of(*scene.on);
    if (gpus.empty()) return {unknown_finding(id, no_gpu)};
    for (const node* gpu : gpus) {
        if (!scene.under.on_metal()) {
            all.push_back(unknown_finding(id,
                                          scene.under.where == hosting::unknown
                                              ? "whether a hypervisor invents link speeds is not known: judge by PCI-04"
                                              : "a hypervisor may invent link speeds in /sys: judge by PCI-04's copies",
                                          gpu->id()));
            continue;
        }
        const result<pcie_reading> link = read_pcie_link(scene.system, *gpu);
        all.push_back(link ? each(*gpu, *link) : unknown_finding(id, link.error().what(), gpu->id()));
    }
    return all;
}

} // namespace detail::host

[[nodiscard]] inline findings check_pci_generation(const doctor_scene& scene) {
    return detail::host::for_links("PCI-01", scene, [](const node& gpu, const pcie_reading& link) {
        return judge_pcie_generation(link, gpu.id(), false);
    });
}
[[nodiscard]] inline findings check_pci_width(const doctor_scene& scene) {
    return detail::host::for_links("PCI-02", scene, [](const node& gpu, const pcie_reading& link) {
        return judge_pcie_width(link, gpu.id(), false);
    });
}

/// PCI-03. Said so that nobody takes an idle link for a broken one.
[[nodiscard]] inline findings check_pci_idle(const doctor_scene& scene) {
    return detail::host::for_links("PCI-03", scene, [](const node& gpu, const pcie_reading& link) {
        if (link.generation == 0) return unknown_finding("PCI-03", link.source + " does not tell the speed", gpu.id());
        finding f = finding_of("PCI-03", gpu.id());
        f.level = severity::info;
        f.evidence = "Gen" + std::to_string(link.generation) + " x" + std::to_string(link.width) + " now (" +
                     link.source + "); low speeds while idle are normal";
        f.cost = "none";
        return f;
    });
}

/// PCI-07. The largest prefetchable region of the device is what the bus can address of its memory.
[[nodiscard]] inline findings check_bar1(const doctor_scene& scene) {
    findings all;
    for (const node* gpu : detail::host::gpus_of(*scene.on)) {
        const std::string file = detail::host::pci_folder(*gpu) + "/resource";
        const result<std::string> regions =
            gpu->pci.known ? scene.system.read(file) : error(errc::not_found, "the GPU's PCI address is not known");
        std::uint64_t largest = 0;
        if (regions)
            detail::host::for_lines(*regions, [&](std::string_view line) {
                unsigned long long from = 0, to = 0, flags = 0;
                constexpr unsigned long long memory_prefetched = 0x2200; // IORESOURCE_MEM, IORESOURCE_PREFETCH
                if (std::sscanf(std::string(line).c_str(), "%llx %llx %llx", &from, &to, &flags) == 3 &&
                    (flags & memory_prefetched) == memory_prefetched && to > from)
                    largest = std::max<std::uint64_t>(largest, to - from + 1);
            });
        if (largest == 0) {
            all.push_back(unknown_finding(
                "PCI-07", regions ? file + " shows no prefetchable region" : std::string(regions.error().what()),
                gpu->id()));
            continue;
        }
        finding f = finding_of("PCI-07", gpu->id());
        f.evidence = detail::host::bytes_text(largest) + " prefetchable" +
                     (gpu->bytes > 0 ? " of " + detail::host::bytes_text(gpu->bytes) + " of memory (" : " (") + file +
                     ')';
        f.limit = "above 256 MiB, the size without a resizable BAR (project choice)";
        // The driver keeps some memory to itself: a BAR of 128 GiB for 80, or of 16 GiB for 16.
        f.level = largest <= 256 * MiB       ? severity::warn
                  : gpu->bytes == 0          ? severity::info
                  : largest < gpu->bytes / 2 ? severity::info
                                             : severity::ok;
        if (f.level == severity::warn) {
            f.cost = "peers, NICs and disks address the GPU's memory through a window of 256 MiB; not quantified";
            f.remedy =
                "enable \"Above 4G decoding\" and \"Resizable BAR\" in the firmware, large MMIO in the hypervisor";
        }
        all.push_back(std::move(f));
    }
    if (all.empty()) all.push_back(unknown_finding("PCI-07", detail::host::no_gpu));
    return all;
}

BARELINK_END_NAMESPACE
