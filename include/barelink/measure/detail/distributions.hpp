// The three distributions that intervals need: beta (and by it binomial), Student's t, normal.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

/// Logarithm of the gamma function, x > 0: Lanczos' approximation with g = 7 and nine terms (Numerical Recipes, 3rd ed., 6.1,
/// with Godfrey's coefficients), about 15 digits. `std::lgamma` writes a global variable.
[[nodiscard]] inline double log_gamma(double x) noexcept {
    constexpr double c[] = {0.99999999999980993,  676.5203681218851,     -1259.1392167224028,
                            771.32342877765313,   -176.61502916214059,   12.507343278686905,
                            -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7};
    double sum = c[0];
    for (int i = 1; i < 9; ++i) sum += c[i] / (x - 1 + i);
    const double t = x + 6.5;
    return 0.5 * std::log(2 * 3.14159265358979323846) + (x - 0.5) * std::log(t) - t + std::log(sum);
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method (Numerical Recipes, 6.4).
[[nodiscard]] inline double beta_fraction(double x, double a, double b) noexcept {
    constexpr double tiny = 1e-300;
    const auto away_from_zero = [](double v) { return std::fabs(v) < tiny ? tiny : v; };
    double c = 1;
    double d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
    double value = d;
    // Takes about the square root of the larger parameter: 100,000 are enough for any number of samples that fits a machine.
    for (int m = 1; m < 100000; ++m) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 / away_from_zero(1 + even * d);
        c = away_from_zero(1 + even / c);
        value *= c * d;
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / away_from_zero(1 + odd * d);
        c = away_from_zero(1 + odd / c);
        value *= c * d;
        if (std::fabs(c * d - 1) < 1e-15) break;
    }
    return value;
}

/// The regularised incomplete beta function I_x(a, b), a and b > 0.
[[nodiscard]] inline double beta_cdf(double x, double a, double b) noexcept {
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    const double front =
        std::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) + b * std::log1p(-x));
    if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(x, a, b) / a;
    return 1 - front * beta_fraction(1 - x, b, a) / b;
}

/// The chance of at most `k` successes in `n` trials of chance `p` each (DLMF 8.17.5).
[[nodiscard]] inline double binomial_cdf(std::int64_t k, std::int64_t n, double p) noexcept {
    if (k < 0) return 0;
    if (k >= n) return 1;
    return beta_cdf(1 - p, static_cast<double>(n - k), static_cast<double>(k + 1));
}

/// The chance that a variable of Student's t with `degrees` of freedom (any number > 0) is above `t`.
[[nodiscard]] inline double student_t_above(double t, double degrees) noexcept {
    if (std::isinf(t)) return t > 0 ? 0 : 1;
    const double tail = 0.5 * beta_cdf(degrees / (degrees + t * t), 0.5 * degrees, 0.5);
    return t >= 0 ? tail : 1 - tail;
}

/// The value that a decreasing function of chances reaches: by bisection, to the last digit, for above < 0.5.
template <class Above>
[[nodiscard]] double upper_quantile(double above, Above chance_above) noexcept {
    double low = 0, high = 1;
    while (chance_above(high) > above && high < 1e300) high *= 2;
    for (int i = 0; i < 200 && low < high; ++i) {
        const double middle = 0.5 * (low + high);
        if (middle <= low || middle >= high) break;
        (chance_above(middle) > above ? low : high) = middle;
    }
    return high;
}

/// Student's t that is exceeded with the chance `above` (0 < above <= 0.5).
[[nodiscard]] inline double student_t_quantile(double above, double degrees) noexcept {
    return upper_quantile(above, [degrees](double t) { return student_t_above(t, degrees); });
}

/// The standard normal deviate that is exceeded with the chance `above` (0 < above <= 0.5).
[[nodiscard]] inline double normal_quantile(double above) noexcept {
    return upper_quantile(above, [](double z) { return 0.5 * std::erfc(z / 1.41421356237309504880); });
}

} // namespace detail

BARELINK_END_NAMESPACE
