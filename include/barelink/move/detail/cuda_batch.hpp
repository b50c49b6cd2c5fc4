// The batch copy in the signatures that it has had. Private to move/cuda and memcpy.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <cuda_runtime_api.h>

#include <barelink/move/block.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda::detail {

#if CUDART_VERSION >= 12080

/// One batch of one kind of copies. `failed` becomes the position of the entry at fault where CUDA says so (12.8 and 12.9 do),
/// else it is left alone.
[[nodiscard]] inline cudaError_t copy_batch(void* const* to, const void* const* from, const std::size_t* bytes,
                                            std::size_t count, cudaMemcpyAttributes* attributes, cudaStream_t stream,
                                            [[maybe_unused]] std::size_t* failed) noexcept {
    std::size_t zero = 0;
#if CUDART_VERSION >= 13000
    return cudaMemcpyBatchAsync(to, from, bytes, count, attributes, &zero, 1, stream);
#else
    return cudaMemcpyBatchAsync(const_cast<void**>(to), const_cast<void**>(from), const_cast<std::size_t*>(bytes),
                                count, attributes, &zero, 1, failed, stream);
#endif
}

/// A list of blocks as one batch. The source is read in stream order: with any other order a device-to-host copy may read
/// before the kernel that makes its bytes is done, and peer copies are known to crash (vLLM #39306). Keeps its arrays.
class batch_arrays {
public:
    [[nodiscard]] cudaError_t copy(const block* list, std::size_t count, cudaStream_t stream) {
        std::size_t failed = 0; // not passed on: entries of no bytes shift it, and who calls checked his entries
        to_.clear();
        from_.clear();
        bytes_.clear();
        for (std::size_t i = 0; i < count; ++i) {
            if (list[i].bytes == 0) continue; // no driver need be trusted with those
            to_.push_back(list[i].to);
            from_.push_back(list[i].from);
            bytes_.push_back(list[i].bytes);
        }
        if (to_.empty()) return cudaSuccess;
        cudaMemcpyAttributes attributes{};
        attributes.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
        return copy_batch(to_.data(), from_.data(), bytes_.data(), to_.size(), &attributes, stream, &failed);
    }

private:
    std::vector<void*> to_;
    std::vector<const void*> from_;
    std::vector<std::size_t> bytes_;
};

/// Whether the driver of this process knows the call; asked once.
[[nodiscard]] inline bool driver_copies_batches() noexcept {
    static const bool known = [] {
        int version = 0;
        if (cudaDriverGetVersion(&version) == cudaSuccess) return version >= 12080;
        (void)cudaGetLastError();
        return false;
    }();
    return known;
}

#else

class batch_arrays {
public:
    [[nodiscard]] cudaError_t copy(const block*, std::size_t, cudaStream_t) noexcept { return cudaErrorNotSupported; }
};
[[nodiscard]] inline bool driver_copies_batches() noexcept {
    return false;
}

#endif

} // namespace cuda::detail
BARELINK_END_NAMESPACE
