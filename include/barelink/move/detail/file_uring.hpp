// Reads by io_uring where the program is linked to liburing: no thread of ours, the kernel keeps them all under way. Private
// to move.
#pragma once

#include <cerrno>
#include <cstdint>

#if BARELINK_LIBURING
#include <liburing.h>
#endif

#include <barelink/move/detail/file_task.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {
inline namespace BARELINK_FILE_ABI {

#if BARELINK_LIBURING

/// Tasks in, tasks out; one thread. Owns the ring of the kernel; the destructor waits for what is under way, because the
/// kernel writes to its memory.
class file_uring {
public:
    file_uring() noexcept = default;
    file_uring(const file_uring&) = delete;
    file_uring& operator=(const file_uring&) = delete;
    ~file_uring() {
        if (!open_) return;
        stopping_ = true;
        while (pop(true)) {
        }
        ::io_uring_queue_exit(&ring_);
    }

    /// Returns 0 or an errno, such as EPERM where a container's rules or the administrator forbid it. `most`: tasks at once.
    [[nodiscard]] int open(std::uint32_t most) noexcept {
        if (open_ && most <= most_ && !broken_) return 0;
        if (open_) {
            while (pop(true)) {
            }
            ::io_uring_queue_exit(&ring_);
            open_ = false;
        }
        const int made = ::io_uring_queue_init(most, &ring_, 0);
        if (made < 0) return -made;
        open_ = true;
        broken_ = false;
        most_ = most;
        return 0;
    }
    /// Returns 0 or an errno: then it was not begun. Precondition: a read, and fewer than `most` are under way.
    [[nodiscard]] int push(file_task& task) noexcept { return begin_part(task); }
    /// A task that is done, nullptr when there is none: at once, or with `wait` when none is under way.
    [[nodiscard]] file_task* pop(bool wait) noexcept {
        while (under_way_ > 0) {
            io_uring_cqe* answer = nullptr;
            const int got = wait ? ::io_uring_wait_cqe(&ring_, &answer) : ::io_uring_peek_cqe(&ring_, &answer);
            if (got == -EINTR) continue;
            if (got < 0 || !answer) return nullptr;
            auto* const task = static_cast<file_task*>(::io_uring_cqe_get_data(answer));
            const std::int64_t bytes = answer->res;
            ::io_uring_cqe_seen(&ring_, answer);
            --under_way_;
            if (goes_on(*task, next_part(*task), bytes)) {
                if (stopping_) return task;
                const int failed = begin_part(*task);
                if (failed == 0) continue;
                task->failure = failed;
            }
            return task;
        }
        return nullptr;
    }

private:
    [[nodiscard]] int begin_part(file_task& task) noexcept {
        if (broken_) return EIO;
        io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
        if (!entry) return EBUSY;
        const file_part part = next_part(task);
        ::io_uring_prep_read(entry, part.descriptor, part.memory, static_cast<unsigned>(part.bytes), part.offset);
        ::io_uring_sqe_set_data(entry, &task);
        for (;;) {
            const int sent = ::io_uring_submit(&ring_);
            if (sent == -EINTR || sent == -EAGAIN) continue;
            if (sent < 0) {
                broken_ = true; // the entry stays in the ring: nothing may send it later
                return -sent;
            }
            ++under_way_;
            return 0;
        }
    }

    io_uring ring_{};
    bool open_ = false, stopping_ = false, broken_ = false;
    std::uint32_t most_ = 0;
    std::uint64_t under_way_ = 0;
};

#else

/// Stands where the program is not linked to liburing: there is none.
class file_uring {
public:
    [[nodiscard]] int open(std::uint32_t) noexcept { return ENOSYS; }
    [[nodiscard]] int push(file_task&) noexcept { return ENOSYS; }
    [[nodiscard]] file_task* pop(bool) noexcept { return nullptr; }
};

#endif

} // namespace BARELINK_FILE_ABI
} // namespace detail
BARELINK_END_NAMESPACE
