// How a file can be read past the page cache, and how much of it is in the cache. Private to move.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <barelink/core/units.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// What is safe where the kernel does not tell: a page, and the sector of every disk.
inline constexpr std::uint64_t least_alignment = 4 * KiB;

/// What direct reads and writes of a file must be aligned to, 0 when the kernel says that there are none.
[[nodiscard]] inline std::uint64_t direct_alignment(int descriptor) noexcept {
#ifdef SYS_statx
    // STATX_DIOALIGN is younger (Linux 6.1) than many C libraries: the fields by their place in the kernel's struct statx.
    constexpr unsigned wanted = 0x2000;
    constexpr std::size_t memory_at = 152, offset_at = 156;
    alignas(8) unsigned char about[256] = {};
    if (::syscall(SYS_statx, descriptor, "", AT_EMPTY_PATH, wanted, about) == 0) {
        std::uint32_t known = 0, memory = 0, offset = 0;
        std::memcpy(&known, about, sizeof known);
        std::memcpy(&memory, about + memory_at, sizeof memory);
        std::memcpy(&offset, about + offset_at, sizeof offset);
        if ((known & wanted) != 0) {
            if (memory == 0 || offset == 0) return 0;
            const std::uint64_t larger = memory > offset ? memory : offset;
            const bool sane = (larger & (larger - 1)) == 0 && larger <= 1 * MiB;
            return !sane ? 0 : larger > least_alignment ? larger : least_alignment;
        }
    }
#else
    (void)descriptor;
#endif
    return least_alignment;
}

/// Is (nearly) all of a part of a file in the page cache? Asks for one byte in each of 32 places. False where the file
/// system cannot tell without reading.
[[nodiscard]] inline bool is_cached(int descriptor, std::uint64_t offset, std::uint64_t bytes) noexcept {
    constexpr std::uint64_t places = 32, most_missing = 3;
    std::uint64_t missing = 0;
    for (std::uint64_t place = 0; place < places && missing <= most_missing; ++place) {
        char byte = 0;
        const iovec into{&byte, 1};
        const std::uint64_t at = offset + bytes / places * place;
        if (::preadv2(descriptor, &into, 1, static_cast<off_t>(at), RWF_NOWAIT) == 1) continue;
        if (errno != EAGAIN) return false;
        ++missing;
    }
    return bytes > 0 && missing <= most_missing;
}

} // namespace detail
BARELINK_END_NAMESPACE
