// A CUDA runtime library that does nothing and answers at once: what is left is what barelink costs. Device memory is at
// addresses from 2^44, the GPU's number in bits 40 and up; everything below is page-locked host memory.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <cuda_runtime_api.h>

namespace {

constexpr std::uintptr_t device_base = std::uintptr_t{1} << 44;

/// Devices are numbered in the order in which their PCI addresses are asked for.
int number_of(const std::string& pci) {
    static std::vector<std::string> seen;
    for (std::size_t i = 0; i < seen.size(); ++i)
        if (seen[i] == pci) return static_cast<int>(i);
    seen.push_back(pci);
    return static_cast<int>(seen.size()) - 1;
}

std::uintptr_t next_handle = 1;
template <class Handle>
cudaError_t make(Handle* handle) {
    *handle = reinterpret_cast<Handle>(next_handle++ << 4);
    return cudaSuccess;
}

/// All of a GPU's memory is one allocation.
int pointer_attribute(void* value, int which, unsigned long long address) {
    constexpr int range_start = 11;
    constexpr std::uint64_t terabyte = std::uint64_t{1} << 40;
    const std::uint64_t said = which == range_start ? address / terabyte * terabyte : terabyte;
    std::memcpy(value, &said, sizeof said);
    return 0;
}

} // namespace

extern "C" {

cudaError_t cudaMemcpyAsync(void*, const void*, size_t, cudaMemcpyKind, cudaStream_t) {
    return cudaSuccess;
}
cudaError_t cudaMemcpy2DAsync(void*, size_t, const void*, size_t, size_t, size_t, cudaMemcpyKind, cudaStream_t) {
    return cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void*, int, const void*, int, size_t, cudaStream_t) {
    return cudaSuccess;
}
cudaError_t cudaMemcpyBatchAsync(void* const*, const void* const*, const size_t*, size_t, cudaMemcpyAttributes*,
                                 size_t*, size_t, cudaStream_t) {
    return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* found, const void* at) {
    const auto address = reinterpret_cast<std::uintptr_t>(at);
    *found = {};
    found->type = address >= device_base && address < 2 * device_base ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
    found->device = static_cast<int>((address >> 40) & 0xf);
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) {
    return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t) {
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t, cudaEvent_t) {
    *ms = 1;
    return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    return make(event);
}
cudaError_t cudaEventDestroy(cudaEvent_t) {
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    return make(stream);
}
cudaError_t cudaStreamDestroy(cudaStream_t) {
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) {
    return cudaSuccess;
}
cudaError_t cudaStreamGetDevice(cudaStream_t, int* device) {
    return *device = 0, cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* how) {
    return *how = cudaStreamCaptureStatusNone, cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t, cudaStreamCaptureStatus* how, unsigned long long*, cudaGraph_t*,
                                     const cudaGraphNode_t**, const cudaGraphEdgeData**, size_t*) {
    return *how = cudaStreamCaptureStatusNone, cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) {
    return cudaSuccess;
}
/// Set by benchmarks that want a driver which knows what allocation an address is in, before their first call.
bool null_cuda_knows_allocations = false;

cudaError_t cudaGetDriverEntryPointByVersion(const char* name, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* how) {
    *function = nullptr;
    if (null_cuda_knows_allocations && std::string(name) == "cuPointerGetAttribute") {
        *function = reinterpret_cast<void*>(pointer_attribute);
        return *how = cudaDriverEntryPointSuccess, cudaSuccess;
    }
    return *how = cudaDriverEntryPointSymbolNotFound, cudaSuccess;
}
cudaError_t cudaDeviceEnablePeerAccess(int, unsigned) {
    return cudaSuccess;
}
cudaError_t cudaDeviceGetByPCIBusId(int* device, const char* pci) {
    return *device = number_of(pci), cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
    return *device = 0, cudaSuccess;
}
cudaError_t cudaSetDevice(int) {
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
    return *count = 8, cudaSuccess;
}
cudaError_t cudaMalloc(void** at, size_t) {
    return *at = reinterpret_cast<void*>(device_base + (next_handle++ << 30)), cudaSuccess;
}
cudaError_t cudaFree(void*) {
    return cudaSuccess;
}
cudaError_t cudaHostRegister(void*, size_t, unsigned) {
    return cudaSuccess;
}
cudaError_t cudaHostUnregister(void*) {
    return cudaSuccess;
}
cudaError_t cudaPeekAtLastError() {
    return cudaSuccess;
}
cudaError_t cudaGetLastError() {
    return cudaSuccess;
}
const char* cudaGetErrorName(cudaError_t) {
    return "none";
}
const char* cudaGetErrorString(cudaError_t) {
    return "no error";
}

// Discovery, which the benchmark does not do, refers to these.
cudaError_t cudaDeviceGetAttribute(int*, cudaDeviceAttr, int) {
    return cudaErrorNotSupported;
}
cudaError_t cudaDeviceGetPCIBusId(char*, int, int) {
    return cudaErrorNotSupported;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp*, int) {
    return cudaErrorNotSupported;
}
cudaError_t cudaDeviceCanAccessPeer(int*, int, int) {
    return cudaErrorNotSupported;
}
cudaError_t cudaDeviceGetP2PAttribute(int*, cudaDeviceP2PAttr, int, int) {
    return cudaErrorNotSupported;
}
cudaError_t cudaDriverGetVersion(int* version) {
    return *version = CUDART_VERSION, cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
    return *version = CUDART_VERSION, cudaSuccess;
}

} // extern "C"
