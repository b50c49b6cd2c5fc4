// CUDA's copy and fill functions.
#include <cstring>

#include "captures.hpp"
#include "copies.hpp"
#include "memory.hpp"
#include "work.hpp"

namespace simcuda {
namespace {

/// Copies between devices whose owners the caller names.
cudaError_t check_owners(process& p, const void* to, int to_device, const void* from, int from_device,
                         std::uint64_t bytes) {
    if (!p.has(to_device) || !p.has(from_device)) return cudaErrorInvalidDevice;
    const allocation *target = nullptr, *source = nullptr;
    std::uintptr_t base = 0;
    if (locate(p, to, bytes, target, base) != cudaSuccess || locate(p, from, bytes, source, base) != cudaSuccess)
        return cudaErrorInvalidValue;
    const auto owned = [](const allocation* a, int device) {
        return a &&
               (a->what == allocation::kind::managed || (a->what == allocation::kind::device && a->device == device));
    };
    return owned(target, to_device) && owned(source, from_device) ? cudaSuccess : cudaErrorInvalidValue;
}

/// A device writes its own memory at about this rate.
constexpr double fill_gb_s = 1000;

cudaError_t fill(process& p, CUstream_st& stream, void* at, int value, std::uint64_t bytes) {
    const allocation* found = nullptr;
    std::uintptr_t base = 0;
    if (bytes == 0) return cudaSuccess;
    if (const cudaError_t code = locate(p, at, bytes, found, base); code != cudaSuccess) return code;
    if (!found) return cudaErrorInvalidValue;
    return submit(p, stream, cudaGraphNodeTypeMemset, [=](process& q, sim::stream lane) {
        const double us = barelink::transfer_us(static_cast<double>(bytes), fill_gb_s);
        q.server.launch(lane, us, run_chore, keep(q, [=] { std::memset(at, value, bytes); }));
        return cudaSuccess;
    });
}

cudaError_t copy_rows(process& p, CUstream_st& stream, void* to, std::size_t to_pitch, const void* from,
                      std::size_t from_pitch, std::size_t width, std::size_t height, cudaMemcpyKind kind) {
    if (width > to_pitch || width > from_pitch) return cudaErrorInvalidPitchValue;
    if (width == 0 || height == 0) return cudaSuccess;
    if (width == to_pitch && width == from_pitch) return submit_copy(p, stream, to, from, width * height, kind);
    return submit_rows(p, stream, {to, to_pitch, from, from_pitch, width, height}, kind);
}

/// Waits for what a blocking function waits for.
cudaError_t finish(process& p, CUstream_st& stream, bool blocks) {
    if (!blocks) return cudaSuccess;
    const cudaError_t done = wait_for(p, stream);
    reap(p);
    return done;
}

cudaError_t copy_now(process& p, void* to, const void* from, std::uint64_t bytes, cudaMemcpyKind kind) {
    if (const cudaError_t code = forbid_while_capturing(p); code != cudaSuccess) return code;
    CUstream_st* legacy = find_stream(p, cudaStreamLegacy);
    if (!legacy) return cudaErrorUnknown;
    const cudaError_t code = submit_copy(p, *legacy, to, from, bytes, kind);
    return code == cudaSuccess ? finish(p, *legacy, !between_devices(p, to, from, bytes)) : code;
}

cudaError_t copy_peer_now(process& p, void* to, int to_device, const void* from, int from_device, std::uint64_t bytes) {
    if (const cudaError_t code = forbid_while_capturing(p); code != cudaSuccess) return code;
    if (bytes == 0) return cudaSuccess;
    if (const cudaError_t code = check_owners(p, to, to_device, from, from_device, bytes); code != cudaSuccess)
        return code;
    // Serialized with everything on both devices.
    for (const int each : {to_device, from_device})
        if (const cudaError_t code = wait_for_device(p, each); code != cudaSuccess) return code;
    CUstream_st* legacy = find_stream(p, cudaStreamLegacy);
    if (!legacy) return cudaErrorUnknown;
    const cudaError_t code = submit_copy(p, *legacy, to, from, bytes, cudaMemcpyDefault);
    return code == cudaSuccess ? finish(p, *legacy, to_device != from_device) : code;
}

/// The same for both signatures. `failed` is the copy at fault, or ~0.
cudaError_t copy_batch(process& p, void* const* to, const void* const* from, const std::size_t* bytes,
                       std::size_t count, const cudaMemcpyAttributes* attributes, const std::size_t* first_of,
                       std::size_t kinds, cudaStream_t handle, std::size_t& failed) {
    failed = ~std::size_t{0};
    CUstream_st* stream = find_stream(p, handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (stream->legacy) return cudaErrorInvalidValue;
    if (stream->capturing) return spoil(*stream->capturing, cudaErrorStreamCaptureUnsupported);
    if (!to || !from || !bytes || !attributes || !first_of) return cudaErrorInvalidValue;
    if (count == 0 || kinds == 0 || kinds > count || first_of[0] != 0) return cudaErrorInvalidValue;
    for (std::size_t k = 0; k < kinds; ++k) {
        const auto order = attributes[k].srcAccessOrder;
        if (order <= cudaMemcpySrcAccessOrderInvalid || order > cudaMemcpySrcAccessOrderAny)
            return cudaErrorInvalidValue;
        if (first_of[k] >= count || (k > 0 && first_of[k] <= first_of[k - 1])) return cudaErrorInvalidValue;
    }
    for (std::size_t i = 0; i < count; ++i) { // all of them, before the first one is given to the stream
        const allocation* found = nullptr;
        std::uintptr_t base = 0;
        failed = i;
        if (locate(p, to[i], bytes[i], found, base) != cudaSuccess) return cudaErrorInvalidValue;
        if (locate(p, from[i], bytes[i], found, base) != cudaSuccess) return cudaErrorInvalidValue;
    }
    std::vector<barelink::block> list;
    for (std::size_t i = 0; i < count; ++i) list.push_back({to[i], from[i], bytes[i]});
    const cudaError_t code = submit_batch(p, *stream, list, failed);
    if (code == cudaSuccess) failed = ~std::size_t{0};
    return code;
}

} // namespace
} // namespace simcuda

using simcuda::call;
using simcuda::process;

namespace {

template <class Work>
cudaError_t on_stream(const char* function, cudaStream_t handle, Work work) {
    return call(function, [&](process& p) {
        CUstream_st* stream = simcuda::find_stream(p, handle);
        return stream ? work(p, *stream) : cudaErrorInvalidResourceHandle;
    });
}

} // namespace

extern "C" {

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
    return call(__func__, [&](process& p) { return simcuda::copy_now(p, to, from, bytes, kind); });
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t handle) {
    return on_stream(__func__, handle, [&](process& p, CUstream_st& stream) {
        return simcuda::submit_copy(p, stream, to, from, bytes, kind);
    });
}

cudaError_t cudaMemcpyPeer(void* to, int to_device, const void* from, int from_device, std::size_t bytes) {
    return call(__func__,
                [&](process& p) { return simcuda::copy_peer_now(p, to, to_device, from, from_device, bytes); });
}
cudaError_t cudaMemcpyPeerAsync(void* to, int to_device, const void* from, int from_device, std::size_t bytes,
                                cudaStream_t handle) {
    return on_stream(__func__, handle, [&](process& p, CUstream_st& stream) {
        if (bytes == 0) return cudaSuccess;
        const cudaError_t owners = simcuda::check_owners(p, to, to_device, from, from_device, bytes);
        return owners == cudaSuccess ? simcuda::submit_copy(p, stream, to, from, bytes, cudaMemcpyDefault) : owners;
    });
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind, cudaStream_t handle) {
    return on_stream(__func__, handle, [&](process& p, CUstream_st& stream) {
        return simcuda::copy_rows(p, stream, to, to_pitch, from, from_pitch, width, height, kind);
    });
}

#if CUDART_VERSION >= 13000
cudaError_t cudaMemcpyBatchAsync(void* const* to, const void* const* from, const std::size_t* bytes, std::size_t count,
                                 cudaMemcpyAttributes* attributes, std::size_t* first_of, std::size_t kinds,
                                 cudaStream_t stream) {
    return call(__func__, [&](process& p) {
        std::size_t failed = 0;
        return simcuda::copy_batch(p, to, from, bytes, count, attributes, first_of, kinds, stream, failed);
    });
}
#elif CUDART_VERSION >= 12080
cudaError_t cudaMemcpyBatchAsync(void** to, void** from, std::size_t* bytes, std::size_t count,
                                 cudaMemcpyAttributes* attributes, std::size_t* first_of, std::size_t kinds,
                                 std::size_t* failed, cudaStream_t stream) {
    return call(__func__, [&](process& p) {
        std::size_t ignored = 0;
        return simcuda::copy_batch(p, to, from, bytes, count, attributes, first_of, kinds, stream,
                                   failed ? *failed : ignored);
    });
}
#endif

cudaError_t cudaMemset(void* at, int value, std::size_t bytes) {
    return call(__func__, [&](process& p) {
        if (const cudaError_t code = simcuda::forbid_while_capturing(p); code != cudaSuccess) return code;
        CUstream_st* legacy = simcuda::find_stream(p, cudaStreamLegacy);
        return legacy ? simcuda::fill(p, *legacy, at, value, bytes) : cudaErrorUnknown;
    });
}
cudaError_t cudaMemsetAsync(void* at, int value, std::size_t bytes, cudaStream_t handle) {
    return on_stream(__func__, handle,
                     [&](process& p, CUstream_st& stream) { return simcuda::fill(p, stream, at, value, bytes); });
}

} // extern "C"
