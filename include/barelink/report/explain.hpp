// A plan and the reasons behind it: from which size on several routes pay, and what a naive copy would reach.
#pragma once

#include <string>

#include <barelink/report/plan_text.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

[[nodiscard]] inline std::string crossover_text(const machine& m, const plan& p) {
    const std::uint64_t bytes = crossover_bytes(m, p.asked);
    const std::string parts = p.asked.from == endpoint::host_all() || p.asked.to == endpoint::host_all()
                                  ? " for the part of a NUMA node"
                                  : "";
    if (bytes == 0) return "no size pays for more than one route" + parts;
    return fmt::format("more than one route{} pays from {} on; smaller transfers go one way", parts,
                       format_bytes(bytes));
}

/// What the driver does without peer access; empty when there is peer access or one end is host memory.
[[nodiscard]] inline std::string driver_text(const machine& m, const plan& p) {
    if (p.asked.from.on_host() || p.asked.to.on_host()) return {};
    const node_index from = m.find(node_kind::gpu, p.asked.from.index), to = m.find(node_kind::gpu, p.asked.to.index);
    const dma_path* direct = m.path(from, to);
    if (direct && direct->usable(p.asked.trust_unproved)) return {};
    const double gb_s = driver_staged_gb_s(m, from, to);
    if (gb_s <= 0) return {};
    return fmt::format(
        "cudaMemcpyPeer without peer access bounces through {} blocks one after the other: {}; the plan is "
        "{} times as fast",
        format_bytes(static_cast<std::uint64_t>(m.costs.driver_staging_bytes)), format_gb_s(gb_s),
        format_rate(p.predicted_gb_s() / gb_s));
}

} // namespace detail

/// `plan_text` and below it the crossover and, for GPU pairs without peer access, the driver's own staging. Plans a few
/// dozen times: milliseconds for a server.
[[nodiscard]] inline std::string explain(const machine& m, const plan& p, text_style style = {}) {
    std::string out = plan_text(m, p, style);
    out += fmt::format("  {}  {}\n", style.bold("crossover"), detail::crossover_text(m, p));
    const std::string driver = detail::driver_text(m, p);
    if (!driver.empty()) out += fmt::format("  {}     {}\n", style.bold("driver"), driver);
    return out;
}

BARELINK_END_NAMESPACE
