// Lists of scattered blocks as callers have them: structs, flat arrays, or block numbers in a paged cache.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include <barelink/move/block.hpp>
#include <barelink/move/runtime.hpp>
#include <barelink/plan/block_plan.hpp>

BARELINK_BEGIN_NAMESPACE

/// How `mover::copy_batch` may go about it.
struct batch_options {
    /// Chosen by the machine's costs, or the one that is named. A named way that cannot be taken is an error; while the stream
    /// captures, the batch copy gives way to another, which the ticket says.
    enum class choice : std::uint8_t { automatic, named };
    choice choose = choice::automatic;
    block_way way = block_way::one_by_one;
    /// Most multiprocessors that the copy kernel takes from other work.
    int multiprocessors = 16;
    /// Host threads may gather or scatter pinned memory when that is fastest. The call then waits for the stream's earlier work,
    /// and returns when they are done.
    bool may_block = false;

    [[nodiscard]] static batch_options by(block_way named) noexcept {
        batch_options chosen;
        chosen.choose = choice::named;
        chosen.way = named;
        chosen.may_block = true;
        return chosen;
    }
};

/// Flat arrays, one element a block: destination and source addresses, and sizes in bytes. Borrows them for the call.
struct block_arrays {
    std::span<const std::uint64_t> to, from, bytes;
};

/// Block numbers of 32 or 64 bits, signed or not, as the engines keep them. Borrows them. Negative ones are refused by their position.
class block_numbers {
public:
    block_numbers() noexcept = default;
    /// From a vector, span or array of them.
    template <class Range>
    requires requires(const Range& all) {
        requires std::integral<std::remove_cvref_t<decltype(*all.data())>>;
        requires sizeof(*all.data()) == 4 || sizeof(*all.data()) == 8;
        { all.size() } -> std::convertible_to<std::size_t>;
    }
    block_numbers(const Range& all) noexcept
        : at_(all.data()), size_(all.size()), wide_(sizeof(*all.data()) == 8),
          unsigned_(std::unsigned_integral<std::remove_cvref_t<decltype(*all.data())>>) {}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Those of 64 bits from 2^63 on are negative, too.
    [[nodiscard]] std::int64_t operator[](std::size_t i) const noexcept {
        if (wide_) return static_cast<const std::int64_t*>(at_)[i];
        return unsigned_ ? std::int64_t{static_cast<const std::uint32_t*>(at_)[i]}
                         : std::int64_t{static_cast<const std::int32_t*>(at_)[i]};
    }

private:
    const void* at_ = nullptr;
    std::size_t size_ = 0;
    bool wide_ = false, unsigned_ = false;
};

/// One side of a paged copy: block `b` of layer `l` starts `b * block_stride + l * layer_stride` bytes after the base.
struct paged_side {
    void* base = nullptr;
    std::uint64_t block_stride = 0; ///< 0: the size of a block
    std::uint64_t layer_stride = 0;
    std::uint64_t blocks = 0; ///< that there are, to check numbers against; 0: as many as the allocation has room for
};

/// Blocks of one size, named by their numbers on either side, in every layer. Borrows the numbers for the call.
struct paged_blocks {
    paged_side to, from;
    std::uint64_t block_bytes = 0;
    std::uint32_t layers = 1;
    block_numbers to_numbers, from_numbers;
};

template <runtime Runtime, class Planner>
class mover;

namespace detail {

template <runtime Runtime>
class block_mover;

/// Blocks that go between the same two places, as a list and by what they were planned.
struct planned_blocks {
    node_index from, to;
    bool from_pageable = false, to_pageable = false;
    block_plan plan;
};

} // namespace detail

/// A batch that was checked and planned once, to be run with other lists between the same places. Borrows the memory: it must
/// stay allocated, and the kind of memory that it is. A value; made by `mover::prepare`.
class prepared_batch {
public:
    /// What was chosen for each pair of places, with what it was chosen from. Empty for an empty list.
    [[nodiscard]] std::vector<block_plan> plans() const {
        std::vector<block_plan> all;
        for (const detail::planned_blocks& each : groups_) all.push_back(each.plan);
        return all;
    }

private:
    template <runtime Runtime, class Planner>
    friend class mover;
    template <runtime Runtime>
    friend class detail::block_mover;

    batch_options options_;
    paged_blocks pages_; ///< without numbers
    bool paged_ = false;
    std::vector<memory_extent> extents_; ///< sorted by address
    std::vector<detail::planned_blocks> groups_;
};

BARELINK_END_NAMESPACE
