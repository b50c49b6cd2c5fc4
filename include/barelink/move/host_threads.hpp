// Threads near a NUMA node that copy together with their caller.
#pragma once

#include <atomic>
#include <cstdint>

#include <pthread.h>
#include <time.h>

#include <barelink/core/ids.hpp>
#include <barelink/move/detail/host_cpus.hpp>
#include <barelink/move/detail/stream_copy.hpp>

BARELINK_BEGIN_NAMESPACE

/// Copies between host memories with several threads. Owns its threads: they start at the first job that is large enough,
/// stay awake for 50 us after a job, so that the chunks of one transfer pay no wake-up each, then sleep until the next one;
/// the destructor joins them. Any number of threads may call; the helpers serve one job at a time, and who finds them busy
/// works alone rather than wait. Not usable in a forked child, which has no helpers: make a new one there.
class host_threads {
public:
    /// `count` threads work on a job, the caller among them; at most 64. 0: as many as the node has CPUs, at most 8 (what
    /// `copy_costs` plans with). The helpers run on the CPUs of `near` that the constructing thread may use; on any where
    /// there are none: the node is unknown, is not there, has no CPUs, or all are out of bounds.
    explicit host_threads(numa_id near, unsigned count = 0) noexcept;
    host_threads(const host_threads&) = delete;
    host_threads& operator=(const host_threads&) = delete;
    ~host_threads();

    /// Copies and returns when the bytes are there, for other threads and for devices alike. Jobs below 1 MiB the caller does
    /// alone. Slices of 256 KiB and more are handed out as threads come for them, so a slow one holds nobody up. The ranges
    /// must not overlap.
    void copy(void* to, const void* from, std::uint64_t bytes) noexcept;

    /// Calls `slice(context, i)` for every i below `slices`, on several threads at once, in no order; returns when all have
    /// returned, and what they wrote is visible then. A slice must not throw. It may call `run` again: that job runs on its
    /// thread alone, and so do jobs of 2^32 slices and more.
    void run(void (*slice)(void* context, std::uint64_t index), void* context, std::uint64_t slices);

    /// Threads that work on a job, the caller among them: what is wanted until the first job, what could be had after it;
    /// 1 when the system gives no threads.
    [[nodiscard]] unsigned threads() const noexcept { return threads_.load(std::memory_order_relaxed); }
    /// Are all helpers kept to the node's CPUs? Like `threads`, what is wanted until the first job.
    [[nodiscard]] bool bound() const noexcept { return bound_.load(std::memory_order_relaxed); }

private:
    static constexpr unsigned most_threads = 64, usual_threads = 8;
    static constexpr std::uint64_t alone_below_bytes = 1 * MiB, least_slice_bytes = 256 * KiB,
                                   most_slice_bytes = 4 * MiB;
    static constexpr std::int64_t awake_ns = 50'000;

    struct copy_job {
        char* to;
        const char* from;
        std::uint64_t bytes, slice_bytes;
    };
    static void copy_slice(void* job, std::uint64_t index) noexcept;

    void start() noexcept;
    void wake(std::uint64_t slices) noexcept;
    [[nodiscard]] bool take(std::uint64_t& index) noexcept;
    void work();
    void serve();
    [[nodiscard]] bool stays_quiet(std::uint32_t seen) const noexcept;

    detail::cpu_mask cpus_;
    pthread_t helpers_[most_threads]{};
    unsigned helper_count_ = 0;
    bool started_ = false;
    std::atomic<unsigned> threads_{1};
    std::atomic<bool> bound_{false}, stopping_{false};

    // The job. Who holds `busy_` may set it; who has taken a slice may read it.
    std::atomic<bool> busy_{false};
    void (*slice_)(void*, std::uint64_t) = nullptr;
    void* context_ = nullptr;
    std::uint64_t slices_ = 0;
    alignas(64) std::atomic<std::uint64_t> untaken_{
        0}; ///< number of the job in the upper half, slices left in the lower
    alignas(64) std::atomic<std::uint32_t> unfinished_{0};
    alignas(64) std::atomic<std::uint32_t> calls_{0}; ///< goes up with every job, and at the end
};

inline host_threads::host_threads(numa_id near, unsigned count) noexcept {
    const detail::cpu_mask allowed = detail::allowed_cpus();
    cpus_ = detail::cpus_of(near) & allowed;
    const unsigned near_by = cpus_.count();
    const unsigned cpus = near_by > 0 ? near_by : allowed.count();
    if (count == 0) count = cpus < usual_threads ? cpus : usual_threads;
    if (count > most_threads) count = most_threads;
    threads_ = count > 1 ? count : 1;
    bound_ = near_by > 0;
}

inline host_threads::~host_threads() {
    stopping_.store(true, std::memory_order_relaxed);
    calls_.fetch_add(1, std::memory_order_release);
    calls_.notify_all();
    for (unsigned t = 0; t < helper_count_; ++t) ::pthread_join(helpers_[t], nullptr);
}

inline void host_threads::copy(void* to, const void* from, std::uint64_t bytes) noexcept {
    const std::uint64_t count = threads();
    if (bytes < alone_below_bytes || count < 2) {
        detail::copy_bytes(to, from, bytes);
        return;
    }
    // Four slices a thread: enough for the fast ones to make up for the slow.
    std::uint64_t slice_bytes = round_up(bytes / (4 * count), 4 * KiB);
    if (slice_bytes < least_slice_bytes) slice_bytes = least_slice_bytes;
    if (slice_bytes > most_slice_bytes) slice_bytes = most_slice_bytes;
    copy_job job{static_cast<char*>(to), static_cast<const char*>(from), bytes, slice_bytes};
    run(copy_slice, &job, divide_up(bytes, slice_bytes));
}

inline void host_threads::copy_slice(void* of, std::uint64_t index) noexcept {
    const copy_job& job = *static_cast<const copy_job*>(of);
    const std::uint64_t at = index * job.slice_bytes, left = job.bytes - at;
    detail::stream_copy(job.to + at, job.from + at, left < job.slice_bytes ? left : job.slice_bytes);
}

inline void host_threads::run(void (*slice)(void*, std::uint64_t), void* context, std::uint64_t slices) {
    const bool together =
        slices > 1 && slices <= 0xffffffffu && threads() > 1 && !busy_.exchange(true, std::memory_order_acquire);
    if (!together) {
        for (std::uint64_t i = 0; i < slices; ++i) slice(context, i);
        return;
    }
    start();
    slice_ = slice;
    context_ = context;
    slices_ = slices;
    unfinished_.store(static_cast<std::uint32_t>(slices), std::memory_order_relaxed);
    const std::uint64_t number = (untaken_.load(std::memory_order_relaxed) >> 32) + 1;
    untaken_.store(number << 32 | slices, std::memory_order_release);
    wake(slices);
    work();
    // The last slices of the others: tens of microseconds, unless one of them lost its CPU.
    for (std::uint32_t turns = 0, left; (left = unfinished_.load(std::memory_order_acquire)) != 0;) {
        if (++turns < 4096)
            detail::pause();
        else
            unfinished_.wait(left, std::memory_order_acquire);
    }
    busy_.store(false, std::memory_order_release);
}

inline void host_threads::start() noexcept {
    if (started_) return;
    started_ = true;
    const unsigned wanted = threads() - 1;
    for (; helper_count_ < wanted; ++helper_count_) {
        const auto serve_on = [](void* self) -> void* {
            static_cast<host_threads*>(self)->serve();
            return nullptr;
        };
        const auto made = detail::make_thread(helpers_[helper_count_], cpus_, serve_on, this);
        if (made == detail::thread_made::no) break;
        if (made == detail::thread_made::unbound) bound_.store(false, std::memory_order_relaxed);
    }
    threads_.store(helper_count_ + 1, std::memory_order_relaxed);
}

/// Wakes no more than there is work for: each costs a microsecond or two.
inline void host_threads::wake(std::uint64_t slices) noexcept {
    calls_.fetch_add(1, std::memory_order_release);
    if (slices > helper_count_)
        calls_.notify_all();
    else
        for (std::uint64_t i = 1; i < slices; ++i) calls_.notify_one();
}

inline bool host_threads::take(std::uint64_t& index) noexcept {
    std::uint64_t seen = untaken_.load(std::memory_order_acquire);
    while (static_cast<std::uint32_t>(seen) != 0)
        if (untaken_.compare_exchange_weak(seen, seen - 1, std::memory_order_acquire)) {
            index = slices_ - static_cast<std::uint32_t>(seen);
            return true;
        }
    return false;
}

inline void host_threads::work() {
    for (std::uint64_t index; take(index);) {
        slice_(context_, index);
        if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
    }
}

inline void host_threads::serve() {
    for (;;) {
        const std::uint32_t seen = calls_.load(std::memory_order_acquire);
        work();
        if (stopping_.load(std::memory_order_relaxed)) return;
        if (stays_quiet(seen)) calls_.wait(seen, std::memory_order_acquire);
    }
}

/// Looks out for the next job for a while.
inline bool host_threads::stays_quiet(std::uint32_t seen) const noexcept {
    const auto now_ns = [] {
        timespec t{};
        ::clock_gettime(CLOCK_MONOTONIC, &t);
        return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
    };
    const std::int64_t until = now_ns() + awake_ns;
    do {
        for (int turn = 0; turn < 16; ++turn) {
            if (calls_.load(std::memory_order_relaxed) != seen) return false;
            detail::pause();
        }
    } while (now_ns() < until);
    return true;
}

BARELINK_END_NAMESPACE
