// VRT-01, VRT-02, VRT-08, VRT-09, VRT-10: which hypervisor or sandbox, whether it hides, confidential guests, virtual GPUs.
#pragma once

#include <cstdint>
#include <string>

#include <barelink/measure/checks/gpus.hpp>
#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

/// VRT-01. A fact, not a judgement.
[[nodiscard]] inline findings check_hypervisor(const doctor_scene& scene) {
    const virtualization& under = scene.under;
    if (under.where == hosting::unknown && !under.gvisor)
        return {unknown_finding("VRT-01", under.evidence.empty()
                                              ? "neither CPUID nor DMI, /proc/cpuinfo or /sys/hypervisor could be read"
                                              : under.evidence)};
    finding f = finding_of("VRT-01");
    f.level = severity::info;
    f.evidence = under.name + ": " + under.evidence;
    const result<std::string> product = scene.system.read("/sys/class/dmi/id/product_name");
    if (under.on_metal() && product && detail::host::contains(*product, ".metal"))
        f.evidence += "; a bare metal instance of EC2";
    f.cost = under.on_metal() ? "none" : not_quantified;
    if (under.where == hosting::virtual_machine)
        f.reaction = "link speeds in /sys are not taken as limits, and nothing is said about the host's IOMMU";
    return {f};
}

/// VRT-02. NVIDIA's driver approves peer access by what it believes the platform to be.
[[nodiscard]] inline findings check_hidden_hypervisor(const doctor_scene& scene) {
    const virtualization& under = scene.under;
    if (!under.bit_read) return {unknown_finding("VRT-02", "CPUID cannot be asked on this CPU")};
    finding f = finding_of("VRT-02");
    f.limit = "the hypervisor bit is set where something else shows a hypervisor";
    if (under.bit) {
        f.level = severity::ok;
        f.evidence = "the hypervisor shows itself: CPUID's bit is set";
        return {f};
    }
    if (!under.hidden.empty()) {
        f.level = severity::warn;
        f.evidence = "CPUID's hypervisor bit is clear, but " + under.hidden;
        f.cost = "the driver takes the guest for metal and its path that approves peer access in guests is off: copies "
                 "between GPUs may be staged or not delivered; not quantified";
        f.remedy = "show the hypervisor to the guest (QEMU: no kvm=off, no hypervisor=off); if this is metal with "
                   "virtual I/O cards, nothing is wrong";
        f.reaction = "links are not judged by /sys, and peer paths are used only after a delivery proof";
        return {f};
    }
    const result<std::string> device = detail::host::emulated_device(scene.system);
    if (!device && detail::host::dmi_of(scene.system).empty())
        return {
            unknown_finding("VRT-02", std::string("the bit is clear, and neither DMI nor PCI devices can be read to "
                                                  "contradict it: ") +
                                          device.error().what())};
    f.level = severity::ok;
    f.evidence = "CPUID's hypervisor bit is clear and neither " +
                 std::string(device ? "PCI vendors" : "CPUID's leaves") + " nor DMI contradict it";
    return {f};
}

/// VRT-08, by flags and device files; whether registering and copying suffer is a check of GPUs.
[[nodiscard]] inline findings check_confidential(const doctor_scene& scene) {
    std::string signs, looked;
    const auto sign = [&](const std::string& what) { signs += (signs.empty() ? "" : "; ") + what; };
    bool read = false;
    if (const result<cpuid_registers> tdx = scene.system.cpuid(0x21)) {
        // TDX spells in EBX, EDX, ECX.
        const cpuid_registers in_order{tdx->eax, tdx->ebx, tdx->edx, tdx->ecx};
        if (detail::host::leaf_text(in_order) == "IntelTDX    ") sign("CPUID leaf 0x21 spells \"IntelTDX\"");
        if (const result<cpuid_registers> highest = scene.system.cpuid(0); highest && highest->ebx != 0)
            looked = "CPUID";
    }
    if (const result<std::string> info = scene.system.read("/proc/cpuinfo")) {
        std::string flags;
        if (detail::host::field(*info, "flags", flags)) {
            read = true;
            looked += looked.empty() ? "/proc/cpuinfo" : ", /proc/cpuinfo";
            if (detail::host::has_word(flags, "tdx_guest")) sign("/proc/cpuinfo has the flag tdx_guest");
            // On metal these say what the CPU could do for guests.
            if (scene.under.where == hosting::virtual_machine)
                for (const char* each : {"sev_snp", "sev_es", "sev"})
                    if (detail::host::has_word(flags, each)) {
                        sign(std::string("/proc/cpuinfo has the flag ") + each);
                        break;
                    }
        }
    }
    for (const char* device : {"/dev/tdx_guest", "/dev/sev-guest"})
        if (scene.system.find(device)) sign(std::string(device) + " is there");
    finding f = finding_of("VRT-08");
    f.limit = "no sign of an encrypted guest";
    if (!signs.empty()) {
        f.level = severity::warn;
        f.evidence = signs;
        f.cost =
            "published for a B300 in confidential mode: host copies at 0.20 of their rate, about 330 us for a small "
            "crossing, serving 13 to 27 % slower";
        f.remedy = "if the workload does not need it, take an ordinary guest; if it does, count these figures in";
        f.reaction = "calibrate measures what is left; blocks that lie together are merged so that fewer copies cross";
        return {f};
    }
    if (scene.under.on_metal() && scene.under.bit_read) {
        f.level = severity::ok;
        f.evidence = "no hypervisor, so no encrypted guest";
        return {f};
    }
    if (!read)
        return {unknown_finding("VRT-08", "/proc/cpuinfo, which has the flags of encrypted guests, cannot be read")};
    f.level = severity::ok;
    f.evidence = "no flag, device file or signature of TDX or SEV guests (" + looked + ", /dev)";
    return {f};
}

/// VRT-09. NVIDIA names virtual GPUs after their profile: `GRID A100-10C`, `NVIDIA A40-48Q`.
[[nodiscard]] inline findings check_virtual_gpu(const doctor_scene& scene) {
    findings all;
    for (const node* gpu : detail::host::gpus_of(*scene.on)) {
        std::string model = gpu->name;
        std::string source = "CUDA or the PCI tree";
        const std::string file = "/proc/driver/nvidia/gpus/" + to_string(gpu->pci) + "/information";
        if (const result<std::string> about = scene.system.read(file)) {
            std::string said;
            if (detail::host::field(*about, "Model", said) && !said.empty()) {
                model = said;
                source = file;
            }
        }
        if (model.empty()) {
            all.push_back(unknown_finding("VRT-09", "the model of the GPU is not known", gpu->id()));
            continue;
        }
        finding f = finding_of("VRT-09", gpu->id());
        f.evidence = detail::host::joined({"model ", model, " (", source, ")"});
        f.limit = "a model without a vGPU profile in its name";
        const std::size_t dash = model.rfind('-');
        bool profile = dash != std::string::npos && dash + 2 < model.size() &&
                       std::string_view("ABCQ").find(model.back()) != std::string_view::npos;
        for (std::size_t at = dash + 1; profile && at + 1 < model.size(); ++at)
            profile = model[at] >= '0' && model[at] <= '9';
        const bool grid = model.rfind("GRID ", 0) == 0 || detail::host::contains(model, " GRID ");
        f.level = profile || grid ? severity::warn : severity::ok;
        if (f.level == severity::warn) {
            f.cost = "a share of a GPU: its copy engines and its link are shared with others; not quantified";
            f.remedy = "pass a whole GPU through where bandwidth counts";
            f.reaction = "calibrate measures the share that is there now";
        }
        all.push_back(std::move(f));
    }
    if (all.empty()) all.push_back(unknown_finding("VRT-09", detail::host::no_gpu));
    return all;
}

/// VRT-10. A sandbox that answers system calls itself: named by its kernel version, judged by what a call costs.
[[nodiscard]] inline findings check_gvisor(const doctor_scene& scene) {
    const result<std::string> version = scene.system.read("/proc/version");
    const result<probe_times> call = scene.system.system_calls();
    finding f = finding_of("VRT-10");
    f.limit = "a system call below 1 us (project choice), and not gVisor's kernel version";
    f.evidence = version ? "/proc/version is " + version->substr(0, 60) : std::string(version.error().what());
    f.evidence += call ? "; a system call takes " + detail::host::figure(call->p50_ns) + " ns (median of " +
                             std::to_string(call->count) + ')'
                       : std::string("; no system call was timed: ") + call.error().what();
    const bool slow = call && call->p50_ns >= 1000;
    if (scene.under.gvisor || slow)
        f.level = severity::warn;
    else
        f.level = call ? severity::ok : severity::unknown;
    if (f.level == severity::warn) {
        f.cost = "every call of the driver goes through the sandbox; not quantified";
        f.remedy = "run the container under an ordinary runtime, or keep copies large and few";
        f.reaction = "scattered blocks go in batches: fewer calls";
    }
    return {f};
}

BARELINK_END_NAMESPACE
