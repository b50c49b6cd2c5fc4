// The mover's promises: stream order, pageable semantics, stripes, tickets, scratch memory, errors.
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/generated_machines.hpp>
#include <support/null_runtime.hpp>
#include <support/ordering_runtime.hpp>
#include <support/simulated_box.hpp>

using namespace barelink;

namespace {

using checked_runtime = ordering_runtime<sim::runtime>;
using checked_mover = mover<checked_runtime>;

/// Relays allowed, chunks small enough that rings go round.
constexpr mover_options relaying{.relays = gpu_set::all(), .scratch_bytes = 512 * KiB};

/// A server with the order of all accesses checked, to be asked at the end whether everything was in order.
struct checked_box {
    sim::runtime server;
    checked_runtime on{server};

    explicit checked_box(machine m) : server(std::move(m)) {}
    [[nodiscard]] sim::stream stream_on(int gpu) {
        return server.make_stream(server.topology().gpu(gpu_id{gpu})).value();
    }
    [[nodiscard]] bool in_order() const { return on.violations() == 0 && server.races() == 0; }
};

/// Counts allocations; says no to those above a size on one node.
class tight_runtime : public forwarding_runtime<sim::runtime> {
public:
    using forwarding_runtime::forwarding_runtime;
    void refuse(node_index where, std::uint64_t above) {
        where_ = where;
        above_ = above;
    }
    [[nodiscard]] std::uint64_t asked() const { return asked_; }
    [[nodiscard]] result<void*> allocate(node_index where, std::uint64_t bytes) {
        ++asked_;
        if (where == where_ && bytes > above_) return error(errc::out_of_memory, "no room").asking(bytes);
        return forwarding_runtime::allocate(where, bytes);
    }

private:
    node_index where_ = no_node;
    std::uint64_t above_ = 0, asked_ = 0;
};

} // namespace

TEST_CASE("A copy starts after the work before it and ends before the work after it, in both directions") {
    for (const bool load : {true, false}) {
        checked_box box(builtin::hgx_h100_8());
        const std::uint64_t bytes = 5 * MiB + 123;
        const simulated::buffer near(box.server, places::host(0), bytes), far(box.server, places::gpu(0), bytes);
        const simulated::buffer &src = load ? near : far, &dst = load ? far : near;
        src.fill(1);
        const auto stream = box.stream_on(0);
        struct kernels {
            const simulated::buffer &src, &dst;
            bool seen = false;
        } context{src, dst};
        checked_mover moves(box.on, relaying);
        box.server.launch(
            stream, 5000, [](void* at) { static_cast<kernels*>(at)->src.fill(2); }, &context);
        box.on.kernel_writes(stream, src.data(), bytes);
        auto started = moves.copy(dst.data(), src.data(), bytes, stream);
        box.server.launch(
            stream, 0,
            [](void* at) {
                auto& self = *static_cast<kernels*>(at);
                self.seen = self.dst.holds(2);
                self.src.fill(3);
            },
            &context);
        box.on.kernel_reads(stream, dst.data(), bytes);
        box.on.kernel_writes(stream, src.data(), bytes);
        REQUIRE(started);
        CHECK(started->routes() > 1);
        CHECK_FALSE(*started->poll());
        CHECK(box.server.now_us() < 1000); // submitting did not wait for the kernel
        REQUIRE(started->wait());
        CHECK(box.server.now_us() > 5000);
        CHECK(*started->poll());
        CHECK(dst.holds(2));
        const auto end = box.server.make_event(box.server.issuer(stream)).value();
        REQUIRE(box.on.record(end, stream));
        REQUIRE(box.on.synchronize(end));
        CHECK(context.seen);
        CHECK(src.holds(3));
        CHECK(box.in_order());
    }
}

TEST_CASE("Two users' streams do not wait for each other") {
    checked_box box(builtin::hgx_h100_8());
    const std::uint64_t bytes = 8 * MiB;
    const simulated::buffer src(box.server, places::host(0), 2 * bytes), dst(box.server, places::gpu(0), 2 * bytes);
    src.fill(7);
    checked_mover moves(box.on, relaying);
    const auto busy = box.stream_on(0), free = box.stream_on(0);
    box.server.launch(busy, 1e5);
    const auto late = moves.copy(dst.data(), src.data(), bytes, busy);
    const auto early = moves.copy(dst.data() + bytes, src.data() + bytes, bytes, free);
    REQUIRE(late);
    REQUIRE(early);
    CHECK(late->routes() > 1);
    CHECK(early->routes() > 1);
    REQUIRE(early->wait());
    CHECK(box.server.now_us() < 1e4);
    CHECK_FALSE(*late->poll());
    REQUIRE(late->wait());
    CHECK(box.server.now_us() > 1e5);
    CHECK(dst.holds(7));
    CHECK(box.in_order());
}

TEST_CASE("A hundred copies back to back use the same rings without races") {
    for (const int streams : {1, 3, 12}) { // 12: more than the mover has sets of lanes for
        checked_box box(builtin::dgx1_v100());
        constexpr std::uint64_t bytes = MiB + 4096, copies = 100;
        const simulated::buffer src(box.server, places::host(0), copies * bytes);
        const simulated::buffer dst(box.server, places::gpu(0), copies * bytes);
        src.fill(5);
        {
            checked_mover moves(box.on, {.relays = gpu_set::all(), .scratch_bytes = 256 * KiB});
            std::vector<sim::stream> users;
            for (int s = 0; s < streams; ++s) users.push_back(box.stream_on(s % 2));
            std::vector<checked_mover::ticket> tickets;
            for (std::uint64_t i = 0; i < copies; ++i) {
                auto started = moves.copy(dst.data() + i * bytes, src.data() + i * bytes, bytes,
                                          users[i * 7 % static_cast<std::uint64_t>(streams)]);
                REQUIRE(started);
                CHECK(started->routes() > 1);
                tickets.push_back(*started);
            }
            for (const auto& each : tickets) REQUIRE(each.wait());
        }
        INFO(streams << " streams: " << box.on.first());
        CHECK(dst.holds(5));
        CHECK(dst.guarded());
        CHECK(box.in_order());
    }
}

TEST_CASE("A mover may go while copies of nine streams are on their way") {
    // The ninth takes the lanes of the first, which wait longest, and needs none: they must not be forgotten.
    checked_box box(builtin::hgx_h100_8());
    const std::uint64_t bytes = 4 * MiB;
    const simulated::buffer src(box.server, places::host(0), bytes), dst(box.server, places::gpu(0), bytes);
    const simulated::buffer few(box.server, places::host(0), 8 * 4096), there(box.server, places::gpu(0), 8 * 4096);
    src.fill(1);
    const std::size_t before = box.server.allocations();
    const auto slow = box.stream_on(0);
    {
        checked_mover moves(box.on, relaying);
        box.server.launch(slow, 1e6);
        const auto first = moves.copy(dst.data(), src.data(), bytes, slow);
        REQUIRE(first);
        CHECK(first->routes() > 1);
        for (int i = 0; i < 8; ++i) {
            const auto other = box.stream_on(0);
            box.server.launch(other, i < 7 ? 1e4 : 0);
            REQUIRE(moves.copy(there.data() + 4096 * i, few.data() + 4096 * i, 4096, other));
        }
    }
    INFO(box.on.first());
    CHECK(box.server.now_us() > 1e6);
    CHECK(box.server.allocations() == before);
    const auto end = box.server.make_event(box.server.issuer(slow)).value();
    REQUIRE(box.on.record(end, slow)); // what runs in the user's own stream is the user's to wait for
    REQUIRE(box.on.synchronize(end));
    CHECK(dst.holds(1));
    CHECK(box.in_order());
}

TEST_CASE("A larger copy does not take a ring from under another stream's copy") {
    checked_box box(builtin::hgx_h100_8());
    const std::uint64_t small = 2 * MiB, large = 96 * MiB;
    const simulated::buffer src(box.server, places::host(0), small), dst(box.server, places::gpu(0), small);
    const simulated::buffer from(box.server, places::host(0), large), to(box.server, places::gpu(0), large);
    const simulated::buffer few(box.server, places::host(0), 8 * 4096), there(box.server, places::gpu(0), 8 * 4096);
    src.fill(1);
    from.fill(2);
    checked_mover moves(box.on, {.relays = gpu_set::none().insert(gpu_id{1})}); // one relay, one ring
    const auto slow = box.stream_on(0);
    box.server.launch(slow, 1e6);
    const auto first = moves.copy(dst.data(), src.data(), small, slow);
    REQUIRE(first);
    CHECK(first->routes() == 2);
    sim::stream last;
    for (int i = 0; i < 8; ++i) {
        last = box.stream_on(0);
        box.server.launch(last, i < 7 ? 1e6 : 0);
        REQUIRE(moves.copy(there.data() + 4096 * i, few.data() + 4096 * i, 4096, last));
    }
    const auto started = moves.copy(to.data(), from.data(), large, last);
    REQUIRE(started);
    CHECK(started->routes() == 2);
    REQUIRE(started->wait());
    CHECK(to.holds(2));
    const auto end = box.server.make_event(box.server.issuer(slow)).value();
    REQUIRE(box.on.record(end, slow));
    REQUIRE(box.on.synchronize(end));
    CHECK(dst.holds(1));
    INFO(box.on.first());
    CHECK(box.in_order());
}

TEST_CASE("Pageable memory: loading returns when the source was read, storing when the bytes are there") {
    for (const char* name : {"hgx-h100-8", "dgx1-v100", "gh200", "rtx4090-pcie-8"}) {
        checked_box box(builtin::find(name).value());
        const std::uint64_t bytes = 6 * MiB + 4095;
        std::vector<char> ordinary(bytes); // not from the runtime: pageable all the same
        const simulated::buffer device(box.server, places::gpu(0), bytes);
        const auto stream = box.stream_on(0);
        checked_mover moves(box.on, relaying);
        INFO(name);

        patterned::fill(ordinary.data(), bytes, 1);
        box.on.thread_writes(ordinary.data(), bytes);
        const auto load = moves.copy(device.data(), ordinary.data(), bytes, stream);
        REQUIRE(load);
        box.on.thread_writes(ordinary.data(), bytes);
        patterned::fill(ordinary.data(), bytes, 2);
        REQUIRE(load->wait());
        CHECK(device.holds(1));

        box.server.launch(
            stream, 2000, [](void* at) { static_cast<const simulated::buffer*>(at)->fill(3); },
            const_cast<simulated::buffer*>(&device));
        box.on.kernel_writes(stream, device.data(), bytes);
        const auto store = moves.copy(ordinary.data(), device.data(), bytes, stream);
        REQUIRE(store);
        box.on.thread_reads(ordinary.data(), bytes);
        CHECK(patterned::holds(ordinary.data(), bytes, 3));
        CHECK(store->wait());
        INFO(box.on.first());
        CHECK(box.in_order());
    }
}

TEST_CASE("Parts of striped memory move whatever their phase, size and stripes") {
    generated::random_source random(11);
    for (const char* name : {"dgx1-v100", "dgx-a100", "gh200", "hgx-h100-8"}) {
        const machine m = builtin::find(name).value();
        const auto nodes = static_cast<std::uint64_t>(m.count(node_kind::memory));
        for (const std::uint64_t stripe : {std::uint64_t{4096}, 64 * KiB, 192 * KiB, 2 * MiB, std::uint64_t{5000}})
            for (int part = 0; part < 5; ++part) {
                checked_box box(m);
                const std::uint64_t whole = 3 * nodes * stripe + 3 * MiB;
                void* const host = box.server.allocate_striped(whole, stripe).value();
                // Anything from one byte to several rounds, starting anywhere; the last part is all of it.
                const std::uint64_t offset = part == 4 ? 0 : random.next() % (2 * nodes * stripe);
                const std::uint64_t bytes = part == 4   ? whole
                                            : part == 3 ? 1 + random.next() % 100
                                                        : 1 + random.next() % (whole - offset);
                const simulated::buffer device(box.server, places::gpu(0), bytes);
                checked_mover moves(box.on, relaying);
                const auto stream = box.stream_on(0);
                INFO(name << ", stripes of " << stripe << ", " << bytes << " bytes from " << offset);
                const auto region = moves.resolve(host, whole);
                REQUIRE(region);
                patterned::fill_guard(host, whole);
                patterned::fill(static_cast<char*>(host) + offset, bytes, 1);

                auto started = moves.copy(*moves.resolve(device.data(), bytes), region->part(offset, bytes), stream);
                if (!started) INFO(started.error().what());
                REQUIRE(started);
                REQUIRE(started->wait());
                CHECK(patterned::first_wrong(device.data(), bytes, 1) == bytes);
                CHECK(device.guarded());
                std::uint64_t sum = 0;
                for (std::size_t r = 0; r < started->routes(); ++r) sum += started->route_bytes(r);
                CHECK(sum == bytes);

                device.fill(2); // and back, by address instead of by region
                auto back = moves.copy(static_cast<char*>(host) + offset, device.data(), bytes, stream);
                REQUIRE(back);
                REQUIRE(back->wait());
                CHECK(patterned::first_wrong(static_cast<char*>(host) + offset, bytes, 2) == bytes);
                CHECK(patterned::guarded(host, offset));
                CHECK(patterned::guarded(static_cast<char*>(host) + offset + bytes, whole - offset - bytes));
                CHECK(box.in_order());
            }
    }
}

TEST_CASE("Every byte count from nothing to a few pages arrives whole") {
    const machine m = builtin::dgx1_v100();
    sim::runtime on(m);
    mover<sim::runtime> moves(on, relaying);
    const auto stream = on.make_stream(m.gpu(gpu_id{0})).value();
    for (const auto& [from, to] : {places::pair{places::host(1), places::gpu(0)},
                                   {places::gpu(0), places::gpu(6)},
                                   {places::gpu(1), places::gpu(0)},
                                   {places::pageable(1), places::gpu(0)},
                                   {places::gpu(0), places::pageable(0)},
                                   {endpoint::host_all(), places::gpu(0)}})
        for (const std::uint64_t bytes : {1u, 2u, 7u, 511u, 4095u, 4096u, 4097u, 8191u, 12288u, 65537u}) {
            INFO(to_string(from) << " -> " << to_string(to) << ", " << bytes);
            const simulated::buffer src(on, from, bytes, 0, 4096), dst(on, to, bytes, 0, 4096);
            src.fill(bytes);
            const auto started = moves.copy(dst.data(), src.data(), bytes, stream);
            REQUIRE(started);
            REQUIRE(started->wait());
            CHECK(dst.holds(bytes));
            CHECK(dst.guarded());
        }
    CHECK(on.races() == 0);
}

TEST_CASE("The user's stream may belong to a GPU at neither end") {
    for (const char* name : {"hgx-h100-8", "dgx1-v100", "rtx4090-pcie-8"})
        for (const auto& [from, to] : {places::pair{places::host(0), places::gpu(1)},
                                       {places::gpu(1), places::host(1)},
                                       {places::gpu(1), places::gpu(2)},
                                       {places::pageable(0), places::gpu(1)},
                                       {places::gpu(1), places::pageable(0)}}) {
            checked_box box(builtin::find(name).value());
            const std::uint64_t bytes = 4 * MiB + 1;
            const simulated::buffer src(box.server, from, bytes), dst(box.server, to, bytes);
            checked_mover moves(box.on, relaying);
            INFO(name << ": " << to_string(from) << " -> " << to_string(to));
            std::uint64_t seed = 0;
            for (const int gpu : {5, 1, 2, 5}) { // and in turn: events belong to GPUs
                const auto stream = box.stream_on(gpu);
                src.fill(++seed);
                box.on.thread_writes(src.data(), bytes);
                const auto started = moves.copy(dst.data(), src.data(), bytes, stream);
                REQUIRE(started);
                REQUIRE(started->wait());
                box.on.thread_reads(dst.data(), bytes);
                CHECK(dst.holds(seed));
            }
            INFO(box.on.first());
            CHECK(box.in_order());
        }
}

TEST_CASE("A ticket knows what each route carried and how long it took") {
    sim::runtime on(builtin::hgx_h100_8(), {.timing_only = true});
    mover<sim::runtime> moves(on, {.relays = gpu_set::all()});
    const auto stream = on.make_stream(on.topology().gpu(gpu_id{0})).value();
    void* const src = simulated::allocate(on, places::host(0), GiB).value();
    void* const dst = simulated::allocate(on, places::gpu(0), GiB).value();
    on.launch(stream, 3000);
    const auto started = moves.copy(dst, src, GiB, stream);
    REQUIRE(started);
    CHECK_FALSE(*started->poll());
    CHECK_FALSE(started->elapsed_us());
    REQUIRE(started->wait());
    CHECK(started->bytes() == GiB);
    const plan& p = **moves.plan_for(*moves.resolve(dst, GiB), *moves.resolve(src, GiB));
    REQUIRE(started->routes() == p.routes.size());
    std::uint64_t sum = 0;
    double longest = 0;
    for (std::size_t r = 0; r < started->routes(); ++r) {
        CHECK(started->route_bytes(r) == p.routes[r].bytes);
        sum += started->route_bytes(r);
        const double us = started->route_us(r).value();
        CHECK(us > 0.9 * *started->elapsed_us()); // they end together
        longest = std::max(longest, us);
    }
    CHECK(sum == GiB);
    CHECK(longest <= *started->elapsed_us());
    CHECK(*started->elapsed_us() == Approx(p.predicted_us).epsilon(0.06)); // without the kernel before it
    CHECK(started->route_bytes(99) == 0);
    CHECK_FALSE(started->route_us(99));
    CHECK(started->fallbacks().empty());
}

TEST_CASE("A ticket that 64 later copies overtook still tells the truth") {
    sim::runtime on(builtin::hgx_h100_8());
    const std::uint64_t bytes = 64 * KiB;
    const simulated::buffer src(on, places::host(0), bytes), dst(on, places::gpu(0), bytes);
    const simulated::buffer other(on, places::gpu(1), bytes);
    src.fill(1);
    mover<sim::runtime> moves(on);
    const auto slow = on.make_stream(on.topology().gpu(gpu_id{0})).value();
    const auto quick = on.make_stream(on.topology().gpu(gpu_id{1})).value();
    on.launch(slow, 1e6);
    const auto first = moves.copy(dst.data(), src.data(), bytes, slow);
    REQUIRE(first);
    for (int i = 0; i < 200; ++i) REQUIRE(moves.copy(other.data(), src.data(), bytes, quick));
    CHECK_FALSE(first->poll().value_or(true));
    REQUIRE(first->wait());
    CHECK(on.now_us() > 1e6);
    CHECK(dst.holds(1));

    // Long done and overtaken: it is done, and does not know more.
    for (int i = 0; i < 300; ++i) {
        const auto later = moves.copy(other.data(), src.data(), bytes, quick);
        REQUIRE(later);
        REQUIRE(later->wait());
    }
    CHECK(*first->poll());
    CHECK(first->wait());
    const auto forgotten = first->elapsed_us();
    REQUIRE_FALSE(forgotten);
    CHECK(forgotten.error().code() == errc::invalid_argument);
    CHECK(first->routes() == 0);
    CHECK(first->route_bytes(0) == 0);
    CHECK_FALSE(first->route_us(0));
}

TEST_CASE("An overtaken ticket does not claim bytes of a copy that failed") {
    sim::runtime on(builtin::hgx_h100_8());
    const machine& m = on.topology();
    const std::uint64_t bytes = 64 * KiB;
    const simulated::buffer src(on, places::gpu(2), bytes), dst(on, places::gpu(3), bytes);
    const simulated::buffer near(on, places::host(0), bytes), far(on, places::gpu(0), bytes);
    sim::faults broken;
    broken.links.push_back({m.hops(*m.path(m.gpu(gpu_id{2}), m.gpu(gpu_id{3}))).front(), 0, 0}); // dead
    on.inject(broken);
    mover<sim::runtime> moves(on);
    const auto stream = on.make_stream(m.gpu(gpu_id{2})).value(), good = on.make_stream(m.gpu(gpu_id{0})).value();
    const auto failed = moves.copy(dst.data(), src.data(), bytes, stream);
    REQUIRE(failed); // it is only enqueued
    for (int i = 0; i < 200; ++i) {
        const auto later = moves.copy(far.data(), near.data(), bytes, good);
        REQUIRE(later);
        REQUIRE(later->wait());
    }
    CHECK_FALSE(failed->wait());
    CHECK_FALSE(failed->poll());
}

TEST_CASE("A ring that finds no room is made smaller, and the ticket says so") {
    const machine m = builtin::hgx_h100_8();
    const std::uint64_t bytes = 64 * MiB + 5;
    sim::runtime server(m);
    tight_runtime on(server);
    const simulated::buffer src(server, places::host(0), bytes), dst(server, places::gpu(0), bytes);
    src.fill(1);
    request asked = places::request(places::host(0), places::gpu(0), bytes, gpu_set::all());
    const plan p = default_planner(m).make(asked).value();
    node_index relay = no_node;
    std::uint64_t chunk = 0;
    for (const route& r : p.routes)
        if (r.leg_count > 1) {
            relay = r.legs[0].to;
            chunk = r.chunk_bytes;
        }
    REQUIRE(relay != no_node);
    REQUIRE(chunk >= 256 * KiB);
    mover<tight_runtime> moves(on, {.relays = gpu_set::all()});
    const auto stream = server.make_stream(m.gpu(gpu_id{0})).value();

    on.refuse(relay, chunk); // room for less than a slot of a ring of three
    std::uint64_t asked_before = 0;
    for (int i = 0; i < 3; ++i) {
        dst.clear();
        const auto started = moves.copy(dst.data(), src.data(), bytes, stream);
        REQUIRE(started);
        if (i > 0) CHECK_FALSE(*started->poll()); // it does not block, and does not try again
        REQUIRE(started->wait());
        CHECK(dst.holds(1));
        CHECK(server.races() == 0);
        REQUIRE_FALSE(started->fallbacks().empty());
        CHECK(started->fallbacks().front().find(m.at(relay).id()) != std::string::npos);
        CHECK(started->fallbacks().front().find(std::to_string(chunk)) != std::string::npos);
        if (i > 0) CHECK(on.asked() == asked_before);
        asked_before = on.asked();
    }
}

TEST_CASE("A relay without room for the smallest ring is left out, in words, until plans are forgotten") {
    const machine m = builtin::hgx_h100_8();
    const std::uint64_t bytes = 64 * MiB;
    sim::runtime server(m);
    tight_runtime on(server);
    const simulated::buffer src(server, places::host(0), bytes), dst(server, places::gpu(0), bytes);
    src.fill(1);
    const auto stream = server.make_stream(m.gpu(gpu_id{0})).value();
    int left_out = 0;
    for (int g = 1; g < 8; ++g) {
        mover<tight_runtime> moves(on, {.relays = gpu_set::none().insert(gpu_id{g})});
        const auto copied = [&] {
            dst.clear();
            auto started = moves.copy(dst.data(), src.data(), bytes, stream);
            REQUIRE(started);
            REQUIRE(started->wait());
            CHECK(dst.holds(1));
            return *std::move(started);
        };
        on.refuse(m.gpu(gpu_id{g}), 0);
        const auto without = copied();
        if (without.fallbacks().empty()) continue; // this relay was not wanted
        ++left_out;
        CHECK(without.fallbacks().front().find("gpu:" + std::to_string(g)) != std::string::npos);
        CHECK(without.routes() == 1);
        on.refuse(no_node, 0);
        CHECK(copied().routes() == 1); // still left out
        moves.forget_plans();
        CHECK(copied().routes() == 2);
    }
    CHECK(left_out == 7);
    CHECK(server.allocations() == 2);
}

TEST_CASE("Mistakes are named") {
    sim::runtime on(builtin::hgx_h100_8());
    mover<sim::runtime> moves(on);
    const machine& m = on.topology();
    const auto stream = on.make_stream(m.gpu(gpu_id{0})).value();
    const simulated::buffer host(on, places::host(0), MiB), device(on, places::gpu(0), MiB),
        far(on, places::gpu(1), MiB);
    const simulated::buffer other_host(on, places::host(1), MiB);
    const auto refused = [&](void* dst, const void* src, std::uint64_t bytes, errc code) {
        const auto started = moves.copy(dst, src, bytes, stream);
        return !started && started.error().code() == code && *started.error().what() != '\0';
    };
    CHECK(refused(nullptr, host.data(), MiB, errc::invalid_argument));
    CHECK(refused(device.data(), nullptr, MiB, errc::invalid_argument));
    CHECK(refused(device.data(), host.data(), 0, errc::invalid_argument));
    CHECK(refused(device.data(), host.data(), GiB, errc::invalid_argument));             // past both ends
    CHECK(refused(device.data() + MiB, host.data(), MiB, errc::invalid_argument));       // past one
    CHECK(refused(host.data() + 4096, host.data(), MiB - 4096, errc::invalid_argument)); // overlapping
    CHECK(refused(device.data() + 1, device.data(), 4096, errc::invalid_argument));      // overlapping on a GPU
    CHECK(refused(device.data() + 8192, device.data(), 4096, errc::invalid_argument));   // one GPU at both ends
    CHECK(refused(other_host.data(), host.data(), MiB, errc::invalid_argument));         // no GPU at all
    CHECK(refused(device.data(), host.data(), max_transfer_bytes + 1, errc::invalid_argument));
    const auto uneven = moves.copy(*moves.resolve(device.data(), 100), *moves.resolve(host.data(), 200), stream);
    REQUIRE_FALSE(uneven);
    CHECK(uneven.error().code() == errc::invalid_argument);
    CHECK(std::string(uneven.error().what()).find("size") != std::string::npos);
    CHECK(moves.copy(device.data(), host.data(), MiB, stream)); // and it still works
}

TEST_CASE("A plan runs on ranges of its size, and no others") {
    sim::runtime on(builtin::hgx_h100_8());
    mover<sim::runtime> moves(on);
    const auto stream = on.make_stream(on.topology().gpu(gpu_id{0})).value();
    const simulated::buffer src(on, places::host(0), MiB), dst(on, places::gpu(0), MiB);
    src.fill(1);
    const auto whole = moves.resolve(dst.data(), MiB).value(), from = moves.resolve(src.data(), MiB).value();
    const plan p = **moves.plan_for(whole, from);
    const auto shorter = moves.run(p, whole.part(0, MiB - 1), from.part(0, MiB - 1), stream);
    REQUIRE_FALSE(shorter);
    CHECK(shorter.error().code() == errc::invalid_argument);
    CHECK_FALSE(moves.run(p, whole, from.part(0, MiB - 1), stream));
    CHECK_FALSE(moves.run(p, whole.part(0, MiB - 1), from, stream));
    const auto started = moves.run(p, whole, from, stream);
    REQUIRE(started);
    REQUIRE(started->wait());
    CHECK(dst.holds(1));
}

TEST_CASE("A plan rebinds to other ranges, as often as one likes") {
    checked_box box(builtin::dgx1_v100());
    const std::uint64_t bytes = 2 * MiB + 77;
    checked_mover moves(box.on, relaying);
    const auto stream = box.stream_on(0);
    request asked = moves.request_for(region{}, region{});
    asked.from = places::host(0);
    asked.to = places::gpu(0);
    asked.bytes = bytes;
    const plan p = default_planner(box.server.topology()).make(asked).value();
    CHECK(p.routes.size() > 1);
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        const simulated::buffer src(box.server, places::host(0), bytes, seed * 100);
        const simulated::buffer dst(box.server, places::gpu(0), bytes, seed * 64);
        src.fill(seed);
        const auto started = moves.run(p, *moves.resolve(dst.data(), bytes), *moves.resolve(src.data(), bytes), stream);
        REQUIRE(started);
        REQUIRE(started->wait());
        CHECK(dst.holds(seed));
        CHECK(dst.guarded());
    }
    CHECK(box.in_order());
}

TEST_CASE("Pageable memory is refused while a stream is captured; pinned memory is not") {
    null_runtime on(builtin::hgx_h100_8());
    const machine& m = on.topology();
    mover<null_runtime> moves(on, {.relays = gpu_set::all()});
    const auto stream = on.make_stream(m.gpu(gpu_id{0})).value();
    void* const device = null_runtime::address(memory_kind::device, m.gpu(gpu_id{0}));
    void* const pinned = null_runtime::address(memory_kind::pinned, m.memory(numa_id{0}));
    void* const ordinary = null_runtime::address(memory_kind::pageable, m.memory(numa_id{0}));
    on.capture(true);
    for (const bool load : {true, false}) {
        const auto refused = moves.copy(load ? device : ordinary, load ? ordinary : device, 32 * MiB, stream);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code() == errc::unsupported);
        CHECK(moves.copy(load ? device : pinned, load ? pinned : device, 32 * MiB, stream));
    }
    on.capture(false);
    CHECK(moves.copy(device, ordinary, 32 * MiB, stream));
}

TEST_CASE("Without leave to relay or to stage, no other memory is touched") {
    sim::runtime on(builtin::dgx1_v100(), {.timing_only = true, .trace = true});
    const machine& m = on.topology();
    for (const bool stage : {true, false}) {
        mover<sim::runtime> moves(on, {.relays = gpu_set::none().insert(gpu_id{1}), .stage_in_host = stage});
        for (const auto& [from, to] : places::pairs(m)) {
            void* const src = simulated::allocate(on, from, 64 * MiB).value();
            void* const dst = simulated::allocate(on, to, 64 * MiB).value();
            on.clear_trace();
            const auto stream = on.make_stream(simulated::gpu_of(m, from, to)).value();
            const auto started = moves.copy(dst, src, 64 * MiB, stream);
            if (started) REQUIRE(started->wait());
            for (const copy_record& copy : on.trace())
                for (const node_index touched : {copy.from, copy.to}) {
                    const node& n = m.at(touched);
                    const bool host_end = from.on_host() || to.on_host();
                    const bool allowed = n.kind == node_kind::memory
                                             ? stage || host_end
                                             : n.index == 1 || (!from.on_host() && n.index == from.index) ||
                                                   (!to.on_host() && n.index == to.index);
                    if (!allowed) FAIL_CHECK(to_string(from) << " -> " << to_string(to) << " touches " << n.id());
                }
            REQUIRE(on.release(src));
            REQUIRE(on.release(dst));
        }
    }
}

TEST_CASE("Plans are forgotten on request and made for the machine as it is then") {
    sim::runtime on(builtin::hgx_h100_8());
    mover<sim::runtime> moves(on);
    const simulated::buffer src(on, places::host(0), MiB), dst(on, places::gpu(0), MiB);
    const region to = *moves.resolve(dst.data(), MiB), from = *moves.resolve(src.data(), MiB);
    const plan first = **moves.plan_for(to, from);
    moves.forget_plans();
    CHECK(**moves.plan_for(to, from) == first);
}
