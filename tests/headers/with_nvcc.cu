// The CUDA headers beside device code, compiled by nvcc.
#include <barelink/memcpy.hpp>
#include <barelink/move/cuda.hpp>
#include <barelink/move/kernels.cuh>

__global__ void add_one(int* at) {
    at[threadIdx.x] += 1;
}

cudaError_t load_and_add(int* on_gpu, const int* in_host, int count, cudaStream_t stream) {
    const cudaError_t loaded =
        barelink::memcpy_async(on_gpu, in_host, sizeof(int) * static_cast<std::size_t>(count), cudaMemcpyHostToDevice, stream);
    if (loaded != cudaSuccess) return loaded;
    add_one<<<1, count, 0, stream>>>(on_gpu);
    return cudaGetLastError();
}
