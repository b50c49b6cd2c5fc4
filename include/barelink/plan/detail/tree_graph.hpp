// What a broadcast may use: arcs between memories, the rows of the program that they fill, and the trees that people would draw.
// Private to the plan layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/machine/duplex.hpp>
#include <barelink/plan/engines.hpp>
#include <barelink/plan/plan.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Who sends, who receives, who may pass on.
struct tree_problem {
    struct source {
        node_index root;
        double share = 1; ///< of the bytes; all shares together are 1
    };
    std::vector<source> sources;
    std::vector<node_index> destinations;
    std::vector<node_index> rests;
    bool trust_unproved = false;
};

/// As `lost_to`, but for memory: a broadcast only reads its source, and rings stay in the CPU's cache.
[[nodiscard]] inline double lost_in_tree(const machine& m, const dma_path& path, link_direction hop) noexcept {
    return m.at(hop.link).kind == link_kind::dram ? 0 : lost_to(m, path, hop);
}

/// One copy command an arc; a tree is its arcs, parents before children.
class tree_graph {
public:
    using branch = std::vector<const dma_path*>;
    static constexpr std::uint32_t none = 0xffffffffu;

    /// `heed_engines`: copy engines are rows, too.
    tree_graph(const machine& m, const tree_problem& asked, bool heed_engines)
        : machine_(m), asked_(asked), row_of_slot_(2 * m.links.size(), none) {
        list_arcs();
        group_slots();
        if (heed_engines) group_engines();
    }

    [[nodiscard]] std::span<const dma_path* const> arcs() const noexcept { return arcs_; }
    /// Capacity of every row: GB/s of link directions, then 1 for every engine.
    [[nodiscard]] const std::vector<double>& capacities() const noexcept { return capacity_; }
    /// The row of a link direction, `none` when nothing fills it.
    [[nodiscard]] std::uint32_t row_of(std::uint32_t slot) const noexcept { return row_of_slot_[slot]; }
    /// Calls `visit(row, amount)` for what one GB/s over an arc takes.
    template <class Visit>
    void each_row(const dma_path& path, Visit visit) const {
        for (const link_direction hop : machine_.hops(path)) {
            const std::uint32_t row = row_of_slot_[hop.slot()];
            if (first_slot_[row] == hop.slot()) visit(row, 1.0);
            const std::uint32_t back = row_of_slot_[opposite(hop).slot()];
            if (back == none || first_slot_[back] != opposite(hop).slot()) continue;
            if (const double bytes = lost_in_tree(machine_, path, hop); bytes > 0) visit(back, bytes);
        }
        if (engine_row_.empty() || is_peer(path)) return;
        visit(engine_row_[engine_of(machine_, path, false)], 1 / path.gb_s);
    }

    [[nodiscard]] const dma_path* usable(node_index from, node_index to) const noexcept {
        const dma_path* path = machine_.path(from, to);
        return path && path->gb_s > 0 && path->usable(asked_.trust_unproved) ? path : nullptr;
    }

    /// A copy engine whose paths are not all equally fast serves one copy at a time: then links do not say it all.
    [[nodiscard]] bool engines_matter() const {
        std::vector<double> rate(engine_count(machine_), 0);
        for (const dma_path* path : arcs_) {
            if (is_peer(*path)) continue;
            double& known = rate[engine_of(machine_, *path, false)];
            if (known != 0 && known != path->gb_s) return true;
            known = path->gb_s;
        }
        return false;
    }

    /// Trees in which every memory sends to one other and receives from one other: the destinations in a row, from each of them
    /// on; and those that use no links between destinations. However busy the links are, no copy waits for another's link.
    [[nodiscard]] std::vector<std::vector<branch>> rows() const {
        std::vector<std::vector<branch>> found(asked_.sources.size());
        const auto& to = asked_.destinations;
        const auto keep = [&](branch b, std::uint32_t s) {
            bool whole = true;
            for (const dma_path* path : b) whole &= path != nullptr;
            if (whole) found[s].push_back(std::move(b));
        };
        for (std::uint32_t s = 0; s < asked_.sources.size(); ++s) {
            const node_index root = asked_.sources[s].root;
            for (std::size_t first = 0; first < to.size(); ++first) {
                branch b{usable(root, to[first])};
                for (std::size_t step = 1; step < to.size(); ++step)
                    b.push_back(usable(to[(first + step - 1) % to.size()], to[(first + step) % to.size()]));
                keep(std::move(b), s);
            }
            branch straight;
            for (const node_index d : to) straight.push_back(usable(root, d));
            keep(std::move(straight), s);
            // Over the nearest rest only: an engine that serves a near and a far one waits for the far one.
            const dma_path* nearest = nullptr;
            for (const node_index rest : asked_.rests)
                if (const dma_path* path = usable(root, rest);
                    path && (!nearest || path->hop_count < nearest->hop_count))
                    nearest = path;
            if (!nearest) continue;
            branch over{nearest};
            for (const node_index d : to) over.push_back(usable(nearest->to, d));
            keep(std::move(over), s);
        }
        return found;
    }

    /// From `root` to destination number `first`, from there in layers; what is left from the root. `first` past the end:
    /// all from the root. Empty when that does not reach all.
    [[nodiscard]] branch breadth_first(node_index root, std::size_t first) const {
        const auto& to = asked_.destinations;
        branch b;
        std::vector<bool> has(to.size(), false);
        if (first < to.size()) {
            const dma_path* path = usable(root, to[first]);
            if (!path) return {};
            has[first] = true;
            b.push_back(path);
            for (std::size_t layer = 0, end = 1; layer < end; layer = end, end = b.size()) {
                for (std::size_t step = 1; step < to.size(); ++step) {
                    const std::size_t d = (first + step) % to.size(); // in turn: trees do not crowd at one destination
                    const dma_path* best = nullptr;
                    for (std::size_t p = layer; p < end && !has[d]; ++p)
                        if (const dma_path* way = usable(b[p]->to, to[d]); way && (!best || way->gb_s > best->gb_s))
                            best = way;
                    if (!best) continue;
                    has[d] = true;
                    b.push_back(best);
                }
            }
        }
        for (std::size_t d = 0; d < to.size(); ++d) {
            if (has[d]) continue;
            const dma_path* path = usable(root, to[d]);
            if (!path) return {};
            b.push_back(path);
        }
        return b;
    }

private:
    [[nodiscard]] bool is_peer(const dma_path& path) const noexcept {
        return machine_.at(path.from).kind == node_kind::gpu && machine_.at(path.to).kind == node_kind::gpu;
    }
    void list_arcs() {
        std::vector<node_index> senders;
        for (const auto& each : asked_.sources) senders.push_back(each.root);
        std::vector<node_index> others = asked_.destinations;
        others.insert(others.end(), asked_.rests.begin(), asked_.rests.end());
        for (const node_index n : others) {
            bool known = false;
            for (const node_index s : senders) known |= s == n;
            if (!known) senders.push_back(n);
        }
        for (const node_index from : senders)
            for (const node_index to : others)
                if (const dma_path* path = from == to ? nullptr : usable(from, to)) arcs_.push_back(path);
    }

    /// Directions that the same arcs cross, and take from on the way back, make one row, as in the program for routes.
    void group_slots() {
        std::vector<std::uint64_t> signature(row_of_slot_.size(), 0);
        for (std::uint32_t a = 0; a < arcs_.size(); ++a)
            for (const link_direction hop : machine_.hops(*arcs_[a])) {
                const std::uint64_t mixed = (signature[hop.slot()] ^ (a + 1)) * 0x9e3779b97f4a7c15ull;
                signature[hop.slot()] = mixed ^ (mixed >> 29);
            }
        for (std::uint32_t a = 0; a < arcs_.size(); ++a)
            for (const link_direction hop : machine_.hops(*arcs_[a])) {
                const std::uint32_t back = opposite(hop).slot();
                const double bytes = signature[back] != 0 ? lost_in_tree(machine_, *arcs_[a], hop) : 0;
                if (bytes <= 0) continue;
                const auto amount = static_cast<std::uint64_t>(bytes * 1e12) << 20;
                const std::uint64_t mixed = (signature[back] ^ (amount + a + 1)) * 0x9e3779b97f4a7c15ull;
                signature[back] = mixed ^ (mixed >> 29);
            }
        std::vector<std::uint64_t> known;
        for (std::uint32_t slot = 0; slot < signature.size(); ++slot) {
            if (signature[slot] == 0) continue;
            std::uint32_t row = 0;
            while (row < known.size() && known[row] != signature[slot]) ++row;
            const double capacity = machine_.gb_s(link_direction::from_slot(slot));
            if (row == known.size()) {
                known.push_back(signature[slot]);
                capacity_.push_back(capacity);
                first_slot_.push_back(slot);
            }
            if (capacity < capacity_[row]) capacity_[row] = capacity;
            row_of_slot_[slot] = row;
        }
    }
    void group_engines() {
        engine_row_.assign(engine_count(machine_), none);
        for (const dma_path* path : arcs_) {
            std::uint32_t& row = engine_row_[engine_of(machine_, *path, false)];
            if (is_peer(*path) || row != none) continue;
            row = static_cast<std::uint32_t>(capacity_.size());
            capacity_.push_back(1.0);
        }
    }

    const machine& machine_;
    const tree_problem& asked_;
    std::vector<const dma_path*> arcs_;
    std::vector<double> capacity_;
    std::vector<std::uint32_t> row_of_slot_, first_slot_, engine_row_;
};

} // namespace detail
BARELINK_END_NAMESPACE
