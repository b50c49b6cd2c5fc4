// The block kernel for the tool, which is built with it where there is an nvcc.
#include <barelink/move/cuda_block_kernel.hpp>
#include <barelink/move/kernels.cuh>

namespace tool {

barelink::cuda::block_kernel compiled_block_kernel();

barelink::cuda::block_kernel compiled_block_kernel() {
    return barelink::cuda::launch_block_kernel;
}

} // namespace tool
