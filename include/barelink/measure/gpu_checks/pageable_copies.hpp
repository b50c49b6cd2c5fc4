// MEM-03: what memory that is not pinned costs.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/gpu_checks/check_sheet.hpp>
#include <barelink/measure/gpu_checks/copy_times.hpp>
#include <barelink/measure/gpu_checks/host_rates.hpp>
#include <barelink/move/host_mapping.hpp>

BARELINK_BEGIN_NAMESPACE

struct pageable_rate {
    node_index gpu;
    double gb_s = 0; ///< to the GPU; 0: no figure
    std::string why;
};

/// Plain copies by the runtime from memory that nobody pinned, `host_bytes` each, on each listed GPU. Blocks; some 100 ms a GPU.
template <runtime Runtime>
[[nodiscard]] std::vector<pageable_rate> measure_pageable(Runtime& on, const gpu_check_setup& setup) {
    const machine& m = on.topology();
    std::vector<pageable_rate> all;
    for (const node_index gpu : listed_gpus(m, setup)) {
        pageable_rate found{gpu, 0, {}};
        const node_index memory = host_memory_of(m, gpu);
        host_layout where;
        if (setup.places_memory && memory != no_node) where.nodes = {m.at(memory).numa};
        auto mapped = host_mapping::make(setup.host_bytes, where);
        auto device = detail::probes::lent_memory<Runtime>::make(on, gpu, setup.host_bytes);
        if (!mapped || !device) {
            found.why = (mapped ? device.error() : mapped.error()).what();
        } else {
            // The call itself takes the time: it returns when the source has been read.
            const auto us =
                call_times(on, gpu, device->at(), mapped->data(), setup.host_bytes, setup.copies, setup.timeout_us);
            if (us)
                found.gb_s = rate_gb_s(static_cast<double>(setup.host_bytes), quantile(*us, 0.5));
            else
                found.why = us.error().what();
        }
        all.push_back(std::move(found));
    }
    return all;
}

[[nodiscard]] inline std::vector<finding> check_pageable(const machine& m, std::span<const pageable_rate> all,
                                                         std::span<const host_rate> rates) {
    detail::probes::check_sheet sheet("MEM-03", "none: pageable copies are staged by the driver on every machine");
    for (const pageable_rate& each : all) {
        const std::string id = m.at(each.gpu).id();
        const host_rate* pinned = find_rate(rates, each.gpu, host_memory_of(m, each.gpu));
        if (!(each.gb_s > 0) || !pinned || !pinned->known()) {
            sheet.unknown(id, "not measured: " + (each.why.empty() ? "no rate of pinned memory" : each.why));
            continue;
        }
        const double share = each.gb_s / pinned->to_gpu_gb_s;
        sheet.info(id,
                   detail::probes::rate_text(each.gb_s) + " from pageable memory, " +
                       detail::probes::rate_text(pinned->to_gpu_gb_s) +
                       " from pinned: " + detail::probes::share_text(share),
                   share);
    }
    std::vector<finding> found = std::move(sheet).take("no GPU is listed");
    for (finding& each : found) {
        if (each.level != severity::info) continue;
        each.cost = "published for an A100: 10.0 of 25.7 GB/s, on another server 3.3";
        each.remedy = "pin buffers that are copied often: pinned_pool, or cudaHostRegister once";
        each.reaction = "pageable memory goes through a ring of pinned buffers that several threads fill";
    }
    return found;
}

BARELINK_END_NAMESPACE
