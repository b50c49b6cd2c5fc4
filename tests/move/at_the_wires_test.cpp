// Every pair of places on every built-in machine: planned and simulated at what the wires allow, and with real bytes.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/generated_machines.hpp>
#include <support/ordering_runtime.hpp>
#include <support/simulated_box.hpp>

using namespace barelink;

namespace {

/// GB/s of every link direction over a trace's time; the largest share of its rate that any carries.
double busiest_link(const machine& m, const copy_trace& trace, double us) {
    std::vector<double> bytes(2 * m.links.size(), 0);
    for (const copy_record& copy : trace)
        if (const dma_path* path = m.path(copy.from, copy.to))
            for (const link_direction hop : m.hops(*path)) bytes[hop.slot()] += static_cast<double>(copy.bytes);
    double most = 0;
    for (std::uint32_t slot = 0; slot < bytes.size(); ++slot)
        most = std::max(most, rate_gb_s(bytes[slot], us) / m.gb_s(link_direction::from_slot(slot)));
    return most;
}

} // namespace

TEST_CASE("A gigabyte between any two places of any built-in machine moves at the rate of the wires") {
    std::size_t walked = 0;
    double least_predicted = 2, least_simulated = 2, furthest = 0;
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        for (const auto& [from, to] : places::pairs(m)) {
            sim::runtime on(m, {.timing_only = true, .trace = true});
            mover<sim::runtime> moves(on, {.relays = gpu_set::all()});
            void* const src = simulated::allocate(on, from, GiB).value();
            void* const dst = simulated::allocate(on, to, GiB).value();
            const auto stream = on.make_stream(simulated::gpu_of(m, from, to)).value();
            auto started = moves.copy(dst, src, GiB, stream);
            INFO(m.name << ": " << to_string(from) << " -> " << to_string(to));
            REQUIRE(started);
            REQUIRE(started->wait());
            const plan& p = **moves.plan_for(*moves.resolve(dst, GiB), *moves.resolve(src, GiB));
            const double us = *started->elapsed_us();
            const double predicted = p.predicted_gb_s() / p.bound_gb_s;
            const double simulated = rate_gb_s(static_cast<double>(GiB), us) / p.bound_gb_s;
            const double off = std::abs(p.predicted_us / us - 1);
            if (predicted < 0.97) FAIL_CHECK("predicted at " << predicted << " of the bound");
            if (simulated < 0.95) FAIL_CHECK("simulated at " << simulated << " of the bound");
            if (simulated > 1) FAIL_CHECK("simulated faster than the bound: " << simulated);
            if (off > 0.06) FAIL_CHECK("predicted " << p.predicted_us << " us, simulated " << us);
            if (on.races() != 0) FAIL_CHECK(on.races() << " races");
            if (const double most = busiest_link(m, on.trace(), us); most > 1)
                FAIL_CHECK("a link carries " << most << " of its rate");
            if (!started->fallbacks().empty()) FAIL_CHECK(started->fallbacks().front());
            least_predicted = std::min(least_predicted, predicted);
            least_simulated = std::min(least_simulated, simulated);
            furthest = std::max(furthest, off);
            ++walked;
        }
    }
    CHECK(walked == 1332);
    INFO("least predicted " << least_predicted << ", least simulated " << least_simulated << ", furthest " << furthest);
    CHECK(least_predicted >= 0.97);
    CHECK(least_simulated >= 0.95);
}

TEST_CASE("Without relays nothing is faster than the bound and predictions hold") {
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        for (const auto& [from, to] : places::pairs(m)) {
            sim::runtime on(m, {.timing_only = true});
            mover<sim::runtime> moves(on);
            void* const src = simulated::allocate(on, from, GiB).value();
            void* const dst = simulated::allocate(on, to, GiB).value();
            auto started = moves.copy(dst, src, GiB, on.make_stream(simulated::gpu_of(m, from, to)).value());
            INFO(m.name << ": " << to_string(from) << " -> " << to_string(to));
            REQUIRE(started);
            REQUIRE(started->wait());
            const plan& p = **moves.plan_for(*moves.resolve(dst, GiB), *moves.resolve(src, GiB));
            const double us = *started->elapsed_us();
            const double simulated = rate_gb_s(static_cast<double>(GiB), us) / p.bound_gb_s;
            // Striped memory without relays leaves one copy engine to serve paths of different rates in turn, which the
            // bound of the wires does not know.
            const bool striped = from == endpoint::host_all() || to == endpoint::host_all();
            const bool one_engine = striped && m.name == "gb200-4";
            if (!one_engine && p.predicted_gb_s() < 0.97 * p.bound_gb_s)
                FAIL_CHECK("predicted at " << p.predicted_gb_s() / p.bound_gb_s << " of the bound");
            if ((!one_engine && simulated < 0.95) || simulated > 1)
                FAIL_CHECK("simulated at " << simulated << " of the bound");
            if (std::abs(p.predicted_us / us - 1) > 0.06)
                FAIL_CHECK("predicted " << p.predicted_us << " us, simulated " << us);
            if (on.races() != 0) FAIL_CHECK(on.races() << " races");
        }
    }
}

TEST_CASE("What the planner adds to the direct path never costs, at any size") {
    using direct = planner<pinned_path, peer_path>;
    std::size_t compared = 0, faster = 0;
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        // Nodes and GPUs at both ends of the machine stand for the others.
        std::vector<endpoint> ends;
        const auto all = places::all(m);
        for (const endpoint e : all)
            if (e.where != endpoint::place::striped_host && (e.index < 4 || e == all.back())) ends.push_back(e);
        for (const endpoint from : ends)
            for (const endpoint to : ends) {
                if (from == to || (from.on_host() && to.on_host())) continue;
                for (std::uint64_t bytes = 128 * KiB; bytes <= 64 * MiB; bytes *= 2) {
                    sim::runtime on(m, {.timing_only = true});
                    mover<sim::runtime> moves(on, {.relays = gpu_set::all()});
                    mover<sim::runtime, direct> plainly(on, {.stage_in_host = false});
                    void* const src = simulated::allocate(on, from, bytes).value();
                    void* const dst = simulated::allocate(on, to, bytes).value();
                    const auto stream = on.make_stream(simulated::gpu_of(m, from, to)).value();
                    const auto plain = plainly.copy(dst, src, bytes, stream);
                    if (!plain) continue;
                    REQUIRE(plain->wait());
                    const auto planned = moves.copy(dst, src, bytes, stream);
                    REQUIRE(planned);
                    REQUIRE(planned->wait());
                    const double us = *planned->elapsed_us(), plain_us = *plain->elapsed_us();
                    ++compared;
                    faster += us < plain_us * 0.95;
                    if (us > plain_us * 1.05)
                        FAIL_CHECK(m.name << ": " << to_string(from) << " -> " << to_string(to) << ", " << bytes
                                          << " bytes: " << us << " us, direct " << plain_us);
                }
            }
    }
    CHECK(compared > 3000);
    CHECK(faster > 500);
}

TEST_CASE("On random machines plans run in order and deliver") {
    std::size_t verified = 0;
    for (std::uint64_t seed = 1; seed <= 150; ++seed) {
        const machine m = generated::random_machine(seed);
        generated::random_source random(seed);
        const auto pairs = places::pairs(m);
        if (pairs.empty()) continue;
        const auto& [from, to] = pairs[random.next() % pairs.size()];
        const std::uint64_t bytes = 1 + random.next() % (3 * MiB);
        sim::runtime server(m);
        ordering_runtime<sim::runtime> on(server);
        const simulated::buffer src(server, from, bytes, random.next() % 5000, 256 * KiB);
        const simulated::buffer dst(server, to, bytes, random.next() % 5000, 256 * KiB);
        src.fill(seed);
        {
            mover<ordering_runtime<sim::runtime>> moves(
                on, {.relays = gpu_set::all(), .scratch_bytes = std::uint64_t{1} << random.between(17, 24)});
            const auto gpus = m.all(node_kind::gpu);
            const auto stream = server.make_stream(gpus[random.next() % gpus.size()]).value();
            const auto started = moves.copy(dst.data(), src.data(), bytes, stream);
            INFO("seed " << seed << ": " << to_string(from) << " -> " << to_string(to) << ", " << bytes);
            if (!started) {
                CHECK(started.error().code() == errc::unsupported);
                continue;
            }
            REQUIRE(started->wait());
            on.thread_reads(dst.data(), bytes);
            CHECK(dst.holds(seed));
            CHECK(dst.guarded());
        }
        INFO("seed " << seed << ": " << on.first());
        CHECK(on.violations() == 0);
        CHECK(server.races() == 0);
        ++verified;
    }
    CHECK(verified > 100);
}

TEST_CASE("Real bytes arrive where they belong and nowhere else") {
    std::size_t verified = 0;
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        const auto pairs = places::pairs(m);
        // Pairs spread over the machine, and both striped directions.
        std::vector<places::pair> sample;
        for (std::size_t i = 0; i < 3; ++i) sample.push_back(pairs[(2 * i + 1) * pairs.size() / 6]);
        sample.emplace_back(endpoint::host_all(), places::gpu(0));
        sample.emplace_back(places::gpu(0), endpoint::host_all());
        for (std::size_t i = 0; i < sample.size(); ++i) {
            const auto& [from, to] = sample[i];
            const std::uint64_t sizes[] = {64 * MiB + 4097, 71 * MiB - 1, 96 * MiB, 80 * MiB + 513};
            const std::uint64_t bytes = sizes[i % 4], lead = i % 3 * 1237, stripe_bytes = i % 2 ? 2 * MiB : 768 * KiB;
            sim::runtime on(m);
            INFO(m.name << ": " << to_string(from) << " -> " << to_string(to) << ", " << bytes << " bytes");
            {
                const simulated::buffer src(on, from, bytes, lead, stripe_bytes),
                    dst(on, to, bytes, lead, stripe_bytes);
                src.fill(i);
                mover<sim::runtime> moves(on, {.relays = gpu_set::all()});
                auto started =
                    moves.copy(dst.data(), src.data(), bytes, on.make_stream(simulated::gpu_of(m, from, to)).value());
                REQUIRE(started);
                REQUIRE(started->wait());
                CHECK(patterned::first_wrong(dst.data(), bytes, i) == bytes);
                CHECK(src.holds(i));
                CHECK(dst.guarded());
                CHECK(src.guarded());
                CHECK(on.races() == 0);
            }
            CHECK(on.allocations() == 0);
            ++verified;
        }
    }
    CHECK(verified == 12 * 5);
}
