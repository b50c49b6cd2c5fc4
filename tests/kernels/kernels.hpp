// What the tests launch: defined in .cu files, so that the tests themselves need no nvcc.
#pragma once

#include <barelink/move/cuda_block_kernel.hpp>

namespace kernels {

[[nodiscard]] barelink::cuda::block_kernel block_kernel();
/// The same from another translation unit.
[[nodiscard]] barelink::cuda::block_kernel another_block_kernel();

/// A kernel of the caller's own: adds `value` to `count` ints.
cudaError_t launch_add(int* at, int value, unsigned count, unsigned blocks, unsigned threads, cudaStream_t stream);
[[nodiscard]] const void* add_kernel();

} // namespace kernels
