// Stream capture: which calls it forbids, and how work becomes nodes.
#pragma once

#include "process.hpp"

namespace simcuda {

/// Makes a capture invalid and returns the code.
[[nodiscard]] inline cudaError_t spoil(capture& c, cudaError_t code) {
    c.invalid = true;
    return code;
}

/// What a call gets that might block or might be ordered against captured work: an error, and the capture is spoiled, while
/// this thread captures, or any thread does in global mode; unless this thread took the responsibility (relaxed mode).
[[nodiscard]] cudaError_t forbid_while_capturing(process& p);

/// Adds a node that comes after the stream's work so far.
[[nodiscard]] cudaError_t add_node(process& p, CUstream_st& stream, cudaGraphNodeType type, const command& work);

/// The capture is over, however it went. Returns what was captured.
std::unique_ptr<CUgraph_st> close(process& p, capture& c);

[[nodiscard]] capture* find_capture(process& p, std::uint64_t number);

} // namespace simcuda
