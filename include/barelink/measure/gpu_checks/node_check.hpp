// NUM-01 and NUM-02: is a GPU near to the NUMA node that it is said to be near to? Copies from every node tell.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include <barelink/measure/doctor_effects.hpp>
#include <barelink/measure/gpu_checks/check_sheet.hpp>
#include <barelink/measure/gpu_checks/host_rates.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail::probes {

/// What copies between one GPU and every node say.
struct node_ranking {
    const host_rate *best = nullptr, *worst = nullptr, *told = nullptr;
    std::string figures;

    /// The slower direction: what a loader and an offloader both get.
    [[nodiscard]] static double rate(const host_rate& of) noexcept { return std::min(of.to_gpu_gb_s, of.to_host_gb_s); }
};

[[nodiscard]] inline node_ranking rank_nodes(const machine& m, std::span<const host_rate> rates, node_index gpu) {
    node_ranking found;
    for (const host_rate& each : rates) {
        if (each.gpu != gpu) continue;
        if (m.at(each.memory).numa == m.at(gpu).numa) found.told = &each;
        found.figures += (found.figures.empty() ? "" : ", ") + m.at(each.memory).id() + ' ' +
                         (each.known() ? rate_text(node_ranking::rate(each)) : "none (" + each.why + ")");
        if (!each.known()) continue;
        if (!found.best || node_ranking::rate(each) > node_ranking::rate(*found.best)) found.best = &each;
        if (!found.worst || node_ranking::rate(each) < node_ranking::rate(*found.worst)) found.worst = &each;
    }
    return found;
}

inline constexpr double same_rate = 0.90; ///< of the best node's: no difference that counts
inline constexpr const char* node_cost =
    "published for memory of the other node: nothing on several Gen4 servers, 377 to 133 GB/s "
    "on a dual GH200, 12.2 to 3.8 on a P100 server of 2017";

} // namespace detail::probes

/// NUM-01 for GPUs whose node is known, NUM-02 for the others where there are several nodes. `learned` gets the node of every
/// GPU that belongs to another one than it was said to.
[[nodiscard]] inline std::vector<finding> check_nodes(const machine& m, const gpu_check_setup& setup,
                                                      std::span<const host_rate> rates,
                                                      std::vector<probe_result>& learned) {
    const std::string limit = "nodes within 10 % of the fastest are alike (project choice)";
    detail::probes::check_sheet told("NUM-01", limit), placed("NUM-02", limit);
    const std::size_t nodes = m.count(node_kind::memory);
    for (const node_index gpu : listed_gpus(m, setup)) {
        const std::string id = m.at(gpu).id();
        const bool known = m.at(gpu).numa != unknown_numa;
        detail::probes::check_sheet& sheet = known ? told : placed;
        const char* const check = known ? "NUM-01" : "NUM-02";
        if (nodes < 2) {
            sheet.ok(id, "there is one NUMA node");
            continue;
        }
        if (!setup.places_memory) {
            sheet.unknown(id, "the kernel does not let this process place memory: nodes cannot be told apart (MEM-05)");
            continue;
        }
        const detail::probes::node_ranking seen = detail::probes::rank_nodes(m, rates, gpu);
        if (!seen.best) {
            sheet.unknown(id, seen.figures.empty() ? "not measured" : "no copy could be measured: " + seen.figures);
            continue;
        }
        const std::string best = m.at(seen.best->memory).id();
        const double best_rate = detail::probes::node_ranking::rate(*seen.best);
        const auto move_there = [&](finding& about) {
            about.cost = detail::probes::node_cost;
            about.reaction = "plans take " + best + " for it, and so does pinned memory";
            learned.push_back({probe_result::kind::nearest_node, id, best, {}, 0, check});
        };
        if (!known) {
            if (detail::probes::node_ranking::rate(*seen.worst) >= detail::probes::same_rate * best_rate) {
                sheet.info(id, "nothing says which node it is near to, and it makes no difference: " + seen.figures);
                continue;
            }
            finding& lost =
                sheet.add(severity::warn, id, "nothing says which node it is near to; copies do: " + seen.figures);
            lost.remedy =
                "let the hypervisor or the firmware tell the node (numa_node in sysfs), or give a topology file";
            move_there(lost);
            continue;
        }
        if (!seen.told || !seen.told->known()) {
            finding& remote = sheet.add(
                severity::fail, id, "no memory of its own node can be used, only that of other ones: " + seen.figures);
            remote.remedy = "let the container or job use CPUs and memory of the GPU's node (cpuset.cpus, cpuset.mems)";
            move_there(remote);
            continue;
        }
        if (detail::probes::node_ranking::rate(*seen.told) < detail::probes::same_rate * best_rate) {
            finding& wrong = sheet.add(severity::warn, id,
                                       "is said to be near to " + m.at(seen.told->memory).id() +
                                           ", and copies are faster elsewhere: " + seen.figures);
            wrong.remedy =
                "the firmware or the hypervisor tells a wrong node: give a topology file, or pass the true one to "
                "the guest";
            move_there(wrong);
            continue;
        }
        sheet.ok(id, seen.figures, detail::probes::node_ranking::rate(*seen.worst) / best_rate);
    }
    std::vector<finding> found;
    if (!told.empty() || placed.empty()) found = std::move(told).take("no GPU is listed");
    if (!placed.empty())
        for (finding& each : std::move(placed).take()) found.push_back(std::move(each));
    return found;
}

BARELINK_END_NAMESPACE
