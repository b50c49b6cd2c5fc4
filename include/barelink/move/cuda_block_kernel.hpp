// The copy kernel as a plain C++ program sees it: a function that launches it, handed in by who has nvcc.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include <barelink/move/block.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda {

/// Enqueues on `stream` a kernel that copies `count` blocks, with at most `multiprocessors` multiprocessors, and returns
/// what the launch returned. The list, in page-locked memory, is read when the kernel runs; list and blocks are named by
/// addresses that the stream's GPU, current in the calling thread, can read and write. `launch_block_kernel` in <barelink/move/kernels.cuh> is one.
using block_kernel = cudaError_t (*)(const block* list, std::uint32_t count, int multiprocessors, cudaStream_t stream);

} // namespace cuda
BARELINK_END_NAMESPACE
