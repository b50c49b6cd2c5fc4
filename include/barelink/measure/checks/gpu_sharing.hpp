// GPU-01: whether GPUs are cut up (MIG) or shared through a server (MPS), as files and variables tell.
#pragma once

#include <string>
#include <vector>

#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

[[nodiscard]] inline findings check_gpu_sharing(const doctor_scene& scene) {
    finding f = finding_of("GPU-01");
    f.limit = "whole GPUs, not shared through a server";
    std::string signs;
    const auto sign = [&](const std::string& what) { signs += (signs.empty() ? "" : "; ") + what; };
    if (const result<std::string> visible = scene.system.environment("CUDA_VISIBLE_DEVICES");
        visible && detail::host::contains(*visible, "MIG-"))
        sign("CUDA_VISIBLE_DEVICES names a MIG instance");
    for (const char* variable :
         {"CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"})
        if (const result<std::string> set = scene.system.environment(variable))
            sign(std::string(variable) + '=' + *set);
    if (scene.system.find("/tmp/nvidia-mps/control")) sign("/tmp/nvidia-mps/control is there: an MPS server runs");

    const std::string folder = "/proc/driver/nvidia/capabilities";
    const result<std::vector<std::string>> capabilities = scene.system.list(folder);
    std::size_t gpus = 0;
    if (capabilities)
        for (const std::string& name : *capabilities) {
            if (name.rfind("gpu", 0) != 0) continue;
            ++gpus;
            const std::string mig = detail::host::joined({folder, "/", name, "/mig"});
            const result<std::vector<std::string>> instances = scene.system.list(mig);
            if (!instances) continue;
            std::size_t count = 0;
            for (const std::string& each : *instances) count += each.rfind("gi", 0) == 0;
            if (count > 0) sign(mig + " has " + detail::host::counted(count, "instance", "instances"));
        }
    if (!signs.empty()) {
        f.level = severity::warn;
        f.evidence = signs;
        f.cost =
            "a part of the GPU's memory bandwidth and copy engines, or a server between; MIG instances have no peer "
            "access; not quantified";
        f.remedy = "give the process a whole GPU without MPS where bandwidth counts";
        f.reaction = "calibrate measures what this process gets";
        return {f};
    }
    if (!capabilities) return {unknown_finding("GPU-01", capabilities.error().what())};
    if (gpus == 0) return {unknown_finding("GPU-01", folder + " lists no GPU")};
    f.level = severity::ok;
    f.evidence = "no MIG instance below " + folder + ", no variable and no pipe of MPS";
    return {f};
}

BARELINK_END_NAMESPACE
