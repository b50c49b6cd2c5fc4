// Which addresses of a pool's slabs are taken: best fit, neighbours joined. Private to move.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include <barelink/core/units.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Numbers only: touches none of the addresses. Not thread-safe. Every operation takes logarithmic time, but for alignments
/// above 256, which look at free blocks until one fits.
class slab_book {
public:
    /// Blocks start and end at multiples of this: whole cache lines, and what a copy engine likes.
    static constexpr std::uint64_t granule = 256;

    struct block {
        std::uintptr_t base = 0;
        std::uint64_t bytes = 0; ///< as asked for; 0: there is no such block
    };

    /// A slab, free. Its base and size are multiples of the granule.
    void add(std::uintptr_t base, std::uint64_t bytes) { insert_free(base, bytes, true); }

    /// True when nothing of the slab is taken.
    [[nodiscard]] bool idle(std::uintptr_t base, std::uint64_t bytes) const {
        const auto found = slots_.find(base);
        return found != slots_.end() && found->second.asked == 0 && found->second.room == bytes;
    }
    /// Forgets an idle slab.
    void remove(std::uintptr_t base) {
        const auto found = slots_.find(base);
        free_.erase({found->second.room, base});
        slots_.erase(found);
    }

    /// The smallest free block that holds `bytes` > 0 at an alignment, a power of two; 0 when there is none.
    [[nodiscard]] std::uintptr_t take(std::uint64_t bytes, std::uint64_t alignment) {
        const std::uint64_t room = round_up(bytes, granule), aligned = alignment > granule ? alignment : granule;
        for (auto found = free_.lower_bound({room, 0}); found != free_.end(); ++found) {
            const auto [size, base] = *found;
            const std::uintptr_t start = round_up(base, aligned);
            if (start - base > size - room) continue;
            const auto here = slots_.find(base);
            const bool first = here->second.first;
            free_.erase(found);
            slots_.erase(here);
            if (start > base) insert_free(base, start - base, first);
            slots_[start] = {room, bytes, first && start == base};
            if (base + size > start + room) insert_free(start + room, base + size - start - room, false);
            return start;
        }
        return 0;
    }

    /// The taken block that an address is in.
    [[nodiscard]] block find(std::uintptr_t address) const {
        auto found = slots_.upper_bound(address);
        if (found == slots_.begin()) return {};
        --found;
        return address - found->first < found->second.asked ? block{found->first, found->second.asked} : block{};
    }

    /// Precondition: a taken block starts there.
    void give_back(std::uintptr_t base) {
        auto here = slots_.find(base);
        std::uint64_t room = here->second.room;
        bool first = here->second.first;
        if (const auto after = std::next(here);
            after != slots_.end() && !after->second.first && after->second.asked == 0 && after->first == base + room) {
            free_.erase({after->second.room, after->first});
            room += after->second.room;
            slots_.erase(after);
        }
        if (!first && here != slots_.begin()) {
            const auto before = std::prev(here);
            if (before->second.asked == 0 && before->first + before->second.room == base) {
                free_.erase({before->second.room, before->first});
                base = before->first;
                room += before->second.room;
                first = before->second.first;
                slots_.erase(before);
            }
        }
        slots_.erase(here);
        insert_free(base, room, first);
    }

    [[nodiscard]] std::uint64_t free_blocks() const noexcept { return free_.size(); }

private:
    struct slot {
        std::uint64_t room = 0;
        std::uint64_t asked = 0; ///< 0: free
        bool first = false;      ///< of its slab: not joined to the block before, which is another slab's
    };
    void insert_free(std::uintptr_t base, std::uint64_t bytes, bool first) {
        slots_[base] = {bytes, 0, first};
        free_.insert({bytes, base});
    }

    std::map<std::uintptr_t, slot> slots_;
    std::set<std::pair<std::uint64_t, std::uintptr_t>> free_;
};

} // namespace detail
BARELINK_END_NAMESPACE
