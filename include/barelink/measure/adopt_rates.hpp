// Measured rates put into a machine: those of a calibration, or one path's.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <barelink/machine/machine.hpp>
#include <barelink/measure/hardware_key.hpp>

BARELINK_BEGIN_NAMESPACE

/// Takes rates, latencies, losses and costs from a calibrated machine; nodes, names, GPU numbers, grants and proofs stay as they are.
/// Nodes are told by their PCI address, and by their number where they have none. All or nothing.
/// Errors: invalid_argument when the calibration is of other hardware or another driver, or of other links, with what differs.
[[nodiscard]] inline status adopt_rates(machine& m, const machine& calibrated, const hardware_key& hardware) {
    const auto refuse = [](const std::string& why) {
        return error(errc::invalid_argument, text::join({"the calibration is not of this machine: ", why.c_str(),
                                                         "; run barelink calibrate again"}));
    };
    if (calibrated.measured_on.empty()) return refuse("it does not say on what it was measured");
    if (const std::string other = difference(parse_hardware_key(calibrated.measured_on), hardware); !other.empty())
        return refuse(other);
    const auto same_node = [](const node& a, const node& b) {
        if (a.kind != b.kind || a.pci.known != b.pci.known) return false;
        return a.pci.known ? a.pci == b.pci : a.index == b.index;
    };
    if (m.links.size() != calibrated.links.size())
        return refuse("it has " + std::to_string(calibrated.links.size()) + " links, this machine " +
                      std::to_string(m.links.size()));
    std::vector<link> links = m.links;
    for (std::uint32_t l = 0; l < links.size(); ++l) {
        link& each = links[l];
        const auto found = std::find_if(calibrated.links.begin(), calibrated.links.end(), [&](const link& other) {
            return other.kind == each.kind && same_node(calibrated.at(other.a), m.at(each.a)) &&
                   same_node(calibrated.at(other.b), m.at(each.b));
        });
        if (found == calibrated.links.end()) return refuse("it has no link " + m.id(link_index{l}));
        const node_index a = each.a, b = each.b;
        each = *found;
        each.a = a;
        each.b = b;
    }
    m.links = std::move(links);
    m.costs = calibrated.costs;
    m.blocks = calibrated.blocks;
    m.measured_on = calibrated.measured_on;
    m.connect();
    return {};
}

/// Makes a path as slow as it was measured, by lowering those of its links that no other path crosses in that direction. A path that is
/// no faster than that stays as it is. Links do not become `measured`: only one of their directions is known.
/// Errors: not_found (no such path), unsupported when every link on it carries other paths, too, which would be slowed with it.
[[nodiscard]] inline status apply_rate(machine& m, node_index from, node_index to, double gb_s) {
    const std::string name = m.at(from).id() + " -> " + m.at(to).id();
    const dma_path* path = m.path(from, to);
    if (!path) return error(errc::not_found, text::join({name.c_str(), ": the machine has no such path"}));
    if (gb_s < 0 || path->gb_s <= gb_s) return {};
    std::vector<link_direction> own;
    for (const link_direction hop : m.hops(*path)) {
        bool shared = m.at(hop.link).kind == link_kind::dram || m.at(hop.link).kind == link_kind::cpu; // host threads
        for (const dma_path& other : m.paths())
            if (&other != path)
                for (const link_direction each : m.hops(other)) shared |= each == hop;
        if (!shared) own.push_back(hop);
    }
    if (own.empty())
        return error(
                   errc::unsupported,
                   text::join({name.c_str(), ": other paths cross each of its links, so no link can be made as slow"}))
            .about(name.c_str());
    for (const link_direction hop : own) {
        link& each = m.links[hop.link.value];
        double& rate = hop.reverse ? each.gb_s_ba : each.gb_s_ab;
        rate = std::min(rate, gb_s);
    }
    m.connect();
    return {};
}

BARELINK_END_NAMESPACE
