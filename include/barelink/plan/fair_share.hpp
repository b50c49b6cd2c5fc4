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
    void set_capacity(std::uint32_t resource, double gb_s) { capacity_[resource] = gb_s; }
    [[nodiscard]] double capacity(std::uint32_t resource) const noexcept { return capacity_[resource]; }

    void clear() {
        flows_.clear();
        resources_.clear();
    }
    /// Adds a flow over `resources` (a resource named twice is used twice), never faster than `most_gb_s`.
    void add(std::span<const std::uint32_t> resources, double most_gb_s = unlimited) {
        flows_.push_back({static_cast<std::uint32_t>(resources_.size()), static_cast<std::uint32_t>(resources.size()),
                          most_gb_s, 0, false});
        resources_.insert(resources_.end(), resources.begin(), resources.end());
    }
    [[nodiscard]] std::size_t size() const noexcept { return flows_.size(); }

    /// Fills; rates are then in `rate(i)`, in the order of `add`. A flow without resources runs at its own limit.
    void solve();
    [[nodiscard]] double rate(std::size_t position) const noexcept { return flows_[position].gb_s; }

    static constexpr double unlimited = 1e12;

private:
    struct flow {
        std::uint32_t first, count;
        double most_gb_s, gb_s;
        bool settled;
    };
    [[nodiscard]] std::span<const std::uint32_t> resources_of(const flow& f) const noexcept {
        return {resources_.data() + f.first, f.count};
    }

    std::vector<double> capacity_, room_;
    std::vector<std::uint32_t> users_, resources_, touched_;
    std::vector<flow> flows_;
};

inline void fair_share::solve() {
    touched_.clear();
    for (flow& f : flows_) {
        f.settled = false;
        for (const std::uint32_t r : resources_of(f)) {
            if (users_[r] == 0) {
                touched_.push_back(r);
                room_[r] = capacity_[r];
            }
            ++users_[r];
        }
    }
    for (std::size_t left = flows_.size(); left > 0;) {
        double level = unlimited;
        for (const std::uint32_t r : touched_)
            if (users_[r] > 0 && room_[r] < level * users_[r]) level = room_[r] / users_[r];
        for (const flow& f : flows_)
            if (!f.settled && f.most_gb_s < level) level = f.most_gb_s;
        if (level < 0) level = 0;
        const double reached = level * (1 + 1e-9);
        // A resource is full when its users at this level use it up; decide before any of them settles.
        std::size_t settled = 0;
        for (flow& f : flows_) {
            if (f.settled) continue;
            bool stops = f.most_gb_s <= reached;
            for (const std::uint32_t r : resources_of(f)) stops |= room_[r] <= reached * users_[r];
            if (!stops) continue;
            f.gb_s = level;
            f.settled = true;
            ++settled;
            for (const std::uint32_t r : resources_of(f)) {
                room_[r] -= level;
                --users_[r];
            }
        }
        if (settled == 0) break; // only possible with no flow left that any resource or limit holds
        left -= settled;
    }
    for (const std::uint32_t r : touched_) users_[r] = 0;
}

BARELINK_END_NAMESPACE
