// The machine that the environment asks for, and how hwloc gets to see it.
#pragma once

#include <optional>

#include "cuda_api.hpp"

#include <barelink/machine/machine.hpp>
#include <barelink/move/sim_faults.hpp>

namespace simcuda {

/// A machine was published: system calls about NUMA nodes are the simulation's. By default they go to the kernel.
[[nodiscard]] bool simulated_system();

/// The machine named by BARELINK_SIM_MACHINE. Where there is none, `why` says what CUDA answers then.
[[nodiscard]] std::optional<barelink::machine> machine_of_environment(cudaError_t& why);

/// Gives addresses to the PCI devices that have none, GPUs in the order of their numbers.
void address_devices(barelink::machine& m);

/// Lets hwloc in this process load the machine as if it were live, and tells the NUMA calls of its nodes.
void publish(const barelink::machine& m);

/// Wires that are worse than what the machine says of itself: BARELINK_SIM_SLOW=pcie=0.88,nvlink=0.5 multiplies the rates of the
/// links of a kind. What hwloc and CUDA's queries tell stays as it was. Aborts on anything else in the variable.
void slow_links(barelink::machine& m);

/// Peer access that is granted and does not work: BARELINK_SIM_BREAK=zeros:0:1,hangs:1:2,refused:2:0 names pairs of GPUs, from and
/// to. Aborts on anything else in the variable.
barelink::sim::faults broken_peers(const barelink::machine& m);

} // namespace simcuda
