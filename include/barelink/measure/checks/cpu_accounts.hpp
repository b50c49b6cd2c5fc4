// Counters that are read when a run begins and when it ends: CPU time and throttling.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <barelink/measure/detail/scan.hpp>
#include <barelink/measure/system_view.hpp>

BARELINK_BEGIN_NAMESPACE

/// CPU time of all CPUs since the system started, in the kernel's ticks (10 ms on Linux).
struct cpu_account {
    std::uint64_t wanted = 0; ///< ran, or would have run: all but idle and waiting for I/O
    std::uint64_t stolen = 0; ///< of those, the hypervisor ran something else
};

/// From /proc/stat. Errors: those of reading, parse.
[[nodiscard]] inline result<cpu_account> read_cpu_account(const system_view& system) {
    const result<std::string> text = system.read("/proc/stat");
    if (!text) return text.error();
    // user nice system idle iowait irq softirq steal guest guest_nice; the last two are in the first two already.
    std::uint64_t ticks[8] = {};
    if (text->rfind("cpu ", 0) != 0) return error(errc::parse, "/proc/stat has no line of all CPUs");
    const char* at = text->c_str() + 4;
    for (std::uint64_t& each : ticks) {
        char* end = nullptr;
        each = std::strtoull(at, &end, 10);
        if (end == at) return error(errc::parse, "/proc/stat does not tell stolen time");
        at = end;
    }
    return cpu_account{ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7], ticks[7]};
}

/// The CPU limits of the control groups that this process is in.
struct quota_account {
    double cpus = 0;             ///< CPUs' worth of time it may use; 0: no limit
    std::string file;            ///< where the tightest limit stands, or what says that there is none
    std::uint64_t periods = 0;   ///< in which the group ran, since it was made
    std::uint64_t throttled = 0; ///< of those, in which it was stopped
};

namespace detail::host {

/// The path of the group of a hierarchy, from /proc/self/cgroup; version 2 has no controllers' names.
[[nodiscard]] inline bool group_of(const std::string& text, std::string_view controller, std::string& path) {
    bool found = false;
    for_lines(text, [&](std::string_view line) {
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
        if (found || second == std::string_view::npos) return;
        const std::string_view controllers = line.substr(first + 1, second - first - 1);
        bool here = controller.empty() ? controllers.empty() : false;
        if (!controller.empty())
            for_words(
                controllers, [&](std::string_view each) { here = here || each == controller; }, ",");
        if (!here) return;
        found = true;
        path = std::string(line.substr(second + 1));
    });
    return found;
}

/// Looks at one group's files; false when it has none of them.
[[nodiscard]] inline bool read_group(const system_view& system, const std::string& folder, bool first_version,
                                     quota_account& into) {
    double cpus = 0;
    std::string file;
    if (first_version) {
        file = folder + "/cpu.cfs_quota_us";
        const result<std::string> quota = system.read(file), period = system.read(folder + "/cpu.cfs_period_us");
        long long used = 0, of = 0;
        if (!quota || !parse(*quota, used)) return false;
        if (used > 0 && (!period || !parse(*period, of) || of <= 0)) return false;
        if (used > 0) cpus = static_cast<double>(used) / static_cast<double>(of);
    } else {
        file = folder + "/cpu.max";
        const result<std::string> limit = system.read(file);
        if (!limit) return false;
        char* end = nullptr;
        const double used = std::strtod(limit->c_str(), &end);
        if (end == limit->c_str() && limit->rfind("max", 0) != 0) return false;
        if (end != limit->c_str()) {
            const double of = std::strtod(end, nullptr);
            if (!(of > 0)) return false;
            cpus = used / of;
        }
    }
    if (into.file.empty() || (cpus > 0 && (into.cpus == 0 || cpus < into.cpus))) {
        into.cpus = cpus;
        into.file = file;
    }
    if (const result<std::string> counted = system.read(folder + "/cpu.stat")) {
        std::uint64_t periods = 0, throttled = 0;
        if (counter(*counted, "nr_periods", periods)) into.periods += periods;
        if (counter(*counted, "nr_throttled", throttled)) into.throttled += throttled;
    }
    return true;
}

/// Whether a group's list of processes has this one.
[[nodiscard]] inline bool is_in_group(const system_view& system, const std::string& folder) {
    const result<std::string> self = system.read("/proc/self/stat"), list = system.read(folder + "/cgroup.procs");
    return self && list && has_word(*list, self->substr(0, self->find(' ')));
}

} // namespace detail::host

/// From the group of this process up to the root, in version 2 or 1. In a container the group's own folder may be the root of
/// what is mounted. Errors: those of reading /proc/self/cgroup; not_found when no group's limit can be read.
[[nodiscard]] inline result<quota_account> read_quota_account(const system_view& system) {
    const result<std::string> groups = system.read("/proc/self/cgroup");
    if (!groups) return groups.error();
    quota_account seen;
    bool any = false;
    const auto climb = [&](const std::string& root, std::string path, bool first_version) {
        while (!path.empty() && path.back() == '/') path.pop_back();
        for (;;) {
            if (detail::host::read_group(system, root + path, first_version, seen)) any = true;
            if (path.empty()) return;
            path.erase(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
        }
    };
    std::string path;
    if (detail::host::group_of(*groups, "cpu", path)) {
        climb("/sys/fs/cgroup/cpu", path, true);
        if (!any) climb("/sys/fs/cgroup/cpu,cpuacct", path, true);
    }
    if (!any && detail::host::group_of(*groups, "", path)) {
        while (!path.empty() && path.back() == '/') path.pop_back();
        climb("/sys/fs/cgroup", path, false);
        // The real root has the controller and no cpu.max: then no group on the way has a limit. What is mounted must be
        // where this process is: a container may be shown its host's groups, and its own as "/".
        const result<std::string> root = system.read("/sys/fs/cgroup/cgroup.controllers");
        if (!any && root && detail::host::has_word(*root, "cpu") &&
            detail::host::is_in_group(system, "/sys/fs/cgroup" + path)) {
            seen.file = "no cpu.max from /sys/fs/cgroup" + path + " up to the root";
            any = true;
        }
    }
    if (!any) return error(errc::not_found, "no CPU limit of a control group can be read below /sys/fs/cgroup");
    return seen;
}

BARELINK_END_NAMESPACE
