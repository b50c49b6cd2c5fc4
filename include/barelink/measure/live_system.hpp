// This machine as checks see it.
#pragma once

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <barelink/measure/system_view.hpp>
#include <barelink/measure/timing_probes.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail::host {

/// The functions of this machine. Their context is a C string that stands before every path, or nullptr: for trees of files
/// that were copied from another machine.
struct live_calls {
    static std::string under(const void* root, const char* path) {
        return root ? std::string(static_cast<const char*>(root)) + path : std::string(path);
    }

    static result<std::string> read(const void* root, const char* path) {
        constexpr std::size_t most = 256 * 1024;
        // A pipe or a device that blocks must not: nothing is read that is no file.
        const int file = ::open(under(root, path).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (file < 0) return unreadable(path, errno);
        std::string text;
        int native = 0;
        char block[4096];
        while (text.size() < most) {
            const ssize_t got = ::read(file, block, sizeof block);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) native = errno;
            if (got <= 0) break;
            text.append(block, static_cast<std::size_t>(got));
        }
        ::close(file);
        if (native != 0) return unreadable(path, native);
        while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) text.pop_back();
        return text;
    }
    static result<std::vector<std::string>> list(const void* root, const char* path) {
        DIR* folder = ::opendir(under(root, path).c_str());
        if (!folder) return unreadable(path, errno);
        std::vector<std::string> names;
        while (const dirent* entry = ::readdir(folder))
            if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
                names.emplace_back(entry->d_name);
        ::closedir(folder);
        std::sort(names.begin(), names.end());
        return names;
    }
    static result<std::string> resolve(const void* root, const char* path) {
        char* real = ::realpath(under(root, path).c_str(), nullptr);
        if (!real) return unreadable(path, errno);
        std::string found = real;
        std::free(real);
        if (root && found.rfind(static_cast<const char*>(root), 0) == 0)
            found.erase(0, std::strlen(static_cast<const char*>(root)));
        return found;
    }
    static status find(const void* root, const char* path) {
        struct stat about {};
        if (::stat(under(root, path).c_str(), &about) != 0) return unreadable(path, errno);
        return {};
    }
    static result<file_system_space> space(const void* root, const char* path) {
        struct statvfs about {};
        if (::statvfs(under(root, path).c_str(), &about) != 0) return unreadable(path, errno);
        return file_system_space{std::uint64_t{about.f_blocks} * about.f_frsize,
                                 std::uint64_t{about.f_bavail} * about.f_frsize};
    }
    static result<cpuid_registers> cpuid(const void*, [[maybe_unused]] std::uint32_t leaf,
                                         [[maybe_unused]] std::uint32_t subleaf) {
#if defined(__x86_64__)
        cpuid_registers read;
        __cpuid_count(leaf, subleaf, read.eax, read.ebx, read.ecx, read.edx);
        return read;
#else
        return error(errc::unsupported, "this CPU has no CPUID");
#endif
    }
    static result<std::string> environment(const void*, const char* name) {
        const char* value = std::getenv(name);
        if (!value) return error(errc::not_found, text::join({name, " is not set"}));
        return std::string(value);
    }
    static result<std::vector<int>> allowed_cpus(const void*) {
        constexpr std::size_t most = 8192; // the kernel's largest NR_CPUS; cpu_set_t holds 1024
        unsigned long words[most / (8 * sizeof(unsigned long))] = {};
        const long bytes = ::syscall(SYS_sched_getaffinity, 0l, sizeof words, words);
        if (bytes <= 0)
            return error(errc::io, text::join({"sched_getaffinity: ", std::strerror(errno)})).natively(errno);
        std::vector<int> cpus;
        constexpr std::size_t word_bits = 8 * sizeof(unsigned long);
        for (std::size_t cpu = 0; cpu < most; ++cpu)
            if ((words[cpu / word_bits] >> (cpu % word_bits) & 1) != 0) cpus.push_back(static_cast<int>(cpu));
        return cpus;
    }
    static result<std::uint64_t> locked_memory(const void*) {
        rlimit limit{};
        if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
            return error(errc::io, text::join({"getrlimit: ", std::strerror(errno)})).natively(errno);
        return limit.rlim_cur == RLIM_INFINITY ? system_view::unlimited : std::uint64_t{limit.rlim_cur};
    }
    static status bind_memory(const void*) {
        const long page = ::sysconf(_SC_PAGESIZE);
        const std::size_t bytes = page > 0 ? static_cast<std::size_t>(page) : 4096;
        void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED) return error(errc::out_of_memory, "no page to bind");
        // The policy that is there anyway: refused, when at all, for being the call that it is.
        int native = ::syscall(SYS_mbind, at, bytes, 0l, nullptr, 0ul, 0ul) == 0 ? 0 : errno;
        const char* call = "mbind: ";
        int node = 0;
        *static_cast<char*>(at) = 1;
        if (native == 0 && ::syscall(SYS_move_pages, 0l, 1ul, &at, nullptr, &node, 0l) != 0) {
            native = errno;
            call = "move_pages: ";
        }
        ::munmap(at, bytes);
        if (native == 0) return {};
        const errc code = native == EPERM || native == EACCES ? errc::not_permitted
                          : native == ENOSYS                  ? errc::unsupported
                                                              : errc::io;
        return error(code, text::join({call, std::strerror(native)})).natively(native);
    }
    static result<probe_times> clock_reads(const void*) {
        return time_clock_reads();
    }
    static result<probe_times> exits(const void*) {
        return time_exits();
    }
    static result<probe_times> system_calls(const void*) {
        return time_system_calls();
    }
    static result<probe_times> wake_ups(const void* root) {
        const result<std::vector<int>> cpus = allowed_cpus(root);
        return time_wake_ups(cpus ? *cpus : std::vector<int>());
    }
    static result<gap_times> gaps(const void* root) {
        const result<std::vector<int>> cpus = allowed_cpus(root);
        return time_gaps(cpus ? *cpus : std::vector<int>());
    }
};

inline constexpr system_functions live_functions{
    &live_calls::read,          &live_calls::list,        &live_calls::resolve,     &live_calls::find,
    &live_calls::space,         &live_calls::cpuid,       &live_calls::environment, &live_calls::allowed_cpus,
    &live_calls::locked_memory, &live_calls::bind_memory, &live_calls::clock_reads, &live_calls::exits,
    &live_calls::system_calls,  &live_calls::wake_ups,    &live_calls::gaps};

} // namespace detail::host

/// This machine. With `root`, a folder's path that outlives the view, files are looked for below it and everything else is
/// still this machine's.
[[nodiscard]] inline system_view live_system(const char* root = nullptr) noexcept {
    return {detail::host::live_functions, root};
}

BARELINK_END_NAMESPACE
