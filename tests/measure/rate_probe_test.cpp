// Rates of copies that run together, on simulated servers whose links are known.
#include <barelink/measure/rate_probe.hpp>

#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/move/sim_runtime.hpp>

#include "support/catch.hpp"

namespace rate_probe_test {

using namespace barelink;

inline sim::options without_bytes() {
    sim::options chosen;
    chosen.timing_only = true;
    return chosen;
}

struct box {
    explicit box(machine m) : server(std::move(m), without_bytes()) {}
    [[nodiscard]] node_index gpu(int n) const { return server.topology().gpu(gpu_id{n}); }
    [[nodiscard]] node_index host(int n) const { return server.topology().memory(numa_id{n}); }
    [[nodiscard]] double rate(node_index from, node_index to) const { return server.topology().path(from, to)->gb_s; }
    sim::runtime server;
};

} // namespace rate_probe_test

using namespace rate_probe_test;

TEST_CASE("a load alone runs at the rate of its path") {
    box on(builtin::hgx_h100_8());
    rate_probe probe(on.server);
    for (const auto& [from, to] : {std::pair{on.host(0), on.gpu(0)}, {on.gpu(0), on.host(0)}, {on.gpu(0), on.gpu(5)}}) {
        const load_rate seen = probe.measure(copy_load{from, to, 256 * MiB}).value();
        CHECK(seen.gb_s == Approx(on.rate(from, to)).epsilon(0.005));
        CHECK(seen.gb_s == seen.whole_gb_s);
        CHECK(seen.copies == 16);
    }
    CHECK(on.server.races() == 0);
}

TEST_CASE("loads that share a link divide it, and those that do not keep theirs") {
    box on(builtin::hgx_h100_8());
    rate_probe probe(on.server);
    const double link = on.rate(on.host(0), on.gpu(0));
    const std::vector<copy_load> shared{{on.host(0), on.gpu(0), 64 * MiB}, {on.host(1), on.gpu(0), 64 * MiB}};
    auto seen = probe.measure(shared).value();
    CHECK(seen[0].gb_s + seen[1].gb_s == Approx(link).epsilon(0.02));
    const std::vector<copy_load> apart{{on.host(0), on.gpu(0), 64 * MiB}, {on.host(1), on.gpu(7), 64 * MiB}};
    seen = probe.measure(apart).value();
    CHECK(seen[0].gb_s == Approx(link).epsilon(0.01));
    CHECK(seen[1].gb_s == Approx(link).epsilon(0.01));
}

TEST_CASE("a fast load is repeated until the slow one ends") {
    box on(builtin::hgx_h100_8());
    rate_probe probe(on.server);
    const std::vector<copy_load> loads{{on.host(0), on.gpu(0), 64 * MiB, 8}, {on.gpu(1), on.gpu(2), 256 * MiB, 8}};
    const auto seen = probe.measure(loads).value();
    CHECK(seen[0].copies == 8);
    CHECK(seen[1].copies > 10);
    CHECK(seen[0].gb_s == Approx(on.rate(on.host(0), on.gpu(0))).epsilon(0.01));
    CHECK(seen[1].gb_s == Approx(on.rate(on.gpu(1), on.gpu(2))).epsilon(0.01));
    CHECK(seen[1].window_us > 0.7 * seen[0].whole_us);
}

TEST_CASE("loads of which one would end before the others have begun still meet") {
    box on(builtin::l40s_pcie_8());
    rate_probe probe(on.server);
    std::vector<copy_load> loads{{on.gpu(6), on.gpu(0), 32 * MiB, 4}};
    for (int g : {1, 2, 3, 4}) loads.push_back({on.gpu(7), on.gpu(g), 64 * MiB, 4, on.gpu(g)});
    const auto seen = probe.measure(loads).value();
    const double link = on.rate(on.gpu(7), on.gpu(1));
    CHECK(seen[0].gb_s == Approx(on.rate(on.gpu(6), on.gpu(0))).epsilon(0.02));
    for (std::size_t i = 1; i < seen.size(); ++i) {
        CHECK(seen[i].window_us > 0);
        CHECK(seen[i].gb_s == Approx(link / 4).epsilon(0.02));
    }
}

TEST_CASE("the gate holds until all is submitted, also where submitting is slow") {
    machine slow = builtin::hgx_h100_8();
    slow.costs.submit_us = 60;
    box on(slow);
    rate_probe probe(on.server);
    std::vector<copy_load> loads;
    for (int g = 0; g < 8; ++g) loads.push_back({on.host(g / 4), on.gpu(g), 1 * MiB});
    const double link = on.rate(on.host(0), on.gpu(0));
    const auto rates = probe.measure(loads).value();
    REQUIRE(rates.size() == 8);
    for (const load_rate& seen : rates) {
        CHECK(seen.gb_s > 0.9 * link);
        CHECK(seen.window_us > 0);
    }
}

TEST_CASE("memory is kept, bounded and given back") {
    box on(builtin::hgx_h100_8());
    {
        rate_probe_options little;
        little.memory_bytes = 96 * MiB;
        rate_probe probe(on.server, little);
        CHECK(probe.measure(copy_load{on.host(0), on.gpu(0), 32 * MiB}).has_value());
        const std::size_t blocks = on.server.allocations();
        CHECK(probe.measure(copy_load{on.host(0), on.gpu(0), 32 * MiB}).has_value());
        CHECK(on.server.allocations() == blocks);
        CHECK(probe.measure(copy_load{on.host(0), on.gpu(1), 32 * MiB}).has_value());
        CHECK(probe.memory_bytes() <= 96 * MiB);
        CHECK(probe.measure(copy_load{on.host(0), on.gpu(0), 64 * MiB}).error().code() == errc::out_of_memory);
        CHECK(on.server.allocated_bytes(on.gpu(2)) == 0);
    }
    CHECK(on.server.allocations() == 0);
}

TEST_CASE("what cannot be measured is refused, and a failed copy is reported") {
    box on(builtin::hgx_h100_8());
    rate_probe probe(on.server);
    CHECK(probe.measure(std::span<const copy_load>{}).error().code() == errc::invalid_argument);
    CHECK(probe.measure(copy_load{on.host(0), on.host(1), 1 * MiB}).error().code() == errc::invalid_argument);
    CHECK(probe.measure(copy_load{on.host(0), on.gpu(1), 0}).error().code() == errc::invalid_argument);

    sim::faults dying;
    const dma_path* path = on.server.topology().path(on.host(0), on.gpu(0));
    dying.links.push_back({on.server.topology().hops(*path).back(), on.server.now_us() + 2000, 0});
    on.server.inject(dying);
    CHECK(probe.measure(copy_load{on.host(0), on.gpu(0), 64 * MiB}).error().code() == errc::device);
    CHECK(probe.measure(copy_load{on.host(0), on.gpu(1), 64 * MiB}).has_value());
}
