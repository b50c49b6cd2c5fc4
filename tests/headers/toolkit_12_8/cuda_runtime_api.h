// The toolkit's header as 12.8 had it, as far as barelink uses it: the batch copy named the entry that failed.
#pragma once

#define cudaMemcpyBatchAsync later_cudaMemcpyBatchAsync
#include_next <cuda_runtime_api.h>
#undef cudaMemcpyBatchAsync
#undef CUDART_VERSION
#define CUDART_VERSION 12080

extern "C" cudaError_t cudaMemcpyBatchAsync(void** dsts, void** srcs, size_t* sizes, size_t count,
                                            cudaMemcpyAttributes* attributes, size_t* attribute_indices,
                                            size_t attribute_count, size_t* fail_index, cudaStream_t stream);
