// The toolkit's header as 12.4 had it, as far as barelink uses it: what came later is hidden under other names.
#pragma once

#define cudaMemcpyBatchAsync later_cudaMemcpyBatchAsync
#define cudaStreamGetDevice later_cudaStreamGetDevice
#define cudaGetDriverEntryPointByVersion later_cudaGetDriverEntryPointByVersion
#include_next <cuda_runtime_api.h>
#undef cudaMemcpyBatchAsync
#undef cudaStreamGetDevice
#undef cudaGetDriverEntryPointByVersion
#undef CUDART_VERSION
#define CUDART_VERSION 12040
