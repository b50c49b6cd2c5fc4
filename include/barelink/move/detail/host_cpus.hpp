// The CPUs of a NUMA node, and threads bound to them. Private to move.
#pragma once

#include <cstdint>
#include <cstdio>

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <barelink/core/ids.hpp>
#include <barelink/move/detail/system_file.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// CPUs by number, or nodes. Wider than cpu_set_t, whose 1024 are too few for the kernel of some servers.
struct cpu_mask {
    static constexpr std::uint64_t most = 8192;
    static constexpr std::uint64_t word_bits = 8 * sizeof(unsigned long);
    unsigned long words[most / word_bits]{};

    void add(std::uint64_t cpu) noexcept {
        if (cpu < most) words[cpu / word_bits] |= 1ul << (cpu % word_bits);
    }
    [[nodiscard]] bool has(std::uint64_t cpu) const noexcept {
        return cpu < most && (words[cpu / word_bits] >> (cpu % word_bits) & 1) != 0;
    }
    [[nodiscard]] unsigned count() const noexcept {
        unsigned found = 0;
        for (const unsigned long word : words) found += static_cast<unsigned>(__builtin_popcountl(word));
        return found;
    }
    friend cpu_mask operator&(cpu_mask a, const cpu_mask& b) noexcept {
        for (std::uint64_t w = 0; w < most / word_bits; ++w) a.words[w] &= b.words[w];
        return a;
    }
    friend bool operator==(const cpu_mask&, const cpu_mask&) noexcept = default;
};

/// Reads a list as the kernel writes it, `0-15,32-47`. What does not read as one is left out.
[[nodiscard]] inline cpu_mask read_cpu_list(const char* text) noexcept {
    cpu_mask found;
    for (std::uint64_t first = 0; read_number(text, first);) {
        std::uint64_t last = first;
        if (*text == '-' && !read_number(++text, last)) break;
        for (std::uint64_t cpu = first; cpu <= last && cpu < cpu_mask::most; ++cpu) found.add(cpu);
        if (*text++ != ',') break;
    }
    return found;
}

/// The CPUs of a node; none for a node that has none, is not there or is unknown.
[[nodiscard]] inline cpu_mask cpus_of(numa_id node) noexcept {
    char path[64], list[4096];
    std::snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist", node.value);
    return node.value >= 0 && read_system_file(path, list) ? read_cpu_list(list) : cpu_mask{};
}

/// The nodes that hold memory or CPUs; none when the kernel does not tell.
[[nodiscard]] inline cpu_mask nodes_online() noexcept {
    char list[4096];
    return read_system_file("/sys/devices/system/node/online", list) ? read_cpu_list(list) : cpu_mask{};
}

/// The CPUs that the calling thread may run on.
[[nodiscard]] inline cpu_mask allowed_cpus() noexcept {
    cpu_mask found;
    if (::sched_getaffinity(0, sizeof found.words, reinterpret_cast<cpu_set_t*>(found.words)) != 0) found = {};
    return found;
}

/// What became of a thread.
enum class thread_made : std::uint8_t { no, unbound, bound };

/// Starts a thread on `cpus`, anywhere when that is an empty set or the kernel refuses. It takes no signals: those are the
/// program's own affair. The caller joins it.
[[nodiscard]] inline thread_made make_thread(pthread_t& thread, const cpu_mask& cpus, void* (*body)(void*),
                                             void* context) noexcept {
    sigset_t all, before;
    sigfillset(&all);
    if (::pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return thread_made::no;
    thread_made made = thread_made::no;
    pthread_attr_t attributes;
    if (cpus.count() > 0 && ::pthread_attr_init(&attributes) == 0) {
        const auto* set = reinterpret_cast<const cpu_set_t*>(cpus.words);
        if (::pthread_attr_setaffinity_np(&attributes, sizeof cpus.words, set) == 0 &&
            ::pthread_create(&thread, &attributes, body, context) == 0)
            made = thread_made::bound;
        ::pthread_attr_destroy(&attributes);
    }
    if (made == thread_made::no && ::pthread_create(&thread, nullptr, body, context) == 0) made = thread_made::unbound;
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return made;
}

} // namespace detail
BARELINK_END_NAMESPACE
