// What one copy reaches between every two memories, as a table.
#pragma once

#include <string>
#include <vector>

#include <barelink/machine/machine.hpp>
#include <barelink/report/text_table.hpp>
#include <barelink/report/units.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

/// Rate of a DMA path, with `?` when a plan would need trust for it and `x` when it may not be used; `-` for none.
[[nodiscard]] inline std::string path_cell(const dma_path* path) {
    if (!path) return "-";
    const char* mark = path->usable() ? "" : path->allowed && path->proof != delivery::failed ? "?" : "x";
    return format_rate(path->gb_s) + mark;
}

[[nodiscard]] inline std::vector<node_index> memories_of(const machine& m) {
    std::vector<node_index> found = m.all(node_kind::memory);
    for (const node_index gpu : m.all(node_kind::gpu))
        if (m.at(gpu).is_memory()) found.push_back(gpu);
    return found;
}

/// Machines too wide for a table: how many pairs of each kind reach which rate.
inline void matrix_classes(const machine& m, text_table& table) {
    table.row({"from", "to", "GB/s", "pairs"});
    struct row {
        node_kind from, to;
        std::string cell;
        std::size_t pairs;
    };
    std::vector<row> rows;
    const std::vector<node_index> memories = memories_of(m);
    for (const node_index from : memories)
        for (const node_index to : memories) {
            if (from == to || (m.at(from).kind == node_kind::memory && m.at(to).kind == node_kind::memory)) continue;
            const std::string cell = path_cell(m.path(from, to));
            bool counted = false;
            for (row& each : rows) {
                if (each.from != m.at(from).kind || each.to != m.at(to).kind || each.cell != cell) continue;
                ++each.pairs;
                counted = true;
            }
            if (!counted) rows.push_back({m.at(from).kind, m.at(to).kind, cell, 1});
        }
    for (const row& each : rows)
        table.row({to_string(each.from), to_string(each.to), each.cell, std::to_string(each.pairs)});
}

} // namespace detail

/// Rates of single copies in GB/s, from rows to columns; memories with no direct path between them show `-`. Above 24
/// memories the alike are counted instead. The footnote explains only the marks that occur.
[[nodiscard]] inline std::string bandwidth_matrix(const machine& m, text_style style = {}) {
    const std::vector<node_index> memories = detail::memories_of(m);
    constexpr std::size_t most_columns = 24;
    if (memories.size() < 2) return {};
    text_table table("<" + std::string(memories.size(), '>'));
    if (memories.size() > most_columns) {
        table = text_table("<<>>");
        detail::matrix_classes(m, table);
    } else {
        std::vector<std::string> heading{"from \\ to"};
        for (const node_index to : memories) heading.push_back(m.at(to).id());
        table.row(heading);
        for (const node_index from : memories) {
            std::vector<std::string> cells{m.at(from).id()};
            for (const node_index to : memories)
                cells.push_back(from == to ? "." : detail::path_cell(m.path(from, to)));
            table.row(cells);
        }
    }
    std::string out = style.bold("one copy, GB/s") + "\n\n" + table.str("  ", style);
    bool unproved = false, refused = false;
    for (const dma_path& path : m.paths()) {
        const std::string cell = detail::path_cell(&path);
        unproved |= cell.back() == '?';
        refused |= cell.back() == 'x';
    }
    if (unproved) out += "  ? granted, not proved by delivery: plans use it only with --trust-unproved\n";
    if (refused) out += "  x not allowed, or failed its delivery test: no plan uses it\n";
    return out;
}

BARELINK_END_NAMESPACE
