// A repeated request costs a lookup, not a plan.
#pragma once

#include <cstdint>
#include <vector>

#include <barelink/plan/planner.hpp>

BARELINK_BEGIN_NAMESPACE

/// Plans once per distinct request. Not thread-safe: one per mover or thread. When it is full it starts over, so memory is
/// bounded. After the machine changes (calibration, a failed delivery proof), call `clear`.
template <class Planner = default_planner>
class plan_cache {
public:
    /// `capacity` plans at most; rounded up to a power of two.
    explicit plan_cache(Planner plans, std::size_t capacity = 256) : planner_(plans) {
        std::size_t slots = 2;
        while (slots < 2 * capacity) slots *= 2;
        table_.assign(slots, nothing);
        plans_.reserve(slots / 2);
    }

    /// The plan for a request, made now or found. The pointer is valid until the next call that has to plan.
    /// Errors: those of `planner::make`; failures are not cached.
    [[nodiscard]] result<const plan*> find(const request& asked) {
        std::size_t slot = hash(asked) & (table_.size() - 1);
        for (; table_[slot] != nothing; slot = (slot + 1) & (table_.size() - 1))
            if (plans_[table_[slot]].asked == asked) return &plans_[table_[slot]];
        auto made = planner_.make(asked);
        if (!made) return std::move(made).error();
        if (plans_.size() == plans_.capacity()) {
            clear();
            slot = hash(asked) & (table_.size() - 1);
        }
        table_[slot] = static_cast<std::uint32_t>(plans_.size());
        plans_.push_back(std::move(*made));
        return &plans_.back();
    }

    /// The plan for a request when it is there already, else nullptr. Allocates nothing.
    [[nodiscard]] const plan* look(const request& asked) const noexcept {
        for (std::size_t slot = hash(asked) & (table_.size() - 1); table_[slot] != nothing;
             slot = (slot + 1) & (table_.size() - 1))
            if (plans_[table_[slot]].asked == asked) return &plans_[table_[slot]];
        return nullptr;
    }

    void clear() noexcept {
        plans_.clear();
        for (std::uint32_t& slot : table_) slot = nothing;
    }
    [[nodiscard]] std::size_t size() const noexcept { return plans_.size(); }
    [[nodiscard]] const Planner& planner() const noexcept { return planner_; }

private:
    static constexpr std::uint32_t nothing = 0xffffffffu;

    [[nodiscard]] static std::size_t hash(const request& r) noexcept {
        std::uint64_t mixed = 0x9e3779b97f4a7c15ull;
        const auto mix = [&](std::uint64_t word) {
            mixed = (mixed ^ word) * 0xff51afd7ed558ccdull;
            mixed ^= mixed >> 32;
        };
        const auto end = [](endpoint e) {
            return (static_cast<std::uint64_t>(e.where) << 32) | static_cast<std::uint32_t>(e.index);
        };
        mix(end(r.from));
        mix(end(r.to));
        mix(r.bytes);
        for (const std::uint64_t word : r.relays.words()) mix(word);
        mix(r.scratch_bytes ^ (r.stage_in_host ? 1ull << 62 : 0) ^ (r.trust_unproved ? 1ull << 63 : 0));
        mix(r.stripe_bytes);
        mix(r.stripe_phase);
        return static_cast<std::size_t>(mixed);
    }

    Planner planner_;
    std::vector<std::uint32_t> table_;
    std::vector<plan> plans_;
};

BARELINK_END_NAMESPACE
