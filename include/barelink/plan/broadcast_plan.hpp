// The same bytes to many GPUs, as data: trees that the bytes flow down in chunks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <barelink/plan/plan.hpp>

BARELINK_BEGIN_NAMESPACE

/// What is sent to whom. The source is pinned host memory, striped host memory or a GPU.
struct broadcast_request {
    endpoint from;
    gpu_set to;
    std::uint64_t bytes = 0; ///< that every GPU receives
    /// GPUs that receive nothing but may pass bytes on, through a ring.
    gpu_set relays = gpu_set::none();
    bool stage_in_host = true; ///< host memory may stand between two GPUs
    bool trust_unproved = false;
    std::uint64_t scratch_bytes = 64 * MiB; ///< a ring's size at most
    /// See `request`.
    std::uint64_t stripe_bytes = 0;
    std::uint64_t stripe_phase = 0;

    friend bool operator==(const broadcast_request&, const broadcast_request&) noexcept = default;
};

/// One copy command a chunk: from the source, from the destination memory of a GPU that has the chunk already, or from a ring.
struct tree_arc {
    node_index from, to;
    std::int32_t parent =
        -1; ///< arc of the same tree by which `from` gets the chunk, counted from the tree's first; -1: the source
    std::uint32_t first_hop = 0; ///< into `broadcast_plan::hops`
    std::uint32_t hop_count = 0;
    bool pulled = false; ///< GPU to GPU: issued by the receiving GPU
    bool ring = false;   ///< `to` only passes on
    double path_gb_s = 0;

    friend bool operator==(const tree_arc&, const tree_arc&) noexcept = default;
};

/// A share of the bytes and the way it takes to every destination. Parents stand before their children.
struct tree {
    std::uint32_t part = 0; ///< as in `route`
    std::uint32_t first_arc = 0;
    std::uint32_t arc_count = 0;
    std::uint32_t levels = 1; ///< copies from the source to the furthest destination
    std::uint64_t offset = 0; ///< as in `route`
    std::uint64_t bytes = 0;
    std::uint64_t chunk_bytes = 0; ///< all chunks but the last
    double gb_s = 0;

    friend bool operator==(const tree&, const tree&) noexcept = default;
};

/// A value, as `plan` is.
struct broadcast_plan {
    broadcast_request asked;
    std::vector<tree> trees;
    std::vector<tree_arc> arcs;
    std::vector<link_direction> hops;
    double predicted_us = 0;
    /// What the wires allow, GB/s that every destination receives: the optimum over all packings of trees that pass through at
    /// most one memory that is no destination. By Edmonds' theorem on disjoint branchings no scheme of any kind does better where
    /// every memory is a destination.
    double bound_gb_s = 0;
    std::vector<limit> limits;
    evidence rests_on = evidence::measured;

    [[nodiscard]] double predicted_gb_s() const noexcept {
        return rate_gb_s(static_cast<double>(asked.bytes), predicted_us);
    }
    [[nodiscard]] std::span<const tree_arc> arcs_of(const tree& t) const noexcept {
        return {arcs.data() + t.first_arc, t.arc_count};
    }
    [[nodiscard]] std::span<const link_direction> hops_of(const tree_arc& a) const noexcept {
        return {hops.data() + a.first_hop, a.hop_count};
    }

    friend bool operator==(const broadcast_plan&, const broadcast_plan&) = default;
};

BARELINK_END_NAMESPACE
