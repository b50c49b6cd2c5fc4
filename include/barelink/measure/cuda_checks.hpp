// Doctor's checks on this machine's GPUs: what only CUDA can say of them, and the groups of `gpu_checks/audit.hpp` on cuda::runtime.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <cuda_runtime_api.h>

#include <barelink/machine/cuda_error.hpp>
#include <barelink/machine/cuda_gpus.hpp>
#include <barelink/measure/checks/iommu.hpp>
#include <barelink/measure/checks/pci.hpp>
#include <barelink/measure/gpu_checks/audit.hpp>
#include <barelink/measure/gpu_checks/device_checks.hpp>
#include <barelink/measure/gpu_checks/waiting.hpp>
#include <barelink/measure/live_system.hpp>
#include <barelink/move/cuda.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda {

namespace detail {

/// CUDA's own number of a GPU of the machine; -1 when it does not show it. Creates no context.
[[nodiscard]] inline int device_of(const node& gpu) {
    int device = gpu.index;
    if (gpu.pci.known && cudaDeviceGetByPCIBusId(&device, to_string(gpu.pci).c_str()) != cudaSuccess) {
        (void)cudaGetLastError();
        return -1;
    }
    return device;
}

/// Times of a small copy and the wait for it: with an event that puts the thread to sleep, and by asking again and again.
[[nodiscard]] inline status time_waits(int device, int count, wait_times& into) {
    const device_scope scope(device);
    cudaStream_t stream = nullptr;
    cudaEvent_t event = nullptr;
    void *host = nullptr, *there = nullptr;
    constexpr std::size_t bytes = 4096;
    status done = check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream", device);
    if (done)
        done = check(cudaEventCreateWithFlags(&event, cudaEventBlockingSync | cudaEventDisableTiming),
                     "making an event", device);
    if (done) done = check(cudaHostAlloc(&host, bytes, cudaHostAllocPortable), "pinning memory", device);
    if (done) done = check(cudaMalloc(&there, bytes), "allocating on a GPU", device);
    const auto now_us = [] {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
    };
    constexpr int not_counted = 8;
    for (int i = -not_counted; done && i < 2 * count; ++i) {
        const bool asleep = i % 2 == 0; // in turn: what disturbs one disturbs the other
        const double before_us = now_us();
        done = check(cudaMemcpyAsync(there, host, bytes, cudaMemcpyHostToDevice, stream), "copying", device);
        if (done) done = check(cudaEventRecord(event, stream), "recording an event", device);
        if (done && asleep) done = check(cudaEventSynchronize(event), "waiting for a copy", device);
        while (done && !asleep) {
            const cudaError_t code = cudaEventQuery(event);
            if (code == cudaSuccess) break;
            if (code != cudaErrorNotReady) done = to_error(code, "asking an event", device);
            (void)cudaGetLastError();
        }
        if (done && i >= 0) (asleep ? into.blocking : into.spinning).push_back(now_us() - before_us);
    }
    if (there) (void)cudaFree(there);
    if (host) (void)cudaFreeHost(host);
    if (event) (void)cudaEventDestroy(event);
    if (stream) (void)cudaStreamDestroy(stream);
    if (!done) (void)cudaGetLastError();
    return done;
}

/// Memory in use on a GPU. This process's own context is in it.
inline void note_memory(const machine& m, steadiness& of) {
    const int device = device_of(m.at(of.gpu));
    if (device < 0) return;
    const device_scope scope(device);
    std::size_t left = 0, all = 0;
    if (cudaMemGetInfo(&left, &all) == cudaSuccess) {
        of.used_bytes = all - left;
        of.all_bytes = all;
    } else {
        (void)cudaGetLastError();
    }
}

} // namespace detail

/// What CUDA says of each listed GPU. Times the first context of each, so that the process must not have used CUDA before: the
/// first time is also the driver's own. Creates contexts on listed GPUs and on no other. Blocks for as long as that takes.
[[nodiscard]] inline std::vector<device_report> read_devices(const machine& m, const gpu_check_setup& setup) {
    std::vector<device_report> all;
    const auto now_us = [] {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
    };
    for (const node_index gpu : listed_gpus(m, setup)) {
        device_report found;
        found.gpu = m.at(gpu).id();
        const double before_us = now_us();
        const int device = detail::device_of(m.at(gpu)); // the first call of all starts the driver
        int count = 0;
        cudaError_t code = cudaGetDeviceCount(&count);
        if (code == cudaSuccess && device < 0) code = cudaErrorInvalidDevice;
        if (code == cudaSuccess) {
            const detail::device_scope scope(device);
            code = cudaFree(nullptr);
        }
        found.first_us = now_us() - before_us;
        if (code != cudaSuccess) {
            const error failure = to_error(code, "starting the GPU", device);
            found.fabric_down = code == cudaErrorSystemNotReady;
            found.why = failure.what();
            all.push_back(std::move(found));
            continue;
        }
        const auto ask = [&](cudaDeviceAttr which) { return detail::attribute_or(-1, which, device); };
        found.ecc = ask(cudaDevAttrEccEnabled);
        found.compute_mode = ask(cudaDevAttrComputeMode);
        found.mps = ask(cudaDevAttrMpsEnabled);
        cudaDeviceProp properties{};
        if (cudaGetDeviceProperties(&properties, device) == cudaSuccess)
            found.mig = std::string(properties.name).find(" MIG ") != std::string::npos ? 1 : 0;
        (void)cudaGetLastError();
        all.push_back(std::move(found));
    }
    return all;
}

/// What the checks must know of this machine before they start: its IOMMU, whether there is a hypervisor, whether memory
/// lies where it is asked to. Reads files; uses no GPU.
inline void look_around(const machine& m, gpu_check_setup& setup) {
    const system_view system = live_system();
    setup.bare_metal = read_virtualization(system).on_metal();
    bool known = true;
    for (const node_index gpu : listed_gpus(m, setup)) {
        const iommu_reading seen = read_iommu(system, m.at(gpu));
        if (seen.translates()) setup.iommu = dma_translation::on;
        known = known && seen.mode != iommu_mode::unknown;
    }
    // In a guest only the guest's own is seen: the host's may well translate.
    if (setup.iommu == dma_translation::unknown && known && setup.bare_metal) setup.iommu = dma_translation::off;
    setup.places_memory = setup.places_memory && memory_lands_where_asked(m);
}

/// A group of checks that runs in a process of its own.
struct check_group {
    const char* name;
    std::span<const char* const> ids;
    /// What it means when the group's process does not end: a hanging copy between GPUs is a verdict.
    severity when_stuck = severity::unknown;
};
inline constexpr check_group check_groups[] = {
    {"devices", device_check_ids, severity::unknown},
    {"host", host_copy_checks, severity::unknown},
    {"delivery", delivery_checks, severity::fail},
    {"pairs", pair_rate_checks, severity::unknown},
};

/// Runs one group on the listed GPUs; `setup` needs sizes and GPUs only. Call it in a process that has not used CUDA yet and
/// that somebody ends when it hangs. `kernel`: the copy kernel, nullptr where the program has none. Errors: not_found for
/// another name. What fails within a group becomes `unknown` findings.
[[nodiscard]] inline result<gpu_audit> run_gpu_checks(const std::string& group, const machine& m, gpu_check_setup setup,
                                                      block_kernel kernel = nullptr) {
    look_around(m, setup);
    options chosen;
    chosen.block_kernel = kernel;
    const std::vector<node_index> listed = listed_gpus(m, setup);
    if (!listed.empty()) chosen.home = gpu_id{m.at(listed.front()).index}; // no other GPU gets a context for pinning
    gpu_audit all;
    if (group == "devices") {
        const std::vector<device_report> devices = read_devices(m, setup);
        all.add(check_fabric(m, devices));
        all.add(check_cold_start(devices));
        all.add(check_ecc(devices));
        all.add(check_sharing(devices));
        std::vector<wait_times> waits;
        for (const node_index gpu : listed) {
            wait_times found{m.at(gpu).id(), {}, {}, {}};
            const int device = detail::device_of(m.at(gpu));
            const status timed = device < 0 ? status(error(errc::not_found, "CUDA does not show it"))
                                            : detail::time_waits(device, 200, found);
            if (!timed) found.why = timed.error().what();
            waits.push_back(std::move(found));
        }
        all.add(check_waiting(waits));
    } else if (group == "host") {
        runtime on(m, chosen);
        const system_view system = live_system();
        all = audit_host_copies(
            on, setup, [&](const node& gpu) { return read_pcie_link(system, gpu); },
            [&](steadiness& of) { detail::note_memory(m, of); });
    } else if (group == "delivery") {
        runtime on(m, chosen);
        all = audit_delivery(on, setup);
    } else if (group == "pairs") {
        runtime on(m, chosen);
        all = audit_pair_rates(on, setup);
    } else {
        return error(errc::not_found, text::join({"there is no group of GPU checks named ", group.c_str()}));
    }
    return all;
}

} // namespace cuda
BARELINK_END_NAMESPACE
