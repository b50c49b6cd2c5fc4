// CPU-01, CPU-02, CPU-03: frequency, sleep states and quotas of the CPUs that feed the GPUs.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail::host {

/// Why the files of a CPU are not there.
[[nodiscard]] inline std::string who_decides(const doctor_scene& scene, const error& why) {
    return std::string(why.what()) + (scene.under.where == hosting::virtual_machine ? "; the host decides" : "");
}

} // namespace detail::host

/// CPU-01.
[[nodiscard]] inline findings check_governor(const doctor_scene& scene) {
    const result<std::vector<int>> cpus = scene.system.allowed_cpus();
    if (!cpus) return {unknown_finding("CPU-01", cpus.error().what())};
    std::vector<std::pair<std::string, std::size_t>> seen;
    std::string first;
    error why(errc::not_found, "no CPU to look at"); // or the first one's reason
    bool refused = false;
    for (const int cpu : *cpus) {
        const std::string file = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/cpufreq/scaling_governor";
        const result<std::string> governor = scene.system.read(file);
        if (!governor) {
            if (!refused) why = governor.error();
            refused = true;
            continue;
        }
        if (first.empty()) first = file;
        const auto known =
            std::find_if(seen.begin(), seen.end(), [&](const auto& each) { return each.first == *governor; });
        if (known == seen.end())
            seen.emplace_back(*governor, 1);
        else
            ++known->second;
    }
    if (seen.empty()) return {unknown_finding("CPU-01", detail::host::who_decides(scene, why))};
    finding f = finding_of("CPU-01");
    f.limit = "performance on every CPU (project choice)";
    f.level = severity::ok;
    for (const auto& [name, count] : seen) {
        f.evidence += (f.evidence.empty() ? "" : ", ") + name + " on " + detail::host::counted(count, "CPU", "CPUs");
        if (name != "performance") f.level = severity::warn;
    }
    f.evidence += " (" + first + (cpus->size() > 1 ? " and the others)" : ")");
    if (f.level == severity::warn) {
        f.cost = "threads that copy and submit run at low frequency after each pause; not quantified";
        f.remedy = "cpupower frequency-set -g performance";
    }
    return {f};
}

/// CPU-02. How long a CPU takes to wake from the deepest state that it may enter.
[[nodiscard]] inline findings check_idle_states(const doctor_scene& scene) {
    const result<std::vector<int>> cpus = scene.system.allowed_cpus();
    if (!cpus || cpus->empty()) return {unknown_finding("CPU-02", cpus ? "no CPU to look at" : cpus.error().what())};
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpus->front()) + "/cpuidle";
    const result<std::vector<std::string>> states = scene.system.list(folder);
    if (!states) return {unknown_finding("CPU-02", detail::host::who_decides(scene, states.error()))};
    long long deepest = -1;
    std::string name;
    for (const std::string& state : *states) {
        const std::string at = detail::host::joined({folder, "/", state});
        const result<std::string> latency = scene.system.read(at + "/latency"),
                                  disabled = scene.system.read(at + "/disable");
        long long us = 0, off = 0;
        if (!latency || !detail::host::parse(*latency, us) || us < 0) continue;
        if (disabled && detail::host::parse(*disabled, off) && off != 0) continue;
        if (us <= deepest) continue;
        deepest = us;
        name = scene.system.read(at + "/name").value_or(state);
    }
    if (deepest < 0) return {unknown_finding("CPU-02", folder + " lists no state that is enabled")};
    finding f = finding_of("CPU-02");
    f.evidence = "the deepest state that is enabled is " + name + ", left in " + std::to_string(deepest) + " us (" +
                 folder + ')';
    f.limit = "up to 50 us (project choice)";
    f.level = deepest <= 50 ? severity::ok : severity::warn;
    if (f.level == severity::warn) {
        f.cost = "up to " + std::to_string(deepest) + " us for each wake-up of a CPU that slept";
        f.remedy = "disable the deep states (cpupower idle-set -D 50), or hold /dev/cpu_dma_latency open while serving";
    }
    return {f};
}

/// CPU-03. Throttled since the run began, or in more than 1 % of all periods: fails.
[[nodiscard]] inline findings check_cpu_quota(const doctor_scene& scene) {
    const result<quota_account> now = read_quota_account(scene.system);
    if (!now) return {unknown_finding("CPU-03", now.error().what())};
    finding f = finding_of("CPU-03");
    f.limit = "never throttled; more than 1 % of the periods fails (project choice)";
    f.evidence = now->cpus > 0 ? now->file + " allows " + detail::host::figure(now->cpus) + " CPUs"
                               : "no limit (" + now->file + ')';
    const std::uint64_t before = scene.quota_before ? scene.quota_before->throttled : now->throttled;
    const std::uint64_t during = now->throttled > before ? now->throttled - before : 0;
    if (now->periods > 0 || now->throttled > 0)
        f.evidence += "; throttled in " + std::to_string(now->throttled) + " of " +
                      detail::host::counted(now->periods, "period", "periods") + ", " + std::to_string(during) +
                      " during the run";
    const bool often = now->periods > 0 && now->throttled * 100 > now->periods;
    f.level = during > 0 || often ? severity::fail : now->throttled > 0 ? severity::warn : severity::ok;
    if (f.level >= severity::warn) {
        f.cost = "each time all threads stop for the rest of a period, usually up to 100 ms";
        f.remedy = "raise or remove the CPU limit of the container; keep requests, which do not throttle";
    }
    return {f};
}

BARELINK_END_NAMESPACE
