// The few driver functions that the CUDA runtime has no equal for, and the guard built on them. Private to move/cuda.
#pragma once

#include <atomic>

#include <cuda_runtime_api.h>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda::detail {

/// Entry points of the driver by `cudaGetDriverEntryPoint`, so that a program links nothing but the runtime library. Handles
/// are opaque here; CUresult is an int of which 0 is success. A null pointer: the driver has no such function.
struct driver {
    using context = void*;
    int (*device_get)(int*, int) = nullptr;
    int (*retain)(context*, int) = nullptr;
    int (*push)(context) = nullptr;
    int (*pop)(context*) = nullptr;
    int (*current)(context*) = nullptr;
    int (*device_of_current)(int*) = nullptr;
    int (*context_of_stream)(cudaStream_t, context*) = nullptr;
    int (*pointer_attribute)(void*, int, unsigned long long) = nullptr;

    /// CU_POINTER_ATTRIBUTE_RANGE_START_ADDR and _RANGE_SIZE of <cuda.h>.
    static constexpr int range_start = 11, range_size = 12;

    /// Looked up once; the same for the whole process.
    [[nodiscard]] static const driver& get() noexcept {
        static const driver found = load();
        return found;
    }
    [[nodiscard]] bool can_switch() const noexcept { return device_get && retain && push && pop && current; }

private:
    template <class Function>
    static void find(const char* name, Function& function) noexcept {
        void* at = nullptr;
        cudaDriverEntryPointQueryResult how = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
        const cudaError_t asked = cudaGetDriverEntryPointByVersion(name, &at, 12000, cudaEnableDefault, &how);
#else
        const cudaError_t asked = cudaGetDriverEntryPoint(name, &at, cudaEnableDefault, &how);
#endif
        if (asked != cudaSuccess) (void)cudaGetLastError();
        if (asked == cudaSuccess && how == cudaDriverEntryPointSuccess) function = reinterpret_cast<Function>(at);
    }
    [[nodiscard]] static driver load() noexcept {
        driver found;
        find("cuDeviceGet", found.device_get);
        find("cuDevicePrimaryCtxRetain", found.retain);
        find("cuCtxPushCurrent", found.push);
        find("cuCtxPopCurrent", found.pop);
        find("cuCtxGetCurrent", found.current);
        find("cuCtxGetDevice", found.device_of_current);
        find("cuStreamGetCtx", found.context_of_stream);
        find("cuPointerGetAttribute", found.pointer_attribute);
        return found;
    }
};

/// Makes a GPU the current one until the end of the scope. `cudaSetDevice` back to where the thread was would create a
/// context there if it had none (since CUDA 12), on a GPU that nobody asked for: so the context is pushed and popped.
class device_scope {
public:
    explicit device_scope(int device) noexcept {
        if (const driver::context context = context_of(device)) {
            pushed_ = driver::get().push(context) == 0;
            if (pushed_) return;
        }
        if (device < 0) return; // none that CUDA shows: what is done there says so
        int before = -1;
        code_ = cudaGetDevice(&before);
        if (code_ == cudaSuccess && before != device) {
            code_ = cudaSetDevice(device);
            if (code_ == cudaSuccess) before_ = before;
        }
        if (code_ != cudaSuccess) (void)cudaGetLastError();
    }
    device_scope(const device_scope&) = delete;
    device_scope& operator=(const device_scope&) = delete;
    ~device_scope() {
        driver::context popped = nullptr;
        if (pushed_)
            (void)driver::get().pop(&popped);
        else if (before_ >= 0)
            (void)cudaSetDevice(before_);
    }
    /// Why the GPU could not be made current.
    [[nodiscard]] cudaError_t code() const noexcept { return code_; }

    /// The primary context, held until the process ends, as the runtime library holds it from its first call on a GPU.
    /// nullptr when the driver does not give it away.
    [[nodiscard]] static driver::context context_of(int device) noexcept {
        static std::atomic<driver::context> known[most_devices];
        const driver& d = driver::get();
        if (!d.can_switch() || device < 0 || device >= most_devices) return nullptr;
        driver::context context = known[device].load(std::memory_order_acquire);
        int handle = 0;
        if (context || d.device_get(&handle, device) != 0 || d.retain(&context, handle) != 0) return context;
        known[device].store(context, std::memory_order_release);
        return context;
    }

private:
    static constexpr int most_devices = 256;

    int before_ = -1; ///< to go back to
    bool pushed_ = false;
    cudaError_t code_ = cudaSuccess;
};

/// Gives a thread that has no current GPU one for the scope; a thread that has one keeps it. Nearly every CUDA call first
/// creates a context on the thread's current GPU, which is number 0 for a thread that never chose, whatever the call is
/// about: a copy between two other GPUs would cost GPU 0 hundreds of megabytes. Costs one query of the driver.
class thread_scope {
public:
    explicit thread_scope(int device) noexcept : thread_scope([device] { return device; }) {}
    /// `device` is asked for only when it is needed: finding it may take a call.
    template <class Device>
    requires requires(Device ask) { static_cast<int>(ask()); }
    explicit thread_scope(Device device) noexcept {
        const driver& d = driver::get();
        driver::context context = nullptr;
        if (!d.can_switch() || d.current(&context) != 0 || context) return;
        context = device_scope::context_of(device());
        pushed_ = context && d.push(context) == 0;
    }
    thread_scope(const thread_scope&) = delete;
    thread_scope& operator=(const thread_scope&) = delete;
    ~thread_scope() {
        driver::context popped = nullptr;
        if (pushed_) (void)driver::get().pop(&popped);
    }

private:
    bool pushed_ = false;
};

/// The GPU of a stream of the caller's, -1 when it is gone.
[[nodiscard]] inline int device_of_stream(cudaStream_t stream) noexcept {
    int device = -1;
    const driver& d = driver::get();
    driver::context context = nullptr, popped = nullptr;
    if (stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread) {
        if (cudaGetDevice(&device) != cudaSuccess) (void)cudaGetLastError();
        return device;
    }
#if CUDART_VERSION >= 12080
    if (!d.can_switch() || (d.current(&context) == 0 && context)) {
        if (cudaStreamGetDevice(stream, &device) != cudaSuccess) (void)cudaGetLastError();
        return device;
    }
#endif
    if (d.context_of_stream && d.device_of_current && d.push && d.pop && d.context_of_stream(stream, &context) == 0 &&
        d.push(context) == 0) {
        (void)d.device_of_current(&device);
        (void)d.pop(&popped);
    }
    return device;
}

/// Lets calls through that a capture in this or another thread would forbid: making memory and asking events does not
/// touch what is captured.
class uncaptured_scope {
public:
    uncaptured_scope() noexcept : exchanged_(exchange()) {}
    uncaptured_scope(const uncaptured_scope&) = delete;
    uncaptured_scope& operator=(const uncaptured_scope&) = delete;
    ~uncaptured_scope() {
        if (exchanged_ && !exchange()) (void)exchange(); // or the thread would stay as it is in here
    }

private:
    [[nodiscard]] bool exchange() noexcept {
        if (cudaThreadExchangeStreamCaptureMode(&mode_) == cudaSuccess) return true;
        (void)cudaGetLastError();
        return false;
    }

    cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
    bool exchanged_;
};

} // namespace cuda::detail
BARELINK_END_NAMESPACE
