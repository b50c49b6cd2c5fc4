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
/// memory that it is, while regions of it are in use. With `pitch` it is rows of a matrix: `row_bytes` every `pitch` bytes.
struct region {
    void* base = nullptr;
    std::uint64_t bytes = 0; ///< that are copied: without what lies between rows
    placement where;
    std::uint64_t row_bytes = 0; ///< 0: contiguous
    std::uint64_t pitch = 0;     ///< from the start of a row to the start of the next

    [[nodiscard]] bool strided() const noexcept { return row_bytes > 0; }
    /// From the first byte to one past the last.
    [[nodiscard]] std::uint64_t extent_bytes() const noexcept {
        return strided() && bytes > 0 ? (bytes / row_bytes - 1) * pitch + row_bytes : bytes;
    }

    /// The part that starts `offset` bytes in. Precondition: offset + size <= bytes; whole rows where there are rows.
    [[nodiscard]] region part(std::uint64_t offset, std::uint64_t size) const noexcept {
        const std::uint64_t ahead = strided() ? offset / row_bytes * pitch : offset;
        region piece{static_cast<char*>(base) + ahead, size, where, row_bytes, pitch};
        piece.where.stripe_phase += ahead;
        return piece;
    }
    /// Columns of the matrix that lies in this contiguous range in rows of `pitch` bytes: `row_bytes` of every row, from
    /// `first_byte` on. What a tensor-parallel shard is. Errors: invalid_argument when rows or columns do not fit.
    [[nodiscard]] result<region> columns(std::uint64_t pitch_bytes, std::uint64_t first_byte,
                                         std::uint64_t shard_bytes) const {
        if (strided() || shard_bytes == 0 || pitch_bytes == 0 || bytes % pitch_bytes != 0 || first_byte > pitch_bytes ||
            shard_bytes > pitch_bytes - first_byte)
            return error(errc::invalid_argument,
                         "these columns are none of the matrix: it must be contiguous and whole rows of the pitch, and "
                         "the columns must lie within a row")
                .asking(shard_bytes);
        region shard{static_cast<char*>(base) + first_byte, bytes / pitch_bytes * shard_bytes, where, shard_bytes,
                     pitch_bytes};
        shard.where.stripe_phase += first_byte;
        if (shard_bytes == pitch_bytes) shard.row_bytes = shard.pitch = 0;
        return shard;
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
