// This machine, as hwloc sees it.
#pragma once

#include <string>
#include <utility>

#include <barelink/machine/hwloc_xml.hpp>

BARELINK_BEGIN_NAMESPACE

/// Reads this machine through hwloc: a few milliseconds without PCI devices, some milliseconds for each in a virtual
/// machine. Wakes no driver and creates no CUDA context. Peer paths between its GPUs are `unproved`, NVLink included.
/// The name is the maker's model, or `live`. Errors: device, when hwloc cannot load the topology.
[[nodiscard]] inline result<machine> discover() {
    const detail::hwloc_topology topology = detail::hwloc_topology::live();
    if (!topology) return error(errc::device, "hwloc cannot read this machine: check that `lstopo` works here");
    std::string name = detail::trimmed(detail::info_of(hwloc_get_root_obj(topology.get()), "DMIProductName"));
    if (name.empty()) name = "live";
    return detail::machine_from_hwloc(topology, std::move(name), true);
}

BARELINK_END_NAMESPACE
