// Copies between ranges of which at least one is rows of a matrix, cut where page-locked memory is. Private to move.
#pragma once

#include <cstdint>

#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// One side of a copy: contiguous, or rows. Its bytes are counted without what lies between rows.
struct copy_side {
    char* base = nullptr;
    std::uint64_t row_bytes = 0; ///< 0: contiguous
    std::uint64_t pitch = 0;
    std::uint64_t cut_bytes = 0; ///< no command may straddle a multiple of it; 0: anywhere
    std::uint64_t cut_phase = 0; ///< bytes from such a multiple to the base

    [[nodiscard]] std::uint64_t address_of(std::uint64_t at) const noexcept {
        return row_bytes == 0 ? at : at / row_bytes * pitch + at % row_bytes;
    }
    /// Bytes of address space from there to the next cut.
    [[nodiscard]] std::uint64_t room(std::uint64_t address) const noexcept {
        return cut_bytes == 0 ? ~0ull : cut_bytes - (cut_phase + address) % cut_bytes;
    }
};

[[nodiscard]] inline copy_side side_of(const region& r) noexcept {
    return {static_cast<char*>(r.base), r.row_bytes, r.pitch, r.where.stripe_bytes, r.where.stripe_phase};
}

/// A command: `rows` times `row_bytes`.
struct row_command {
    std::uint64_t to = 0, from = 0; ///< offsets from the bases
    std::uint64_t to_pitch = 0, from_pitch = 0;
    std::uint64_t row_bytes = 0, rows = 1;
};

/// Calls `issue(row_command) -> status` until `bytes` are covered, from byte `to_at` of one side and `from_at` of the other.
/// Where both are rows, the rows are equally long and the positions the same.
template <class Issue>
[[nodiscard]] status for_each_row_command(const copy_side& to, std::uint64_t to_at, const copy_side& from,
                                          std::uint64_t from_at, std::uint64_t bytes, Issue issue) {
    const std::uint64_t row = to.row_bytes > 0 ? to.row_bytes : from.row_bytes;
    while (bytes > 0) {
        const std::uint64_t within = row == 0 ? 0 : (to.row_bytes > 0 ? to_at : from_at) % row;
        row_command next{to.address_of(to_at), from.address_of(from_at), to.pitch, from.pitch, bytes, 1};
        if (row > 0) {
            next.to_pitch = to.row_bytes > 0 ? to.pitch : row;
            next.from_pitch = from.row_bytes > 0 ? from.pitch : row;
            next.row_bytes = row - within < bytes ? row - within : bytes;
            if (within == 0 && bytes >= row) next.rows = bytes / row;
        }
        const auto keep_within = [&](std::uint64_t room, std::uint64_t pitch) {
            if (room < next.row_bytes) {
                next.row_bytes = room;
                next.rows = 1;
            } else if (next.rows > 1 && (room - next.row_bytes) / pitch + 1 < next.rows) {
                next.rows = (room - next.row_bytes) / pitch + 1;
            }
        };
        keep_within(to.room(next.to), next.to_pitch);
        keep_within(from.room(next.from), next.from_pitch);
        if (auto done = issue(next); !done) return done;
        const std::uint64_t moved = next.row_bytes * next.rows;
        to_at += moved;
        from_at += moved;
        bytes -= moved;
    }
    return {};
}

/// By a copy engine, asynchronously in `stream`.
template <runtime Runtime>
[[nodiscard]] status copy_rows(Runtime& on, const copy_side& to, std::uint64_t to_at, const copy_side& from,
                               std::uint64_t from_at, std::uint64_t bytes, typename Runtime::stream_type stream) {
    return for_each_row_command(to, to_at, from, from_at, bytes, [&](const row_command& c) {
        return c.rows == 1 ? on.copy(to.base + c.to, from.base + c.from, c.row_bytes, stream)
                           : on.copy_2d(to.base + c.to, c.to_pitch, from.base + c.from, c.from_pitch, c.row_bytes,
                                        c.rows, stream);
    });
}

/// By host threads near a NUMA node; returns when the bytes are there.
template <runtime Runtime>
[[nodiscard]] status host_copy_rows(Runtime& on, const copy_side& to, std::uint64_t to_at, const copy_side& from,
                                    std::uint64_t from_at, std::uint64_t bytes, node_index near) {
    return for_each_row_command(to, to_at, from, from_at, bytes, [&](const row_command& c) {
        for (std::uint64_t row = 0; row < c.rows; ++row)
            if (auto done = on.host_copy(to.base + c.to + row * c.to_pitch, from.base + c.from + row * c.from_pitch,
                                         c.row_bytes, near);
                !done)
                return done;
        return status();
    });
}

} // namespace detail
BARELINK_END_NAMESPACE
