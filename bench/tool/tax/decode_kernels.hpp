// The kernels of the memory rows and of the decode proxy, as functions that C++ calls. The tool has them where nvcc was there.
#pragma once

#ifndef BARELINK_TOOL_KERNEL
#define BARELINK_TOOL_KERNEL 0
#endif

#include <cstdint>

#include <cuda_runtime_api.h>

namespace tool {

/// What the kernels of a step hand on to each other, in device memory.
struct decode_state {
    std::uint32_t activation;
    std::uint32_t sum; ///< of this layer's words times the activation, modulo 2^32
};

/// Each enqueues one kernel in a stream whose GPU is the current one, and returns; all may be captured. Memory is the caller's,
/// on that GPU, at multiples of 16 bytes. Errors: cudaErrorInvalidValue for sizes that are no multiples of what is said, those of a
/// launch.
struct decode_kernels {
    /// Multiples of 64 KiB.
    static constexpr std::uint64_t tile_bytes = 64 * 1024;

    /// Granule g from `first` on holds `decode_word(g)` in every word.
    cudaError_t (*fill)(void* to, std::uint64_t bytes, std::uint32_t first, cudaStream_t) = nullptr;
    /// Adds all words times the activation to the sum.
    cudaError_t (*read)(const void* from, std::uint64_t bytes, decode_state*, cudaStream_t) = nullptr;
    cudaError_t (*copy)(void* to, const void* from, std::uint64_t bytes, cudaStream_t) = nullptr;
    /// The same as `read` for `count` blocks of a multiple of 16 KiB, one thread block each, in the table's order.
    cudaError_t (*read_blocks)(const void* from, std::uint32_t block_bytes, const std::uint32_t* table,
                               std::uint32_t count, decode_state*, cudaStream_t) = nullptr;
    /// Tiny ones, one thread block each. The activation from the token, or from the layer before when that is null; sum 0.
    cudaError_t (*open_layer)(decode_state*, const std::uint32_t* token, cudaStream_t) = nullptr;
    /// Writes the layer's sum to `trace[layer]`.
    cudaError_t (*close_layer)(const decode_state*, std::uint32_t* trace, std::uint32_t layer, cudaStream_t) = nullptr;

    [[nodiscard]] explicit operator bool() const noexcept { return fill != nullptr; }
};

#if BARELINK_TOOL_KERNEL
[[nodiscard]] decode_kernels compiled_decode_kernels();
#else
/// None: this tool was built where there was no nvcc.
[[nodiscard]] inline decode_kernels compiled_decode_kernels() {
    return {};
}
#endif

} // namespace tool
