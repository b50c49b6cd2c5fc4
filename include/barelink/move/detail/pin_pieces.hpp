// Pins a range in pieces: all of them or none. Private to move.
#pragma once

#include <cstdint>
#include <string>

#include <barelink/core/result.hpp>
#include <barelink/core/units.hpp>
#include <barelink/move/placement.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// `bytes` cut down to whole pages, at least one.
[[nodiscard]] constexpr std::uint64_t whole_pages(std::uint64_t bytes, std::uint64_t page) noexcept {
    return bytes < page ? page : bytes / page * page;
}

/// Where pieces meet: at every `piece_bytes`, counted from `lead` bytes before the range.
struct pin_cut {
    std::uint64_t piece_bytes = 1 * GiB;
    std::uint64_t lead = 0; ///< below piece_bytes

    [[nodiscard]] std::uint64_t pieces(std::uint64_t bytes) const noexcept {
        return divide_up(lead + bytes, piece_bytes);
    }
    [[nodiscard]] std::uint64_t begin(std::uint64_t piece) const noexcept {
        return piece == 0 ? 0 : piece * piece_bytes - lead;
    }
    [[nodiscard]] std::uint64_t end(std::uint64_t piece, std::uint64_t bytes) const noexcept {
        const std::uint64_t behind = begin(piece + 1);
        return behind < bytes ? behind : bytes;
    }
};

/// Unpins the first `count` pieces, the last one first. Errors: the first one met; the others are unpinned all the same.
template <class Runtime>
[[nodiscard]] status unpin_first(Runtime& on, void* base, const pin_cut& cut, std::uint64_t count) {
    status all;
    while (count-- > 0)
        if (auto done = on.unpin(static_cast<char*>(base) + cut.begin(count)); !done && all) all = done;
    return all;
}
template <class Runtime>
[[nodiscard]] status unpin_pieces(Runtime& on, void* base, std::uint64_t bytes, const pin_cut& cut) {
    return unpin_first(on, base, cut, cut.pieces(bytes));
}

/// `where` is the placement of the range's first byte. `stuck` becomes true when a piece could not be unpinned again: the
/// driver still holds it. Errors: the runtime's, with the piece in front.
template <class Runtime>
[[nodiscard]] status pin_pieces(Runtime& on, void* base, std::uint64_t bytes, const pin_cut& cut,
                                const placement& where, bool& stuck) {
    const std::uint64_t count = cut.pieces(bytes);
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t begin = cut.begin(i), size = cut.end(i, bytes) - begin;
        placement here = where;
        if (where.stripe_bytes > 0) here.stripe_phase += begin;
        const status pinned = on.pin(static_cast<char*>(base) + begin, size, here);
        if (pinned) continue;
        stuck = !unpin_first(on, base, cut, i);
        const error why = pinned.error();
        return error(why.code(), text::join({"piece ", std::to_string(i + 1).c_str(), " of ",
                                             std::to_string(count).c_str(), ", ", std::to_string(size).c_str(), " of ",
                                             std::to_string(bytes).c_str(), " bytes, cannot be pinned",
                                             stuck ? " and those before it not unpinned: " : ": ", why.what()}))
            .about(why.object())
            .on_device(why.device())
            .asking(size)
            .natively(why.native());
    }
    return {};
}

} // namespace detail
BARELINK_END_NAMESPACE
