// From rates of copies alone and together to rates of links. Private to measure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <barelink/machine/machine.hpp>
#include <barelink/plan/fair_share.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// One copy of a measurement: the link directions it crosses and what it reached. `alone_gb_s` is what its path reaches alone.
struct seen_load {
    node_index from, to, issuer;
    std::vector<std::uint32_t> slots;
    double gb_s = 0;
    double alone_gb_s = fair_share::unlimited;
};
/// Copies that ran at the same time; one copy alone is a set of one.
using seen_set = std::vector<seen_load>;

/// Finds the capacities that explain what was seen, when copies share link directions max-min fairly.
///
/// The most that was ever seen to cross a direction is a bound that it reaches at least. Giving every direction exactly that explains
/// all that was seen: rates that are fair among larger capacities stay fair among smaller ones that still allow them. So the only
/// question is which directions to bound, and each load that ran slower than without bounds answers it: one of those on its
/// path that were as full as ever is the reason. Where just one can be, it is; that may explain others. Where several can
/// be, the one is taken whose assumed rate is nearest. Directions that nothing needs keep their assumed rate.
class link_fit {
public:
    /// Bounds of `tolerance`. Project choices.
    static constexpr double least_tolerance = 0.01;
    static constexpr double most_tolerance = 0.06;

    explicit link_fit(const machine& m) : machine_(m), slots_(2 * m.links.size()) {
        for (std::uint32_t s = 0; s < slots_.size(); ++s) slots_[s].signature = 0;
        std::uint64_t number = 0;
        for (const dma_path& path : m.paths()) {
            ++number;
            for (const link_direction hop : m.hops(path)) {
                slot_state& s = slots_[hop.slot()];
                const std::uint64_t mixed = (s.signature ^ number) * 0x9e3779b97f4a7c15ull;
                s.signature = mixed ^ (mixed >> 29);
                ++s.paths;
            }
        }
        // Host threads use memories and the links between packages without a path: these are like no other link.
        for (std::uint32_t l = 0; l < m.links.size(); ++l)
            if (m.links[l].kind == link_kind::dram || m.links[l].kind == link_kind::cpu)
                for (const std::uint32_t s : {2 * l, 2 * l + 1}) slots_[s].signature ^= (s + 1) * 0xbf58476d1ce4e5b9ull;
    }

    /// `spread`: how much rates of the same copy, repeated, differ at most, as a share. Twice that is no difference.
    void set_spread(double spread) noexcept { tolerance_ = std::clamp(2 * spread, least_tolerance, most_tolerance); }
    [[nodiscard]] double tolerance() const noexcept { return tolerance_; }

    void add(const seen_set& set) {
        sets_.push_back(set);
        std::vector<double> flow(slots_.size(), 0);
        for (const seen_load& each : set)
            for (const std::uint32_t s : each.slots) flow[s] += each.gb_s;
        for (std::size_t s = 0; s < flow.size(); ++s) slots_[s].seen = std::max(slots_[s].seen, flow[s]);
        flows_.push_back(std::move(flow));
    }

    /// Decides anew which directions are full in what was seen.
    void solve() {
        for (slot_state& each : slots_) each.bound = each.chosen = false;
        for (;;) {
            std::vector<std::vector<std::uint32_t>> open;
            for (std::size_t e = 0; e < sets_.size(); ++e) collect(e, open);
            bool certain = false;
            for (const auto& reasons : open)
                if (reasons.size() == 1 && !slots_[reasons.front()].bound) certain = true, bind(reasons.front(), false);
            if (certain) continue;
            const std::uint32_t nearest = choose(open);
            if (nearest == none) return;
            bind(nearest, true);
        }
    }

    /// Rates for the loads of a set, as the fit has them now; with one direction, and those alike, taken for unlimited.
    [[nodiscard]] std::vector<double> predict(const seen_set& set, std::uint32_t unbounded = none) {
        std::vector<double> capacity(slots_.size(), fair_share::unlimited);
        for (std::uint32_t s = 0; s < slots_.size(); ++s)
            if (slots_[s].bound && (unbounded == none || !alike(s, unbounded))) capacity[s] = slots_[s].full;
        fair_.reset(std::move(capacity));
        fair_.clear();
        for (const seen_load& each : set) fair_.add(each.slots, each.alone_gb_s);
        fair_.solve();
        std::vector<double> rates(set.size());
        for (std::size_t i = 0; i < rates.size(); ++i) rates[i] = fair_.rate(i);
        return rates;
    }

    [[nodiscard]] bool is_bound(std::uint32_t slot) const noexcept { return slots_[slot].bound; }
    /// Bound because it had the nearest assumption, not because nothing else could be the reason.
    [[nodiscard]] bool is_chosen(std::uint32_t slot) const noexcept { return slots_[slot].chosen; }
    [[nodiscard]] double seen_gb_s(std::uint32_t slot) const noexcept { return slots_[slot].seen; }
    /// What a bound direction carries: the median of all that filled it. The most alone would be the luckiest.
    [[nodiscard]] double full_gb_s(std::uint32_t slot) const noexcept { return slots_[slot].full; }
    /// Directions that exactly the same paths cross cannot be told apart, and need not be.
    [[nodiscard]] bool alike(std::uint32_t a, std::uint32_t b) const noexcept {
        return slots_[a].signature == slots_[b].signature;
    }
    [[nodiscard]] const std::vector<seen_set>& sets() const noexcept { return sets_; }
    [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(slots_.size()); }

    static constexpr std::uint32_t none = 0xffffffffu;

private:
    struct slot_state {
        std::uint64_t signature = 0;
        std::uint32_t paths = 0;
        double seen = 0, full = 0;
        bool bound = false, chosen = false;
    };

    /// For each load that the bounds do not explain: the directions that may be the reason, one of each kind of alike ones.
    void collect(std::size_t e, std::vector<std::vector<std::uint32_t>>& open) {
        seen_set unlimited = sets_[e];
        for (seen_load& each : unlimited) each.alone_gb_s = fair_share::unlimited;
        const std::vector<double> expected = predict(unlimited);
        // What each direction was expected to carry: one load that is slower by chance is no reason to bound it.
        std::vector<double> wanted(slots_.size(), 0);
        for (std::size_t i = 0; i < expected.size(); ++i)
            for (const std::uint32_t s : sets_[e][i].slots) wanted[s] += expected[i];
        for (std::size_t i = 0; i < expected.size(); ++i) {
            if (expected[i] <= sets_[e][i].gb_s * (1 + tolerance_)) continue;
            std::vector<std::uint32_t> reasons;
            for (const std::uint32_t s : sets_[e][i].slots) {
                if (slots_[s].bound || flows_[e][s] < slots_[s].seen * (1 - 2 * tolerance_) ||
                    wanted[s] <= flows_[e][s] * (1 + tolerance_))
                    continue;
                if (std::none_of(reasons.begin(), reasons.end(), [&](std::uint32_t r) { return alike(r, s); }))
                    reasons.push_back(s);
            }
            if (!reasons.empty()) open.push_back(std::move(reasons));
        }
    }
    [[nodiscard]] std::uint32_t choose(const std::vector<std::vector<std::uint32_t>>& open) const {
        std::uint32_t best = none;
        double best_distance = 0;
        for (const auto& reasons : open)
            for (const std::uint32_t s : reasons) {
                const double assumed = machine_.gb_s(link_direction::from_slot(s));
                const double distance = assumed > slots_[s].seen ? assumed / slots_[s].seen : 1;
                const bool nearer = best == none || distance < best_distance * (1 - 1e-9);
                const bool rarer =
                    best != none && distance <= best_distance * (1 + 1e-9) && slots_[s].paths < slots_[best].paths;
                if (!nearer && !rarer) continue;
                best = s;
                best_distance = distance;
            }
        return best;
    }
    void bind(std::uint32_t slot, bool chosen) {
        for (std::uint32_t s = 0; s < slots_.size(); ++s)
            if (s == slot || (alike(s, slot) && slots_[s].seen > 0)) {
                slots_[s].bound = true;
                slots_[s].chosen = chosen;
                std::vector<double> full;
                for (const std::vector<double>& flow : flows_)
                    if (flow[s] >= slots_[s].seen * (1 - tolerance_)) full.push_back(flow[s]);
                std::nth_element(full.begin(), full.begin() + static_cast<std::ptrdiff_t>(full.size() / 2), full.end());
                slots_[s].full = full[full.size() / 2];
            }
    }

    const machine& machine_;
    std::vector<slot_state> slots_;
    std::vector<seen_set> sets_;
    std::vector<std::vector<double>> flows_; ///< of each set, over each direction
    fair_share fair_;
    double tolerance_ = least_tolerance; ///< rates that differ by less, as a share, are equal
};

} // namespace detail
BARELINK_END_NAMESPACE
