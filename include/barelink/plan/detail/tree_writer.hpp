// From trees with rates to a broadcast plan: bytes, chunks, who issues each copy. Private to the plan layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/plan/broadcast_plan.hpp>
#include <barelink/plan/chunking.hpp>
#include <barelink/plan/detail/tree_packing.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class tree_writer {
public:
    static constexpr std::uint32_t ring_depth = 4;

    tree_writer(const machine& m, const broadcast_request& asked, std::span<const demand> parts,
                std::span<const node_index> destinations)
        : machine_(m), asked_(asked), parts_(parts), destinations_(destinations) {}

    /// A plan of the trees that have a rate, with chunks halved so many times. Its prediction, bound and limits are left to
    /// others.
    [[nodiscard]] broadcast_plan write(std::span<const tree_packing::packed> trees, std::uint32_t halvings) {
        halvings_ = halvings;
        broadcast_plan p;
        p.asked = asked_;
        std::size_t all_arcs = 0;
        for (const auto& t : trees) all_arcs += t.gb_s > 0 ? t.arcs.size() : 0;
        std::uint64_t offset = 0;
        for (std::uint32_t s = 0; s < parts_.size(); ++s) {
            add_part(trees, s, offset, all_arcs, p);
            offset += parts_[s].bytes;
        }
        balance_engines(p);
        return p;
    }

private:
    void add_part(std::span<const tree_packing::packed> trees, std::uint32_t s, std::uint64_t offset,
                  std::size_t all_arcs, broadcast_plan& p) const {
        double rate = 0, before = 0;
        for (const auto& t : trees) rate += t.source == s ? t.gb_s : 0;
        const std::uint64_t end = offset + parts_[s].bytes, start = offset;
        for (const auto& packed : trees) {
            if (packed.source != s || packed.gb_s <= 0) continue;
            tree t;
            t.part = parts_[s].part;
            t.gb_s = packed.gb_s;
            t.offset = offset;
            write_arcs(packed.arcs, t, p);
            const double share = static_cast<double>(parts_[s].bytes) / rate;
            t.bytes = static_cast<std::uint64_t>(share * packed.gb_s);
            cut(t, all_arcs, p);
            // Whole chunks, so that they do not straddle stripes; of short trees whole pages.
            before += packed.gb_s;
            const std::uint64_t unit = t.bytes >= 64 * t.chunk_bytes ? t.chunk_bytes : 4 * KiB;
            offset =
                before > rate * (1 - 1e-9) ? end : start + round_up(static_cast<std::uint64_t>(share * before), unit);
            if (offset > end) offset = end;
            t.bytes = offset - t.offset;
            if (t.levels == 1) t.chunk_bytes = t.bytes;
            if (t.bytes > 0) p.trees.push_back(t);
        }
    }

    void write_arcs(const tree_packing::branch& arcs, tree& t, broadcast_plan& p) const {
        t.first_arc = static_cast<std::uint32_t>(p.arcs.size());
        std::vector<std::uint32_t> level;
        for (const dma_path* path : arcs) {
            tree_arc a{path->from,      path->to, -1,    static_cast<std::uint32_t>(p.hops.size()),
                       path->hop_count, false,    false, path->gb_s};
            for (std::uint32_t i = 0; i < level.size(); ++i)
                if (p.arcs[t.first_arc + i].to == path->from) a.parent = static_cast<std::int32_t>(i);
            bool destination = false;
            for (const node_index d : destinations_) destination |= d == path->to;
            a.ring = !destination;
            level.push_back(a.parent < 0 ? 1 : level[static_cast<std::size_t>(a.parent)] + 1);
            if (level.back() > t.levels) t.levels = level.back();
            for (const link_direction hop : machine_.hops(*path)) {
                p.hops.push_back(hop);
                if (machine_.at(hop.link).source < p.rests_on) p.rests_on = machine_.at(hop.link).source;
            }
            p.arcs.push_back(a);
        }
        t.arc_count = static_cast<std::uint32_t>(arcs.size());
    }

    /// The pipeline model of `choose_chunks`, for trees: a chunk must last as long as the thread needs to submit one on every
    /// arc of all trees, and the more levels, the smaller it should be. Where there are few chunks, and the first one's way down
    /// the levels is much of the time, half or a quarter of that may be faster: who asks for a plan tries. All chunks are equal: trees whose chunks differ get in
    /// each other's way on full links (measured on the simulator: 79 % instead of 98).
    void cut(tree& t, std::size_t all_arcs, const broadcast_plan& p) const {
        const copy_costs& costs = machine_.costs;
        constexpr std::uint64_t least = 64 * KiB;
        const double submit_us = costs.submit_us + 2 * costs.event_us;
        const double pace = t.gb_s * 1e3 * submit_us * static_cast<double>(all_arcs);
        const double balance = square_root(static_cast<double>(t.bytes) * costs.engine_us * t.gb_s * 1e3 *
                                           static_cast<double>(t.arc_count) / static_cast<double>(t.levels));
        std::uint64_t most = ~0ull / 2;
        for (const tree_arc& a : p.arcs_of(t))
            if (a.ring) most = asked_.scratch_bytes / ring_depth;
        const std::uint64_t floor = power_of_two_from(1.2 * pace), wanted = power_of_two_near(balance);
        const std::uint64_t chunk = (floor > wanted ? floor : wanted) >> halvings_;
        t.chunk_bytes = t.levels == 1 ? t.bytes : chunk < least ? least : chunk > most ? most : chunk;
    }

    /// Every GPU-to-GPU arc is issued by the side whose engine has less to do.
    void balance_engines(broadcast_plan& p) const {
        std::vector<double> load(engine_count(machine_), 0);
        for (const tree& t : p.trees)
            for (std::uint32_t i = 0; i < t.arc_count; ++i) {
                tree_arc& a = p.arcs[t.first_arc + i];
                if (machine_.at(a.from).kind != node_kind::gpu || machine_.at(a.to).kind != node_kind::gpu) continue;
                const dma_path* path = machine_.path(a.from, a.to);
                const dma_path* back = machine_.path(a.to, a.from);
                double &pushed = load[engine_of(machine_, *path, false)],
                       &pulled = load[engine_of(machine_, *path, true)];
                const double share = t.gb_s / a.path_gb_s;
                a.pulled = pushed + share > 1 && pulled < pushed && back && back->allowed;
                (a.pulled ? pulled : pushed) += share;
            }
    }

    const machine& machine_;
    const broadcast_request& asked_;
    std::span<const demand> parts_;
    std::span<const node_index> destinations_;
    std::uint32_t halvings_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
