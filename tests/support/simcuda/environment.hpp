// The machine that the environment asks for, and how hwloc gets to see it.
#pragma once

#include <optional>

#include "cuda_api.hpp"

#include <barelink/machine/machine.hpp>

namespace simcuda {

/// A machine was published: system calls about NUMA nodes are the simulation's. By default they go to the kernel.
[[nodiscard]] bool simulated_system();

/// The machine named by BARELINK_SIM_MACHINE. Where there is none, `why` says what CUDA answers then.
[[nodiscard]] std::optional<barelink::machine> machine_of_environment(cudaError_t& why);

/// Gives addresses to the PCI devices that have none, GPUs in the order of their numbers.
void address_devices(barelink::machine& m);

/// Lets hwloc in this process load the machine as if it were live, and tells the NUMA calls of its nodes.
void publish(const barelink::machine& m);

} // namespace simcuda
