// The linear program solver: solved by hand, by brute force, and by its own certificate.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <barelink/plan/detail/packing_lp.hpp>

#include <support/catch.hpp>
#include <support/generated_machines.hpp>

using barelink::detail::packing_lp;

namespace {

/// maximise profit x subject to rows x <= capacity; dense, as a person writes it.
struct program {
    std::vector<double> profit;
    std::vector<std::vector<double>> rows;
    std::vector<double> capacity;
};

packing_lp solver_of(const program& p) {
    packing_lp lp(p.capacity);
    for (std::size_t j = 0; j < p.profit.size(); ++j) {
        lp.begin_column(p.profit[j]);
        for (std::size_t i = 0; i < p.rows.size(); ++i)
            if (p.rows[i][j] != 0) lp.entry(static_cast<std::uint32_t>(i), p.rows[i][j]);
    }
    return lp;
}

/// Solves a square system by elimination; false when it is singular.
bool solve_square(std::vector<std::vector<double>> a, std::vector<double> b, std::vector<double>& x) {
    const std::size_t n = b.size();
    for (std::size_t k = 0; k < n; ++k) {
        std::size_t best = k;
        for (std::size_t i = k + 1; i < n; ++i)
            if (std::abs(a[i][k]) > std::abs(a[best][k])) best = i;
        if (std::abs(a[best][k]) < 1e-9) return false;
        std::swap(a[k], a[best]);
        std::swap(b[k], b[best]);
        for (std::size_t i = 0; i < n; ++i) {
            if (i == k) continue;
            const double factor = a[i][k] / a[k][k];
            for (std::size_t j = k; j < n; ++j) a[i][j] -= factor * a[k][j];
            b[i] -= factor * b[k];
        }
    }
    x.resize(n);
    for (std::size_t k = 0; k < n; ++k) x[k] = b[k] / a[k][k];
    return true;
}

/// The best of all vertices: every choice of as many of the constraints (rows and signs) as there are variables.
double best_vertex(const program& p) {
    const std::size_t n = p.profit.size(), m = p.rows.size();
    double best = 0; // the origin
    for (std::uint32_t mask = 0; mask < (1u << (n + m)); ++mask) {
        if (static_cast<std::size_t>(__builtin_popcount(mask)) != n) continue;
        std::vector<std::vector<double>> a;
        std::vector<double> b, x;
        for (std::size_t c = 0; c < n + m; ++c) {
            if (!(mask & (1u << c))) continue;
            std::vector<double> row(n, 0);
            if (c < n)
                row[c] = 1;
            else
                row = p.rows[c - n];
            a.push_back(row);
            b.push_back(c < n ? 0 : p.capacity[c - n]);
        }
        if (!solve_square(a, b, x)) continue;
        bool feasible = true;
        for (const double each : x) feasible &= each >= -1e-7;
        for (std::size_t i = 0; i < m && feasible; ++i) {
            double sum = 0;
            for (std::size_t j = 0; j < n; ++j) sum += p.rows[i][j] * x[j];
            feasible &= sum <= p.capacity[i] + 1e-7;
        }
        if (!feasible) continue;
        double value = 0;
        for (std::size_t j = 0; j < n; ++j) value += p.profit[j] * x[j];
        if (value > best) best = value;
    }
    return best;
}

/// Feasible on both sides, equal objectives, complementary slackness: together they prove an optimum.
void check_certificate(const program& p, const packing_lp& lp) {
    double scale = 1;
    for (const double each : p.capacity) scale = std::max(scale, each);
    const double near = 1e-6 * scale;
    double primal = 0, dual = 0;
    for (std::size_t j = 0; j < p.profit.size(); ++j) {
        REQUIRE(lp.value(j) >= -near);
        primal += p.profit[j] * lp.value(j);
        double price = 0;
        for (std::size_t i = 0; i < p.rows.size(); ++i) price += p.rows[i][j] * lp.dual(i);
        REQUIRE(price >= p.profit[j] - 1e-6);
        if (lp.value(j) > near) REQUIRE(price == Approx(p.profit[j]).margin(1e-6));
    }
    for (std::size_t i = 0; i < p.rows.size(); ++i) {
        REQUIRE(lp.dual(i) >= -1e-6);
        double used = 0;
        for (std::size_t j = 0; j < p.profit.size(); ++j) used += p.rows[i][j] * lp.value(j);
        REQUIRE(used <= p.capacity[i] + near);
        if (lp.dual(i) > 1e-6) REQUIRE(used == Approx(p.capacity[i]).margin(near));
        dual += lp.dual(i) * p.capacity[i];
    }
    REQUIRE(primal == Approx(lp.objective()).margin(near));
    REQUIRE(dual == Approx(lp.objective()).margin(near));
}

} // namespace

TEST_CASE("A textbook program has its optimum and its prices") {
    // Dantzig's paint shop in many books: max 3x + 5y; x <= 4, 2y <= 12, 3x + 2y <= 18. Optimum 36 at (2, 6).
    const program p{{3, 5}, {{1, 0}, {0, 2}, {3, 2}}, {4, 12, 18}};
    packing_lp lp = solver_of(p);
    REQUIRE(lp.solve());
    CHECK(lp.objective() == Approx(36));
    CHECK(lp.value(0) == Approx(2));
    CHECK(lp.value(1) == Approx(6));
    CHECK(lp.dual(0) == Approx(0).margin(1e-12));
    CHECK(lp.dual(1) == Approx(1.5));
    CHECK(lp.dual(2) == Approx(1));
    check_certificate(p, lp);
}

TEST_CASE("Programs that make careless simplex methods cycle come to an end") {
    // Beale, Naval Research Logistics 2 (1955), with the unit row: optimum 1/20.
    const program beale{{0.75, -150, 0.02, -6}, {{0.25, -60, -0.04, 9}, {0.5, -90, -0.02, 3}, {0, 0, 1, 0}}, {0, 0, 1}};
    packing_lp one = solver_of(beale);
    REQUIRE(one.solve());
    CHECK(one.objective() == Approx(0.05));
    check_certificate(beale, one);
    // Chvatal, Linear Programming (1983), page 31: optimum 1.
    const program chvatal{{10, -57, -9, -24}, {{0.5, -5.5, -2.5, 9}, {0.5, -1.5, -0.5, 1}, {1, 0, 0, 0}}, {0, 0, 1}};
    packing_lp two = solver_of(chvatal);
    REQUIRE(two.solve());
    CHECK(two.objective() == Approx(1));
    check_certificate(chvatal, two);
    // Kuhn's example with a bound on what grows: optimum 2.
    const program kuhn{{2, 3, -1, -12}, {{-2, -9, 1, 9}, {1.0 / 3, 1, -1.0 / 3, -2}, {2, 3, -1, -12}}, {0, 0, 2}};
    packing_lp three = solver_of(kuhn);
    REQUIRE(three.solve());
    CHECK(three.objective() == Approx(2));
    check_certificate(kuhn, three);
}

TEST_CASE("Klee and Minty's cube has its far corner as optimum") {
    constexpr std::size_t n = 8;
    program p;
    for (std::size_t i = 0; i < n; ++i) {
        p.profit.push_back(std::pow(10.0, static_cast<double>(n - 1 - i)));
        std::vector<double> row(n, 0);
        for (std::size_t j = 0; j < i; ++j) row[j] = 2 * std::pow(10.0, static_cast<double>(i - j));
        row[i] = 1;
        p.rows.push_back(row);
        p.capacity.push_back(std::pow(100.0, static_cast<double>(i)));
    }
    packing_lp lp = solver_of(p);
    REQUIRE(lp.solve());
    CHECK(lp.objective() == Approx(std::pow(100.0, static_cast<double>(n - 1))));
}

TEST_CASE("Degenerate and empty programs are programs, too") {
    SECTION("no columns") {
        packing_lp lp(std::vector<double>{1, 2});
        REQUIRE(lp.solve());
        CHECK(lp.objective() == 0);
        CHECK(lp.dual(0) == 0);
    }
    SECTION("a row that no column uses is worth nothing") {
        const program p{{1}, {{1}, {0}}, {5, 0}};
        packing_lp lp = solver_of(p);
        REQUIRE(lp.solve());
        CHECK(lp.objective() == Approx(5));
        CHECK(lp.dual(1) == 0);
        check_certificate(p, lp);
    }
    SECTION("no capacity, nothing to carry") {
        const program p{{1, 1}, {{1, 0}, {0, 1}}, {0, 3}};
        packing_lp lp = solver_of(p);
        REQUIRE(lp.solve());
        CHECK(lp.objective() == Approx(3));
        CHECK(lp.value(0) == Approx(0).margin(1e-12));
        check_certificate(p, lp);
    }
    SECTION("many rows say the same") {
        const program p{{1, 1}, {{1, 1}, {1, 1}, {2, 2}, {1, 1}}, {4, 4, 8, 4}};
        packing_lp lp = solver_of(p);
        REQUIRE(lp.solve());
        CHECK(lp.objective() == Approx(4));
        check_certificate(p, lp);
    }
    SECTION("profits at and below zero are not taken") {
        const program p{{0, -1, 2}, {{1, 1, 1}}, {3}};
        packing_lp lp = solver_of(p);
        REQUIRE(lp.solve());
        CHECK(lp.objective() == Approx(6));
        CHECK(lp.value(1) == 0);
    }
    SECTION("solving twice gives the same") {
        packing_lp lp = solver_of({{3, 5}, {{1, 0}, {0, 2}, {3, 2}}, {4, 12, 18}});
        REQUIRE(lp.solve());
        REQUIRE(lp.solve());
        CHECK(lp.objective() == Approx(36));
    }
}

TEST_CASE("What nothing holds back is said to be unbounded") {
    packing_lp free(std::vector<double>{1});
    free.begin_column(1); // no entry at all
    CHECK_FALSE(free.solve());
    packing_lp growing = solver_of({{1, 1}, {{1, -1}}, {1}});
    CHECK_FALSE(growing.solve());
}

TEST_CASE("Entries of one row add up, however they are given") {
    packing_lp lp(std::vector<double>{6, 100});
    lp.begin_column(1);
    lp.entry(0, 1);
    lp.entry(1, 1);
    lp.entry(0, 1);
    lp.entry(0, 1);
    lp.begin_column(0.1);
    lp.entry(0, 1);
    REQUIRE(lp.solve());
    CHECK(lp.value(0) == Approx(2));
    CHECK(lp.dual(0) == Approx(1.0 / 3));
    CHECK(lp.objective() == Approx(2));
}

TEST_CASE("Small random programs have the value of their best vertex") {
    generated::random_source random(42);
    for (int round = 0; round < 400; ++round) {
        const int n = random.between(1, 4), m = random.between(1, 6);
        program p;
        for (int j = 0; j < n; ++j) p.profit.push_back(random.between(-2, 9));
        for (int i = 0; i < m; ++i) {
            std::vector<double> row;
            for (int j = 0; j < n; ++j) row.push_back(random.chance(40) ? 0 : random.between(-2, 7));
            p.rows.push_back(row);
            p.capacity.push_back(random.chance(25) ? 0 : random.between(1, 20));
        }
        p.rows.emplace_back(n, 1.0); // keeps it bounded
        p.capacity.push_back(random.between(1, 30));
        packing_lp lp = solver_of(p);
        INFO("round " << round);
        REQUIRE(lp.solve());
        REQUIRE(lp.objective() == Approx(best_vertex(p)).margin(1e-6));
        check_certificate(p, lp);
    }
}

TEST_CASE("Large random programs of the planner's kind carry their certificate") {
    generated::random_source random(43);
    for (int round = 0; round < 60; ++round) {
        const int n = random.between(20, 300), m = random.between(5, 60);
        program p;
        // Routes over some rows each, once or twice, on links of a few different widths: much degeneracy.
        const double widths[] = {12.4, 25.7, 55.3, 100, 395};
        for (int i = 0; i < m; ++i) {
            p.capacity.push_back(random.chance(3) ? 0 : widths[random.between(0, 4)]);
            p.rows.emplace_back(n, 0.0);
        }
        for (int j = 0; j < n; ++j) {
            p.profit.push_back(random.chance(80) ? 1 - 1e-6 * random.between(1, 12) : random.between(1, 3));
            for (int used = random.between(1, 6); used > 0; --used)
                p.rows[static_cast<std::size_t>(random.between(0, m - 1))][static_cast<std::size_t>(j)] += 1;
        }
        packing_lp lp = solver_of(p);
        INFO("round " << round << ": " << n << " columns, " << m << " rows");
        REQUIRE(lp.solve());
        check_certificate(p, lp);
        CHECK(lp.iterations() < 3u * static_cast<unsigned>(n + m));
    }
}

TEST_CASE("The max-min form, with its rows of zero capacity, carries its certificate") {
    generated::random_source random(44);
    for (int round = 0; round < 60; ++round) {
        const std::size_t parts = static_cast<std::size_t>(random.between(2, 8));
        const std::size_t links = static_cast<std::size_t>(random.between(3, 20));
        const std::size_t routes = parts * static_cast<std::size_t>(random.between(1, 12));
        program p;
        p.rows.assign(links + parts, std::vector<double>(routes + 1, 0.0));
        for (std::size_t i = 0; i < links; ++i) p.capacity.push_back(random.near(50));
        p.capacity.resize(links + parts, 0.0);
        for (std::size_t r = 0; r < routes; ++r) {
            p.profit.push_back(-1e-6);
            for (int used = random.between(1, 4); used > 0; --used) p.rows[random.next() % links][r] += 1;
            p.rows[links + r % parts][r] = -1;
        }
        p.profit.push_back(1);
        for (std::size_t d = 0; d < parts; ++d) p.rows[links + d][routes] = 1.0 / static_cast<double>(parts);
        packing_lp lp = solver_of(p);
        INFO("round " << round);
        REQUIRE(lp.solve());
        check_certificate(p, lp);
    }
}
