// The costs of scattered blocks that best explain what a benchmark measured: a suggestion for the machine's file.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/machine.hpp>

#include "bench_blocks_result.hpp"

namespace tool {

namespace detail {

/// Rows of known coefficients, and what their sum with the unknowns should be.
template <std::size_t N>
struct observation {
    std::array<double, N> of{};
    double wanted = 0, weight = 1;
};

/// Solves the normal equations by elimination. False where they have no single solution.
template <std::size_t N>
[[nodiscard]] bool solve(std::array<std::array<double, N + 1>, N> rows, const std::array<bool, N>& used,
                         std::array<double, N>& found) {
    for (std::size_t i = 0; i < N; ++i)
        if (!used[i]) {
            rows[i].fill(0);
            for (auto& row : rows) row[i] = 0;
            rows[i][i] = 1;
        }
    for (std::size_t i = 0; i < N; ++i) {
        std::size_t pivot = i;
        for (std::size_t r = i + 1; r < N; ++r)
            if (std::abs(rows[r][i]) > std::abs(rows[pivot][i])) pivot = r;
        if (std::abs(rows[pivot][i]) < 1e-12) return false;
        std::swap(rows[i], rows[pivot]);
        for (std::size_t r = 0; r < N; ++r) {
            if (r == i) continue;
            const double factor = rows[r][i] / rows[i][i];
            for (std::size_t c = i; c <= N; ++c) rows[r][c] -= factor * rows[i][c];
        }
    }
    for (std::size_t i = 0; i < N; ++i) found[i] = rows[i][N] / rows[i][i];
    return true;
}

/// Weighted least squares with no unknown below zero: one that would be is taken for zero, the most negative first. False
/// with fewer observations than unknowns, or too similar ones.
template <std::size_t N>
[[nodiscard]] bool fit_positive(const std::vector<observation<N>>& seen, std::array<double, N>& found) {
    if (seen.size() <= N) return false;
    std::array<double, N> scale{}; // unknowns of very different sizes
    for (const auto& each : seen)
        for (std::size_t i = 0; i < N; ++i) scale[i] = std::max(scale[i], std::abs(each.of[i]) * each.weight);
    for (const double each : scale)
        if (each <= 0) return false;
    std::array<std::array<double, N + 1>, N> rows{};
    for (const auto& each : seen)
        for (std::size_t i = 0; i < N; ++i) {
            const double a = each.weight * each.of[i] / scale[i];
            for (std::size_t j = 0; j < N; ++j) rows[i][j] += a * each.weight * each.of[j] / scale[j];
            rows[i][N] += a * each.weight * each.wanted;
        }
    std::array<bool, N> used;
    used.fill(true);
    for (std::size_t round = 0; round < N; ++round) {
        if (!solve<N>(rows, used, found)) return false;
        const auto least = static_cast<std::size_t>(std::min_element(found.begin(), found.end()) - found.begin());
        if (found[least] >= 0) break;
        used[least] = false;
    }
    for (std::size_t i = 0; i < N; ++i) found[i] = std::max(0.0, found[i]) / scale[i];
    return true;
}

} // namespace detail

/// Fits `batch_us` and `batch_block_us` to the cells of the batch copy, `kernel_us`, `kernel_block_us` and `kernel_link_share` to the
/// kernel's, by relative errors, with the model that `plan_blocks` chooses by; the links' rates are the machine's. Lists of a
/// sample follow one another, so the time that a single small list waits for the GPU is not in it. What was not measured
/// keeps its value and its evidence; empty where nothing was.
[[nodiscard]] inline std::vector<fitted_cost> fit_block_costs(const barelink::machine& m, const blocks_report& report,
                                                              barelink::block_costs& into) {
    std::vector<detail::observation<2>> batch;
    std::vector<detail::observation<3>> kernel;
    double link_gb_s = 0;
    const barelink::node_index gpu = m.gpu(barelink::gpu_id{report.asked.gpu}),
                               host = m.memory(barelink::numa_id{report.asked.numa});
    if (gpu == barelink::no_node || host == barelink::no_node) return {};
    for (const blocks_cell& cell : report.cells) {
        const bool up = cell.direction == "h2d";
        const barelink::dma_path* path = up ? m.path(host, gpu) : m.path(gpu, host);
        if (!path || path->gb_s <= 0) continue;
        const auto count = static_cast<double>(cell.count), bytes = static_cast<double>(cell.all_bytes());
        if (const way_result* way = cell.find("batch"); way && median(way->us) > 0) {
            const double us = median(way->us);
            batch.push_back({{1, count}, us - barelink::transfer_us(bytes, path->gb_s) - path->latency_us, 1 / us});
        }
        if (const way_result* way = cell.find("kernel"); way && median(way->us) > 0) {
            const double us = median(way->us);
            kernel.push_back({{1, count, bytes}, us - m.costs.submit_us - path->latency_us, 1 / us});
            link_gb_s = std::max(link_gb_s, path->gb_s);
        }
    }
    std::vector<fitted_cost> found;
    using barelink::block_cost;
    const auto set = [&](const char* name, double& cost, double value) {
        found.push_back({name, cost, value});
        cost = value;
    };
    const auto mark = [&](std::initializer_list<block_cost> measured) {
        for (const block_cost each : measured) into.measured |= barelink::block_costs::bit(each);
    };
    if (std::array<double, 2> us{}; detail::fit_positive(batch, us)) {
        set("batch_us", into.batch_us, us[0]);
        set("batch_block_us", into.batch_block_us, us[1]);
        mark({block_cost::batch_us, block_cost::batch_block_us});
    }
    if (std::array<double, 3> us{}; detail::fit_positive(kernel, us) && us[2] > 0) {
        const double gb_s = 1e-3 / us[2];
        set("kernel_us", into.kernel_us, us[0]);
        set("kernel_block_us", into.kernel_block_us, us[1]);
        set("kernel_link_share", into.kernel_link_share, std::min(1.0, gb_s / link_gb_s));
        mark({block_cost::kernel_us, block_cost::kernel_block_us, block_cost::kernel_link_share});
        const double each = gb_s / report.asked.multiprocessors; // at least this, or the share could not be reached
        if (each > into.kernel_multiprocessor_gb_s)
            set("kernel_multiprocessor_gb_s", into.kernel_multiprocessor_gb_s, each);
    }
    return found;
}

} // namespace tool
