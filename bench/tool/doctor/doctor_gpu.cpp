// The checks of `barelink doctor` that use GPUs, on this machine's or on those of a simulated CUDA library.
#include "doctor_gpu.hpp"

#include <iterator>

#include <barelink/measure/doctor_checks.hpp>
#include <barelink/measure/gpu_checks/audit.hpp>
#include <barelink/measure/gpu_checks/device_checks.hpp>

#include "cuda_gpus.hpp"
#if BARELINK_TOOL_CUDA
#include <barelink/measure/cuda_checks.hpp>
#endif

namespace tool {

#if BARELINK_TOOL_KERNEL
/// Defined in block_kernel.cu, which nvcc compiles.
[[nodiscard]] barelink::cuda::block_kernel compiled_block_kernel();
#endif

namespace {

/// Sizes for GPUs that this computer's CPU plays: real bytes, simulated time.
[[nodiscard, maybe_unused]] barelink::gpu_check_setup small_setup(barelink::gpu_check_setup setup) {
    setup.host_bytes = 4 * barelink::MiB;
    setup.pair_bytes = 16 * barelink::MiB;
    setup.copies = 2;
    return setup;
}

} // namespace

std::vector<doctor_part> gpu_parts([[maybe_unused]] const barelink::machine& m,
                                   [[maybe_unused]] const barelink::gpu_set& gpus) {
    std::vector<doctor_part> parts;
#if BARELINK_TOOL_CUDA
    barelink::gpu_check_setup setup;
    setup.gpus = gpus;
    const auto count = static_cast<double>(listed_gpus(m, setup).size());
    if (count == 0) return parts;
    for (const barelink::cuda::check_group& each : barelink::cuda::check_groups) {
        doctor_part part;
        part.name = each.name;
        part.ids.assign(each.ids.begin(), each.ids.end());
        // Contexts take up to some seconds a GPU where the driver is not kept loaded; then some seconds a GPU or pair at most.
        part.limit_s = 20 + 15 * count;
        part.on_death = each.when_stuck;
        parts.push_back(std::move(part));
    }
#endif
    return parts;
}

std::vector<barelink::finding> without_gpu_parts([[maybe_unused]] const barelink::machine& m) {
    const char* const why =
        has_cuda ? "there is no GPU here that CUDA shows" : "this barelink was built without CUDA: it cannot use GPUs";
    std::vector<barelink::finding> all;
    const auto add = [&](const auto& ids) {
        for (const char* id : ids) all.push_back(barelink::unknown_finding(id, why));
    };
    add(barelink::device_check_ids);
    add(barelink::host_copy_checks);
    add(barelink::delivery_checks);
    add(barelink::pair_rate_checks);
    return all;
}

gpu_part_result run_gpu_part([[maybe_unused]] const std::string& name, [[maybe_unused]] const barelink::machine& m,
                             [[maybe_unused]] const barelink::gpu_set& gpus) {
#if BARELINK_TOOL_CUDA
    barelink::gpu_check_setup setup;
    setup.gpus = gpus;
    // Asking whether GPUs are simulated would start the driver, and that is timed: the machine file has their names.
    bool simulated = false;
    for (const barelink::node_index gpu : listed_gpus(m, setup)) simulated = simulated || is_simulated(m.at(gpu).name);
    barelink::cuda::block_kernel kernel = nullptr;
#if BARELINK_TOOL_KERNEL
    kernel = compiled_block_kernel();
#endif
    barelink::gpu_audit done =
        barelink::cuda::run_gpu_checks(name, m, simulated ? small_setup(setup) : setup, kernel).value();
    for (barelink::finding& each : done.found)
        if (simulated) each.evidence += " (simulated GPUs: not measurements)";
    return {std::move(done.found), std::move(done.learned)};
#else
    barelink::detail::raise(
        barelink::error(barelink::errc::unsupported, "this barelink was built without CUDA: it cannot use GPUs"));
#endif
}

} // namespace tool
