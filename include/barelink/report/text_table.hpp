// Columns of text that line up: what every printed table here is made of.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// How reports look. Plain by default: programs that write to a terminal ask for colours.
struct text_style {
    bool colours = false;

    [[nodiscard]] std::string bold(const std::string& text) const { return paint("1", text); }
    [[nodiscard]] std::string dim(const std::string& text) const { return paint("2", text); }
    [[nodiscard]] std::string good(const std::string& text) const { return paint("32", text); }
    [[nodiscard]] std::string bad(const std::string& text) const { return paint("31", text); }

private:
    [[nodiscard]] std::string paint(const char* code, const std::string& text) const {
        return colours && !text.empty() ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
    }
};

namespace detail {

/// Columns that UTF-8 text takes on a terminal, one per code point.
[[nodiscard]] inline std::size_t text_width(const std::string& text) noexcept {
    std::size_t width = 0;
    for (const char c : text) width += (static_cast<unsigned char>(c) & 0xc0u) != 0x80u;
    return width;
}

} // namespace detail

/// Rows of cells; columns as wide as their widest cell, two spaces apart.
class text_table {
public:
    /// One character a column: `<` to the left, `>` to the right.
    explicit text_table(std::string alignment) : alignment_(std::move(alignment)) {}

    void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }

    /// Every row on a line of its own after `indent`, without trailing spaces; the first one bold if it is a heading.
    [[nodiscard]] std::string str(const std::string& indent = "  ", text_style style = {}, bool heading = true) const {
        std::vector<std::size_t> width;
        for (const auto& cells : rows_)
            for (std::size_t c = 0; c < cells.size(); ++c) {
                if (c == width.size()) width.push_back(0);
                if (detail::text_width(cells[c]) > width[c]) width[c] = detail::text_width(cells[c]);
            }
        std::string out;
        for (std::size_t r = 0; r < rows_.size(); ++r) {
            std::string line;
            for (std::size_t c = 0; c < rows_[r].size(); ++c) {
                const bool right = c < alignment_.size() && alignment_[c] == '>';
                const std::string padding(width[c] - detail::text_width(rows_[r][c]), ' ');
                line += right ? padding + rows_[r][c] : rows_[r][c] + padding;
                if (c + 1 < rows_[r].size()) line += "  ";
            }
            while (!line.empty() && line.back() == ' ') line.pop_back();
            out += indent + (heading && r == 0 ? style.bold(line) : line) + '\n';
        }
        return out;
    }

private:
    std::string alignment_;
    std::vector<std::vector<std::string>> rows_;
};

BARELINK_END_NAMESPACE
