// Copies of many blocks at once in the simulated server: what they read and write, kept until they are done. Private.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <barelink/move/block.hpp>
#include <barelink/move/detail/sim_operation.hpp>

BARELINK_BEGIN_NAMESPACE
namespace sim::detail {

/// Stretches of addresses, sorted and apart from one another.
class address_set {
public:
    void add(const void* at, std::uint64_t bytes) {
        if (bytes == 0) return;
        const auto begin = reinterpret_cast<std::uintptr_t>(at);
        stretches_.push_back({begin, begin + bytes});
    }
    void settle() {
        std::sort(stretches_.begin(), stretches_.end());
        std::size_t kept = 0;
        for (const auto& each : stretches_) {
            if (kept > 0 && each.first <= stretches_[kept - 1].second)
                stretches_[kept - 1].second = std::max(stretches_[kept - 1].second, each.second);
            else
                stretches_[kept++] = each;
        }
        stretches_.resize(kept);
    }
    void clear() noexcept { stretches_.clear(); }
    [[nodiscard]] bool meets(const address_set& other) const noexcept {
        if (stretches_.empty() || other.stretches_.empty() ||
            stretches_.back().second <= other.stretches_.front().first ||
            other.stretches_.back().second <= stretches_.front().first)
            return false;
        for (std::size_t a = 0, b = 0; a < stretches_.size() && b < other.stretches_.size();) {
            const auto &mine = stretches_[a], &theirs = other.stretches_[b];
            if (mine.first < theirs.second && theirs.first < mine.second) return true;
            ++(mine.second <= theirs.second ? a : b);
        }
        return false;
    }

private:
    std::vector<std::pair<std::uintptr_t, std::uintptr_t>> stretches_;
};

/// The bytes that one copy in progress reads and writes.
struct footprint {
    std::uint32_t stream = nothing;
    address_set reads, writes;

    [[nodiscard]] bool races(const footprint& other) const noexcept {
        return writes.meets(other.writes) || writes.meets(other.reads) || reads.meets(other.writes);
    }
};

/// Blocks of the copies that have more than one, by number; a number is used again when it is dropped.
class list_store {
public:
    [[nodiscard]] std::uint32_t add(const block* first, std::size_t count) {
        if (free_.empty()) {
            free_.push_back(static_cast<std::uint32_t>(lists_.size()));
            lists_.emplace_back();
        }
        const std::uint32_t number = free_.back();
        free_.pop_back();
        lists_[number].assign(first, first + count);
        return number;
    }
    [[nodiscard]] const std::vector<block>& at(std::uint32_t number) const noexcept { return lists_[number]; }
    void drop(std::uint32_t number) { free_.push_back(number); }

private:
    std::vector<std::vector<block>> lists_;
    std::vector<std::uint32_t> free_;
};

} // namespace sim::detail
BARELINK_END_NAMESPACE
