// How a route of several legs is cut into chunks, so that its legs work at the same time.
#pragma once

#include <cstdint>

#include <barelink/core/units.hpp>
#include <barelink/machine/costs.hpp>
#include <barelink/plan/plan.hpp>

BARELINK_BEGIN_NAMESPACE

/// The sizes of a route's chunks, one after the other: they double from `first` to `most` and, near the end, are half of
/// what is left, never below `first`. The planner counts with it and the mover copies by it.
class chunk_sequence {
public:
    constexpr chunk_sequence(std::uint64_t bytes, std::uint64_t first, std::uint64_t most) noexcept
        : left_(bytes), first_(first == 0 ? bytes : first), most_(most == 0 ? bytes : most), next_(first_) {}
    explicit constexpr chunk_sequence(const route& r) noexcept
        : chunk_sequence(r.bytes, r.first_chunk_bytes, r.chunk_bytes) {}

    /// Size of the next chunk, 0 at the end.
    constexpr std::uint64_t next() noexcept {
        if (left_ == 0) return 0;
        std::uint64_t size = next_;
        const std::uint64_t half = round_up(left_ / 2, first_ < 4 * KiB ? 1 : 4 * KiB);
        if (size > half) size = half > first_ ? half : first_;
        if (size > left_ || left_ - size < first_ / 2) size = left_ < most_ ? left_ : size;
        if (size > left_) size = left_;
        left_ -= size;
        if (next_ < most_) next_ = 2 * next_ < most_ ? 2 * next_ : most_;
        return size;
    }

private:
    std::uint64_t left_, first_, most_, next_;
};

/// Chunk sizes, ring depth and what they cost, for one route.
struct chunking {
    std::uint64_t chunk_bytes = 0;
    std::uint64_t first_chunk_bytes = 0;
    std::uint32_t depth = 1;
    double chunks = 1;
    /// CPU time that submitting one chunk takes: a copy per leg, and the events that hand it on.
    double submit_us_per_chunk = 0;
};

namespace detail {

[[nodiscard]] constexpr std::uint64_t power_of_two_near(double value) noexcept {
    std::uint64_t power = 1;
    while (static_cast<double>(power) * 1.5 < value && power < (1ull << 60)) power *= 2;
    return power;
}

} // namespace detail

/// Chooses chunks for `bytes` at `gb_s` over `legs` legs, with `routes` such routes submitted by one thread.
///
/// With a ramp at both ends the pipeline takes T = bytes/rate + n * engine + (legs - 1) * first/rate, with about
/// n = bytes/chunk + 2 * log2(chunk/first) chunks. dT/dchunk = 0 gives chunk = bytes * ln 2 / 2, so the chunk is as large as
/// scratch allows for all but small transfers. The first chunk cannot usefully be shorter than the time in which
/// the thread submits one chunk on every route: first = rate * routes * submit. Both are rounded to a power of two.
[[nodiscard]] inline chunking choose_chunks(double bytes, double gb_s, std::size_t legs, std::size_t routes,
                                            std::uint64_t scratch_bytes, const copy_costs& costs) noexcept {
    chunking chosen;
    if (legs < 2) {
        chosen.submit_us_per_chunk = costs.submit_us;
        return chosen;
    }
    constexpr std::uint64_t least = 64 * KiB;
    chosen.depth = legs > 2 ? 4 : 3;
    chosen.submit_us_per_chunk = static_cast<double>(legs) * (costs.submit_us + 2 * costs.event_us);
    std::uint64_t most = least;
    while (2 * most * chosen.depth <= scratch_bytes) most *= 2;
    const auto clamp = [&](std::uint64_t value, std::uint64_t upper) {
        return value < least ? least : value > upper ? upper : value;
    };
    chosen.chunk_bytes = clamp(detail::power_of_two_near(bytes * 0.34657), most);
    chosen.first_chunk_bytes =
        clamp(detail::power_of_two_near(gb_s * 1e3 * static_cast<double>(routes) * chosen.submit_us_per_chunk),
              chosen.chunk_bytes);
    double ramp = 0;
    for (std::uint64_t size = chosen.first_chunk_bytes; size < chosen.chunk_bytes; size *= 2) ramp += 1;
    chosen.chunks = bytes / static_cast<double>(chosen.chunk_bytes) + 2 * ramp;
    if (chosen.chunks < 1) chosen.chunks = 1;
    return chosen;
}

BARELINK_END_NAMESPACE
