// Which copies to run together to see how much a link carries. Private to measure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <barelink/measure/detail/link_fit.hpp>
#include <barelink/plan/engines.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Engines that a set occupies: no two of its copies may take turns on one, or it would be the engine that is measured.
class engine_book {
public:
    explicit engine_book(const machine& m) : machine_(m), busy_(engine_count(m), 0) {}

    /// Chooses who copies. False when every engine that could is busy.
    [[nodiscard]] bool take(seen_load& load) {
        const dma_path* path = machine_.path(load.from, load.to);
        if (!path) return false;
        const bool pair = machine_.at(load.from).kind == node_kind::gpu && machine_.at(load.to).kind == node_kind::gpu;
        for (const bool pulled : {false, true}) {
            if (pulled) {
                const dma_path* back = machine_.path(load.to, load.from);
                if (!pair || !back || !back->allowed) return false;
            }
            char& engine = busy_[engine_of(machine_, *path, pulled)];
            if (engine) continue;
            engine = 1;
            if (pair) load.issuer = pulled ? load.to : load.from;
            return true;
        }
        return false;
    }
    void give_back(const seen_load& load) {
        busy_[engine_of(machine_, *machine_.path(load.from, load.to), load.issuer == load.to)] = 0;
    }

private:
    const machine& machine_;
    std::vector<char> busy_;
};

/// Whether a copy goes against one of a set on some link: what directions take from each other is measured apart.
[[nodiscard]] inline bool opposes(const seen_set& set, const seen_load& load) {
    for (const seen_load& other : set)
        for (const std::uint32_t s : load.slots)
            if (std::find(other.slots.begin(), other.slots.end(), s ^ 1u) != other.slots.end()) return true;
    return false;
}

[[nodiscard]] inline double total_of(const std::vector<double>& rates) {
    double sum = 0;
    for (const double each : rates) sum += each;
    return sum;
}

/// A few copies that together would fill a direction more than was ever seen, if it carries that. Empty when there are none: then
/// the direction cannot be observed, or is known.
[[nodiscard]] inline seen_set set_through(const machine& m, link_fit& fit, const std::vector<seen_load>& alone,
                                          std::uint32_t slot) {
    std::vector<const seen_load*> through;
    for (const seen_load& each : alone)
        if (std::find(each.slots.begin(), each.slots.end(), slot) != each.slots.end()) through.push_back(&each);
    std::stable_sort(through.begin(), through.end(), [](const seen_load* a, const seen_load* b) {
        return a->gb_s != b->gb_s ? a->gb_s > b->gb_s : a->slots.size() < b->slots.size();
    });
    // No more than needed: one more round measures what three times as much does not fill.
    constexpr std::size_t most_loads = 16;
    const double seen = fit.seen_gb_s(slot), enough = 3 * seen;
    seen_set chosen;
    engine_book engines(m);
    double reached = 0;
    for (const seen_load* each : through) {
        if (chosen.size() == most_loads || reached >= enough) break;
        seen_load next = *each;
        next.alone_gb_s = each->gb_s;
        if (opposes(chosen, next) || !engines.take(next)) continue;
        chosen.push_back(next);
        const double total = total_of(fit.predict(chosen, slot));
        if (total < reached + fit.tolerance() * next.alone_gb_s) {
            engines.give_back(next);
            chosen.pop_back();
        } else {
            reached = total;
        }
    }
    if (chosen.size() < 2 || reached < seen * (1 + 2 * fit.tolerance())) return {};
    return chosen;
}

} // namespace detail
BARELINK_END_NAMESPACE
