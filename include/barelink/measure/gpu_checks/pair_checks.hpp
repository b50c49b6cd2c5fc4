// NVL-01: do NVLink pairs reach what their links are published to carry? ACS-01: does PCIe send peers around by the CPU?
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include <barelink/measure/doctor_effects.hpp>
#include <barelink/measure/gpu_checks/pair_rates.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail::probes {

/// What copies over the NVLinks of a pair are published to reach, which is 0.88 of nominal for those models without a figure of
/// their own; 0 when the model is not known. Behind an NVSwitch all links of a GPU serve each pair; else as many as the
/// machine's rate stands for.
[[nodiscard]] inline double nvlink_limit(const machine& m, node_index from, node_index to) {
    const gpu_model *one = model_of(m.at(from)), *other = model_of(m.at(to));
    const dma_path* path = m.path(from, to);
    if (!one || !other || !path || one->nvlinks == 0 || other->nvlinks == 0) return 0;
    const double link_gb_s = std::min(one->nvlink_gb_s, other->nvlink_gb_s);
    if (path->hop_count > 1) return std::min(one->nvlinks, other->nvlinks) * link_gb_s;
    return std::max(1.0, std::ceil(path->gb_s / link_gb_s - 0.1)) * link_gb_s;
}

} // namespace detail::probes

[[nodiscard]] inline std::vector<finding> check_nvlink_rates(const machine& m, const gpu_check_setup& setup,
                                                             std::span<const pair_rate> all) {
    constexpr double ok_share = 0.95, fail_share = 0.65;
    detail::probes::check_sheet sheet(
        "NVL-01", "what copies over these NVLinks are published to reach, about 0.88 of nominal; 95 % of it is "
                  "ok, below 65 % fails (project choice)");
    for (const pair_rate& each : all) {
        if (!each.nvlink) continue;
        const std::string pair = detail::probes::pair_text(m, each.from, each.to);
        const double limit = detail::probes::nvlink_limit(m, each.from, each.to);
        if (!(each.gb_s > 0)) {
            sheet.unknown(pair, "not measured: " + each.why);
            continue;
        }
        if (!(limit > 0)) {
            sheet.unknown(pair, detail::probes::rate_text(each.gb_s) +
                                    "; what its NVLinks carry is not known for this model");
            continue;
        }
        const double share = each.gb_s / limit;
        const std::string evidence = detail::probes::rate_text(each.gb_s) + ", " + detail::probes::share_text(share) +
                                     " of " + detail::probes::rate_text(limit);
        if (share >= ok_share) {
            sheet.ok(pair, evidence, share);
            continue;
        }
        finding& slow = sheet.add(share < fail_share ? severity::fail : severity::warn, pair, evidence);
        slow.cost = "copies between them take " + detail::probes::decimal(1 / share) + " times as long as they could";
        slow.remedy =
            "look for NVLink errors and inactive links (nvidia-smi nvlink --status), and at the fabric manager's log";
        slow.reaction = "plans count with the rate that was measured, and relay over other links where that is faster";
    }
    if (sheet.empty() && !listed_gpus(m, setup).empty()) sheet.info("", "no pair is joined by NVLink");
    return std::move(sheet).take("no GPU is listed");
}

/// `learned` gets the pairs that are faster through host memory: their direct path is given up.
[[nodiscard]] inline std::vector<finding> check_redirection(const machine& m, const gpu_check_setup& setup,
                                                            std::span<const pair_rate> all,
                                                            std::vector<probe_result>& learned) {
    constexpr double alike = 0.95;
    detail::probes::check_sheet sheet(
        "ACS-01", "a pair below one switch is at least as fast as one across switches, and no pair is slower "
                  "than the way through host memory; within 5 % (project choice)");
    double across_gb_s = 0;
    for (const pair_rate& each : all)
        if (!each.nvlink && !each.same_switch) across_gb_s = std::max(across_gb_s, each.gb_s);
    for (const pair_rate& each : all) {
        if (each.nvlink) continue;
        const std::string pair = detail::probes::pair_text(m, each.from, each.to);
        if (!(each.gb_s > 0)) {
            sheet.unknown(pair, "not measured: " + each.why);
            continue;
        }
        const bool slower_than_staging = each.gb_s < alike * each.staged_gb_s;
        const bool around = each.same_switch && across_gb_s > 0 && each.gb_s < alike * across_gb_s;
        std::string evidence =
            detail::probes::rate_text(each.gb_s) + (each.same_switch ? " below one switch" : " across switches");
        if (each.same_switch && across_gb_s > 0) evidence += ", " + detail::probes::rate_text(across_gb_s) + " across";
        if (each.staged_gb_s > 0)
            evidence += ", " + detail::probes::rate_text(each.staged_gb_s) + " through host memory";
        if (!slower_than_staging && !around) {
            const bool compared = each.staged_gb_s > 0 || (each.same_switch && across_gb_s > 0);
            compared ? sheet.ok(pair, evidence, each.staged_gb_s > 0 ? each.gb_s / each.staged_gb_s : 1)
                     : sheet.unknown(pair, evidence + ": nothing to compare with");
            continue;
        }
        finding& slow = sheet.add(severity::fail, pair, evidence);
        slow.cost = "published for one server of six GPUs: 9.9 GB/s directly, 20.1 through host memory";
        slow.remedy = "switch off ACS redirection on the ports of the switch (setpci or the firmware), or let the "
                      "driver not use peer "
                      "access for this pair";
        if (slower_than_staging) {
            slow.reaction = "the direct path is not used: copies go through pinned host memory";
            learned.push_back(
                {probe_result::kind::path_off, m.at(each.from).id(), m.at(each.to).id(), {}, 0, "ACS-01"});
        }
    }
    if (sheet.empty() && !listed_gpus(m, setup).empty()) sheet.info("", "no pair copies directly over PCIe");
    return std::move(sheet).take("no GPU is listed");
}

BARELINK_END_NAMESPACE
