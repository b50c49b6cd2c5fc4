// DRV-01, DRV-02, DRV-03, DRV-05: the driver's kernel module, its parameters, its helpers, and the library that talks to it.
#pragma once

#include <string>
#include <vector>

#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

/// What /proc/driver/nvidia/version says of the kernel module.
struct module_version {
    bool open = false;   ///< NVIDIA's open kernel module
    std::string version; ///< `580.95.05`; empty when the line has none
    std::string line;
};

/// Errors: those of reading.
[[nodiscard]] inline result<module_version> read_module_version(const system_view& system) {
    const result<std::string> text = system.read("/proc/driver/nvidia/version");
    if (!text) return text.error();
    module_version seen;
    seen.line = text->substr(0, text->find('\n'));
    seen.open = detail::host::contains(seen.line, "Open Kernel Module");
    detail::host::for_words(seen.line, [&](std::string_view word) {
        bool digits = word.find('.') != std::string_view::npos;
        for (const char c : word) digits = digits && ((c >= '0' && c <= '9') || c == '.');
        if (digits && seen.version.empty()) seen.version = std::string(word);
    });
    return seen;
}

/// DRV-01.
[[nodiscard]] inline findings check_module(const doctor_scene& scene) {
    const result<module_version> seen = read_module_version(scene.system);
    if (!seen) return {unknown_finding("DRV-01", seen.error().what())};
    finding f = finding_of("DRV-01");
    f.evidence = (seen->open ? "NVIDIA's open kernel module " : "NVIDIA's proprietary kernel module ") + seen->version +
                 " (/proc/driver/nvidia/version)";
    f.limit = "the open module: the proprietary one does not drive GPUs from Blackwell on (NVIDIA's documentation)";
    f.level = seen->version.empty() ? severity::unknown : seen->open ? severity::ok : severity::info;
    if (seen->version.empty()) f.evidence = "/proc/driver/nvidia/version is not understood: " + seen->line;
    return {f};
}

/// DRV-02. Names and meanings: nv-reg.h of the open kernel modules.
[[nodiscard]] inline findings check_parameters(const doctor_scene& scene) {
    const char* file = "/proc/driver/nvidia/params";
    const result<std::string> text = scene.system.read(file);
    if (!text) return {unknown_finding("DRV-02", text.error().what())};
    finding f = finding_of("DRV-02");
    f.limit = "nothing that switches links, interrupts or peer access off (project choice)";
    f.level = severity::ok;
    std::string said;
    const auto blame = [&](severity level, const std::string& what) {
        said += (said.empty() ? "" : "; ") + what;
        if (level > f.level) f.level = level;
    };
    std::string value;
    bool any = false;
    const auto is = [&](const char* key, const char* bad) {
        const bool there = detail::host::field(*text, key, value);
        any = any || there;
        return there && value == bad;
    };
    if (is("NvLinkDisable", "1")) blame(severity::fail, "NvLinkDisable is 1: NVLink is off");
    if (is("EnableMSI", "0")) blame(severity::warn, "EnableMSI is 0: interrupts go through shared lines");
    if (is("DmaRemapPeerMmio", "0"))
        blame(severity::warn, "DmaRemapPeerMmio is 0: peer copies behind an IOMMU may not be delivered");
    if (detail::host::field(*text, "RegistryDwords", value)) {
        any = true;
        if (value != "\"\"" && !value.empty()) blame(severity::info, "RegistryDwords is " + value);
    }
    if (!any) return {unknown_finding("DRV-02", std::string(file) + " has none of the parameters that are looked at")};
    f.evidence = std::string(file) + ": " + (said.empty() ? "nothing is switched off" : said);
    if (f.level >= severity::warn) {
        f.cost = f.level == severity::fail
                     ? "copies between GPUs over PCIe instead: 395 to about 37 GB/s on H100 (published)"
                     : not_quantified;
        f.remedy = "remove the option from /etc/modprobe.d and load the module again";
        f.reaction = "peer paths are used only after a delivery proof, and priced at what calibrate measures";
    }
    return {f};
}

/// DRV-03. Facts: which helpers for direct transfers are loaded.
[[nodiscard]] inline findings check_gpudirect(const doctor_scene& scene) {
    const result<std::vector<std::string>> modules = scene.system.list("/sys/module");
    if (!modules) return {unknown_finding("DRV-03", modules.error().what())};
    if (modules->empty()) return {unknown_finding("DRV-03", "/sys/module is empty")};
    std::string loaded;
    for (const std::string& each : *modules)
        for (const char* helper : {"nvidia_peermem", "nv_peer_mem", "nvidia_fs", "gdrdrv"})
            if (each == helper) loaded += (loaded.empty() ? "" : ", ") + each;
    finding f = finding_of("DRV-03");
    f.level = severity::info;
    f.evidence = (loaded.empty() ? "none of nvidia_peermem, nvidia_fs and gdrdrv is loaded" : loaded + " loaded") +
                 std::string(" (/sys/module)");
    f.reaction = "files go through pinned host memory; no GPUDirect module is needed";
    return {f};
}

/// DRV-05. The user's side of the driver and the kernel's side have one version, unless forward compatibility is in use.
[[nodiscard]] inline findings check_driver_library(const doctor_scene& scene) {
    const result<module_version> kernel = read_module_version(scene.system);
    if (!kernel) return {unknown_finding("DRV-05", kernel.error().what())};
    std::vector<std::string> folders;
    if (const result<std::string> path = scene.system.environment("LD_LIBRARY_PATH"))
        detail::host::for_words(
            *path, [&](std::string_view each) { folders.emplace_back(each); }, ":");
    for (const char* each :
         {"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/local/nvidia/lib64"})
        folders.emplace_back(each);
    for (const std::string& folder : folders) {
        const result<std::string> real = scene.system.resolve(folder + "/libcuda.so.1");
        if (!real) continue;
        const std::size_t at = real->find("libcuda.so.");
        const std::string version = at == std::string::npos ? std::string() : real->substr(at + 11);
        finding f = finding_of("DRV-05");
        f.limit = "the kernel module's version";
        f.evidence = *real + " with kernel module " + kernel->version;
        if (version.find('.') == std::string::npos || kernel->version.empty())
            return {unknown_finding("DRV-05", f.evidence + ": the versions cannot be compared")};
        f.level = version == kernel->version ? severity::ok : severity::warn;
        if (f.level == severity::warn) {
            f.cost = "forward compatibility: features that need the newer kernel module are missing; not quantified";
            f.remedy = "install the driver that the CUDA version was made for on the host";
        }
        return {f};
    }
    return {unknown_finding("DRV-05", "libcuda.so.1 was not found in LD_LIBRARY_PATH or the usual folders")};
}

BARELINK_END_NAMESPACE
