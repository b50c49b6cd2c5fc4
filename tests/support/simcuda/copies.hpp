// Copies of any kind, from CUDA's point of view.
#pragma once

#include <cstdint>

#include "process.hpp"

namespace simcuda {

/// One copy in stream order. Copies between host memories, and of pageable memory, block as CUDA's do.
[[nodiscard]] cudaError_t submit_copy(process& p, CUstream_st& stream, void* to, const void* from, std::uint64_t bytes,
                                      cudaMemcpyKind kind);

/// Whether both ranges lie on devices: only such copies may return from cudaMemcpy before they are done.
[[nodiscard]] bool between_devices(process& p, const void* to, const void* from, std::uint64_t bytes);

} // namespace simcuda
