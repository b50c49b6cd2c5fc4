// The spin kernel as plain C++ sees it: a function that launches it, or none where the tool was built without nvcc.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

namespace tool {

/// Enqueues a kernel that ends when `*open` is not 0, or after `most_ns`, and then sets `*gave_up`. Both words are in mapped
/// pinned memory, by addresses of the stream's GPU, which must be the current one. Returns what the launch returned.
using spin_kernel = cudaError_t (*)(const std::uint32_t* open, std::uint32_t* gave_up, std::uint64_t most_ns,
                                    cudaStream_t stream);

#if BARELINK_TOOL_KERNEL || defined(__CUDACC__)
[[nodiscard]] spin_kernel compiled_spin_kernel();
#else
[[nodiscard]] inline spin_kernel compiled_spin_kernel() {
    return nullptr;
}
#endif

} // namespace tool
