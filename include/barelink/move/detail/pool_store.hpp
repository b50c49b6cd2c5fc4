// The ranges of a pinned pool and what is taken of them. Private to move.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <barelink/move/detail/pin_pieces.hpp>
#include <barelink/move/detail/slab_book.hpp>
#include <barelink/move/host_mapping.hpp>
#include <barelink/move/placement.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// A mapping that is pinned: shared by small blocks, or one allocation's own.
struct pool_range {
    host_mapping mapping;
    pin_cut cut;
    bool slab = false;
    std::uint64_t room = 0;   ///< what it was mapped for, whole pages; huge pages may have made it larger
    std::uintptr_t start = 0; ///< of the allocation, aligned as it was asked for
    std::uint64_t asked = 0;  ///< 0: free, when it is no slab

    [[nodiscard]] std::uintptr_t base() const noexcept { return reinterpret_cast<std::uintptr_t>(mapping.data()); }
};

/// Bookkeeping only: calls no runtime. Not thread-safe. A region without a base says that nothing was found.
class pool_store {
public:
    /// `where` is the placement of a range's first byte; one that is not striped names the pieces of ranges that have several.
    explicit pool_store(const placement& where) noexcept : where_(where) {}

    /// Where a range's first byte lies.
    [[nodiscard]] placement placement_in(const pool_range& range) const noexcept {
        placement where = where_;
        if (where.kind == memory_kind::pinned && range.cut.pieces(range.mapping.bytes()) > 1)
            where.stripe_bytes = range.cut.piece_bytes;
        return where;
    }

    /// From what slabs have free.
    [[nodiscard]] region take_of_slabs(std::uint64_t bytes, std::uint64_t alignment) {
        const std::uintptr_t start = slabs_.take(bytes, alignment);
        return start == 0 ? region{} : hand_out(range_of(start)->second, start, bytes);
    }
    /// The smallest kept range that it fits in and that has at most an eighth more than `room`, which a new one would have.
    [[nodiscard]] region take_kept(std::uint64_t bytes, std::uint64_t alignment, std::uint64_t room) {
        pool_range* best = nullptr;
        for (auto& [base, each] : ranges_) {
            if (each.slab || each.asked > 0) continue;
            const std::uint64_t needed = round_up(base, alignment) - base + bytes;
            if (needed <= each.room && each.room <= room + room / 8 && (!best || each.room < best->room)) best = &each;
        }
        return best ? take_whole(*best, bytes, alignment) : region{};
    }
    /// Adds a range and takes from it in one go. Precondition: it is large enough.
    [[nodiscard]] region add(pool_range added, std::uint64_t bytes, std::uint64_t alignment) {
        pinned_ += added.mapping.bytes();
        for (const std::string& said : added.mapping.notes()) note(said);
        const std::uintptr_t base = added.base();
        pool_range& kept = ranges_.emplace(base, std::move(added)).first->second;
        if (!kept.slab) return take_whole(kept, bytes, alignment);
        slabs_.add(base, kept.mapping.bytes());
        return take_of_slabs(bytes, alignment);
    }

    /// False when no allocation of that size starts there.
    [[nodiscard]] bool give_back(const void* at, std::uint64_t bytes) {
        const region taken = find(at);
        if (!taken.base || taken.base != at || taken.bytes != bytes) return false;
        const auto start = reinterpret_cast<std::uintptr_t>(at);
        pool_range& from = range_of(start)->second;
        if (from.slab)
            slabs_.give_back(start);
        else
            from.asked = 0;
        in_use_ -= bytes;
        return true;
    }
    /// The allocation that an address is in.
    [[nodiscard]] region find(const void* at) {
        const auto address = reinterpret_cast<std::uintptr_t>(at);
        const auto from = range_of(address);
        if (from == ranges_.end()) return {};
        const pool_range& range = from->second;
        if (!range.slab)
            return address - range.start < range.asked ? describe(range, range.start, range.asked) : region{};
        const slab_book::block found = slabs_.find(address);
        return found.bytes > 0 ? describe(range, found.base, found.bytes) : region{};
    }

    /// Removes idle ranges, the largest first, until they are `enough` bytes. They are still pinned.
    [[nodiscard]] std::vector<pool_range> remove_idle(std::uint64_t enough) {
        std::vector<pool_range> removed;
        for (std::uint64_t bytes = 0; bytes < enough;) {
            auto largest = ranges_.end();
            for (auto each = ranges_.begin(); each != ranges_.end(); ++each)
                if (is_idle(each->second) &&
                    (largest == ranges_.end() || each->second.mapping.bytes() > largest->second.mapping.bytes()))
                    largest = each;
            if (largest == ranges_.end()) break;
            if (largest->second.slab) slabs_.remove(largest->first);
            bytes += largest->second.mapping.bytes();
            pinned_ -= largest->second.mapping.bytes();
            removed.push_back(std::move(largest->second));
            ranges_.erase(largest);
        }
        return removed;
    }
    /// All of them, for the end.
    [[nodiscard]] std::map<std::uintptr_t, pool_range>& ranges() noexcept { return ranges_; }

    [[nodiscard]] std::uint64_t pinned() const noexcept { return pinned_; }
    [[nodiscard]] std::uint64_t in_use() const noexcept { return in_use_; }
    [[nodiscard]] placement_check check() const {
        placement_check all;
        for (const auto& [base, each] : ranges_) {
            const placement_check one = each.mapping.check();
            all.known |= one.known;
            all.pages_checked += one.pages_checked;
            all.pages_elsewhere += one.pages_elsewhere;
        }
        return all;
    }
    [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }
    /// Said once, and not without end.
    void note(const std::string& said) {
        constexpr std::size_t most = 32;
        for (const std::string& known : notes_)
            if (known == said) return;
        if (notes_.size() < most) notes_.push_back(said);
    }

private:
    using range_map = std::map<std::uintptr_t, pool_range>;

    [[nodiscard]] range_map::iterator range_of(std::uintptr_t address) {
        auto found = ranges_.upper_bound(address);
        if (found == ranges_.begin()) return ranges_.end();
        --found;
        return address - found->first < found->second.mapping.bytes() ? found : ranges_.end();
    }
    [[nodiscard]] bool is_idle(const pool_range& range) const {
        return range.slab ? slabs_.idle(range.base(), range.mapping.bytes()) : range.asked == 0;
    }
    [[nodiscard]] region take_whole(pool_range& from, std::uint64_t bytes, std::uint64_t alignment) {
        from.start = round_up(from.base(), alignment);
        from.asked = bytes;
        return hand_out(from, from.start, bytes);
    }
    [[nodiscard]] region hand_out(const pool_range& from, std::uintptr_t start, std::uint64_t bytes) {
        in_use_ += bytes;
        return describe(from, start, bytes);
    }
    [[nodiscard]] region describe(const pool_range& from, std::uintptr_t start, std::uint64_t bytes) const {
        region found{reinterpret_cast<void*>(start), bytes, placement_in(from)};
        if (found.where.stripe_bytes > 0) found.where.stripe_phase = start - from.base();
        return found;
    }

    placement where_;
    range_map ranges_;
    slab_book slabs_;
    std::uint64_t pinned_ = 0, in_use_ = 0;
    std::vector<std::string> notes_;
};

} // namespace detail
BARELINK_END_NAMESPACE
