// Stream order through the CUDA code: producers, consumers, and every wait and record in turn forgotten.
#include <cstdint>
#include <string>
#include <vector>

#include <barelink/move/cuda.hpp>

#include <support/catch.hpp>
#include <support/cuda_box.hpp>
#include <support/numbered_runtime.hpp>
#include <support/rehearsals.hpp>

using namespace barelink;
using namespace rehearsals;

namespace {

/// A stage behind CUDA. A kernel is a row of host functions, which take 100 us each there.
struct cuda_stage {
    using runtime = numbered_runtime<cuda::runtime>;
    using buffer = cuda_box::buffer;

    explicit cuda_stage(const char* machine) : box(machine), on(box.on) {
        // Proofs have a test of their own and would take most of the time here.
        const auto known = box.on.topology().paths();
        for (const dma_path& path : std::vector<dma_path>(known.begin(), known.end()))
            if (path.proof == delivery::unproved) box.on.set_delivery(path.from, path.to, delivery::proved);
    }

    cuda_box::server box;
    runtime on;
    [[nodiscard]] cuda::runtime& memory() { return box.on; }
    void launch(runtime::stream_type s, double us, void (*work)(void*) = nullptr, void* context = nullptr) {
        for (double left = us - 100; left > 0; left -= 100)
            (void)cudaLaunchHostFunc(
                s.inner.handle, [](void*) {}, nullptr);
        (void)cudaLaunchHostFunc(
            s.inner.handle, work ? work : [](void*) {}, context);
    }
    void slow(const std::vector<link_direction>& links) {
        sim::faults weather;
        for (const link_direction where : links) weather.links.push_back({where, 0, on.topology().gb_s(where) / 100});
        simcuda::server().inject(weather);
    }
    [[nodiscard]] std::uint64_t races() const { return simcuda::server().races(); }
    void settle(runtime::stream_type) {
        const int gpus = static_cast<int>(on.topology().count(node_kind::gpu));
        for (int device = 0; device < gpus; ++device)
            if (cudaSetDevice(device) == cudaSuccess) (void)cudaDeviceSynchronize();
    }
};

rehearsal alone(const transfer_scenario& s, const attempt& with) {
    return one_copy<cuda_stage>(s, with);
}
rehearsal shared(const transfer_scenario& s, forgotten what, std::uint64_t number) {
    return shared_lanes<cuda_stage>(s, what, number);
}

} // namespace

TEST_CASE("Copies keep their place between kernels of the same stream, and in shared lanes") {
    for (const transfer_scenario& s : transfer_scenarios) {
        INFO(s.name);
        CHECK(alone(s, {.asking = false}).why == "");
        CHECK(alone(s, {}).why == "");
        CHECK(shared(s, forgotten::nothing, 0).why == "");
        CHECK(simcuda::pending_error() == cudaSuccess);
    }
}

TEST_CASE("Forgetting any one call of a copy over CUDA is noticed, but for those that a single copy does not need") {
    check_that_every_call_counts(alone);
}

TEST_CASE("A cudaStreamWaitEvent that does nothing shows in bytes or races once the right link is slow") {
    std::uint64_t tried = 0, shown = 0;
    for (const transfer_scenario& s : transfer_scenarios) {
        const auto skies = weathers(s, builtin::find(s.machine).value());
        const std::uint64_t waits = alone(s, {forgotten::wait, ~0ull}).calls;
        for (std::uint64_t number = 0; number < waits; number += 4) {
            ++tried;
            for (const auto& sky : skies) {
                attempt with{forgotten::nothing, number, true, sky, nullptr};
                with.before_copy = [](const attempt& self) {
                    simcuda::fail("cudaStreamWaitEvent", self.number, cudaSuccess);
                };
                if (alone(s, with).by_bytes) {
                    ++shown;
                    break;
                }
            }
        }
    }
    // The rest are waits that one copy engine's order stands in for, and those at the end of pageable stores.
    INFO(shown << " of " << tried);
    CHECK(tried > 60);
    CHECK(shown >= tried * 85 / 100);
}

TEST_CASE("A producer in one stream, the copy in a second, a consumer in a third") {
    cuda_box::server box("hgx-h100-8");
    numbered_runtime<cuda::runtime> numbered(box.on);
    ordering_runtime<numbered_runtime<cuda::runtime>> on(numbered);
    const std::uint64_t bytes = 3 * MiB + 5;
    const cuda_box::buffer host(box.on, places::host(0), bytes), first(box.on, places::gpu(2), bytes),
        second(box.on, places::gpu(2), bytes), third(box.on, places::gpu(4), bytes),
        back(box.on, places::host(1), bytes);
    mover<ordering_runtime<numbered_runtime<cuda::runtime>>> moves(
        on, {.relays = gpu_set::all(), .scratch_bytes = 512 * KiB});
    const auto producer = on.make_stream(box.gpu(2)).value(), copier = on.make_stream(box.gpu(2)).value(),
               consumer = on.make_stream(box.gpu(4)).value();
    const auto made = on.make_event(box.gpu(2), false).value(), moved = on.make_event(box.gpu(2), false).value(),
               read = on.make_event(box.gpu(4), false).value();
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        on.thread_writes(host.data(), bytes);
        host.fill(seed);
        // Producers are a load and a fill of the GPU's own; consumers a store and a read by the thread.
        REQUIRE(on.copy(first.data(), host.data(), bytes, producer));
        REQUIRE(cudaMemsetAsync(second.data(), static_cast<int>(seed), bytes, producer.inner.handle) == cudaSuccess);
        on.kernel_writes(producer, second.data(), bytes);
        REQUIRE(on.record(made, producer));
        REQUIRE(on.wait(copier, made));
        const auto ticket = moves.copy(third.data(), first.data(), bytes, copier);
        REQUIRE(ticket);
        REQUIRE(on.record(moved, copier));
        REQUIRE(on.wait(consumer, moved));
        const auto stored = moves.copy(back.data(), third.data(), bytes, consumer);
        REQUIRE(stored);
        const auto over = moves.copy(third.data(), second.data(), bytes, consumer);
        REQUIRE(over);
        REQUIRE(on.record(read, consumer));
        REQUIRE(on.synchronize(read));
        on.thread_reads(back.data(), bytes);
        CHECK(back.holds(seed));
        CHECK(first.holds(seed));
        CHECK(static_cast<unsigned char>(third.data()[bytes - 1]) == seed);
        CHECK(std::memcmp(third.data(), second.data(), bytes) == 0);
        REQUIRE(over->wait());
    }
    INFO(on.first());
    CHECK(on.violations() == 0);
    CHECK(simcuda::server().races() == 0);
    CHECK(simcuda::pending_error() == cudaSuccess);
}
