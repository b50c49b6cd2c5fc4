// Where memory is and what kind it is: what decides how it can be copied.
#pragma once

#include <cstdint>

#include <barelink/plan/endpoint.hpp>

BARELINK_BEGIN_NAMESPACE

enum class memory_kind : std::uint8_t {
    pageable, ///< ordinary memory: a copy engine cannot reach it
    pinned,   ///< page-locked on one NUMA node
    striped,  ///< page-locked, spread over the NUMA nodes in stripes
    device,   ///< a GPU's memory
};

[[nodiscard]] constexpr const char* to_string(memory_kind kind) noexcept {
    switch (kind) {
    case memory_kind::pageable: return "pageable";
    case memory_kind::pinned: return "pinned";
    case memory_kind::striped: return "striped";
    case memory_kind::device: return "device";
    }
    return "unknown";
}

/// What a runtime knows about an address.
struct placement {
    memory_kind kind = memory_kind::pageable;
    node_index node = no_node; ///< NUMA node's memory or GPU; for striped memory the first node of a round
    /// Striped: size of a stripe. Pinned: size of the pieces in which it was page-locked, which no copy command may straddle;
    /// 0 when it is one piece.
    std::uint64_t stripe_bytes = 0;
    std::uint64_t stripe_phase = 0; ///< bytes from the start of a round of stripes, or of a piece, to the address
};

/// A range that was classified once, for copies that repeat. Borrows the memory: it must stay allocated, and stay the kind of
/// memory that it is, while regions of it are in use.
struct region {
    void* base = nullptr;
    std::uint64_t bytes = 0;
    placement where;

    /// The part that starts `offset` bytes in. Precondition: offset + size <= bytes.
    [[nodiscard]] region part(std::uint64_t offset, std::uint64_t size) const noexcept {
        region piece{static_cast<char*>(base) + offset, size, where};
        piece.where.stripe_phase += offset;
        return piece;
    }
};

/// How a region is named in a request.
[[nodiscard]] inline endpoint endpoint_of(const machine& m, const placement& where) noexcept {
    const std::int32_t index = where.node == no_node ? 0 : m.at(where.node).index;
    switch (where.kind) {
    case memory_kind::pageable: return endpoint::pageable(numa_id{index});
    case memory_kind::pinned: return endpoint::host(numa_id{index});
    case memory_kind::striped: return endpoint::host_all();
    case memory_kind::device: return endpoint::gpu(gpu_id{index});
    }
    return endpoint::host(numa_id{index});
}

BARELINK_END_NAMESPACE
