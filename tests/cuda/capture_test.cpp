// Copies captured into CUDA graphs: launched again and again, beside other copies, and what a capture must not suffer.
#include <cstdint>
#include <optional>
#include <string>

#include <barelink/move/cuda.hpp>

#include <support/captured_graph.hpp>
#include <support/catch.hpp>
#include <support/cuda_box.hpp>
#include <support/transfer_scenarios.hpp>

using namespace barelink;
using test::graph;

namespace {

using cuda_mover = mover<cuda::runtime>;

bool pageable(const transfer_scenario& s) {
    return s.from.where == endpoint::place::pageable || s.to.where == endpoint::place::pageable;
}
int stream_gpu(const transfer_scenario& s) {
    return s.to.where == endpoint::place::gpu ? s.to.index : s.from.index;
}
template <class Error>
bool says(const Error& failure, errc code, const char* part) {
    return failure.code() == code && std::string(failure.what()).find(part) != std::string::npos;
}

} // namespace

TEST_CASE("A captured copy delivers whatever its source holds when the graph is launched") {
    std::size_t relayed = 0;
    for (const transfer_scenario& s : transfer_scenarios) {
        if (pageable(s)) continue;
        INFO(s.name);
        cuda_box::server box(s.machine);
        const auto before = simcuda::live();
        {
            const cuda_box::buffer src(box.on, s.from, s.bytes, 5, s.stripe_bytes);
            const cuda_box::buffer dst(box.on, s.to, s.bytes, 3, s.stripe_bytes);
            const cuda_box::buffer other_src(box.on, s.from, s.bytes, 0, s.stripe_bytes);
            const cuda_box::buffer other_dst(box.on, s.to, s.bytes, 0, s.stripe_bytes);
            const cuda::stream stream = box.stream(stream_gpu(s)), launched = box.stream(stream_gpu(s)),
                               beside = box.stream(stream_gpu(s));
            cuda_mover moves(box.on, s.options());
            const region to = moves.resolve(dst.data(), s.bytes).value();
            const region from = moves.resolve(src.data(), s.bytes).value();
            const std::size_t routes = moves.plan_for(to, from).value()->routes.size();
            std::optional<cuda_mover::ticket> ticket;
            src.fill(1);
            {
                const graph captured(stream.handle, [&] { ticket = moves.copy(to, from, stream).value(); });
                CHECK(moves.counters().captured == 1);
                CHECK(patterned::guarded(dst.data(), s.bytes) == false); // fresh memory, and not the guard's bytes
                CHECK_FALSE(dst.holds(1));                               // nothing has run
                relayed += routes > 1;
                if (routes > 1) CHECK(captured.nodes() > routes);
                for (std::uint64_t seed = 10; seed < 13; ++seed) {
                    src.fill(seed);
                    other_src.fill(seed + 100);
                    dst.clear();
                    // The same mover has other copies on their way while the graph runs.
                    const auto first = moves.copy(other_dst.data(), other_src.data(), s.bytes, beside);
                    captured.start(launched.handle);
                    REQUIRE(first);
                    const auto second = moves.copy(other_dst.data(), other_src.data(), s.bytes, stream);
                    REQUIRE(second);
                    REQUIRE(first->wait());
                    REQUIRE(second->wait());
                    REQUIRE(cudaStreamSynchronize(launched.handle) == cudaSuccess);
                    CHECK(dst.holds(seed));
                    CHECK(src.holds(seed));
                    CHECK(other_dst.holds(seed + 100));
                    CHECK((dst.guarded() && src.guarded() && other_dst.guarded()));
                }
            }
            CHECK(ticket->captured());
            CHECK(moves.counters().captured == 1);
            CHECK(moves.counters().fallbacks == 0);
            for (const cuda::stream each : {stream, launched, beside}) CHECK(box.on.destroy(each));
        }
        CHECK(simcuda::live() == before);
        CHECK(simcuda::pending_error() == cudaSuccess);
    }
    CHECK(relayed >= 5);
}

TEST_CASE("Two graphs of one mover run at the same time on rings of their own") {
    cuda_box::server box("hgx-h100-8");
    const std::uint64_t bytes = 4 * MiB + 4096;
    cuda_mover moves(box.on, {.relays = gpu_set::all(), .scratch_bytes = 512 * KiB});
    const cuda::stream stream = box.stream(0), one = box.stream(0), two = box.stream(0);
    const cuda_box::buffer src(box.on, places::host(0), 2 * bytes), dst(box.on, places::gpu(0), 2 * bytes);
    const auto captured = [&](std::uint64_t offset) {
        return [&, offset] { REQUIRE(moves.copy(dst.data() + offset, src.data() + offset, bytes, stream)); };
    };
    // Before the captures: proofs are made outside only.
    REQUIRE(moves.plan_for(moves.resolve(dst.data(), bytes).value(), moves.resolve(src.data(), bytes).value()));
    const std::uint64_t none = moves.scratch_bytes();
    const graph first(stream.handle, captured(0));
    const std::uint64_t for_one = moves.scratch_bytes();
    const graph second(stream.handle, captured(bytes));
    CHECK(none == 0);
    CHECK(for_one > 0);
    CHECK(moves.scratch_bytes() == 2 * for_one);
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        src.fill(seed);
        first.start(one.handle);
        second.start(two.handle);
        REQUIRE(cudaStreamSynchronize(one.handle) == cudaSuccess);
        REQUIRE(cudaStreamSynchronize(two.handle) == cudaSuccess);
        CHECK(dst.holds(seed));
    }
    CHECK(simcuda::server().races() == 0);
}

TEST_CASE("In one capture a copy may depend on the one before it") {
    cuda_box::server box("hgx-h100-8");
    const std::uint64_t bytes = 3 * MiB + 21;
    cuda_mover moves(box.on, {.relays = gpu_set::all(), .scratch_bytes = 512 * KiB});
    const cuda::stream stream = box.stream(0);
    const cuda_box::buffer host(box.on, places::host(0), bytes), near(box.on, places::gpu(0), bytes),
        far(box.on, places::gpu(5), bytes), back(box.on, places::host(1), bytes);
    const region at[] = {moves.resolve(host.data(), bytes).value(), moves.resolve(near.data(), bytes).value(),
                         moves.resolve(far.data(), bytes).value(), moves.resolve(back.data(), bytes).value()};
    std::size_t routes = 0;
    for (int i = 0; i < 3; ++i) routes += moves.plan_for(at[i + 1], at[i]).value()->routes.size();
    CHECK(routes >= 5);
    const graph chain(stream.handle, [&] {
        for (int i = 0; i < 3; ++i) REQUIRE(moves.copy(at[i + 1], at[i], stream));
    });
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        host.fill(seed);
        back.clear();
        chain.run(stream.handle);
        CHECK((near.holds(seed) && far.holds(seed) && back.holds(seed)));
    }
    CHECK(simcuda::server().races() == 0);
    CHECK(moves.counters().captured == 3);
}

TEST_CASE("Copies in two streams of one capture run side by side") {
    cuda_box::server box("hgx-h100-8");
    const std::uint64_t bytes = 3 * MiB + 21;
    cuda_mover moves(box.on, {.relays = gpu_set::all(), .scratch_bytes = 512 * KiB});
    const cuda::stream main = box.stream(0), side = box.stream(6);
    const auto fork = box.on.make_event(box.gpu(0), false).value(), join = box.on.make_event(box.gpu(6), false).value();
    const cuda_box::buffer src(box.on, places::host(0), 2 * bytes), left(box.on, places::gpu(0), bytes),
        right(box.on, places::gpu(6), bytes);
    REQUIRE(moves.plan_for(moves.resolve(left.data(), bytes).value(), moves.resolve(src.data(), bytes).value()));
    REQUIRE(moves.plan_for(moves.resolve(right.data(), bytes).value(), moves.resolve(src.data(), bytes).value()));
    const graph both(main.handle, [&] {
        REQUIRE(cudaEventRecord(fork.handle, main.handle) == cudaSuccess);
        REQUIRE(cudaStreamWaitEvent(side.handle, fork.handle, 0) == cudaSuccess);
        REQUIRE(moves.copy(left.data(), src.data(), bytes, main));
        REQUIRE(moves.copy(right.data(), src.data() + bytes, bytes, side));
        REQUIRE(cudaEventRecord(join.handle, side.handle) == cudaSuccess);
        REQUIRE(cudaStreamWaitEvent(main.handle, join.handle, 0) == cudaSuccess);
    });
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        src.fill(seed);
        both.run(main.handle);
        CHECK(left.holds(seed));
        CHECK(std::memcmp(right.data(), src.data() + bytes, bytes) == 0);
    }
    CHECK(simcuda::server().races() == 0);
}

TEST_CASE("The ticket of a captured copy says that it is one, for good") {
    cuda_box::server box("hgx-h100-8");
    const std::uint64_t bytes = 64 * KiB;
    cuda_mover moves(box.on);
    const cuda::stream stream = box.stream(0);
    const cuda_box::buffer src(box.on, places::host(0), bytes), dst(box.on, places::gpu(0), bytes);
    std::optional<cuda_mover::ticket> ticket;
    const graph captured(stream.handle, [&] {
        ticket = moves.copy(dst.data(), src.data(), bytes, stream).value();
        // In the middle of the capture, and without spoiling it.
        CHECK(says(ticket->poll().error(), errc::invalid_argument, "graph"));
        CHECK(says(ticket->wait().error(), errc::invalid_argument, "graph"));
    });
    for (const int later : {0, 200}) {
        for (int i = 0; i < later; ++i) REQUIRE(moves.copy(dst.data(), src.data(), bytes, stream));
        INFO(later << " later copies");
        CHECK(ticket->captured());
        CHECK(ticket->bytes() == bytes);
        REQUIRE_FALSE(ticket->poll());
        CHECK(says(ticket->poll().error(), errc::invalid_argument, "graph"));
        REQUIRE_FALSE(ticket->wait());
        CHECK(says(ticket->wait().error(), errc::invalid_argument, "graph"));
        REQUIRE_FALSE(ticket->elapsed_us());
        CHECK(says(ticket->elapsed_us().error(), errc::invalid_argument, "graph"));
        REQUIRE_FALSE(ticket->route_us(0));
        CHECK(says(ticket->route_us(0).error(), errc::invalid_argument, "graph"));
    }
    const auto outside = moves.copy(dst.data(), src.data(), bytes, stream);
    REQUIRE(outside);
    CHECK_FALSE(outside->captured());
    CHECK(outside->wait());
}

TEST_CASE("Pageable memory is refused in a capture, which goes on") {
    cuda_box::server box("hgx-h100-8");
    const std::uint64_t bytes = MiB;
    cuda_mover moves(box.on);
    const cuda::stream stream = box.stream(0);
    const cuda_box::buffer src(box.on, places::host(0), bytes), dst(box.on, places::gpu(0), bytes),
        ordinary(box.on, places::pageable(0), bytes);
    const graph captured(stream.handle, [&] {
        for (const bool load : {true, false}) {
            const auto refused = load ? moves.copy(dst.data(), ordinary.data(), bytes, stream)
                                      : moves.copy(ordinary.data(), dst.data(), bytes, stream);
            REQUIRE_FALSE(refused);
            CHECK(says(refused.error(), errc::unsupported, "pin it"));
        }
        REQUIRE(moves.copy(dst.data(), src.data(), bytes, stream));
    });
    CHECK(captured.nodes() == 1);
    src.fill(4);
    captured.run(stream.handle);
    CHECK(dst.holds(4));
    CHECK(simcuda::pending_error() == cudaSuccess);
    // Outside it is copied as ever.
    ordinary.fill(5);
    const auto outside = moves.copy(dst.data(), ordinary.data(), bytes, stream);
    REQUIRE(outside);
    REQUIRE(outside->wait());
    CHECK(dst.holds(5));
}

TEST_CASE("The first copies of a mover may be captured: what needs a proof takes another way until it has one") {
    cuda_box::server box("hgx-h100-8");
    const std::uint64_t bytes = 2 * MiB + 9;
    const cuda_box::buffer host(box.on, places::host(0), bytes), near(box.on, places::gpu(0), bytes),
        far(box.on, places::gpu(3), bytes);
    const cuda::stream stream = box.stream(0);
    const auto proof = [&](int from, int to) { return box.on.topology().path(box.gpu(from), box.gpu(to))->proof; };
    const auto peers_opened = [] { return simcuda::calls("cudaDeviceEnablePeerAccess"); };
    cuda_mover moves(box.on);
    const graph captured(stream.handle, [&] {
        REQUIRE(moves.copy(near.data(), host.data(), bytes, stream));
        REQUIRE(moves.copy(far.data(), near.data(), bytes, stream));
    });
    CHECK(proof(0, 3) == delivery::unproved);
    CHECK(peers_opened() == 0);
    CHECK(moves.scratch_bytes() > 0); // the second copy is staged
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        host.fill(seed);
        captured.run(stream.handle);
        CHECK((near.holds(seed) && far.holds(seed)));
    }
    near.fill(9);
    const std::uint64_t staged_bytes = moves.scratch_bytes();
    const auto outside = moves.copy(far.data(), near.data(), bytes, stream);
    REQUIRE(outside);
    REQUIRE(outside->wait());
    CHECK(far.holds(9));
    CHECK((proof(0, 3) == delivery::proved && proof(3, 0) == delivery::proved));
    CHECK(peers_opened() == 2);
    CHECK(moves.scratch_bytes() == staged_bytes);
    CHECK(outside->fallbacks().empty());
    // From now on a capture takes the direct path, too.
    const graph direct(stream.handle, [&] { REQUIRE(moves.copy(far.data(), near.data(), bytes, stream)); });
    CHECK(direct.nodes() == 1);
    CHECK(peers_opened() == 2);
    near.fill(10);
    direct.run(stream.handle);
    CHECK(far.holds(10));
    host.fill(11);
    captured.run(stream.handle); // the old graph works as before
    CHECK(far.holds(11));
}

TEST_CASE("Copies of all kinds in another stream do not spoil a capture") {
    cuda_box::server box("hgx-h100-8");
    const std::uint64_t bytes = 2 * MiB + 9;
    const cuda_box::buffer host(box.on, places::host(0), bytes), near(box.on, places::gpu(0), bytes),
        other(box.on, places::gpu(1), bytes), far(box.on, places::gpu(3), bytes),
        ordinary(box.on, places::pageable(1), bytes), back(box.on, places::pageable(0), bytes);
    const cuda::stream stream = box.stream(0), free = box.stream(1);
    cuda_mover moves(box.on, {.relays = gpu_set::all(), .scratch_bytes = 512 * KiB});
    host.fill(1);
    ordinary.fill(2);
    const graph captured(stream.handle, [&] {
        REQUIRE(moves.copy(near.data(), host.data(), bytes, stream));
        for (int i = 0; i < 70; ++i) { // more than there are tickets to remember
            const auto up = moves.copy(other.data(), ordinary.data(), bytes, free); // proofs, rings, host threads
            REQUIRE(up);
            if (i % 8 == 0) REQUIRE(up->wait());
        }
        const auto over = moves.copy(far.data(), other.data(), bytes, free);
        const auto down = moves.copy(back.data(), far.data(), bytes, free);
        REQUIRE(over);
        REQUIRE(down);
        REQUIRE(down->wait());
        CHECK(down->elapsed_us().value() > 0);
        CHECK(back.holds(2));
    });
    captured.run(stream.handle);
    CHECK(near.holds(1));
    CHECK(simcuda::server().races() == 0);
}

TEST_CASE("A copy that fails in a capture is an error, and the next capture works") {
    cuda_box::server box("hgx-h100-8");
    const std::uint64_t bytes = 4 * MiB;
    cuda_mover moves(box.on, {.relays = gpu_set::all(), .scratch_bytes = 512 * KiB});
    const cuda::stream stream = box.stream(0);
    const cuda_box::buffer src(box.on, places::host(0), bytes), dst(box.on, places::gpu(0), bytes);
    REQUIRE(moves.plan_for(moves.resolve(dst.data(), bytes).value(), moves.resolve(src.data(), bytes).value()));
    for (const char* function : {"cudaMemcpyAsync", "cudaStreamWaitEvent", "cudaEventRecord"}) {
        INFO(function);
        REQUIRE(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeGlobal) == cudaSuccess);
        simcuda::fail(function, 3, cudaErrorInvalidValue);
        const std::uint64_t waited = simcuda::calls("cudaEventSynchronize");
        CHECK_FALSE(moves.copy(dst.data(), src.data(), bytes, stream));
        CHECK(simcuda::calls("cudaEventSynchronize") == waited); // what is captured does not run
        cudaGraph_t made = nullptr;
        if (cudaStreamEndCapture(stream.handle, &made) == cudaSuccess) CHECK(cudaGraphDestroy(made) == cudaSuccess);
        (void)cudaGetLastError();
        const graph captured(stream.handle, [&] { REQUIRE(moves.copy(dst.data(), src.data(), bytes, stream)); });
        src.fill(6);
        dst.clear();
        captured.run(stream.handle);
        CHECK(dst.holds(6));
        src.fill(7);
        const auto outside = moves.copy(dst.data(), src.data(), bytes, stream);
        REQUIRE(outside);
        REQUIRE(outside->wait());
        CHECK(dst.holds(7));
    }
}

TEST_CASE("`enqueue` in a capture is one node of the graph") {
    cuda_box::server box("hgx-h100-8");
    const std::uint64_t bytes = 64 * KiB;
    cuda_mover moves(box.on);
    const cuda::stream stream = box.stream(2);
    const cuda_box::buffer src(box.on, places::host(0), bytes), dst(box.on, places::gpu(2), bytes);
    const region to = moves.resolve(dst.data(), bytes).value(), from = moves.resolve(src.data(), bytes).value();
    for (const bool planned : {false, true}) {
        if (planned) REQUIRE(moves.plan_for(to, from));
        const graph captured(stream.handle, [&] { REQUIRE(moves.enqueue(to, from, stream)); });
        CHECK(captured.nodes() == 1);
        src.fill(planned);
        captured.run(stream.handle);
        CHECK(dst.holds(planned));
    }
}
