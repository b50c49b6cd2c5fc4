// Strong ids, where two integers meet that must not be mixed up.
#pragma once

#include <compare>
#include <cstdint>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// An integer with a meaning. Explicit to make, comparable only with its own kind, the size of the integer.
template <class Tag, class Integer = std::int32_t>
struct strong_id {
    Integer value{};

    constexpr strong_id() noexcept = default;
    constexpr explicit strong_id(Integer v) noexcept : value(v) {}
    friend constexpr auto operator<=>(strong_id, strong_id) noexcept = default;
};

/// CUDA order of GPUs on one machine: `gpu:N`.
using gpu_id = strong_id<struct gpu_id_tag>;
/// The operating system's NUMA node number; not contiguous on some machines. -1 is unknown.
using numa_id = strong_id<struct numa_id_tag>;

/// Position of a node in `machine::nodes`.
using node_index = strong_id<struct node_index_tag, std::uint32_t>;
/// Position of a link in `machine::links`.
using link_index = strong_id<struct link_index_tag, std::uint32_t>;

inline constexpr numa_id unknown_numa{-1};
inline constexpr node_index no_node{0xffffffffu};

/// One direction of one full-duplex link: `ab` when `reverse` is false.
struct link_direction {
    link_index link;
    bool reverse = false;

    /// Dense number for arrays of per-direction state: 2 * link + direction.
    [[nodiscard]] constexpr std::uint32_t slot() const noexcept { return 2 * link.value + (reverse ? 1u : 0u); }
    [[nodiscard]] static constexpr link_direction from_slot(std::uint32_t slot) noexcept {
        return {link_index{slot / 2}, (slot & 1u) != 0};
    }
    friend constexpr auto operator<=>(const link_direction&, const link_direction&) noexcept = default;
    /// Written out: nvcc 13.0 forgets to define the one that comes with the comparison.
    friend constexpr bool operator==(const link_direction& a, const link_direction& b) noexcept {
        return a.link == b.link && a.reverse == b.reverse;
    }
};

BARELINK_END_NAMESPACE
