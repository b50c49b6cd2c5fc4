// Shares: routes end together, and one that does not pay for its start-up carries nothing.
#include <cstdint>
#include <vector>

#include <barelink/plan/detail/shares.hpp>

#include <support/catch.hpp>
#include <support/generated_machines.hpp>

using namespace barelink;
using barelink::detail::share;
using barelink::detail::share_solver;

namespace {

share route_of(std::uint8_t legs, double gb_s, std::uint32_t part = 0) {
    share s;
    s.legs = legs;
    s.gb_s = gb_s;
    s.leg_gb_s = gb_s;
    s.latency_us = 0.5 * legs;
    s.part = part;
    return s;
}

demand of(std::uint64_t bytes, std::uint32_t part = 0) {
    demand wanted;
    wanted.from = node_index{0};
    wanted.to = node_index{1 + part};
    wanted.bytes = bytes;
    wanted.part = part;
    return wanted;
}

double end_us(const share& s) {
    return s.overhead_us + transfer_us(s.bytes, s.gb_s);
}

} // namespace

TEST_CASE("Routes that pay end at the same moment and carry everything together") {
    const copy_costs costs;
    const demand wanted[] = {of(GiB)};
    const share_solver solver(wanted, 64 * MiB, costs);
    std::vector<share> shares{route_of(1, 50), route_of(2, 40), route_of(3, 30)};
    const double us = solver.solve(shares);
    double bytes = 0;
    for (const share& s : shares) {
        CHECK(end_us(s) == Approx(us));
        bytes += s.bytes;
    }
    CHECK(bytes == Approx(static_cast<double>(GiB)));
    CHECK(us > transfer_us(static_cast<double>(GiB), 120));
    CHECK(us < transfer_us(static_cast<double>(GiB), 119));
}

TEST_CASE("A route that would start after the end carries nothing") {
    const copy_costs costs;
    const demand wanted[] = {of(64 * KiB)};
    const share_solver solver(wanted, 64 * MiB, costs);
    std::vector<share> shares{route_of(1, 50), route_of(2, 50)};
    const double us = solver.solve(shares);
    CHECK(shares[1].bytes == 0);
    CHECK(shares[0].bytes == Approx(64.0 * 1024));
    CHECK(us == Approx(end_us(shares[0])));
    // And each slow one is left out by itself.
    std::vector<share> four{route_of(1, 50), route_of(2, 50), route_of(2, 1), route_of(3, 1)};
    (void)solver.solve(four);
    double bytes = 0;
    for (const share& s : four) {
        CHECK(s.bytes >= 0);
        bytes += s.bytes;
    }
    CHECK(bytes == Approx(64.0 * 1024));
}

TEST_CASE("Near the sizes where routes begin to pay, none is priced as if it were free") {
    // Submitting alone takes this long: five routes of two legs cannot end before it.
    const copy_costs costs;
    for (std::uint64_t bytes = 64 * KiB; bytes <= 8 * MiB; bytes += 64 * KiB) {
        const demand wanted[] = {of(bytes)};
        const share_solver solver(wanted, 64 * MiB, costs);
        std::vector<share> shares{route_of(1, 50)};
        for (int i = 0; i < 4; ++i) shares.push_back(route_of(2, 50));
        const double us = solver.solve(shares);
        double carried = 0, submitted = 0, rings = 0;
        for (const share& s : shares) rings += s.bytes > 0 && s.legs > 1;
        for (const share& s : shares) {
            carried += s.bytes;
            INFO(bytes << " bytes, route of " << int(s.legs) << " legs with " << s.bytes);
            CHECK(s.bytes >= 0);
            if (s.bytes <= 0 || s.legs < 2) continue;
            // As the thread's pace asks for, with one submission per chunk on each ring.
            CHECK(static_cast<double>(s.cut.chunk_bytes) >= s.gb_s * 1e3 * rings * 2 * costs.submit_us / 2);
            CHECK(s.overhead_us > 4 * costs.submit_us);
            submitted += 2 * costs.submit_us;
        }
        CHECK(carried == Approx(static_cast<double>(bytes)));
        CHECK(us > submitted);
    }
}

TEST_CASE("Over dead links nothing ever ends") {
    const copy_costs costs;
    const demand wanted[] = {of(MiB)};
    const share_solver solver(wanted, 64 * MiB, costs);
    std::vector<share> shares{route_of(1, 0)};
    CHECK(solver.solve(shares) > 1e100);
    std::vector<share> one_alive{route_of(1, 0), route_of(2, 10)};
    CHECK(solver.solve(one_alive) < 1e4);
    CHECK(one_alive[0].bytes == 0);
    CHECK(one_alive[1].bytes == Approx(static_cast<double>(MiB)));
}

TEST_CASE("Demands that run together are timed one by one, and the slowest counts") {
    const copy_costs costs;
    const demand wanted[] = {of(GiB, 0), of(GiB / 4, 1)};
    const share_solver solver(wanted, 64 * MiB, costs);
    std::vector<share> shares{route_of(1, 50, 0), route_of(1, 50, 1)};
    const double us = solver.solve(shares);
    CHECK(us == Approx(end_us(shares[0])));
    CHECK(end_us(shares[1]) < us / 3);
    CHECK(shares[0].bytes == Approx(static_cast<double>(GiB)));
    CHECK(shares[1].bytes == Approx(static_cast<double>(GiB) / 4));
}
