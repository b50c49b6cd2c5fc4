// A second translation unit with the same header: nothing is defined twice.
#include <barelink/move/kernels.cuh>

#include "kernels.hpp"

namespace kernels {

barelink::cuda::block_kernel another_block_kernel() {
    return barelink::cuda::launch_block_kernel;
}

} // namespace kernels
