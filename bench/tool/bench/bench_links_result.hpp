// What a benchmark of links was asked for and what it found, as plain values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <barelink/core/units.hpp>

#include "bench_result.hpp"
#include "bench_statistics.hpp"

namespace tool {

struct links_parameters {
    std::vector<int> gpus;
    std::vector<std::string> rows;
    std::uint64_t bytes_asked = 512ull << 20;
    std::uint64_t bytes = 0; ///< of one buffer and one copy: what was asked for, or what fits
    unsigned copies = 16, warm_up_copies = 1, rounds = 3;
    double seconds = 90;
    std::uint64_t memory_bytes = 0; ///< pinned host memory that it may take in all
    std::string gate;               ///< `spin kernel`, or `none: ` and why
};

/// Where the pages of host memory lie, as the kernel says, of a sample of at most 512.
struct links_placement {
    std::string memory;                                   ///< whose: `pinned beside gpu:0`
    int asked = -1;                                       ///< NUMA node
    std::uint64_t pages_checked = 0, pages_elsewhere = 0; ///< none checked: the kernel does not say
};

/// One figure: from `from` to `to`, enqueued in a stream of `issuer`. A sample a round.
struct links_cell {
    std::string row, column, from, to, issuer;
    std::uint64_t bytes = 0;
    unsigned copies = 0; ///< in a sample
    bool gated = false;
    bool verified = false;
    std::vector<double> gb_s;
    std::vector<std::pair<std::string, double>> parts; ///< medians of what the figure is made of
    std::string note;

    [[nodiscard]] double least() const { return gb_s.empty() ? 0 : *std::min_element(gb_s.begin(), gb_s.end()); }
    [[nodiscard]] double most() const { return gb_s.empty() ? 0 : *std::max_element(gb_s.begin(), gb_s.end()); }
    [[nodiscard]] double us() const { // of one copy
        const double rate = median(gb_s);
        return rate > 0 ? barelink::transfer_us(static_cast<double>(bytes), rate) : 0;
    }
    /// From the least to the greatest sample, of the median.
    [[nodiscard]] double spread() const {
        const double middle = median(gb_s);
        return middle > 0 ? (most() - least()) / middle : 0;
    }
};

/// A matrix of figures; a cell that is missing was not measured.
struct links_metric {
    std::string name;    ///< nvbandwidth's own where it has the metric
    std::string meaning; ///< rows, columns, what the figure is
    bool in_nvbandwidth = false;
    std::vector<std::string> rows, columns;
    std::vector<links_cell> cells;

    [[nodiscard]] const links_cell* find(const std::string& row, const std::string& column) const {
        for (const links_cell& each : cells)
            if (each.row == row && each.column == column) return &each;
        return nullptr;
    }
};

struct links_absence {
    std::string metric, cell, why; ///< no cell: the whole metric
};

struct links_report {
    bench_facts facts;
    links_parameters asked;
    std::vector<links_placement> placements;
    std::vector<links_metric> metrics;
    std::vector<links_absence> absent;
    std::vector<std::string> notes, failures;
    double took_s = 0;

    [[nodiscard]] const links_metric* find(const std::string& name) const {
        for (const links_metric& each : metrics)
            if (each.name == name) return &each;
        return nullptr;
    }
    [[nodiscard]] bool verified() const {
        for (const links_metric& metric : metrics)
            for (const links_cell& cell : metric.cells)
                if (!cell.verified) return false;
        return true;
    }
};

/// The window in which all flows run: from the common begin to the end of the first that ends. Copies that are under way then
/// count by their part.
struct common_window {
    double us = 0;
    std::vector<double> gb_s; ///< of every flow within it

    [[nodiscard]] double total() const {
        double sum = 0;
        for (const double each : gb_s) sum += each;
        return sum;
    }
};
[[nodiscard]] inline common_window window_of(const std::vector<std::vector<double>>& done_us, std::uint64_t bytes) {
    common_window found;
    for (const std::vector<double>& each : done_us)
        if (!each.empty() && (found.us <= 0 || each.back() < found.us)) found.us = each.back();
    for (const std::vector<double>& each : done_us) {
        double copies = 0, before = 0;
        for (const double at : each) {
            if (at > found.us) {
                copies += at > before ? (found.us - before) / (at - before) : 0;
                break;
            }
            copies += 1;
            before = at;
        }
        found.gb_s.push_back(barelink::rate_gb_s(copies * static_cast<double>(bytes), found.us));
    }
    return found;
}

/// What `--rows` may name: nvbandwidth's metrics, then what it leaves out.
inline const std::vector<std::string> nvbandwidth_rows = {"host_to_device_memcpy_ce",
                                                          "device_to_host_memcpy_ce",
                                                          "host_to_device_bidirectional_memcpy_ce",
                                                          "device_to_host_bidirectional_memcpy_ce",
                                                          "device_to_device_memcpy_read_ce",
                                                          "device_to_device_memcpy_write_ce",
                                                          "device_to_device_bidirectional_memcpy_read_ce",
                                                          "device_to_device_bidirectional_memcpy_write_ce",
                                                          "host_to_all_memcpy_ce",
                                                          "all_to_host_memcpy_ce",
                                                          "host_to_all_bidirectional_memcpy_ce",
                                                          "all_to_host_bidirectional_memcpy_ce",
                                                          "all_to_one_write_ce",
                                                          "all_to_one_read_ce",
                                                          "one_to_all_write_ce",
                                                          "one_to_all_read_ce",
                                                          "device_local_copy"};
inline const std::vector<std::string> further_rows = {"pageable", "staged",     "numa",
                                                      "sizes",    "concurrent", "multi_path"};

} // namespace tool
