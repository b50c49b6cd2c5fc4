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
    /// What each chunk adds to the route's busiest leg.
    double each_us = 0;
};

namespace detail {

[[nodiscard]] constexpr std::uint64_t power_of_two_near(double value) noexcept {
    std::uint64_t power = 1;
    while (static_cast<double>(power) * 1.5 < value && power < (1ull << 60)) power *= 2;
    return power;
}

[[nodiscard]] constexpr std::uint64_t power_of_two_from(double value) noexcept {
    std::uint64_t power = 1;
    while (static_cast<double>(power) < value && power < (1ull << 60)) power *= 2;
    return power;
}

/// Newton's iteration; here because <cmath> costs more lines than this file may.
[[nodiscard]] constexpr double square_root(double value) noexcept {
    if (value <= 0) return 0;
    double root = value > 1 ? value : 1;
    for (int i = 0; i < 64; ++i) {
        const double next = (root + value / root) / 2;
        if (next >= root) break;
        root = next;
    }
    return root;
}

} // namespace detail

/// What a route's chunks depend on.
struct chunking_input {
    double bytes = 0;
    double gb_s = 0;
    std::size_t legs = 1;
    std::size_t routes = 1; ///< of several legs that one thread submits in turn
    bool host_copy = false; ///< host threads carry one of the legs
    double latency_us = 0;  ///< of all legs
    std::uint64_t stripe_bytes = 0;
    std::uint64_t scratch_bytes = 64 * MiB;
};

/// Chooses chunks.
///
/// The pipeline takes T = bytes/rate + n * engine + (legs - 1) * chunk/rate with n = bytes/chunk; dT/dchunk = 0 gives
/// chunk = sqrt(bytes * engine * rate / (legs - 1)). It cannot usefully be shorter than the time in which the thread submits one
/// chunk on every route, rate * routes * submit; a margin of 1.2 on it keeps the thread ahead. The ramp at both ends starts
/// there, and helps where a leg has slack: with every leg full, the lag between two legs is the largest chunk, however it
/// was reached. Where host threads copy, the submitting thread waits for them, so each chunk costs its submission in place
/// of the engine's time. A chunk over several stripes needs a copy for each. Powers of two.
[[nodiscard]] inline chunking choose_chunks(const chunking_input& in, const copy_costs& costs) noexcept {
    chunking chosen;
    if (in.legs < 2) {
        // One command, or one for each stripe; in one stream each waits for the last one's completion.
        chosen.chunks = in.stripe_bytes > 0 ? 1 + in.bytes / static_cast<double>(in.stripe_bytes) : 1;
        chosen.submit_us_per_chunk = costs.submit_us;
        chosen.each_us = costs.engine_us + (chosen.chunks > 1 ? in.latency_us : 0);
        return chosen;
    }
    constexpr std::uint64_t least = 64 * KiB;
    chosen.depth = in.legs > 2 ? 4 : 3;
    std::uint64_t most = least;
    while (2 * most * chosen.depth <= in.scratch_bytes) most *= 2;
    const auto clamp = [&](std::uint64_t value, std::uint64_t upper) {
        return value < least ? least : value > upper ? upper : value;
    };
    const auto submit_us = [&](double pieces) {
        return (2 * pieces + static_cast<double>(in.legs) - 2) * costs.submit_us +
               2 * static_cast<double>(in.legs) * costs.event_us;
    };
    const double submit_bound = in.gb_s * 1e3 * static_cast<double>(in.routes) * submit_us(1);
    const double busy_us = in.host_copy ? submit_us(1) : costs.engine_us;
    const double balance = detail::square_root(in.bytes * busy_us * in.gb_s * 1e3 / static_cast<double>(in.legs - 1));
    const std::uint64_t floor = detail::power_of_two_from(1.2 * submit_bound);
    const std::uint64_t balanced = detail::power_of_two_near(balance);
    chosen.chunk_bytes = clamp(balanced > floor ? balanced : floor, most);
    chosen.first_chunk_bytes = clamp(detail::power_of_two_near(submit_bound), chosen.chunk_bytes);
    double ramp = 0;
    for (std::uint64_t size = chosen.first_chunk_bytes; size < chosen.chunk_bytes; size *= 2) ramp += 1;
    chosen.chunks = in.bytes / static_cast<double>(chosen.chunk_bytes) + 2 * ramp;
    if (chosen.chunks < 1) chosen.chunks = 1;
    const double pieces =
        in.stripe_bytes > 0 ? 1 + static_cast<double>(chosen.chunk_bytes) / static_cast<double>(in.stripe_bytes) : 1;
    chosen.submit_us_per_chunk = submit_us(pieces);
    chosen.each_us = in.host_copy ? chosen.submit_us_per_chunk : pieces * costs.engine_us;
    return chosen;
}

BARELINK_END_NAMESPACE
