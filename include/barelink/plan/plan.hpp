// A plan: the transfer as data. No pointers in it: a mover binds it to addresses, as often as it likes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <barelink/plan/request.hpp>

BARELINK_BEGIN_NAMESPACE

/// Memories in between two ends, at most.
inline constexpr std::size_t max_between = 2;

/// One hop of a route from memory to memory: a copy engine's command, or host threads copying into or out of a ring.
struct leg {
    node_index from;
    node_index to;
    std::uint32_t first_hop = 0; ///< into `plan::hops`
    std::uint32_t hop_count = 0;
    bool host_copy = false; ///< by host threads; otherwise by a copy engine
    bool pulled = false;    ///< GPU to GPU: issued by the receiving GPU instead of the sending one
    double path_gb_s = 0;   ///< the leg alone, GB/s
    double latency_us = 0;

    friend bool operator==(const leg&, const leg&) noexcept = default;
};

/// A share of the bytes and the way it goes. Legs of one route work on different chunks at the same time.
struct route {
    /// Name of the path family that proposed it; static storage.
    std::string_view family;
    /// Which part of the request: 0, or for `host:all` the position among the NUMA nodes that have memory.
    std::uint32_t part = 0;
    std::uint8_t leg_count = 0;
    std::array<leg, max_between + 1> legs{};
    /// Position in the request's bytes. For `host:all` the parts lie one after the other: part 0's bytes come first.
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    /// Routes of one leg: one chunk, or equal ones where the copy engine also serves other routes. Else chunks double from `first_chunk_bytes` up to `chunk_bytes`, and halve again
    /// at the end, so that filling and draining the pipeline costs little.
    std::uint64_t chunk_bytes = 0;
    std::uint64_t first_chunk_bytes = 0;
    /// Chunks that fit into each ring in between.
    std::uint32_t depth = 1;
    double gb_s = 0;
    /// Time that the route costs besides bytes / gb_s, microseconds.
    double overhead_us = 0;

    [[nodiscard]] std::span<const leg> path() const noexcept { return {legs.data(), leg_count}; }
    [[nodiscard]] node_index from() const noexcept { return legs[0].from; }
    [[nodiscard]] node_index to() const noexcept { return legs[leg_count - 1u].to; }

    friend bool operator==(const route&, const route&) = default;
};

/// A link direction that the optimum fills: more of it would make the transfer faster.
struct limit {
    link_direction where;
    double gb_s = 0;   ///< its capacity
    double weight = 0; ///< dual value: GB/s of transfer gained per GB/s of link

    friend bool operator==(const limit&, const limit&) noexcept = default;
};

struct rejection {
    std::string_view family; ///< static storage
    std::string why;

    friend bool operator==(const rejection&, const rejection&) = default;
};

/// Routes, prediction, bound and reasons. A value: compares, copies, caches.
struct plan {
    request asked;
    std::vector<route> routes;
    std::vector<link_direction> hops;
    double predicted_us = 0;
    /// Optimum of the linear program over every route with at most two memories in between, GB/s: what the wires allow to
    /// a transfer without end. No plan is faster.
    double bound_gb_s = 0;
    std::vector<limit> limits;
    std::vector<rejection> rejected;
    /// The weakest evidence among the links used.
    evidence rests_on = evidence::measured;

    [[nodiscard]] double predicted_gb_s() const noexcept {
        return rate_gb_s(static_cast<double>(asked.bytes), predicted_us);
    }
    [[nodiscard]] std::span<const link_direction> hops_of(const leg& l) const noexcept {
        return {hops.data() + l.first_hop, l.hop_count};
    }

    friend bool operator==(const plan&, const plan&) = default;
};

BARELINK_END_NAMESPACE
