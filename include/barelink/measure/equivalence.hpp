// Deciding by a margin that was fixed beforehand, so that "no difference that matters" can be shown and not only failed to be refuted.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <barelink/measure/bootstrap.hpp>
#include <barelink/measure/detail/distributions.hpp>

BARELINK_BEGIN_NAMESPACE

/// What may be said of B against A.
enum class margin_verdict : std::uint8_t { no_tax, tax, faster, inconclusive };

/// What a decision rests on.
struct margin_case {
    /// The share of A's performance that B keeps: B/A for rates, A/B for times. Its interval at the level that is shown.
    bootstrap_interval kept;
    double error = 0;   ///< standard error of log(kept)
    double degrees = 1; ///< of freedom, of that
    int runs = 0;       ///< of the side with fewer
    double margin = 0.02;
    /// What two measurements of A differ by (0.01 is 1 %); a tax must be more than that too. 0: not known.
    double noise = 0;
    /// Decisions that are made together: of all of them, "tax" is claimed by chance in at most 5 %.
    int family = 1;
};

/// Most runs that a decision proposes: B's loss is then as good as the margin itself.
inline constexpr int most_more_runs = 1000;

struct margin_decision {
    margin_verdict verdict = margin_verdict::inconclusive;
    /// About so many more runs of each side would decide; 0: decided, or runs would not help.
    int more_runs = 0;
    bool within_noise = false; ///< a tax but for `noise`
    bool by_chance = false;    ///< a tax, or faster, but for the number of decisions made together

    friend bool operator==(const margin_decision&, const margin_decision&) = default;
};

/// Decides by where the interval of `kept` lies (Schuirmann, J. Pharmacokin. Biopharm. 1987; non-inferiority for "no tax"):
/// wholly above 1 - margin: no tax beyond the margin; wholly below: tax; wholly above 1 + margin: faster; else inconclusive.
///
/// One interval of level 1 - 2e is wrong on one side with chance e. A report makes many decisions, so "tax" and "faster" are
/// claimed only if the difference from none at all is also beyond what chance gives `family` decisions together: Student's t
/// of log(kept) is exceeded with chance 0.05 / family or less (Bonferroni's inequality). With no difference anywhere, "tax"
/// is then claimed in at most 5 % of comparisons, whatever their number of lines and however large the noise.
///
/// `more_runs`: errors fall with the square root of the runs; so many that, were the estimate right, four of five repeats
/// would decide (0.84 is the normal deviate exceeded by one in five).
[[nodiscard]] inline margin_decision decide(const margin_case& c) noexcept {
    margin_decision made;
    if (c.runs < 2) return made; // how runs differ is not known
    const double floor = 1 - c.margin;
    const double distance = std::fabs(std::log(c.kept.mid));
    const double chance =
        c.error > 0 ? detail::student_t_above(distance / c.error, c.degrees) : (distance > 0 ? 0.0 : 0.5);
    const double allowed = 0.05 / std::max(c.family, 1);
    const auto runs_for = [&](double spread, double gap) {
        const double needed = gap > 0 ? c.runs * (spread / gap) * (spread / gap) : 1e9;
        return static_cast<int>(std::clamp(std::ceil(needed) - c.runs, 1.0, double{most_more_runs}));
    };
    const double power = 0.84 * c.error * c.kept.mid;

    const bool is_tax = c.kept.high < floor;
    const bool is_faster = c.kept.low > 1 + c.margin;
    if (is_tax || is_faster) {
        if (chance > allowed) {
            made.by_chance = true;
            const double t = detail::student_t_quantile(allowed, c.degrees);
            made.more_runs = runs_for((t + 0.84) * c.error, distance);
            if (is_faster) made = {margin_verdict::no_tax, 0, false, true};
            return made;
        }
        if (is_tax && c.kept.high >= 1 - c.noise) {
            made.within_noise = true;
            return made;
        }
        made.verdict = is_tax ? margin_verdict::tax : margin_verdict::faster;
        return made;
    }
    if (c.kept.low >= floor) {
        made.verdict = margin_verdict::no_tax;
        return made;
    }
    made.more_runs = c.kept.mid < floor ? runs_for(c.kept.high - c.kept.mid + power, floor - c.kept.mid)
                                        : runs_for(c.kept.mid - c.kept.low + power, c.kept.mid - floor);
    return made;
}

BARELINK_END_NAMESPACE
