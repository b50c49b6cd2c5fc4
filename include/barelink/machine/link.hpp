// The wires of a machine: a rate per direction, what the directions take from each other, and where each figure comes from.
#pragma once

#include <cstdint>

#include <barelink/core/ids.hpp>
#include <barelink/machine/evidence.hpp>

BARELINK_BEGIN_NAMESPACE

enum class link_kind : std::uint8_t {
    dram, ///< a NUMA node's memory to its package; `ab` reads the memory
    cpu,  ///< package to package: UPI, xGMI, X-bus
    pcie, ///< one PCIe link, or a port's way into the root complex
    nvlink,
    c2c, ///< NVLink-C2C or POWER NVLink between a CPU and a GPU: coherent, host memory at the far end
};

[[nodiscard]] constexpr const char* to_string(link_kind kind) noexcept {
    switch (kind) {
    case link_kind::dram: return "dram";
    case link_kind::cpu: return "cpu";
    case link_kind::pcie: return "pcie";
    case link_kind::nvlink: return "nvlink";
    case link_kind::c2c: return "c2c";
    }
    return "link";
}

struct link {
    link_kind kind = link_kind::pcie;
    node_index a;
    node_index b;
    /// What copies reach in each direction, GB/s: protocol overhead already taken off. At most one link of a kind joins
    /// two nodes; parallel wires are added up.
    double gb_s_ab = 0;
    double gb_s_ba = 0;
    /// Added to a copy's start-up, once per link crossed.
    double latency_us = 0;
    evidence source = evidence::assumed;
    /// What a byte that goes the other way takes from each direction, in bytes, at most 1: 0 for a link that is as full duplex as
    /// it looks.
    /// On PCIe only copies between host memory and a GPU count: it is the root complex that mixes their reads and writes. Not
    /// used on `dram` links, whose reads and writes take turns on one bus.
    double lost_ab = 0;
    double lost_ba = 0;

    [[nodiscard]] double gb_s(bool reverse) const noexcept { return reverse ? gb_s_ba : gb_s_ab; }
    [[nodiscard]] double lost(bool reverse) const noexcept { return reverse ? lost_ba : lost_ab; }

    friend bool operator==(const link&, const link&) noexcept = default;
};

BARELINK_END_NAMESPACE
