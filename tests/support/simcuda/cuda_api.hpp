// CUDA's declarations, exported: the library is compiled with hidden visibility, so that nothing else of it is.
#pragma once

#pragma GCC visibility push(default)
#include <cuda_runtime_api.h>
#pragma GCC visibility pop
