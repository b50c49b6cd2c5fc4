// Short timings of this machine's CPUs: reading the clock, an exit to the hypervisor, a system call, a wake-up, gaps.
#pragma once

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdint>
#include <ctime>
#include <vector>

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

#include <barelink/measure/system_view.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail::host {

[[nodiscard]] inline double now_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return 1e9 * static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec);
}

/// Order statistics of times, at least one; sorts them.
[[nodiscard]] inline probe_times times_of(std::vector<double>& ns) {
    std::sort(ns.begin(), ns.end());
    double sum = 0;
    for (const double each : ns) sum += each;
    const auto at = [&](double part) {
        const auto place = static_cast<std::size_t>(part * static_cast<double>(ns.size()));
        return ns[place < ns.size() ? place : ns.size() - 1];
    };
    return {ns.size(), sum / static_cast<double>(ns.size()), at(0.5), at(0.99), at(0.999), ns.back()};
}

/// `operation` called up to `most` times between two looks at the clock, for about a second at most. What the looks cost is
/// taken off.
template <class Operation>
[[nodiscard]] probe_times time_each(std::size_t most, Operation operation) {
    double look = 1e9;
    for (int i = 0; i < 1000; ++i) {
        const double first = now_ns();
        look = std::min(look, now_ns() - first);
    }
    std::vector<double> ns;
    ns.reserve(most);
    const double until = now_ns() + 1e9;
    for (double before = now_ns(); ns.size() < most && before < until; before = now_ns()) {
        operation();
        ns.push_back(std::max(0.0, now_ns() - before - look));
    }
    return times_of(ns);
}

/// A thread's CPUs, put back with the scope.
class affinity_scope {
public:
    affinity_scope() noexcept : known_(::pthread_getaffinity_np(::pthread_self(), sizeof before_, &before_) == 0) {}
    affinity_scope(const affinity_scope&) = delete;
    affinity_scope& operator=(const affinity_scope&) = delete;
    ~affinity_scope() {
        if (known_) ::pthread_setaffinity_np(::pthread_self(), sizeof before_, &before_);
    }
    /// To one CPU; false when the system refuses or the CPU is beyond what the C library's mask holds.
    [[nodiscard]] bool pin(int cpu) const noexcept {
        if (!known_ || cpu < 0 || cpu >= CPU_SETSIZE) return false;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<unsigned>(cpu), &one);
        return ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one) == 0;
    }

private:
    cpu_set_t before_{};
    bool known_;
};

inline constexpr double gap_ns = 10e3; ///< what counts as one

/// How often the system has run another thread in this one's stead.
[[nodiscard]] inline long times_displaced() noexcept {
    rusage used{};
    return ::getrusage(RUSAGE_THREAD, &used) == 0 ? used.ru_nivcsw : 0;
}

/// Looks at the clock without a pause for `for_ns` and adds the gaps it sees, those of other threads apart.
inline void spin(double for_ns, int cpu, gap_times& seen) {
    long displaced = times_displaced();
    const double start = now_ns();
    double before = start, now = start;
    while (now - start < for_ns) {
        now = now_ns();
        const double gap = now - before;
        if (gap > gap_ns) {
            ++seen.gaps;
            const long so_far = times_displaced();
            if (so_far != displaced) {
                ++seen.displaced;
                seen.max_displaced_us = std::max(seen.max_displaced_us, gap / 1000);
            } else if (gap / 1000 > seen.max_us) {
                seen.max_us = gap / 1000;
                seen.max_cpu = cpu;
            }
            displaced = so_far;
            now = now_ns(); // asking took time of its own
        }
        before = now;
    }
    seen.spun_ms += (now - start) / 1e6;
    ++seen.cpus;
}

struct ping_pong {
    alignas(64) std::atomic<std::uint32_t> turn{0};
    alignas(64) std::atomic<std::uint32_t> woken{0};
    std::vector<double>* ns = nullptr;
    std::atomic<double> called{0};
    int cpu = -1;
    std::uint32_t rounds = 0;

    static void sleep_while(std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept {
        while (word.load(std::memory_order_acquire) == value)
            ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), 128 /* FUTEX_WAIT_PRIVATE */, value, nullptr,
                      nullptr, 0);
    }
    static void wake(std::atomic<std::uint32_t>& word, std::uint32_t value) noexcept {
        word.store(value, std::memory_order_release);
        ::syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), 129 /* FUTEX_WAKE_PRIVATE */, 1, nullptr, nullptr,
                  0);
    }
    static void* sleeper(void* argument) {
        ping_pong& game = *static_cast<ping_pong*>(argument);
        const affinity_scope mine;
        if (game.cpu >= 0) static_cast<void>(mine.pin(game.cpu));
        for (std::uint32_t round = 0; round < game.rounds; ++round) {
            sleep_while(game.turn, round);
            if (game.turn.load(std::memory_order_acquire) == UINT32_MAX) break;
            game.ns->push_back(now_ns() - game.called.load(std::memory_order_relaxed));
            wake(game.woken, round + 1);
        }
        return nullptr;
    }
};

} // namespace detail::host

/// 10^6 reads of the monotonic clock in rows of 1000: the mean is what counts, the longest row what disturbed it.
[[nodiscard]] inline result<probe_times> time_clock_reads() {
    std::vector<double> ns;
    ns.reserve(1000);
    const double until = detail::host::now_ns() + 1e9;
    while (ns.size() < 1000 && (ns.empty() || detail::host::now_ns() < until)) {
        const double start = detail::host::now_ns();
        double last = start;
        for (int read = 0; read < 1000; ++read) last = detail::host::now_ns();
        ns.push_back((last - start) / 1000);
    }
    probe_times times = detail::host::times_of(ns);
    times.count *= 1000;
    return times;
}

/// 10^5 CPUIDs, for a second at most. Errors: unsupported on other CPUs than x86.
[[nodiscard]] inline result<probe_times> time_exits() {
#if defined(__x86_64__)
    return detail::host::time_each(100000, [] {
        unsigned a = 0, b = 0, c = 0, d = 0;
        __cpuid(0, a, b, c, d);
        asm volatile("" : : "r"(a), "r"(b), "r"(c), "r"(d)); // or the compiler leaves it out
    });
#else
    return error(errc::unsupported, "this CPU has no CPUID to time");
#endif
}

/// getppid, which no library answers by itself.
[[nodiscard]] inline result<probe_times> time_system_calls() {
    return detail::host::time_each(100000, [] { static_cast<void>(::syscall(SYS_getppid)); });
}

/// 2000 wake-ups of a thread on another CPU that has slept for a short while, half a second at most. With one CPU both are
/// on it. Errors: io when no thread can be started, unsupported when the system's futex does not work.
[[nodiscard]] inline result<probe_times> time_wake_ups(const std::vector<int>& cpus) {
    constexpr std::uint32_t rounds = 2000;
    std::vector<double> ns;
    ns.reserve(rounds);
    detail::host::ping_pong game;
    game.ns = &ns;
    game.rounds = rounds;
    const detail::host::affinity_scope mine;
    if (cpus.size() > 1 && mine.pin(cpus[0])) game.cpu = cpus[1];
    pthread_t thread{};
    if (const int native = ::pthread_create(&thread, nullptr, detail::host::ping_pong::sleeper, &game); native != 0)
        return error(errc::io, text::join({"no thread to wake: ", std::strerror(native)})).natively(native);
    const double until = detail::host::now_ns() + 0.5e9;
    std::uint32_t round = 0;
    for (; round < rounds && detail::host::now_ns() < until; ++round) {
        for (const double start = detail::host::now_ns(); detail::host::now_ns() - start < 50e3;) {
        } // it falls asleep
        game.called.store(detail::host::now_ns(), std::memory_order_relaxed);
        detail::host::ping_pong::wake(game.turn, round + 1);
        detail::host::ping_pong::sleep_while(game.woken, round);
    }
    if (round < rounds) detail::host::ping_pong::wake(game.turn, UINT32_MAX);
    ::pthread_join(thread, nullptr);
    if (ns.empty()) return error(errc::unsupported, "no thread was woken in time");
    return detail::host::times_of(ns);
}

/// Spins on each CPU in turn, 1.2 s in all: 600 ms on each of two, 10 ms at least on each of many (then not on all). Without a
/// list, or where pinning is refused, wherever the system puts the thread.
[[nodiscard]] inline result<gap_times> time_gaps(const std::vector<int>& cpus) {
    constexpr double all_ns = 1.2e9, least_ns = 10e6;
    gap_times seen;
    const detail::host::affinity_scope mine;
    const std::size_t most = static_cast<std::size_t>(all_ns / least_ns);
    const std::size_t count = std::min(cpus.size(), most);
    for (std::size_t i = 0; i < count; ++i) {
        const int cpu = cpus[i * cpus.size() / count];
        if (mine.pin(cpu)) detail::host::spin(all_ns / static_cast<double>(count), cpu, seen);
    }
    if (seen.cpus == 0) detail::host::spin(all_ns, ::sched_getcpu(), seen);
    return seen;
}

BARELINK_END_NAMESPACE
