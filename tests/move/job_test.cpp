// Jobs: adaptive at the optimum of a slowed machine, background behind foreground, cancelled at a chunk, dropped, failed.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/null_runtime.hpp>
#include <support/ordering_runtime.hpp>
#include <support/simulated_box.hpp>
#include <support/transfer_scenarios.hpp>

using namespace barelink;

namespace {

using checked_runtime = ordering_runtime<sim::runtime>;
using checked_mover = mover<checked_runtime>;

constexpr job_options fixed_shares{.adaptive = false};

/// A copy or job between two places of a machine, timed on the simulated clock; `slow` is a link at half its rate from the start.
struct timed_run {
    machine m;
    endpoint from, to;
    std::uint64_t bytes;
    std::vector<sim::link_fault> slow{};

    [[nodiscard]] double us(std::optional<job_options> as_job) const {
        sim::runtime on(m, {.timing_only = true});
        mover<sim::runtime> moves(on, {.relays = gpu_set::all()});
        void* const src = simulated::allocate(on, from, bytes).value();
        void* const dst = simulated::allocate(on, to, bytes).value();
        const auto stream = on.make_stream(simulated::gpu_of(m, from, to)).value();
        on.inject({slow, {}});
        const double before_us = on.now_us();
        if (as_job) {
            auto started = moves.start(dst, src, bytes, stream, *as_job).value();
            started.wait().value();
            CHECK(started.bytes_arrived() == bytes);
        } else {
            moves.copy(dst, src, bytes, stream).value().wait().value();
        }
        CHECK(on.races() == 0);
        return on.now_us() - before_us;
    }
    [[nodiscard]] plan planned(const machine& on) const {
        request asked = places::request(from, to, bytes, gpu_set::all());
        if (from == endpoint::host_all() || to == endpoint::host_all())
            asked.stripe_bytes = simulated::default_stripe_bytes;
        return default_planner(on).make(asked).value();
    }
    [[nodiscard]] double bound_us(const machine& on) const {
        return transfer_us(static_cast<double>(bytes), planned(on).bound_gb_s);
    }
};

[[nodiscard]] double carried(const plan& p, link_direction where) {
    double sum = 0;
    for (const route& r : p.routes)
        for (const leg& l : r.path())
            for (const link_direction hop : p.hops_of(l)) sum += hop == where ? static_cast<double>(r.bytes) : 0;
    return sum;
}

} // namespace

TEST_CASE("With a link at half speed an adaptive job is at the optimum of the slowed machine, and fixed shares lose") {
    struct {
        const char* machine;
        endpoint from, to;
        std::uint64_t bytes;
    } const cases[] = {
        {"hgx-h100-8", endpoint::host_all(), places::gpu(0), 2 * GiB},
        {"hgx-h100-8", places::gpu(3), endpoint::host_all(), 2 * GiB},
        {"hgx-h100-8", places::host(0), places::gpu(0), 2 * GiB},
        {"dgx1-v100", places::gpu(0), places::gpu(1), 2 * GiB},
        {"dgx1-v100", places::gpu(0), places::gpu(5), 4 * GiB},
        {"dgx1-v100", endpoint::host_all(), places::gpu(0), GiB},
        {"dgx2-v100", endpoint::host_all(), places::gpu(0), GiB},
        {"dgx-a100", places::host(0), places::gpu(0), GiB},
        {"dgx-a100", places::gpu(1), places::gpu(2), GiB},
        {"a100-pcie-4-switch", places::gpu(0), places::gpu(2), GiB},
        {"gb200-4", endpoint::host_all(), places::gpu(0), 4 * GiB},
        {"hgx-b200-8", endpoint::host_all(), places::gpu(3), 2 * GiB},
        {"rtx4090-pcie-8", places::gpu(0), places::gpu(5), GiB},
    };
    std::size_t slowed_runs = 0;
    double worst = 0, least_lost = 1e9, worst_healthy = 0;
    for (const auto& each : cases) {
        timed_run run{builtin::find(each.machine).value(), each.from, each.to, each.bytes};
        const plan p = run.planned(run.m);
        INFO(each.machine << ": " << to_string(each.from) << " -> " << to_string(each.to));
        const double plain_us = run.us({}), healthy_us = run.us(job_options{});
        worst_healthy = std::max(worst_healthy, healthy_us / plain_us);
        if (healthy_us > 1.02 * plain_us) FAIL_CHECK("nothing slow: " << healthy_us << " us, a copy " << plain_us);
        std::vector<link_direction> used = p.hops;
        std::sort(used.begin(), used.end(), [](auto a, auto b) { return a.slot() < b.slot(); });
        used.erase(std::unique(used.begin(), used.end()), used.end());
        for (const link_direction where : used) {
            const double halved = run.m.gb_s(where) / 2;
            machine slowed = run.m;
            (where.reverse ? slowed.links[where.link.value].gb_s_ba : slowed.links[where.link.value].gb_s_ab) = halved;
            slowed.connect();
            // The time that the fixed shares need for what they send over the slow link.
            const double lost_us = transfer_us(carried(p, where), halved), bound_us = run.bound_us(slowed);
            if (lost_us < 1.2 * bound_us) continue;
            run.slow = {{where, 0, halved}};
            const double adaptive_us = run.us(job_options{}), fixed_us = run.us(fixed_shares), copy_us = run.us({});
            ++slowed_runs;
            worst = std::max(worst, adaptive_us / bound_us);
            least_lost = std::min(least_lost, fixed_us / bound_us);
            const std::string link = run.m.id(where.link) + (where.reverse ? " back" : "");
            if (adaptive_us > 1.1 * bound_us)
                FAIL_CHECK(link << " halved: adaptive " << adaptive_us / bound_us << " of the optimum");
            if (fixed_us < lost_us || fixed_us > 1.25 * lost_us)
                FAIL_CHECK(link << " halved: fixed shares " << fixed_us << " us, the slow link alone " << lost_us);
            if (copy_us < lost_us) FAIL_CHECK(link << " halved: a copy took " << copy_us << " us of " << lost_us);
        }
        run.slow.clear();
    }
    WARN(slowed_runs << " slowed links: adaptive at most " << worst << " of the optimum, fixed shares at least "
                     << least_lost << "; nothing slow: at most " << worst_healthy << " of a copy");
    CHECK(slowed_runs > 100);
    CHECK(worst <= 1.1);
    CHECK(least_lost >= 1.2);
}

TEST_CASE("A link that crawls from some moment on keeps a window of chunks, and no more") {
    timed_run run{builtin::hgx_h100_8(), endpoint::host_all(), places::gpu(0), GiB};
    const link_direction relay = [&] {
        const plan p = run.planned(run.m);
        for (const route& r : p.routes)
            if (r.leg_count == 2) return p.hops_of(r.legs[0]).back();
        return link_direction{};
    }();
    const double alone_us = run.us(job_options{});
    run.slow = {{relay, alone_us / 3, run.m.gb_s(relay) / 50}};
    const double adaptive_us = run.us(job_options{}), fixed_us = run.us(fixed_shares);
    // Three chunks of at most 4 MiB at a fiftieth of the rate.
    const double window_us = transfer_us(3.0 * 4 * static_cast<double>(MiB), run.m.gb_s(relay) / 50);
    INFO("alone " << alone_us << " us, a window " << window_us << ", adaptive " << adaptive_us << ", fixed "
                  << fixed_us);
    CHECK(adaptive_us < 1.1 * (alone_us / 3 + window_us));
    CHECK(fixed_us > 2.5 * adaptive_us);
}

TEST_CASE("A job of any shape delivers every byte, in order, and gives everything back") {
    std::size_t run = 0;
    for (const transfer_scenario& s : transfer_scenarios) {
        if (s.from.where == endpoint::place::pageable || s.to.where == endpoint::place::pageable) continue;
        for (const job_options& chosen :
             {job_options{}, fixed_shares, job_options{.background = true}, job_options{.window = 1},
              job_options{.window = 8, .most_chunk_bytes = 64 * KiB}}) {
            INFO(s.name << ", window " << chosen.window << (chosen.adaptive ? ", adaptive" : ", fixed"));
            sim::runtime server(builtin::find(s.machine).value());
            checked_runtime on(server);
            const simulated::buffer src(server, s.from, s.bytes, 77, s.stripe_bytes);
            const simulated::buffer dst(server, s.to, s.bytes, 77, s.stripe_bytes);
            const std::size_t before = server.allocations();
            const auto stream = server.make_stream(simulated::gpu_of(server.topology(), s.from, s.to)).value();
            {
                checked_mover moves(on, s.options());
                for (std::uint64_t seed = 1; seed <= 3; ++seed) { // the second uses the first's streams and rings again
                    on.thread_writes(src.data(), s.bytes);
                    on.thread_writes(dst.data(), s.bytes);
                    src.fill(seed);
                    dst.clear();
                    auto started = moves.start(dst.data(), src.data(), s.bytes, stream, chosen);
                    REQUIRE(started);
                    CHECK_FALSE(started->over());
                    REQUIRE(started->wait());
                    CHECK(started->over());
                    CHECK(*started->poll());
                    CHECK(started->bytes_arrived() == s.bytes);
                    on.thread_reads(dst.data(), s.bytes);
                    CHECK(dst.holds(seed));
                    CHECK((src.guarded() && dst.guarded()));
                    std::uint64_t listed = 0, by_routes = 0;
                    started->each_arrived([&](std::uint64_t, std::uint64_t bytes) { listed += bytes; });
                    for (std::size_t r = 0; r < started->routes(); ++r) {
                        by_routes += started->route_bytes(r);
                        REQUIRE(started->route_us(r));
                        CHECK((*started->route_us(r) > 0) == (started->route_bytes(r) > 0));
                    }
                    CHECK(listed == s.bytes);
                    CHECK(by_routes == s.bytes);
                    CHECK(started->fallbacks().empty());
                }
                ++run;
            }
            INFO(on.first());
            CHECK(on.violations() == 0);
            CHECK(server.races() == 0);
            CHECK(server.allocations() == before);
        }
    }
    CHECK(run == 50);
}

TEST_CASE(
    "A job starts after the work in its stream, and what comes after it sees its bytes; the stream is free meanwhile") {
    sim::runtime server(builtin::hgx_h100_8());
    checked_runtime on(server);
    const std::uint64_t bytes = 24 * MiB + 123;
    const simulated::buffer src(server, places::host(0), bytes), dst(server, places::gpu(0), bytes);
    const simulated::buffer other_src(server, places::host(0), 8 * MiB), other_dst(server, places::gpu(0), 8 * MiB);
    src.fill(1);
    other_src.fill(7);
    checked_mover moves(on, {.relays = gpu_set::all(), .scratch_bytes = 512 * KiB});
    const auto stream = server.make_stream(server.topology().gpu(gpu_id{0})).value();
    struct kernels {
        const simulated::buffer &src, &dst;
        bool seen = false;
    } context{src, dst};
    server.launch(
        stream, 3000, [](void* at) { static_cast<kernels*>(at)->src.fill(2); }, &context);
    on.kernel_writes(stream, src.data(), bytes);
    auto started = moves.start(dst.data(), src.data(), bytes, stream);
    REQUIRE(started);
    const auto copied = moves.copy(other_dst.data(), other_src.data(), 8 * MiB, stream); // the same stream, in between
    REQUIRE(copied);
    CHECK_FALSE(*started->poll());
    CHECK(started->bytes_arrived() == 0);
    CHECK(server.now_us() < 1000);
    REQUIRE(started->wait());
    CHECK(server.now_us() > 3000);
    server.launch(
        stream, 0,
        [](void* at) {
            auto& self = *static_cast<kernels*>(at);
            self.seen = self.dst.holds(2);
        },
        &context);
    on.kernel_reads(stream, dst.data(), bytes);
    REQUIRE(copied->wait());
    const auto end = server.make_event(server.issuer(stream)).value();
    REQUIRE(on.record(end, stream));
    REQUIRE(on.synchronize(end));
    CHECK(context.seen);
    CHECK(other_dst.holds(7));
    INFO(on.first());
    CHECK(on.violations() == 0);
    CHECK(server.races() == 0);
}

TEST_CASE("A foreground copy beside a background job takes its own time and one window of chunks; the job goes on") {
    for (const bool as_job : {false, true}) {
        sim::runtime server(builtin::hgx_h100_8());
        checked_runtime on(server);
        const std::uint64_t large = 256 * MiB, small = 96 * MiB;
        const simulated::buffer src(server, endpoint::host_all(), large, 0, 2 * MiB);
        const simulated::buffer dst(server, places::gpu(0), large);
        const simulated::buffer urgent(server, endpoint::host_all(), small, 0, 2 * MiB);
        const simulated::buffer urgent_dst(server, places::gpu(0), small);
        src.fill(1);
        urgent.fill(2);
        const machine& m = server.topology();
        const auto stream = server.make_stream(m.gpu(gpu_id{0})).value();
        const auto other = server.make_stream(m.gpu(gpu_id{0})).value();
        checked_mover moves(on, {.relays = gpu_set::all()});
        const auto foreground_us = [&](auto* beside) {
            urgent_dst.clear();
            on.thread_writes(urgent_dst.data(), small);
            const double from_us = server.now_us();
            if (as_job) {
                auto started = moves.start(urgent_dst.data(), urgent.data(), small, other).value();
                started.wait().value();
            } else {
                const auto started = moves.copy(urgent_dst.data(), urgent.data(), small, other).value();
                const std::uint64_t arrived = beside ? beside->bytes_arrived() : 0;
                while (!*started.poll()) moves.progress();
                if (beside) { // at most what was in flight arrived meanwhile
                    CHECK(beside->bytes_arrived() <= arrived + 8u * 3 * MiB);
                    CHECK_FALSE(beside->over());
                }
            }
            CHECK(urgent_dst.holds(2));
            on.thread_reads(urgent_dst.data(), small);
            return server.now_us() - from_us;
        };
        (void)foreground_us(static_cast<checked_mover::job*>(nullptr)); // warms up
        const double alone_us = foreground_us(static_cast<checked_mover::job*>(nullptr));
        auto background =
            moves.start(dst.data(), src.data(), large, stream, {.background = true, .most_chunk_bytes = MiB}).value();
        while (background.bytes_arrived() < large / 8) REQUIRE(background.poll());
        std::uint64_t window_bytes = 0; // for each route, over links of 55 GB/s
        for (const route& r : background.planned().routes)
            window_bytes = std::max<std::uint64_t>(window_bytes, (r.leg_count + 1u) * MiB);
        const double window_us = transfer_us(static_cast<double>(window_bytes), 55.0);
        const double beside_us = foreground_us(&background);
        INFO((as_job ? "job: " : "copy: ")
             << beside_us << " us beside, alone " << alone_us << ", a window " << window_us);
        CHECK(beside_us <= 1.02 * alone_us + window_us);
        CHECK(background.bytes_arrived() < large);
        REQUIRE(background.wait());
        on.thread_reads(dst.data(), large);
        CHECK(dst.holds(1));
        INFO(on.first());
        CHECK(on.violations() == 0);
        CHECK(server.races() == 0);
    }
}

TEST_CASE("A foreground copy that waits for its stream holds no background job up, and one that runs does") {
    sim::runtime on(builtin::hgx_h100_8());
    const machine& m = on.topology();
    const simulated::buffer src(on, places::host(0), 8 * MiB), dst(on, places::gpu(0), 8 * MiB);
    const simulated::buffer other_src(on, places::host(0), 64 * MiB), other_dst(on, places::gpu(0), 64 * MiB);
    src.fill(3);
    mover<sim::runtime> moves(on);
    const auto busy = on.make_stream(m.gpu(gpu_id{0})).value(), stream = on.make_stream(m.gpu(gpu_id{0})).value();
    on.launch(busy, 1e5);
    const auto late = moves.copy(other_dst.data(), other_src.data(), 64 * MiB, busy);
    REQUIRE(late);
    auto early = moves.start(dst.data(), src.data(), 8 * MiB, stream, {.background = true}).value();
    REQUIRE(early.wait());
    CHECK(on.now_us() < 1e4);
    CHECK(dst.holds(3));
    REQUIRE(late->wait());

    // One that runs does, on whatever links; `enqueue` leaves no ticket, and is noticed all the same.
    const simulated::buffer far_src(on, places::gpu(1), 64 * MiB), far(on, places::gpu(2), 64 * MiB);
    far_src.fill(4);
    const auto far_stream = on.make_stream(m.gpu(gpu_id{2})).value();
    const region to = *moves.resolve(other_dst.data(), 64 * MiB), from = *moves.resolve(other_src.data(), 64 * MiB);
    for (const bool enqueued : {true, false}) {
        far.clear();
        auto behind = moves
                          .start(far.data(), far_src.data(), 64 * MiB, far_stream,
                                 {.background = true, .most_chunk_bytes = 256 * KiB})
                          .value();
        if (enqueued)
            REQUIRE(moves.enqueue(to, from, busy));
        else
            REQUIRE(moves.copy(to, from, busy));
        const double from_us = on.now_us();
        REQUIRE(behind.wait());
        CHECK(on.now_us() - from_us > transfer_us(64.0 * static_cast<double>(MiB), 56)); // alone: a fifth of it
        CHECK(far.holds(4));
    }
}

TEST_CASE("Cancelling stops after the chunks in flight: what is said to have arrived has, and nothing else") {
    for (const transfer_scenario& s : transfer_scenarios) {
        if (s.from.where == endpoint::place::pageable || s.to.where == endpoint::place::pageable) continue;
        for (const bool adaptive : {true, false})
            for (const std::uint64_t part : {0u, 3u, 7u}) {
                INFO(s.name << (adaptive ? ", adaptive, " : ", fixed, ") << part << " tenths");
                sim::runtime on(builtin::find(s.machine).value());
                const std::uint64_t bytes = 4 * s.bytes;
                const simulated::buffer src(on, s.from, bytes, 0, s.stripe_bytes),
                    dst(on, s.to, bytes, 0, s.stripe_bytes);
                src.fill(1);
                dst.clear();
                const auto stream = on.make_stream(simulated::gpu_of(on.topology(), s.from, s.to)).value();
                mover<sim::runtime> moves(on, s.options());
                const std::size_t before = on.allocations();
                auto started = moves.start(dst.data(), src.data(), bytes, stream,
                                           {.adaptive = adaptive, .most_chunk_bytes = 64 * KiB});
                REQUIRE(started);
                while (started->bytes_arrived() < bytes * part / 10) REQUIRE(started->poll());
                const auto arrived = started->cancel();
                REQUIRE(arrived);
                CHECK(*arrived < bytes);
                CHECK(*arrived >= bytes * part / 10);
                CHECK(started->over());
                const auto said = started->wait();
                REQUIRE_FALSE(said);
                CHECK(said.error().code() == errc::cancelled);
                std::vector<char> whole(bytes, 0);
                std::uint64_t listed = 0;
                started->each_arrived([&](std::uint64_t offset, std::uint64_t length) {
                    REQUIRE(offset + length <= bytes);
                    for (std::uint64_t i = 0; i < length; ++i) whole[offset + i] += 1;
                    listed += length;
                });
                CHECK(listed == *arrived);
                std::uint64_t wrong = 0;
                for (std::uint64_t i = 0; i < bytes; ++i) {
                    const char expected = whole[i] == 1 ? src.data()[i] : static_cast<char>(patterned::guard);
                    wrong += whole[i] > 1 || dst.data()[i] != expected;
                }
                CHECK(wrong == 0);
                CHECK(dst.guarded());
                CHECK(on.races() == 0);
                // The mover goes on: the rest, and with the rings that it has.
                REQUIRE(moves.start(dst.data(), src.data(), bytes, stream, {.adaptive = adaptive}).value().wait());
                CHECK(dst.holds(1));
                CHECK(on.allocations() >= before);
            }
    }
}

TEST_CASE("A job that is dropped is cancelled, its memory may go, and the mover goes on") {
    sim::runtime server(builtin::dgx1_v100());
    checked_runtime on(server);
    const std::size_t before = server.allocations();
    const auto stream = server.make_stream(server.topology().gpu(gpu_id{0})).value();
    {
        checked_mover moves(on, {.relays = gpu_set::all(), .scratch_bytes = 256 * KiB});
        std::optional<checked_mover::job> kept;
        for (int i = 0; i < 4; ++i) {
            const simulated::buffer src(server, places::host(0), 4 * MiB), dst(server, places::gpu(0), 4 * MiB);
            src.fill(1);
            auto started = moves.start(dst.data(), src.data(), 4 * MiB, stream);
            REQUIRE(started);
            for (int polls = 0; polls < 4 * i; ++polls) REQUIRE(started->poll());
            // All go here: the job first, then the memory.
            checked_mover::job moved = *std::move(started);
            CHECK_FALSE(moved.over());
        }
        const simulated::buffer src(server, places::host(0), 4 * MiB), dst(server, places::gpu(0), 4 * MiB);
        src.fill(2);
        auto a = moves.start(dst.data(), src.data(), 2 * MiB, stream).value();
        auto b = moves.start(dst.data() + 2 * MiB, src.data() + 2 * MiB, 2 * MiB, stream).value();
        a = std::move(b); // the first is dropped
        REQUIRE(a.wait());
        CHECK(patterned::first_wrong(dst.data() + 2 * MiB, 0, 2) == 0);
        CHECK(std::equal(dst.data() + 2 * MiB, dst.data() + 4 * MiB, src.data() + 2 * MiB));
        REQUIRE(moves.copy(dst.data(), src.data(), 4 * MiB, stream).value().wait());
        CHECK(dst.holds(2));
    }
    INFO(on.first());
    CHECK(on.violations() == 0);
    CHECK(server.races() == 0);
    CHECK(server.allocations() == before);
}

TEST_CASE("Jobs side by side: whoever is waited for feeds all") {
    sim::runtime on(builtin::hgx_h100_8());
    mover<sim::runtime> moves(on, {.relays = gpu_set::all()});
    const machine& m = on.topology();
    const simulated::buffer src(on, endpoint::host_all(), 96 * MiB, 0, MiB), dst(on, places::gpu(2), 96 * MiB);
    src.fill(5);
    std::vector<mover<sim::runtime>::job> jobs;
    for (int i = 0; i < 6; ++i) {
        const auto stream = on.make_stream(m.gpu(gpu_id{2})).value();
        jobs.push_back(
            moves
                .start(dst.data() + 16 * MiB * static_cast<unsigned>(i),
                       src.data() + 16 * MiB * static_cast<unsigned>(i), 16 * MiB, stream,
                       {.adaptive = i % 2 == 0, .background = i < 3, .most_chunk_bytes = i < 3 ? 64 * KiB : 0})
                .value());
    }
    REQUIRE(jobs.front().wait()); // in the background: all of the foreground is over by then
    for (std::size_t i = 3; i < 6; ++i) CHECK(jobs[i].over());
    for (auto& each : jobs) REQUIRE(each.wait());
    CHECK(dst.holds(5));
    CHECK(on.races() == 0);
}

TEST_CASE("A link that dies fails the job, in words, and the mover moves what does not need it") {
    sim::runtime on(builtin::hgx_h100_8());
    const machine& m = on.topology();
    const simulated::buffer src(on, endpoint::host_all(), 64 * MiB, 0, MiB), dst(on, places::gpu(0), 64 * MiB);
    src.fill(1);
    mover<sim::runtime> moves(on, {.relays = gpu_set::none().insert(gpu_id{5})});
    const auto stream = on.make_stream(m.gpu(gpu_id{0})).value();
    const dma_path* lost = m.path(m.memory(numa_id{1}), m.gpu(gpu_id{5}));
    REQUIRE(lost);
    on.inject({{{m.hops(*lost).back(), 300, 0}}, {}});
    auto started = moves.start(dst.data(), src.data(), 64 * MiB, stream).value();
    const auto failed = started.wait();
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code() == errc::device);
    CHECK(std::string(failed.error().what()).find("link") != std::string::npos);
    CHECK(started.over());
    CHECK(started.bytes_arrived() < 64 * MiB);
    CHECK_FALSE(started.poll());
    CHECK_FALSE(started.cancel());
    const simulated::buffer other(on, places::gpu(1), 4 * MiB), from(on, places::gpu(2), 4 * MiB);
    from.fill(2);
    const auto elsewhere = on.make_stream(m.gpu(gpu_id{1})).value();
    REQUIRE(moves.start(other.data(), from.data(), 4 * MiB, elsewhere, {}).value().wait());
    CHECK(other.holds(2));
}

TEST_CASE("Whichever call fails, a job claims no byte that did not arrive, ends, and the mover goes on") {
    std::uint64_t rehearsed = 0, refused = 0, failed = 0;
    for (const transfer_scenario& s : transfer_scenarios) {
        if (s.from.where == endpoint::place::pageable || s.to.where == endpoint::place::pageable) continue;
        std::uint64_t calls = 0;
        for (std::uint64_t number = ~0ull; number == ~0ull || number < calls;
             number = number == ~0ull ? 0 : number + 3) {
            INFO(s.name << ", call " << number << " of " << calls);
            sim::runtime server(builtin::find(s.machine).value());
            checked_runtime on(server);
            const simulated::buffer src(server, s.from, s.bytes, 0, s.stripe_bytes),
                dst(server, s.to, s.bytes, 0, s.stripe_bytes);
            const node_index gpu = simulated::gpu_of(server.topology(), s.from, s.to);
            const auto stream = server.make_stream(gpu).value();
            const auto end = server.make_event(gpu).value();
            const std::size_t before = server.allocations();
            const std::uint64_t first_call = server.calls();
            sim::faults planned;
            planned.failing_call = number == ~0ull ? number : first_call + number;
            server.inject(planned);
            {
                checked_mover moves(on, s.options());
                src.fill(1);
                {
                    auto first = moves.start(dst.data(), src.data(), s.bytes, stream);
                    if (!first) {
                        ++refused;
                    } else if (const auto done = first->wait(); !done) {
                        ++failed;
                        CHECK(*done.error().what() != '\0');
                        CHECK(first->over());
                    } else {
                        on.thread_reads(dst.data(), s.bytes);
                        if (!dst.holds(1)) FAIL_CHECK("waited for, and the bytes are not there");
                    }
                }
                for (int tries = 0; tries < 2; ++tries)
                    if (on.record(end, stream) && on.synchronize(end)) break;
                on.thread_writes(src.data(), s.bytes);
                on.thread_writes(dst.data(), s.bytes);
                src.fill(2);
                dst.clear();
                const bool over = number == ~0ull || server.calls() > planned.failing_call;
                auto second = moves.start(dst.data(), src.data(), s.bytes, stream);
                if (over && !second)
                    FAIL_CHECK(
                        "the next job was refused, though nothing is broken any more: " << second.error().what());
                if (second) {
                    const auto done = second->wait();
                    if (over && !done) FAIL_CHECK("the next job failed, though nothing is broken any more");
                    if (done) {
                        on.thread_reads(dst.data(), s.bytes);
                        if (!dst.holds(2)) FAIL_CHECK("a later job did not deliver");
                    }
                }
            }
            if (number == ~0ull) calls = server.calls() - first_call;
            ++rehearsed;
            if (server.races() != 0) FAIL_CHECK("copies raced");
            if (on.violations() != 0) FAIL_CHECK(on.first());
            if (!src.guarded() || !dst.guarded()) FAIL_CHECK("bytes beside the buffers changed");
            if (server.allocations() != before + on.failed_releases()) FAIL_CHECK("scratch memory was not given back");
        }
    }
    INFO(rehearsed << " rehearsals, " << refused << " refused, " << failed << " failed");
    CHECK(rehearsed > 500);
    CHECK(refused > 50);
    CHECK(failed > 50);
}

TEST_CASE("What a job cannot be is said at once") {
    null_runtime on(builtin::hgx_h100_8());
    const machine& m = on.topology();
    mover<null_runtime> moves(on, {.relays = gpu_set::all()});
    const auto stream = on.make_stream(m.gpu(gpu_id{0})).value();
    void* const device = null_runtime::address(memory_kind::device, m.gpu(gpu_id{0}));
    void* const pinned = null_runtime::address(memory_kind::pinned, m.memory(numa_id{0}));
    void* const ordinary = null_runtime::address(memory_kind::pageable, m.memory(numa_id{0}));
    const auto refusal = [&](void* dst, void* src, job_options chosen) {
        const auto started = moves.start(dst, src, 32 * MiB, stream, chosen);
        REQUIRE_FALSE(started);
        return started.error();
    };
    CHECK(refusal(device, ordinary, {}).code() == errc::unsupported);
    CHECK(refusal(ordinary, device, {}).code() == errc::unsupported);
    CHECK(std::string(refusal(device, ordinary, {}).what()).find("pin it") != std::string::npos);
    CHECK(refusal(device, pinned, {.window = 9}).code() == errc::invalid_argument);
    CHECK(refusal(nullptr, pinned, {}).code() == errc::invalid_argument);
    CHECK(refusal(device, device, {}).code() == errc::invalid_argument);
    on.capture(true);
    CHECK(refusal(device, pinned, {}).code() == errc::unsupported);
    on.capture(false);
    CHECK(moves.start(device, pinned, 32 * MiB, stream));
}
