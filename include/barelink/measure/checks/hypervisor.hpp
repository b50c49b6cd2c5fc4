// Whether a hypervisor stands between, and which: what every other judgement of files depends on.
#pragma once

#include <cctype>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <barelink/measure/detail/scan.hpp>
#include <barelink/measure/system_view.hpp>

BARELINK_BEGIN_NAMESPACE

enum class hosting : std::uint8_t { unknown, metal, virtual_machine };

/// What the system says of its host.
struct virtualization {
    hosting where = hosting::unknown;
    std::string name;      ///< `KVM`, `Xen`, `Firecracker`, ...; `none` on metal; empty when unknown
    std::string evidence;  ///< what was read, with sources
    bool bit_read = false; ///< CPUID answered
    bool bit = false;      ///< CPUID 1, ECX bit 31: a hypervisor says that it is there
    /// Something says "emulated" although the bit is clear: a hypervisor that hides.
    std::string hidden;
    bool gvisor = false; ///< a sandbox that answers system calls itself, on metal or in a VM

    [[nodiscard]] bool on_metal() const noexcept { return where == hosting::metal; }
};

namespace detail::host {

struct hypervisor_signature {
    const char* text; ///< EBX, ECX, EDX of the leaf
    const char* name;
};
/// As the vendors document them; the Linux kernel's arch/x86 knows the first four by the same text.
inline constexpr hypervisor_signature hypervisor_signatures[] = {
    {"KVMKVMKVM", "KVM"},          {"XenVMMXenVMM", "Xen"},       {"Microsoft Hv", "Hyper-V"},
    {"VMwareVMware", "VMware"},    {"Linux KVM Hv", "KVM"},       {"TCGTCGTCGTCG", "QEMU without KVM"},
    {"bhyve bhyve ", "bhyve"},     {"ACRNACRNACRN", "ACRN"},      {"VBoxVBoxVBox", "VirtualBox"},
    {" lrpepyh  vr", "Parallels"}, {"prl hyperv  ", "Parallels"}, {"QNXQVMBSQG", "QNX"},
};

/// The twelve characters that a leaf spells, zeros cut off.
[[nodiscard]] inline std::string leaf_text(const cpuid_registers& leaf) {
    char spelled[13] = {};
    std::memcpy(spelled, &leaf.ebx, 4);
    std::memcpy(spelled + 4, &leaf.ecx, 4);
    std::memcpy(spelled + 8, &leaf.edx, 4);
    return spelled;
}

/// The highest leaf from 0x40000000 on, in steps of 0x100, whose signature is known: a hypervisor that also plays another's
/// part puts its own name above. Empty when there is none.
[[nodiscard]] inline std::string hypervisor_leaf(const system_view& system, std::string& name, std::uint32_t& at) {
    std::string found;
    for (std::uint32_t leaf = 0x40000000u; leaf <= 0x40010000u; leaf += 0x100) {
        const result<cpuid_registers> read = system.cpuid(leaf);
        if (!read) break;
        const std::string spelled = leaf_text(*read);
        for (const hypervisor_signature& each : hypervisor_signatures) {
            if (spelled != each.text) continue;
            found = spelled;
            name = each.name;
            at = leaf;
        }
    }
    return found;
}

[[nodiscard]] inline std::string dmi_of(const system_view& system) {
    std::string said;
    for (const char* file : {"sys_vendor", "product_name", "bios_vendor"})
        if (const result<std::string> read = system.read(std::string("/sys/class/dmi/id/") + file);
            read && !read->empty())
            said += (said.empty() ? "" : " / ") + *read;
    return said;
}

/// What in a DMI text names an emulated machine; nullptr when nothing does. Names of clouds do not: their metal has them too.
[[nodiscard]] inline const char* emulator_in(const std::string& dmi) noexcept {
    for (const char* each : {"QEMU", "Bochs", "Standard PC (", "VirtualBox", "VMware", "KVM", "Xen", "Parallels",
                             "Virtual Machine", "OpenStack Compute", "Firecracker"})
        if (contains(dmi, each)) return each;
    return nullptr;
}

/// A PCI device that only an emulator or a virtual I/O card shows. Empty when there is none; the error when none could be read.
[[nodiscard]] inline result<std::string> emulated_device(const system_view& system) {
    const std::string folder = "/sys/bus/pci/devices";
    const result<std::vector<std::string>> names = system.list(folder);
    if (!names) return names.error();
    std::size_t read = 0;
    for (const std::string& name : *names) {
        const result<std::string> vendor = system.read(joined({folder, "/", name, "/vendor"}));
        if (!vendor) continue;
        ++read;
        if (*vendor == "0x1af4" || *vendor == "0x1b36") return "PCI device " + name + " of vendor " + *vendor;
        const result<std::string> below = system.read(joined({folder, "/", name, "/subsystem_vendor"}));
        if (below && *below == "0x1af4") return "PCI device " + name + " of subsystem vendor 0x1af4 (QEMU's bridges)";
    }
    if (read == 0) return error(errc::not_found, text::join({folder.c_str(), " shows no device"}));
    return std::string();
}

/// gVisor's kernel version: "gvisor" in it, or the one that it gave for years.
[[nodiscard]] inline bool is_gvisor(const std::string& version) {
    std::string lower = version;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return contains(lower, "gvisor") || contains(lower, "4.4.0 #1 smp sun jan 10 15:06:54 pst 2016");
}

/// Firecracker shows KVM's signature and no DMI; its ACPI tables and its first kernel commands are its own.
[[nodiscard]] inline bool is_firecracker(const system_view& system) {
    for (const char* table : {"DSDT", "FACP", "APIC"})
        if (const result<std::string> read = system.read(std::string("/sys/firmware/acpi/tables/") + table);
            read && contains(*read, "FIRECK"))
            return true;
    const result<std::string> command = system.read("/proc/cmdline");
    return command &&
           (contains(*command, "firecracker") || (has_word(*command, "reboot=k") && has_word(*command, "panic=1") &&
                                                  !system.find("/sys/class/dmi/id/sys_vendor")));
}

} // namespace detail::host

/// Reads CPUID, DMI, /sys/hypervisor, /proc/cpuinfo and the PCI vendors. Never fails: what cannot be read is left out.
[[nodiscard]] inline virtualization read_virtualization(const system_view& system) {
    virtualization seen;
    const auto say = [&](const std::string& part) { seen.evidence += (seen.evidence.empty() ? "" : "; ") + part; };
    if (const result<cpuid_registers> features = system.cpuid(1)) {
        seen.bit_read = true;
        seen.bit = (features->ecx >> 31) != 0;
        say(std::string("CPUID's hypervisor bit is ") + (seen.bit ? "set" : "clear"));
    }
    std::uint32_t leaf = 0;
    std::string by_leaf;
    if (const std::string spelled = detail::host::hypervisor_leaf(system, by_leaf, leaf); !spelled.empty()) {
        char at[24];
        std::snprintf(at, sizeof at, "0x%08x", static_cast<unsigned>(leaf));
        say("CPUID leaf " + std::string(at) + " spells \"" + spelled + '"');
        if (seen.bit_read && !seen.bit) seen.hidden = "CPUID leaf " + std::string(at) + " spells \"" + spelled + '"';
    }
    bool flag_read = false, flag = false;
    if (const result<std::string> info = system.read("/proc/cpuinfo")) {
        std::string flags;
        flag_read = detail::host::field(*info, "flags", flags);
        flag = flag_read && detail::host::has_word(flags, "hypervisor");
        if (flag_read) say(std::string("/proc/cpuinfo ") + (flag ? "has" : "lacks") + " the flag hypervisor");
    }
    const result<std::string> type = system.read("/sys/hypervisor/type");
    if (type && !type->empty()) say("/sys/hypervisor/type is " + *type);
    const std::string dmi = detail::host::dmi_of(system);
    if (!dmi.empty()) say("DMI says " + dmi);
    const char* emulator = detail::host::emulator_in(dmi);
    const result<std::string> device = detail::host::emulated_device(system);
    if (seen.bit_read && !seen.bit && seen.hidden.empty()) {
        if (emulator)
            seen.hidden = "DMI says " + dmi;
        else if (device && !device->empty())
            seen.hidden = *device;
    }
    if (const result<std::string> version = system.read("/proc/version");
        version && detail::host::is_gvisor(*version)) {
        seen.gvisor = true;
        say("/proc/version is gVisor's");
    }

    const bool xen = type && *type == "xen";
    if (seen.bit || flag || !by_leaf.empty() || emulator || xen || !seen.hidden.empty())
        seen.where = hosting::virtual_machine;
    else if (seen.bit_read || flag_read || !dmi.empty())
        seen.where = hosting::metal;
    if (seen.where == hosting::metal) seen.name = "none";
    if (seen.where == hosting::virtual_machine)
        seen.name = !by_leaf.empty() ? by_leaf : xen ? "Xen" : emulator ? emulator : "a hypervisor without a name";
    if (seen.name == "KVM" && detail::host::is_firecracker(system)) {
        seen.name = "Firecracker (KVM)";
        say("it starts and describes itself as Firecracker does");
    }
    // Its /sys is made up, on metal too.
    if (seen.gvisor && seen.where == hosting::metal) seen.where = hosting::unknown;
    if (seen.gvisor) seen.name = seen.where == hosting::virtual_machine ? "gVisor in " + seen.name : "gVisor";
    return seen;
}

BARELINK_END_NAMESPACE
