// NVL-02, DRV-04, GPU-02 and GPU-01: what a GPU's driver says of it, judged without CUDA.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/machine.hpp>
#include <barelink/measure/gpu_checks/check_sheet.hpp>

BARELINK_BEGIN_NAMESPACE

inline constexpr const char* device_check_ids[] = {"NVL-02", "DRV-04", "GPU-02", "GPU-01", "VRT-07"};

/// One GPU as the driver shows it. Attributes: -1 is unknown.
struct device_report {
    std::string gpu;          ///< `gpu:0`
    double first_us = 0;      ///< until its first context was there
    bool fabric_down = false; ///< CUDA error 802
    std::string why;          ///< why it could not be started; empty when it was
    int ecc = -1;
    int compute_mode = -1; ///< 0 default, 2 prohibited, 3 one process
    int mps = -1;
    int mig = -1;
};

[[nodiscard]] inline std::vector<finding> check_fabric(const machine& m, const std::vector<device_report>& all) {
    detail::probes::check_sheet sheet("NVL-02", "CUDA starts every GPU without error 802 (system not yet initialized)");
    const bool nvswitch = m.count(node_kind::nvswitch) > 0;
    for (const device_report& each : all) {
        if (each.fabric_down) {
            finding& down = sheet.add(severity::fail, each.gpu, "CUDA error 802: " + each.why);
            down.cost = "no CUDA program runs on this GPU";
            down.remedy = "start nvidia-fabricmanager of exactly the driver's version, and read its log";
            down.reaction = "nothing is planned over these GPUs while CUDA does not show them";
        } else if (!each.why.empty()) {
            sheet.unknown(each.gpu, each.why);
        } else {
            sheet.ok(each.gpu, nvswitch ? "starts, behind NVSwitch" : "starts; there is no NVSwitch");
        }
    }
    return std::move(sheet).take("no GPU is listed");
}

/// One finding for the first GPU, whose start is also the driver's; the others' starts are told with it.
[[nodiscard]] inline std::vector<finding> check_cold_start(const std::vector<device_report>& all) {
    constexpr double slow_us = 3e6;
    detail::probes::check_sheet sheet("DRV-04", "the first context of a process within 3 s (project choice)");
    double slowest_us = 0, sum_us = 0;
    std::size_t started = 0;
    for (const device_report& each : all) {
        if (!each.why.empty()) {
            sheet.unknown(each.gpu, each.why);
            continue;
        }
        ++started;
        sum_us += each.first_us;
        slowest_us = std::max(slowest_us, each.first_us);
    }
    if (started > 0) {
        const std::string evidence = detail::probes::decimal(slowest_us * 1e-3) + " ms for the slowest of " +
                                     std::to_string(started) + " first contexts, " +
                                     detail::probes::decimal(sum_us * 1e-3) + " ms for all one after the other";
        if (slowest_us <= slow_us) {
            sheet.ok("", evidence);
        } else {
            finding& slow = sheet.add(severity::warn, "", evidence);
            slow.cost = "every start of a process waits for it";
            slow.remedy = "run nvidia-persistenced, so that the driver stays loaded; list only the GPUs that are used";
            slow.reaction = "contexts are only made on GPUs that a copy needs";
        }
    }
    return std::move(sheet).take("no GPU is listed");
}

[[nodiscard]] inline std::vector<finding> check_ecc(const std::vector<device_report>& all) {
    detail::probes::check_sheet sheet("GPU-02", "on");
    for (const device_report& each : all) {
        if (each.ecc < 0)
            sheet.unknown(each.gpu, each.why.empty() ? "CUDA does not say" : each.why);
        else if (each.ecc == 0)
            sheet.info(each.gpu, "off or not there: errors in memory go unnoticed");
        else
            sheet.ok(each.gpu, "on");
    }
    return std::move(sheet).take("no GPU is listed");
}

/// GPU-01 as CUDA sees it, beside what files tell.
[[nodiscard]] inline std::vector<finding> check_sharing(const std::vector<device_report>& all) {
    detail::probes::check_sheet sheet("GPU-01", "a whole GPU, not through MPS, for any process");
    for (const device_report& each : all) {
        if (each.mig < 0 || each.compute_mode < 0) {
            sheet.unknown(each.gpu, each.why.empty() ? "CUDA does not say" : each.why);
            continue;
        }
        std::string signs;
        const auto sign = [&](const char* what) { signs += (signs.empty() ? "" : "; ") + std::string(what); };
        if (each.mig == 1) sign("is a MIG instance");
        if (each.mps == 1) sign("its contexts go through an MPS server");
        if (each.compute_mode == 2) sign("its compute mode lets no process use it");
        if (each.compute_mode == 3) sign("its compute mode lets one process use it");
        if (signs.empty()) {
            sheet.ok(each.gpu, "a whole GPU, no MPS, default compute mode");
            continue;
        }
        const bool mine_alone = each.mig == 0 && each.mps != 1 && each.compute_mode == 3;
        finding& shared = sheet.add(mine_alone ? severity::info : severity::warn, each.gpu, signs);
        shared.cost = "a part of the GPU's bandwidth and copy engines, or a server between; not quantified";
        shared.remedy =
            "give the process a whole GPU without MPS where bandwidth counts (nvidia-smi -mig 0, -c DEFAULT)";
        shared.reaction = "MIG instances get no direct path";
    }
    return std::move(sheet).take("no GPU is listed");
}

BARELINK_END_NAMESPACE
