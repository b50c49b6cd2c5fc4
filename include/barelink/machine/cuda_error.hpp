// From CUDA's codes to errors that say what to do. The only translation there is, for the readers and the runtime alike.
#pragma once

#include <cuda_runtime_api.h>

#include <barelink/core/result.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda {

/// After such a code every later call of the process fails with it: "the only way to use CUDA again is to end the process"
/// (CUDA runtime API, error handling).
[[nodiscard]] constexpr bool is_sticky(cudaError_t code) noexcept {
    switch (code) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorDevicesUnavailable:
    case cudaErrorExternalDevice: return true;
    default: return false;
    }
}

namespace detail {

struct meaning {
    errc code;
    const char* remedy;
};

[[nodiscard]] constexpr meaning meaning_of(cudaError_t code) noexcept {
    switch (code) {
    case cudaErrorMemoryAllocation: return {errc::out_of_memory, "free some, or ask for less"};
    case cudaErrorInsufficientDriver:
        return {errc::unsupported, "there is no CUDA driver, or one older than this program's CUDA runtime: install or "
                                   "update the NVIDIA driver"};
    case cudaErrorStubLibrary:
        return {errc::unsupported, "the program found the toolkit's stub of libcuda: remove .../lib64/stubs from "
                                   "LD_LIBRARY_PATH"};
    case cudaErrorNoDevice:
        return {errc::not_found, "no GPU is visible: look at `nvidia-smi -L` and CUDA_VISIBLE_DEVICES"};
    case cudaErrorInvalidDevice: return {errc::not_found, "there is no GPU of this number"};
    case cudaErrorSystemNotReady:
        return {errc::device, "the NVSwitch fabric is not up: start nvidia-fabricmanager of the driver's version"};
    case cudaErrorSystemDriverMismatch:
        return {errc::device, "library and kernel module of the driver differ in version: reboot or reload it"};
    case cudaErrorPeerAccessUnsupported:
    case cudaErrorTooManyPeers: return {errc::not_permitted, "copies between these GPUs are staged"};
    case cudaErrorHostMemoryAlreadyRegistered:
        return {errc::invalid_argument, "the range, or a part of it, is registered already"};
    case cudaErrorHostMemoryNotRegistered: return {errc::invalid_argument, "the range was not registered"};
    case cudaErrorInvalidValue:
    case cudaErrorInvalidMemcpyDirection:
    case cudaErrorInvalidResourceHandle:
        return {errc::invalid_argument, "a pointer was freed, a range runs past its allocation or over two "
                                        "registrations, or a stream or event is gone"};
    case cudaErrorNotSupported:
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureIsolation:
    case cudaErrorStreamCaptureImplicit:
    case cudaErrorStreamCaptureInvalidated: return {errc::unsupported, "not possible here, or not while capturing"};
    case cudaErrorNotPermitted: return {errc::not_permitted, "the system refused"};
    case cudaErrorCudartUnloading: return {errc::device, "the program is ending"};
    default:
        return {errc::device, is_sticky(code) ? "CUDA answers nothing else until the process ends: restart it"
                                              : "see CUDA's documentation of this code"};
    }
}

} // namespace detail

/// What `doing` failed with. Clears the thread's last error, so that nobody else stumbles over it.
[[nodiscard]] inline error to_error(cudaError_t code, const char* doing, int device = -1) {
    (void)cudaGetLastError();
    const detail::meaning meant = detail::meaning_of(code);
    return error(meant.code, text::join({doing, " failed: ", cudaGetErrorName(code), ", ", cudaGetErrorString(code),
                                         "; ", meant.remedy}))
        .on_device(device)
        .natively(static_cast<int>(code));
}

/// Nothing on success, and no allocation then.
[[nodiscard]] inline status check(cudaError_t code, const char* doing, int device = -1) {
    if (code == cudaSuccess) [[likely]]
        return {};
    return to_error(code, doing, device);
}

} // namespace cuda
BARELINK_END_NAMESPACE
