// Bytes that tell where they belong: what every copy of the tool is checked with.
#pragma once

#include <cstdint>
#include <cstring>

namespace tool {

/// A pattern whose every 64-bit word tells its position, so that a chunk in the wrong place shows.
[[nodiscard]] inline std::uint64_t pattern_at(std::uint64_t word) noexcept {
    const std::uint64_t mixed = (word + 1) * 0x9e3779b97f4a7c15u;
    return mixed ^ (mixed >> 29);
}

/// What memory is made to hold: the pattern, or before a copy its complement, which has not one byte in common with it.
enum class content : std::uint8_t { pattern, complement };

/// Fills memory that starts `offset` bytes into the pattern. Precondition: a multiple of 8.
inline void fill(void* at, std::uint64_t bytes, std::uint64_t offset = 0, content what = content::pattern) {
    auto* out = static_cast<unsigned char*>(at);
    const std::uint64_t flip = what == content::complement ? ~std::uint64_t{0} : 0, first = offset / 8;
    const std::uint64_t whole = bytes & ~std::uint64_t{7};
    for (std::uint64_t done = 0; done < whole; done += 8) {
        const std::uint64_t word = pattern_at(first + done / 8) ^ flip;
        std::memcpy(out + done, &word, 8);
    }
    const std::uint64_t word = pattern_at(first + whole / 8) ^ flip;
    std::memcpy(out + whole, &word, bytes - whole);
}

/// Whether all of it is the pattern from `offset` on. Precondition: a multiple of 8.
[[nodiscard]] inline bool holds_pattern(const void* at, std::uint64_t bytes, std::uint64_t offset = 0) {
    const auto* in = static_cast<const unsigned char*>(at);
    const std::uint64_t first = offset / 8, whole = bytes & ~std::uint64_t{7};
    std::uint64_t wrong = 0; // no branch a word: memory is read as fast as it comes
    for (std::uint64_t done = 0; done < whole; done += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, in + done, 8);
        wrong |= word ^ pattern_at(first + done / 8);
    }
    const std::uint64_t word = pattern_at(first + whole / 8);
    return wrong == 0 && std::memcmp(in + whole, &word, bytes - whole) == 0;
}

} // namespace tool
