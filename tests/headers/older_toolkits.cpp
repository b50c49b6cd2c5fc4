// The CUDA headers of the library with an older toolkit's declarations.
#include <barelink/machine/cuda.hpp>
#include <barelink/memcpy.hpp>
#include <barelink/move/cuda.hpp>

static_assert(CUDART_VERSION == BARELINK_TEST_CUDART_VERSION);
template class barelink::mover<barelink::cuda::runtime>;
