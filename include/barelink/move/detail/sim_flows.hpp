// Copies in progress as fluid: flows that share link directions fairly and end when their bytes are through. Private.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <barelink/move/detail/sim_operation.hpp>

BARELINK_BEGIN_NAMESPACE
namespace sim::detail {

/// One copy in progress.
struct flow {
    std::uint32_t stream; ///< nothing: the host's threads
    double left;          ///< bytes
    double gb_s;
    const way* by;
};

/// All of them. Rates are solved when somebody needs them, once for all the changes of one moment.
class flow_table {
public:
    static constexpr double never = 1e300;

    explicit flow_table(std::vector<double> capacities)
        : capacity_(capacities), lost_(capacities.size(), 0), fair_(std::move(capacities)) {}

    /// Something besides links that flows share; returns its number, for `way::shared`.
    std::uint32_t add_resource(double gb_s) {
        capacity_.push_back(gb_s);
        lost_.push_back(0);
        return fair_.add_resource(gb_s);
    }

    void add(std::uint32_t stream, std::uint64_t bytes, const way& by) {
        flows_.push_back({stream, static_cast<double>(bytes), 0, &by});
        changed_ = true;
    }
    flow remove(std::size_t position) {
        const flow gone = flows_[position];
        flows_.erase(flows_.begin() + static_cast<std::ptrdiff_t>(position));
        changed_ = true;
        return gone;
    }
    /// Takes a flow that crosses a link direction out of the table; false when there is none left.
    bool remove_one_on(std::uint32_t slot, flow& removed) {
        for (std::size_t i = flows_.size(); i-- > 0;) {
            const auto& slots = flows_[i].by->slots;
            if (flows_[i].stream == nothing || std::find(slots.begin(), slots.end(), slot) == slots.end()) continue;
            removed = remove(i);
            return true;
        }
        return false;
    }
    void remove_host_flows() {
        if (std::erase_if(flows_, [](const flow& f) { return f.stream == nothing; }) > 0) changed_ = true;
    }

    void set_capacity(std::uint32_t slot, double gb_s) {
        capacity_[slot] = gb_s;
        fair_.set_capacity(slot, gb_s);
        changed_ = true;
    }
    [[nodiscard]] double capacity(std::uint32_t slot) const noexcept { return capacity_[slot]; }

    /// Moves every flow on by a time at the rates of the last `next_end`.
    void advance(double us) {
        for (flow& f : flows_) f.left -= f.gb_s * 1e3 * us;
    }
    /// Time from now to the end of the flow that ends first, and which; `never` when none will.
    [[nodiscard]] double next_end(std::size_t& which) {
        if (changed_) {
            solve();
            for (std::size_t i = 0; i < flows_.size(); ++i) flows_[i].gb_s = fair_.rate(i);
            changed_ = false;
        }
        double soonest = never;
        for (std::size_t i = 0; i < flows_.size(); ++i) {
            if (flows_[i].gb_s <= 0) continue;
            const double us = std::max(0.0, flows_[i].left) / (flows_[i].gb_s * 1e3);
            if (us >= soonest) continue;
            soonest = us;
            which = i;
        }
        return soonest;
    }

private:
    void solve() {
        fair_.clear();
        bool lossy = false;
        for (const flow& f : flows_) {
            fair_.add(f.by->slots, f.by->most_gb_s, f.by->weight);
            for (const toll& each : f.by->shared) fair_.use(each.of, each.amount);
            lossy |= !f.by->lost.empty();
        }
        fair_.solve();
        if (lossy) settle_losses();
    }

    /// Flows that go back over a link make it narrower, and are made faster or slower themselves by what comes the other way. A byte
    /// takes less than a byte, so going round in circles settles: a few rounds.
    void settle_losses() {
        std::vector<double> last(lost_.size(), 0);
        for (int round = 0; round < most_rounds; ++round) {
            std::fill(lost_.begin(), lost_.end(), 0.0);
            for (std::size_t i = 0; i < flows_.size(); ++i)
                for (const toll& each : flows_[i].by->lost) lost_[each.of] += each.amount * fair_.rate(i);
            bool same = true;
            for (std::uint32_t slot = 0; slot < lost_.size(); ++slot) {
                same &= std::abs(lost_[slot] - last[slot]) <= 1e-9 * capacity_[slot];
                fair_.set_capacity(slot, std::max(capacity_[slot] - lost_[slot], least_left * capacity_[slot]));
            }
            if (same) break;
            last = lost_;
            fair_.solve();
        }
        for (std::uint32_t slot = 0; slot < lost_.size(); ++slot) fair_.set_capacity(slot, capacity_[slot]);
    }

    static constexpr int most_rounds = 40;
    static constexpr double least_left = 0.05; ///< of a link, however much goes the other way

    std::vector<double> capacity_, lost_;
    fair_share fair_;
    std::vector<flow> flows_;
    bool changed_ = false;
};

} // namespace sim::detail
BARELINK_END_NAMESPACE
