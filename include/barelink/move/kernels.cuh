// The block kernel, for callers who compile with nvcc: copies a list of scattered blocks with few multiprocessors.
#pragma once

#include <cuda_runtime.h>

#include <barelink/move/block.hpp>
#include <barelink/move/detail/block_kernel_body.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail::block_kernel {

inline constexpr std::uint32_t kernel_threads = 1024; ///< with 64 registers each, one multiprocessor's worth

/// A window in shared memory. The next one is on its way, in a register of each thread, while this one is worked on: the list
/// may lie in host memory, 1 to 2 us away.
class shared_windows {
public:
    __device__ explicit shared_windows(std::uint64_t* shared) : shared_(shared) {}

    __device__ void fetch(const block* from, std::uint32_t entries, std::uint32_t thread, std::uint32_t) {
        if (thread < entries * words) next_ = __ldcs(reinterpret_cast<const unsigned long long*>(from) + thread);
    }
    [[nodiscard]] __device__ const block* open(std::uint32_t entries, std::uint32_t thread, std::uint32_t) {
        __syncthreads(); // all are through with the window before
        if (thread < entries * words) shared_[thread] = next_;
        __syncthreads();
        return reinterpret_cast<const block*>(shared_);
    }

    static constexpr std::uint32_t words = sizeof(block) / sizeof(std::uint64_t);
    static_assert(words * sizeof(std::uint64_t) == sizeof(block) && window_entries * words <= kernel_threads);

private:
    std::uint64_t* shared_;
    unsigned long long next_ = 0;
};

/// Bytes pass once: they need not stay in a cache.
struct streaming_memory {
    template <class Word>
    [[nodiscard]] __device__ Word load(const Word* from) const {
        return __ldcs(from);
    }
    [[nodiscard]] __device__ vector_word load(const vector_word* from) const {
        const ulonglong2 value = __ldcs(reinterpret_cast<const ulonglong2*>(from));
        return {value.x, value.y};
    }
    [[nodiscard]] __device__ std::uint64_t load(const std::uint64_t* from) const {
        return __ldcs(reinterpret_cast<const unsigned long long*>(from));
    }
    template <class Word>
    __device__ void store(Word* to, Word value) const {
        __stcs(to, value);
    }
    __device__ void store(vector_word* to, vector_word value) const {
        __stcs(reinterpret_cast<ulonglong2*>(to), make_ulonglong2(value.low, value.high));
    }
    __device__ void store(std::uint64_t* to, std::uint64_t value) const {
        __stcs(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(value));
    }
};

/// A template, so that many translation units may hold it.
template <std::uint32_t Threads>
__global__ void __launch_bounds__(Threads) copy_blocks(const block* list, std::uint32_t count) {
    __shared__ std::uint64_t shared[window_entries * shared_windows::words];
    shared_windows windows(shared);
    run(list, count, blockIdx.x, gridDim.x, threadIdx.x, Threads, windows, streaming_memory{});
}

} // namespace detail::block_kernel

namespace cuda {

/// Copies every entry of a list, reading and writing pinned host memory and device memory directly: a `cuda::block_kernel`, to be
/// named in `cuda::options`. Good for blocks of 1 KiB to 256 KiB and for lists of uneven ones; a single entry among many is
/// never spread over more than one multiprocessor, so entries of many MiB are better cut or left to a copy engine.
///
/// Enqueues one kernel of at most `multiprocessors` thread blocks of 1024 threads in `stream`, whose GPU must be the current one, and
/// returns at once. It can be captured into a graph; then the list is read anew at every launch.
///
/// The list and all addresses in it must be valid on that GPU: device memory, peer memory whose access is enabled, and pinned
/// memory by its device address (`cudaHostGetDevicePointer`), which for registered memory may differ from the host's. List
/// and memory are the caller's and stay until the kernel is done. Both sides equal modulo 16 move 16 bytes an access, modulo 8 or
/// 4 that many, others a byte.
///
/// Entries run in no order. Sources may overlap each other; a destination must overlap nothing else in the list. The GPU's
/// later work in stream order sees the bytes, and so does the host, or another GPU, after an event or the stream was waited
/// for. What the host wrote before the launch, the kernel sees.
///
/// Errors: cudaErrorInvalidValue for no list or no multiprocessor; those of a launch. An address that is not valid is found
/// while the kernel runs and ends the context, as in any kernel. An empty list is no error.
inline cudaError_t launch_block_kernel(const block* list, std::uint32_t count, int multiprocessors,
                                       cudaStream_t stream) {
    if (count == 0) return cudaSuccess;
    if (!list || multiprocessors < 1) return cudaErrorInvalidValue;
    void* arguments[] = {&list, &count};
    namespace kernel = barelink::detail::block_kernel;
    return cudaLaunchKernel(reinterpret_cast<const void*>(&kernel::copy_blocks<kernel::kernel_threads>),
                            dim3(static_cast<unsigned>(multiprocessors)), dim3(kernel::kernel_threads), arguments, 0,
                            stream);
}

} // namespace cuda
BARELINK_END_NAMESPACE
