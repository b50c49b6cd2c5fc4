// Machines one does not have: by function, or by name for command lines.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <barelink/machine/builtin/cloud_vms.hpp>
#include <barelink/machine/builtin/dgx_ampere.hpp>
#include <barelink/machine/builtin/dgx_volta.hpp>
#include <barelink/machine/builtin/grace.hpp>
#include <barelink/machine/builtin/hgx_hopper.hpp>
#include <barelink/machine/builtin/pcie_boxes.hpp>

BARELINK_BEGIN_NAMESPACE
namespace builtin {

/// One built-in machine: what `find` takes, a line for people, and how to make it.
struct entry {
    const char* name;
    const char* description;
    machine (*make)();
};

namespace detail {

inline constexpr entry table[] = {
    {"dgx1-v100", "8 V100 in a hybrid cube mesh, two to a PCIe Gen3 switch, two sockets", dgx1_v100},
    {"dgx2-v100", "16 V100 on NVSwitch, four to a PCIe Gen3 uplink, two sockets", dgx2_v100},
    {"dgx-a100", "8 A100 on NVSwitch, two to a PCIe Gen4 uplink, two sockets of four NUMA nodes", dgx_a100},
    {"hgx-h100-8", "8 H100 on NVSwitch, PCIe Gen5 each, two sockets", hgx_h100_8},
    {"hgx-h200-8", "8 H200 on NVSwitch, PCIe Gen5 each, two sockets", hgx_h200_8},
    {"hgx-b200-8", "8 B200 on NVSwitch, PCIe Gen5 each, two sockets", hgx_b200_8},
    {"gh200", "1 Grace and 1 H100 over C2C", gh200},
    {"gb200-4", "2 Grace and 4 Blackwell over C2C and NVSwitch, one NVL72 compute tray", gb200_4},
    {"l40s-pcie-8", "8 L40S on PCIe Gen4, two to a Gen5 switch, peer access, two sockets", l40s_pcie_8},
    {"rtx4090-pcie-8", "8 RTX 4090 on PCIe Gen4 root ports, no peer access, two sockets", rtx4090_pcie_8},
    {"a100-pcie-4-switch", "4 A100 on PCIe, two to a switch with one Gen4 uplink, peer access", a100_pcie_4_switch},
    {"azure-nd-h100-v5-vm", "8 H100 on NVSwitch in a VM that shows no PCIe tree, two NUMA nodes", azure_nd_h100_v5_vm},
};

/// Levenshtein distance: single-character edits that turn one name into the other.
[[nodiscard]] inline std::size_t edit_distance(const char* a, const char* b) {
    std::vector<std::size_t> row(std::strlen(b) + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 0; a[i]; ++i) {
        std::size_t diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; b[j]; ++j) {
            const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            const std::size_t shorter = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = replaced < shorter ? replaced : shorter;
        }
    }
    return row.back();
}

} // namespace detail

/// Every built-in machine: data centre boards by age, superchips, cards, cloud VMs.
[[nodiscard]] constexpr std::span<const entry> names() noexcept {
    return detail::table;
}

/// The built-in machine of that name. Errors: not_found; the message offers the nearest name and lists them all.
[[nodiscard]] inline result<machine> find(const char* name) {
    const char* asked = name ? name : "";
    const entry* nearest = nullptr;
    std::size_t fewest = std::strlen(asked) / 2 + 1; // more edits than this are not a typing mistake
    std::string known;
    for (const entry& each : names()) {
        if (std::strcmp(asked, each.name) == 0) return each.make();
        const bool abbreviated = *asked && std::strstr(each.name, asked);
        const std::size_t edits = abbreviated ? 0 : detail::edit_distance(asked, each.name);
        if (edits < fewest) {
            nearest = &each;
            fewest = edits;
        }
        known += known.empty() ? "" : ", ";
        known += each.name;
    }
    const char* const offer = nearest ? ": did you mean '" : "";
    const char* const offered = nearest ? nearest->name : "";
    return error(errc::not_found, text::join({"there is no built-in machine '", asked, "'", offer, offered,
                                              nearest ? "'? The names are " : "; the names are ", known.c_str()}))
        .about(asked);
}

} // namespace builtin
BARELINK_END_NAMESPACE
