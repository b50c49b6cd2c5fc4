// The linear program behind every plan: rates of routes, so that no resource is over its capacity.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// maximise sum of profit * x  subject to  A x <= b,  x >= 0,  b >= 0.
///
/// Revised primal simplex with an explicit inverse: starts from the slack basis, which is feasible because b >= 0, so there
/// is no first phase. Dantzig's rule within a block of columns, Bland's rule after a
/// run of degenerate steps, so it ends. Sizes: tens of rows for a server, a few hundred for a rack. Rows of the inverse that a
/// step does not touch are skipped: the bases of these problems are nearly triangular and stay sparse.
class packing_lp {
public:
    explicit packing_lp(std::span<const double> capacities) : b_(capacities.begin(), capacities.end()) {}

    /// Adds a variable. Entries may repeat a row; they add up.
    void begin_column(double profit) {
        profit_.push_back(profit);
        first_.push_back(static_cast<std::uint32_t>(row_.size()));
    }
    void entry(std::uint32_t row, double coefficient) {
        for (std::size_t e = first_.back(); e < row_.size(); ++e)
            if (row_[e] == row) {
                coefficient_[e] += coefficient;
                return;
            }
        row_.push_back(row);
        coefficient_.push_back(coefficient);
    }

    /// Runs to the optimum. False only when it is unbounded (a column without a positive entry) or the iteration limit,
    /// far above what Bland's rule needs here, is hit.
    [[nodiscard]] bool solve();

    [[nodiscard]] double objective() const noexcept { return objective_; }
    [[nodiscard]] double value(std::size_t column) const noexcept { return x_[column]; }
    /// Dual value of a row: what one more unit of its capacity would add to the objective.
    [[nodiscard]] double dual(std::size_t row) const noexcept { return y_[row]; }
    [[nodiscard]] std::uint32_t iterations() const noexcept { return iterations_; }

private:
    static constexpr double tolerance = 1e-9;
    static constexpr std::size_t block = 64; ///< columns priced at a time

    [[nodiscard]] std::size_t columns() const noexcept { return profit_.size(); }
    [[nodiscard]] std::size_t rows() const noexcept { return b_.size(); }
    [[nodiscard]] std::size_t end_of(std::size_t column) const noexcept {
        return column + 1 < columns() ? first_[column + 1] : row_.size();
    }
    [[nodiscard]] double reduced_profit(std::size_t column) const noexcept;
    [[nodiscard]] std::size_t entering(bool bland);
    void direction_of(std::size_t column);
    [[nodiscard]] std::size_t leaving(bool bland) const noexcept;
    void pivot(std::size_t column, std::size_t row);

    std::vector<double> b_, profit_, coefficient_;
    std::vector<std::uint32_t> first_, row_;

    std::vector<double> inverse_; ///< rows x rows, row-major
    std::vector<double> basic_;   ///< values of the basic variables
    std::vector<double> y_, d_, x_;
    std::vector<std::size_t> basis_; ///< column, or columns() + row for a slack
    std::vector<bool> in_basis_;
    double objective_ = 0;
    std::size_t next_priced_ = 0;
    std::uint32_t iterations_ = 0;
};

inline double packing_lp::reduced_profit(std::size_t column) const noexcept {
    if (column >= columns()) return -y_[column - columns()];
    double reduced = profit_[column];
    for (std::size_t e = first_[column], end = end_of(column); e < end; ++e) reduced -= y_[row_[e]] * coefficient_[e];
    return reduced;
}

inline std::size_t packing_lp::entering(bool bland) {
    const std::size_t all = columns() + rows();
    std::size_t best = all;
    double best_reduced = tolerance;
    const auto consider = [&](std::size_t column) {
        if (in_basis_[column]) return;
        const double reduced = reduced_profit(column);
        if (reduced <= best_reduced) return;
        best = column;
        best_reduced = reduced + tolerance;
    };
    if (bland) {
        for (std::size_t column = 0; column < all && best == all; ++column) consider(column);
        return best;
    }
    // Partial pricing: a block of columns at a time, from where the last search ended.
    for (std::size_t seen = 0; seen < all && best == all;) {
        const std::size_t end = next_priced_ + block < all ? next_priced_ + block : all;
        for (std::size_t column = next_priced_; column < end; ++column) consider(column);
        seen += end - next_priced_;
        next_priced_ = end == all ? 0 : end;
    }
    return best;
}

inline void packing_lp::direction_of(std::size_t column) {
    const std::size_t m = rows();
    if (column >= columns()) {
        for (std::size_t i = 0; i < m; ++i) d_[i] = inverse_[i * m + (column - columns())];
        return;
    }
    for (std::size_t i = 0; i < m; ++i) {
        double sum = 0;
        for (std::size_t e = first_[column], end = end_of(column); e < end; ++e)
            sum += inverse_[i * m + row_[e]] * coefficient_[e];
        d_[i] = sum;
    }
}

inline std::size_t packing_lp::leaving(bool bland) const noexcept {
    std::size_t best = rows();
    double best_ratio = 0;
    for (std::size_t i = 0; i < rows(); ++i) {
        if (d_[i] <= tolerance) continue;
        const double ratio = basic_[i] / d_[i];
        const bool better = best == rows() || ratio < best_ratio - tolerance ||
                            (ratio < best_ratio + tolerance && (bland ? basis_[i] < basis_[best] : d_[i] > d_[best]));
        if (!better) continue;
        best = i;
        best_ratio = ratio;
    }
    return best;
}

inline void packing_lp::pivot(std::size_t column, std::size_t row) {
    const std::size_t m = rows();
    const double reduced = reduced_profit(column);
    double* pivot_row = &inverse_[row * m];
    const double scale = 1 / d_[row];
    for (std::size_t j = 0; j < m; ++j) pivot_row[j] *= scale;
    basic_[row] *= scale;
    for (std::size_t i = 0; i < m; ++i) {
        if (i == row || d_[i] == 0) continue;
        double* other = &inverse_[i * m];
        for (std::size_t j = 0; j < m; ++j) other[j] -= d_[i] * pivot_row[j];
        basic_[i] -= d_[i] * basic_[row];
        if (basic_[i] < 0) basic_[i] = 0;
    }
    for (std::size_t j = 0; j < m; ++j) y_[j] += reduced * pivot_row[j];
    in_basis_[basis_[row]] = false;
    in_basis_[column] = true;
    basis_[row] = column;
}

inline bool packing_lp::solve() {
    const std::size_t m = rows(), n = columns();
    inverse_.assign(m * m, 0);
    for (std::size_t i = 0; i < m; ++i) inverse_[i * m + i] = 1;
    basic_ = b_;
    y_.assign(m, 0);
    d_.assign(m, 0);
    x_.assign(n, 0);
    in_basis_.assign(n + m, false);
    basis_.resize(m);
    for (std::size_t i = 0; i < m; ++i) {
        basis_[i] = n + i;
        in_basis_[n + i] = true;
    }
    const std::uint32_t most = 1000 + 50 * static_cast<std::uint32_t>(n + m);
    std::uint32_t standing_still = 0;
    for (iterations_ = 0; iterations_ < most; ++iterations_) {
        const bool bland = standing_still > m + 20;
        const std::size_t column = entering(bland);
        if (column == n + m) {
            objective_ = 0;
            for (std::size_t i = 0; i < m; ++i)
                if (basis_[i] < n) {
                    x_[basis_[i]] = basic_[i];
                    objective_ += profit_[basis_[i]] * basic_[i];
                }
            return true;
        }
        direction_of(column);
        const std::size_t row = leaving(bland);
        if (row == m) return false;
        standing_still = basic_[row] > tolerance ? 0 : standing_still + 1;
        pivot(column, row);
    }
    return false;
}

} // namespace detail
BARELINK_END_NAMESPACE
