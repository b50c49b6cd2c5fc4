// The simulated server's memories: real host memory behind every address, or addresses only.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <barelink/core/result.hpp>
#include <barelink/move/memory_extent.hpp>

BARELINK_BEGIN_NAMESPACE
namespace sim::detail {

/// Allocations by address. In timing-only mode addresses are numbers that nobody may touch.
class address_space {
public:
    explicit address_space(bool timing_only) : timing_only_(timing_only) {}
    address_space(const address_space&) = delete;
    address_space& operator=(const address_space&) = delete;
    ~address_space() {
        for (const block& b : blocks_) give_back(b);
    }

    [[nodiscard]] result<void*> allocate(placement where, std::uint64_t bytes) {
        const std::uint64_t rounded = round_up(bytes == 0 ? 1 : bytes, alignment);
        std::uintptr_t base = next_;
        if (timing_only_) {
            next_ += rounded + alignment;
        } else {
            // calloc keeps large untouched blocks unbacked: a simulated 80 GiB GPU costs what is written to it.
            void* raw = std::calloc(1, rounded + alignment);
            if (!raw)
                return error(errc::out_of_memory, "the host has no memory left to simulate this allocation with")
                    .asking(bytes);
            base = round_up(reinterpret_cast<std::uintptr_t>(raw), alignment);
            blocks_.push_back({base, rounded, where, raw});
            sort_last();
            return reinterpret_cast<void*>(base);
        }
        blocks_.push_back({base, rounded, where, nullptr});
        sort_last();
        return reinterpret_cast<void*>(base);
    }

    /// Memory of somebody else's that becomes pinned. Errors: invalid_argument when it meets an allocation.
    [[nodiscard]] status adopt(void* at, std::uint64_t bytes, placement where) {
        const auto base = reinterpret_cast<std::uintptr_t>(at);
        for (const block& b : blocks_)
            if (base < b.base + b.bytes && b.base < base + bytes)
                return error(errc::invalid_argument, "the range, or a part of it, is pinned already").asking(bytes);
        blocks_.push_back({base, bytes, where, nullptr});
        sort_last();
        return {};
    }
    [[nodiscard]] status release(void* at) {
        const block* found = find(reinterpret_cast<std::uintptr_t>(at));
        if (!found || found->base != reinterpret_cast<std::uintptr_t>(at))
            return error(errc::invalid_argument, "this address was not allocated here, or was released already");
        give_back(*found);
        blocks_.erase(blocks_.begin() + (found - blocks_.data()));
        return {};
    }

    /// Pageable for addresses that were not allocated here. Fails when the range runs past the end of an allocation.
    [[nodiscard]] result<placement> classify(const void* at, std::uint64_t bytes) const {
        const auto address = reinterpret_cast<std::uintptr_t>(at);
        const block* found = find(address);
        if (!found) {
            const block* after = find(address + (bytes > 0 ? bytes - 1 : 0));
            if (after) return straddles(bytes);
            return placement{};
        }
        if (address + bytes > found->base + found->bytes) return straddles(bytes);
        placement where = found->where;
        where.stripe_phase += address - found->base;
        return where;
    }

    /// The allocation that an address is in; one of no bytes for addresses that were not allocated here.
    [[nodiscard]] memory_extent extent(const void* at) const noexcept {
        const block* found = find(reinterpret_cast<std::uintptr_t>(at));
        if (!found) return {};
        memory_extent all{found->base, found->bytes, found->where, 0};
        if (all.where.kind != memory_kind::pinned || all.where.stripe_bytes == 0) return all;
        // Page-locked in pieces: the one that the address is in.
        const std::uint64_t offset = reinterpret_cast<std::uintptr_t>(at) - all.base;
        const std::uint64_t within = (all.where.stripe_phase + offset) % all.where.stripe_bytes;
        const std::uint64_t begin = within < offset ? offset - within : 0;
        const std::uint64_t left = all.bytes - begin;
        const std::uint64_t piece = all.where.stripe_bytes - (all.where.stripe_phase + begin) % all.where.stripe_bytes;
        return {all.base + begin, piece < left ? piece : left, {memory_kind::pinned, all.where.node, 0, 0}, 0};
    }

    [[nodiscard]] std::uint64_t allocated_bytes(node_index node) const noexcept {
        std::uint64_t sum = 0;
        for (const block& b : blocks_) sum += b.where.node == node ? b.bytes : 0;
        return sum;
    }
    [[nodiscard]] std::size_t blocks() const noexcept { return blocks_.size(); }

private:
    static constexpr std::uint64_t alignment = 4096;
    struct block {
        std::uintptr_t base;
        std::uint64_t bytes;
        placement where;
        void* raw;
    };

    [[nodiscard]] static error straddles(std::uint64_t bytes) {
        return error(errc::invalid_argument,
                     "the range runs past the end of its allocation: split the copy where the allocations meet")
            .asking(bytes);
    }
    [[nodiscard]] const block* find(std::uintptr_t address) const noexcept {
        std::size_t low = 0, high = blocks_.size();
        while (low < high) {
            const std::size_t middle = (low + high) / 2;
            if (blocks_[middle].base + blocks_[middle].bytes <= address)
                low = middle + 1;
            else
                high = middle;
        }
        return low < blocks_.size() && blocks_[low].base <= address ? &blocks_[low] : nullptr;
    }
    void sort_last() {
        for (std::size_t i = blocks_.size() - 1; i > 0 && blocks_[i].base < blocks_[i - 1].base; --i)
            std::swap(blocks_[i], blocks_[i - 1]);
    }
    static void give_back(const block& b) noexcept { std::free(b.raw); }

    bool timing_only_;
    std::uintptr_t next_ = std::uintptr_t{1} << 44;
    std::vector<block> blocks_;
};

} // namespace sim::detail
BARELINK_END_NAMESPACE
