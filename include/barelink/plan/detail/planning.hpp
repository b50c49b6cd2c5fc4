// The planner's steps once the families have spoken: rates, choice of routes, shares, chunks. Private to the plan layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/plan/detail/rates.hpp>
#include <barelink/plan/detail/shares.hpp>
#include <barelink/plan/engines.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Chooses among candidate routes for a set of demands that are planned together.
class planning {
public:
    planning(const machine& m, const candidate_list& ways, std::span<const demand> demands, std::uint64_t scratch_bytes)
        : machine_(m), ways_(ways), demands_(demands), solver_(demands, scratch_bytes, m.costs),
          fair_(slot_capacities(m)) {}

    /// The routes that finish first: the optimum's routes, or fewer of them where the rest does not pay for its start-up.
    /// Tries one route a demand, two, and so on in order of legs and rate, each set at the rates that its links divide into.
    /// `us` receives the time of the slowest demand.
    [[nodiscard]] std::vector<share> choose(const optimum& best, double& us) {
        std::vector<share> all = support(thinned(best));
        std::size_t most = 0;
        std::vector<std::size_t> per_part(demands_.size(), 0);
        std::vector<std::size_t> rank(all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            rank[i] = per_part[all[i].part]++;
            if (per_part[all[i].part] > most) most = per_part[all[i].part];
        }
        settle_rates(all, best);
        mark_full_legs(all);
        std::vector<share> chosen = all;
        us = solver_.solve(chosen);
        const auto consider = [&](std::vector<share> fewer) {
            divide_fairly(fewer);
            const double fewer_us = solver_.solve(fewer);
            // Fewer routes win when they are as fast: they use less of other people's links.
            if (fewer_us > us * 1.002) return;
            us = fewer_us;
            chosen = std::move(fewer);
        };
        for (std::size_t routes = most; routes-- > 1;) {
            std::vector<share> some;
            for (std::size_t i = 0; i < all.size(); ++i)
                if (rank[i] < routes) some.push_back(all[i]);
            consider(std::move(some));
        }
        consider(shortest());
        std::erase_if(chosen, [](const share& s) { return s.bytes <= 0; });
        order_launches(chosen);
        us = solver_.solve(chosen);
        std::erase_if(chosen, [](const share& s) { return s.bytes <= 0; });
        return chosen;
    }

private:
    /// An optimum with as few routes as can carry it, where routes would queue for one copy engine or carry next to nothing:
    /// drops the thinnest routes one by one as long as the others make up for them.
    [[nodiscard]] optimum thinned(const optimum& best) const {
        optimum thin = best;
        std::vector<std::uint32_t> used;
        bool crowded = false;
        std::vector<std::uint8_t> routes_on(engine_count(machine_), 0);
        for (std::uint32_t c = 0; c < ways_.routes.size(); ++c) {
            if (best.rates[c] <= negligible * best.gb_s) continue;
            used.push_back(c);
            crowded |= best.rates[c] < 0.01 * best.gb_s;
            const demand& wanted = demands_[ways_.routes[c].part];
            node_index at = wanted.from;
            for (std::size_t i = 0; i <= ways_.routes[c].between_count; ++i) {
                const node_index to = i < ways_.routes[c].between_count ? ways_.routes[c].between[i] : wanted.to;
                const dma_path* path = machine_.path(at, to);
                const bool host = machine_.at(at).kind != node_kind::gpu || machine_.at(to).kind != node_kind::gpu;
                if (path && host) crowded |= routes_on[engine_of(machine_, *path, false)]++ > 0;
                at = to;
            }
        }
        if (!crowded || used.size() > most_thinned) return thin;
        rate_program program(machine_, ways_, demands_);
        for (std::size_t tries = used.size(); tries-- > 0;) {
            std::size_t thinnest = tries; // candidates for dropping are used[0..tries]
            for (std::size_t i = 0; i <= tries; ++i)
                if (thin.rates[used[i]] < thin.rates[used[thinnest]]) thinnest = i;
            std::swap(used[thinnest], used[tries]);
            std::vector<std::uint32_t> others = used;
            others.erase(others.begin() + static_cast<std::ptrdiff_t>(tries));
            if (others.empty()) break;
            optimum fewer = program.solve(others);
            if (!fewer.found || fewer.gb_s < 0.9995 * best.gb_s) continue;
            thin = std::move(fewer);
            used = std::move(others);
        }
        return thin;
    }

    /// The routes that the optimum uses, shortest first, fastest first among equals.
    [[nodiscard]] std::vector<share> support(const optimum& best) const {
        std::vector<share> used;
        for (std::uint32_t c = 0; c < ways_.routes.size(); ++c) {
            if (best.rates[c] <= negligible * best.gb_s) continue;
            share s;
            s.way = c;
            s.part = ways_.routes[c].part;
            s.legs = static_cast<std::uint8_t>(ways_.routes[c].between_count + 1);
            s.gb_s = best.rates[c];
            measure_legs(s);
            used.push_back(s);
        }
        for (std::size_t i = 1; i < used.size(); ++i)
            for (std::size_t j = i; j > 0 && before(used[j], used[j - 1]); --j) std::swap(used[j], used[j - 1]);
        return used;
    }
    /// One route a demand: the fewest legs, the fastest among those. What a transfer too small to share takes.
    [[nodiscard]] std::vector<share> shortest() const {
        std::vector<share> one(demands_.size());
        for (share& s : one) s.legs = 0;
        for (std::uint32_t c = 0; c < ways_.routes.size(); ++c) {
            share s;
            s.way = c;
            s.part = ways_.routes[c].part;
            s.legs = static_cast<std::uint8_t>(ways_.routes[c].between_count + 1);
            measure_legs(s);
            s.gb_s = s.leg_gb_s;
            if (one[s.part].legs == 0 || before(s, one[s.part])) one[s.part] = s;
        }
        return one;
    }
    [[nodiscard]] static bool before(const share& a, const share& b) noexcept {
        return a.legs != b.legs ? a.legs < b.legs : a.gb_s > b.gb_s;
    }

    /// Routes are submitted in this order: the slowest demand's first, and within a demand the fastest route first, because a
    /// late start costs a route its rate times the delay.
    void order_launches(std::vector<share>& chosen) const {
        std::vector<double> us(demands_.size(), 0);
        for (const share& s : chosen)
            if (const double end_us = s.overhead_us + transfer_us(s.bytes, s.gb_s); end_us > us[s.part])
                us[s.part] = end_us;
        const auto before_at_launch = [&](const share& a, const share& b) {
            if (a.part == b.part) return a.gb_s > b.gb_s;
            return us[a.part] != us[b.part] ? us[a.part] > us[b.part] : a.part < b.part;
        };
        for (std::size_t i = 1; i < chosen.size(); ++i)
            for (std::size_t j = i; j > 0 && before_at_launch(chosen[j], chosen[j - 1]); --j)
                std::swap(chosen[j], chosen[j - 1]);
    }

    /// Which hand-overs have no slack on either side, at the rates of this set.
    void mark_full_legs(std::span<share> shares) {
        std::vector<double> load(host_threads_slot(machine_) + 1, 0.0);
        for (const share& s : shares)
            for (const std::uint32_t slot : ways_.slots_of(ways_.routes[s.way])) load[slot] += s.gb_s;
        for (share& s : shares) {
            const candidate& way = ways_.routes[s.way];
            const demand& wanted = demands_[way.part];
            bool full_before = false;
            s.full_legs = 0;
            node_index at = wanted.from;
            for (std::size_t i = 0; i <= way.between_count; ++i) {
                const node_index to = i < way.between_count ? way.between[i] : wanted.to;
                const dma_path* path = machine_.path(at, to);
                bool full = !path;
                if (path)
                    for (const link_direction hop : machine_.hops(*path))
                        full |= load[hop.slot()] > 0.9 * machine_.gb_s(hop);
                if (i > 0 && full && full_before) s.full_legs += 1;
                full_before = full;
                at = to;
            }
        }
    }

    void measure_legs(share& s) const {
        const candidate& way = ways_.routes[s.way];
        const demand& wanted = demands_[way.part];
        node_index at = wanted.from;
        s.host_copy = wanted.from_pageable || wanted.to_pageable;
        s.leg_gb_s = fair_share::unlimited;
        for (std::size_t i = 0; i <= way.between_count; ++i) {
            const node_index to = i < way.between_count ? way.between[i] : wanted.to;
            const dma_path* path = machine_.path(at, to);
            const double gb_s = path ? path->gb_s : slot_capacity(machine_, host_threads_slot(machine_));
            s.latency_us += path ? path->latency_us : 0;
            if (gb_s < s.leg_gb_s) s.leg_gb_s = gb_s;
            at = to;
        }
    }

    /// What the hardware gives these routes when all of them run: it shares links fairly and knows no plan.
    void divide_fairly(std::span<share> shares) {
        fair_.clear();
        for (const share& s : shares) fair_.add(ways_.slots_of(ways_.routes[s.way]));
        fair_.solve();
        for (std::size_t i = 0; i < shares.size(); ++i) shares[i].gb_s = fair_.rate(i);
        mark_full_legs(shares);
    }

    /// The optimum has many solutions, and the links know none of them: they share fairly. So the shares that the optimum's
    /// rates suggest and those that fair sharing suggests are both played through, and the one that ends first stays.
    void settle_rates(std::vector<share>& all, const optimum& best) {
        double total_bytes = 0;
        for (const demand& d : demands_) total_bytes += static_cast<double>(d.bytes);
        const double ideal_us = transfer_us(total_bytes, best.gb_s);

        std::vector<share> fair = all;
        divide_fairly(fair);
        for (share& s : fair) {
            double gb_s = 0;
            for (const share& other : fair) gb_s += other.part == s.part ? other.gb_s : 0;
            s.bytes = static_cast<double>(demands_[s.part].bytes) * s.gb_s / gb_s;
        }
        for (share& s : all) s.bytes = s.gb_s * 1e3 * ideal_us;
        const double fair_us = play(fair), planned_us = play(all);
        if (fair_us <= planned_us * 1.0005) all = fair;
        const double us = fair_us <= planned_us * 1.0005 ? fair_us : planned_us;
        for (share& s : all) s.gb_s = s.bytes / (us * 1e3);
    }

    /// Time until all shares are through, each a flow that shares its links fairly with those still running.
    [[nodiscard]] double play(std::span<const share> shares) {
        std::vector<double> left;
        for (const share& s : shares) left.push_back(s.bytes);
        double us = 0;
        for (std::size_t round = 0; round < shares.size(); ++round) {
            fair_.clear();
            std::vector<std::size_t> running;
            for (std::size_t i = 0; i < shares.size(); ++i) {
                if (left[i] <= 1) continue;
                running.push_back(i);
                fair_.add(ways_.slots_of(ways_.routes[shares[i].way]));
            }
            if (running.empty()) break;
            fair_.solve();
            double step_us = 1e300;
            for (std::size_t f = 0; f < running.size(); ++f)
                if (const double t = transfer_us(left[running[f]], fair_.rate(f)); t < step_us) step_us = t;
            for (std::size_t f = 0; f < running.size(); ++f) left[running[f]] -= fair_.rate(f) * 1e3 * step_us;
            us += step_us;
        }
        return us;
    }

    static constexpr double negligible = 1e-6;
    static constexpr std::size_t most_thinned = 24; ///< beyond it thinning would cost more than it gains

    const machine& machine_;
    const candidate_list& ways_;
    std::span<const demand> demands_;
    share_solver solver_;
    fair_share fair_;
};

/// Writes the chosen shares of one demand into a plan: whole bytes, offsets, legs, chunks.
inline void write_routes(const machine& m, const candidate_list& ways, const demand& wanted, std::uint32_t part,
                         std::uint64_t part_offset, std::span<const share> chosen, plan& into) {
    const std::size_t first = into.routes.size();
    std::uint64_t given = 0;
    std::size_t largest = first;
    for (const share& s : chosen) {
        if (s.part != part) continue;
        const candidate& way = ways.routes[s.way];
        route r;
        r.family = way.family;
        r.part = part;
        r.gb_s = s.gb_s;
        r.overhead_us = s.overhead_us;
        r.bytes = static_cast<std::uint64_t>(s.bytes / 4096) * 4096;
        if (r.bytes > wanted.bytes - given) r.bytes = wanted.bytes - given;
        given += r.bytes;
        r.depth = s.cut.depth;
        r.chunk_bytes = s.cut.chunk_bytes;
        r.first_chunk_bytes = s.cut.first_chunk_bytes;
        r.leg_count = static_cast<std::uint8_t>(way.between_count + 1);
        const auto slots = ways.slots_of(way);
        std::size_t slot = 0;
        node_index at = wanted.from;
        for (std::size_t i = 0; i < r.leg_count; ++i) {
            leg& l = r.legs[i];
            l.from = at;
            l.to = at = i < way.between_count ? way.between[i] : wanted.to;
            l.host_copy = (i == 0 && wanted.from_pageable) || (i + 1u == r.leg_count && wanted.to_pageable);
            l.first_hop = static_cast<std::uint32_t>(into.hops.size());
            const dma_path* path = l.host_copy ? nullptr : m.path(l.from, l.to);
            for (; slot < slots.size() && (!path || into.hops.size() - l.first_hop < path->hop_count); ++slot) {
                if (slots[slot] == host_threads_slot(m)) {
                    ++slot;
                    break;
                }
                into.hops.push_back(link_direction::from_slot(slots[slot]));
            }
            l.hop_count = static_cast<std::uint32_t>(into.hops.size()) - l.first_hop;
            l.path_gb_s = path ? path->gb_s : m.costs.host_copy_gb_s * m.costs.host_threads;
            l.latency_us = path ? path->latency_us : 0;
        }
        into.routes.push_back(r);
        if (r.bytes > into.routes[largest].bytes) largest = into.routes.size() - 1;
    }
    if (into.routes.size() == first) return;
    into.routes[largest].bytes += wanted.bytes - given;
    std::uint64_t offset = part_offset;
    std::erase_if(into.routes, [](const route& r) { return r.bytes == 0; });
    for (std::size_t i = first; i < into.routes.size(); ++i) {
        route& r = into.routes[i];
        r.offset = offset;
        offset += r.bytes;
        if (r.leg_count == 1) r.chunk_bytes = r.first_chunk_bytes = r.bytes;
    }
}

} // namespace detail
BARELINK_END_NAMESPACE
