// How a check sees the system: files, CPUID, environment, limits and timing probes behind one table of functions, so that
// tests show it another system.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <barelink/core/result.hpp>

BARELINK_BEGIN_NAMESPACE

struct cpuid_registers {
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

/// Size of a file system, bytes.
struct file_system_space {
    std::uint64_t total = 0;
    std::uint64_t free = 0;
};

/// Times of one operation, nanoseconds each; what reading the clock costs is taken off.
struct probe_times {
    std::uint64_t count = 0;
    double mean_ns = 0, p50_ns = 0, p99_ns = 0, p999_ns = 0, max_ns = 0;
};

/// Times in which a spinning thread did not run, over one or several CPUs one after the other.
struct gap_times {
    std::uint64_t cpus = 0;      ///< that were looked at
    double spun_ms = 0;          ///< on all of them
    std::uint64_t gaps = 0;      ///< over 10 us
    double max_us = 0;           ///< the longest in which this system ran nothing else on that CPU
    int max_cpu = -1;            ///< where it was
    std::uint64_t displaced = 0; ///< gaps in which this system ran another thread there
    double max_displaced_us = 0; ///< the longest of those
};

/// The error of a path that could not be read, from an errno. not_found (ENOENT, ENOTDIR), not_permitted (EACCES, EPERM), else io.
[[nodiscard]] inline error unreadable(const char* path, int native) {
    if (native == ENOENT || native == ENOTDIR)
        return error(errc::not_found, text::join({path, " is not there"})).about(path).natively(native);
    return error(native == EACCES || native == EPERM ? errc::not_permitted : errc::io,
                 text::join({path, " cannot be read: ", std::strerror(native)}))
        .about(path)
        .natively(native);
}

/// The functions behind a `system_view`; each takes the view's context first. Errors of those that read: not_found (it is not
/// there), not_permitted (it is, or may be, and the system refuses), unsupported (this system has no such thing), io.
struct system_functions {
    result<std::string> (*read)(const void*, const char* path);
    result<std::vector<std::string>> (*list)(const void*, const char* path);
    result<std::string> (*resolve)(const void*, const char* path);
    status (*find)(const void*, const char* path);
    result<file_system_space> (*space)(const void*, const char* path);
    result<cpuid_registers> (*cpuid)(const void*, std::uint32_t leaf, std::uint32_t subleaf);
    result<std::string> (*environment)(const void*, const char* name);
    result<std::vector<int>> (*allowed_cpus)(const void*);
    result<std::uint64_t> (*locked_memory)(const void*);
    status (*bind_memory)(const void*);
    result<probe_times> (*clock_reads)(const void*);
    result<probe_times> (*exits)(const void*);
    result<probe_times> (*system_calls)(const void*);
    result<probe_times> (*wake_ups)(const void*);
    result<gap_times> (*gaps)(const void*);
};

/// A system to look at. Borrows `context`; the live one (`live_system.hpp`) has none. Paths are absolute. Text comes without
/// its last line break. Reads may be repeated: `/proc` changes.
class system_view {
public:
    static constexpr std::uint64_t unlimited = ~std::uint64_t{0};

    constexpr system_view(const system_functions& functions, const void* context) noexcept
        : calls_(&functions), context_(context) {}

    /// A small file, its first 256 KiB.
    [[nodiscard]] result<std::string> read(const std::string& path) const {
        return calls_->read(context_, path.c_str());
    }
    /// The names in a folder, sorted, without `.` and `..`.
    [[nodiscard]] result<std::vector<std::string>> list(const std::string& path) const {
        return calls_->list(context_, path.c_str());
    }
    /// Where a path leads when every link is followed.
    [[nodiscard]] result<std::string> resolve(const std::string& path) const {
        return calls_->resolve(context_, path.c_str());
    }
    /// Success when something has this name, readable or not.
    [[nodiscard]] status find(const std::string& path) const { return calls_->find(context_, path.c_str()); }
    [[nodiscard]] result<file_system_space> space(const std::string& path) const {
        return calls_->space(context_, path.c_str());
    }
    /// Errors: unsupported where the CPU has no CPUID.
    [[nodiscard]] result<cpuid_registers> cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) const {
        return calls_->cpuid(context_, leaf, subleaf);
    }
    /// Errors: not_found when the variable is not set.
    [[nodiscard]] result<std::string> environment(const char* name) const {
        return calls_->environment(context_, name);
    }
    /// CPUs this process may run on, in order.
    [[nodiscard]] result<std::vector<int>> allowed_cpus() const { return calls_->allowed_cpus(context_); }
    /// Bytes this process may lock, `unlimited` when there is no limit.
    [[nodiscard]] result<std::uint64_t> locked_memory() const { return calls_->locked_memory(context_); }
    /// Success when this process may say where its pages go. Errors: not_permitted (a seccomp profile), unsupported.
    [[nodiscard]] status bind_memory() const { return calls_->bind_memory(context_); }

    /// The timing probes: each blocks for up to about a second and keeps one CPU busy.
    [[nodiscard]] result<probe_times> clock_reads() const { return calls_->clock_reads(context_); }
    /// CPUID, which a hypervisor must answer. Errors: unsupported where the CPU has none.
    [[nodiscard]] result<probe_times> exits() const { return calls_->exits(context_); }
    [[nodiscard]] result<probe_times> system_calls() const { return calls_->system_calls(context_); }
    /// From the call that wakes a thread to that thread running, one way, through a futex.
    [[nodiscard]] result<probe_times> wake_ups() const { return calls_->wake_ups(context_); }
    [[nodiscard]] result<gap_times> gaps() const { return calls_->gaps(context_); }

private:
    const system_functions* calls_;
    const void* context_;
};

BARELINK_END_NAMESPACE
