// How fast the links carry the same bytes to many memories: trees and their rates. Private to the plan layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/plan/detail/arborescence.hpp>
#include <barelink/plan/detail/packing_lp.hpp>
#include <barelink/plan/detail/tree_graph.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Packs trees: maximises R where every source's trees carry share * R together and no link direction is over its capacity.
///
/// There are more trees than anybody can list, so the program gets them as it asks for them (column generation): the prices of
/// a solution make arcs cheap or dear, and a tree cheaper than what its source pays for one joins. Any prices also prove a bound:
/// R <= sum(price * capacity) / sum(share * cheapest tree). It ends where both meet.
class tree_packing {
public:
    using branch = tree_graph::branch;

    struct packed {
        branch arcs;
        std::uint32_t source = 0;
        double gb_s = 0;
    };

    tree_packing(const machine& m, const tree_problem& asked, bool heed_engines)
        : machine_(m), asked_(asked), graph_(m, asked, heed_engines) {}

    /// False when some destination cannot be reached.
    [[nodiscard]] bool solve() {
        if (!seed()) return false;
        bound_gb_s = 1e300;
        for (std::size_t round = 0; round < most_rounds; ++round) {
            if (!run()) return false;
            if (!price() || gb_s >= bound_gb_s * close_enough) break;
        }
        if (gb_s > bound_gb_s) bound_gb_s = gb_s;
        return gb_s > 0;
    }
    /// Over these trees only, at the rates that suit them best.
    [[nodiscard]] bool solve(std::vector<packed> some) {
        trees = std::move(some);
        return run() && gb_s > 0;
    }
    [[nodiscard]] bool engines_matter() const { return graph_.engines_matter(); }
    /// See `tree_graph::rows`.
    [[nodiscard]] std::vector<packed> rows() const {
        std::vector<packed> found;
        auto by_source = graph_.rows();
        for (std::uint32_t s = 0; s < by_source.size(); ++s)
            for (branch& b : by_source[s]) found.push_back({std::move(b), s, 0});
        return found;
    }

    std::vector<packed> trees; ///< with a rate each, some of them 0
    double gb_s = 0;
    double bound_gb_s = 0;
    std::vector<limit> limits; ///< largest first

private:
    static constexpr std::size_t most_rounds = 400;
    static constexpr double close_enough = 1 - 1e-6;
    static constexpr double hop_price = 1e-6; ///< among equal trees the one over fewer links

    /// Trees that people would draw: from the source to one destination and breadth first to the others, over the fastest
    /// paths; and everything straight from the source.
    [[nodiscard]] bool seed() {
        trees.clear();
        const std::vector<double> free(graph_.capacities().size(), 0);
        for (std::uint32_t s = 0; s < asked_.sources.size(); ++s) {
            bool any = false;
            const node_index root = asked_.sources[s].root;
            for (std::size_t first = 0; first <= asked_.destinations.size(); ++first) {
                branch b = graph_.breadth_first(root, first);
                if (b.empty()) continue;
                any = true;
                trees.push_back({std::move(b), s, 0});
            }
            if (any) continue;
            branch b = cheapest(s, free).arcs; // some destinations are reached over a rest only
            if (b.empty()) return false;
            trees.push_back({std::move(b), s, 0});
        }
        return true;
    }
    [[nodiscard]] bool run() {
        const std::size_t rows = graph_.capacities().size();
        std::vector<double> capacity = graph_.capacities();
        capacity.resize(rows + asked_.sources.size(), 0.0);
        packing_lp lp(capacity);
        for (const packed& t : trees) {
            std::size_t hops = 0;
            for (const dma_path* path : t.arcs) hops += path->hop_count;
            lp.begin_column(-hop_price * static_cast<double>(hops));
            for (const dma_path* path : t.arcs)
                graph_.each_row(*path, [&](std::uint32_t row, double amount) { lp.entry(row, amount); });
            lp.entry(static_cast<std::uint32_t>(rows) + t.source, -1.0);
        }
        lp.begin_column(1.0);
        for (std::uint32_t s = 0; s < asked_.sources.size(); ++s)
            lp.entry(static_cast<std::uint32_t>(rows) + s, asked_.sources[s].share);
        if (!lp.solve()) return false;
        for (std::size_t t = 0; t < trees.size(); ++t) trees[t].gb_s = lp.value(t);
        gb_s = lp.value(trees.size());
        prices_.resize(rows);
        for (std::size_t row = 0; row < rows; ++row) prices_[row] = lp.dual(row) > 0 ? lp.dual(row) : 0;
        worth_.resize(asked_.sources.size());
        for (std::size_t s = 0; s < worth_.size(); ++s) worth_[s] = lp.dual(rows + s);
        return true;
    }

    /// Adds what the prices make worth it; false when nothing is.
    [[nodiscard]] bool price() {
        double paid = 0, cost = 0;
        for (std::size_t row = 0; row < graph_.capacities().size(); ++row)
            paid += prices_[row] * graph_.capacities()[row];
        bool added = false;
        for (std::uint32_t s = 0; s < asked_.sources.size(); ++s) {
            found_tree best = cheapest(s, prices_);
            if (best.arcs.empty()) continue;
            cost += asked_.sources[s].share * best.cost;
            if (best.cost >= worth_[s] * (1 - 1e-9) - 1e-12) continue;
            bool known = false;
            for (const packed& t : trees) known |= t.source == s && t.arcs == best.arcs;
            if (known) continue;
            trees.push_back({std::move(best.arcs), s, 0});
            added = true;
        }
        if (cost > 0 && paid / cost < bound_gb_s) {
            bound_gb_s = paid / cost;
            name_limits(cost);
        }
        return added;
    }

    struct found_tree {
        branch arcs;
        double cost = 1e300; ///< at the prices alone
    };
    /// Over all destinations and at most one rest.
    [[nodiscard]] found_tree cheapest(std::uint32_t source, std::span<const double> prices) const {
        found_tree best = cheapest_over(source, no_node, prices);
        for (const node_index rest : asked_.rests)
            if (found_tree other = cheapest_over(source, rest, prices);
                !other.arcs.empty() && (best.arcs.empty() || other.cost < best.cost - 1e-12))
                best = std::move(other);
        return best;
    }
    [[nodiscard]] found_tree cheapest_over(std::uint32_t source, node_index rest,
                                           std::span<const double> prices) const {
        std::vector<node_index> vertex{asked_.sources[source].root};
        vertex.insert(vertex.end(), asked_.destinations.begin(), asked_.destinations.end());
        if (rest != no_node && rest != vertex.front()) vertex.push_back(rest);
        std::vector<std::uint32_t> number(machine_.nodes.size(), tree_graph::none);
        for (std::uint32_t v = 0; v < vertex.size(); ++v) number[vertex[v].value] = v;
        std::vector<arborescence::arc> arcs;
        std::vector<const dma_path*> paths;
        for (const dma_path* path : graph_.arcs()) {
            const std::uint32_t from = number[path->from.value], to = number[path->to.value];
            if (from == tree_graph::none || to == tree_graph::none || to == 0) continue;
            double cost = hop_price * path->hop_count;
            graph_.each_row(*path, [&](std::uint32_t row, double amount) { cost += prices[row] * amount; });
            arcs.push_back({from, to, cost});
            paths.push_back(path);
        }
        const auto chosen = arborescence::cheapest(static_cast<std::uint32_t>(vertex.size()), 0, arcs);
        found_tree found;
        std::vector<const dma_path*> left;
        left.reserve(chosen.size());
        for (const std::uint32_t a : chosen) left.push_back(paths[a]);
        if (rest != no_node) { // a rest that passes nothing on
            bool sends = false;
            for (const dma_path* path : left) sends |= path->from == rest;
            if (!sends) std::erase_if(left, [&](const dma_path* path) { return path->to == rest; });
        }
        if (!left.empty()) found.cost = 0;
        for (const dma_path* path : left)
            graph_.each_row(*path, [&](std::uint32_t row, double amount) { found.cost += prices[row] * amount; });
        // Parents first.
        std::vector<bool> reached(machine_.nodes.size(), false);
        reached[vertex.front().value] = true;
        while (!left.empty()) {
            const std::size_t layer = found.arcs.size();
            std::erase_if(left, [&](const dma_path* path) {
                if (!reached[path->from.value]) return false;
                found.arcs.push_back(path);
                return true;
            });
            for (std::size_t i = layer; i < found.arcs.size(); ++i) reached[found.arcs[i]->to.value] = true;
        }
        return found;
    }

    void name_limits(double cost) {
        limits.clear();
        for (std::uint32_t slot = 0; slot < 2 * machine_.links.size(); ++slot) {
            const std::uint32_t row = graph_.row_of(slot);
            if (row == tree_graph::none || prices_[row] / cost < 1e-3) continue;
            const double capacity = machine_.gb_s(link_direction::from_slot(slot));
            if (capacity > graph_.capacities()[row] * (1 + 1e-9)) continue;
            limits.push_back({link_direction::from_slot(slot), capacity, prices_[row] / cost});
        }
        for (std::size_t i = 1; i < limits.size(); ++i)
            for (std::size_t j = i; j > 0 && limits[j].weight > limits[j - 1].weight; --j)
                std::swap(limits[j], limits[j - 1]);
    }

    const machine& machine_;
    const tree_problem& asked_;
    tree_graph graph_;
    std::vector<double> prices_, worth_;
};

} // namespace detail
BARELINK_END_NAMESPACE
