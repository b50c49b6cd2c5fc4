// What the host has in pages: huge ones, free ones, and a way to fill a range with them. Private to move.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>

#include <sys/mman.h>
#include <unistd.h>

#include <barelink/core/ids.hpp>
#include <barelink/core/units.hpp>
#include <barelink/move/detail/system_file.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

inline constexpr std::uint64_t huge_page_bytes = 2 * MiB;

[[nodiscard]] inline std::uint64_t system_page_bytes() noexcept {
    const long asked = ::sysconf(_SC_PAGESIZE);
    return asked > 0 ? static_cast<std::uint64_t>(asked) : 4 * KiB;
}

/// Reserved huge pages that nobody has or was promised, on one node or on all.
[[nodiscard]] inline std::uint64_t free_huge_pages() noexcept {
    const std::uint64_t free = number_in_file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", 0);
    const std::uint64_t promised = number_in_file("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", 0);
    return free > promised ? free - promised : 0;
}
[[nodiscard]] inline std::uint64_t free_huge_pages(numa_id node) noexcept {
    char path[96];
    std::snprintf(path, sizeof path, "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/free_hugepages",
                  node.value);
    return number_in_file(path, 0);
}

/// May a program ask for transparent huge pages?
[[nodiscard]] inline bool may_advise_huge_pages() noexcept {
    char text[64];
    return read_system_file("/sys/kernel/mm/transparent_hugepage/enabled", text) && !std::strstr(text, "[never]");
}

/// Bytes that this process can hope to fill, ~0 when the kernel does not tell. More than that never ends well: the kernel
/// promises the addresses and kills the process when they are touched.
[[nodiscard]] inline std::uint64_t fillable_bytes() noexcept {
    std::uint64_t most = ~std::uint64_t{0};
    char text[2048];
    if (read_system_file("/proc/meminfo", text))
        if (const char* line = std::strstr(text, "MemAvailable:")) {
            line += sizeof "MemAvailable:" - 1;
            while (*line == ' ') ++line;
            std::uint64_t kib = 0;
            if (read_number(line, kib)) most = kib * KiB;
        }
    // A container's limit, where its own control group is mounted as the root; "max" or no file means none.
    for (const char* file : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
        const std::uint64_t limit = number_in_file(file, most);
        if (limit < most) most = limit;
    }
    return most;
}

enum class fill_mode : std::uint8_t {
    populate, ///< by madvise, which says when there is no page
    touch,    ///< by writing to each page, which kills the process when there is none
};

inline constexpr int populate_write = 23; // MADV_POPULATE_WRITE, Linux 5.14

/// Does the kernel have it? Page-aligned; fills nothing.
[[nodiscard]] inline bool can_populate(void* at) noexcept {
    return ::madvise(at, 0, populate_write) == 0;
}

/// Returns 0 or an errno; page-aligned.
[[nodiscard]] inline int populate(void* at, std::uint64_t bytes) noexcept {
    for (int tries = 0;; ++tries) {
        if (::madvise(at, bytes, populate_write) == 0) return 0;
        if ((errno != EAGAIN && errno != EINTR) || tries == 100) return errno;
    }
}

/// Gives every page of a fresh range memory. Returns 0 or an errno: ENOMEM, or EFAULT for a huge page that is not there.
[[nodiscard]] inline int fill(char* at, std::uint64_t bytes, std::uint64_t page_bytes, fill_mode how) noexcept {
    if (how == fill_mode::populate) return populate(at, bytes);
    for (std::uint64_t offset = 0; offset < bytes; offset += page_bytes) *static_cast<volatile char*>(at + offset) = 0;
    return 0;
}

} // namespace detail
BARELINK_END_NAMESPACE
