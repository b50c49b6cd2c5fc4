// The boxes of a machine: memories, packages, PCIe ports and switches, GPUs, NVSwitch, NICs, disks.
#pragma once

#include <cstdint>
#include <string>

#include <barelink/core/ids.hpp>

BARELINK_BEGIN_NAMESPACE

enum class node_kind : std::uint8_t { memory, package, root_port, pcie_switch, gpu, nvswitch, nic, disk };

/// The id's prefix in JSON and on command lines: `numa`, `package`, `root`, `switch`, `gpu`, `nvswitch`, `nic`, `disk`.
[[nodiscard]] constexpr const char* to_string(node_kind kind) noexcept {
    switch (kind) {
    case node_kind::memory: return "numa";
    case node_kind::package: return "package";
    case node_kind::root_port: return "root";
    case node_kind::pcie_switch: return "switch";
    case node_kind::gpu: return "gpu";
    case node_kind::nvswitch: return "nvswitch";
    case node_kind::nic: return "nic";
    case node_kind::disk: return "disk";
    }
    return "node";
}

/// A PCI function, `0000:1b:00.0`. GPUs are matched between sources by this and nothing else.
struct pci_address {
    std::uint32_t domain = 0;
    std::uint8_t bus = 0;
    std::uint8_t device = 0;
    std::uint8_t function = 0;
    bool known = false;

    friend bool operator==(const pci_address&, const pci_address&) noexcept = default;
};

struct node {
    node_kind kind = node_kind::memory;
    /// NUMA: the operating system's number. GPU: CUDA order (PCI order until CUDA says otherwise). Others: counted.
    std::int32_t index = 0;
    /// Model name for people: `NVIDIA H100 80GB HBM3`. May be empty.
    std::string name;
    /// Nearest NUMA node; unknown (-1) is not "near to all". For a memory, its own number.
    numa_id numa = unknown_numa;
    pci_address pci;
    /// Capacity of a memory or of a GPU's memory, 0 when unknown.
    std::uint64_t bytes = 0;
    /// PCI vendor and device, 0 when unknown.
    std::uint16_t vendor = 0;
    std::uint16_t device = 0;
    /// GPUs only: CUDA can drive it. AMD and Intel GPUs are read, drawn and never planned over.
    bool cuda = false;

    /// `numa:0`, `gpu:3`, `nvswitch`: unique in a machine, stable, what every command line and JSON file uses.
    [[nodiscard]] std::string id() const {
        std::string text = to_string(kind);
        if (kind != node_kind::nvswitch) text += ':' + std::to_string(index);
        return text;
    }
    /// A place that bytes can be copied to and from.
    [[nodiscard]] bool is_memory() const noexcept {
        return kind == node_kind::memory || (kind == node_kind::gpu && cuda);
    }

    friend bool operator==(const node&, const node&) = default;
};

/// `0000:1b:00.0`, or empty when unknown.
[[nodiscard]] inline std::string to_string(const pci_address& pci) {
    if (!pci.known) return {};
    constexpr const char* hex = "0123456789abcdef";
    std::string text;
    for (int shift = pci.domain > 0xffff ? 28 : 12; shift >= 0; shift -= 4) text += hex[(pci.domain >> shift) & 0xf];
    text += ':';
    text += hex[pci.bus >> 4];
    text += hex[pci.bus & 0xf];
    text += ':';
    text += hex[pci.device >> 4];
    text += hex[pci.device & 0xf];
    text += '.';
    text += hex[pci.function & 0xf];
    return text;
}

BARELINK_END_NAMESPACE
