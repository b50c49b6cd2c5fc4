// Drop-in copies: CUDA's signatures and error codes, Barelink's plans. Replacing a call is a change of one word.
#pragma once

#include <barelink/move/detail/drop_in_batch.hpp>
#include <barelink/move/memcpy_options.hpp>

BARELINK_BEGIN_NAMESPACE

/// Sets the options, and the machine to plan on (such as `live_machine()`, or a machine file of this machine). Without it the
/// first call that plans reads the machine with `cuda::discover`. cudaErrorInvalidValue once anything was planned. Threads:
/// any one, before the others copy.
inline cudaError_t memcpy_configure(const memcpy_options& options) noexcept {
    return detail::drop_in::get().configure(options);
}
inline cudaError_t memcpy_configure(const memcpy_options& options, machine planned_on) {
    const cudaError_t set = memcpy_configure(options);
    return set == cudaSuccess ? detail::drop_in::get().configure(std::move(planned_on)) : set;
}

/// `cudaMemcpyAsync` with its semantics: stream order, pageable memory as CUDA treats it, capture, codes. What CUDA does best it
/// does by itself: small copies, pinned copies without relays, copies within one memory, managed memory. Planned are pageable
/// copies (host threads and a pinned ring; not where a coherent link lets the GPU read them itself), copies between GPUs (a direct path is opened once its delivery is proved) and,
/// with relays, pinned copies. A copy that cannot be planned goes to CUDA, counted as a fallback. A failing code is not left
/// behind as the thread's last error. Threads: any, at once. Streams of one GPU may be given copies of another's.
inline cudaError_t memcpy_async(void* dst, const void* src, std::size_t count, cudaMemcpyKind kind,
                                cudaStream_t stream = nullptr) {
    detail::drop_in& state = detail::drop_in::get();
    if (count < state.least_bytes() || kind == cudaMemcpyHostToHost)
        return state.leave(cudaMemcpyAsync(dst, src, count, kind, stream));
    return state.copy(dst, src, count, stream, [&] { return cudaMemcpyAsync(dst, src, count, kind, stream); });
}

/// `cudaMemcpyPeerAsync`, as above.
inline cudaError_t memcpy_peer_async(void* dst, int dst_device, const void* src, int src_device, std::size_t count,
                                     cudaStream_t stream = nullptr) {
    detail::drop_in& state = detail::drop_in::get();
    const auto raw = [&] { return cudaMemcpyPeerAsync(dst, dst_device, src, src_device, count, stream); };
    return count < state.least_bytes() ? state.leave(raw()) : state.copy(dst, src, count, stream, raw);
}

#if CUDART_VERSION >= 12080
/// `cudaMemcpyBatchAsync` of the toolkit in use (before 13.0 it has `fail_index`, which names the entry that failed, or SIZE_MAX).
/// Where CUDA refuses a batch, on the legacy stream and in captures, its entries are copied one by one; entries that are worth
/// a plan get one each, the rest goes to CUDA in as few batches as there are. Entries must not depend on one another.
#if CUDART_VERSION >= 13000
inline cudaError_t memcpy_batch_async(void* const* dsts, const void* const* srcs, const std::size_t* sizes,
                                      std::size_t count, cudaMemcpyAttributes* attributes,
                                      std::size_t* attribute_indices, std::size_t attribute_count,
                                      cudaStream_t stream) {
    return detail::copy_batch(detail::drop_in::get(),
                              {dsts, srcs, sizes, count, attributes, attribute_indices, attribute_count}, stream,
                              nullptr);
}
#else
inline cudaError_t memcpy_batch_async(void** dsts, void** srcs, std::size_t* sizes, std::size_t count,
                                      cudaMemcpyAttributes* attributes, std::size_t* attribute_indices,
                                      std::size_t attribute_count, std::size_t* fail_index, cudaStream_t stream) {
    return detail::copy_batch(detail::drop_in::get(),
                              {dsts, srcs, sizes, count, attributes, attribute_indices, attribute_count}, stream,
                              fail_index);
}
#endif
#endif

/// What the drop-in functions did, over all threads.
[[nodiscard]] inline memcpy_counters memcpy_counted() noexcept {
    return detail::drop_in::get().counted();
}

/// Why the last call of this thread that fell back or failed did so; empty when none did. Valid until the next one.
[[nodiscard]] inline const char* memcpy_why() noexcept {
    return detail::drop_in::why().c_str();
}

BARELINK_END_NAMESPACE
