// One piece of work on a file, in as many system calls as it takes. Private to move.
#pragma once

#include <cerrno>
#include <cstdint>

#include <barelink/move/source_file.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// A read into a slot, a write out of one, or the completion of a file. Plain; whoever works on it owns it meanwhile.
struct file_task {
    enum class kind : std::uint8_t { read, write, sync, commit };

    kind what = kind::read;
    std::uint32_t group = 0; ///< the ring whose threads are near its memory
    std::uint32_t slot = 0;
    int buffered = -1, direct = -1; ///< descriptors; `direct` -1: not to be used
    std::uint64_t alignment = least_alignment;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;  ///< at most; a direct read's are aligned
    std::uint64_t needed = 0; ///< of a read, those that must be there: the file may end after them
    char* memory = nullptr;
    target_file* target = nullptr; ///< of a sync or commit

    // What came of it.
    std::uint64_t done = 0;
    int failure = 0;             ///< errno
    bool ended = false;          ///< the file was shorter than `needed`
    bool direct_refused = false; ///< it went on through the page cache
    bool dropped = false;        ///< it was never begun
    status completed;            ///< of a sync or commit
    file_task* next = nullptr;   ///< in a queue
};

/// The next call that a read or write makes.
struct file_part {
    int descriptor = -1;
    char* memory = nullptr;
    std::uint64_t offset = 0, bytes = 0;
    bool direct = false;
};

[[nodiscard]] inline file_part next_part(const file_task& t) noexcept {
    const std::uint64_t at = t.offset + t.done;
    const bool may = t.direct >= 0 && !t.direct_refused && at % t.alignment == 0 &&
                     reinterpret_cast<std::uintptr_t>(t.memory + t.done) % t.alignment == 0;
    if (t.what == file_task::kind::read) {
        const std::uint64_t left = t.bytes - t.done;
        if (may && left % t.alignment == 0) return {t.direct, t.memory + t.done, at, left, true};
        return {t.buffered, t.memory + t.done, at, t.needed - t.done, false};
    }
    const std::uint64_t left = t.bytes - t.done;
    if (may && left >= t.alignment) return {t.direct, t.memory + t.done, at, left - left % t.alignment, true};
    // Up to where direct writes can go on.
    std::uint64_t part = left;
    if (t.direct >= 0 && !t.direct_refused && at % t.alignment != 0 && part > t.alignment - at % t.alignment)
        part = t.alignment - at % t.alignment;
    return {t.buffered, t.memory + t.done, at, part, false};
}

/// Takes a call's answer in: `got` bytes, or minus an errno. True when another call is needed.
[[nodiscard]] inline bool goes_on(file_task& t, const file_part& part, std::int64_t got) noexcept {
    const bool reads = t.what == file_task::kind::read;
    if (got == -EINTR || got == -EAGAIN) return true;
    if (part.direct && (got == -EINVAL || got == -EOPNOTSUPP)) return t.direct_refused = true;
    if (got < 0) {
        t.failure = static_cast<int>(-got);
        return false;
    }
    if (got == 0) {
        if (reads)
            t.ended = t.done < t.needed;
        else
            t.failure = EIO; // no bytes and no reason: going on could take for ever
        return false;
    }
    t.done += static_cast<std::uint64_t>(got);
    return t.done < (reads ? t.needed : t.bytes);
}

/// Does all of it, blocking.
inline void carry_out(file_task& t) {
    if (t.what == file_task::kind::sync || t.what == file_task::kind::commit) {
        t.completed = t.what == file_task::kind::sync ? t.target->sync() : t.target->commit();
        return;
    }
    constexpr std::uint64_t worth_announcing = 256 * KiB;
    for (bool announced = false;;) {
        const file_part part = next_part(t);
        if (!part.direct && !announced && t.what == file_task::kind::read && part.bytes >= worth_announcing) {
            // The kernel's own read-ahead is a hundredth of a chunk: it would wait for the disk at every step.
            (void)::posix_fadvise(part.descriptor, static_cast<off_t>(part.offset), static_cast<off_t>(part.bytes),
                                  POSIX_FADV_WILLNEED);
            announced = true;
        }
        const ssize_t got = t.what == file_task::kind::read
                                ? ::pread(part.descriptor, part.memory, part.bytes, static_cast<off_t>(part.offset))
                                : ::pwrite(part.descriptor, part.memory, part.bytes, static_cast<off_t>(part.offset));
        if (!goes_on(t, part, got < 0 ? -std::int64_t{errno} : std::int64_t{got})) return;
    }
}

} // namespace detail
BARELINK_END_NAMESPACE
