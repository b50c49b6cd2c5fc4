// What the links really give a set of routes: they know no plan and share fairly. Private to the plan layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/plan/detail/rates.hpp>
#include <barelink/plan/detail/shares.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Sets the rates of shares to what they reach when all of them run.
class settling {
public:
    settling(const machine& m, const candidate_list& ways, std::span<const demand> demands)
        : machine_(m), ways_(ways), demands_(demands), crossed_(m, ways), fair_(capacities(m)) {}

    /// Fair sharing alone.
    void divide_fairly(std::span<share> shares) {
        share_out(shares);
        mark_legs(shares);
    }

    /// The optimum has many solutions, and the links know none of them. So the shares that the optimum's rates suggest and
    /// those that fair sharing suggests are both played through, and the ones that end first stay.
    void settle(std::vector<share>& shares, const optimum& best) {
        double total_bytes = 0;
        for (const demand& d : demands_) total_bytes += static_cast<double>(d.bytes);
        const double ideal_us = transfer_us(total_bytes, best.gb_s);

        std::vector<share> fair = shares;
        share_out(fair);
        for (share& s : fair) {
            double gb_s = 0;
            for (const share& other : fair) gb_s += other.part == s.part ? other.gb_s : 0;
            s.bytes = static_cast<double>(demands_[s.part].bytes) * s.gb_s / gb_s;
        }
        for (share& s : shares) s.bytes = s.gb_s * 1e3 * ideal_us;
        weigh(shares);
        const double fair_us = play(fair), planned_us = play(shares);
        const bool fair_wins = fair_us <= planned_us * 1.0005;
        if (fair_wins) shares = std::move(fair);
        for (share& s : shares) s.gb_s = s.bytes / ((fair_wins ? fair_us : planned_us) * 1e3);
        mark_legs(shares);
    }

    /// True when `settle` or `divide_fairly` found a route that bursts of others slow down.
    [[nodiscard]] bool disturbed() const noexcept { return disturbed_; }

private:
    /// Link directions, then copy engines, each with all of its time to give.
    [[nodiscard]] static std::vector<double> capacities(const machine& m) {
        std::vector<double> all = slot_capacities(m);
        all.resize(all.size() + engine_count(m), 1.0);
        return all;
    }
    void add_flow(const share& s) {
        const candidate& way = ways_.routes[s.way];
        fair_.add(ways_.slots_of(way), fair_share::unlimited, s.weight);
        for_each_host_leg(machine_, way, demands_[way.part], [&](const dma_path& path) {
            fair_.use(host_threads_slot(machine_) + 1 + engine_of(machine_, path, false), 1 / path.gb_s);
        });
        if (crossed_.both_ways)
            for_each_loss(machine_, way, demands_[way.part], crossed_.slots,
                          [&](std::uint32_t slot, double bytes) { fair_.use(slot, bytes); });
    }

    void share_out(std::span<share> shares) {
        weigh(shares);
        fair_.clear();
        for (const share& s : shares) add_flow(s);
        fair_.solve();
        for (std::size_t i = 0; i < shares.size(); ++i) shares[i].gb_s = fair_.rate(i);
    }

    /// Routes that take turns on one copy engine are one flow to the links. They divide it by the size of their chunks, and
    /// those follow their rates.
    void weigh(std::span<share> shares) const {
        std::vector<double> on(engine_count(machine_), 0.0);
        const auto engines = [&](const share& s, auto visit) {
            const candidate& way = ways_.routes[s.way];
            for_each_host_leg(machine_, way, demands_[way.part],
                              [&](const dma_path& path) { visit(on[engine_of(machine_, path, false)]); });
        };
        for (const share& s : shares) engines(s, [&](double& rate) { rate += s.gb_s; });
        for (share& s : shares) {
            s.weight = 1;
            engines(s, [&](const double& rate) {
                if (rate > 0 && s.gb_s < s.weight * rate) s.weight = s.gb_s / rate;
            });
        }
    }

    /// Time until all shares are through, each a flow that shares its links fairly with those still running.
    [[nodiscard]] double play(std::span<const share> shares) {
        std::vector<double> left;
        std::vector<std::size_t> running;
        for (const share& s : shares) left.push_back(s.bytes);
        double us = 0;
        for (std::size_t round = 0; round < shares.size(); ++round) {
            fair_.clear();
            running.clear();
            for (std::size_t i = 0; i < shares.size(); ++i) {
                if (left[i] <= 1e-9 * shares[i].bytes) continue; // not a number of bytes: a transfer may be of one
                running.push_back(i);
                add_flow(shares[i]);
            }
            if (running.empty()) break;
            fair_.solve();
            double step_us = 1e300;
            for (std::size_t f = 0; f < running.size(); ++f)
                if (const double end_us = transfer_us(left[running[f]], fair_.rate(f)); end_us < step_us)
                    step_us = end_us;
            for (std::size_t f = 0; f < running.size(); ++f) left[running[f]] -= fair_.rate(f) * 1e3 * step_us;
            us += step_us;
        }
        return us;
    }

    /// What the loads of this set mean for each route: which hand-overs between legs have no slack on either side, and how much
    /// a direct route loses to bursts.
    void mark_legs(std::span<share> shares) {
        std::vector<double> load(host_threads_slot(machine_) + 1, 0.0);
        for (const share& s : shares)
            for (const std::uint32_t slot : ways_.slots_of(ways_.routes[s.way])) load[slot] += s.gb_s;
        disturbed_ = false;
        mark_turns(shares);
        for (share& s : shares) {
            const candidate& way = ways_.routes[s.way];
            if (s.legs == 1) {
                const double kept = undisturbed(ways_.slots_of(way), s.gb_s, load);
                disturbed_ |= kept < 0.995;
                s.gb_s *= kept;
            }
            bool full_before = false;
            s.full_legs = 0;
            node_index at = demands_[way.part].from;
            for (std::size_t i = 0; i < s.legs; ++i) {
                const node_index to = i < way.between_count ? way.between[i] : demands_[way.part].to;
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

    /// Which routes take turns on a copy engine: several on one, at least one of them of several legs.
    void mark_turns(std::span<share> shares) const {
        struct use {
            int routes = 0;
            bool longer = false;
        };
        std::vector<use> engines(engine_count(machine_));
        const auto each = [&](const share& s, auto visit) {
            const candidate& way = ways_.routes[s.way];
            for_each_leg(machine_, way, demands_[way.part], [&](const dma_path& path) {
                const bool peers =
                    machine_.at(path.from).kind == node_kind::gpu && machine_.at(path.to).kind == node_kind::gpu;
                if (!peers || s.legs > 1)
                    visit(engines[engine_of(machine_, path, false)]); // beside a direct one, legs pull
            });
        };
        for (const share& s : shares)
            each(s, [&](use& engine) {
                ++engine.routes;
                engine.longer |= s.legs > 1;
            });
        for (share& s : shares) {
            s.in_turn = false;
            each(s, [&](const use& engine) { s.in_turn |= engine.routes > 1 && engine.longer; });
        }
    }

    /// A relayed chunk takes half of a link for a moment, not a little of it all the time. On one full link that comes to the
    /// same. A direct route over two of them loses half whenever a chunk passes on either, and the other link then idles: it
    /// keeps q + (1 - q)/2 of the link, where q is the chance that neither is disturbed.
    [[nodiscard]] double undisturbed(std::span<const std::uint32_t> slots, double gb_s,
                                     std::span<const double> load) const {
        double calm = 1, capacity = 0;
        int shared = 0;
        for (const std::uint32_t slot : slots) {
            const double most = slot_capacity(machine_, slot), others = load[slot] - gb_s;
            if (load[slot] < 0.98 * most || others < 0.001 * most) continue;
            calm *= others < most / 2 ? 1 - 2 * others / most : 0;
            capacity = most;
            ++shared;
        }
        const double reached = capacity * (calm + (1 - calm) / 2);
        return shared > 1 && reached < gb_s ? reached / gb_s : 1;
    }

    const machine& machine_;
    const candidate_list& ways_;
    std::span<const demand> demands_;
    crossed_slots crossed_;
    fair_share fair_;
    bool disturbed_ = false;
};

} // namespace detail
BARELINK_END_NAMESPACE
