// The page-locked memory that a runtime knows about, by address. Private to move/cuda.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <barelink/move/host_mapping.hpp>
#include <barelink/move/memory_extent.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda::detail {

/// One range. With a mapping the runtime owns the memory, else somebody else does.
struct pinned_block {
    std::uintptr_t base = 0;
    std::uint64_t bytes = 0;
    placement where;                   ///< of its first byte
    std::vector<host_mapping> mapping; ///< one or none
};

/// Few and looked up often: a sorted vector.
class pinned_blocks {
public:
    void insert(pinned_block block) {
        const auto at = position(block.base);
        blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(at), std::move(block));
    }
    /// The block that an address lies in, nullptr when there is none.
    [[nodiscard]] pinned_block* find(const void* at) noexcept {
        const auto address = reinterpret_cast<std::uintptr_t>(at);
        const std::size_t after = position(address + 1);
        if (after == 0) return nullptr;
        pinned_block& before = blocks_[after - 1];
        return address - before.base < before.bytes ? &before : nullptr;
    }
    /// The block, or piece of a block page-locked in pieces, that an address lies in.
    [[nodiscard]] bool extent(const void* at, memory_extent& all) noexcept {
        const pinned_block* block = find(at);
        if (!block) return false;
        all = {block->base, block->bytes, block->where, 0};
        if (block->mapping.empty() || block->where.stripe_bytes == 0) return true;
        const std::uint64_t piece = block->where.stripe_bytes;
        const std::uint64_t begin = (reinterpret_cast<std::uintptr_t>(at) - block->base) / piece * piece;
        all.base += begin;
        all.bytes = block->bytes - begin < piece ? block->bytes - begin : piece;
        all.where.stripe_bytes = 0;
        return true;
    }
    void erase(const pinned_block* block) noexcept { blocks_.erase(blocks_.begin() + (block - blocks_.data())); }

    /// Placement of a range, if one block, or blocks that follow one another in one pool, hold all of it.
    [[nodiscard]] bool place(const void* at, std::uint64_t bytes, placement& where) noexcept {
        const pinned_block* first = find(at);
        if (!first) return false;
        const auto address = reinterpret_cast<std::uintptr_t>(at);
        where = first->where;
        where.stripe_phase += address - first->base;
        if (where.kind == memory_kind::pinned && where.stripe_bytes > 0) where.stripe_phase %= where.stripe_bytes;
        std::uintptr_t end = first->base + first->bytes;
        if (address + bytes <= end) return true;
        // Pieces of one pool lie one after the other, each pinned by a call of its own.
        for (const pinned_block* next = first + 1; address + bytes > end; ++next) {
            if (next == blocks_.data() + blocks_.size() || next->base != end || next->where.kind != where.kind ||
                next->where.node != where.node || next->where.stripe_bytes != where.stripe_bytes)
                return false;
            end = next->base + next->bytes;
        }
        if (where.kind == memory_kind::pinned && where.stripe_bytes == 0) {
            where.stripe_bytes = first->bytes;
            where.stripe_phase = address - first->base;
        }
        return true;
    }

private:
    /// Of the first block that starts at or after an address.
    [[nodiscard]] std::size_t position(std::uintptr_t address) const noexcept {
        std::size_t low = 0, high = blocks_.size();
        while (low < high) {
            const std::size_t middle = (low + high) / 2;
            if (blocks_[middle].base < address)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }

    std::vector<pinned_block> blocks_;
};

} // namespace cuda::detail
BARELINK_END_NAMESPACE
