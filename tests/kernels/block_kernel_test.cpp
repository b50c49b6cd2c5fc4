// The block kernel as nvcc compiles it, launched on a simulated server, where the CPU runs the kernel's own code.
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <barelink/machine/builtin.hpp>

#include <support/catch.hpp>
#include <support/cuda_box.hpp>
#include <support/patterned_bytes.hpp>
#include <support/simcuda/simcuda.hpp>

#include "kernels.hpp"

using namespace barelink;

namespace {

char* on_device(int device, std::size_t bytes) {
    void* at = nullptr;
    REQUIRE(cudaSetDevice(device) == cudaSuccess);
    REQUIRE(cudaMalloc(&at, bytes) == cudaSuccess);
    patterned::fill_guard(at, bytes);
    return static_cast<char*>(at);
}
char* pinned(std::size_t bytes) {
    void* at = nullptr;
    REQUIRE(cudaHostAlloc(&at, bytes, cudaHostAllocPortable | cudaHostAllocMapped) == cudaSuccess);
    patterned::fill_guard(at, bytes);
    return static_cast<char*>(at);
}
cudaStream_t stream_on(int device) {
    cudaStream_t made = nullptr;
    REQUIRE(cudaSetDevice(device) == cudaSuccess);
    REQUIRE(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking) == cudaSuccess);
    return made;
}

/// A list in pinned memory, as the kernel wants it.
struct pinned_list {
    explicit pinned_list(const std::vector<block>& entries)
        : at(reinterpret_cast<block*>(pinned((entries.size() + 1) * sizeof(block)))),
          count(static_cast<std::uint32_t>(entries.size())) {
        set(entries);
    }
    void set(const std::vector<block>& entries) const {
        for (std::size_t i = 0; i < entries.size(); ++i) at[i] = entries[i];
    }
    block* at;
    std::uint32_t count;
};

constexpr std::uint64_t size = 4 * MiB;

/// Entries of many sizes and alignments that cover both buffers without touching each other, in a scattered order.
std::vector<block> scattered(char* to, const char* from, std::uint64_t shift) {
    std::vector<block> list;
    std::uint64_t at = 0;
    for (std::uint64_t i = 0; at + 70000 < size; ++i) {
        const std::uint64_t drawn = patterned::word_at(9, i) >> 33;
        const std::uint64_t bytes = i % 7 == 0 ? drawn % 3 : i % 50 == 3 ? 65536 : drawn % 9000;
        list.push_back({to + at + shift, from + at, bytes});
        at += bytes + 1 + drawn % 20;
    }
    for (std::size_t i = list.size() - 1; i > 0; --i)
        std::swap(list[i], list[(patterned::word_at(4, i) >> 20) % (i + 1)]);
    return list;
}
/// Whether a buffer holds what the entries say, and guard bytes elsewhere.
bool holds(const char* target, const std::vector<block>& list) {
    std::vector<char> expected(size, static_cast<char>(patterned::guard));
    for (const block& each : list)
        if (each.bytes > 0)
            std::memcpy(expected.data() + (static_cast<char*>(each.to) - target), each.from, each.bytes);
    return std::memcmp(expected.data(), target, size) == 0;
}

struct box {
    explicit box(const char* name = "hgx-h100-8") {
        simcuda::reset(builtin::find(name).value());
        gpu = on_device(0, size);
        host = pinned(size);
        stream = stream_on(0);
    }
    char* gpu = nullptr;
    char* host = nullptr;
    cudaStream_t stream = nullptr;
};

} // namespace

TEST_CASE("kernels: every layout arrives, to and from a GPU and inside it, aligned alike or not") {
    for (const std::uint64_t shift : {0u, 16u, 8u, 4u, 1u}) {
        CAPTURE(shift);
        box b;
        char* const second = on_device(0, size);
        char* const back = pinned(size);
        patterned::fill(b.host, size, 1);
        const auto run = [&](char* to, const char* from) {
            const std::vector<block> list = scattered(to, from, shift);
            const pinned_list there(list);
            REQUIRE(kernels::block_kernel()(there.at, there.count, 16, b.stream) == cudaSuccess);
            REQUIRE(cudaStreamSynchronize(b.stream) == cudaSuccess);
            return holds(to, list);
        };
        CHECK(run(b.gpu, b.host));
        CHECK(run(second, b.gpu));
        CHECK(run(back, second));
        CHECK(simcuda::calls("cudaLaunchKernel") == 3);
    }
}

TEST_CASE("kernels: two units hold the kernel, and each launches it") {
    box b;
    patterned::fill(b.host, size, 2);
    const std::vector<block> list = scattered(b.gpu, b.host, 0);
    const pinned_list there(list);
    REQUIRE(kernels::another_block_kernel()(there.at, there.count, 3, b.stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(b.stream) == cudaSuccess);
    CHECK(holds(b.gpu, list));
}

TEST_CASE("kernels: a launch keeps its place in the stream and takes time") {
    box b;
    patterned::fill(b.host, size, 3);
    const pinned_list there({{b.gpu, b.host, size}});
    cudaEvent_t start = nullptr, end = nullptr;
    REQUIRE(cudaEventCreate(&start) == cudaSuccess);
    REQUIRE(cudaEventCreate(&end) == cudaSuccess);
    REQUIRE(cudaEventRecord(start, b.stream) == cudaSuccess);
    REQUIRE(kernels::block_kernel()(there.at, 1, 16, b.stream) == cudaSuccess);
    REQUIRE(cudaEventRecord(end, b.stream) == cudaSuccess);
    CHECK(cudaEventQuery(end) == cudaErrorNotReady);
    CHECK(patterned::guarded(b.gpu, size));
    // A copy behind it sees its bytes.
    char* const back = pinned(size);
    REQUIRE(cudaMemcpyAsync(back, b.gpu, size, cudaMemcpyDefault, b.stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(b.stream) == cudaSuccess);
    CHECK(patterned::holds(back, size, 3));
    float ms = 0;
    REQUIRE(cudaEventElapsedTime(&ms, start, end) == cudaSuccess);
    const double gb_s = static_cast<double>(size) / (static_cast<double>(ms) * 1e6);
    CHECK(gb_s > 20);
    CHECK(gb_s < 56); // one PCIe link
}

TEST_CASE("kernels: captured, a launch reads its list anew each time") {
    box b;
    patterned::fill(b.host, size, 4);
    const std::vector<block> first = {{b.gpu, b.host, 1000}, {b.gpu + 5000, b.host + 64, 3000}};
    const std::vector<block> second = {{b.gpu + 10000, b.host + 77, 2000}, {b.gpu + 20000, b.host, 0}};
    const pinned_list there(first);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    REQUIRE(cudaStreamBeginCapture(b.stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
    REQUIRE(kernels::block_kernel()(there.at, there.count, 8, b.stream) == cudaSuccess);
    REQUIRE(cudaStreamEndCapture(b.stream, &graph) == cudaSuccess);
    std::size_t nodes = 0;
    REQUIRE(cudaGraphGetNodes(graph, nullptr, &nodes) == cudaSuccess);
    REQUIRE(nodes == 1);
    cudaGraphNode_t node = nullptr;
    REQUIRE(cudaGraphGetNodes(graph, &node, &nodes) == cudaSuccess);
    cudaGraphNodeType type = cudaGraphNodeTypeEmpty;
    REQUIRE(cudaGraphNodeGetType(node, &type) == cudaSuccess);
    CHECK(type == cudaGraphNodeTypeKernel);
    REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
    CHECK(patterned::guarded(b.gpu, size));
    REQUIRE(cudaGraphLaunch(exec, b.stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(b.stream) == cudaSuccess);
    CHECK(holds(b.gpu, first));
    there.set(second);
    REQUIRE(cudaGraphLaunch(exec, b.stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(b.stream) == cudaSuccess);
    CHECK(holds(b.gpu, {first[0], first[1], second[0]}));
}

TEST_CASE("kernels: another GPU's memory needs access, and pageable memory is out of reach") {
    box b;
    char* const peer = on_device(3, size);
    patterned::fill(peer, size, 5);
    const pinned_list from_peer({{b.gpu, peer, 4096}});
    REQUIRE(cudaSetDevice(0) == cudaSuccess);
    REQUIRE(cudaDeviceEnablePeerAccess(3, 0) == cudaSuccess);
    REQUIRE(kernels::block_kernel()(from_peer.at, 1, 16, b.stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(b.stream) == cudaSuccess);
    CHECK(patterned::holds(b.gpu, 4096, 5));
    { // no access to this one
        box fresh;
        char* const far = on_device(2, size);
        const pinned_list list({{fresh.gpu, far, 4096}});
        REQUIRE(cudaSetDevice(0) == cudaSuccess);
        REQUIRE(kernels::block_kernel()(list.at, 1, 16, fresh.stream) == cudaSuccess);
        CHECK(cudaStreamSynchronize(fresh.stream) == cudaErrorIllegalAddress);
        CHECK(cudaGetLastError() == cudaErrorIllegalAddress);
        CHECK(cudaGetLastError() == cudaErrorIllegalAddress); // sticky
    }
    { // ordinary memory of the host; an entry of no bytes has no address to be wrong
        box fresh;
        std::vector<char> ordinary(4096);
        const pinned_list list({{nullptr, ordinary.data(), 0}, {fresh.gpu, ordinary.data(), 4096}});
        REQUIRE(kernels::block_kernel()(list.at, 1, 16, fresh.stream) == cudaSuccess);
        CHECK(cudaStreamSynchronize(fresh.stream) == cudaSuccess);
        REQUIRE(kernels::block_kernel()(list.at, 2, 16, fresh.stream) == cudaSuccess);
        CHECK(cudaStreamSynchronize(fresh.stream) == cudaErrorIllegalAddress);
        CHECK(patterned::guarded(fresh.gpu, size));
    }
    { // past the end of its allocation
        box fresh;
        const pinned_list list({{fresh.gpu + size - 8, fresh.host, 16}});
        REQUIRE(kernels::block_kernel()(list.at, 1, 16, fresh.stream) == cudaSuccess);
        CHECK(cudaStreamSynchronize(fresh.stream) == cudaErrorIllegalAddress);
    }
}

TEST_CASE("kernels: what a launch refuses") {
    box b;
    const pinned_list list({{b.gpu, b.host, 64}});
    CHECK(kernels::block_kernel()(nullptr, 0, 16, b.stream) == cudaSuccess);
    CHECK(kernels::block_kernel()(list.at, 0, 16, b.stream) == cudaSuccess);
    CHECK(kernels::block_kernel()(nullptr, 1, 16, b.stream) == cudaErrorInvalidValue);
    CHECK(kernels::block_kernel()(list.at, 1, 0, b.stream) == cudaErrorInvalidValue);
    CHECK(simcuda::calls("cudaLaunchKernel") == 0);
    REQUIRE(cudaSetDevice(1) == cudaSuccess); // the stream is GPU 0's
    CHECK(kernels::block_kernel()(list.at, 1, 16, b.stream) == cudaErrorInvalidResourceHandle);
    CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle);
    REQUIRE(cudaSetDevice(0) == cudaSuccess);
    simcuda::fail("cudaLaunchKernel", 0, cudaErrorLaunchFailure);
    CHECK(kernels::block_kernel()(list.at, 1, 16, b.stream) == cudaErrorLaunchFailure);
    (void)cudaGetLastError();
    CHECK(cudaStreamSynchronize(b.stream) == cudaSuccess);
    CHECK(patterned::guarded(b.gpu, size));
}

TEST_CASE("kernels: a kernel of the caller's own runs as the function that stands for it") {
    box b;
    auto* const ints = reinterpret_cast<int*>(b.gpu);
    std::memset(ints, 0, 100 * sizeof(int));
    simcuda::stand_in(kernels::add_kernel(), {});
    CHECK(kernels::launch_add(ints, 5, 100, 1, 128, b.stream) == cudaErrorNoKernelImageForDevice);

    std::vector<simcuda::kernel_launch> launches;
    simcuda::kernel_stand_in adds;
    adds.argument_bytes = {sizeof(int*), sizeof(int), sizeof(unsigned)};
    adds.us = [](void**, const simcuda::kernel_launch& launch) { return 100.0 * launch.grid.x; };
    adds.run = [&](void** arguments, const simcuda::kernel_launch& launch) {
        launches.push_back(launch);
        int* const at = *static_cast<int**>(arguments[0]);
        for (unsigned i = 0; i < *static_cast<unsigned*>(arguments[2]); ++i) at[i] += *static_cast<int*>(arguments[1]);
    };
    simcuda::stand_in(kernels::add_kernel(), adds);
    const double before_us = simcuda::server().now_us();
    CHECK(kernels::launch_add(ints, 5, 100, 3, 128, b.stream) == cudaSuccess);
    CHECK(kernels::launch_add(ints, 7, 50, 1, 64, b.stream) == cudaSuccess);
    CHECK(ints[0] == 0);
    REQUIRE(cudaStreamSynchronize(b.stream) == cudaSuccess);
    CHECK(ints[0] == 12);
    CHECK(ints[99] == 5);
    REQUIRE(launches.size() == 2);
    CHECK(launches[0].grid.x == 3);
    CHECK(launches[1].block.x == 64);
    CHECK(launches[0].device == 0);
    const double us = simcuda::server().now_us() - before_us;
    CHECK(us > 400);
    CHECK(us < 420);
    CHECK(kernels::launch_add(ints, 1, 1, 1, 2048, b.stream) == cudaErrorInvalidConfiguration);
    CHECK(kernels::launch_add(ints, 1, 1, 0, 32, b.stream) == cudaErrorInvalidConfiguration);
    simcuda::stand_in(kernels::add_kernel(), {}); // nothing here refers to this test any more
}

TEST_CASE("kernels: the mover launches the kernel that its runtime was given") {
    cuda::options chosen;
    chosen.block_kernel = kernels::block_kernel();
    cuda_box::server server("hgx-h100-8", chosen);
    const cuda_box::buffer host(server.on, endpoint::host(numa_id{1}), size),
        gpu(server.on, endpoint::gpu(gpu_id{5}), size);
    mover<cuda::runtime> mover(server.on);
    const cuda::stream stream = server.stream(5);
    host.fill(6);
    gpu.clear();
    const std::vector<block> list = scattered(gpu.data(), host.data(), 0);
    const auto copied = mover.copy_batch(std::span<const block>(list), stream, batch_options::by(block_way::kernel));
    REQUIRE(copied);
    REQUIRE(copied->wait());
    CHECK(copied->fallbacks().empty());
    CHECK(simcuda::calls("cudaLaunchKernel") == 1);
    CHECK(simcuda::calls("cudaMemcpyAsync") == 0);
    CHECK(holds(gpu.data(), list));
    CHECK(gpu.guarded());
    std::vector<block> bad = list;
    bad[17] = {nullptr, host.data(), 64};
    const auto refused = mover.copy_batch(std::span<const block>(bad), stream, batch_options::by(block_way::kernel));
    REQUIRE_FALSE(refused);
    CHECK(std::string(refused.error().what()).find("17") != std::string::npos);
    CHECK(simcuda::calls("cudaLaunchKernel") == 1);
    CHECK(simcuda::server().races() == 0);
}
