// Files to GPUs and back through the CUDA code, and what CUDA sees of it.
#include <cstdint>
#include <string>
#include <vector>

#include <barelink/move/cuda.hpp>
#include <barelink/move/file.hpp>

#include <support/catch.hpp>
#include <support/cuda_box.hpp>
#include <support/file_scenarios.hpp>

using namespace barelink;

namespace {

file_options small() {
    file_options o;
    o.chunk_bytes = 64 * KiB;
    o.ring_bytes = 1 * MiB;
    o.workers = 2;
    return o;
}

} // namespace

TEST_CASE("Ranges of any size and alignment arrive in any memory through the CUDA code") {
    for (const char* name : {"hgx-h100-8", "dgx1-v100", "rtx4090-pcie-8", "gh200"})
        for (const file_options& way : file_scenarios::ways()) {
            INFO(name);
            cuda_box::server box(name);
            file_scenarios::loads_everything(box.on, way);
            file_scenarios::shards_a_matrix(box.on, way);
            file_scenarios::stores_and_loads_back(box.on, way);
            CHECK(simcuda::server().races() == 0);
            CHECK(simcuda::pending_error() == cudaSuccess);
        }
}

TEST_CASE("A load touches the GPUs that it loads into and no other, and gives back what it took") {
    const temporary_folder folder;
    const std::string path = folder.file("f", 3 * MiB + 5, 1);
    const source_file file = source_file::open(path.c_str()).value();
    cuda_box::server box("hgx-h100-8");
    void* const to = box.on.allocate(box.gpu(5), file.bytes()).value();
    const cuda::stream stream = box.stream(5);
    const simcuda::live_counts before = simcuda::live();
    {
        file_mover moves(box.on, small());
        const file_range range{&file, 0, file.bytes(), to};
        for (int round = 0; round < 3; ++round) {
            const auto job = moves.load({&range, 1}, stream).value();
            REQUIRE(job.wait());
            CHECK(patterned::holds(to, file.bytes(), 1));
        }
        CHECK(simcuda::live().registrations == before.registrations + 16);
    }
    CHECK(simcuda::live() == before);
    for (int device = 0; device < 8; ++device) CHECK(simcuda::has_context(device) == (device == 5));
    CHECK(simcuda::server().races() == 0);
}

TEST_CASE("Pinned memory that runs out makes the ring smaller; a graph's capture and a lost GPU are errors") {
    const temporary_folder folder;
    const std::string path = folder.file("f", 2 * MiB, 1);
    const source_file file = source_file::open(path.c_str()).value();
    cuda_box::server box("hgx-h100-8");
    void* const to = box.on.allocate(box.gpu(0), file.bytes()).value();
    const cuda::stream stream = box.stream(0);
    const file_range range{&file, 0, file.bytes(), to};
    {
        simcuda::limit_pinned(300 * KiB);
        file_mover moves(box.on, small());
        const auto job = moves.load({&range, 1}, stream).value();
        REQUIRE(job.wait());
        CHECK(patterned::holds(to, file.bytes(), 1));
        REQUIRE(job.notes().size() >= 1);
        bool said = false;
        for (const std::string& note : job.notes()) said |= note.find("the ring on numa:0 has 4 chunks of 16") == 0;
        CHECK(said);
        CHECK(moves.ring_bytes() == 256 * KiB);
        simcuda::limit_pinned(~0ull);
    }
    file_mover moves(box.on, small());
    REQUIRE(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    CHECK(moves.load({&range, 1}, stream).error().code() == errc::unsupported);
    cudaGraph_t graph = nullptr;
    REQUIRE(cudaStreamEndCapture(stream.handle, &graph) == cudaSuccess); // and the capture is whole
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);

    const auto job = moves.load({&range, 1}, stream).value();
    simcuda::lose_device(0);
    const auto lost = job.wait();
    REQUIRE_FALSE(lost);
    CHECK(lost.error().code() == errc::device);
    CHECK(job.progress().arrived < file.bytes());
}
