// A picture of a matrix of rates: from each row to each column a cell, its number, and a colour on an even scale.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <barelink/report/detail/heat_colours.hpp>
#include <barelink/report/detail/svg_theme.hpp>
#include <barelink/report/svg.hpp>
#include <barelink/report/units.hpp>

BARELINK_BEGIN_NAMESPACE

struct heat_map_cell {
    double gb_s = std::numeric_limits<double>::quiet_NaN(); ///< not above zero, or no number: an empty cell
    std::string mark;                                       ///< behind the number: a letter that a note explains
    std::string hover;                                      ///< how it was measured; shown when pointed at
};

/// Rates in GB/s. `cells` row by row; those that are missing at the end are empty.
struct heat_map {
    std::string title;
    std::string subtitle;
    std::string warning; ///< in red under the subtitle; for numbers that must not be taken for something else
    std::string rows_are = "from", columns_are = "to";
    std::vector<std::string> rows, columns;
    std::vector<heat_map_cell> cells;
    /// So many rows and columns at the beginning stand apart from the others: host memory from GPUs.
    std::size_t first_rows = 0, first_columns = 0;
    std::vector<std::string> notes; ///< one line each under the matrix

    [[nodiscard]] const heat_map_cell* at(std::size_t row, std::size_t column) const noexcept {
        const std::size_t position = row * columns.size() + column;
        return row < rows.size() && column < columns.size() && position < cells.size() ? &cells[position] : nullptr;
    }
};

namespace detail {

class heat_map_drawing {
public:
    explicit heat_map_drawing(const heat_map& map) : map_(map) {
        for (std::size_t row = 0; row < map.rows.size(); ++row)
            for (std::size_t column = 0; column < map.columns.size(); ++column)
                if (const heat_map_cell* cell = map.at(row, column); cell && filled(*cell)) scale_.add(cell->gb_s);
        scale_.close();
        cell_wide_ = map.columns.size() > 32 ? 34 : map.columns.size() > 12 ? 44 : 58;
        for (const std::string& label : map.rows) label_wide_ = std::max(label_wide_, text_pixels(label, 11));
        label_wide_ = std::min(label_wide_, 160.0) + 14;
    }

    [[nodiscard]] std::string str() {
        const double matrix = cell_wide_ * static_cast<double>(map_.columns.size()) +
                              (splits(map_.first_columns, map_.columns.size()) ? gap : 0);
        const double width = std::max(2 * margin + label_wide_ + matrix, 460.0);
        svg_.text(margin, 36, text_cut(map_.title, width - 2 * margin, 20), "h1");
        double y = 56;
        svg_.text(margin, y, text_cut(map_.subtitle, width - 2 * margin, 12.5), "h2");
        if (!map_.warning.empty()) {
            y += 20;
            svg_.text(margin, y, text_cut(map_.warning, width - 2 * margin, 11), "b full");
        }
        y += 30;
        heading(y);
        y = matrix_from(y + 10) + 26;
        y = legend(y, std::min(width - 2 * margin, 420.0));
        for (const std::string& note : map_.notes) {
            y += 17;
            svg_.text(margin, y, text_cut(note, width - 2 * margin, 9.5), "s m");
        }
        return svg_.document(width, y + margin, map_.title, description(), svg_style + heat_style());
    }

private:
    static constexpr double margin = 26, cell_high = 30, gap = 8;

    [[nodiscard]] static bool filled(const heat_map_cell& cell) noexcept {
        return std::isfinite(cell.gb_s) && cell.gb_s > 0;
    }
    [[nodiscard]] static bool splits(std::size_t first, std::size_t count) noexcept {
        return first > 0 && first < count;
    }
    [[nodiscard]] double x_of(std::size_t column) const noexcept {
        const bool behind = splits(map_.first_columns, map_.columns.size()) && column >= map_.first_columns;
        return margin + label_wide_ + cell_wide_ * static_cast<double>(column) + (behind ? gap : 0);
    }

    void heading(double y) {
        svg_.text(margin, y, map_.rows_are + " \\ " + map_.columns_are, "s m");
        for (std::size_t column = 0; column < map_.columns.size(); ++column)
            svg_.text(x_of(column) + cell_wide_ / 2, y, text_cut(map_.columns[column], cell_wide_ - 2, 9.5), "mid s m");
    }
    /// Returns where it ends.
    double matrix_from(double top) {
        for (std::size_t row = 0; row < map_.rows.size(); ++row) {
            if (splits(map_.first_rows, map_.rows.size()) && row == map_.first_rows) top += gap;
            svg_.text(margin, top + cell_high / 2 + 4, text_cut(map_.rows[row], label_wide_ - 8, 11), "");
            for (std::size_t column = 0; column < map_.columns.size(); ++column) draw(row, column, top);
            top += cell_high;
        }
        return top;
    }
    void draw(std::size_t row, std::size_t column, double top) {
        const heat_map_cell* cell = map_.at(row, column);
        const double x = x_of(column) + 1, wide = cell_wide_ - 2, high = cell_high - 2;
        const double middle = x + wide / 2, line = top + 1 + high / 2 + 4;
        if (!cell || !filled(*cell)) {
            svg_.rect(x, top + 1, wide, high, 3, "lane");
            svg_.text(middle, line, "\u00b7", "mid m");
            return;
        }
        const std::size_t step = scale_.step_of(cell->gb_s);
        svg_.open({}, map_.rows[row] + " \u2192 " + map_.columns[column] + ": " + format_gb_s(cell->gb_s) +
                          (cell->hover.empty() ? std::string() : ", " + cell->hover));
        svg_.rect(x, top + 1, wide, high, 3, fmt::format("q{}", step));
        svg_.text(middle, line, format_rate(cell->gb_s) + cell->mark,
                  fmt::format("mid num{} t{}", cell_wide_ < 50 ? " s" : "", step));
        svg_.close();
    }
    /// The scale with round numbers under it. Returns its last line's y.
    double legend(double y, double wide) {
        if (!scale_.any()) return y - 12;
        const double each = wide / heat_steps;
        for (std::size_t step = 0; step < heat_steps; ++step)
            svg_.rect(margin + each * static_cast<double>(step), y, each + 0.3, 10, 0, fmt::format("q{}", step));
        const std::vector<double> ticks = scale_.ticks();
        const auto half = [](double tick) { return text_pixels(format_rate(tick), 9.5) / 2 + 3; };
        double free_from = 0;
        for (const double tick : ticks) {
            const double x = margin + wide * scale_.part_of(tick);
            const bool end = tick == ticks.front() || tick == ticks.back();
            if (!end && (x - half(tick) < free_from || x + half(tick) > margin + wide - half(ticks.back()))) continue;
            svg_.line({x, y + 10}, {x, y + 14}, 1, "rule");
            svg_.text(x, y + 24, format_rate(tick), "mid num s m");
            free_from = x + half(tick);
        }
        svg_.text(margin, y + 40, "GB/s; equal steps of colour are equal ratios", "s m");
        return y + 40;
    }
    /// For those who cannot see it: all numbers, row by row.
    [[nodiscard]] std::string description() const {
        std::string said = "Rates in GB/s " + map_.rows_are + " rows " + map_.columns_are +
                           " columns: " + map_.subtitle + ". " + map_.warning;
        for (std::size_t row = 0; row < map_.rows.size(); ++row) {
            std::string numbers;
            for (std::size_t column = 0; column < map_.columns.size(); ++column)
                if (const heat_map_cell* cell = map_.at(row, column); cell && filled(*cell))
                    numbers += (numbers.empty() ? " " : ", ") + map_.columns[column] + " " + format_rate(cell->gb_s);
            if (!numbers.empty()) said += " " + map_.rows[row] + ":" + numbers + ".";
        }
        return said;
    }

    const heat_map& map_;
    heat_scale scale_;
    double cell_wide_ = 58, label_wide_ = 40;
    svg_writer svg_;
};

} // namespace detail

/// The matrix as an SVG document. The scale is logarithmic and spans at least a factor of two, so that noise does not look
/// like structure; light and dark mode each have their own colours, in both the highest rate stands out most.
[[nodiscard]] inline std::string heat_map_svg(const heat_map& map) {
    return detail::heat_map_drawing(map).str();
}

BARELINK_END_NAMESPACE
