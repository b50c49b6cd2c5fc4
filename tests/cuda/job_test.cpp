// Jobs through the CUDA code: wait, poll, cancel, drop, background, budgets, on the simulated CUDA library.
#include <cstdint>
#include <string>
#include <vector>

#include <barelink/move/cuda.hpp>

#include <support/catch.hpp>
#include <support/cuda_box.hpp>
#include <support/transfer_scenarios.hpp>

using namespace barelink;

namespace {

using cuda_mover = mover<cuda::runtime>;

[[nodiscard]] bool pageable(const transfer_scenario& s) {
    return s.from.where == endpoint::place::pageable || s.to.where == endpoint::place::pageable;
}

} // namespace

TEST_CASE("Jobs of every shape deliver through the CUDA code, waited for and polled") {
    int jobs = 0;
    for (const transfer_scenario& s : transfer_scenarios) {
        if (pageable(s)) continue;
        INFO(s.name);
        cuda_box::server box(s.machine);
        const cuda_box::buffer src(box.on, s.from, s.bytes, 13, 128 * KiB), dst(box.on, s.to, s.bytes, 7, 128 * KiB);
        const cuda::stream stream = box.stream(s.to.where == endpoint::place::gpu ? s.to.index : s.from.index);
        {
            cuda_mover moves(box.on, s.options());
            for (const job_options& chosen :
                 {job_options{}, job_options{.adaptive = false}, job_options{.background = true}})
                for (const bool waiting : {true, false}) {
                    src.fill(static_cast<std::uint64_t>(++jobs));
                    dst.clear();
                    auto started = moves.start(dst.data(), src.data(), s.bytes, stream, chosen);
                    REQUIRE(started);
                    if (waiting) {
                        REQUIRE(started->wait());
                    } else {
                        for (auto done = started->poll();; done = started->poll()) {
                            REQUIRE(done);
                            if (*done) break;
                        }
                    }
                    CHECK(started->bytes_arrived() == s.bytes);
                    CHECK(dst.holds(static_cast<std::uint64_t>(jobs)));
                    CHECK((src.guarded() && dst.guarded()));
                    std::uint64_t carried = 0;
                    for (std::size_t r = 0; r < started->routes(); ++r) {
                        const auto us = started->route_us(r);
                        REQUIRE(us);
                        CHECK((*us > 0) == (started->route_bytes(r) > 0));
                        carried += started->route_bytes(r);
                    }
                    CHECK(carried == s.bytes);
                }
        }
        CHECK(box.on.destroy(stream));
        CHECK(simcuda::pending_error() == cudaSuccess);
        CHECK(simcuda::server().races() == 0);
    }
    CHECK(jobs == 60);
}

TEST_CASE("Later work in the stream sees a job's bytes; a copy in the same stream goes on beside it") {
    cuda_box::server box("hgx-h100-8");
    const std::uint64_t bytes = 32 * MiB + 77;
    const cuda_box::buffer src(box.on, endpoint::host_all(), bytes, 0, MiB), dst(box.on, places::gpu(0), bytes);
    const cuda_box::buffer other_src(box.on, places::host(0), 4 * MiB), other(box.on, places::gpu(0), 4 * MiB);
    const cuda_box::buffer answer(box.on, places::host(0), bytes);
    src.fill(1);
    other_src.fill(2);
    const cuda::stream stream = box.stream(0);
    cuda_mover moves(box.on, {.relays = gpu_set::all()});
    auto started = moves.start(dst.data(), src.data(), bytes, stream);
    REQUIRE(started);
    const auto copied = moves.copy(other.data(), other_src.data(), 4 * MiB, stream);
    REQUIRE(copied);
    REQUIRE(started->wait());
    REQUIRE(cudaMemcpyAsync(answer.data(), dst.data(), bytes, cudaMemcpyDeviceToHost, stream.handle) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(stream.handle) == cudaSuccess);
    CHECK(answer.holds(1));
    CHECK(other.holds(2));
    CHECK(simcuda::server().races() == 0);
}

TEST_CASE("A cancelled job says what arrived, and a dropped one leaves nothing behind") {
    cuda_box::server box("dgx1-v100");
    const std::uint64_t bytes = 12 * MiB + 3;
    const cuda_box::buffer src(box.on, places::host(0), bytes), dst(box.on, places::gpu(0), bytes);
    src.fill(1);
    dst.clear();
    const cuda::stream stream = box.stream(0);
    cuda_mover moves(box.on, {.relays = gpu_set::all(), .scratch_bytes = MiB});
    {
        auto started = moves.start(dst.data(), src.data(), bytes, stream, {.most_chunk_bytes = 128 * KiB});
        REQUIRE(started);
        while (started->bytes_arrived() < bytes / 3) REQUIRE(started->poll());
        const auto arrived = started->cancel();
        REQUIRE(arrived);
        CHECK(*arrived < bytes);
        std::vector<bool> there(bytes, false);
        std::uint64_t listed = 0;
        started->each_arrived([&](std::uint64_t offset, std::uint64_t length) {
            for (std::uint64_t i = 0; i < length; ++i) there[offset + i] = true;
            listed += length;
        });
        CHECK(listed == *arrived);
        std::uint64_t wrong = 0;
        for (std::uint64_t i = 0; i < bytes; ++i)
            wrong += dst.data()[i] != (there[i] ? src.data()[i] : static_cast<char>(patterned::guard));
        CHECK(wrong == 0);
        const auto said = started->wait();
        REQUIRE_FALSE(said);
        CHECK(said.error().code() == errc::cancelled);
    }
    {
        const auto dropped = moves.start(dst.data(), src.data(), bytes, stream);
        REQUIRE(dropped);
    }
    REQUIRE(moves.copy(dst.data(), src.data(), bytes, stream).value().wait());
    CHECK(dst.holds(1));
    CHECK(simcuda::server().races() == 0);
    CHECK(simcuda::pending_error() == cudaSuccess);
}

TEST_CASE("A failed CUDA call ends the job by name, and the next job works") {
    std::uint64_t failed = 0, refused = 0;
    for (const char* function : {"cudaMemcpyAsync", "cudaEventRecord", "cudaStreamWaitEvent", "cudaEventQuery"})
        for (const std::uint64_t number : {0u, 5u, 20u}) {
            INFO(function << ", " << number);
            cuda_box::server box("hgx-h100-8");
            const std::uint64_t bytes = 16 * MiB;
            const cuda_box::buffer src(box.on, endpoint::host_all(), bytes, 0, MiB), dst(box.on, places::gpu(0), bytes);
            const cuda::stream stream = box.stream(0);
            cuda_mover moves(box.on, {.relays = gpu_set::all(), .scratch_bytes = MiB});
            REQUIRE(moves.start(dst.data(), src.data(), bytes, stream).value().wait());
            src.fill(number);
            dst.clear();
            simcuda::fail(function, number, cudaErrorUnknown);
            {
                auto started = moves.start(dst.data(), src.data(), bytes, stream);
                if (!started) {
                    ++refused;
                    CHECK(started.error().native() == cudaErrorUnknown);
                } else if (const auto done = started->wait(); !done) {
                    ++failed;
                    CHECK(done.error().native() == cudaErrorUnknown);
                    CHECK(started->over());
                } else {
                    CHECK(dst.holds(number));
                }
            }
            REQUIRE(moves.start(dst.data(), src.data(), bytes, stream).value().wait());
            CHECK(dst.holds(number));
            CHECK(simcuda::pending_error() == cudaSuccess);
            CHECK(simcuda::server().races() == 0);
        }
    CHECK(failed + refused >= 10);
}

TEST_CASE("Jobs are refused in a capture, and break none") {
    cuda_box::server box("hgx-h100-8");
    const cuda_box::buffer src(box.on, places::host(0), MiB), dst(box.on, places::gpu(0), MiB);
    const cuda::stream stream = box.stream(0);
    cuda_mover moves(box.on);
    REQUIRE(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    const auto started = moves.start(dst.data(), src.data(), MiB, stream);
    REQUIRE_FALSE(started);
    CHECK(started.error().code() == errc::unsupported);
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamEndCapture(stream.handle, &graph) == cudaSuccess);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);
}

TEST_CASE("The budget of a relay holds through the CUDA code") {
    cuda_box::server box("hgx-h100-8");
    const std::uint64_t bytes = 24 * MiB;
    const cuda_box::buffer src(box.on, places::host(0), bytes);
    std::vector<cuda::stream> streams;
    src.fill(4);
    const node_index relay = box.gpu(2);
    std::uint64_t noted = 0;
    std::vector<void*> targets;
    for (int i = 0; i < 5; ++i) {
        streams.push_back(box.stream(0));
        targets.push_back(box.on.allocate(box.gpu(0), bytes).value());
    }
    std::uint64_t budget = 0;
    {
        cuda_mover generous(box.on, {.relays = gpu_set::none().insert(gpu_id{2})});
        REQUIRE(generous.copy(targets[0], src.data(), bytes, streams[0]).value().wait());
        budget = generous.scratch_bytes(relay) * 3 / 2;
        REQUIRE(budget > 0);
    }
    cuda_mover moves(box.on, {.relays = gpu_set::none().insert(gpu_id{2}), .relay_bytes = budget});
    for (std::size_t i = 0; i < 5; ++i) {
        const auto started = moves.copy(targets[i], src.data(), bytes, streams[i]);
        REQUIRE(started);
        noted += !started->fallbacks().empty();
        CHECK(moves.scratch_bytes(relay) <= budget);
        CHECK(simcuda::server().allocated_bytes(relay) <= budget);
    }
    CHECK(noted > 0);
    for (const cuda::stream each : streams) REQUIRE(cudaStreamSynchronize(each.handle) == cudaSuccess);
    for (void* each : targets) {
        CHECK(patterned::first_wrong(each, bytes, 4) == bytes);
        CHECK(box.on.release(each));
    }
}
