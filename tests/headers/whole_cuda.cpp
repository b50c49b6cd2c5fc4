// Every header that names CUDA in one unit, with the templates that matter instantiated: what the linter reads.
#include <barelink/machine/cuda.hpp>
#include <barelink/machine/live.hpp>
#include <barelink/measure/cuda_checks.hpp>
#include <barelink/memcpy.hpp>
#include <barelink/move/cuda.hpp>
#include <barelink/move/pinned_pool.hpp>

template class barelink::mover<barelink::cuda::runtime>;
template class barelink::pinned_pool<barelink::cuda::runtime>;
template class barelink::pinned_range<barelink::cuda::runtime>;
template barelink::result<barelink::delivery>
barelink::prove_delivery<barelink::cuda::runtime>(barelink::cuda::runtime&, barelink::node_index, barelink::node_index,
                                                  barelink::proof_options);
