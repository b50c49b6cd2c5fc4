// VRT-07, the GPU's part: what a thread pays that sleeps until a copy is done, against one that spins.
#pragma once

#include <string>
#include <vector>

#include <barelink/measure/gpu_checks/check_sheet.hpp>
#include <barelink/measure/gpu_checks/copy_times.hpp>

BARELINK_BEGIN_NAMESPACE

/// Times of the same small copy, from the call until the wait for it returned, microseconds.
struct wait_times {
    std::string gpu;                        ///< `gpu:0`
    std::vector<double> blocking, spinning; ///< empty: no figure
    std::string why;
};

[[nodiscard]] inline std::vector<finding> check_waiting(const std::vector<wait_times>& all) {
    constexpr double slow_us = 50;
    detail::probes::check_sheet sheet(
        "VRT-07", "a thread that sleeps is back at most 50 us after one that spins (project choice)");
    for (const wait_times& each : all) {
        if (each.blocking.empty() || each.spinning.empty()) {
            sheet.unknown(each.gpu, "waits for the GPU were not measured: " + each.why);
            continue;
        }
        const double asleep = quantile(each.blocking, 0.5), awake = quantile(each.spinning, 0.5);
        const std::string evidence = "a small copy and the wait for it take " + detail::probes::decimal(asleep) +
                                     " us asleep and " + detail::probes::decimal(awake) + " us spinning";
        if (asleep - awake <= slow_us) {
            sheet.ok(each.gpu, evidence, awake / asleep);
            continue;
        }
        finding& slow = sheet.add(severity::warn, each.gpu, evidence);
        slow.cost = detail::probes::decimal(asleep - awake) + " us for every step that sleeps until the GPU is done";
        slow.remedy =
            "idle states (CPU-02) and the hypervisor's halt polling; or let threads spin (cudaDeviceScheduleSpin)";
        slow.reaction = "none: the mover's waits spin";
    }
    return std::move(sheet).take("no GPU is listed");
}

BARELINK_END_NAMESPACE
