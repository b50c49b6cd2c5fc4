// Budgets: what a mover's rings take on a relaying GPU, with several streams and jobs at once.
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/ordering_runtime.hpp>
#include <support/simulated_box.hpp>

using namespace barelink;

namespace {

using checked_runtime = ordering_runtime<sim::runtime>;
using checked_mover = mover<checked_runtime>;

constexpr int relay_index = 3;
constexpr std::uint64_t copy_bytes = 24 * MiB;

/// A server, one relay, and copies of 24 MiB from host memory to GPU 0 that want a ring there.
struct budget_box {
    sim::runtime server{builtin::hgx_h100_8()};
    checked_runtime on{server};
    node_index relay = server.topology().gpu(gpu_id{relay_index});
    simulated::buffer src{server, places::host(0), copy_bytes};
    std::deque<simulated::buffer> dst;

    budget_box() { src.fill(1); }
    [[nodiscard]] static mover_options options(std::uint64_t relay_bytes) {
        return {.relays = gpu_set::none().insert(gpu_id{relay_index}), .relay_bytes = relay_bytes};
    }
    [[nodiscard]] sim::stream stream() { return server.make_stream(server.topology().gpu(gpu_id{0})).value(); }
    [[nodiscard]] simulated::buffer& place() { return dst.emplace_back(server, places::gpu(0), copy_bytes); }
    [[nodiscard]] bool all_arrived() {
        bool all = true;
        for (simulated::buffer& each : dst) {
            on.thread_reads(each.data(), copy_bytes);
            all = all && each.holds(1) && each.guarded();
        }
        return all && on.violations() == 0 && server.races() == 0;
    }
    /// Bytes of the ring that one copy wants.
    [[nodiscard]] std::uint64_t ring_bytes() {
        checked_mover moves(on, options(GiB));
        const auto started = moves.copy(place().data(), src.data(), copy_bytes, stream()).value();
        started.wait().value();
        return moves.scratch_bytes(relay);
    }
};

[[nodiscard]] bool says(const std::vector<std::string>& notes, const char* what) {
    for (const std::string& each : notes)
        if (each.find(what) != std::string::npos) return true;
    return false;
}

} // namespace

TEST_CASE("Copies in many streams keep a relay within its budget: rings get smaller, then the relay is left out, then "
          "it is back") {
    for (const double rings : {2.0, 1.25, 0.3}) {
        budget_box box;
        const std::uint64_t one = box.ring_bytes();
        REQUIRE(one >= MiB);
        const auto budget = static_cast<std::uint64_t>(static_cast<double>(one) * rings);
        checked_mover moves(box.on, budget_box::options(budget));
        std::vector<sim::stream> streams;
        std::vector<checked_mover::ticket> tickets;
        int whole = 0, smaller = 0, without = 0;
        for (int i = 0; i < 7; ++i) {
            streams.push_back(box.stream());
            box.server.launch(streams.back(), 20000); // all are on their way at once
            auto started = moves.copy(box.place().data(), box.src.data(), copy_bytes, streams.back());
            REQUIRE(started);
            CHECK(box.server.now_us() < 10000);
            const auto notes = started->fallbacks();
            whole += notes.empty();
            smaller += says(notes, "no room for its ring on gpu:3");
            without += says(notes, "gpu:3 relays nothing of this copy");
            CHECK(started->routes() == (says(notes, "relays nothing") ? 1u : 2u));
            CHECK(moves.scratch_bytes(box.relay) <= budget);
            CHECK(box.server.allocated_bytes(box.relay) <= budget);
            tickets.push_back(*started);
        }
        INFO(rings << " rings: " << whole << " whole, " << smaller << " smaller, " << without << " without");
        CHECK(whole + smaller + without == 7);
        CHECK(whole == static_cast<int>(rings));
        CHECK((rings == 2.0 || smaller > 0));
        CHECK(without > 0);
        CHECK(moves.counters().fallbacks == static_cast<std::uint64_t>(smaller + without));
        for (const auto& each : tickets) REQUIRE(each.wait());
        CHECK(box.all_arrived());

        // Nothing is in flight: the relay is there again, with as large a ring as the budget has room for.
        const auto again = moves.copy(box.place().data(), box.src.data(), copy_bytes, box.stream());
        REQUIRE(again);
        CHECK(again->routes() == 2);
        CHECK(again->fallbacks().empty() == (rings >= 1));
        REQUIRE(again->wait());
        CHECK(moves.scratch_bytes(box.relay) <= budget);
        CHECK(box.all_arrived());
    }
}

TEST_CASE("A ring that was squeezed grows when there is room and nothing runs in it") {
    budget_box box;
    const std::uint64_t one = box.ring_bytes();
    checked_mover moves(box.on, budget_box::options(one + one / 2));
    const auto first = box.stream(), second = box.stream();
    box.server.launch(first, 5000);
    box.server.launch(second, 5000);
    const auto whole = moves.copy(box.place().data(), box.src.data(), copy_bytes, first);
    const auto squeezed = moves.copy(box.place().data(), box.src.data(), copy_bytes, second);
    REQUIRE((whole && squeezed));
    CHECK(whole->fallbacks().empty());
    CHECK(says(squeezed->fallbacks(), "no room for its ring"));
    const auto still = moves.copy(box.place().data(), box.src.data(), copy_bytes, second); // at work: stays as it is
    REQUIRE(still);
    CHECK(says(still->fallbacks(), "no room for its ring"));
    CHECK(box.server.now_us() < 5000);
    REQUIRE(still->wait());
    REQUIRE(whole->wait());
    const auto later = moves.copy(box.place().data(), box.src.data(), copy_bytes, second);
    REQUIRE(later);
    CHECK(later->routes() == 2);
    CHECK(later->fallbacks().empty());
    CHECK(moves.scratch_bytes(box.relay) >= one);
    CHECK(moves.scratch_bytes(box.relay) <= one + one / 2);
    REQUIRE(later->wait());
    CHECK(box.all_arrived());
}

TEST_CASE("Jobs and copies share the budget, and the rings of idle ones go first") {
    budget_box box;
    const std::uint64_t one = box.ring_bytes();
    checked_mover moves(box.on, budget_box::options(4 * one));
    const auto copy_stream = box.stream(), job_stream = box.stream();
    const auto copied = moves.copy(box.place().data(), box.src.data(), copy_bytes, copy_stream);
    REQUIRE(copied);
    REQUIRE(copied->wait());
    CHECK(moves.scratch_bytes(box.relay) == one);
    {
        std::vector<checked_mover::job> jobs;
        for (int i = 0; i < 6; ++i) {
            auto started =
                moves.start(box.place().data(), box.src.data(), copy_bytes, job_stream, {.adaptive = i % 2 == 0});
            REQUIRE(started);
            CHECK(moves.scratch_bytes(box.relay) <= 4 * one);
            CHECK(box.server.allocated_bytes(box.relay) <= 4 * one);
            jobs.push_back(*std::move(started));
        }
        for (auto& each : jobs) REQUIRE(each.wait());
        CHECK(says(jobs.back().fallbacks(), "gpu:3"));
    }
    CHECK(box.all_arrived());
    const auto again = moves.copy(box.place().data(), box.src.data(), copy_bytes, copy_stream);
    REQUIRE(again);
    CHECK(again->routes() == 2);
    CHECK(again->fallbacks().empty()); // an idle job's ring went for it
    CHECK(moves.scratch_bytes(box.relay) <= 4 * one);
    REQUIRE(again->wait());
    CHECK(box.all_arrived());
}

TEST_CASE("With room for one ring a copy and a job in turn both have it") {
    budget_box box;
    checked_mover moves(box.on, budget_box::options(box.ring_bytes()));
    const auto copy_stream = box.stream(), job_stream = box.stream();
    for (int round = 0; round < 3; ++round) {
        const auto copied = moves.copy(box.place().data(), box.src.data(), copy_bytes, copy_stream);
        REQUIRE(copied);
        CHECK(copied->routes() == 2);
        CHECK(copied->fallbacks().empty());
        REQUIRE(copied->wait());
        auto started = moves.start(box.place().data(), box.src.data(), copy_bytes, job_stream);
        REQUIRE(started);
        CHECK(started->fallbacks().empty());
        REQUIRE(started->wait());
        CHECK(started->route_bytes(0) > 0);
        CHECK(started->route_bytes(1) > 0);
    }
    CHECK(box.all_arrived());
}

TEST_CASE("Without a budget no GPU relays, in words; rings in host memory have none") {
    budget_box box;
    checked_mover moves(box.on, budget_box::options(0));
    for (int i = 0; i < 2; ++i) {
        const auto started = moves.copy(box.place().data(), box.src.data(), copy_bytes, box.stream());
        REQUIRE(started);
        CHECK(started->routes() == 1);
        CHECK(says(started->fallbacks(), "relay_bytes"));
        REQUIRE(started->wait());
    }
    CHECK(box.all_arrived());
    CHECK(moves.scratch_bytes(box.relay) == 0);

    sim::runtime pcie(builtin::rtx4090_pcie_8());
    const machine& m = pcie.topology();
    mover<sim::runtime> staged(pcie, {.relay_bytes = 0});
    const simulated::buffer from(pcie, places::gpu(0), copy_bytes), to(pcie, places::gpu(5), copy_bytes);
    from.fill(2);
    const auto started = staged.copy(to.data(), from.data(), copy_bytes, pcie.make_stream(m.gpu(gpu_id{5})).value());
    REQUIRE(started);
    REQUIRE(started->wait());
    CHECK(started->fallbacks().empty());
    CHECK(to.holds(2));
    std::uint64_t in_host = 0;
    for (const node_index n : m.all(node_kind::memory)) in_host += staged.scratch_bytes(n);
    CHECK(in_host == staged.scratch_bytes());
    CHECK(in_host > 0);
}
