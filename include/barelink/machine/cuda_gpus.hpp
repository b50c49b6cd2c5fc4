// What CUDA says about its GPUs: queries only, no context, no NVML. Needs nothing but the CUDA runtime library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include <cuda_runtime_api.h>

#include <barelink/machine/cuda_error.hpp>
#include <barelink/machine/detail/gpu_facts.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda {
namespace detail {

/// An attribute, or `unknown` when this driver does not have it.
[[nodiscard]] inline int attribute_or(int unknown, cudaDeviceAttr attribute, int device) noexcept {
    int value = 0;
    if (cudaDeviceGetAttribute(&value, attribute, device) == cudaSuccess) return value;
    (void)cudaGetLastError();
    return unknown;
}

[[nodiscard]] inline answer ask(cudaDeviceAttr attribute, int device) noexcept {
    const int value = attribute_or(-1, attribute, device);
    return value < 0 ? answer::unknown : value ? answer::yes : answer::no;
}

[[nodiscard]] inline int peer_attribute_or(int unknown, cudaDeviceP2PAttr attribute, int from, int to) noexcept {
    int value = 0;
    if (cudaDeviceGetP2PAttribute(&value, attribute, from, to) == cudaSuccess) return value;
    (void)cudaGetLastError();
    return unknown;
}

[[nodiscard]] inline answer ask(cudaDeviceP2PAttr attribute, int from, int to) noexcept {
    const int value = peer_attribute_or(-1, attribute, from, to);
    return value < 0 ? answer::unknown : value ? answer::yes : answer::no;
}

/// `0000:1b:00.0`, the domain of any width; not known when it is anything else.
[[nodiscard]] inline pci_address parse_pci(const char* text) noexcept {
    unsigned long parts[4] = {};
    constexpr char after[4] = {':', ':', '.', '\0'};
    for (int p = 0; p < 4; ++p) {
        char* end = nullptr;
        parts[p] = std::strtoul(text, &end, 16);
        if (end == text || *end != after[p]) return {};
        text = end + 1;
    }
    return {static_cast<std::uint32_t>(parts[0]), static_cast<std::uint8_t>(parts[1]),
            static_cast<std::uint8_t>(parts[2]), static_cast<std::uint8_t>(parts[3]), true};
}

[[nodiscard]] inline pci_address pci_of(int device) noexcept {
    char text[32] = {};
    if (cudaDeviceGetPCIBusId(text, static_cast<int>(sizeof text), device) == cudaSuccess) {
        if (const pci_address found = parse_pci(text); found.known) return found;
    } else {
        (void)cudaGetLastError();
    }
    const int domain = attribute_or(-1, cudaDevAttrPciDomainId, device);
    const int bus = attribute_or(-1, cudaDevAttrPciBusId, device);
    const int slot = attribute_or(-1, cudaDevAttrPciDeviceId, device);
    if (domain < 0 || bus < 0 || slot < 0) return {};
    return {static_cast<std::uint32_t>(domain), static_cast<std::uint8_t>(bus), static_cast<std::uint8_t>(slot), 0,
            true};
}

[[nodiscard]] inline result<gpu_facts> read_gpu(int device) {
    gpu_facts gpu;
    gpu.ordinal = device;
    cudaDeviceProp properties{};
    if (const cudaError_t code = cudaGetDeviceProperties(&properties, device); code == cudaSuccess) {
        properties.name[sizeof properties.name - 1] = '\0';
        gpu.name = properties.name;
        gpu.memory_bytes = properties.totalGlobalMem;
        // An instance's name: "NVIDIA A100-SXM4-80GB MIG 3g.40gb".
        gpu.mig = std::strstr(properties.name, " MIG ") != nullptr;
    } else if (is_sticky(code)) {
        return to_error(code, "reading a GPU's properties", device);
    } else {
        (void)cudaGetLastError();
    }
    gpu.pci = pci_of(device);
    const int major = attribute_or(0, cudaDevAttrComputeCapabilityMajor, device);
    const int minor = attribute_or(0, cudaDevAttrComputeCapabilityMinor, device);
    gpu.sm = 10 * major + minor;
    gpu.host_numa = numa_id{attribute_or(-1, cudaDevAttrHostNumaId, device)};
    if (attribute_or(0, cudaDevAttrNumaConfig, device) == cudaDeviceNumaConfigNumaNode)
        gpu.memory_numa = numa_id{attribute_or(-1, cudaDevAttrNumaId, device)};
#if CUDART_VERSION >= 12090
    const auto ids = static_cast<std::uint32_t>(attribute_or(0, cudaDevAttrGpuPciDeviceId, device));
    if ((ids & 0xffff) == 0x10de) { // the device id above the vendor's
        gpu.vendor = 0x10de;
        gpu.device = static_cast<std::uint16_t>(ids >> 16);
    }
#endif
    gpu.copy_engines = attribute_or(0, cudaDevAttrAsyncEngineCount, device);
    gpu.host_atomics = ask(cudaDevAttrHostNativeAtomicSupported, device);
    gpu.pageable_access = ask(cudaDevAttrPageableMemoryAccess, device);
    gpu.host_page_tables = ask(cudaDevAttrPageableMemoryAccessUsesHostPageTables, device);
    gpu.host_register = ask(cudaDevAttrHostRegisterSupported, device);
    gpu.host_pointer_for_registered = ask(cudaDevAttrCanUseHostPointerForRegisteredMem, device);
    gpu.mps = ask(cudaDevAttrMpsEnabled, device);
    return gpu;
}

[[nodiscard]] inline peer_facts read_peer(int from, int to) noexcept {
    peer_facts pair;
    int can = 0;
    if (cudaDeviceCanAccessPeer(&can, from, to) == cudaSuccess) {
        pair.access = can ? answer::yes : answer::no;
    } else {
        (void)cudaGetLastError();
        pair.access = ask(cudaDevP2PAttrAccessSupported, from, to);
    }
    pair.native_atomics = ask(cudaDevP2PAttrNativeAtomicSupported, from, to);
#if CUDART_VERSION >= 13000
    pair.partial_atomics = ask(cudaDevP2PAttrOnlyPartialNativeAtomicSupported, from, to);
#endif
    pair.performance_rank = peer_attribute_or(-1, cudaDevP2PAttrPerformanceRank, from, to);
    return pair;
}

} // namespace detail

/// Asks CUDA for every GPU that this process may use and for every ordered pair of them. Creates no context, changes no
/// current device, leaves no last error. A single query that fails leaves its fact unknown. May take seconds when it is
/// the first call to the driver (persistence mode off). Errors: unsupported (no driver, or older than the runtime
/// library), not_found (no GPU is visible), device (the NVSwitch fabric is not up, a GPU has failed).
[[nodiscard]] inline result<gpu_inventory> read_gpus() {
    int count = 0;
    if (const cudaError_t code = cudaGetDeviceCount(&count); code != cudaSuccess)
        return to_error(code, "asking CUDA for its GPUs");
    if (count <= 0) return to_error(cudaErrorNoDevice, "asking CUDA for its GPUs");
    gpu_inventory all;
    for (int device = 0; device < count; ++device) {
        result<gpu_facts> gpu = detail::read_gpu(device);
        if (!gpu) return std::move(gpu).error();
        all.gpus.push_back(*std::move(gpu));
    }
    for (int from = 0; from < count; ++from)
        for (int to = 0; to < count; ++to) all.peers.push_back(from == to ? peer_facts{} : detail::read_peer(from, to));
    // After a GPU has failed every query does, and a machine of unknowns would hide it.
    if (const cudaError_t code = cudaPeekAtLastError(); is_sticky(code))
        return to_error(code, "asking CUDA for its GPUs");
    return all;
}

} // namespace cuda
BARELINK_END_NAMESPACE
