// How flows that share links divide them: max-min fairness. The planner's second opinion and the simulator's physics.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// Progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2): every flow's rate rises at the same pace until one of
/// its resources is full, then it stays. Keeps its working memory: a solve allocates nothing after the first.
class fair_share {
public:
    /// `capacity` per resource, GB/s.
    explicit fair_share(std::vector<double> capacity = {}) { reset(std::move(capacity)); }

    void reset(std::vector<double> capacity) {
        capacity_ = std::move(capacity);
        room_.assign(capacity_.size(), 0);
        users_.assign(capacity_.size(), 0);
    }
    /// One more resource; returns its number.
    std::uint32_t add_resource(double gb_s) {
        capacity_.push_back(gb_s);
        room_.push_back(0);
        users_.push_back(0);
        return static_cast<std::uint32_t>(capacity_.size() - 1);
    }
    void set_capacity(std::uint32_t resource, double gb_s) { capacity_[resource] = gb_s; }
    [[nodiscard]] double capacity(std::uint32_t resource) const noexcept { return capacity_[resource]; }

    void clear() {
        flows_.clear();
        uses_.clear();
    }
    /// Adds a flow over `resources` (a resource named twice is used twice), never faster than `most_gb_s`. Its rate rises
    /// `weight` times as fast as that of a flow of weight 1.
    void add(std::span<const std::uint32_t> resources, double most_gb_s = unlimited, double weight = 1) {
        flows_.push_back({static_cast<std::uint32_t>(uses_.size()), 0, most_gb_s, weight, 0, false});
        for (const std::uint32_t r : resources) use(r, 1);
    }
    /// Lets the flow added last also use a resource, `amount` of it for each GB/s.
    void use(std::uint32_t resource, double amount) {
        uses_.push_back({resource, amount});
        ++flows_.back().count;
    }
    [[nodiscard]] std::size_t size() const noexcept { return flows_.size(); }

    /// Fills; rates are then in `rate(i)`, in the order of `add`. A flow without resources runs at its own limit.
    void solve();
    [[nodiscard]] double rate(std::size_t position) const noexcept { return flows_[position].gb_s; }

    static constexpr double unlimited = 1e12;
    static constexpr double nobody = 1e-12; ///< less weight than any flow has

private:
    struct flow {
        std::uint32_t first, count;
        double most_gb_s, weight, gb_s;
        bool settled;
    };
    struct use_of {
        std::uint32_t resource;
        double amount;
    };
    [[nodiscard]] std::span<const use_of> uses_of(const flow& f) const noexcept {
        return {uses_.data() + f.first, f.count};
    }

    std::vector<double> capacity_, room_, users_; ///< users: weights of the flows not yet settled
    std::vector<use_of> uses_;
    std::vector<std::uint32_t> touched_;
    std::vector<flow> flows_;
};

inline void fair_share::solve() {
    touched_.clear();
    for (flow& f : flows_) {
        f.settled = false;
        for (const auto& [r, amount] : uses_of(f)) {
            if (users_[r] == 0) {
                touched_.push_back(r);
                room_[r] = capacity_[r];
            }
            users_[r] += f.weight * amount;
        }
    }
    for (std::size_t left = flows_.size(); left > 0;) {
        double level = unlimited;
        for (const std::uint32_t r : touched_)
            if (users_[r] > nobody && room_[r] < level * users_[r]) level = room_[r] / users_[r];
        for (const flow& f : flows_)
            if (!f.settled && f.most_gb_s < level * f.weight) level = f.most_gb_s / f.weight;
        if (level < 0) level = 0;
        const double reached = level * (1 + 1e-9);
        // A resource is full when its users at this level use it up; decide before any of them settles.
        std::size_t settled = 0;
        for (flow& f : flows_) {
            if (f.settled) continue;
            bool stops = f.most_gb_s <= reached * f.weight;
            for (const auto& [r, amount] : uses_of(f)) stops |= room_[r] <= reached * users_[r];
            if (!stops) continue;
            f.gb_s = level * f.weight;
            f.settled = true;
            ++settled;
            for (const auto& [r, amount] : uses_of(f)) {
                room_[r] -= level * f.weight * amount;
                users_[r] -= f.weight * amount;
            }
        }
        if (settled == 0) break; // only possible with no flow left that any resource or limit holds
        left -= settled;
    }
    for (const std::uint32_t r : touched_) users_[r] = 0;
}

BARELINK_END_NAMESPACE
