// Small files of /sys and /proc, read without streams. Private to move.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Zero-terminated, cut at `N` - 1 characters; false when it is not there.
template <std::size_t N>
[[nodiscard]] bool read_system_file(const char* path, char (&out)[N]) noexcept {
    out[0] = '\0';
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    std::size_t size = 0;
    while (size + 1 < N) {
        const ssize_t got = ::read(file, out + size, N - 1 - size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        size += static_cast<std::size_t>(got);
    }
    ::close(file);
    out[size] = '\0';
    return size > 0;
}

/// Reads the decimal number at `at` and moves past it; false when there is none.
[[nodiscard]] inline bool read_number(const char*& at, std::uint64_t& number) noexcept {
    if (*at < '0' || *at > '9') return false;
    for (number = 0; *at >= '0' && *at <= '9'; ++at) number = number * 10 + static_cast<std::uint64_t>(*at - '0');
    return true;
}

/// The number in a file that holds one; `otherwise` when it holds none ("max") or is not there.
[[nodiscard]] inline std::uint64_t number_in_file(const char* path, std::uint64_t otherwise) noexcept {
    char text[64];
    std::uint64_t number = 0;
    const char* at = text;
    return read_system_file(path, text) && read_number(at, number) ? number : otherwise;
}

} // namespace detail
BARELINK_END_NAMESPACE
