// What tests may ask of the simulated CUDA runtime beyond CUDA: faults on request, counts, and the server behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "cuda_api.hpp"

#include <barelink/move/sim_runtime.hpp>

#define SIMCUDA_API __attribute__((visibility("default")))

namespace simcuda {

/// A new process, as it were, on this machine: contexts, handles, registrations, planned failures and last errors of the
/// calling thread are gone. hwloc sees the machine from then on, unless HWLOC_XMLFILE names a file of the user's.
SIMCUDA_API void reset(barelink::machine on, barelink::sim::options chosen = {});
/// The same on the machine that BARELINK_SIM_MACHINE names.
SIMCUDA_API void reset();

/// The simulated server: clock, trace, and link and peer faults by `inject`. Not to be used while other threads call CUDA.
/// Aborts where there is no GPU.
SIMCUDA_API barelink::sim::runtime& server();

/// Whether a context was created on the device, and on how many.
SIMCUDA_API bool has_context(int device);
SIMCUDA_API int contexts();

/// The `nth` call of that function from now, counted from 0, returns the code and does nothing, also when the code is
/// cudaSuccess. A sticky code is what every call returns from then on.
SIMCUDA_API void fail(const char* function, std::uint64_t nth, cudaError_t code, bool sticky = false);
/// The same, for the `nth` call of whatever function.
SIMCUDA_API void fail_any(std::uint64_t nth, cudaError_t code, bool sticky = false);
/// Every call fails from now on, as after a GPU fell off its bus.
SIMCUDA_API void lose_device(int device, cudaError_t code = cudaErrorLaunchFailure);
/// Peer access of `from` to `to` is neither offered nor granted; the other direction is left as it is.
SIMCUDA_API void refuse_peer(int from, int to);
/// The system calls for NUMA placement answer EPERM, as under Docker's seccomp profile.
SIMCUDA_API void deny_binding(bool denied = true);
/// Pinned memory beyond this many bytes is refused with cudaErrorMemoryAllocation.
SIMCUDA_API void limit_pinned(std::uint64_t bytes);
/// Whether cudaErrorNotReady, which is not an error, becomes the last error all the same. It does not by default.
SIMCUDA_API void record_not_ready(bool recorded);

/// One launch of a kernel.
struct kernel_launch {
    int device;
    dim3 grid, block;
};
/// A function of the CPU that stands for a kernel. `arguments` point at copies of the launch's arguments, `argument_bytes`
/// long each. `us` says how long the kernel runs, and is asked when it is enqueued, each time a graph is launched; `run` is
/// called when it ends.
struct kernel_stand_in {
    std::vector<std::size_t> argument_bytes;
    std::function<double(void** arguments, const kernel_launch&)> us;
    std::function<void(void** arguments, const kernel_launch&)> run;
};
/// From now on, also after a reset. `kernel` is the address of its host function. Kernels without one cannot be launched:
/// cudaErrorNoKernelImageForDevice; barelink's own has one.
SIMCUDA_API void stand_in(const void* kernel, kernel_stand_in by);

/// Calls since the last reset; those of cudaGetLastError, cudaPeekAtLastError and the names of errors are not counted.
SIMCUDA_API std::uint64_t calls(const char* function);
SIMCUDA_API std::uint64_t calls();
/// The calling thread's last error, left in place.
SIMCUDA_API cudaError_t pending_error();

/// What has been created and not destroyed.
struct live_counts {
    std::size_t streams = 0;
    std::size_t events = 0;
    std::size_t graphs = 0; ///< and instantiated ones
    std::size_t registrations = 0;
    std::size_t device_allocations = 0; ///< and managed ones
    std::size_t host_allocations = 0;
    friend bool operator==(const live_counts&, const live_counts&) noexcept = default;
};
SIMCUDA_API live_counts live();

} // namespace simcuda
