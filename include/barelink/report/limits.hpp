// The limiting links of a plan as a person names them: one entry for a chain of links, not one for every link.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <barelink/plan/plan.hpp>

BARELINK_BEGIN_NAMESPACE

/// Link directions that follow one another, of one kind and one rate: together they are one obstacle.
struct limit_chain {
    std::vector<link_direction> hops; ///< in the direction of travel; empty for the host's copying threads
    double gb_s = 0;
    double weight = 0; ///< GB/s of transfer gained per GB/s of this chain
};

namespace detail {

[[nodiscard]] inline node_index tail_of(const machine& m, link_direction d) noexcept {
    return d.reverse ? m.at(d.link).b : m.at(d.link).a;
}
[[nodiscard]] inline node_index head_of(const machine& m, link_direction d) noexcept {
    return d.reverse ? m.at(d.link).a : m.at(d.link).b;
}

} // namespace detail

/// The limits of a plan, chained: a link joins the one before it when both have one rate and neither branches there.
[[nodiscard]] inline std::vector<limit_chain> chain_limits(const machine& m, std::span<const limit> limits) {
    constexpr std::size_t none = ~std::size_t{0};
    const std::size_t count = limits.size();
    std::vector<std::size_t> next(count, none), previous(count, none), followers(count, 0), leaders(count, 0);
    const auto is_link = [&](const limit& l) { return l.where.link.value < m.links.size(); };
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t j = 0; j < count; ++j) {
            const limit &one = limits[i], &other = limits[j];
            if (i == j || !is_link(one) || !is_link(other) || one.where.link == other.where.link) continue;
            const double difference = one.gb_s - other.gb_s;
            if (detail::head_of(m, one.where) != detail::tail_of(m, other.where) ||
                m.at(one.where.link).kind != m.at(other.where.link).kind || difference > 1e-9 || difference < -1e-9)
                continue;
            next[i] = j;
            previous[j] = i;
            ++followers[i];
            ++leaders[j];
        }
    for (std::size_t i = 0; i < count; ++i) {
        if (followers[i] > 1) next[i] = none;
        if (leaders[i] > 1) previous[i] = none;
    }
    std::vector<limit_chain> chains;
    for (std::size_t i = 0; i < count; ++i) {
        const bool continues = previous[i] != none && next[previous[i]] == i;
        if (continues) continue;
        limit_chain chain{{}, limits[i].gb_s, limits[i].weight};
        for (std::size_t at = i; is_link(limits[at]);) {
            chain.hops.push_back(limits[at].where);
            const std::size_t then = next[at];
            if (then == none || previous[then] != at) break;
            at = then;
        }
        chains.push_back(std::move(chain));
    }
    return chains;
}
[[nodiscard]] inline std::vector<limit_chain> chain_limits(const machine& m, const plan& p) {
    return chain_limits(m, std::span<const limit>(p.limits));
}

/// `pcie package:0 -> root:0 -> switch:0 -> gpu:0`, or `the host's copying threads`.
[[nodiscard]] inline std::string to_string(const machine& m, const limit_chain& chain) {
    if (chain.hops.empty()) return "the host's copying threads";
    std::string said = to_string(m.at(chain.hops.front().link).kind);
    said += ' ' + m.at(detail::tail_of(m, chain.hops.front())).id();
    for (const link_direction hop : chain.hops) said += " -> " + m.at(detail::head_of(m, hop)).id();
    return said;
}

BARELINK_END_NAMESPACE
