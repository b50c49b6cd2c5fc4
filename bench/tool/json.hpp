// Machines and plans as JSON: the contract for scripts. Field names and ids do not change within a major version.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include <barelink/report/broadcast_text.hpp>

namespace tool {

using json = nlohmann::ordered_json;

[[nodiscard]] inline const char* kind_name(barelink::node_kind kind) noexcept {
    switch (kind) {
    case barelink::node_kind::memory: return "memory";
    case barelink::node_kind::package: return "package";
    case barelink::node_kind::root_port: return "root_port";
    case barelink::node_kind::pcie_switch: return "pcie_switch";
    case barelink::node_kind::gpu: return "gpu";
    case barelink::node_kind::nvswitch: return "nvswitch";
    case barelink::node_kind::nic: return "nic";
    case barelink::node_kind::disk: return "disk";
    }
    return "node";
}

/// `["LINK_ID", "ab"]`. A link one past the machine's is the host's copying threads.
[[nodiscard]] inline std::string link_name(const barelink::machine& m, barelink::link_index link) {
    return link.value < m.links.size() ? m.id(link) : "host-threads";
}
[[nodiscard]] inline json hop_json(const barelink::machine& m, barelink::link_direction hop) {
    return json::array({link_name(m, hop.link), hop.reverse ? "ba" : "ab"});
}

[[nodiscard]] inline json node_json(const barelink::node& n) {
    return {{"id", n.id()},
            {"kind", kind_name(n.kind)},
            {"name", n.name},
            {"numa", n.numa == barelink::unknown_numa ? json() : json(n.numa.value)},
            {"pci", n.pci.known ? json(to_string(n.pci)) : json()}};
}

[[nodiscard]] inline json link_json(const barelink::machine& m, barelink::link_index position) {
    const barelink::link& l = m.at(position);
    return {{"id", m.id(position)},           {"a", m.at(l.a).id()},  {"b", m.at(l.b).id()},
            {"kind", to_string(l.kind)},      {"gb_s_ab", l.gb_s_ab}, {"gb_s_ba", l.gb_s_ba},
            {"lost_ab", l.lost_ab},           {"lost_ba", l.lost_ba}, {"latency_us", l.latency_us},
            {"evidence", to_string(l.source)}};
}

[[nodiscard]] inline json path_json(const barelink::machine& m, const barelink::dma_path& path) {
    json links = json::array();
    for (const barelink::link_direction hop : m.hops(path)) links.push_back(hop_json(m, hop));
    return {{"from", m.at(path.from).id()},
            {"to", m.at(path.to).id()},
            {"links", std::move(links)},
            {"allowed", path.allowed},
            {"proof", to_string(path.proof)}};
}

[[nodiscard]] inline json costs_json(const barelink::copy_costs& costs) {
    return {{"submit_us", costs.submit_us},
            {"engine_us", costs.engine_us},
            {"event_us", costs.event_us},
            {"wake_us", costs.wake_us},
            {"host_copy_gb_s", costs.host_copy_gb_s},
            {"host_threads", costs.host_threads},
            {"driver_staging_bytes", costs.driver_staging_bytes},
            {"driver_staging_us", costs.driver_staging_us},
            {"chain_read_us", costs.chain_read_us},
            {"chain_posted_us", costs.chain_posted_us},
            {"chain_nvlink_us", costs.chain_nvlink_us},
            {"chain_nvlink_pull_us", costs.chain_nvlink_pull_us},
            {"driver_staging_start_us", costs.driver_staging_start_us},
            {"evidence", to_string(costs.source)}};
}

/// `topology --json`: everything that planning starts from.
[[nodiscard]] inline json machine_json(const barelink::machine& m) {
    json out = {{"machine", m.name}, {"nodes", json::array()}, {"links", json::array()}, {"paths", json::array()}};
    for (const barelink::node& n : m.nodes) out["nodes"].push_back(node_json(n));
    for (std::uint32_t l = 0; l < m.links.size(); ++l) out["links"].push_back(link_json(m, barelink::link_index{l}));
    for (const barelink::dma_path& path : m.paths()) out["paths"].push_back(path_json(m, path));
    out["notes"] = json::array();
    for (const barelink::machine_note& note : m.notes)
        out["notes"].push_back({{"object", note.object}, {"said", note.said}});
    out["costs"] = costs_json(m.costs);
    out["virtualized"] = m.virtualized;
    return out;
}

/// The memories that a route passes, ends included; a pageable end by its own name.
[[nodiscard]] inline json memories_json(const barelink::machine& m, const barelink::plan& p, const barelink::route& r) {
    const auto pageable = [&](barelink::endpoint end) { return end.where == barelink::endpoint::place::pageable; };
    json memories = json::array();
    memories.push_back(pageable(p.asked.from) ? to_string(p.asked.from) : m.at(r.from()).id());
    for (const barelink::leg& l : r.path().first(r.leg_count - 1u)) memories.push_back(m.at(l.to).id());
    memories.push_back(pageable(p.asked.to) ? to_string(p.asked.to) : m.at(r.to()).id());
    return memories;
}

[[nodiscard]] inline json route_json(const barelink::machine& m, const barelink::plan& p, const barelink::route& r) {
    json links = json::array();
    for (const barelink::leg& l : r.path())
        for (const barelink::link_direction hop : p.hops_of(l)) links.push_back(hop_json(m, hop));
    return {{"family", r.family},
            {"memories", memories_json(m, p, r)},
            {"links", std::move(links)},
            {"offset", r.offset},
            {"bytes", r.bytes},
            {"chunk_bytes", r.chunk_bytes},
            {"depth", r.depth},
            {"gb_s", r.gb_s},
            {"overhead_us", r.overhead_us}};
}

/// What plans of copies and of broadcasts have in common. Limiting links are named once each, `limits` gives directions.
struct plan_figures_json {
    json figures, limits = json::array();
};
template <class Plan>
[[nodiscard]] plan_figures_json figures_json(const barelink::machine& m, const Plan& p, json to) {
    json limiting = json::array(), limits = json::array();
    for (const barelink::limit& each : p.limits) {
        const json id = link_name(m, each.where.link);
        if (std::find(limiting.begin(), limiting.end(), id) == limiting.end()) limiting.push_back(id);
        limits.push_back({{"link", id},
                          {"direction", each.where.reverse ? "ba" : "ab"},
                          {"gb_s", each.gb_s},
                          {"weight", each.weight}});
    }
    return {{{"request", {{"from", to_string(p.asked.from)}, {"to", std::move(to)}, {"bytes", p.asked.bytes}}},
             {"predicted_us", p.predicted_us},
             {"predicted_gb_s", p.predicted_gb_s()},
             {"bound_gb_s", p.bound_gb_s},
             {"limiting_links", std::move(limiting)}},
            std::move(limits)};
}

/// `plan --json`, and the beginning of `copy --json`.
[[nodiscard]] inline json plan_json(const barelink::machine& m, const barelink::plan& p) {
    plan_figures_json common = figures_json(m, p, to_string(p.asked.to));
    json out = std::move(common.figures);
    out["routes"] = out["rejected"] = json::array();
    for (const barelink::route& r : p.routes) out["routes"].push_back(route_json(m, p, r));
    for (const barelink::rejection& r : p.rejected) out["rejected"].push_back({{"family", r.family}, {"why", r.why}});
    out["limits"] = std::move(common.limits);
    out["evidence"] = to_string(p.rests_on);
    return out;
}

/// An arc's `parent` is the number of the arc in its tree that brings the bytes to `from`; -1: `from` is the source.
[[nodiscard]] inline json tree_json(const barelink::machine& m, const barelink::broadcast_plan& p,
                                    const barelink::tree& t) {
    json arcs = json::array();
    for (const barelink::tree_arc& a : p.arcs_of(t)) {
        json links = json::array();
        for (const barelink::link_direction hop : p.hops_of(a)) links.push_back(hop_json(m, hop));
        arcs.push_back({{"from", m.at(a.from).id()},
                        {"to", m.at(a.to).id()},
                        {"parent", a.parent},
                        {"links", std::move(links)},
                        {"passes_on_only", a.ring}});
    }
    return {{"offset", t.offset},
            {"bytes", t.bytes},
            {"chunk_bytes", t.chunk_bytes},
            {"gb_s", t.gb_s},
            {"arcs", std::move(arcs)}};
}

/// The same for the same bytes to many GPUs.
[[nodiscard]] inline json plan_json(const barelink::machine& m, const barelink::broadcast_plan& p) {
    json to = json::array();
    for (const barelink::node_index n : receivers_of(m, p)) to.push_back(m.at(n).id());
    plan_figures_json common = figures_json(m, p, std::move(to));
    json out = std::move(common.figures);
    out["trees"] = json::array();
    for (const barelink::tree& t : p.trees) out["trees"].push_back(tree_json(m, p, t));
    const auto alone = own_pulls_us(m, p.asked);
    out["own_pulls_us"] = alone ? json(*alone) : json();
    out["limits"] = std::move(common.limits);
    out["evidence"] = to_string(p.rests_on);
    return out;
}

} // namespace tool
