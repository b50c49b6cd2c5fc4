// What pinned copies reach between each GPU and each NUMA node: the figures that several checks judge.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <barelink/machine/gpu_model.hpp>
#include <barelink/machine/pcie.hpp>
#include <barelink/measure/gpu_checks/setup.hpp>
#include <barelink/measure/rate_probe.hpp>

BARELINK_BEGIN_NAMESPACE

struct host_rate {
    node_index gpu;
    node_index memory;
    double to_gpu_gb_s = 0, to_host_gb_s = 0; ///< 0: no figure
    std::string why;                          ///< why there is none
    bool refused = false;                     ///< there was no pinned memory to be had

    [[nodiscard]] bool known() const noexcept { return to_gpu_gb_s > 0 && to_host_gb_s > 0; }
};

/// Each listed GPU alone, both directions one after the other, from every NUMA node. Where nobody can say on which node memory
/// lies, from one. Blocks; takes some 50 ms a GPU and node.
template <runtime Runtime>
[[nodiscard]] std::vector<host_rate> measure_host_rates(Runtime& on, rate_probe<Runtime>& probe,
                                                        const gpu_check_setup& setup) {
    const machine& m = on.topology();
    std::vector<host_rate> all;
    for (const node_index gpu : listed_gpus(m, setup)) {
        for (const node_index memory : m.all(node_kind::memory)) {
            if (!setup.places_memory && memory != host_memory_of(m, gpu)) continue;
            host_rate found{gpu, memory, 0, 0, {}};
            const auto up = probe.measure({memory, gpu, setup.host_bytes, setup.copies});
            if (up) found.to_gpu_gb_s = up->gb_s;
            const auto down = up ? probe.measure({gpu, memory, setup.host_bytes, setup.copies}) : up;
            if (down) found.to_host_gb_s = down->gb_s;
            if (!down) {
                found.why = down.error().what();
                found.refused =
                    down.error().code() == errc::out_of_memory || down.error().code() == errc::not_permitted;
            }
            all.push_back(std::move(found));
        }
    }
    return all;
}

[[nodiscard]] inline const host_rate* find_rate(std::span<const host_rate> rates, node_index gpu, node_index memory) {
    for (const host_rate& each : rates)
        if (each.gpu == gpu && each.memory == memory) return &each;
    return nullptr;
}

/// What the link between a GPU and host memory could carry.
struct host_link_limit {
    double raw_gb_s = 0;    ///< the wire's figure; 0 when unknown
    double copies_gb_s = 0; ///< what copies are published to reach over it
    std::string name;       ///< `PCIe Gen5 x16`
};

/// From the machine, but never from what was measured on it; in a virtual machine only the GPU's own link counts, because
/// hypervisors invent the speeds above it. A module's link always has its full generation.
[[nodiscard]] inline host_link_limit limit_of(const machine& m, node_index gpu, node_index memory, bool to_host) {
    const node& here = m.at(gpu);
    const gpu_model* model = find_gpu_model(here.vendor, here.device);
    if (!model) model = find_gpu_model(here.name.c_str());
    const dma_path* path = to_host ? m.path(gpu, memory) : m.path(memory, gpu);
    if (!path) return {};
    host_link_limit limit;
    for (const link_direction hop : m.hops(*path)) {
        const link& wire = m.at(hop.link);
        const bool own = wire.a == gpu || wire.b == gpu;
        if (wire.kind == link_kind::c2c && own) return {wire.gb_s(hop.reverse), wire.gb_s(hop.reverse), "C2C"};
        if (wire.kind != link_kind::pcie || (m.virtualized && !own)) continue;
        double copies = wire.gb_s(hop.reverse);
        const bool full = own && model && model->form == gpu_form::module;
        if (full || wire.source == evidence::measured) {
            if (!own || !model) continue;
            copies = pcie_copy_gb_s(model->pcie_gen);
        }
        if (limit.copies_gb_s > 0 && copies >= limit.copies_gb_s) continue;
        limit = {pcie_raw_gb_s_of_copy(copies), copies, own ? "its PCIe link" : "a PCIe link that it shares"};
    }
    return limit;
}

BARELINK_END_NAMESPACE
