// The choice of trees for a broadcast. Private to the plan layer.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <barelink/plan/demands.hpp>
#include <barelink/plan/detail/tree_timing.hpp>
#include <barelink/plan/detail/tree_writer.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class broadcast_planning {
public:
    broadcast_planning(const machine& m, const broadcast_request& asked) : machine_(m), asked_(asked) {}

    [[nodiscard]] result<broadcast_plan> make() {
        if (auto done = read_request(); !done) return done.error();
        tree_packing wires(machine_, problem_, false);
        if (!wires.solve())
            return error(errc::unsupported,
                         text::join({to_string(asked_.from).c_str(), " -> ", list(problem_.destinations).c_str(),
                                     ": some GPU is reached over no path that may be used"}));
        best_.bound_gb_s = wires.bound_gb_s;
        best_.limits = wires.limits;
        tree_packing engines(machine_, problem_, true);
        tree_packing& packing = wires.engines_matter() && engines.solve() ? engines : wires;

        // Few trees start sooner: a copy a GPU comes first, and others must be faster.
        std::vector<tree_packing::packed> optimal = packing.trees;
        consider_straight(packing);
        (void)packing.solve(std::move(optimal));
        for (const double keep : {0.998, 0.92}) {
            calm(packing, keep);
            consider(packing.trees);
        }
        if (packing.solve(packing.rows())) {
            calm(packing, 0.998);
            consider(packing.trees);
        }
        std::vector<tree_packing::packed> few;
        for (const auto& t : packing.trees) keep_fastest(few, t);
        if (packing.solve(few)) consider(packing.trees);
        return std::move(best_);
    }

private:
    void consider_straight(tree_packing& packing) {
        std::vector<tree_packing::packed> few;
        for (std::uint32_t s = 0; s < problem_.sources.size(); ++s) {
            tree_packing::branch straight;
            for (const node_index to : problem_.destinations)
                if (const dma_path* path = machine_.path(problem_.sources[s].root, to);
                    path && path->usable(asked_.trust_unproved))
                    straight.push_back(path);
            if (straight.size() == problem_.destinations.size()) few.push_back({std::move(straight), s, 0});
        }
        if (few.size() == problem_.sources.size() && packing.solve(few)) consider(packing.trees);
    }

    [[nodiscard]] status read_request() {
        best_.asked = asked_;
        for (std::uint32_t n = 0; n < machine_.nodes.size(); ++n) {
            const node& each = machine_.nodes[n];
            const gpu_id id{each.index};
            if (each.kind == node_kind::memory && asked_.stage_in_host) problem_.rests.push_back(node_index{n});
            if (each.kind != node_kind::gpu || !each.cuda || asked_.from == endpoint::gpu(id)) continue;
            if (asked_.to.contains(id))
                problem_.destinations.push_back(node_index{n});
            else if (asked_.relays.contains(id))
                problem_.rests.push_back(node_index{n});
        }
        problem_.trust_unproved = asked_.trust_unproved;
        if (problem_.destinations.empty())
            return error(errc::invalid_argument, "the broadcast names no GPU of this machine besides its source");
        if (asked_.from.where == endpoint::place::pageable)
            return error(errc::unsupported, text::join({to_string(asked_.from).c_str(),
                                                        ": pageable memory cannot be broadcast; pin it, or copy it to "
                                                        "one GPU and broadcast from there"}));
        request first;
        first.from = asked_.from;
        first.to = endpoint::gpu(gpu_id{machine_.at(problem_.destinations.front()).index});
        first.bytes = asked_.bytes;
        first.stripe_bytes = asked_.stripe_bytes;
        first.stripe_phase = asked_.stripe_phase;
        auto parts = split(machine_, first);
        if (!parts) return std::move(parts).error();
        for (const demand& d : *parts) {
            problem_.sources.push_back({d.from, static_cast<double>(d.bytes) / static_cast<double>(asked_.bytes)});
            parts_.push_back(d);
        }
        return {};
    }
    [[nodiscard]] std::string list(const std::vector<node_index>& nodes) const {
        std::string all;
        for (const node_index n : nodes) all += (all.empty() ? "" : ", ") + machine_.at(n).id();
        return all;
    }

    static void keep_fastest(std::vector<tree_packing::packed>& few, const tree_packing::packed& t) {
        for (auto& each : few)
            if (each.source == t.source) {
                if (t.gb_s > each.gb_s) each = t;
                return;
            }
        few.push_back(t);
    }

    /// Drops trees one by one, the thinnest first, as long as the others make up for them to `keep` of the optimum.
    static void calm(tree_packing& packing, double keep) {
        const double least = keep * packing.gb_s;
        std::erase_if(packing.trees, [&](const auto& t) { return t.gb_s <= 1e-6 * packing.gb_s; });
        for (bool fewer = true; fewer && packing.trees.size() > 1;) {
            const std::vector<tree_packing::packed> before = packing.trees;
            std::size_t thinnest = 0;
            for (std::size_t t = 1; t < before.size(); ++t)
                if (before[t].gb_s < before[thinnest].gb_s) thinnest = t;
            std::vector<tree_packing::packed> others = before;
            others.erase(others.begin() + static_cast<std::ptrdiff_t>(thinnest));
            fewer = packing.solve(std::move(others)) && packing.gb_s >= least;
            if (!fewer) (void)packing.solve(before);
            std::erase_if(packing.trees, [&](const auto& t) { return t.gb_s <= 1e-6 * packing.gb_s; });
        }
    }

    /// With the rates of the optimum, and with those that the links give when they share fairly, as they do.
    void consider(const std::vector<tree_packing::packed>& trees) {
        keep_if_faster(trees);
        std::vector<tree_packing::packed> fair;
        for (const auto& t : trees)
            if (t.gb_s > 0) fair.push_back(t);
        timing_.divide_fairly(fair);
        keep_if_faster(fair);
    }

    void keep_if_faster(std::span<const tree_packing::packed> trees) {
        tree_writer writer(machine_, asked_, parts_, problem_.destinations);
        for (std::uint32_t halvings = 0; halvings < 4; ++halvings) {
            broadcast_plan p = writer.write(trees, halvings);
            const double us = timing_.predict(p);
            if (!best_.trees.empty() && us >= 0.999 * best_us_) continue;
            p.bound_gb_s = best_.bound_gb_s;
            p.limits = std::move(best_.limits);
            best_ = std::move(p);
            best_us_ = us;
        }
    }

    const machine& machine_;
    const broadcast_request& asked_;
    tree_problem problem_;
    std::vector<demand> parts_;
    tree_timing timing_{machine_};
    broadcast_plan best_;
    double best_us_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
