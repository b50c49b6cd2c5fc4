// Which links of a machine are slower than it says, by the rates of copies that ran alone.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <barelink/measure/doctor_effects.hpp>
#include <barelink/measure/gpu_checks/host_rates.hpp>
#include <barelink/measure/gpu_checks/pair_rates.hpp>

BARELINK_BEGIN_NAMESPACE

/// A copy that ran alone over one path.
struct path_rate {
    node_index from, to;
    double gb_s = 0;
};

[[nodiscard]] inline std::vector<path_rate> path_rates_of(std::span<const host_rate> host,
                                                          std::span<const pair_rate> pairs) {
    std::vector<path_rate> all;
    for (const host_rate& each : host) {
        if (each.to_gpu_gb_s > 0) all.push_back({each.memory, each.gpu, each.to_gpu_gb_s});
        if (each.to_host_gb_s > 0) all.push_back({each.gpu, each.memory, each.to_host_gb_s});
    }
    for (const pair_rate& each : pairs)
        if (each.gb_s > 0) all.push_back({each.from, each.to, each.gb_s});
    return all;
}

/// A path is slow when it reached less than 90 % of what its links allow (project choice). What makes it slow is among its links
/// that no faster copy crossed: wires to devices first, then those between CPUs, memory last. Each such link gets the rate of the
/// fastest copy over it. Where every link of a slow path is known to carry more, a graph of links cannot say so: nothing is
/// learned. For paths over PCIe use `check_redirection`, which gives them up when staging is faster.
[[nodiscard]] inline std::vector<probe_result> slow_links(const machine& m, std::span<const path_rate> all) {
    constexpr double slow = 0.90, faster = 1.10;
    std::vector<double> reached(2 * m.links.size(), 0); // by link direction, the fastest copy over it
    std::vector<char> lowered(reached.size(), 0);
    for (const path_rate& each : all)
        if (const dma_path* path = m.path(each.from, each.to))
            for (const link_direction hop : m.hops(*path))
                if (each.gb_s > reached[hop.slot()]) reached[hop.slot()] = each.gb_s;
    const auto rank = [&](link_direction hop) {
        switch (m.at(hop.link).kind) {
        case link_kind::dram: return 2;
        case link_kind::cpu: return 1;
        default: return 0;
        }
    };
    for (const path_rate& each : all) {
        const dma_path* path = m.path(each.from, each.to);
        if (!path || each.gb_s >= slow * path->gb_s) continue;
        int first = 3;
        const auto suspect = [&](link_direction hop) { return reached[hop.slot()] <= faster * each.gb_s; };
        for (const link_direction hop : m.hops(*path))
            if (suspect(hop) && rank(hop) < first) first = rank(hop);
        for (const link_direction hop : m.hops(*path))
            if (suspect(hop) && rank(hop) == first && m.gb_s(hop) > reached[hop.slot()]) lowered[hop.slot()] = 1;
    }
    std::vector<probe_result> found;
    for (std::uint32_t slot = 0; slot < lowered.size(); ++slot) {
        if (!lowered[slot]) continue;
        const link_direction hop = link_direction::from_slot(slot);
        found.push_back({probe_result::kind::link_rate,
                         m.id(hop.link),
                         hop.reverse ? "ba" : "ab",
                         {},
                         reached[slot],
                         m.at(hop.link).kind == link_kind::nvlink ? "NVL-01" : "PCI-04"});
    }
    return found;
}

BARELINK_END_NAMESPACE
