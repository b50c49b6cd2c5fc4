// Kernels and their launches, compiled by nvcc as a user's are.
#include <barelink/move/kernels.cuh>

#include "kernels.hpp"

namespace {

__global__ void add(int* at, int value, unsigned count) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) at[i] += value;
}

} // namespace

namespace kernels {

barelink::cuda::block_kernel block_kernel() {
    return barelink::cuda::launch_block_kernel;
}

cudaError_t launch_add(int* at, int value, unsigned count, unsigned blocks, unsigned threads, cudaStream_t stream) {
    add<<<blocks, threads, 0, stream>>>(at, value, count);
    return cudaGetLastError();
}

const void* add_kernel() {
    return reinterpret_cast<const void*>(&add);
}

} // namespace kernels
