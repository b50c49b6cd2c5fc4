// What `copy` prints: the plan and what came of it, as text and as JSON. Pure functions.
#pragma once

#include <string>

#include <barelink/report/broadcast_text.hpp>

#include "copy_run.hpp"
#include "cuda_gpus.hpp"
#include "json.hpp"

namespace tool {

/// The routes of a plan, or the trees of a broadcast's.
[[nodiscard]] inline const std::vector<barelink::route>& ways_of(const barelink::plan& p) {
    return p.routes;
}
[[nodiscard]] inline const std::vector<barelink::tree>& ways_of(const barelink::broadcast_plan& p) {
    return p.trees;
}
[[nodiscard]] inline const char* ways_key(const outcome&) {
    return "routes";
}
[[nodiscard]] inline const char* ways_key(const broadcast_outcome&) {
    return "trees";
}

template <class Plan>
[[nodiscard]] double gb_s(const outcome_of<Plan>& done) {
    return barelink::rate_gb_s(static_cast<double>(done.plan.asked.bytes), done.elapsed_us);
}
template <class Plan>
[[nodiscard]] bool is_simulated_cuda(const outcome_of<Plan>& done) {
    return done.simulated && std::string_view(done.runtime) == "cuda";
}

/// The plan's object and what was measured. A route's `bytes` are what it was planned to carry.
template <class Plan>
[[nodiscard]] json copy_json(const barelink::machine& m, const outcome_of<Plan>& done) {
    auto out = plan_json(m, done.plan);
    json& ways = out[ways_key(done)];
    for (std::size_t r = 0; r < done.routes.size() && r < ways.size(); ++r) {
        const route_figures& route = done.routes[r];
        ways[r]["elapsed_us"] = route.us;
        ways[r]["measured_gb_s"] = barelink::rate_gb_s(static_cast<double>(route.bytes), route.us);
    }
    out["runtime"] = done.runtime;
    out["simulated"] = done.simulated;
    if (is_simulated_cuda(done)) out["warning"] = simulated_warning;
    out["elapsed_us"] = done.elapsed_us;
    out["all_elapsed_us"] = done.all_us;
    out["gb_s"] = gb_s(done);
    out["verified"] = done.verified;
    out["fallbacks"] = done.fallbacks;
    out["notes"] = done.notes;
    out["proofs"] = json::array();
    for (const pair_proof& pair : done.proofs)
        out["proofs"].push_back({{"from", pair.from}, {"to", pair.to}, {"proof", to_string(pair.proof)}});
    return out;
}

namespace detail {

template <class Plan>
[[nodiscard]] std::string measured_routes(const barelink::machine& m, const outcome_of<Plan>& done,
                                          barelink::text_style style) {
    barelink::text_table table("<<>>>");
    table.row({"#", "way", "bytes", "time", "GB/s"});
    for (std::size_t r = 0; r < done.routes.size() && r < ways_of(done.plan).size(); ++r) {
        const route_figures& route = done.routes[r];
        table.row({std::to_string(r + 1), way_text(m, done.plan, ways_of(done.plan)[r]),
                   barelink::format_bytes(route.bytes), barelink::format_us(route.us),
                   barelink::format_rate(barelink::rate_gb_s(static_cast<double>(route.bytes), route.us))});
    }
    return "\n" + table.str("  ", style);
}

} // namespace detail

/// `moved`: there were bytes to verify.
template <class Plan>
[[nodiscard]] std::string copy_text(const barelink::machine& m, const outcome_of<Plan>& done, bool moved,
                                    barelink::text_style style) {
    std::string out = plan_text(m, done.plan, style);
    const bool cuda = std::string_view(done.runtime) == "cuda";
    if (cuda) out += detail::measured_routes(m, done, style);
    const std::string checked = !moved          ? "no bytes moved (--timing-only)"
                                : done.verified ? style.good("every byte verified")
                                                : style.bad("the bytes are wrong");
    out += fmt::format("\n  {}  {}, {}, {} of the bound; {}\n", style.bold(cuda ? "measured " : "simulated"),
                       barelink::format_us(done.elapsed_us), style.good(barelink::format_gb_s(gb_s(done))),
                       barelink::format_percent(done.plan.bound_gb_s > 0 ? gb_s(done) / done.plan.bound_gb_s : 0),
                       checked);
    if (done.all_us.size() > 1) {
        std::string all;
        for (const double us : done.all_us) all += (all.empty() ? "" : ", ") + barelink::format_us(us);
        out += "  " + style.bold("runs") + "       " + all + "; the median is reported\n";
    }
    for (const pair_proof& pair : done.proofs)
        if (cuda)
            out +=
                fmt::format("  {}      {} -> {} {}\n", style.bold("proof"), pair.from, pair.to, to_string(pair.proof));
    for (const std::string& said : done.fallbacks) out += "  " + style.bold("fallback") + "   " + said + "\n";
    for (const std::string& said : done.notes) out += "  " + style.bold("note") + "       " + said + "\n";
    if (is_simulated_cuda(done)) out += "  " + style.bad(simulated_warning) + "\n";
    return out;
}

} // namespace tool
