// Devices: what they are, which is current, and which may reach which.
#include <cstdio>
#include <cstring>

#include <barelink/machine/gpu_model.hpp>

#include "process.hpp"

namespace simcuda {
namespace {

bool joined_by(const barelink::machine& m, barelink::node_index gpu, barelink::link_kind kind) {
    for (const barelink::link& each : m.links)
        if (each.kind == kind && (each.a == gpu || each.b == gpu)) return true;
    return false;
}

/// How the machine would copy from a GPU to a peer; nullptr where it cannot, or nobody may.
const barelink::dma_path* peer_path(const process& p, int from, int to) {
    const barelink::dma_path* path = p.server.topology().path(p.gpu(from), p.gpu(to));
    return path && path->allowed && !p.refused[p.pair(from, to)] ? path : nullptr;
}

bool over_nvlink(const process& p, const barelink::dma_path& path) {
    for (const barelink::link_direction hop : p.server.topology().hops(path))
        if (p.server.topology().at(hop.link).kind == barelink::link_kind::nvlink) return true;
    return false;
}

/// 0 for the fastest pairs of the machine; 1 for slower ones, as an 8-GPU V100 mesh shows for its single links, and for PCIe.
int performance_rank(const process& p, const barelink::dma_path* path, bool nvlink) {
    if (!path || !nvlink) return 1;
    double fastest = 0;
    for (int from = 0; from < p.devices(); ++from)
        for (int to = 0; to < p.devices(); ++to)
            if (const barelink::dma_path* other = peer_path(p, from, to); other && other->gb_s > fastest)
                fastest = other->gb_s;
    return path->gb_s < 0.75 * fastest ? 1 : 0;
}

int compute_capability(const barelink::node& gpu) {
    const barelink::gpu_model* model = barelink::find_gpu_model(gpu.vendor, gpu.device);
    if (!model) model = barelink::find_gpu_model(gpu.name.c_str());
    return model ? model->sm : 80;
}

bool coherent(const process& p, int device) {
    return joined_by(p.server.topology(), p.gpu(device), barelink::link_kind::c2c);
}

int copy_engines(const barelink::node& gpu) {
    return std::strstr(gpu.name.c_str(), "GeForce") ? 2 : 3;
}

cudaError_t attribute(const process& p, int device, cudaDeviceAttr which, int& value) {
    const barelink::node& gpu = p.gpu_node(device);
    switch (which) {
    case cudaDevAttrPciDomainId: value = static_cast<int>(gpu.pci.domain); break;
    case cudaDevAttrPciBusId: value = gpu.pci.bus; break;
    case cudaDevAttrPciDeviceId: value = gpu.pci.device; break;
    case cudaDevAttrAsyncEngineCount: value = copy_engines(gpu); break;
    case cudaDevAttrHostNumaId: value = gpu.numa.value; break;
    case cudaDevAttrNumaConfig: value = cudaDeviceNumaConfigNone; break;
    case cudaDevAttrNumaId: value = -1; break;
    case cudaDevAttrPageableMemoryAccess:
    case cudaDevAttrPageableMemoryAccessUsesHostPageTables:
    case cudaDevAttrDirectManagedMemAccessFromHost:
    case cudaDevAttrHostNativeAtomicSupported: value = coherent(p, device); break;
    case cudaDevAttrHostRegisterSupported:
    case cudaDevAttrCanUseHostPointerForRegisteredMem:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrConcurrentManagedAccess:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrGpuOverlap:
    case cudaDevAttrMemoryPoolsSupported: value = 1; break;
    case cudaDevAttrComputeCapabilityMajor: value = compute_capability(gpu) / 10; break;
    case cudaDevAttrComputeCapabilityMinor: value = compute_capability(gpu) % 10; break;
    case cudaDevAttrWarpSize: value = 32; break;
    case cudaDevAttrMultiProcessorCount: value = 108; break;
    case cudaDevAttrEccEnabled: value = std::strstr(gpu.name.c_str(), "GeForce") ? 0 : 1; break;
    case cudaDevAttrIntegrated:
    case cudaDevAttrIsMultiGpuBoard:
    case cudaDevAttrComputeMode:
    case cudaDevAttrTccDriver:
    case cudaDevAttrKernelExecTimeout:
    case cudaDevAttrHostNumaMemoryPoolsSupported:
    case cudaDevAttrGPUDirectRDMASupported: value = 0; break;
    default: return cudaErrorInvalidValue;
    }
    return cudaSuccess;
}

void describe(const process& p, int device, cudaDeviceProp& to) {
    const barelink::node& gpu = p.gpu_node(device);
    std::memset(&to, 0, sizeof to);
    std::snprintf(to.name, sizeof to.name, "%s (simulated)", gpu.name.c_str()); // nobody may take it for the real one
    to.totalGlobalMem = gpu.bytes;
    to.warpSize = 32;
    to.maxThreadsPerBlock = 1024;
    to.major = compute_capability(gpu) / 10;
    to.minor = compute_capability(gpu) % 10;
    to.multiProcessorCount = 108;
    to.canMapHostMemory = to.unifiedAddressing = to.managedMemory = to.concurrentManagedAccess = 1;
    to.concurrentKernels = to.streamPrioritiesSupported = to.memoryPoolsSupported = to.hostRegisterSupported = 1;
    to.canUseHostPointerForRegisteredMem = 1;
    to.pciBusID = gpu.pci.bus;
    to.pciDeviceID = gpu.pci.device;
    to.pciDomainID = static_cast<int>(gpu.pci.domain);
    to.asyncEngineCount = copy_engines(gpu);
    to.hostNativeAtomicSupported = to.pageableMemoryAccess = to.pageableMemoryAccessUsesHostPageTables =
        coherent(p, device) ? 1 : 0;
#if CUDART_VERSION >= 13000
    to.hostNumaId = gpu.numa.value;
    to.deviceNumaId = -1;
    to.gpuPciDeviceID = static_cast<unsigned>(gpu.device) << 16 | gpu.vendor;
#endif
}

} // namespace
} // namespace simcuda

using simcuda::call;
using simcuda::process;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
    if (count) *count = 0; // also where the call fails
    return call(__func__, [&](process& p) {
        if (!count) return cudaErrorInvalidValue;
        *count = p.devices();
        return cudaSuccess;
    });
}

cudaError_t cudaGetDevice(int* device) {
    return call(__func__, [&](process&) {
        if (!device) return cudaErrorInvalidValue;
        *device = simcuda::this_thread().device;
        return cudaSuccess;
    });
}

cudaError_t cudaSetDevice(int device) {
    return call(__func__, [&](process& p) {
        if (!p.has(device)) return cudaErrorInvalidDevice;
        simcuda::this_thread().device = device;
        simcuda::this_thread().current = true;
        p.touch(device); // since CUDA 12
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int device) {
    return call(__func__, [&](process& p) {
        if (!value) return cudaErrorInvalidValue;
        return p.has(device) ? simcuda::attribute(p, device, which, *value) : cudaErrorInvalidDevice;
    });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    return call(__func__, [&](process& p) {
        if (!properties) return cudaErrorInvalidValue;
        if (!p.has(device)) return cudaErrorInvalidDevice;
        simcuda::describe(p, device, *properties);
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int bytes, int device) {
    return call(__func__, [&](process& p) {
        if (!text || bytes < 13) return cudaErrorInvalidValue;
        if (!p.has(device)) return cudaErrorInvalidDevice;
        const barelink::pci_address& at = p.gpu_node(device).pci;
        const int wanted = std::snprintf(text, static_cast<std::size_t>(bytes), "%04X:%02X:%02X.%X", at.domain,
                                         unsigned{at.bus}, unsigned{at.device}, unsigned{at.function});
        return wanted < bytes ? cudaSuccess : cudaErrorInvalidValue;
    });
}

cudaError_t cudaDeviceGetByPCIBusId(int* device, const char* text) {
    return call(__func__, [&](process& p) {
        if (!device || !text) return cudaErrorInvalidValue;
        unsigned domain = 0, bus = 0, slot = 0, function = 0;
        if (std::sscanf(text, "%x:%x:%x.%x", &domain, &bus, &slot, &function) < 3) {
            domain = 0;
            if (std::sscanf(text, "%x:%x.%x", &bus, &slot, &function) < 2) return cudaErrorInvalidValue;
        }
        for (int d = 0; d < p.devices(); ++d) {
            const barelink::pci_address& at = p.gpu_node(d).pci;
            if (at.domain != domain || at.bus != bus || at.device != slot || at.function != function) continue;
            *device = d;
            return cudaSuccess;
        }
        return cudaErrorInvalidDevice;
    });
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
    return call(__func__, [&](process& p) {
        if (!can) return cudaErrorInvalidValue;
        if (!p.has(device) || !p.has(peer)) return cudaErrorInvalidDevice;
        *can = device != peer && simcuda::peer_path(p, device, peer) ? 1 : 0;
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceGetP2PAttribute(int* value, cudaDeviceP2PAttr which, int from, int to) {
    return call(__func__, [&](process& p) {
        if (!value) return cudaErrorInvalidValue;
        if (!p.has(from) || !p.has(to) || from == to) return cudaErrorInvalidDevice;
        const barelink::dma_path* path = simcuda::peer_path(p, from, to);
        const bool nvlink = path && simcuda::over_nvlink(p, *path);
        switch (which) {
        case cudaDevP2PAttrPerformanceRank: *value = simcuda::performance_rank(p, path, nvlink); break;
        case cudaDevP2PAttrAccessSupported: *value = path ? 1 : 0; break;
        case cudaDevP2PAttrNativeAtomicSupported:
        case cudaDevP2PAttrCudaArrayAccessSupported: *value = nvlink ? 1 : 0; break;
        case cudaDevP2PAttrOnlyPartialNativeAtomicSupported: *value = 0; break;
        default: return cudaErrorInvalidValue;
        }
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
    return call(__func__, [&](process& p) {
        if (flags != 0) return cudaErrorInvalidValue;
        if (!p.has(peer)) return cudaErrorInvalidDevice;
        const int device = simcuda::current_device(p);
        if (device == peer) return cudaErrorInvalidDevice;
        char& access = p.access[p.pair(device, peer)];
        if (access) return cudaErrorPeerAccessAlreadyEnabled;
        if (!simcuda::peer_path(p, device, peer)) return cudaErrorPeerAccessUnsupported;
        const cudaError_t opened = simcuda::code_of(p.server.open_peer(p.gpu(device), p.gpu(peer)));
        if (opened != cudaSuccess) return opened;
        p.touch(peer);
        access = 1;
        p.server.set_access(p.gpu(device), p.gpu(peer), true);
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceDisablePeerAccess(int peer) {
    return call(__func__, [&](process& p) {
        if (!p.has(peer)) return cudaErrorInvalidDevice;
        const int device = simcuda::current_device(p);
        char& access = p.access[p.pair(device, peer)];
        if (!access) return cudaErrorPeerAccessNotEnabled;
        access = 0;
        p.server.set_access(p.gpu(device), p.gpu(peer), false);
        return cudaSuccess;
    });
}

} // extern "C"
