// The drop-in copies beside the calls they replace: bytes, order, codes, what is left behind. One simulated server for the
// whole process, because the drop-in functions keep theirs.
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/memcpy.hpp>

#include <support/catch.hpp>
#include <support/patterned_bytes.hpp>
#include <support/simcuda/simcuda.hpp>

using namespace barelink;

namespace {

/// Relays 1 and 2, and pageable copies planned from 1 MiB: so that every way is taken.
void begin() {
    static const bool once = [] {
        simcuda::reset(builtin::hgx_h100_8());
        REQUIRE(memcpy_configure({.relays = gpu_set{}.insert(gpu_id{1}).insert(gpu_id{2}),
                                  .scratch_bytes = 4 * MiB,
                                  .pageable_from_bytes = 1 * MiB},
                                 builtin::hgx_h100_8()) == cudaSuccess);
        return true;
    }();
    CHECK(once);
    CHECK(simcuda::pending_error() == cudaSuccess);
}

class memory {
public:
    enum class kind { pageable, pinned, gpu };
    memory(kind what, std::size_t bytes, int device = 0) : what_(what), bytes_(bytes) {
        if (what == kind::pageable) at_ = static_cast<char*>(std::malloc(bytes));
        if (what == kind::pinned) REQUIRE(cudaHostAlloc(reinterpret_cast<void**>(&at_), bytes, 0) == cudaSuccess);
        if (what != kind::gpu) return;
        REQUIRE(cudaSetDevice(device) == cudaSuccess);
        REQUIRE(cudaMalloc(reinterpret_cast<void**>(&at_), bytes) == cudaSuccess);
        REQUIRE(cudaSetDevice(0) == cudaSuccess);
    }
    memory(const memory&) = delete;
    memory& operator=(const memory&) = delete;
    ~memory() {
        if (what_ == kind::pageable) std::free(at_);
        if (what_ == kind::pinned) (void)cudaFreeHost(at_);
        if (what_ == kind::gpu) (void)cudaFree(at_);
    }
    [[nodiscard]] char* data() const { return at_; }
    void fill(std::uint64_t seed) const { patterned::fill(at_, bytes_, seed); }
    [[nodiscard]] bool holds(std::uint64_t seed) const { return patterned::holds(at_, bytes_, seed); }

private:
    kind what_;
    std::size_t bytes_;
    char* at_ = nullptr;
};

cudaStream_t new_stream(int device = 0) {
    cudaStream_t made = nullptr;
    REQUIRE(cudaSetDevice(device) == cudaSuccess);
    REQUIRE(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking) == cudaSuccess);
    REQUIRE(cudaSetDevice(0) == cudaSuccess);
    return made;
}

struct counted {
    memcpy_counters before = memcpy_counted();
    [[nodiscard]] std::uint64_t left() const { return memcpy_counted().left_to_cuda - before.left_to_cuda; }
    [[nodiscard]] std::uint64_t planned() const { return memcpy_counted().planned - before.planned; }
    [[nodiscard]] std::uint64_t staged() const { return memcpy_counted().staged - before.staged; }
    [[nodiscard]] std::uint64_t fallbacks() const { return memcpy_counted().fallbacks - before.fallbacks; }
};

} // namespace

TEST_CASE("Whatever is copied arrives as with cudaMemcpyAsync, planned or left to CUDA") {
    begin();
    using kind = memory::kind;
    const cudaStream_t stream = new_stream();
    const struct {
        kind from, to;
        int from_device, to_device;
        bool may_stage;
    } ends[] = {{kind::pinned, kind::gpu, 0, 0, false},  {kind::gpu, kind::pinned, 0, 0, false},
                {kind::pageable, kind::gpu, 0, 0, true}, {kind::gpu, kind::pageable, 0, 0, true},
                {kind::gpu, kind::gpu, 0, 3, false},     {kind::gpu, kind::gpu, 5, 0, false},
                {kind::gpu, kind::gpu, 0, 0, false},     {kind::pinned, kind::pageable, 0, 0, false}};
    std::uint64_t seed = 0;
    for (const auto& each : ends)
        for (const std::size_t bytes : {std::size_t{1}, std::size_t{4096}, std::size_t{300001}, 8 * MiB + 3}) {
            INFO(static_cast<int>(each.from) << " -> " << static_cast<int>(each.to) << ", " << bytes << " bytes");
            const memory from(each.from, bytes, each.from_device), to(each.to, bytes, each.to_device);
            const counted count;
            from.fill(++seed);
            REQUIRE(memcpy_async(to.data(), from.data(), bytes, cudaMemcpyDefault, stream) == cudaSuccess);
            if (each.to == kind::pageable) CHECK(to.holds(seed)); // CUDA's semantics: complete on return
            REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
            CHECK(to.holds(seed));
            CHECK(count.left() + count.planned() == 1);
            CHECK(count.fallbacks() == 0);
            if (bytes < 256 * KiB) CHECK(count.left() == 1);
            if (bytes >= 8 * MiB) CHECK(count.staged() == (each.may_stage ? 1 : 0));
            const bool one_memory = each.from != kind::pageable && each.from_device == each.to_device &&
                                    each.from == kind::gpu && each.to == kind::gpu;
            const bool host_only = each.from == kind::pinned && each.to == kind::pageable;
            if (bytes >= 8 * MiB) CHECK(count.planned() == (one_memory || host_only ? 0 : 1));
            CHECK(simcuda::pending_error() == cudaSuccess);
        }
    CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

TEST_CASE("A pageable source may be changed as soon as the call returns, and a stream's order holds") {
    begin();
    const std::size_t bytes = 6 * MiB + 11;
    const memory host(memory::kind::pageable, bytes), first(memory::kind::gpu, bytes),
        second(memory::kind::gpu, bytes, 4);
    const memory back(memory::kind::pinned, bytes);
    const cudaStream_t stream = new_stream();
    host.fill(1);
    REQUIRE(memcpy_async(first.data(), host.data(), bytes, cudaMemcpyHostToDevice, stream) == cudaSuccess);
    host.fill(2);
    REQUIRE(memcpy_async(second.data(), first.data(), bytes, cudaMemcpyDeviceToDevice, stream) == cudaSuccess);
    REQUIRE(memcpy_async(first.data(), host.data(), bytes, cudaMemcpyHostToDevice, stream) == cudaSuccess);
    REQUIRE(memcpy_async(back.data(), second.data(), bytes, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(second.holds(1));
    CHECK(back.holds(1));
    CHECK(first.holds(2));
    CHECK(simcuda::server().races() == 0);
    CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

TEST_CASE("Codes are those of the calls that are replaced") {
    begin();
    const std::size_t bytes = 2 * MiB;
    const memory gpu(memory::kind::gpu, bytes), pinned(memory::kind::pinned, bytes);
    const cudaStream_t stream = new_stream();
    const auto same = [&](void* dst, const void* src, std::size_t count) {
        const cudaError_t theirs = cudaMemcpyAsync(dst, src, count, cudaMemcpyDefault, stream);
        (void)cudaGetLastError();
        const cudaError_t ours = memcpy_async(dst, src, count, cudaMemcpyDefault, stream);
        (void)cudaGetLastError();
        CHECK(ours == theirs);
        return theirs;
    };
    CHECK(same(gpu.data(), pinned.data(), 0) == cudaSuccess);
    CHECK(same(nullptr, pinned.data(), bytes) != cudaSuccess);
    CHECK(same(gpu.data(), nullptr, bytes) != cudaSuccess);
    CHECK(same(gpu.data() + 1 * MiB, pinned.data(), bytes) != cudaSuccess); // past the end of the allocation
    void* freed = nullptr;
    REQUIRE(cudaMalloc(&freed, bytes) == cudaSuccess);
    REQUIRE(cudaFree(freed) == cudaSuccess);
    // A range of which a part is registered.
    std::vector<char> half(bytes + 8192);
    auto* const page = reinterpret_cast<char*>(round_up(reinterpret_cast<std::uintptr_t>(half.data()), 4096));
    REQUIRE(cudaHostRegister(page, bytes / 2, cudaHostRegisterDefault) == cudaSuccess);
    CHECK(same(gpu.data(), page, bytes) == cudaErrorInvalidValue);
    REQUIRE(cudaHostUnregister(page) == cudaSuccess);
    CHECK(cudaStreamDestroy(stream) == cudaSuccess);
    CHECK(memcpy_configure({}) == cudaErrorInvalidValue); // too late
}

TEST_CASE("Pageable memory in a capture is refused with CUDA's own code; pinned copies are captured") {
    begin();
    const std::size_t bytes = 4 * MiB;
    const memory gpu(memory::kind::gpu, bytes), pinned(memory::kind::pinned, bytes),
        pageable(memory::kind::pageable, bytes);
    const cudaStream_t stream = new_stream();
    pinned.fill(7);
    // Plans and proofs are made before; a capture makes none.
    REQUIRE(memcpy_async(gpu.data(), pinned.data(), bytes, cudaMemcpyDefault, stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);

    cudaGraph_t graph = nullptr;
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
    REQUIRE(memcpy_async(gpu.data(), pinned.data(), bytes, cudaMemcpyDefault, stream) == cudaSuccess);
    REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    cudaGraphExec_t exec = nullptr;
    REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
    for (const std::uint64_t seed : {11u, 12u}) {
        pinned.fill(seed);
        REQUIRE(cudaGraphLaunch(exec, stream) == cudaSuccess);
        REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
        CHECK(gpu.holds(seed));
    }
    CHECK(cudaGraphExecDestroy(exec) == cudaSuccess);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);

    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
    const cudaError_t theirs = cudaMemcpyAsync(gpu.data(), pageable.data(), bytes, cudaMemcpyDefault, stream);
    (void)cudaStreamEndCapture(stream, &graph);
    (void)cudaGetLastError();
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
    const cudaError_t ours = memcpy_async(gpu.data(), pageable.data(), bytes, cudaMemcpyDefault, stream);
    (void)cudaStreamEndCapture(stream, &graph);
    (void)cudaGetLastError();
    CHECK(ours == theirs);
    CHECK(ours != cudaSuccess);
    CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

TEST_CASE("Peer copies by their own function") {
    begin();
    const std::size_t bytes = 3 * MiB + 5;
    const memory from(memory::kind::gpu, bytes, 6), to(memory::kind::gpu, bytes, 2);
    const cudaStream_t stream = new_stream(6);
    from.fill(21);
    const counted count;
    REQUIRE(memcpy_peer_async(to.data(), 2, from.data(), 6, bytes, stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(to.holds(21));
    CHECK(count.planned() == 1);
    CHECK(cudaStreamDestroy(stream) == cudaSuccess);
}

TEST_CASE("A batch arrives whole: small entries in CUDA's batches, large ones by plan, one by one where CUDA refuses") {
    begin();
    const std::size_t small = 4099, large = 2 * MiB + 1, entries = 9;
    std::vector<std::unique_ptr<memory>> from, to;
    std::vector<void*> dsts;
    std::vector<const void*> srcs;
    std::vector<std::size_t> sizes;
    for (std::size_t i = 0; i < entries; ++i) {
        sizes.push_back(i % 4 == 3 ? large : small + i);
        from.push_back(std::make_unique<memory>(i % 2 ? memory::kind::pageable : memory::kind::pinned, sizes[i]));
        to.push_back(std::make_unique<memory>(memory::kind::gpu, sizes[i], 0));
        dsts.push_back(to[i]->data());
        srcs.push_back(from[i]->data());
    }
    cudaMemcpyAttributes attributes[2]{};
    attributes[0].srcAccessOrder = attributes[1].srcAccessOrder = cudaMemcpySrcAccessOrderStream;
    std::size_t indices[2] = {0, 5};
    const cudaStream_t own = new_stream();
    std::uint64_t seed = 100;
    for (const cudaStream_t stream : {own, cudaStream_t{nullptr}}) {
        for (std::size_t i = 0; i < entries; ++i) from[i]->fill(++seed);
        const std::uint64_t batches = simcuda::calls("cudaMemcpyBatchAsync");
        const counted count;
        REQUIRE(memcpy_batch_async(dsts.data(), srcs.data(), sizes.data(), entries, attributes, indices, 2, stream) ==
                cudaSuccess);
        REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
        for (std::size_t i = 0; i < entries; ++i) CHECK(to[i]->holds(seed - entries + i + 1));
        CHECK(count.planned() == 2);
        // 0-2, 4, 5-6 and 8: cut at the large ones and where the attributes change.
        CHECK(simcuda::calls("cudaMemcpyBatchAsync") - batches == (stream ? 4 : 0));
    }
    CHECK(memcpy_batch_async(dsts.data(), srcs.data(), sizes.data(), 0, attributes, indices, 2, own) ==
          cudaErrorInvalidValue);
    CHECK(simcuda::pending_error() == cudaSuccess);
    CHECK(cudaStreamDestroy(own) == cudaSuccess);
}

TEST_CASE("Threads copy at once") {
    begin();
    constexpr int threads = 6, rounds = 5;
    const counted count;
    std::vector<std::thread> running;
    std::vector<int> wrong(threads, 0);
    for (int t = 0; t < threads; ++t)
        running.emplace_back([t, &wrong] {
            int& mine = wrong[static_cast<std::size_t>(t)];
            const auto must = [&](bool fine) { mine += fine ? 0 : 1; };
            const std::size_t bytes = 2 * MiB + 100u * static_cast<std::size_t>(t);
            std::vector<char> host(bytes), answer(bytes);
            void *gpu = nullptr, *pinned = nullptr;
            cudaStream_t stream = nullptr;
            must(cudaSetDevice(t % 3) == cudaSuccess);
            must(cudaMalloc(&gpu, bytes) == cudaSuccess);
            must(cudaHostAlloc(&pinned, bytes, 0) == cudaSuccess);
            must(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess);
            for (int round = 0; round < rounds; ++round) {
                const auto seed = static_cast<std::uint64_t>(1000 * t + round);
                patterned::fill(host.data(), bytes, seed);
                must(memcpy_async(gpu, host.data(), bytes, cudaMemcpyHostToDevice, stream) == cudaSuccess);
                must(memcpy_async(pinned, gpu, bytes, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
                must(memcpy_async(answer.data(), gpu, bytes, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
                must(cudaStreamSynchronize(stream) == cudaSuccess);
                must(patterned::holds(pinned, bytes, seed));
                must(patterned::holds(answer.data(), bytes, seed));
            }
            must(cudaStreamDestroy(stream) == cudaSuccess);
            must(cudaFree(gpu) == cudaSuccess);
            must(cudaFreeHost(pinned) == cudaSuccess);
        });
    for (std::thread& each : running) each.join();
    for (const int each : wrong) CHECK(each == 0);
    CHECK(count.fallbacks() == 0);
    CHECK(count.staged() == 2 * threads * rounds);
    CHECK(count.planned() == 3 * threads * rounds);
}

TEST_CASE("Without a coherent link pageable copies are planned, also when the query fails") {
    begin();
    const memory host(memory::kind::pageable, 8 * MiB), gpu(memory::kind::gpu, 8 * MiB);
    host.fill(3);
    const counted count;
    REQUIRE(memcpy_async(gpu.data(), host.data(), 8 * MiB, cudaMemcpyDefault) == cudaSuccess);
    CHECK(count.staged() == 1);
    // The server of this process has no such link: what the query says decides.
    simcuda::fail("cudaDeviceGetAttribute", 0, cudaErrorInvalidValue);
    REQUIRE(memcpy_async(gpu.data(), host.data(), 8 * MiB, cudaMemcpyDefault) == cudaSuccess);
    CHECK(count.staged() == 2); // and when it says nothing, there is none
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(gpu.holds(3));
    CHECK(simcuda::pending_error() == cudaSuccess);
}
