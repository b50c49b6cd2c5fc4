// planner<Paths...>: from a machine and a request to a plan. Pure: no CUDA, no threads, no clock.
#pragma once

#include <span>
#include <type_traits>
#include <vector>

#include <barelink/plan/demands.hpp>
#include <barelink/plan/detail/planning.hpp>
#include <barelink/plan/detail/write_routes.hpp>
#include <barelink/plan/path_families.hpp>

BARELINK_BEGIN_NAMESPACE

/// Plans with the path families named, and only with those. `planner<>` is an error; `default_planner` has all four.
/// The machine must outlive the planner. Copies are cheap; all members are const and thread-safe.
template <class... Paths>
class planner {
    static_assert(sizeof...(Paths) > 0,
                  "barelink::planner needs at least one path family, such as barelink::pinned_path");
    static_assert(
        (path_family<Paths> && ...),
        "barelink::planner<Paths...>: a type is not a path family. It needs `static constexpr std::string_view name` "
        "and `static void propose(const machine&, const demand&, route_sink&)`");

public:
    explicit planner(const machine& m) noexcept : machine_(&m) {}
    explicit planner(const machine&&) = delete; // the machine must outlive the planner

    /// Plans one transfer: tens of microseconds for a server, allocates.
    /// Errors: those of `split`; unsupported when no family finds a way, with each family's reason.
    [[nodiscard]] result<plan> make(const request& asked) const {
        auto together = make(std::span<const request>(&asked, 1));
        if (!together) return std::move(together).error();
        return std::move(together->front());
    }

    /// Plans transfers that will run at the same time, so that the slowest ends as early as possible; one plan each, in order.
    /// Each plan's bound is its share of the optimum of all. Errors: as above, for the first request that has one.
    [[nodiscard]] result<std::vector<plan>> make(std::span<const request> asked) const;

    [[nodiscard]] const machine& planned_on() const noexcept { return *machine_; }

private:
    template <class... Families>
    static void propose_all(const machine& m, std::span<const demand> demands, detail::candidate_list& into) {
        for (std::uint32_t part = 0; part < demands.size(); ++part) {
            route_sink sink(m, demands[part], part, into);
            ((sink.speak_for(Families::name), Families::propose(m, demands[part], sink)), ...);
        }
    }

    const machine* machine_;
};

using default_planner = planner<pinned_path, peer_path, staged_path, relay_path>;

namespace detail {

[[nodiscard]] inline error no_way(const request& asked, const candidate_list& ways, std::uint32_t part) {
    const std::string said = to_string(asked.from) + " -> " + to_string(asked.to) + ": no path";
    std::string reasons;
    for (const declined_demand& each : ways.declined)
        if (each.part == part)
            reasons += std::string(reasons.empty() ? " (" : "; ") + std::string(each.family) + ": " + each.why;
    if (!reasons.empty()) reasons += ")";
    return {errc::unsupported, (said + reasons).c_str()};
}

/// Why each family that proposed something carries nothing.
inline void explain_losers(const candidate_list& ways, const optimum& best, std::uint32_t first_part,
                           std::uint32_t parts, plan& p) {
    const auto own = [&](std::uint32_t part) { return part >= first_part && part < first_part + parts; };
    for (const declined_demand& r : ways.declined) {
        bool known = !own(r.part);
        for (const rejection& earlier : p.rejected) known |= earlier.family == r.family;
        for (const route& used : p.routes) known |= used.family == r.family;
        if (!known) p.rejected.push_back({r.family, r.why});
    }
    for (const candidate& way : ways.routes) {
        if (!own(way.part)) continue;
        bool known = false;
        for (const route& used : p.routes) known |= used.family == way.family;
        for (const rejection& earlier : p.rejected) known |= earlier.family == way.family;
        if (known) continue;
        double gb_s = 0;
        for (std::size_t other = 0; other < ways.routes.size(); ++other)
            if (own(ways.routes[other].part) && ways.routes[other].family == way.family) gb_s += best.rates[other];
        p.rejected.push_back({way.family, gb_s > 0 ? "would not pay for its start-up at this size"
                                                   : "the links it would use are already full without it"});
    }
}

/// Transfers that run together begin with different parts of their host memory, so that they do not all read one NUMA node at
/// a time.
inline void take_turns(std::vector<route>& routes, std::size_t transfer) {
    std::vector<std::size_t> starts;
    for (std::size_t r = 0; r < routes.size(); ++r)
        if (r == 0 || routes[r].part != routes[r - 1].part) starts.push_back(r);
    if (starts.size() < 2) return;
    std::vector<route> turned(routes.begin() + static_cast<std::ptrdiff_t>(starts[transfer % starts.size()]),
                              routes.end());
    turned.insert(turned.end(), routes.begin(),
                  routes.begin() + static_cast<std::ptrdiff_t>(starts[transfer % starts.size()]));
    routes = std::move(turned);
}

} // namespace detail

template <class... Paths>
result<std::vector<plan>> planner<Paths...>::make(std::span<const request> asked) const {
    const machine& m = *machine_;
    std::vector<demand> demands;
    std::vector<std::uint32_t> first_part;
    std::uint64_t scratch_bytes = ~0ull;
    for (const request& one : asked) {
        auto parts = split(m, one);
        if (!parts) return std::move(parts).error();
        first_part.push_back(static_cast<std::uint32_t>(demands.size()));
        demands.insert(demands.end(), parts->begin(), parts->end());
        if (one.scratch_bytes < scratch_bytes) scratch_bytes = one.scratch_bytes;
    }
    if (asked.empty()) return std::vector<plan>{};
    first_part.push_back(static_cast<std::uint32_t>(demands.size()));

    detail::candidate_list ways;
    propose_all<Paths...>(m, demands, ways);
    detail::rate_program program(m, ways, demands);
    const detail::optimum over_wires = program.solve();
    const detail::optimum best = over_wires.found && program.heed_engines() ? program.solve() : over_wires;
    for (std::uint32_t i = 0; i < asked.size(); ++i)
        for (std::uint32_t part = first_part[i]; part < first_part[i + 1]; ++part) {
            bool any = false;
            for (const detail::candidate& way : ways.routes) any |= way.part == part;
            if (!any) return detail::no_way(asked[i], ways, part);
        }
    if (!best.found || best.gb_s <= 0)
        return error(errc::unsupported,
                     "the links on every path have a rate of zero: read or calibrate the machine first");

    detail::optimum bound = over_wires;
    if constexpr (!std::is_same_v<planner, default_planner>) {
        detail::candidate_list everything;
        propose_all<pinned_path, peer_path, staged_path, relay_path>(m, demands, everything);
        const detail::optimum other = detail::rate_program(m, everything, demands).solve();
        if (other.found && other.gb_s > bound.gb_s) bound = other;
    }

    const std::vector<detail::share> chosen =
        detail::planning(m, ways, demands, scratch_bytes).choose(best, asked.size() > 1);
    double total_bytes = 0;
    for (const demand& d : demands) total_bytes += static_cast<double>(d.bytes);

    std::vector<plan> plans;
    for (std::uint32_t i = 0; i < asked.size(); ++i) {
        plan p;
        p.asked = asked[i];
        // Parts lie one after the other in the request's bytes; routes stand in the order of their launch.
        for (std::size_t c = 0; c < chosen.size(); ++c) {
            const std::uint32_t part = chosen[c].part;
            if (part < first_part[i] || part >= first_part[i + 1] || (c > 0 && chosen[c - 1].part == part)) continue;
            std::uint64_t offset = 0;
            for (std::uint32_t before = first_part[i]; before < part; ++before) offset += demands[before].bytes;
            detail::write_routes(m, ways, demands[part], part, offset, chosen, p);
        }
        if (asked.size() > 1) detail::take_turns(p.routes, i);
        for (route& r : p.routes) r.part = demands[r.part].part;
        for (const route& r : p.routes) {
            const double us = r.overhead_us + transfer_us(static_cast<double>(r.bytes), r.gb_s);
            if (us > p.predicted_us) p.predicted_us = us;
        }
        const double load = detail::assign_engines(m, p);
        if (load > 1) p.predicted_us *= load;
        for (const link_direction hop : p.hops)
            if (m.at(hop.link).source < p.rests_on) p.rests_on = m.at(hop.link).source;
        p.bound_gb_s = bound.gb_s * static_cast<double>(asked[i].bytes) / total_bytes;
        p.limits = bound.limits;
        detail::explain_losers(ways, best, first_part[i], first_part[i + 1] - first_part[i], p);
        plans.push_back(std::move(p));
    }
    return plans;
}

BARELINK_END_NAMESPACE
