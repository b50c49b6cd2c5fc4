// VRT-03, VRT-04, VRT-06, VRT-07: what a hypervisor and other guests take from a running thread, by clock.
#pragma once

#include <cstdint>
#include <string>

#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail::host {

[[nodiscard]] inline std::string times_text(const probe_times& t) {
    return "p50 " + figure(t.p50_ns / 1000) + " us, p99.9 " + figure(t.p999_ns / 1000) + " us, longest " +
           figure(t.max_ns / 1000) + " us over " + std::to_string(t.count);
}

} // namespace detail::host

/// VRT-04. CPUID must be answered by a hypervisor: what one exit costs. Without one it takes about 0.1 us.
[[nodiscard]] inline findings check_exits(const doctor_scene& scene) {
    const result<probe_times> cost = scene.system.exits();
    if (!cost) return {unknown_finding("VRT-04", cost.error().what())};
    finding f = finding_of("VRT-04");
    f.evidence = "CPUID takes " + detail::host::times_text(*cost);
    const double us = cost->p50_ns / 1000;
    if (scene.under.on_metal()) {
        // 100 to 250 cycles by the instruction tables; the limit leaves room for slow clocks of CPUs.
        f.limit = "without a hypervisor below 0.3 us (project choice)";
        f.level = us < 0.3 ? severity::ok : severity::warn;
        if (f.level == severity::warn) {
            f.evidence += ", although no hypervisor shows itself";
            f.remedy = "ask whether a hypervisor is hidden below: it changes what the driver allows between GPUs";
        }
        return {f};
    }
    f.limit = "0.44 to 0.72 us on average and 58 to 106 us at worst (published); warned of from twice that average "
              "on (project choice)";
    f.level = us <= 2 * 0.72 ? severity::ok : severity::warn;
    if (f.level == severity::warn) {
        f.cost =
            "each interrupt, timer and wake-up of a halted CPU costs one exit or more: " + detail::host::figure(us) +
            " us where 0.72 us is usual";
        f.remedy = "look for nested virtualisation and for mitigations that flush at every exit; pin the guest's CPUs";
    }
    return {f};
}

/// VRT-06. A thread that only spins and looks at the clock: time that it was not given. Gaps in which this system ran another
/// thread say that the machine is busy, and are warned of; the others are the platform's.
[[nodiscard]] inline findings check_jitter(const doctor_scene& scene) {
    const result<gap_times> seen = scene.system.gaps();
    if (!seen) return {unknown_finding("VRT-06", seen.error().what())};
    if (seen->cpus == 0 || !(seen->spun_ms > 0)) return {unknown_finding("VRT-06", "no CPU could be looked at")};
    finding f = finding_of("VRT-06");
    f.limit = "longest gap below 50 us ok, above 1 ms fails (project choice)";
    f.evidence = "spun " + detail::host::figure(seen->spun_ms) + " ms over " +
                 detail::host::counted(seen->cpus, "CPU", "CPUs") + ": " +
                 detail::host::counted(seen->gaps - seen->displaced, "gap", "gaps") +
                 " over 10 us without cause in this system";
    if (seen->max_us > 0)
        f.evidence +=
            ", the longest " + detail::host::figure(seen->max_us) + " us on CPU " + std::to_string(seen->max_cpu);
    if (seen->displaced > 0) {
        f.evidence += "; " + std::to_string(seen->displaced) +
                      " in which another thread of this system ran, the longest " +
                      detail::host::figure(seen->max_displaced_us) + " us";
        if (const result<std::string> load = scene.system.read("/proc/loadavg"))
            f.evidence += " (load " + load->substr(0, load->find(' ')) + ')';
    }
    const double longest = seen->max_us > seen->max_displaced_us ? seen->max_us : seen->max_displaced_us;
    f.level = seen->max_us > 1000 ? severity::fail : longest >= 50 ? severity::warn : severity::ok;
    if (f.level >= severity::warn) {
        const bool platform = seen->max_us >= 50;
        f.cost = "no P99 of a thread on these CPUs is better than such a gap: up to " +
                 detail::host::figure(platform ? seen->max_us : longest) + " us at once";
        if (platform)
            f.remedy =
                "give the guest whole cores of its own and keep its emulator's threads off them; on metal look for "
                "firmware interrupts (SMI)";
        if (seen->max_displaced_us >= 50)
            f.remedy += std::string(platform ? "; " : "") +
                        "other threads of this system took these CPUs: repeat when the "
                        "machine is idle, or give the application cores of its own";
    }
    return {f};
}

/// VRT-07, the host's part: a futex ping-pong between two CPUs. The GPU's part is a check of GPUs.
[[nodiscard]] inline findings check_wake_ups(const doctor_scene& scene) {
    const result<probe_times> cost = scene.system.wake_ups();
    if (!cost) return {unknown_finding("VRT-07", cost.error().what(), "futex")};
    finding f = finding_of("VRT-07", "futex");
    f.evidence = "waking a sleeping thread takes " + detail::host::times_text(*cost);
    f.limit = "p50 up to 20 us (project choice: idle CPUs of metal leave their first sleep states sooner)";
    f.level = cost->p50_ns <= 20e3 ? severity::ok : severity::warn;
    if (f.level == severity::warn) {
        f.cost = detail::host::figure(cost->p50_ns / 1000) + " us for each blocking wait, on top of what is waited for";
        f.remedy =
            "let the guest's idle CPUs poll (haltpoll) or keep them from deep sleep (idle=poll, cpu_dma_latency)";
        f.reaction = "tickets can be polled instead of waited for";
    }
    return {f};
}

/// VRT-03. Of the time that threads wanted to run, what the hypervisor gave to others, since the run began.
[[nodiscard]] inline findings check_stolen_time(const doctor_scene& scene) {
    if (!scene.cpu_before) return {unknown_finding("VRT-03", scene.cpu_before.error().what())};
    constexpr std::uint64_t enough = 100; // ticks: one stolen is 1 %
    const auto account = [&] {
        result<cpu_account> now = read_cpu_account(scene.system);
        if (!now || now->wanted >= scene.cpu_before->wanted + enough) return now;
        // Run alone: time is only stolen from threads that run.
        const result<gap_times> spun = scene.system.gaps();
        return spun ? read_cpu_account(scene.system) : now;
    };
    const result<cpu_account> after = account();
    if (!after) return {unknown_finding("VRT-03", after.error().what())};
    const std::uint64_t wanted =
        after->wanted < scene.cpu_before->wanted ? 0 : after->wanted - scene.cpu_before->wanted;
    const std::uint64_t stolen =
        after->stolen < scene.cpu_before->stolen ? 0 : after->stolen - scene.cpu_before->stolen;
    const std::string ticks = std::to_string(stolen) + " of " + std::to_string(wanted) + " ticks that threads wanted";
    if (wanted < enough)
        return {unknown_finding("VRT-03", "too few ticks of CPU time passed to judge by: " + ticks + " were stolen")};
    finding f = finding_of("VRT-03");
    const double percent = 100.0 * static_cast<double>(stolen) / static_cast<double>(wanted);
    const double ever =
        after->wanted == 0 ? 0 : 100.0 * static_cast<double>(after->stolen) / static_cast<double>(after->wanted);
    f.evidence = "/proc/stat: " + ticks + " were stolen during the run (" + detail::host::figure(percent) + " %), " +
                 detail::host::figure(ever) + " % since the system started";
    f.limit = "up to 0.1 % ok, above 1 % fails (project choice)";
    f.level = percent <= 0.1 ? severity::ok : percent <= 1 ? severity::warn : severity::fail;
    if (f.level >= severity::warn) {
        f.cost = detail::host::figure(percent) +
                 " % of the CPU time of every thread that feeds a GPU, in pieces of milliseconds";
        f.remedy =
            "the host runs more CPUs than it has: ask for dedicated CPUs, or pin the guest's to cores of its own";
    }
    return {f};
}

BARELINK_END_NAMESPACE
