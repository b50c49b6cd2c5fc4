// What a tax report belongs to: GPU model, driver, modes, host. Without root and without NVML: what they alone know is `unknown`.
#pragma once

#include <cctype>
#include <cstdint>
#include <string>

#include <barelink/core/version.hpp>
#include <barelink/measure/checks/hypervisor.hpp>
#include <barelink/measure/live_system.hpp>
#include <barelink/measure/tax_report.hpp>

#include <fmt/format.h>

#include "system_facts.hpp"

namespace tool {

[[nodiscard]] inline std::string tool_version() {
    return fmt::format("barelink {}.{}.{}", BARELINK_VERSION_MAJOR, BARELINK_VERSION_MINOR, BARELINK_VERSION_PATCH);
}

/// The driver's version from the kernel module's line, `... x86_64  580.95.05  Wed ...`: the first word of digits with two
/// dots at most. Empty where there is none.
[[nodiscard]] inline std::string driver_version_of(const std::string& line) {
    for (std::size_t at = 0; at < line.size();) {
        const std::size_t end = std::min(line.find(' ', at), line.size());
        const std::string word = line.substr(at, end - at);
        const bool digits = !word.empty() && word.find_first_not_of("0123456789.") == std::string::npos;
        if (digits && word.front() != '.' && word.find('.') != std::string::npos) return word;
        at = end + 1;
    }
    return {};
}

#if BARELINK_TOOL_CUDA

namespace tax_subject_detail {

/// Of one GPU's own number: FNV-1a, 64 bits. The same GPU makes the same digest in a virtual machine and beside it; nobody can tell
/// the number from it by looking. Empty where CUDA shows no number.
[[nodiscard]] inline std::string digest_of(const cudaDeviceProp& gpu) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    bool known = false;
    for (const char each : gpu.uuid.bytes) {
        known = known || each != 0;
        hash = (hash ^ static_cast<unsigned char>(each)) * 0x100000001b3u;
    }
    return known ? fmt::format("{:016x}", hash) : std::string();
}

[[nodiscard]] inline std::string cuda_version(int number) {
    return number > 0 ? fmt::format("{}.{}", number / 1000, number % 1000 / 10) : std::string("unknown");
}

[[nodiscard]] inline std::string ecc_of(int device) {
    int on = 0;
    const cudaError_t code = cudaDeviceGetAttribute(&on, cudaDevAttrEccEnabled, device);
    (void)cudaGetLastError();
    return code != cudaSuccess ? "unknown" : on != 0 ? "on" : "off";
}

} // namespace tax_subject_detail

/// `device`: CUDA's number of the first GPU that is measured; `gpus`: how many are. Creates no context.
[[nodiscard]] inline barelink::tax_subject read_subject(int device, int gpus) {
    using namespace tax_subject_detail;
    barelink::tax_subject of;
    cudaDeviceProp gpu{};
    barelink::cuda::check(cudaGetDeviceProperties(&gpu, device), "asking what the GPU is").value();
    int driver = 0, runtime = 0;
    (void)cudaDriverGetVersion(&driver);
    (void)cudaRuntimeGetVersion(&runtime);
    of.gpu = gpu.name;
    of.gpus = gpus;
    of.driver = driver_version_of(detail::first_line_of("/proc/driver/nvidia/version"));
    if (of.driver.empty()) of.driver = "for CUDA " + cuda_version(driver);
    of.cuda = cuda_version(runtime);
    of.ecc = ecc_of(device);
    // CUDA shows the slices of a GPU that is cut up, and says so in their names, instead of the GPU.
    of.mig = of.gpu.find("MIG") != std::string::npos ? "on" : "off";
    of.power_cap = "unknown";
    of.host = digest_of(gpu);
    of.cpu = detail::cpu_model();
    of.hypervisor = barelink::read_virtualization(barelink::live_system()).name;
    if (of.hypervisor.empty()) of.hypervisor = "unknown";
    of.simulated = has_simulated_gpus();
    return of;
}

#endif

} // namespace tool
