// Runs of equal blocks at equal distances: what one strided copy moves. Private to move.
#pragma once

#include <cstdint>
#include <span>

#include <barelink/move/detail/block_list.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// `rows` blocks from the first one on. Pitches count where there is more than one.
struct block_run {
    std::size_t rows = 1;
    std::uint64_t to_pitch = 0, from_pitch = 0;
};

/// The longest run that begins at `first`. It stays within an extent on either side: a strided copy must.
[[nodiscard]] inline block_run run_at(std::span<const block> list, std::size_t first,
                                      const extent_table& known) noexcept {
    /// What `cudaMemcpy2DAsync` takes on every device (cudaDevAttrMaxPitch).
    constexpr std::uint64_t most_pitch = (std::uint64_t{1} << 31) - 1;
    block_run run;
    if (first + 1 >= list.size()) return run;
    const block& begin = list[first];
    run.to_pitch = address_of(list[first + 1].to) - address_of(begin.to);
    run.from_pitch = address_of(list[first + 1].from) - address_of(begin.from);
    const auto usable = [&](std::uint64_t pitch) { return pitch >= begin.bytes && pitch <= most_pitch; };
    if (list[first + 1].bytes != begin.bytes || !usable(run.to_pitch) || !usable(run.from_pitch)) return run;
    const memory_extent *to = known.find(address_of(begin.to)), *from = known.find(address_of(begin.from));
    if (!to || !from) return run;
    const auto fits = [&](const memory_extent& in, const void* at, std::uint64_t pitch) {
        return (in.room(address_of(at)) - begin.bytes) / pitch + 1;
    };
    const std::uint64_t to_rows = fits(*to, begin.to, run.to_pitch),
                        from_rows = fits(*from, begin.from, run.from_pitch);
    const std::uint64_t most = to_rows < from_rows ? to_rows : from_rows;
    while (run.rows < most && first + run.rows < list.size()) {
        const block &last = list[first + run.rows - 1], &next = list[first + run.rows];
        if (next.bytes != begin.bytes || address_of(next.to) - address_of(last.to) != run.to_pitch ||
            address_of(next.from) - address_of(last.from) != run.from_pitch)
            break;
        ++run.rows;
    }
    return run;
}

/// Counts for a plan.
[[nodiscard]] inline block_summary summary_of(const block_group& group, const extent_table& known,
                                              bool from_gpu) noexcept {
    block_summary all;
    all.from = group.places.from;
    all.to = group.places.to;
    all.blocks = group.blocks.size();
    all.bytes = group.bytes;
    all.pageable = group.places.from_pageable || group.places.to_pageable;
    for (std::size_t i = 0; i < group.blocks.size(); i += run_at(group.blocks, i, known).rows) ++all.runs;
    for (std::size_t i = 0; i < group.blocks.size(); ++i) {
        const auto side = [&](const block& b) { return address_of(from_gpu ? b.from : b.to); };
        all.gpu_stretches += i == 0 || side(group.blocks[i - 1]) + group.blocks[i - 1].bytes != side(group.blocks[i]);
    }
    return all;
}

} // namespace detail
BARELINK_END_NAMESPACE
