// Every copy on every machine, through the CUDA code: bytes, times, contexts, what is left behind.
#include <cstdint>
#include <set>
#include <string>

#include <barelink/move/cuda.hpp>

#include <support/catch.hpp>
#include <support/cuda_box.hpp>
#include <support/transfer_scenarios.hpp>

using namespace barelink;

namespace {

/// Ends of every kind; striped and pageable memory among them.
std::vector<places::pair> ends_of(const machine& m) {
    std::vector<places::pair> found = places::pairs(m);
    for (const node_index n : m.all(node_kind::memory))
        for (const node_index g : m.all(node_kind::gpu)) {
            found.emplace_back(places::pageable(m.at(n).index), places::gpu(m.at(g).index));
            found.emplace_back(places::gpu(m.at(g).index), places::pageable(m.at(n).index));
        }
    return found;
}

gpu_set gpus_of(endpoint a, endpoint b) {
    gpu_set both;
    for (const endpoint each : {a, b})
        if (each.where == endpoint::place::gpu) both.insert(gpu_id{each.index});
    return both;
}

} // namespace

TEST_CASE("Every pair of memories of every machine copies through the CUDA code, with relays and without") {
    std::uint64_t copied = 0;
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        const auto ends = ends_of(m);
        for (const bool relays : {false, true}) {
            cuda_box::server box(m);
            mover_options options;
            options.relays = relays ? gpu_set::all() : gpu_set::none();
            options.scratch_bytes = 512 * KiB;
            mover<cuda::runtime> moves(box.on, options);
            for (std::size_t i = 0; i < ends.size(); ++i) {
                const auto [from, to] = ends[i];
                const std::uint64_t bytes = 300001 + 4096 * (i % 7);
                INFO(each.name << ": " << to_string(from) << " -> " << to_string(to) << (relays ? ", relays" : ""));
                const cuda_box::buffer src(box.on, from, bytes, i % 63, 128 * KiB),
                    dst(box.on, to, bytes, i % 13, 128 * KiB);
                src.fill(i);
                dst.clear();
                const int gpu = to.where == endpoint::place::gpu ? to.index : from.index;
                const cuda::stream stream = box.stream(gpu);
                const auto started = moves.copy(dst.data(), src.data(), bytes, stream);
                REQUIRE(started);
                REQUIRE(started->wait());
                CHECK(dst.holds(i));
                CHECK(src.holds(i));
                CHECK((src.guarded() && dst.guarded()));
                CHECK(started->fallbacks().empty());
                const auto us = started->elapsed_us();
                REQUIRE(us);
                CHECK(*us > 0);
                for (std::size_t r = 0; r < started->routes(); ++r) {
                    const auto route_us = started->route_us(r);
                    REQUIRE(route_us);
                    CHECK((*route_us > 0 && *route_us <= *us + 0.01));
                }
                CHECK(box.on.destroy(stream));
                ++copied;
            }
            CHECK(simcuda::pending_error() == cudaSuccess);
            CHECK(simcuda::server().races() == 0);
        }
    }
    INFO(copied << " copies");
    CHECK(copied > 3500);
}

TEST_CASE("Contexts are created on the GPUs of a copy and of its relays, and on no other") {
    for (const auto& [from, to] : {places::pair{places::host(0), places::gpu(3)},
                                   {places::gpu(5), places::pageable(1)},
                                   {places::gpu(2), places::gpu(6)}}) {
        cuda_box::server box("hgx-h100-8");
        CHECK(simcuda::contexts() == 0);
        mover_options options;
        options.relays.insert(gpu_id{7});
        mover<cuda::runtime> moves(box.on, options);
        const int gpu = to.where == endpoint::place::gpu ? to.index : from.index;
        const cuda::stream stream = box.stream(gpu);
        const cuda_box::buffer src(box.on, from, 40 * MiB), dst(box.on, to, 40 * MiB);
        src.fill(1);
        const auto started = moves.copy(dst.data(), src.data(), src.size(), stream);
        REQUIRE(started);
        REQUIRE(started->wait());
        CHECK(dst.holds(1));
        const gpu_set ends = gpus_of(from, to);
        for (int device = 0; device < 8; ++device) {
            INFO(to_string(from) << " -> " << to_string(to) << ", device " << device);
            if (ends.contains(gpu_id{device})) CHECK(simcuda::has_context(device));
            if (!ends.contains(gpu_id{device}) && device != 7) CHECK_FALSE(simcuda::has_context(device));
        }
    }
}

TEST_CASE("A thread without a current GPU asks and page-locks on the GPU that was named as home") {
    cuda_box::server box("hgx-h100-8", {.home = gpu_id{3}});
    const cuda_box::buffer pinned(box.on, places::host(0), 1 * MiB);
    CHECK(box.on.classify(pinned.data(), 4096).value().kind == memory_kind::pinned);
    std::vector<char> other(8192);
    CHECK(box.on.classify(other.data(), other.size()).value().kind == memory_kind::pageable);
    for (int device = 0; device < 8; ++device) CHECK(simcuda::has_context(device) == (device == 3));
}

TEST_CASE("Host memory of both sockets reaches one GPU at 95 % of the bound through the CUDA code") {
    cuda_box::server box("hgx-h100-8", {}, {.timing_only = false});
    mover<cuda::runtime> moves(box.on, {.relays = gpu_set::all()});
    const std::uint64_t bytes = 1 * GiB;
    const cuda_box::buffer src(box.on, endpoint::host_all(), bytes), dst(box.on, places::gpu(0), bytes);
    src.fill(5);
    const cuda::stream stream = box.stream(0);
    const region to = moves.resolve(dst.data(), bytes).value(), from = moves.resolve(src.data(), bytes).value();
    const double bound_gb_s = moves.plan_for(to, from).value()->bound_gb_s;
    const auto started = moves.copy(to, from, stream);
    REQUIRE(started);
    REQUIRE(started->wait());
    CHECK(dst.holds(5));
    const double gb_s = rate_gb_s(static_cast<double>(bytes), started->elapsed_us().value());
    INFO(gb_s << " of " << bound_gb_s << " GB/s over " << started->routes() << " routes");
    CHECK(started->routes() == 8);
    CHECK(bound_gb_s > 440);
    CHECK(gb_s >= 0.95 * bound_gb_s);
    std::uint64_t routed = 0;
    for (std::size_t r = 0; r < started->routes(); ++r) routed += started->route_bytes(r);
    CHECK(routed == bytes);
}

TEST_CASE("Page-locked memory in pieces is copied piece by piece") {
    cuda_box::server box("hgx-h100-8", {.register_bytes = 1 * MiB});
    mover<cuda::runtime> moves(box.on);
    const std::uint64_t bytes = 5 * MiB + 12345;
    const cuda_box::buffer host(box.on, places::host(1), bytes), gpu(box.on, places::gpu(6), bytes);
    const cuda::stream stream = box.stream(6);
    host.fill(3);
    const std::uint64_t before = simcuda::calls("cudaMemcpyAsync");
    const auto up = moves.copy(gpu.data(), host.data(), bytes, stream);
    REQUIRE(up);
    REQUIRE(up->wait());
    CHECK(gpu.holds(3));
    CHECK(simcuda::calls("cudaMemcpyAsync") - before == 6);
    host.clear();
    const auto down = moves.copy(host.data() + 7, gpu.data() + 7, bytes - 7, stream);
    REQUIRE(down);
    REQUIRE(down->wait());
    CHECK(patterned::guarded(host.data(), 7));
    CHECK(std::memcmp(host.data() + 7, gpu.data() + 7, bytes - 7) == 0);
    CHECK(host.guarded());
}

TEST_CASE("What a mover makes it gives back") {
    cuda_box::server box("dgx1-v100");
    const auto before = simcuda::live();
    for (const transfer_scenario& s : transfer_scenarios) {
        if (std::string(s.machine) != "dgx1-v100") continue;
        const cuda_box::buffer src(box.on, s.from, s.bytes, 0, 128 * KiB), dst(box.on, s.to, s.bytes, 0, 128 * KiB);
        const cuda::stream stream = box.stream(s.to.where == endpoint::place::gpu ? s.to.index : s.from.index);
        mover<cuda::runtime> moves(box.on, s.options());
        src.fill(9);
        const auto started = moves.copy(dst.data(), src.data(), s.bytes, stream);
        REQUIRE(started);
        REQUIRE(started->wait());
        CHECK(dst.holds(9));
        CHECK(box.on.destroy(stream));
    }
    CHECK(simcuda::live() == before);
}
