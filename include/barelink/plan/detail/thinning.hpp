// An optimum with fewer routes: the program has many solutions, and the simplex method does not pick the calmest. Private.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/plan/detail/rates.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Rates at or below this share of the whole are rounding.
inline constexpr double negligible_share = 1e-6;

/// Drops routes one by one, the thinnest first, as long as the others make up for them to `keep` of the optimum. Only where
/// routes would queue for one copy engine or carry next to nothing: elsewhere every route has its own wires.
class thinning {
public:
    thinning(const machine& m, const candidate_list& ways, std::span<const demand> demands)
        : machine_(m), ways_(ways), demands_(demands) {}

    [[nodiscard]] optimum thin(const optimum& best, double keep) const {
        optimum thin = best;
        std::vector<std::uint32_t> used;
        bool crowded = false;
        std::vector<std::uint8_t> routes_on(engine_count(machine_), 0);
        for (std::uint32_t c = 0; c < ways_.routes.size(); ++c) {
            if (best.rates[c] <= negligible_share * best.gb_s) continue;
            used.push_back(c);
            crowded |= best.rates[c] < 0.01 * best.gb_s;
            for_each_host_engine(ways_.routes[c], [&](std::uint32_t engine) { crowded |= routes_on[engine]++ > 0; });
        }
        if (!crowded || used.size() > most_thinned) return thin;
        rate_program program(machine_, ways_, demands_);
        program.heed_engines();
        for (std::size_t tries = used.size(); tries-- > 0;) {
            std::size_t thinnest = tries; // candidates for dropping are used[0..tries]
            for (std::size_t i = 0; i <= tries; ++i)
                if (thin.rates[used[i]] < thin.rates[used[thinnest]]) thinnest = i;
            std::swap(used[thinnest], used[tries]);
            bool only = true; // a demand keeps its last route
            for (std::size_t i = 0; i < used.size(); ++i)
                only &= i == tries || ways_.routes[used[i]].part != ways_.routes[used[tries]].part;
            if (only) continue;
            std::vector<std::uint32_t> others = used;
            others.erase(others.begin() + static_cast<std::ptrdiff_t>(tries));
            if (others.empty()) break;
            optimum fewer = program.solve(others);
            if (!fewer.found || fewer.gb_s < keep * best.gb_s) continue;
            // A route that carries much is not worth replacing by a detour.
            if (thin.rates[used[tries]] > thin_share * best.gb_s && wire_use(fewer) > 1.001 * wire_use(thin)) continue;
            thin = std::move(fewer);
            used = std::move(others);
        }
        return thin;
    }

private:
    /// GB/s times links crossed, over all routes.
    [[nodiscard]] double wire_use(const optimum& at) const {
        double sum = 0;
        for (std::size_t c = 0; c < at.rates.size(); ++c) sum += at.rates[c] * ways_.routes[c].slot_count;
        return sum;
    }

    template <class Visit>
    void for_each_host_engine(const candidate& way, Visit visit) const {
        for_each_host_leg(machine_, way, demands_[way.part],
                          [&](const dma_path& path) { visit(engine_of(machine_, path, false)); });
    }

    static constexpr double thin_share = 0.06;      ///< of all
    static constexpr std::size_t most_thinned = 24; ///< beyond it thinning would cost more than it gains

    const machine& machine_;
    const candidate_list& ways_;
    std::span<const demand> demands_;
};

} // namespace detail
BARELINK_END_NAMESPACE
