// Copies of any kind, from CUDA's point of view.
#pragma once

#include <cstdint>

#include "process.hpp"

namespace simcuda {

/// One copy in stream order. Copies between host memories, and of pageable memory, block as CUDA's do.
[[nodiscard]] cudaError_t submit_copy(process& p, CUstream_st& stream, void* to, const void* from, std::uint64_t bytes,
                                      cudaMemcpyKind kind);

/// `count` rows of `bytes` with a pitch on either side.
struct rows {
    void* to;
    std::uint64_t to_pitch;
    const void* from;
    std::uint64_t from_pitch, bytes, count;
};
/// One strided copy in stream order. Precondition: a row at least, and none empty.
[[nodiscard]] cudaError_t submit_rows(process& p, CUstream_st& stream, const rows& all, cudaMemcpyKind kind);

/// One batch in stream order, checked before; not while capturing. `failed` is the entry at fault.
[[nodiscard]] cudaError_t submit_batch(process& p, CUstream_st& stream, const std::vector<barelink::block>& list,
                                       std::size_t& failed);

/// Whether both ranges lie on devices: only such copies may return from cudaMemcpy before they are done.
[[nodiscard]] bool between_devices(process& p, const void* to, const void* from, std::uint64_t bytes);

} // namespace simcuda
