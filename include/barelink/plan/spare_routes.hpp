// Routes that a plan does without, and would want if one of its links were slow.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/plan/planner.hpp>

BARELINK_BEGIN_NAMESPACE

/// A plan with routes of no bytes after those of the same part, and for which link each of them stands by.
struct spared_plan {
    plan what;
    struct reason {
        std::uint32_t route = 0; ///< of `what`
        link_direction slow;     ///< with half its rate the planner would use this route

        friend bool operator==(const reason&, const reason&) noexcept = default;
    };
    std::vector<reason> reasons;
};

namespace detail {

/// The same part and the same memories in the same order.
[[nodiscard]] inline bool same_way(const route& a, const route& b) noexcept {
    if (a.part != b.part || a.leg_count != b.leg_count || a.from() != b.from()) return false;
    for (std::size_t l = 0; l < a.leg_count; ++l)
        if (a.legs[l].to != b.legs[l].to) return false;
    return true;
}

/// A spare route on its way into a plan.
struct spare {
    route what;
    std::vector<link_direction> hops, stands_by_for;
};

/// Adds those of a plan's routes that `chosen` has not.
inline void collect_spares(const plan& otherwise, link_direction slow, const plan& chosen, std::vector<spare>& into) {
    for (const route& each : otherwise.routes) {
        bool known = false;
        for (const route& other : chosen.routes) known |= same_way(each, other);
        for (spare& other : into) {
            if (!same_way(each, other.what)) continue;
            known = true;
            if (each.gb_s > other.what.gb_s) other.what.gb_s = each.gb_s;
            other.stands_by_for.push_back(slow);
        }
        if (known) continue;
        spare found{each, {}, {slow}};
        found.what.bytes = 0;
        for (leg& l : std::span(found.what.legs.data(), each.leg_count)) {
            const auto hops = otherwise.hops_of(l);
            l.first_hop = static_cast<std::uint32_t>(found.hops.size());
            found.hops.insert(found.hops.end(), hops.begin(), hops.end());
        }
        into.push_back(std::move(found));
    }
}

inline void append_spare(const spare& from, std::uint64_t offset, spared_plan& into) {
    route added = from.what;
    added.offset = offset;
    for (leg& l : std::span(added.legs.data(), added.leg_count))
        l.first_hop += static_cast<std::uint32_t>(into.what.hops.size());
    into.what.hops.insert(into.what.hops.end(), from.hops.begin(), from.hops.end());
    for (const link_direction slow : from.stands_by_for)
        into.reasons.push_back({static_cast<std::uint32_t>(into.what.routes.size()), slow});
    into.what.routes.push_back(added);
}

} // namespace detail

/// Adds what plans for the same request use when one of the links of this plan has half its rate: at most `most` routes for each
/// part, those that stand by for the most links. A mover that watches its routes gives them what a slow one leaves. Plans
/// once for each link, so some milliseconds for a server: worth keeping.
template <class Planner>
[[nodiscard]] spared_plan with_spare_routes(const Planner& planner, const plan& chosen, std::size_t most = 6) {
    std::vector<detail::spare> spares;
    machine slowed = planner.planned_on();
    std::vector<std::uint8_t> seen(2 * slowed.links.size(), 0);
    for (const link_direction hop : chosen.hops) {
        if (seen[hop.slot()]++ > 0) continue;
        link& slow = slowed.links[hop.link.value];
        const link usual = slow;
        (hop.reverse ? slow.gb_s_ba : slow.gb_s_ab) /= 2;
        slowed.connect();
        if (const auto otherwise = Planner(slowed).make(chosen.asked))
            detail::collect_spares(*otherwise, hop, chosen, spares);
        slow = usual;
    }
    spared_plan found{chosen, {}};
    found.what.routes.clear();
    for (std::size_t i = 0; i < chosen.routes.size(); ++i) {
        const route& own = chosen.routes[i];
        found.what.routes.push_back(own);
        if (i + 1 < chosen.routes.size() && chosen.routes[i + 1].part == own.part) continue;
        for (std::size_t taken = 0; taken < most; ++taken) {
            detail::spare* first = nullptr;
            for (detail::spare& each : spares)
                if (each.what.part == own.part && !each.stands_by_for.empty() &&
                    (!first || each.stands_by_for.size() > first->stands_by_for.size()))
                    first = &each;
            if (!first) break;
            detail::append_spare(*first, own.offset + own.bytes, found);
            first->stands_by_for.clear(); // taken
        }
    }
    return found;
}

BARELINK_END_NAMESPACE
