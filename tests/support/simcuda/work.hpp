// Giving work to streams, and waiting for it: what copies, events and memory have in common.
#pragma once

#include <vector>

#include "process.hpp"

namespace simcuda {

/// Resolves a handle: the NULL stream and the per-thread one are the current device's. nullptr for a handle that is no stream.
[[nodiscard]] CUstream_st* find_stream(process& p, cudaStream_t handle);
[[nodiscard]] CUevent_st* find_event(process& p, cudaEvent_t handle);

[[nodiscard]] CUstream_st make_stream(process& p, int device, unsigned flags, int priority, cudaError_t& code);

/// Enqueues the command, or adds it to the graph that the stream is being captured into.
[[nodiscard]] cudaError_t submit(process& p, CUstream_st& stream, cudaGraphNodeType type, const command& work);

/// Orders a stream against its device's NULL stream, as far as both take part in that. For work that is not captured.
[[nodiscard]] cudaError_t order_with_legacy(process& p, CUstream_st& stream);

/// Waits for a recording, or for all of a stream's work so far. A copy that failed before ends the process, as it were.
[[nodiscard]] cudaError_t wait_for(process& p, sim::event recording);
[[nodiscard]] cudaError_t wait_for(process& p, CUstream_st& stream);
/// Waits for every stream of a device, -1 for all devices.
[[nodiscard]] cudaError_t wait_for_device(process& p, int device);

/// Every stream that the process has, of a device, -1 for all.
[[nodiscard]] std::vector<CUstream_st*> streams_of(process& p, int device);

/// Gives back the buffers of pageable copies that are through.
void reap(process& p);

/// Keeps something to run until the simulator runs it, once.
[[nodiscard]] std::function<void()>* keep(process& p, std::function<void()> chore);
/// What the simulator calls with it.
void run_chore(void* kept);

} // namespace simcuda
