// PCI-06: which GPUs share a way to host memory? Two copies at once tell, and are held against what the machine says.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/gpu_checks/check_sheet.hpp>
#include <barelink/measure/gpu_checks/host_rates.hpp>
#include <barelink/plan/detail/rates.hpp>
#include <barelink/plan/fair_share.hpp>

BARELINK_BEGIN_NAMESPACE

/// Two GPUs that copy at once, from host memory or to it.
struct shared_rate {
    node_index a, b;
    bool to_host = false;
    double alone_gb_s = 0;    ///< of both, one after the other, added up
    double together_gb_s = 0; ///< of both, at the same time; 0: no figure
    double told_gb_s = 0;     ///< what the machine's links let them reach together
    std::string why;
};

namespace detail::probes {

/// What the links of the machine leave two flows that alone reach these rates.
[[nodiscard]] inline double told_together(const machine& m, const dma_path& a, double a_gb_s, const dma_path& b,
                                          double b_gb_s) {
    fair_share shares(slot_capacities(m));
    for (const auto& [path, most] : {std::pair{&a, a_gb_s}, std::pair{&b, b_gb_s}}) {
        std::vector<std::uint32_t> slots;
        for (const link_direction hop : m.hops(*path)) slots.push_back(hop.slot());
        shares.add(slots, most);
    }
    shares.solve();
    return shares.rate(0) + shares.rate(1);
}

} // namespace detail::probes

/// Every pair of listed GPUs whose rates alone are known, each from memory of its own node. Blocks; some 10 ms a pair.
template <runtime Runtime>
[[nodiscard]] std::vector<shared_rate> measure_shared_rates(Runtime& on, rate_probe<Runtime>& probe,
                                                            const gpu_check_setup& setup,
                                                            std::span<const host_rate> rates) {
    const machine& m = on.topology();
    const std::vector<node_index> gpus = listed_gpus(m, setup);
    std::vector<shared_rate> all;
    for (std::size_t i = 0; i < gpus.size(); ++i)
        for (std::size_t j = i + 1; j < gpus.size(); ++j) {
            const host_rate* a = find_rate(rates, gpus[i], host_memory_of(m, gpus[i]));
            const host_rate* b = find_rate(rates, gpus[j], host_memory_of(m, gpus[j]));
            if (!a || !b || !a->known() || !b->known()) continue;
            for (const bool to_host : {false, true}) {
                const std::uint64_t bytes = std::min(setup.host_bytes, setup.pair_bytes);
                const auto load = [&](const host_rate& of) {
                    return to_host ? copy_load{of.gpu, of.memory, bytes, setup.copies}
                                   : copy_load{of.memory, of.gpu, bytes, setup.copies};
                };
                const double a_gb_s = to_host ? a->to_host_gb_s : a->to_gpu_gb_s;
                const double b_gb_s = to_host ? b->to_host_gb_s : b->to_gpu_gb_s;
                const copy_load loads[] = {load(*a), load(*b)};
                shared_rate found{gpus[i], gpus[j], to_host, a_gb_s + b_gb_s, 0, 0, {}};
                const dma_path *one = m.path(loads[0].from, loads[0].to), *other = m.path(loads[1].from, loads[1].to);
                if (one && other) found.told_gb_s = detail::probes::told_together(m, *one, a_gb_s, *other, b_gb_s);
                const auto both = probe.measure(loads);
                if (both)
                    found.together_gb_s = (*both)[0].gb_s + (*both)[1].gb_s;
                else
                    found.why = both.error().what();
                all.push_back(std::move(found));
            }
        }
    return all;
}

[[nodiscard]] inline std::vector<finding> check_shared_uplinks(const machine& m, const gpu_check_setup& setup,
                                                               std::span<const shared_rate> all) {
    constexpr double independent = 0.90;
    detail::probes::check_sheet sheet(
        "PCI-06", "two GPUs are independent when they reach 90 % of their rates alone together; otherwise they "
                  "share, and should as the machine's links say (project choice)");
    if (listed_gpus(m, setup).size() == 1) sheet.info("", "there is one GPU: it shares its way with no other one");
    for (const shared_rate& each : all) {
        const std::string pair = m.at(each.a).id() + " <-> " + m.at(each.b).id();
        if (!(each.together_gb_s > 0)) {
            sheet.unknown(pair, "not measured: " + each.why);
            continue;
        }
        const double kept = each.together_gb_s / each.alone_gb_s;
        const std::string evidence = (each.to_host ? "to the host " : "from the host ") +
                                     detail::probes::rate_text(each.together_gb_s) + " together of " +
                                     detail::probes::rate_text(each.alone_gb_s) + " one after the other";
        if (each.told_gb_s > 0 && each.together_gb_s < independent * each.told_gb_s) {
            finding& hidden =
                sheet.add(severity::warn, pair,
                          evidence + ", and the machine's links say " + detail::probes::rate_text(each.told_gb_s));
            hidden.cost = "both at once lose " + detail::probes::share_text(1 - each.together_gb_s / each.told_gb_s) +
                          " of what plans count on";
            hidden.remedy =
                "they share an uplink that is hidden or slower than it says: give a topology file, or place jobs on "
                "GPUs that do not share";
            hidden.reaction = "none by itself; `barelink calibrate --save` finds the rate that they share";
        } else if (kept < independent) {
            sheet.info(pair, evidence + ": a shared uplink, as the machine says", kept);
        } else {
            sheet.ok(pair, evidence + ": independent", kept);
        }
    }
    std::vector<finding> found = std::move(sheet).take("no two GPUs could be measured alone");
    for (finding& each : found)
        if (each.level == severity::info && !all.empty())
            each.cost = "each of a pair has half of the rate while both copy";
    return found;
}

BARELINK_END_NAMESPACE
