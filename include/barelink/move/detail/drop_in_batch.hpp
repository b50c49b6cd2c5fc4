// The drop-in batch copy: which entries CUDA gets together, which one by one, and which are planned. Private to memcpy.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include <barelink/move/detail/cuda_batch.hpp>
#include <barelink/move/detail/drop_in.hpp>

#if CUDART_VERSION >= 12080

BARELINK_BEGIN_NAMESPACE
namespace detail {

struct drop_in_batch {
    void* const* dsts;
    const void* const* srcs;
    const std::size_t* sizes;
    std::size_t count;
    cudaMemcpyAttributes* attributes;
    std::size_t* attribute_indices;
    std::size_t attribute_count;
};

/// See `memcpy_batch_async`.
[[nodiscard]] inline cudaError_t copy_batch(drop_in& state, const drop_in_batch& batch, cudaStream_t stream,
                                            std::size_t* fail_index) {
    const auto give_up = [&](std::size_t at, cudaError_t code) {
        if (fail_index) *fail_index = at;
        return code;
    };
    const auto raw = [&](std::size_t first, std::size_t end, std::size_t attribute) {
        std::size_t failed = SIZE_MAX;
        state.leave(cudaSuccess);
        const cudaError_t code = cuda::detail::copy_batch(batch.dsts + first, batch.srcs + first, batch.sizes + first,
                                                          end - first, batch.attributes + attribute, stream, &failed);
        if (fail_index && code != cudaSuccess) *fail_index = failed == SIZE_MAX ? failed : failed + first;
        return code;
    };
    if (fail_index) *fail_index = SIZE_MAX;
    if (!batch.dsts || !batch.srcs || !batch.sizes || !batch.attributes || !batch.attribute_indices ||
        batch.count == 0 || batch.attribute_count == 0 || batch.attribute_indices[0] != 0)
        return cudaErrorInvalidValue;
    cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    const bool legacy = stream == nullptr || stream == cudaStreamLegacy;
    if (!legacy)
        if (const cudaError_t code = cudaStreamIsCapturing(stream, &capture); code != cudaSuccess) return code;
    const bool one_by_one = legacy || capture != cudaStreamCaptureStatusNone;

    std::size_t first = 0, attribute = 0; // entries from `first` on wait to go to CUDA in one batch
    for (std::size_t i = 0; i <= batch.count; ++i) {
        const bool next_attribute =
            attribute + 1 < batch.attribute_count && i < batch.count && batch.attribute_indices[attribute + 1] <= i;
        const bool alone = i < batch.count && (one_by_one || batch.sizes[i] >= state.least_bytes());
        if ((alone || next_attribute || i == batch.count) && first < i) {
            if (const cudaError_t code = raw(first, i, attribute); code != cudaSuccess) return code;
            first = i;
        }
        if (next_attribute) ++attribute;
        if (!alone) continue;
        void* const dst = batch.dsts[i];
        const void* const src = batch.srcs[i];
        const std::size_t bytes = batch.sizes[i];
        const auto single = [&] { return cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDefault, stream); };
        const cudaError_t code =
            bytes < state.least_bytes() ? state.leave(single()) : state.copy(dst, src, bytes, stream, single);
        if (code != cudaSuccess) return give_up(i, code);
        first = i + 1;
    }
    return cudaSuccess;
}

} // namespace detail
BARELINK_END_NAMESPACE

#endif
