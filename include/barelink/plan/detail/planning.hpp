// The planner's choice once the families have spoken and the optimum is known. Private to the plan layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/plan/detail/settling.hpp>
#include <barelink/plan/detail/thinning.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Chooses among candidate routes for a set of demands that are planned together.
class planning {
public:
    planning(const machine& m, const candidate_list& ways, std::span<const demand> demands, std::uint64_t scratch_bytes)
        : machine_(m), ways_(ways), demands_(demands), solver_(demands, scratch_bytes, m.costs),
          links_(m, ways, demands) {}

    /// The routes that finish first: the optimum's routes, or fewer of them where the rest does not pay for its start-up.
    /// Tries one route a demand, two, and so on in order of legs and rate, each set at the rates that its links divide into.
    /// `batch`: the demands are those of several requests, not parts of one.
    [[nodiscard]] std::vector<share> choose(const optimum& best, bool batch) {
        const thinning thinner(machine_, ways_, demands_);
        std::vector<share> all = support(thinner.thin(best, 0.9995));
        links_.settle(all, best);
        const bool disturbed = links_.disturbed();
        double us = solver_.solve(all);
        if (disturbed) {
            const optimum calmer = thinner.thin(best, 0.98);
            std::vector<share> fewer = support(calmer);
            links_.settle(fewer, calmer);
            if (const double fewer_us = solver_.solve(fewer); fewer_us < us) {
                us = fewer_us;
                all = std::move(fewer);
            }
        }

        std::vector<share> chosen = all;
        const auto consider = [&](std::vector<share> fewer) {
            links_.divide_fairly(fewer);
            const double fewer_us = solver_.solve(fewer);
            // Fewer routes win when they are as fast: they use less of other people's links.
            if (fewer_us > us * 1.002) return;
            us = fewer_us;
            chosen = std::move(fewer);
        };
        std::vector<std::size_t> rank(all.size()), per_part(demands_.size(), 0);
        std::size_t most = 0;
        for (std::size_t i = 0; i < all.size(); ++i) {
            rank[i] = per_part[all[i].part]++;
            if (per_part[all[i].part] > most) most = per_part[all[i].part];
        }
        for (std::size_t routes = most; routes-- > 1;) {
            std::vector<share> some;
            for (std::size_t i = 0; i < all.size(); ++i)
                if (rank[i] < routes) some.push_back(all[i]);
            consider(std::move(some));
        }
        consider(shortest());

        const auto drop_idle = [&] { std::erase_if(chosen, [](const share& s) { return s.bytes <= 0; }); };
        drop_idle();
        if (batch) {
            us = solver_.solve(chosen) * crowding(chosen);
            const auto prefer = [&](std::vector<share> calmer) {
                if (calmer.empty() || solver_.solve(calmer) * crowding(calmer) > us) return;
                us = solver_.solve(calmer) * crowding(calmer);
                chosen = std::move(calmer);
            };
            std::vector<share> direct = shortest();
            links_.divide_fairly(direct);
            prefer(std::move(direct));
            prefer(evenly());
            drop_idle();
        }
        order_launches(chosen);
        (void)solver_.solve(chosen);
        drop_idle();
        return chosen;
    }

private:
    /// The routes that the optimum uses, shortest first, fastest first among equals.
    [[nodiscard]] std::vector<share> support(const optimum& best) const {
        std::vector<share> used;
        for (std::uint32_t c = 0; c < ways_.routes.size(); ++c) {
            if (best.rates[c] <= negligible_share * best.gb_s) continue;
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
            if (s.gb_s <= 0) continue;
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

    /// For many copies between GPUs that run together: each takes its direct path and, with what its links leave over, the
    /// shortest detour. Where the program gives a few of them all of the detours, this gives every one a little, so that all
    /// direct copies last equally long. Empty when some demand has no direct path, or there is one demand.
    [[nodiscard]] std::vector<share> evenly() {
        std::vector<share> direct = shortest(), even;
        if (demands_.size() < 2) return even;
        for (const share& s : direct) {
            const demand& d = demands_[s.part];
            if (s.legs != 1 || machine_.at(d.from).kind != node_kind::gpu || machine_.at(d.to).kind != node_kind::gpu)
                return even;
        }
        even = direct;
        std::vector<std::uint32_t> shortest_slots(demands_.size(), ~0u);
        std::vector<share> detour(demands_.size());
        for (std::uint32_t c = 0; c < ways_.routes.size(); ++c) {
            const candidate& way = ways_.routes[c];
            if (way.between_count != 1 || machine_.at(way.between[0]).kind == node_kind::gpu) continue;
            if (way.slot_count >= shortest_slots[way.part]) continue;
            shortest_slots[way.part] = way.slot_count;
            share& s = detour[way.part];
            s.way = c;
            s.part = way.part;
            s.legs = 2;
            measure_legs(s);
            s.gb_s = s.leg_gb_s;
        }
        for (const share& s : detour)
            if (s.legs == 2) even.push_back(s);
        links_.divide_fairly(even);
        double least = fair_share::unlimited;
        for (const share& s : even)
            if (s.legs == 2 && s.gb_s < least) least = s.gb_s;
        for (share& s : even)
            if (s.legs == 2) s.gb_s = least * detour_share;
        return even;
    }
    /// Of what fair sharing gives: host links and their engines are kept calm.
    static constexpr double detour_share = 0.9;

    /// A copy engine that serves several peers in turn waits when another GPU has taken one's link. Copies that all last
    /// equally long take turns without meeting; others queue as inputs queue for outputs, which passes 59 % of what the links
    /// could (Karol, Hluchyj and Morgan 1987, for random traffic). By how much longer that makes it.
    [[nodiscard]] double crowding(std::span<const share> shares) const {
        struct port {
            double load = 0, shortest_us = 1e300, longest_us = 0;
            std::uint32_t copies = 0;
        };
        std::vector<port> ports(2 * machine_.links.size());
        for (const share& s : shares) {
            const dma_path* path = s.legs == 1 ? machine_.path(demands_[s.part].from, demands_[s.part].to) : nullptr;
            if (!path || machine_.at(path->from).kind != node_kind::gpu || machine_.at(path->to).kind != node_kind::gpu)
                continue;
            const auto hops = machine_.hops(*path);
            for (const link_direction hop : {hops.front(), hops.back()}) {
                port& p = ports[hop.slot()];
                const double us = transfer_us(s.bytes, path->gb_s);
                p.load += s.gb_s / machine_.gb_s(hop);
                if (us < p.shortest_us) p.shortest_us = us;
                if (us > p.longest_us) p.longest_us = us;
                ++p.copies;
            }
        }
        constexpr double passed_in_queues = 0.59;
        // An engine that alternates between several nodes' bytes for its own GPU and for others may fall behind: on simulated
        // servers by nothing to a third.
        double worst = 1;
        for (const share& s : shares)
            if (s.in_turn && s.legs > 1 && demands_[s.part].part > 0 &&
                machine_.at(ways_.routes[s.way].between[0]).kind == node_kind::gpu)
                worst = 1.11;
        for (const port& p : ports)
            if (p.copies > 1 && p.shortest_us < 0.95 * p.longest_us && p.load / passed_in_queues > worst)
                worst = p.load / passed_in_queues;
        return worst;
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

    const machine& machine_;
    const candidate_list& ways_;
    std::span<const demand> demands_;
    share_solver solver_;
    settling links_;
};

} // namespace detail
BARELINK_END_NAMESPACE
