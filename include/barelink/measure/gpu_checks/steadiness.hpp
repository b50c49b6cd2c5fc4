// GPU-03 and GPU-04: does the same copy always take the same time? Over the host link a neighbour shows, inside the GPU its clocks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/gpu_checks/check_sheet.hpp>
#include <barelink/measure/gpu_checks/copy_times.hpp>
#include <barelink/measure/gpu_checks/setup.hpp>

BARELINK_BEGIN_NAMESPACE

struct steadiness {
    node_index gpu;
    std::vector<double> host_us;   ///< of equal copies from host memory, in order; empty: no figure
    std::vector<double> inside_us; ///< of equal copies within the GPU's memory
    std::string why;
    /// Memory of the GPU in use by others, bytes, and its size; size 0: nobody can say.
    std::uint64_t used_bytes = 0, all_bytes = 0;
};

/// 64 copies of 16 MiB each way of each listed GPU. Blocks; some 30 ms a GPU. Memory in use is for the caller to fill in.
template <runtime Runtime>
[[nodiscard]] std::vector<steadiness> measure_steadiness(Runtime& on, const gpu_check_setup& setup) {
    constexpr int copies = 64;
    const machine& m = on.topology();
    const std::uint64_t bytes = std::min<std::uint64_t>(16 * MiB, setup.host_bytes);
    std::vector<steadiness> all;
    for (const node_index gpu : listed_gpus(m, setup)) {
        steadiness found{gpu, {}, {}, {}, 0, 0};
        auto host = detail::probes::lent_memory<Runtime>::make(on, host_memory_of(m, gpu), bytes);
        auto one = detail::probes::lent_memory<Runtime>::make(on, gpu, bytes);
        auto other = detail::probes::lent_memory<Runtime>::make(on, gpu, bytes);
        if (!host || !one || !other) {
            found.why = (!host ? host.error() : !one ? one.error() : other.error()).what();
        } else {
            auto over = copy_times(on, gpu, one->at(), host->at(), bytes, copies, setup.timeout_us);
            auto inside = copy_times(on, gpu, other->at(), one->at(), bytes, copies, setup.timeout_us);
            if (!over || !inside) found.why = (over ? inside.error() : over.error()).what();
            if (over) found.host_us = *std::move(over);
            if (inside) found.inside_us = *std::move(inside);
        }
        all.push_back(std::move(found));
    }
    return all;
}

/// GPU-03.
[[nodiscard]] inline std::vector<finding> check_neighbours(const machine& m, const std::vector<steadiness>& all) {
    constexpr double spread_limit = 0.10, used_limit = 0.05;
    detail::probes::check_sheet sheet(
        "GPU-03", "the slowest tenth of equal host copies within 10 % of the median, and at most 5 % of the "
                  "memory used by others (project choice)");
    for (const steadiness& each : all) {
        const std::string id = m.at(each.gpu).id();
        if (each.host_us.empty()) {
            sheet.unknown(id, "not measured: " + each.why);
            continue;
        }
        const double median = quantile(each.host_us, 0.5), late = quantile(each.host_us, 0.9);
        const double spread = late / median - 1;
        const double used =
            each.all_bytes > 0 ? static_cast<double>(each.used_bytes) / static_cast<double>(each.all_bytes) : 0;
        std::string evidence = "the slowest tenth of equal host copies takes " + detail::probes::share_text(spread) +
                               " longer than the median; ";
        evidence += each.all_bytes > 0
                        ? std::to_string(each.used_bytes / MiB) + " MiB of its memory are in use by others"
                        : "how much of its memory others use is not known";
        if (spread <= spread_limit && used <= used_limit) {
            sheet.ok(id, evidence, 1 - spread);
            continue;
        }
        finding& shared = sheet.add(severity::warn, id, evidence);
        shared.remedy = "look for other processes on the GPU and on its link; measure again when it is alone";
        shared.reaction = "none: what is measured now may change when the neighbour goes";
    }
    return std::move(sheet).take("no GPU is listed");
}

/// GPU-04, as far as copies within the GPU tell: its memory's clock, and what a power limit does to it.
[[nodiscard]] inline std::vector<finding> check_clocks(const machine& m, const std::vector<steadiness>& all) {
    constexpr double drift_limit = 0.05;
    detail::probes::check_sheet sheet(
        "GPU-04", "the last quarter of equal copies inside the GPU within 5 % of the first (project choice)");
    for (const steadiness& each : all) {
        const std::string id = m.at(each.gpu).id();
        const std::size_t quarter = each.inside_us.size() / 4;
        if (quarter == 0) {
            sheet.unknown(id, "not measured: " + each.why);
            continue;
        }
        const auto part = [&](std::size_t first) {
            return quantile(std::span(each.inside_us).subspan(first, quarter), 0.5);
        };
        const double drift = part(each.inside_us.size() - quarter) / part(0) - 1;
        const std::string evidence = "copies inside the GPU take " + detail::probes::decimal(100 * drift) +
                                     " % longer at the end of a burst than at its beginning";
        if (drift <= drift_limit && drift >= -drift_limit) {
            sheet.ok(id, evidence, 1 - std::max(drift, -drift));
            continue;
        }
        finding& unsteady = sheet.add(severity::warn, id, evidence);
        unsteady.remedy = drift > 0 ? "look at temperature and the power limit; lock the clocks while measuring"
                                    : "the clocks were still rising: lock them while measuring";
        unsteady.reaction = "none";
    }
    return std::move(sheet).take("no GPU is listed");
}

BARELINK_END_NAMESPACE
