// PCI-05: what a small copy costs a caller, from 4 bytes to 64 KiB, both ways.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <barelink/measure/gpu_checks/check_sheet.hpp>
#include <barelink/measure/gpu_checks/copy_times.hpp>
#include <barelink/measure/gpu_checks/setup.hpp>

BARELINK_BEGIN_NAMESPACE

struct small_copy_times {
    node_index gpu;
    std::uint64_t bytes = 0;
    bool to_host = false;
    std::vector<double> us; ///< from the call until the wait for it returned; empty: no figure
    std::string why;
};

/// Each listed GPU, from memory of its own node. Blocks; some 20 ms a GPU.
template <runtime Runtime>
[[nodiscard]] std::vector<small_copy_times> measure_small_copies(Runtime& on, const gpu_check_setup& setup) {
    constexpr std::array<std::uint64_t, 3> sizes{4, 4 * KiB, 64 * KiB};
    std::vector<small_copy_times> all;
    for (const node_index gpu : listed_gpus(on.topology(), setup)) {
        const node_index memory = host_memory_of(on.topology(), gpu);
        auto host = detail::probes::lent_memory<Runtime>::make(on, memory, sizes.back());
        auto device = detail::probes::lent_memory<Runtime>::make(on, gpu, sizes.back());
        for (const bool to_host : {false, true})
            for (const std::uint64_t bytes : sizes) {
                small_copy_times found{gpu, bytes, to_host, {}, {}};
                if (!host || !device) {
                    found.why = (host ? device.error() : host.error()).what();
                } else {
                    void* const to = to_host ? host->at() : device->at();
                    const void* const from = to_host ? device->at() : host->at();
                    auto times = call_times(on, gpu, to, from, bytes, setup.small_copies, setup.timeout_us);
                    if (times)
                        found.us = *std::move(times);
                    else
                        found.why = times.error().what();
                }
                all.push_back(std::move(found));
            }
    }
    return all;
}

/// Times of the smallest copies, all GPUs together: what VRT-08 looks at.
[[nodiscard]] inline std::vector<double> smallest_copies(const std::vector<small_copy_times>& all) {
    std::vector<double> us;
    for (const small_copy_times& each : all)
        if (each.bytes == all.front().bytes) us.insert(us.end(), each.us.begin(), each.us.end());
    return us;
}

[[nodiscard]] inline std::vector<finding> check_small_copies(const machine& m, const gpu_check_setup& setup,
                                                             const std::vector<small_copy_times>& all) {
    constexpr double slow_us = 50, most_samples_short = 368;
    detail::probes::check_sheet sheet(
        "PCI-05", "a median above 50 us for 4 bytes is slow (project choice, between some 10 us of a call and "
                  "a wait and the published 330 us of a confidential guest)");
    for (const node_index gpu : listed_gpus(m, setup)) {
        const std::string id = m.at(gpu).id();
        std::string evidence, why;
        double worst_us = 0;
        for (const small_copy_times& each : all) {
            if (each.gpu != gpu) continue;
            if (each.us.empty()) {
                why = each.why;
                continue;
            }
            const double median_us = quantile(each.us, 0.5);
            if (each.bytes == all.front().bytes) worst_us = std::max(worst_us, median_us);
            const bool enough = static_cast<double>(each.us.size()) >= most_samples_short;
            evidence +=
                (evidence.empty() ? "" : "; ") + std::to_string(each.bytes) + " B " +
                (each.to_host ? "to the host " : "to the GPU ") + detail::probes::decimal(median_us) + " us, P99 " +
                (enough ? detail::probes::decimal(quantile(each.us, 0.99)) + " us" : "unknown: too few samples");
        }
        if (evidence.empty() || !why.empty()) {
            sheet.unknown(id, "not measured: " + (why.empty() ? std::string("no copies were made") : why));
        } else if (worst_us > slow_us) {
            finding& slow = sheet.add(severity::warn, id, evidence);
            slow.cost = "each small copy that a step waits for costs " + detail::probes::decimal(worst_us) + " us";
            slow.remedy = "look at the hypervisor (VRT-04, VRT-08), idle states (CPU-02) and the IOMMU (IOM-01)";
            slow.reaction = "none: plans count with the costs that calibration finds";
        } else {
            sheet.info(id, evidence, 1 / worst_us);
        }
    }
    return std::move(sheet).take("no GPU is listed");
}

BARELINK_END_NAMESPACE
