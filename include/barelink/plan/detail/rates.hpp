// From candidates to rates: the linear program over routes and link directions. Private to the plan layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/machine/duplex.hpp>
#include <barelink/plan/detail/packing_lp.hpp>
#include <barelink/plan/engines.hpp>
#include <barelink/plan/fair_share.hpp>
#include <barelink/plan/route_sink.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Capacity of a slot: a link direction, or the host's copying threads.
[[nodiscard]] inline double slot_capacity(const machine& m, std::uint32_t slot) noexcept {
    return slot == host_threads_slot(m) ? m.costs.host_copy_gb_s * m.costs.host_threads
                                        : m.gb_s(link_direction::from_slot(slot));
}

[[nodiscard]] inline std::vector<double> slot_capacities(const machine& m) {
    std::vector<double> capacity(host_threads_slot(m) + 1);
    for (std::uint32_t slot = 0; slot < capacity.size(); ++slot) capacity[slot] = slot_capacity(m, slot);
    return capacity;
}

struct optimum {
    bool found = false;
    double gb_s = 0;           ///< all demands together
    std::vector<double> rates; ///< per candidate
    std::vector<limit> limits; ///< link directions with a dual value, largest first
};

/// Calls `visit(dma_path)` for every leg of a candidate that a copy engine carries.
template <class Visit>
void for_each_leg(const machine& m, const candidate& way, const demand& wanted, Visit visit) {
    node_index at = wanted.from;
    for (std::size_t i = 0; i <= way.between_count; ++i) {
        const node_index to = i < way.between_count ? way.between[i] : wanted.to;
        const dma_path* path = m.path(at, to); // none within one NUMA node: host threads copy there
        if (path) visit(*path);
        at = to;
    }
}

/// The same for the legs between host memory and a GPU.
template <class Visit>
void for_each_host_leg(const machine& m, const candidate& way, const demand& wanted, Visit visit) {
    for_each_leg(m, way, wanted, [&](const dma_path& path) {
        if (m.at(path.from).kind != node_kind::gpu || m.at(path.to).kind != node_kind::gpu) visit(path);
    });
}

/// Calls `visit(slot, bytes)` for what each byte of a candidate takes from link directions that it does not cross itself, because
/// it goes the other way over the same link. Only for directions in `crossed`: where nobody goes, nothing is lost. Nor by memory
/// that bytes only pass through: rings are small and stay in the CPU's cache.
template <class Visit>
void for_each_loss(const machine& m, const candidate& way, const demand& wanted, const std::vector<char>& crossed,
                   Visit visit) {
    for_each_leg(m, way, wanted, [&](const dma_path& path) {
        const bool ring = (path.from != wanted.from && m.at(path.from).kind == node_kind::memory) ||
                          (path.to != wanted.to && m.at(path.to).kind == node_kind::memory);
        for (const link_direction hop : m.hops(path)) {
            const std::uint32_t back = opposite(hop).slot();
            if (!crossed[back] || (ring && m.at(hop.link).kind == link_kind::dram)) continue;
            if (const double bytes = lost_to(m, path, hop); bytes > 0) visit(back, bytes);
        }
    });
}

/// Which slots some candidate crosses; `both_ways` when there is a link that is crossed both ways.
struct crossed_slots {
    std::vector<char> slots;
    bool both_ways = false;

    crossed_slots(const machine& m, const candidate_list& ways) : slots(host_threads_slot(m) + 1, 0) {
        for (const std::uint32_t slot : ways.slots) slots[slot] = 1;
        for (std::size_t slot = 0; slot + 1 < slots.size(); slot += 2) both_ways |= slots[slot] && slots[slot + 1];
    }
};

/// Maximises the rate of the demands together, each in proportion to its bytes, so that all end at the same time.
///
/// Rows are the link directions that some candidate fills, by crossing them or by what it takes from them on its way back. Directions filled by exactly the same candidates (the links of
/// one PCIe chain) make one row with the smallest of their capacities: a server comes down to ten or twenty rows.
class rate_program {
public:
    rate_program(const machine& m, const candidate_list& ways, std::span<const demand> demands)
        : machine_(m), ways_(ways), demands_(demands), crossed_(m, ways), row_of_slot_(host_threads_slot(m) + 1) {}

    /// Also keeps to what copy engines can do, not only links: an engine serves one copy at a time, so the times that its
    /// copies take alone must add up to no more than all of it. Says whether that adds anything: where all paths of an engine are
    /// equally fast, their common link says it already.
    bool heed_engines() {
        slowest_.assign(2 * machine_.nodes.size(), 0.0);
        std::vector<double> fastest(slowest_.size(), 0.0);
        for (const candidate& way : ways_.routes)
            for_each_host_leg(machine_, way, demands_[way.part], [&](const dma_path& path) {
                const std::uint32_t engine = engine_of(machine_, path, false);
                if (slowest_[engine] == 0 || path.gb_s < slowest_[engine]) slowest_[engine] = path.gb_s;
                if (path.gb_s > fastest[engine]) fastest[engine] = path.gb_s;
            });
        engine_row_.assign(slowest_.size(), none);
        engines_ = 0;
        for (std::uint32_t engine = 0; engine < slowest_.size(); ++engine)
            if (slowest_[engine] < fastest[engine]) engine_row_[engine] = engines_++;
        return engines_ > 0;
    }

    /// Over all candidates.
    [[nodiscard]] optimum solve() {
        std::vector<std::uint32_t> all(ways_.routes.size());
        for (std::uint32_t c = 0; c < all.size(); ++c) all[c] = c;
        return solve(all);
    }
    /// Over some of them; the others have a rate of zero.
    [[nodiscard]] optimum solve(std::span<const std::uint32_t> columns) {
        group_slots(columns);
        return run(columns);
    }

private:
    struct group {
        std::uint32_t slot = 0; ///< the first of the directions, which stands for all
        std::uint64_t signature = 0;
        double capacity = 0;
    };

    /// Directions with one signature are filled by the same columns, equally often. The signature is a 64-bit hash of the
    /// column list; for the few hundred directions of a machine a collision has a chance of about 10^-15.
    void group_slots(std::span<const std::uint32_t> columns) {
        std::vector<std::uint64_t> signature(row_of_slot_.size(), 0);
        for (const std::uint32_t c : columns)
            for (const std::uint32_t slot : ways_.slots_of(ways_.routes[c])) {
                std::uint64_t mixed = (signature[slot] ^ (c + 1)) * 0x9e3779b97f4a7c15ull;
                signature[slot] = mixed ^ (mixed >> 29);
            }
        if (crossed_.both_ways)
            for (const std::uint32_t c : columns)
                for_each_loss(machine_, ways_.routes[c], demands_[ways_.routes[c].part], crossed_.slots,
                              [&](std::uint32_t slot, double bytes) {
                                  if (signature[slot] == 0) return; // crossed by none of these columns
                                  const auto amount = static_cast<std::uint64_t>(bytes * 1e12) << 20;
                                  std::uint64_t mixed = (signature[slot] ^ (amount + c + 1)) * 0x9e3779b97f4a7c15ull;
                                  signature[slot] = mixed ^ (mixed >> 29);
                              });
        groups_.clear();
        for (std::uint32_t slot = 0; slot < signature.size(); ++slot) {
            row_of_slot_[slot] = none;
            if (signature[slot] == 0) continue;
            const double capacity = slot_capacity(machine_, slot);
            std::uint32_t row = 0;
            while (row < groups_.size() && groups_[row].signature != signature[slot]) ++row;
            if (row == groups_.size()) groups_.push_back({slot, signature[slot], capacity});
            if (capacity < groups_[row].capacity) groups_[row].capacity = capacity;
            row_of_slot_[slot] = row;
        }
    }

    [[nodiscard]] optimum run(std::span<const std::uint32_t> columns) {
        const bool single = demands_.size() == 1;
        const std::size_t links = groups_.size();
        const std::size_t wires = links + engines_;
        std::vector<double> capacity(wires + (single ? 0 : demands_.size()), 0.0);
        for (std::size_t row = 0; row < wires; ++row) capacity[row] = row < links ? groups_[row].capacity : 1.0;
        packing_lp lp(capacity);
        for (const std::uint32_t c : columns) {
            const candidate& way = ways_.routes[c];
            lp.begin_column((single ? 1.0 : 0.0) - detour_price * way.slot_count);
            for (const std::uint32_t slot : ways_.slots_of(way))
                if (groups_[row_of_slot_[slot]].slot == slot) lp.entry(row_of_slot_[slot], 1.0);
            if (crossed_.both_ways)
                for_each_loss(machine_, way, demands_[way.part], crossed_.slots, [&](std::uint32_t slot, double bytes) {
                    const std::uint32_t row = row_of_slot_[slot];
                    if (row != none && groups_[row].slot == slot) lp.entry(row, bytes);
                });
            if (engines_ > 0)
                for_each_host_leg(machine_, way, demands_[way.part], [&](const dma_path& path) {
                    const std::uint32_t row = engine_row_[engine_of(machine_, path, false)];
                    if (row != none) lp.entry(static_cast<std::uint32_t>(links) + row, 1.0 / path.gb_s);
                });
            if (!single) lp.entry(static_cast<std::uint32_t>(wires + way.part), -1.0);
        }
        double total = 0;
        for (const demand& d : demands_) total += static_cast<double>(d.bytes);
        if (!single) {
            lp.begin_column(1.0);
            for (std::uint32_t d = 0; d < demands_.size(); ++d)
                lp.entry(static_cast<std::uint32_t>(wires + d), static_cast<double>(demands_[d].bytes) / total);
        }
        optimum best;
        best.found = !columns.empty() && lp.solve();
        if (!best.found) return best;
        best.rates.resize(ways_.routes.size());
        for (std::size_t i = 0; i < columns.size(); ++i) {
            best.rates[columns[i]] = lp.value(i);
            if (single) best.gb_s += lp.value(i);
        }
        if (!single) best.gb_s = lp.value(columns.size());
        name_limits(lp, best);
        return best;
    }

    void name_limits(const packing_lp& lp, optimum& best) const {
        for (std::uint32_t slot = 0; slot < row_of_slot_.size(); ++slot) {
            const std::uint32_t row = row_of_slot_[slot];
            if (row == none || lp.dual(row) < least_dual) continue;
            const double capacity = slot_capacity(machine_, slot);
            if (capacity > groups_[row].capacity * (1 + 1e-9)) continue;
            best.limits.push_back({link_direction::from_slot(slot), capacity, lp.dual(row)});
        }
        for (std::size_t i = 1; i < best.limits.size(); ++i)
            for (std::size_t j = i; j > 0 && best.limits[j].weight > best.limits[j - 1].weight; --j)
                std::swap(best.limits[j], best.limits[j - 1]);
    }

    /// Among equal optima, the one that fills the fewest links: too small to move the optimum, large enough to choose.
    static constexpr double detour_price = 1e-6;
    static constexpr double least_dual = 1e-3;
    static constexpr std::uint32_t none = 0xffffffffu;
    const machine& machine_;
    const candidate_list& ways_;
    std::span<const demand> demands_;
    crossed_slots crossed_;
    std::vector<group> groups_;
    std::vector<std::uint32_t> row_of_slot_, engine_row_;
    std::vector<double> slowest_;
    std::uint32_t engines_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
