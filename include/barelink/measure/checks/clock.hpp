// VRT-05: what reading the clock costs. First of all checks: a slow clock spoils every other timing.
#pragma once

#include <string>

#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

/// Below it a clock reads the CPU's counter in user space; hpet and acpi_pm ask a device: 1.5 to 3 us (published).
inline constexpr double fast_clock_ns = 150, slow_clock_ns = 1000;

/// The verdict is the measured cost's, the median because a busy machine is no slow clock; a name of a slow clock can only make it worse.
[[nodiscard]] inline findings check_clock(const doctor_scene& scene) {
    finding f = finding_of("VRT-05");
    f.limit = "below 150 ns a read (project choice); hpet and acpi_pm take 1.5 to 3 us (published)";
    const result<std::string> name =
        scene.system.read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    const result<probe_times> cost = scene.system.clock_reads();
    const bool named_slow = name && (*name == "hpet" || *name == "acpi_pm" || *name == "jiffies" || *name == "pit");
    f.evidence = name ? "current_clocksource is " + *name : std::string(name.error().what());
    if (cost)
        f.evidence += "; a read takes " + detail::host::figure(cost->p50_ns) + " ns (" + std::to_string(cost->count) +
                      " in rows of 1000, the median row)";
    else
        f.evidence += std::string("; a read was not timed: ") + cost.error().what();

    if (!cost)
        f.level = named_slow ? severity::fail : severity::unknown;
    else if (cost->p50_ns >= slow_clock_ns)
        f.level = severity::fail;
    else if (cost->p50_ns >= fast_clock_ns || named_slow)
        f.level = severity::warn;
    else
        f.level = severity::ok;
    if (f.level >= severity::warn) {
        f.cost =
            "1.5 to 3 us for each of an engine's time stamps and of its timed waits (published for hpet and acpi_pm)";
        f.remedy = "give the guest an invariant TSC (or kvm-clock) and boot with clocksource=tsc; on metal find in the "
                   "kernel's log why it gave the TSC up";
        f.reaction = "timings state the clock's cost and are not to be trusted below it";
    }
    return {f};
}

BARELINK_END_NAMESPACE
