// Bytes that say where they belong: a byte that lands anywhere else, or does not land, shows.
#pragma once

#include <cstdint>
#include <cstring>

namespace patterned {

/// Eight bytes of the endless pattern `seed`, the `word`-th: no two words of one pattern are equal.
[[nodiscard]] inline std::uint64_t word_at(std::uint64_t seed, std::uint64_t word) noexcept {
    return (word + 1) * 0x9e3779b97f4a7c15u ^ (seed + 1) * 0xbf58476d1ce4e5b9u;
}

inline void fill(void* to, std::uint64_t bytes, std::uint64_t seed) noexcept {
    auto* at = static_cast<unsigned char*>(to);
    for (std::uint64_t word = 0; word < bytes / 8; ++word) {
        const std::uint64_t value = word_at(seed, word);
        std::memcpy(at + word * 8, &value, 8);
    }
    const std::uint64_t last = word_at(seed, bytes / 8);
    std::memcpy(at + bytes / 8 * 8, &last, bytes % 8);
}

/// Position of the first byte that is not the pattern's; `bytes` when all are.
[[nodiscard]] inline std::uint64_t first_wrong(const void* from, std::uint64_t bytes, std::uint64_t seed) noexcept {
    const auto* at = static_cast<const unsigned char*>(from);
    std::uint64_t right = 0;
    for (; right + 8 <= bytes; right += 8) {
        std::uint64_t found;
        std::memcpy(&found, at + right, 8);
        if (found != word_at(seed, right / 8)) break;
    }
    const std::uint64_t value = word_at(seed, right / 8);
    unsigned char expected[8];
    std::memcpy(expected, &value, 8);
    for (std::uint64_t i = 0; i < 8 && right < bytes; ++i, ++right)
        if (at[right] != expected[i]) return right;
    return right;
}
[[nodiscard]] inline bool holds(const void* from, std::uint64_t bytes, std::uint64_t seed) noexcept {
    return first_wrong(from, bytes, seed) == bytes;
}

inline constexpr unsigned char guard = 0xa5;

/// Guard bytes around a buffer, and whether they are still what they were.
inline void fill_guard(void* to, std::uint64_t bytes) noexcept {
    std::memset(to, guard, bytes);
}
[[nodiscard]] inline bool guarded(const void* from, std::uint64_t bytes) noexcept {
    const auto* at = static_cast<const unsigned char*>(from);
    for (std::uint64_t i = 0; i < bytes; ++i)
        if (at[i] != guard) return false;
    return true;
}

} // namespace patterned
