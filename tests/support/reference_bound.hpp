// A second opinion on plan::bound_gb_s that shares nothing with the planner but the machine: its own routes (all of them,
// none left out), its own program (a row per link direction, none merged), its own solver (an interior point method
// where the planner has a simplex), and its own proof: what it returns is a rate that a feasible assignment reaches and
// a rate that prices on the links forbid to exceed. If the two agree, no solver needs to be trusted.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include <barelink/plan/request.hpp>

namespace reference {

/// The optimum lies between the two, GB/s. Both zero when nothing joins the ends.
struct bracket {
    double reached = 0; ///< by rates that break no capacity
    double proved = 0;  ///< by prices: no rates are faster
};

/// maximise t  subject to  sum of x over routes of part p >= share_p * t,  sum of x over routes on a slot <= capacity.
struct flow_program {
    std::vector<double> capacity; ///< per row
    std::vector<double> share;    ///< per part, adding up to 1
    struct use {                  ///< a row, and how much of it each byte takes
        std::size_t row;
        double amount;
        use(std::size_t r, double a = 1) : row(r), amount(a) {}
    };
    std::vector<std::vector<use>> routes; ///< rows that a route fills, one entry for each time it fills it
    std::vector<std::size_t> part;        ///< of a route
};

/// What rates `x` reach once they are scaled into the capacities.
[[nodiscard]] inline double reached_by(const flow_program& p, std::vector<double> x) {
    std::vector<double> load(p.capacity.size(), 0), rate(p.share.size(), 0);
    for (std::size_t r = 0; r < x.size(); ++r) {
        x[r] = std::max(x[r], 0.0);
        rate[p.part[r]] += x[r];
        for (const auto& [row, amount] : p.routes[r]) load[row] += amount * x[r];
    }
    double worst = 0;
    for (std::size_t row = 0; row < load.size(); ++row) worst = std::max(worst, load[row] / p.capacity[row]);
    double slowest = 1e300;
    for (std::size_t d = 0; d < rate.size(); ++d) slowest = std::min(slowest, rate[d] / p.share[d]);
    return worst > 0 ? slowest / worst : 0;
}

/// What prices `y` on the rows prove: every GB/s of part p costs at least the price of its cheapest route.
[[nodiscard]] inline double proved_by(const flow_program& p, std::vector<double> y) {
    double worth = 0;
    for (std::size_t row = 0; row < y.size(); ++row) worth += (y[row] = std::max(y[row], 0.0)) * p.capacity[row];
    std::vector<double> cheapest(p.share.size(), 1e300);
    for (std::size_t r = 0; r < p.routes.size(); ++r) {
        double price = 0;
        for (const auto& [row, amount] : p.routes[r]) price += amount * y[row];
        cheapest[p.part[r]] = std::min(cheapest[p.part[r]], price);
    }
    double cost = 0;
    for (std::size_t d = 0; d < cheapest.size(); ++d) cost += p.share[d] * cheapest[d];
    return cost > 0 ? worth / cost : 1e300;
}

/// Solves A z = b for a symmetric positive matrix, in place, by Cholesky; rows with no pivot left are dropped.
class cholesky {
public:
    explicit cholesky(std::size_t size) : n_(size), a_(size * size, 0) {}
    double& at(std::size_t i, std::size_t j) { return a_[i * n_ + j]; }
    void clear() { std::fill(a_.begin(), a_.end(), 0.0); }
    void factor() {
        for (std::size_t j = 0; j < n_; ++j) {
            double* row_j = &a_[j * n_];
            double pivot = row_j[j];
            for (std::size_t k = 0; k < j; ++k) pivot -= row_j[k] * row_j[k];
            row_j[j] = pivot > 1e-30 ? std::sqrt(pivot) : 1e64;
            for (std::size_t i = j + 1; i < n_; ++i) {
                double* row_i = &a_[i * n_];
                double sum = row_i[j];
                for (std::size_t k = 0; k < j; ++k) sum -= row_i[k] * row_j[k];
                row_i[j] = sum / row_j[j];
            }
        }
    }
    void solve(std::vector<double>& b) const {
        for (std::size_t i = 0; i < n_; ++i) {
            for (std::size_t k = 0; k < i; ++k) b[i] -= a_[i * n_ + k] * b[k];
            b[i] /= a_[i * n_ + i];
        }
        for (std::size_t i = n_; i-- > 0;) {
            for (std::size_t k = i + 1; k < n_; ++k) b[i] -= a_[k * n_ + i] * b[k];
            b[i] /= a_[i * n_ + i];
        }
    }

private:
    std::size_t n_;
    std::vector<double> a_;
};

/// Mehrotra's predictor-corrector method (Mehrotra, SIAM J. Optimization 2, 1992) on  min c z, A z = b, z >= 0  with
/// z = (route rates, t, a slack per row). Stops when its own bracket is tight.
[[nodiscard]] inline bracket solve(const flow_program& p) {
    const std::size_t routes = p.routes.size(), wires = p.capacity.size(), parts = p.share.size();
    const std::size_t rows = wires + parts, columns = routes + 1 + rows, t = routes;
    bracket found{0, 1e300};
    double scale = 0;
    for (const double gb_s : p.capacity) scale = std::max(scale, gb_s);

    std::vector<std::vector<std::pair<std::size_t, double>>> column(columns);
    for (std::size_t r = 0; r < routes; ++r) {
        std::map<std::size_t, double> entries;
        for (const auto& [row, amount] : p.routes[r]) entries[row] += amount;
        entries[wires + p.part[r]] -= 1;
        column[r].assign(entries.begin(), entries.end());
    }
    for (std::size_t d = 0; d < parts; ++d) column[t].emplace_back(wires + d, p.share[d]);
    for (std::size_t row = 0; row < rows; ++row) column[t + 1 + row].emplace_back(row, 1.0);
    std::vector<double> b(rows, 0), c(columns, 0);
    for (std::size_t row = 0; row < wires; ++row) b[row] = p.capacity[row] / scale;
    c[t] = -1;

    std::vector<double> z(columns, 1), s(columns, 1), y(rows, 0), dz(columns), ds(columns), dy(rows);
    std::vector<double> primal(rows), dual(columns), centre(columns);
    cholesky normal(rows);
    const auto transposed = [&](const std::vector<double>& prices, std::size_t j) {
        double sum = 0;
        for (const auto& [row, a] : column[j]) sum += a * prices[row];
        return sum;
    };
    const auto direction = [&] {
        std::vector<double> right = primal;
        for (std::size_t j = 0; j < columns; ++j)
            for (const auto& [row, a] : column[j]) right[row] += a * (z[j] * dual[j] - centre[j]) / s[j];
        normal.solve(right);
        dy = right;
        for (std::size_t j = 0; j < columns; ++j) {
            ds[j] = dual[j] - transposed(dy, j);
            dz[j] = (centre[j] - z[j] * ds[j]) / s[j];
        }
    };
    const auto longest = [&](const std::vector<double>& at, const std::vector<double>& step) {
        double most = 1;
        for (std::size_t j = 0; j < columns; ++j)
            if (step[j] < 0) most = std::min(most, -at[j] / step[j]);
        return most;
    };
    for (int round = 0; round < 80; ++round) {
        found.reached =
            std::max(found.reached,
                     reached_by(p, std::vector<double>(z.begin(), z.begin() + static_cast<std::ptrdiff_t>(routes))));
        std::vector<double> prices(wires);
        for (std::size_t row = 0; row < wires; ++row) prices[row] = -y[row];
        found.proved = std::min(found.proved, proved_by(p, prices));
        if (found.proved <= found.reached * (1 + 1e-8)) break;

        primal = b;
        for (std::size_t j = 0; j < columns; ++j)
            for (const auto& [row, a] : column[j]) primal[row] -= a * z[j];
        for (std::size_t j = 0; j < columns; ++j) dual[j] = c[j] - transposed(y, j) - s[j];
        normal.clear();
        for (std::size_t j = 0; j < columns; ++j)
            for (const auto& [row, a] : column[j])
                for (const auto& [other, e] : column[j])
                    if (other <= row) normal.at(row, other) += a * e * z[j] / s[j];
        normal.factor();

        double gap = 0;
        for (std::size_t j = 0; j < columns; ++j) gap += z[j] * s[j];
        gap /= static_cast<double>(columns);
        for (std::size_t j = 0; j < columns; ++j) centre[j] = -z[j] * s[j];
        direction();
        const double step_z = longest(z, dz), step_s = longest(s, ds);
        double ahead = 0;
        for (std::size_t j = 0; j < columns; ++j) ahead += (z[j] + step_z * dz[j]) * (s[j] + step_s * ds[j]);
        ahead /= static_cast<double>(columns);
        const double sigma = std::pow(ahead / gap, 3);
        for (std::size_t j = 0; j < columns; ++j) centre[j] = sigma * gap - z[j] * s[j] - dz[j] * ds[j];
        direction();
        const double move_z = std::min(1.0, 0.995 * longest(z, dz)), move_s = std::min(1.0, 0.995 * longest(s, ds));
        for (std::size_t j = 0; j < columns; ++j) {
            z[j] += move_z * dz[j];
            s[j] += move_s * ds[j];
        }
        for (std::size_t row = 0; row < rows; ++row) y[row] += move_s * dy[row];
    }
    return found;
}

/// Every simple way from `from` to `to` over at most two memories in between, as the request allows them.
[[nodiscard]] inline std::vector<std::vector<barelink::node_index>>
all_ways(const barelink::machine& m, barelink::node_index from, barelink::node_index to, const barelink::request& r) {
    using namespace barelink;
    std::vector<node_index> rests;
    for (std::uint32_t n = 0; n < m.nodes.size(); ++n) {
        const node& each = m.nodes[n];
        if (node_index{n} == from || node_index{n} == to) continue;
        if (each.kind == node_kind::memory && r.stage_in_host) rests.push_back(node_index{n});
        if (each.kind == node_kind::gpu && each.cuda && r.relays.contains(gpu_id{each.index}))
            rests.push_back(node_index{n});
    }
    const auto joined = [&](node_index a, node_index b) {
        const dma_path* path = m.path(a, b);
        return path && path->usable(r.trust_unproved);
    };
    std::vector<std::vector<node_index>> ways;
    if (joined(from, to)) ways.push_back({from, to});
    for (const node_index one : rests) {
        if (!joined(from, one)) continue;
        if (joined(one, to)) ways.push_back({from, one, to});
        for (const node_index two : rests)
            if (two != one && joined(one, two) && joined(two, to)) ways.push_back({from, one, two, to});
    }
    return ways;
}

/// Calls `visit(link direction, bytes)` for what each byte of a copy takes. What goes one way takes from the other: DRAM is one
/// bus, unless its end of the copy is a ring, which stays in the CPU's cache; links say it themselves.
template <class Visit>
void each_use(const barelink::machine& m, const barelink::dma_path& path, bool from_ring, bool to_ring, Visit visit) {
    using namespace barelink;
    const bool peers = m.at(path.from).kind == node_kind::gpu && m.at(path.to).kind == node_kind::gpu;
    for (const link_direction hop : m.hops(path)) {
        visit(hop, 1.0);
        const barelink::link& over = m.at(hop.link);
        const link_direction back{hop.link, !hop.reverse};
        double lost = hop.reverse ? over.lost_ab : over.lost_ba;
        if (over.kind == link_kind::pcie && peers) lost = 0;
        const bool ring = m.at(path.from).kind == node_kind::memory ? from_ring : to_ring;
        if (over.kind == link_kind::dram) lost = !ring && m.gb_s(hop) > 0 ? m.gb_s(back) / m.gb_s(hop) : 0;
        if (lost > 0 && m.gb_s(back) > 0) visit(back, lost);
    }
}

/// The program of requests between pinned host memory and GPUs that run together: parts by bytes, `host:all` spread
/// evenly.
[[nodiscard]] inline flow_program program_of(const barelink::machine& m,
                                             const std::vector<barelink::request>& requests) {
    using namespace barelink;
    const auto memories = [&](endpoint e) -> std::vector<node_index> {
        if (e.where == endpoint::place::striped_host) return m.all(node_kind::memory);
        if (e.where == endpoint::place::gpu) return {m.gpu(gpu_id{e.index})};
        return {m.memory(numa_id{e.index})};
    };
    flow_program p;
    std::map<std::uint32_t, std::size_t> row_of;
    double total = 0;
    for (const request& r : requests) total += static_cast<double>(r.bytes);
    for (const request& r : requests) {
        const auto from = memories(r.from), to = memories(r.to);
        for (const node_index a : from)
            for (const node_index z : to) {
                const std::size_t part = p.share.size();
                p.share.push_back(static_cast<double>(r.bytes) / total / static_cast<double>(from.size() * to.size()));
                for (const auto& stops : all_ways(m, a, z, r)) {
                    std::vector<flow_program::use> filled;
                    bool dead = false;
                    const auto fill = [&](link_direction hop, double amount) {
                        const auto [at, fresh] = row_of.emplace(hop.slot(), p.capacity.size());
                        if (fresh) p.capacity.push_back(m.gb_s(hop));
                        filled.emplace_back(at->second, amount);
                    };
                    for (std::size_t i = 0; i + 1 < stops.size(); ++i) {
                        const dma_path& leg = *m.path(stops[i], stops[i + 1]);
                        for (const link_direction hop : m.hops(leg)) dead |= m.gb_s(hop) <= 0;
                        each_use(m, leg, i > 0, i + 2 < stops.size(), fill);
                    }
                    if (dead) continue; // carries nothing
                    p.routes.push_back(std::move(filled));
                    p.part.push_back(part);
                }
            }
    }
    for (double& gb_s : p.capacity) gb_s = std::max(gb_s, 1e-9); // rows that only dead routes named
    return p;
}

/// The best rate of requests that run together and end together, GB/s.
[[nodiscard]] inline bracket bound_gb_s(const barelink::machine& m, const std::vector<barelink::request>& requests) {
    const flow_program p = program_of(m, requests);
    std::vector<bool> served(p.share.size(), false);
    for (const std::size_t part : p.part) served[part] = true;
    for (const bool one : served)
        if (!one) return {};
    return solve(p);
}
[[nodiscard]] inline bracket bound_gb_s(const barelink::machine& m, const barelink::request& r) {
    return bound_gb_s(m, std::vector<barelink::request>{r});
}

} // namespace reference
