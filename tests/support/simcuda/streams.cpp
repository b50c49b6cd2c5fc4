// Streams.
#include "captures.hpp"
#include "work.hpp"

namespace simcuda {
namespace {

cudaError_t create(process& p, cudaStream_t* out, unsigned flags, int priority) {
    if (!out || (flags & ~static_cast<unsigned>(cudaStreamNonBlocking)) != 0) return cudaErrorInvalidValue;
    cudaError_t code = cudaSuccess;
    CUstream_st made = make_stream(p, current_device(p), flags, priority, code);
    if (code != cudaSuccess) return code;
    auto stream = std::make_unique<CUstream_st>(std::move(made));
    *out = stream.get();
    p.streams.emplace(*out, std::move(stream));
    return cudaSuccess;
}

/// Waiting for a captured stream would wait for work that is only being written down.
cudaError_t may_wait(process& p, CUstream_st& stream) {
    if (stream.capturing) return spoil(*stream.capturing, cudaErrorStreamCaptureUnsupported);
    return forbid_while_capturing(p);
}

cudaError_t query(process& p, CUstream_st& stream) {
    if (const cudaError_t code = may_wait(p, stream); code != cudaSuccess) return code;
    if (const cudaError_t code = order_with_legacy(p, stream); code != cudaSuccess) return code;
    p.server.spend(p.server.topology().costs.event_us);
    if (!p.server.is_idle(stream.lane)) return cudaErrorNotReady;
    return wait_for(p, stream); // it is done: only whether it failed
}

/// Runs as the last of the work before it. CUDA functions fail in it.
void run_host_function(cudaHostFn_t function, void* data) {
    the_world().in_host_function = true;
    function(data);
    the_world().in_host_function = false;
}

/// Published delays of host functions start at 100 us.
constexpr double host_function_us = 100;

} // namespace
} // namespace simcuda

using simcuda::call;
using simcuda::process;

namespace {

/// The frame of functions on one stream.
template <class Work>
cudaError_t on_stream(const char* function, cudaStream_t handle, Work work) {
    return call(function, [&](process& p) {
        CUstream_st* stream = simcuda::find_stream(p, handle);
        return stream ? work(p, *stream) : cudaErrorInvalidResourceHandle;
    });
}

} // namespace

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* out) {
    return call(__func__, [&](process& p) { return simcuda::create(p, out, cudaStreamDefault, 0); });
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
    return call(__func__, [&](process& p) { return simcuda::create(p, out, flags, 0); });
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* out, unsigned flags, int priority) {
    return call(__func__, [&](process& p) { return simcuda::create(p, out, flags, priority); });
}

/// Work left in it goes on.
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
    return call(__func__, [&](process& p) {
        const auto found = p.streams.find(handle);
        if (found == p.streams.end()) return cudaErrorInvalidResourceHandle;
        if (simcuda::capture* in = found->second->capturing) {
            in->invalid = true; // unjoined, or never to be ended
            if (in->origin == handle) simcuda::close(p, *in);
        }
        p.streams.erase(found);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    return on_stream(__func__, handle, [](process& p, CUstream_st& stream) {
        if (const cudaError_t code = simcuda::may_wait(p, stream); code != cudaSuccess) return code;
        if (const cudaError_t code = simcuda::order_with_legacy(p, stream); code != cudaSuccess) return code;
        const cudaError_t done = simcuda::wait_for(p, stream);
        simcuda::reap(p);
        return done;
    });
}
cudaError_t cudaStreamQuery(cudaStream_t handle) {
    return on_stream(__func__, handle, [](process& p, CUstream_st& stream) { return simcuda::query(p, stream); });
}
cudaError_t cudaDeviceSynchronize() {
    return call(__func__, [](process& p) {
        if (const cudaError_t code = simcuda::forbid_while_capturing(p); code != cudaSuccess) return code;
        return simcuda::wait_for_device(p, simcuda::current_device(p));
    });
}

#if CUDART_VERSION >= 12080
cudaError_t cudaStreamGetDevice(cudaStream_t handle, int* device) {
    return on_stream(__func__, handle, [&](process&, CUstream_st& stream) {
        if (!device) return cudaErrorInvalidValue;
        *device = stream.device;
        return cudaSuccess;
    });
}
#endif
cudaError_t cudaStreamGetFlags(cudaStream_t handle, unsigned* flags) {
    return on_stream(__func__, handle, [&](process&, CUstream_st& stream) {
        if (!flags) return cudaErrorInvalidValue;
        *flags = stream.flags;
        return cudaSuccess;
    });
}
cudaError_t cudaStreamGetId(cudaStream_t handle, unsigned long long* id) {
    return on_stream(__func__, handle, [&](process&, CUstream_st& stream) {
        if (!id) return cudaErrorInvalidValue;
        *id = stream.id;
        return cudaSuccess;
    });
}
cudaError_t cudaStreamGetPriority(cudaStream_t handle, int* priority) {
    return on_stream(__func__, handle, [&](process&, CUstream_st& stream) {
        if (!priority) return cudaErrorInvalidValue;
        *priority = stream.priority;
        return cudaSuccess;
    });
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
    return call(__func__, [&](process& p) {
        simcuda::current_device(p);
        if (least) *least = 0;
        if (greatest) *greatest = -5;
        return cudaSuccess;
    });
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void* data) {
    return on_stream(__func__, handle, [&](process& p, CUstream_st& stream) {
        if (!function) return cudaErrorInvalidValue;
        return simcuda::submit(
            p, stream, cudaGraphNodeTypeHost, [function, data](process& q, simcuda::sim::stream lane) {
                q.server.launch(lane, simcuda::host_function_us, simcuda::run_chore,
                                simcuda::keep(q, [function, data] { simcuda::run_host_function(function, data); }));
                return cudaSuccess;
            });
    });
}

} // extern "C"
