// What the two directions of a link take from each other, from copies to and from a GPU at the same time. Private to measure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <barelink/machine/duplex.hpp>
#include <barelink/measure/detail/link_fit.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Rates of copies at the same time on a machine with all it says about both directions: memory that reads and writes in turn,
/// ports that lose. Going round in circles settles, because a byte takes less than a byte.
[[nodiscard]] inline std::vector<double> duplex_rates(const machine& m, const seen_set& set) {
    const std::size_t slots = 2 * m.links.size();
    std::vector<double> full(slots + m.links.size(), 1.0); // a link's bus has 1 to give
    for (std::uint32_t s = 0; s < slots; ++s) full[s] = m.gb_s(link_direction::from_slot(s));
    std::vector<double> rates(set.size(), 0), lost(slots, 0);
    for (int round = 0; round < 40; ++round) {
        std::vector<double> capacity = full;
        for (std::size_t s = 0; s < slots; ++s) capacity[s] = std::max(full[s] - lost[s], 0.05 * full[s]);
        fair_share fair(std::move(capacity));
        std::fill(lost.begin(), lost.end(), 0.0);
        for (const seen_load& each : set) {
            double weight = 1; // memory that is slower one way gives that way less
            for (const std::uint32_t s : each.slots)
                if (m.links[s / 2].kind == link_kind::dram && full[s] < full[s ^ 1u])
                    weight = std::min(weight, full[s] / full[s ^ 1u]);
            fair.add(each.slots, each.alone_gb_s, weight);
            for (const std::uint32_t s : each.slots)
                if (m.links[s / 2].kind == link_kind::dram && full[s] > 0)
                    fair.use(static_cast<std::uint32_t>(slots) + s / 2, 1 / full[s]);
        }
        fair.solve();
        bool same = true;
        for (std::size_t i = 0; i < set.size(); ++i) {
            same &= fair.rate(i) > rates[i] * (1 - 1e-6) && fair.rate(i) < rates[i] * (1 + 1e-6);
            rates[i] = fair.rate(i);
            const dma_path* path = m.path(set[i].from, set[i].to);
            for (const std::uint32_t s : set[i].slots)
                if (path && m.links[s / 2].kind != link_kind::dram)
                    lost[s ^ 1u] += rates[i] * lost_to(m, *path, link_direction::from_slot(s));
        }
        if (same) break;
    }
    return rates;
}

/// `both`: one copy to a GPU and one from it, as they ran together. Where the machine does not expect what they reached, the
/// link by which the GPU hangs on its package gets other losses.
inline void fit_losses(machine& m, const seen_set& both, double tolerance) {
    const auto slower = [&](double seen, double expected) { return seen < expected * (1 - 1.5 * tolerance); };
    const std::vector<double> now = duplex_rates(m, both);
    bool right = true;
    for (std::size_t i = 0; i < both.size(); ++i)
        right = right && !slower(both[i].gb_s, now[i]) && !slower(now[i], both[i].gb_s);
    if (right) return;
    link* port = nullptr;
    for (const std::uint32_t s : both.front().slots) {
        link& each = m.links[s / 2];
        if (!port && (each.kind == link_kind::pcie || each.kind == link_kind::c2c)) port = &each;
        if (each.kind == link_kind::pcie || each.kind == link_kind::c2c) each.lost_ab = each.lost_ba = 0;
    }
    if (!port) return;
    const std::vector<double> without = duplex_rates(m, both);
    const auto number = static_cast<std::uint32_t>(port - m.links.data());
    double lost[2] = {0, 0};
    for (std::size_t i = 0; i < both.size(); ++i) {
        const double back = both[1 - i].gb_s;
        if (!slower(both[i].gb_s, without[i]) || back <= 0) continue;
        for (const std::uint32_t s : both[i].slots)
            if (s / 2 == number) lost[s % 2] = std::min(0.95, (port->gb_s(s % 2 != 0) - both[i].gb_s) / back);
    }
    port->lost_ab = std::max(0.0, lost[0]);
    port->lost_ba = std::max(0.0, lost[1]);
}

} // namespace detail
BARELINK_END_NAMESPACE
