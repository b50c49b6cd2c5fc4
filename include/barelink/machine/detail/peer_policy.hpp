// Which GPU pairs may copy directly over PCIe, as far as one can know without asking the driver.
#pragma once

#include <vector>

#include <barelink/machine/detail/sketch.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Grants for pairs that no NVLink joins. Where CUDA was asked its word counts, pair by pair and direction by
/// direction. Else: on bare metal the driver grants them to data-centre GPUs (`assumed`); in a virtual machine and on
/// this machine only a delivery proof tells (`unproved`), and live that goes for NVLink pairs too. GPUs that are not in
/// the table and GeForce get none.
inline void grant_peers(machine& made, const machine_sketch& seen, const std::vector<node_index>& nodes) {
    std::vector<std::size_t> gpus;
    for (std::size_t d = 0; d < seen.devices.size(); ++d)
        if (seen.devices[d].kind == node_kind::gpu && seen.devices[d].cuda) gpus.push_back(d);

    const std::size_t count = made.nodes.size();
    std::vector<char> joined(count * count, 0);
    std::vector<char> switched(count, 0);
    for (const link& each : made.links) {
        if (each.kind != link_kind::nvlink) continue;
        joined[each.a.value * count + each.b.value] = joined[each.b.value * count + each.a.value] = 1;
        if (made.at(each.b).kind == node_kind::nvswitch) switched[each.a.value] = 1;
    }
    std::vector<char> told(seen.pairs.empty() ? 0 : count * count, 0);
    for (const sketched_pair& each : seen.pairs) {
        if (each.allowed < 0) continue;
        const node_index a = nodes[static_cast<std::size_t>(each.from)], b = nodes[static_cast<std::size_t>(each.to)];
        told[a.value * count + b.value] = 1;
        made.grants.push_back({a, b, each.allowed == 1, delivery::unproved});
    }
    for (const std::size_t from : gpus) {
        for (const std::size_t to : gpus) {
            if (from == to) continue;
            const node_index a = nodes[from], b = nodes[to];
            if (!told.empty() && told[a.value * count + b.value]) continue;
            const bool nvlink = joined[a.value * count + b.value] || (switched[a.value] && switched[b.value]);
            if (nvlink && !seen.live) continue;
            const gpu_model *one = model_of(seen.devices[from]), *other = model_of(seen.devices[to]);
            const bool able = one && other && one->pcie_peer_access && other->pcie_peer_access;
            if (!nvlink && !able) continue;
            made.grants.push_back({a, b, true, seen.live || seen.virtualized ? delivery::unproved : delivery::assumed});
        }
    }
}

} // namespace detail
BARELINK_END_NAMESPACE
