// A list of blocks checked, cut where memory is cut, merged, and sorted by the places that it goes between. Private to move.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <barelink/move/blocks.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Known extents, sorted by address and apart from one another. Looking is a search; nobody is asked.
class extent_table {
public:
    explicit extent_table(std::vector<memory_extent>& sorted) noexcept : sorted_(&sorted) {}

    /// nullptr when the address is in none.
    [[nodiscard]] const memory_extent* find(std::uintptr_t address) const noexcept {
        const std::size_t after = position(address);
        return after > 0 && (*sorted_)[after - 1].holds(address) ? &(*sorted_)[after - 1] : nullptr;
    }
    void insert(const memory_extent& known) {
        sorted_->insert(sorted_->begin() + static_cast<std::ptrdiff_t>(position(known.base)), known);
    }

private:
    /// Of the first one that starts behind an address.
    [[nodiscard]] std::size_t position(std::uintptr_t address) const noexcept {
        std::size_t low = 0, high = sorted_->size();
        while (low < high) {
            const std::size_t middle = (low + high) / 2;
            if ((*sorted_)[middle].base <= address)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }

    std::vector<memory_extent>* sorted_;
};

[[nodiscard]] inline std::uintptr_t address_of(const void* at) noexcept {
    return reinterpret_cast<std::uintptr_t>(at);
}

/// The blocks between two places, neighbours merged, in the order of the list.
struct block_group {
    planned_blocks places; ///< its plan is filled in by who plans
    std::vector<block> blocks;
    std::uint64_t bytes = 0;
    std::uintptr_t to_extent = 0, from_extent = 0; ///< of the last block
    bool offset = false;                           ///< GPUs reach some of it by other addresses

    void start(const planned_blocks& between) {
        places = between;
        blocks.clear();
        bytes = 0;
        offset = false;
    }
    /// Neighbours of one extent on either side become one block.
    void append(std::uintptr_t to, std::uintptr_t to_in, std::uintptr_t from, std::uintptr_t from_in,
                std::uint64_t size) {
        bytes += size;
        if (!blocks.empty() && to_in == to_extent && from_in == from_extent) {
            block& last = blocks.back();
            if (address_of(last.to) + last.bytes == to && address_of(last.from) + last.bytes == from) {
                last.bytes += size;
                return;
            }
        }
        to_extent = to_in;
        from_extent = from_in;
        blocks.push_back({reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), size});
    }
};

/// Takes entries one after the other. Keeps its memory: a list like the last one costs no allocation.
template <runtime Runtime>
class block_list {
public:
    explicit block_list(Runtime& on) : runtime_(on), known_(none_) {}
    block_list(const block_list&) = delete;
    block_list& operator=(const block_list&) = delete;

    /// Starts a list. What is found out about extents goes to `known`, which must stay until the next list.
    void begin(std::vector<memory_extent>& known) noexcept {
        known_ = extent_table(known);
        used_ = 0;
        to_ = from_ = {};
        group_ = nullptr;
    }
    /// Errors: those of an address, with the entry's number in front.
    [[nodiscard]] status add(const void* to, const void* from, std::uint64_t bytes, std::uint64_t number) {
        const std::uintptr_t t = address_of(to), f = address_of(from);
        if (group_ && to_.fits(t, bytes) && from_.fits(f, bytes)) [[likely]] {
            if (bytes > 0) group_->append(t, to_.id, f, from_.id, bytes);
            return {};
        }
        return add_parts(t, f, bytes, number);
    }

    [[nodiscard]] std::span<block_group> groups() noexcept { return {groups_.data(), used_}; }
    [[nodiscard]] const extent_table& known() const noexcept { return known_; }

    /// All pinned memory is one place: which node it is on changes nothing about the way.
    [[nodiscard]] bool same_places(const planned_blocks& a, const planned_blocks& b) const noexcept {
        return same_end(a.from, b.from) && same_end(a.to, b.to) && a.from_pageable == b.from_pageable &&
               a.to_pageable == b.to_pageable;
    }

    [[nodiscard]] static error about(std::uint64_t number, const error& why) {
        return error(why.code(), text::join({"entry ", std::to_string(number).c_str(), ": ", why.what()}))
            .about(why.object())
            .on_device(why.device())
            .asking(why.bytes())
            .natively(why.native());
    }

private:
    /// The extent that the last address on one side was in.
    struct side {
        memory_extent in;
        std::uintptr_t id = 0; ///< blocks of one id may be merged
        bool passing = false;  ///< good for one part of one entry only
        [[nodiscard]] bool fits(std::uintptr_t at, std::uint64_t bytes) const noexcept {
            return in.holds(at) && bytes <= in.room(at);
        }
    };

    [[nodiscard]] status add_parts(std::uintptr_t to, std::uintptr_t from, std::uint64_t bytes, std::uint64_t number) {
        if (bytes > max_transfer_bytes)
            return about(number, error(errc::invalid_argument, "no memory is that large").asking(bytes));
        bool whole = true;
        while (bytes > 0) {
            std::uint64_t part = bytes;
            for (const auto& [at, of] : {std::pair(to, &to_), std::pair(from, &from_)}) {
                if (auto found = find(at, bytes, *of, whole); !found) return about(number, found.error());
                if (of->in.room(at) < part) part = of->in.room(at);
            }
            if (auto found = find_group(bytes); !found) return about(number, found.error());
            group_->append(to, to_.id, from, from_.id, part);
            for (side* of : {&to_, &from_})
                if (of->passing) {
                    of->in.bytes = 0;
                    group_ = nullptr;
                }
            to += part;
            from += part;
            bytes -= part;
            whole = false;
        }
        return {};
    }

    /// `whole`: the address is the entry's own, and not where it was cut.
    [[nodiscard]] status find(std::uintptr_t at, std::uint64_t bytes, side& of, bool whole) {
        if (of.in.holds(at) && (bytes <= of.in.room(at) || of.in.where.kind != memory_kind::device)) return {};
        group_ = nullptr;
        if (at == 0) return error(errc::invalid_argument, "a null pointer cannot be copied to or from").asking(bytes);
        const memory_kind before = of.in.where.kind;
        if (const memory_extent* known = known_.find(at)) {
            of = {*known, known->base, false};
        } else {
            auto asked = runtime_.extent(reinterpret_cast<const void*>(at));
            if (!asked) return std::move(asked).error();
            if (asked->bytes > 0) {
                known_.insert(*asked);
                of = {*asked, asked->base, false};
            } else if (auto found = classify(at, bytes, of); !found) {
                return found;
            }
        }
        const memory_kind kind = of.in.where.kind;
        if (kind == memory_kind::device && bytes > of.in.room(at))
            return error(errc::invalid_argument, "it runs past the end of its allocation: split it there")
                .asking(bytes);
        if (!whole && (kind == memory_kind::pageable) != (before == memory_kind::pageable))
            return error(errc::invalid_argument, "it is only partly page-locked: register all of it or none")
                .asking(bytes);
        if (!whole && kind == memory_kind::device && before != memory_kind::device)
            return error(errc::invalid_argument, "it runs past the end of its allocation: split it there")
                .asking(bytes);
        return {};
    }

    /// Pageable memory has no extent, and neither has any other where the driver does not say: each range is looked at.
    [[nodiscard]] status classify(std::uintptr_t at, std::uint64_t bytes, side& of) {
        auto where = runtime_.classify(reinterpret_cast<const void*>(at), bytes);
        if (!where) return std::move(where).error();
        std::uint64_t room = bytes;
        if (where->kind == memory_kind::pinned && where->stripe_bytes > 0) {
            const std::uint64_t piece = where->stripe_bytes - where->stripe_phase % where->stripe_bytes;
            if (piece < room) room = piece;
        }
        of = {{at, room, *where, 0}, where->kind == memory_kind::pageable ? pageable_memory : at, true};
        return {};
    }

    [[nodiscard]] status find_group(std::uint64_t bytes) {
        if (group_) return {};
        planned_blocks between;
        between.from = from_.in.where.node;
        between.to = to_.in.where.node;
        between.from_pageable = from_.in.where.kind == memory_kind::pageable;
        between.to_pageable = to_.in.where.kind == memory_kind::pageable;
        const bool from_host = from_.in.where.kind != memory_kind::device,
                   to_host = to_.in.where.kind != memory_kind::device;
        if (from_host && to_host)
            return error(errc::unsupported, "both sides are host memory: one must be a GPU's").asking(bytes);
        for (std::size_t g = 0; g < used_ && !group_; ++g)
            if (same_places(between, groups_[g].places)) group_ = &groups_[g];
        if (!group_) {
            if (used_ == groups_.size()) groups_.emplace_back();
            group_ = &groups_[used_++];
            group_->start(between);
        }
        group_->offset |= to_.in.device_offset != 0 || from_.in.device_offset != 0;
        return {};
    }
    [[nodiscard]] bool same_end(node_index a, node_index b) const noexcept {
        return a == b || (is_host(a) && is_host(b));
    }
    [[nodiscard]] bool is_host(node_index n) const noexcept { return runtime_.topology().at(n).kind != node_kind::gpu; }

    static constexpr std::uintptr_t pageable_memory = 1; ///< no extent begins there

    Runtime& runtime_;
    std::vector<memory_extent> none_;
    extent_table known_;
    side to_, from_;
    block_group* group_ = nullptr; ///< of the last entry, if the next one may be of it
    std::vector<block_group> groups_;
    std::size_t used_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
