// This machine, as hwloc sees it.
#pragma once

#include <string>
#include <utility>

#include <barelink/machine/hwloc_xml.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// What hwloc sees here. The name is the maker's model, or `live`. Errors: device, when hwloc cannot load the topology.
[[nodiscard]] inline result<machine_sketch> live_hwloc_sketch() {
    const hwloc_topology topology = hwloc_topology::live();
    if (!topology) return error(errc::device, "hwloc cannot read this machine: check that `lstopo` works here");
    std::string name = trimmed(info_of(hwloc_get_root_obj(topology.get()), "DMIProductName"));
    if (name.empty()) name = "live";
    return sketch_from_hwloc(topology, std::move(name), true);
}

} // namespace detail

/// Reads this machine through hwloc: a few milliseconds without PCI devices, some milliseconds for each in a virtual
/// machine. Wakes no driver and creates no CUDA context. Peer paths between its GPUs are `unproved`, NVLink included.
/// The name is the maker's model, or `live`. Errors: device, when hwloc cannot load the topology.
[[nodiscard]] inline result<machine> discover() {
    result<detail::machine_sketch> seen = detail::live_hwloc_sketch();
    if (!seen) return std::move(seen).error();
    return detail::assemble(*std::move(seen));
}

BARELINK_END_NAMESPACE
