// How long trees take on links that share fairly and engines that serve one copy at a time. Private to the plan layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/machine/duplex.hpp>
#include <barelink/plan/broadcast_plan.hpp>
#include <barelink/plan/detail/tree_packing.hpp>
#include <barelink/plan/fair_share.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class tree_timing {
public:
    explicit tree_timing(const machine& m) : machine_(m), links_(link_capacities(m)) {}

    /// Sets the rates that the links give to trees that run together: they share fairly.
    void divide_fairly(std::vector<tree_packing::packed>& trees) {
        share_links(trees, [](std::size_t) { return true; });
        for (std::size_t i = 0; i < trees.size(); ++i) trees[i].gb_s = links_.rate(i);
    }

    /// The slowest tree: its first chunk down to the last destination, then the rest behind it; and the thread that submits.
    /// Returns the time with a margin for the thread: what plans are compared by.
    double predict(broadcast_plan& p) {
        const double played_us = play(p);
        const copy_costs& costs = machine_.costs;
        double submitted_us = 0, launched_us = 0;
        for (const tree& t : p.trees) {
            const std::uint64_t whole = (t.bytes + t.chunk_bytes - 1) / t.chunk_bytes;
            const auto chunks = static_cast<double>(whole);
            const double each_us = costs.submit_us + 2 * costs.event_us;
            submitted_us += chunks * each_us * t.arc_count;
            launched_us += each_us;
            const auto chunk = static_cast<double>(t.chunk_bytes < t.bytes ? t.chunk_bytes : t.bytes);
            double fill_us = 0;
            std::vector<double> at(t.arc_count, 0); // when an arc has moved the first chunk
            const auto arcs = p.arcs_of(t);
            for (std::size_t i = 0; i < arcs.size(); ++i) {
                double busy_us = 0; // siblings that take the same engine first
                for (std::size_t j = 0; j < i; ++j)
                    if (arcs[j].parent == arcs[i].parent && arcs[i].parent >= 0 && !arcs[j].pulled && !arcs[i].pulled)
                        busy_us += transfer_us(chunk, arcs[j].path_gb_s);
                const dma_path* path = machine_.path(arcs[i].from, arcs[i].to);
                const double start =
                    arcs[i].parent < 0 ? 0 : at[static_cast<std::size_t>(arcs[i].parent)] + costs.wake_us;
                at[i] = start + busy_us + costs.engine_us + path->latency_us +
                        (arcs[i].parent < 0 ? 0 : transfer_us(chunk, arcs[i].path_gb_s));
                if (at[i] > fill_us) fill_us = at[i];
            }
            const double us = launched_us + 2 * costs.wake_us + fill_us + chunks * costs.engine_us + played_us;
            if (us > p.predicted_us) p.predicted_us = us;
        }
        p.predicted_us *= crowding(p);
        if (submitted_us > p.predicted_us) p.predicted_us = submitted_us;
        return 1.2 * submitted_us > p.predicted_us ? 1.2 * submitted_us : p.predicted_us;
    }

private:
    /// Rates of the trees that run, each a flow over all of its links, in `links_`.
    template <class Runs>
    void share_links(std::span<const tree_packing::packed> trees, Runs runs) {
        links_.clear();
        std::vector<std::uint32_t> slots;
        std::vector<char> crossed(2 * machine_.links.size(), 0);
        for (std::size_t i = 0; i < trees.size(); ++i)
            if (runs(i))
                for (const dma_path* path : trees[i].arcs)
                    for (const link_direction hop : machine_.hops(*path)) crossed[hop.slot()] = 1;
        for (std::size_t i = 0; i < trees.size(); ++i) {
            if (!runs(i)) continue;
            slots.clear();
            for (const dma_path* path : trees[i].arcs)
                for (const link_direction hop : machine_.hops(*path)) slots.push_back(hop.slot());
            links_.add(slots);
            for (const dma_path* path : trees[i].arcs)
                for (const link_direction hop : machine_.hops(*path))
                    if (crossed[opposite(hop).slot()])
                        if (const double bytes = lost_in_tree(machine_, *path, hop); bytes > 0)
                            links_.use(opposite(hop).slot(), bytes);
        }
        links_.solve();
    }

    /// Time for these bytes when links share fairly among the trees that still run.
    [[nodiscard]] double play(const broadcast_plan& p) {
        std::vector<tree_packing::packed> trees;
        std::vector<double> left;
        for (const tree& t : p.trees) {
            trees.push_back({});
            for (const tree_arc& a : p.arcs_of(t)) trees.back().arcs.push_back(machine_.path(a.from, a.to));
            left.push_back(static_cast<double>(t.bytes));
        }
        double us = 0;
        for (std::size_t round = 0; round < trees.size(); ++round) {
            std::vector<std::size_t> running;
            for (std::size_t i = 0; i < trees.size(); ++i)
                if (left[i] > 0.5) running.push_back(i);
            if (running.empty()) break;
            share_links(trees, [&](std::size_t i) { return left[i] > 0.5; });
            double step_us = 1e300;
            for (std::size_t f = 0; f < running.size(); ++f)
                if (const double end_us = transfer_us(left[running[f]], links_.rate(f)); end_us < step_us)
                    step_us = end_us;
            for (std::size_t f = 0; f < running.size(); ++f) left[running[f]] -= links_.rate(f) * 1e3 * step_us;
            us += step_us;
        }
        return us;
    }

    /// A copy engine that serves several peers in turn waits with all of them when one's link is taken by another GPU: inputs
    /// that queue for outputs pass 59 % of what the links could (Karol, Hluchyj and Morgan 1987, for random traffic).
    [[nodiscard]] double crowding(const broadcast_plan& p) const {
        struct use {
            double load = 0;
            node_index peer = no_node;
            bool several = false;
        };
        const std::size_t slots = 2 * machine_.links.size();
        std::vector<use> ports(2 * slots); // to leave by, then to arrive by
        const auto add = [&](std::size_t first, link_direction port, double gb_s, node_index peer) {
            use& u = ports[first + port.slot()];
            u.several |= u.peer != no_node && u.peer != peer;
            u.peer = peer;
            u.load += gb_s / machine_.gb_s(port);
        };
        for (const tree& t : p.trees)
            for (const tree_arc& a : p.arcs_of(t)) {
                if (machine_.at(a.from).kind != node_kind::gpu || machine_.at(a.to).kind != node_kind::gpu) continue;
                const auto hops = p.hops_of(a);
                add(0, hops.front(), t.gb_s, a.to);
                add(slots, hops.back(), t.gb_s, a.from);
            }
        double worst = 1;
        for (const use& u : ports)
            if (u.several && u.load / passed_in_queues > worst) worst = u.load / passed_in_queues;
        return worst;
    }
    static constexpr double passed_in_queues = 0.59;

    [[nodiscard]] static std::vector<double> link_capacities(const machine& m) {
        std::vector<double> all(2 * m.links.size());
        for (std::uint32_t slot = 0; slot < all.size(); ++slot) all[slot] = m.gb_s(link_direction::from_slot(slot));
        return all;
    }

    const machine& machine_;
    fair_share links_;
};

} // namespace detail
BARELINK_END_NAMESPACE
