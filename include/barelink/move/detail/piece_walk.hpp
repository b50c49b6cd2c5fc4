// From a route's bytes to addresses: one piece for ordinary ranges, one per stripe for striped ones. Private to move.
#pragma once

#include <cstdint>

#include <barelink/move/placement.hpp>
#include <barelink/plan/request.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// A contiguous stretch of the transfer, the same in source and destination.
struct piece {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
};

/// Walks the bytes of one route. In a striped transfer the route's bytes are those of one NUMA node's stripes, from
/// `start` bytes into that node's share. With one part the stripes are the pieces in which a range was page-locked.
class piece_walk {
public:
    piece_walk() noexcept = default;
    piece_walk(std::uint64_t start, std::uint64_t stripe_bytes, std::uint64_t stripe_phase, std::uint64_t parts,
               std::uint64_t part) noexcept
        : stripe_bytes_(stripe_bytes), phase_(stripe_phase), parts_(parts), part_(part), at_(start) {
        if (stripe_bytes_ > 0) at_ += striped_bytes(stripe_phase, stripe_bytes, parts, part);
    }

    /// The next piece, of at most `most` bytes.
    [[nodiscard]] piece next(std::uint64_t most) noexcept {
        piece found{at_, most};
        if (stripe_bytes_ > 0) {
            const std::uint64_t stripe = at_ / stripe_bytes_, within = at_ % stripe_bytes_;
            found.offset = (stripe * parts_ + part_) * stripe_bytes_ + within - phase_;
            if (stripe_bytes_ - within < most) found.bytes = stripe_bytes_ - within;
        }
        at_ += found.bytes;
        return found;
    }

private:
    std::uint64_t stripe_bytes_ = 0, phase_ = 0, parts_ = 1, part_ = 0, at_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
