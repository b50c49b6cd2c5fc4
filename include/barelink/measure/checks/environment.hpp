// ENV-01, ENV-02: variables that renumber GPUs, slow everything down or switch paths off.
#pragma once

#include <iterator>
#include <string>

#include <barelink/measure/checks/gpus.hpp>
#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

/// ENV-01. CUDA numbers GPUs by speed unless told otherwise: other tools count by PCI address.
[[nodiscard]] inline findings check_device_order(const doctor_scene& scene) {
    const result<std::string> order = scene.system.environment("CUDA_DEVICE_ORDER");
    const result<std::string> visible = scene.system.environment("CUDA_VISIBLE_DEVICES");
    for (const result<std::string>* each : {&order, &visible})
        if (!*each && each->error().code() != errc::not_found) return {unknown_finding("ENV-01", each->error().what())};
    finding f = finding_of("ENV-01");
    f.evidence = "CUDA_DEVICE_ORDER is " + (order ? *order : "not set") + ", CUDA_VISIBLE_DEVICES is " +
                 (visible ? (visible->empty() ? "empty" : *visible) : "not set");
    f.limit = "CUDA_DEVICE_ORDER=PCI_BUS_ID where GPUs differ; GPUs are visible";
    f.level = severity::ok;
    std::string first;
    bool differ = false;
    for (const node* gpu : detail::host::gpus_of(*scene.on)) {
        if (first.empty()) first = gpu->name;
        differ = differ || gpu->name != first;
    }
    if (visible && (visible->empty() || visible->front() == '-')) {
        f.level = severity::warn;
        f.evidence += ": no GPU is visible to CUDA";
        f.cost = "no GPU at all";
        f.remedy = "unset CUDA_VISIBLE_DEVICES or list GPUs in it";
    } else if (differ && !(order && *order == "PCI_BUS_ID")) {
        f.level = severity::warn;
        f.evidence += ", and the GPUs are of different models";
        f.cost = "numbers name other GPUs than other tools' numbers do; not quantified";
        f.remedy = "export CUDA_DEVICE_ORDER=PCI_BUS_ID";
        f.reaction = "GPUs are matched by PCI address, never by number";
    } else if (visible) {
        f.level = severity::info;
    }
    return {f};
}

/// A variable, the value that is judged (nullptr: any but empty, 0 and off) and what it does.
struct debugging_variable {
    const char* name;
    const char* value;
    severity level;
    const char* what;
};

/// Meanings: the CUDA programming guide's and NCCL's lists of environment variables.
inline constexpr debugging_variable debugging_variables[] = {
    {"CUDA_LAUNCH_BLOCKING", nullptr, severity::fail, "every kernel launch waits for its end: no copy runs beside it"},
    {"CUDA_DEVICE_MAX_CONNECTIONS", "1", severity::warn, "all streams share one hardware queue"},
    {"CUDA_FORCE_PTX_JIT", nullptr, severity::warn, "kernels are compiled at start"},
    {"CUDA_CACHE_DISABLE", nullptr, severity::warn, "compiled kernels are not kept"},
    {"CUDA_INJECTION64_PATH", nullptr, severity::warn, "a profiler or debugger is loaded into CUDA"},
    {"CUDA_DISABLE_PERF_BOOST", nullptr, severity::warn, "clocks are not raised for compute"},
    {"NCCL_P2P_DISABLE", nullptr, severity::warn, "NCCL does not copy between GPUs directly"},
    {"NCCL_P2P_LEVEL", "LOC", severity::warn, "NCCL does not copy between GPUs directly"},
    {"NCCL_SHM_DISABLE", nullptr, severity::warn, "NCCL goes through the network between processes"},
    {"NCCL_NVLS_ENABLE", "0", severity::warn, "NCCL does not reduce in the NVSwitch"},
    {"NCCL_IB_DISABLE", nullptr, severity::warn, "NCCL does not use InfiniBand or RoCE"},
    {"NCCL_NET_GDR_LEVEL", "LOC", severity::warn, "NICs do not read GPU memory directly"},
    {"NCCL_DEBUG", "TRACE", severity::warn, "NCCL writes a line for each step"},
    {"PYTORCH_NO_CUDA_MEMORY_CACHING", nullptr, severity::warn, "PyTorch asks the driver for each tensor's memory"},
};

/// ENV-02: a finding for each variable that is set to harm, or one that is ok.
[[nodiscard]] inline findings check_debugging(const doctor_scene& scene) {
    findings all;
    for (const debugging_variable& each : debugging_variables) {
        const result<std::string> set = scene.system.environment(each.name);
        if (!set && set.error().code() != errc::not_found) return {unknown_finding("ENV-02", set.error().what())};
        if (!set) continue;
        const bool harms =
            each.value ? *set == each.value : !set->empty() && *set != "0" && *set != "off" && *set != "OFF";
        if (!harms) continue;
        finding f = finding_of("ENV-02", each.name);
        f.level = each.level;
        f.evidence = std::string(each.name) + '=' + *set + ": " + each.what;
        f.limit = "not set to this in production (project choice)";
        f.remedy = std::string("unset ") + each.name;
        all.push_back(std::move(f));
    }
    if (!all.empty()) return all;
    finding f = finding_of("ENV-02");
    f.level = severity::ok;
    f.evidence = "none of " + std::to_string(std::size(debugging_variables)) +
                 " variables of CUDA, NCCL and PyTorch is set to harm";
    f.limit = "none";
    return {f};
}

BARELINK_END_NAMESPACE
