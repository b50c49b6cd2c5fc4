// A plan for people: its routes, what it predicts, what limits it, and why the rest was left out.
#pragma once

#include <string>
#include <vector>

#include <barelink/report/baseline.hpp>
#include <barelink/report/limits.hpp>
#include <barelink/report/text_table.hpp>
#include <barelink/report/units.hpp>

BARELINK_BEGIN_NAMESPACE

/// `numa:0 -> gpu:1 -> gpu:0`; a pageable end by its own name.
[[nodiscard]] inline std::string way_text(const machine& m, const plan& p, const route& r) {
    const auto pageable = [](endpoint e) { return e.where == endpoint::place::pageable; };
    std::string said = pageable(p.asked.from) ? to_string(p.asked.from) : m.at(r.from()).id();
    for (std::size_t l = 0; l < r.leg_count; ++l) {
        const bool last = l + 1 == r.leg_count;
        said += " -> " + (last && pageable(p.asked.to) ? to_string(p.asked.to) : m.at(r.legs[l].to).id());
    }
    return said;
}

namespace detail {

/// `Plan`: of a copy or of a broadcast.
template <class Plan>
[[nodiscard]] std::string share_text(const Plan& p, std::uint64_t bytes) {
    return format_percent(static_cast<double>(bytes) / static_cast<double>(p.asked.bytes));
}

[[nodiscard]] inline std::string routes_table(const machine& m, const plan& p, text_style style) {
    text_table table("><<>><>");
    table.row({"#", "family", "way", "bytes", "share", "chunks", "GB/s"});
    for (std::size_t i = 0; i < p.routes.size(); ++i) {
        const route& r = p.routes[i];
        table.row({std::to_string(i + 1), std::string(r.family), way_text(m, p, r), format_bytes(r.bytes),
                   share_text(p, r.bytes),
                   r.leg_count < 2 ? "one copy" : fmt::format("{} x {}", format_bytes(r.chunk_bytes), r.depth),
                   format_rate(r.gb_s)});
    }
    return table.str("  ", style);
}

/// Time, rate, and the bound with what sets it.
template <class Plan>
[[nodiscard]] std::string figures_text(const machine& m, const Plan& p, text_style style) {
    std::string out = fmt::format("  {}  {}, {}, {} of the bound\n", style.bold("predicted"), format_us(p.predicted_us),
                                  style.good(format_gb_s(p.predicted_gb_s())),
                                  format_percent(p.bound_gb_s > 0 ? p.predicted_gb_s() / p.bound_gb_s : 0));
    const std::vector<limit_chain> chains = chain_limits(m, std::span<const limit>(p.limits));
    out += fmt::format("  {}      {}{}\n", style.bold("bound"), format_gb_s(p.bound_gb_s),
                       chains.empty() ? "" : ", set by");
    text_table limits("<>><");
    for (const limit_chain& chain : chains)
        limits.row({to_string(m, chain), format_gb_s(chain.gb_s),
                    fmt::format("(each GB/s more adds {})", format_rate(chain.weight))});
    return out + limits.str("               ", style, false);
}

/// Do two plans go the same ways, whatever their shares?
[[nodiscard]] inline bool same_ways(const machine& m, const plan& a, const plan& b) {
    if (a.routes.size() != b.routes.size()) return false;
    for (std::size_t i = 0; i < a.routes.size(); ++i) {
        bool found = false;
        for (const route& other : b.routes) found |= way_text(m, a, a.routes[i]) == way_text(m, b, other);
        if (!found) return false;
    }
    return true;
}

/// The plan against the direct copy alone; empty when the plan is just that.
[[nodiscard]] inline std::string comparison_text(const machine& m, const plan& p) {
    const auto plain = baseline_plan(m, p.asked);
    if (!plain) return "there is no single path";
    const bool staged = plain->routes.front().leg_count > 1;
    const std::string name = staged ? "staging in host memory" : "the direct path";
    if (same_ways(m, *plain, p)) return "this is " + name;
    return fmt::format("{} alone takes {}, {}: the plan is {} times as fast", name, format_us(plain->predicted_us),
                       format_gb_s(plain->predicted_gb_s()), format_rate(plain->predicted_us / p.predicted_us));
}

[[nodiscard]] inline const char* evidence_text(evidence e) noexcept {
    switch (e) {
    case evidence::measured: return "rates measured on this machine";
    case evidence::read: return "rates read from the machine; calibrate to replace them by measured ones";
    case evidence::assumed: return "rates from a table; calibrate on the machine itself to replace them";
    }
    return "";
}

} // namespace detail

/// The plan as text: several lines, the last one ended. Rates in GB/s.
[[nodiscard]] inline std::string plan_text(const machine& m, const plan& p, text_style style = {}) {
    std::string out =
        fmt::format("{}, {} on {}\n\n", style.bold(to_string(p.asked.from) + " -> " + to_string(p.asked.to)),
                    format_bytes(p.asked.bytes), m.name);
    out += detail::routes_table(m, p, style) + '\n';
    out += detail::figures_text(m, p, style);
    out += fmt::format("  {}   {}\n", style.bold("compared"), detail::comparison_text(m, p));
    out += fmt::format("  {}   {}\n", style.bold("evidence"), detail::evidence_text(p.rests_on));
    for (const rejection& r : p.rejected)
        out += fmt::format("  {}   {}: {}\n", style.bold(&r == &p.rejected.front() ? "not used" : "        "), r.family,
                           r.why);
    return out;
}

BARELINK_END_NAMESPACE
