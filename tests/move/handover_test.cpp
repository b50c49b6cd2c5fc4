// A cache from one GPU to another without a direct link: relays against the driver's staging and against our own.
#include <algorithm>
#include <cstdint>

#include <support/catch.hpp>
#include <support/simulated_box.hpp>

using namespace barelink;

namespace {

constexpr std::uint64_t cache_bytes = 256 * MiB;

/// Buffers on two GPUs of a server, and the time of a copy between them, microseconds.
struct pair_of_gpus {
    sim::runtime on;
    sim::stream stream;
    void *src, *dst;

    pair_of_gpus(const machine& m, int from, int to)
        : on(m, {.timing_only = true}), stream(on.make_stream(m.gpu(gpu_id{to})).value()),
          src(on.allocate(m.gpu(gpu_id{from}), cache_bytes).value()),
          dst(on.allocate(m.gpu(gpu_id{to}), cache_bytes).value()) {}

    template <class Mover>
    [[nodiscard]] double moved_us(Mover& moves) {
        double best = 1e300;
        for (int round = 0; round < 2; ++round) {
            const auto started = moves.copy(dst, src, cache_bytes, stream).value();
            started.wait().value();
            best = std::min(best, started.elapsed_us().value());
        }
        return best;
    }
    /// As cudaMemcpyPeerAsync does it where there is no peer access.
    [[nodiscard]] double by_driver_us() {
        const auto begin = on.make_event(on.issuer(stream)).value(), end = on.make_event(on.issuer(stream)).value();
        on.record(begin, stream).value();
        on.copy(dst, src, cache_bytes, stream).value();
        on.record(end, stream).value();
        on.synchronize(end).value();
        return on.elapsed_us(begin, end).value();
    }
};

[[nodiscard]] bool is_direct(const machine& m, int from, int to) {
    const dma_path* path = m.path(m.gpu(gpu_id{from}), m.gpu(gpu_id{to}));
    return path && path->allowed;
}

} // namespace

TEST_CASE(
    "Between GPUs of a DGX-1 without a direct link a handover is over twice as fast as any staging in host memory") {
    const machine m = builtin::dgx1_v100();
    int pairs = 0;
    double least_driver = 1e9, least_staged = 1e9, least_bound = 1e9, least_job = 1e9;
    for (int from = 0; from < 8; ++from)
        for (int to = 0; to < 8; ++to) {
            if (from == to || is_direct(m, from, to)) continue;
            ++pairs;
            INFO("gpu:" << from << " -> gpu:" << to);
            pair_of_gpus box(m, from, to);
            mover<sim::runtime> moves(box.on, {.relays = gpu_set::all()});
            mover<sim::runtime, planner<staged_path>> staged(box.on);
            const double own_us = box.moved_us(moves), driver_us = box.by_driver_us(), staged_us = box.moved_us(staged);
            const plan& p =
                **moves.plan_for(*moves.resolve(box.dst, cache_bytes), *moves.resolve(box.src, cache_bytes));
            const double reached = rate_gb_s(static_cast<double>(cache_bytes), own_us) / p.bound_gb_s;
            const double from_us = box.on.now_us();
            moves.start(box.dst, box.src, cache_bytes, box.stream).value().wait().value();
            const double job_us = box.on.now_us() - from_us;
            if (driver_us < 2 * own_us) FAIL_CHECK(driver_us / own_us << " times the driver's staging");
            if (staged_us < 2 * own_us) FAIL_CHECK(staged_us / own_us << " times our own staging");
            if (reached < 0.9) FAIL_CHECK(reached << " of the bound");
            if (staged_us > driver_us * 1.05) FAIL_CHECK("our own staging is slower than the driver's");
            least_driver = std::min(least_driver, driver_us / own_us);
            least_staged = std::min(least_staged, staged_us / own_us);
            least_bound = std::min(least_bound, reached);
            least_job = std::min(least_job, driver_us / job_us);
        }
    WARN(pairs << " pairs: at least " << least_driver << " times the driver's staging, " << least_staged
               << " times our own, " << least_bound << " of the bound; as a job " << least_job
               << " times the driver's");
    CHECK(pairs == 24);
    CHECK(least_driver >= 2);
    CHECK(least_staged >= 2);
    CHECK(least_job >= 2);
}

TEST_CASE("Real bytes are handed over between every such pair") {
    sim::runtime on(builtin::dgx1_v100());
    const machine& m = on.topology();
    mover<sim::runtime> moves(on, {.relays = gpu_set::all(), .scratch_bytes = MiB});
    int pairs = 0;
    for (int from = 0; from < 8; ++from)
        for (int to = 0; to < 8; ++to) {
            if (from == to || is_direct(m, from, to)) continue;
            INFO("gpu:" << from << " -> gpu:" << to);
            const simulated::buffer src(on, places::gpu(from), 6 * MiB + 5), dst(on, places::gpu(to), 6 * MiB + 5);
            const auto seed = static_cast<std::uint64_t>(8 * from + to);
            src.fill(seed);
            const auto stream = on.make_stream(m.gpu(gpu_id{to})).value();
            const auto started = moves.copy(dst.data(), src.data(), src.size(), stream);
            REQUIRE(started);
            REQUIRE(started->wait());
            CHECK(started->routes() > 1);
            CHECK(dst.holds(seed));
            CHECK(dst.guarded());
            CHECK(src.holds(seed));
            ++pairs;
        }
    CHECK(pairs == 24);
    CHECK(on.races() == 0);
}
