// The simulated CUDA runtime keeps CUDA's rules: what programs get away with here they get away with on a GPU.
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <hwloc.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <barelink/machine/builtin.hpp>
#include <barelink/machine/hwloc.hpp>

#include <support/catch.hpp>
#include <support/patterned_bytes.hpp>
#include <support/simcuda/simcuda.hpp>

using namespace barelink;

namespace {

constexpr std::size_t size = 8 * MiB;

void fresh(machine on = builtin::hgx_h100_8()) {
    simcuda::reset(std::move(on));
}

char* on_device(int device, std::size_t bytes = size) {
    void* at = nullptr;
    REQUIRE(cudaSetDevice(device) == cudaSuccess);
    REQUIRE(cudaMalloc(&at, bytes) == cudaSuccess);
    return static_cast<char*>(at);
}
char* pinned(std::size_t bytes = size) {
    void* at = nullptr;
    REQUIRE(cudaHostAlloc(&at, bytes, cudaHostAllocPortable) == cudaSuccess);
    return static_cast<char*>(at);
}
cudaStream_t stream_on(int device, unsigned flags = cudaStreamNonBlocking) {
    cudaStream_t made = nullptr;
    REQUIRE(cudaSetDevice(device) == cudaSuccess);
    REQUIRE(cudaStreamCreateWithFlags(&made, flags) == cudaSuccess);
    return made;
}
cudaEvent_t event_on(int device, unsigned flags = cudaEventDefault) {
    cudaEvent_t made = nullptr;
    REQUIRE(cudaSetDevice(device) == cudaSuccess);
    REQUIRE(cudaEventCreateWithFlags(&made, flags) == cudaSuccess);
    return made;
}
/// Whole pages of the test's own.
struct pages {
    explicit pages(std::size_t bytes_wanted = size)
        : bytes(bytes_wanted),
          at(static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
    pages(const pages&) = delete;
    pages& operator=(const pages&) = delete;
    ~pages() { munmap(at, bytes); }
    std::size_t bytes;
    char* at;
};
long bind(char* at, std::size_t bytes, unsigned long nodes, int mode = MPOL_BIND) {
    return syscall(SYS_mbind, at, bytes, mode, &nodes, 8 * sizeof nodes, 0);
}
int node_of(const char* at) {
    int node = -1;
    return syscall(SYS_get_mempolicy, &node, nullptr, 0, at, MPOL_F_NODE | MPOL_F_ADDR) == 0 ? node : -1;
}
/// GB/s of one copy, by events around it.
double rate(char* to, const char* from, cudaStream_t stream, int device, std::size_t bytes = size) {
    const cudaEvent_t start = event_on(device), end = event_on(device);
    REQUIRE(cudaEventRecord(start, stream) == cudaSuccess);
    REQUIRE(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream) == cudaSuccess);
    REQUIRE(cudaEventRecord(end, stream) == cudaSuccess);
    REQUIRE(cudaEventSynchronize(end) == cudaSuccess);
    float ms = 0;
    REQUIRE(cudaEventElapsedTime(&ms, start, end) == cudaSuccess);
    return static_cast<double>(bytes) / (static_cast<double>(ms) * 1e6);
}
/// Which NUMA nodes the copies of the trace read or wrote, in order.
std::string nodes_of_trace() {
    std::string text;
    const machine& m = simcuda::server().topology();
    for (const auto& each : simcuda::server().trace())
        for (const node_index end : {each.from, each.to})
            if (m.at(end).kind == node_kind::memory) text += std::to_string(m.at(end).index);
    return text;
}

} // namespace

TEST_CASE("simcuda: the last error stays until it is fetched, and a sticky one for good") {
    fresh();
    CHECK(cudaGetLastError() == cudaSuccess);
    CHECK(cudaSetDevice(99) == cudaErrorInvalidDevice);
    int device = 0;
    CHECK(cudaGetDevice(&device) == cudaSuccess);
    CHECK(cudaPeekAtLastError() == cudaErrorInvalidDevice);
    CHECK(simcuda::pending_error() == cudaErrorInvalidDevice);
    std::thread([] { CHECK(cudaGetLastError() == cudaSuccess); }).join();
    CHECK(cudaGetLastError() == cudaErrorInvalidDevice);
    CHECK(cudaGetLastError() == cudaSuccess);

    simcuda::lose_device(2);
    CHECK(cudaSetDevice(0) == cudaErrorLaunchFailure);
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    CHECK(std::string(cudaGetErrorName(cudaErrorLaunchFailure)) == "cudaErrorLaunchFailure");
    fresh();
    CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("simcuda: a query that is not ready leaves no error behind, unless a test wants to see what that breaks") {
    fresh();
    char *const to = on_device(0), *const from = pinned();
    const cudaStream_t stream = stream_on(0);
    const cudaEvent_t done = event_on(0);
    REQUIRE(cudaMemcpyAsync(to, from, size, cudaMemcpyHostToDevice, stream) == cudaSuccess);
    REQUIRE(cudaEventRecord(done, stream) == cudaSuccess);
    CHECK(cudaStreamQuery(stream) == cudaErrorNotReady);
    CHECK(cudaEventQuery(done) == cudaErrorNotReady);
    CHECK(simcuda::pending_error() == cudaSuccess);
    simcuda::record_not_ready(true);
    CHECK(cudaEventQuery(done) == cudaErrorNotReady);
    CHECK(cudaGetLastError() == cudaErrorNotReady);
    int polls = 0;
    while (cudaEventQuery(done) == cudaErrorNotReady) ++polls;
    CHECK(polls > 10); // asking takes time, so this ends
    CHECK(cudaStreamQuery(stream) == cudaSuccess);
}

TEST_CASE("simcuda: calls fail on request, by function and by number") {
    fresh();
    simcuda::fail("cudaMalloc", 1, cudaErrorMemoryAllocation);
    void *a = nullptr, *b = nullptr;
    CHECK(cudaMalloc(&a, 64) == cudaSuccess);
    CHECK(cudaMalloc(&b, 64) == cudaErrorMemoryAllocation);
    CHECK(b == nullptr);
    CHECK(cudaMalloc(&b, 64) == cudaSuccess);
    CHECK(simcuda::calls("cudaMalloc") == 3);
    CHECK(simcuda::live().device_allocations == 2);

    const std::uint64_t before = simcuda::calls();
    simcuda::fail_any(1, cudaErrorUnknown);
    int count = 0;
    CHECK(cudaGetDeviceCount(&count) == cudaSuccess);
    CHECK(cudaFree(a) == cudaErrorUnknown);
    CHECK(cudaFree(a) == cudaSuccess);
    CHECK(simcuda::calls() == before + 3);

    simcuda::fail("cudaFree", 0, cudaErrorIllegalAddress, true);
    CHECK(cudaFree(b) == cudaErrorIllegalAddress);
    CHECK(cudaSetDevice(0) == cudaErrorIllegalAddress);
}

TEST_CASE("simcuda: questions make no context; using a device does") {
    fresh();
    int value = 0;
    char id[32];
    cudaDeviceProp properties;
    REQUIRE(cudaGetDeviceCount(&value) == cudaSuccess);
    CHECK(value == 8);
    for (int d = 0; d < 8; ++d) {
        REQUIRE(cudaDeviceGetAttribute(&value, cudaDevAttrAsyncEngineCount, d) == cudaSuccess);
        REQUIRE(cudaGetDeviceProperties(&properties, d) == cudaSuccess);
        REQUIRE(cudaDeviceGetPCIBusId(id, sizeof id, d) == cudaSuccess);
        int same = -1;
        REQUIRE(cudaDeviceGetByPCIBusId(&same, id) == cudaSuccess);
        CHECK(same == d);
        REQUIRE(cudaDeviceCanAccessPeer(&value, d, (d + 1) % 8) == cudaSuccess);
        CHECK(value == 1);
    }
    CHECK(std::string(properties.name) == "NVIDIA H100 80GB HBM3 (simulated)");
    CHECK(properties.major == 9);
    CHECK(simcuda::contexts() == 0);

    REQUIRE(cudaSetDevice(5) == cudaSuccess);
    CHECK(simcuda::has_context(5));
    CHECK(simcuda::contexts() == 1);
    fresh();
    cudaPointerAttributes attributes;
    REQUIRE(cudaPointerGetAttributes(&attributes, id) == cudaSuccess);
    CHECK(attributes.type == cudaMemoryTypeUnregistered);
    CHECK(simcuda::has_context(0)); // the known trap
    fresh();
    (void)pinned();
    CHECK(simcuda::contexts() == 1);
}

TEST_CASE("simcuda: attributes are the machine's") {
    fresh();
    int value = -7;
    CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrHostNumaId, 7) == cudaSuccess);
    CHECK(value == 1);
    CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrHostNativeAtomicSupported, 0) == cudaSuccess);
    CHECK(value == 0);
    CHECK(cudaDeviceGetP2PAttribute(&value, cudaDevP2PAttrPerformanceRank, 0, 1) == cudaSuccess);
    CHECK(value == 0);
    CHECK(cudaDeviceGetP2PAttribute(&value, cudaDevP2PAttrNativeAtomicSupported, 0, 1) == cudaSuccess);
    CHECK(value == 1);
    fresh(builtin::gh200());
    CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrHostNativeAtomicSupported, 0) == cudaSuccess);
    CHECK(value == 1);
    CHECK(cudaDeviceGetAttribute(&value, cudaDevAttrHostNumaId, 1) == cudaErrorInvalidDevice);
    fresh(builtin::a100_pcie_4_switch());
    CHECK(cudaDeviceGetP2PAttribute(&value, cudaDevP2PAttrNativeAtomicSupported, 0, 1) == cudaSuccess);
    CHECK(value == 0);
    fresh(builtin::azure_nd_h100_v5_vm());
    std::string last;
    for (int d = 0; d < 8; ++d) { // addresses, even where the machine has none
        char id[32];
        REQUIRE(cudaDeviceGetPCIBusId(id, sizeof id, d) == cudaSuccess);
        CHECK(last < id);
        last = id;
    }
}

TEST_CASE("simcuda: peer access is granted one way at a time, and only then are copies direct") {
    fresh();
    char *const a = on_device(0), *const b = on_device(1);
    const cudaStream_t push = stream_on(0), pull = stream_on(1);
    patterned::fill(a, size, 1);
    CHECK(rate(b, a, push, 0) < 60);
    CHECK(patterned::holds(b, size, 1)); // staged, and there

    REQUIRE(cudaSetDevice(0) == cudaSuccess);
    CHECK(cudaDeviceEnablePeerAccess(1, 0) == cudaSuccess);
    CHECK(cudaDeviceEnablePeerAccess(1, 0) == cudaErrorPeerAccessAlreadyEnabled);
    CHECK(cudaDeviceEnablePeerAccess(0, 0) == cudaErrorInvalidDevice);
    CHECK(rate(b, a, push, 0) > 200);
    CHECK(rate(b, a, pull, 1) < 60); // GPU 1 has no access to GPU 0
    REQUIRE(cudaSetDevice(1) == cudaSuccess);
    CHECK(cudaDeviceDisablePeerAccess(0) == cudaErrorPeerAccessNotEnabled);
    CHECK(cudaDeviceEnablePeerAccess(0, 0) == cudaSuccess);
    CHECK(rate(b, a, pull, 1) > 200);
    CHECK(cudaDeviceDisablePeerAccess(0) == cudaSuccess);
    CHECK(rate(b, a, pull, 1) < 60);

    simcuda::refuse_peer(2, 3);
    int can = -1;
    CHECK(cudaDeviceCanAccessPeer(&can, 2, 3) == cudaSuccess);
    CHECK(can == 0);
    CHECK(cudaDeviceCanAccessPeer(&can, 3, 2) == cudaSuccess);
    CHECK(can == 1);
    REQUIRE(cudaSetDevice(2) == cudaSuccess);
    CHECK(cudaDeviceEnablePeerAccess(3, 0) == cudaErrorPeerAccessUnsupported);

    fresh(builtin::rtx4090_pcie_8());
    CHECK(cudaDeviceCanAccessPeer(&can, 0, 1) == cudaSuccess);
    CHECK(can == 0);
    CHECK(cudaDeviceEnablePeerAccess(1, 0) == cudaErrorPeerAccessUnsupported);
}

TEST_CASE("simcuda: a grant is no proof") {
    fresh();
    char *const a = on_device(0), *const b = on_device(1);
    const cudaStream_t stream = stream_on(0);
    const cudaEvent_t done = event_on(0);
    REQUIRE(cudaDeviceEnablePeerAccess(1, 0) == cudaSuccess);
    sim::faults planned;
    const machine& m = simcuda::server().topology();
    planned.peers = {{m.gpu(gpu_id{0}), m.gpu(gpu_id{1}), sim::peer_fault::kind::delivers_zeros}};
    simcuda::server().inject(planned);
    patterned::fill(a, size, 2);
    patterned::fill(b, size, 3);
    REQUIRE(cudaMemcpyPeerAsync(b, 1, a, 0, size, stream) == cudaSuccess);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(std::string(b, size) == std::string(size, '\0'));

    planned.peers[0].what = sim::peer_fault::kind::hangs;
    simcuda::server().inject(planned);
    REQUIRE(cudaMemcpyPeerAsync(b, 1, a, 0, size, stream) == cudaSuccess);
    REQUIRE(cudaEventRecord(done, stream) == cudaSuccess);
    int polls = 0;
    while (polls < 100000 && cudaEventQuery(done) == cudaErrorNotReady) ++polls;
    CHECK(polls == 100000);
    CHECK(cudaEventSynchronize(done) == cudaErrorLaunchTimeout);
    CHECK(cudaSetDevice(0) == cudaErrorLaunchTimeout);
}

TEST_CASE("simcuda: a link that dies takes the process with it") {
    fresh();
    char *const to = on_device(0), *const from = pinned();
    const cudaStream_t stream = stream_on(0);
    const machine& m = simcuda::server().topology();
    const dma_path* path = m.path(m.memory(numa_id{0}), m.gpu(gpu_id{0}));
    REQUIRE(path);
    sim::faults planned;
    planned.links = {{m.hops(*path)[1], simcuda::server().now_us() + 20, 0}};
    simcuda::server().inject(planned);
    REQUIRE(cudaMemcpyAsync(to, from, size, cudaMemcpyHostToDevice, stream) == cudaSuccess);
    CHECK(cudaStreamSynchronize(stream) == cudaErrorLaunchFailure);
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
    CHECK(cudaGetLastError() == cudaErrorLaunchFailure);
}

TEST_CASE("simcuda: events belong to a device, and times are between recorded ones that are timed and done") {
    fresh();
    const cudaStream_t stream = stream_on(0);
    char *const to = on_device(0), *const from = pinned();
    const cudaEvent_t start = event_on(0), end = event_on(0), elsewhere = event_on(1),
                      untimed = event_on(0, cudaEventDisableTiming);
    float ms = -1;
    CHECK(cudaEventRecord(elsewhere, stream) == cudaErrorInvalidResourceHandle);
    CHECK(cudaStreamWaitEvent(stream, elsewhere, 0) == cudaSuccess); // waiting is not restricted
    CHECK(cudaEventQuery(elsewhere) == cudaSuccess);                 // never recorded: nothing to wait for
    CHECK(cudaEventRecord(start, stream) == cudaSuccess);
    CHECK(cudaEventElapsedTime(&ms, start, end) == cudaErrorInvalidResourceHandle);
    REQUIRE(cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, stream) == cudaSuccess);
    CHECK(cudaEventRecord(end, stream) == cudaSuccess);
    CHECK(cudaEventRecord(untimed, stream) == cudaSuccess);
    CHECK(cudaEventElapsedTime(&ms, start, end) == cudaErrorNotReady);
    CHECK(cudaEventSynchronize(end) == cudaSuccess);
    CHECK(cudaEventElapsedTime(&ms, start, end) == cudaSuccess);
    CHECK(static_cast<double>(size) / (static_cast<double>(ms) * 1e6) == Approx(55).epsilon(0.1)); // GB/s
    CHECK(cudaEventElapsedTime(&ms, start, untimed) == cudaErrorInvalidResourceHandle);
    CHECK(cudaEventDestroy(end) == cudaSuccess);
    CHECK(cudaEventQuery(end) == cudaErrorInvalidResourceHandle);
}

TEST_CASE("simcuda: copies stay inside one allocation or one registration") {
    fresh();
    char* const to = on_device(0);
    const cudaStream_t stream = stream_on(0);
    pages host(2 * size);
    REQUIRE(cudaHostRegister(host.at, size, 0) == cudaSuccess);
    const auto copy = [&](std::size_t offset, std::size_t bytes) {
        return cudaMemcpyAsync(to, host.at + offset, bytes, cudaMemcpyHostToDevice, stream);
    };
    CHECK(copy(0, size) == cudaSuccess);
    CHECK(copy(64, size) == cudaErrorInvalidValue);       // out of the registration, and of the destination
    CHECK(copy(size - 64, 128) == cudaErrorInvalidValue); // half registered
    CHECK(copy(size, 128) == cudaSuccess);                // not at all
    REQUIRE(cudaHostRegister(host.at + size, size, 0) == cudaSuccess);
    CHECK(copy(size - 64, 128) == cudaErrorInvalidValue); // two registrations
    CHECK(copy(size, size) == cudaSuccess);
    CHECK(cudaMemcpyAsync(to, host.at, 64, cudaMemcpyDeviceToHost, stream) == cudaErrorInvalidValue);
    CHECK(cudaMemcpyAsync(to, host.at, 64, static_cast<cudaMemcpyKind>(7), stream) == cudaErrorInvalidMemcpyDirection);
    CHECK(cudaMemcpyPeerAsync(to, 1, to + 64, 0, 64, stream) == cudaErrorInvalidValue); // `to` is GPU 0's

    CHECK(cudaHostRegister(host.at + size / 2, size, 0) == cudaErrorHostMemoryAlreadyRegistered);
    CHECK(cudaHostUnregister(host.at + 4096) == cudaErrorHostMemoryNotRegistered);
    CHECK(cudaHostUnregister(host.at) == cudaSuccess);
    CHECK(copy(size - 64, 128) == cudaErrorInvalidValue); // the other half registered
    CHECK(cudaHostUnregister(host.at + size) == cudaSuccess);
    CHECK(simcuda::live().registrations == 0);
    CHECK(cudaFree(to + 64) == cudaErrorInvalidValue);
    CHECK(cudaFree(to) == cudaSuccess);
    CHECK(cudaFree(nullptr) == cudaSuccess);
}

TEST_CASE("simcuda: pageable copies return when the source is read, or when the bytes are there") {
    fresh();
    char* const there = on_device(0, 4 * size);
    const cudaStream_t stream = stream_on(0);
    std::vector<char> source(4 * size), target(4 * size);
    patterned::fill(source.data(), source.size(), 4);
    const double before_us = simcuda::server().now_us();
    REQUIRE(cudaMemcpyAsync(there, source.data(), 4 * size, cudaMemcpyHostToDevice, stream) == cudaSuccess);
    const double us = simcuda::server().now_us() - before_us;
    CHECK(us > 3300); // 32 MiB at 10 GB/s
    CHECK(us < 3500);
    CHECK(cudaStreamQuery(stream) == cudaErrorNotReady); // the last part is under way
    patterned::fill(source.data(), source.size(), 5);    // the source may change already
    REQUIRE(cudaMemcpyAsync(target.data(), there, 4 * size, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    CHECK(patterned::holds(target.data(), target.size(), 4)); // no synchronization
    CHECK(simcuda::server().races() == 0);
}

TEST_CASE("simcuda: memory ends where a GPU's or the limit's does") {
    machine small = builtin::hgx_h100_8();
    for (node& each : small.nodes)
        if (each.kind == node_kind::gpu) each.bytes = 32 * MiB;
    small.connect();
    fresh(std::move(small));
    void* at = nullptr;
    std::size_t available = 0, total = 0;
    (void)on_device(0, 24 * MiB);
    CHECK(cudaMemGetInfo(&available, &total) == cudaSuccess);
    CHECK(total == 32 * MiB);
    CHECK(available == 8 * MiB);
    CHECK(cudaMalloc(&at, 9 * MiB) == cudaErrorMemoryAllocation);
    CHECK(at == nullptr);
    CHECK(cudaMallocAsync(&at, 8 * MiB, cudaStreamPerThread) == cudaSuccess);
    CHECK(cudaFreeAsync(at, cudaStreamPerThread) == cudaSuccess);
    CHECK(cudaStreamSynchronize(cudaStreamPerThread) == cudaSuccess);
    CHECK(cudaMalloc(&at, 8 * MiB) == cudaSuccess);

    simcuda::limit_pinned(10 * MiB);
    pages host(4 * MiB);
    char* const first = pinned(8 * MiB);
    CHECK(cudaHostRegister(host.at, host.bytes, 0) == cudaErrorMemoryAllocation);
    CHECK(cudaHostAlloc(&at, 3 * MiB, 0) == cudaErrorMemoryAllocation);
    CHECK(cudaFreeHost(first) == cudaSuccess);
    CHECK(cudaHostRegister(host.at, host.bytes, 0) == cudaSuccess);
    CHECK(cudaHostUnregister(host.at) == cudaSuccess);
}

TEST_CASE("simcuda: pointers tell what they are") {
    fresh();
    char* const device = on_device(3);
    char* const host = pinned();
    pages registered;
    REQUIRE(cudaHostRegister(registered.at, size, cudaHostRegisterPortable) == cudaSuccess);
    void* managed = nullptr;
    REQUIRE(cudaMallocManaged(&managed, size, cudaMemAttachGlobal) == cudaSuccess);
    cudaPointerAttributes is{};
    CHECK(cudaPointerGetAttributes(&is, device + 100) == cudaSuccess);
    CHECK(is.type == cudaMemoryTypeDevice);
    CHECK(is.device == 3);
    CHECK(is.hostPointer == nullptr);
    for (char* each : {host, registered.at}) {
        CHECK(cudaPointerGetAttributes(&is, each + 100) == cudaSuccess);
        CHECK(is.type == cudaMemoryTypeHost);
        CHECK(is.devicePointer == each + 100);
        void* mapped = nullptr;
        CHECK(cudaHostGetDevicePointer(&mapped, each, 0) == cudaSuccess);
        CHECK(mapped == each);
    }
    CHECK(cudaPointerGetAttributes(&is, managed) == cudaSuccess);
    CHECK(is.type == cudaMemoryTypeManaged);
    CHECK(cudaPointerGetAttributes(&is, &is) == cudaSuccess);
    CHECK(is.type == cudaMemoryTypeUnregistered);
    CHECK(simcuda::live() == simcuda::live_counts{0, 0, 0, 1, 2, 1});
    CHECK(cudaHostUnregister(registered.at) == cudaSuccess);
}

TEST_CASE("simcuda: the NULL stream and blocking streams wait for each other; others do not") {
    fresh();
    char *const a = on_device(0), *const b = on_device(0), *const host = pinned();
    const cudaStream_t blocking = stream_on(0, cudaStreamDefault), loose = stream_on(0);
    const cudaEvent_t in_blocking = event_on(0), in_null = event_on(0), in_loose = event_on(0), in_own = event_on(0);
    const auto after = [&](cudaEvent_t first, cudaEvent_t second) {
        float ms = -1;
        REQUIRE(cudaEventElapsedTime(&ms, first, second) == cudaSuccess);
        return ms >= 0;
    };
    REQUIRE(cudaMemcpyAsync(a, host, size, cudaMemcpyDefault, blocking) == cudaSuccess);
    REQUIRE(cudaEventRecord(in_blocking, blocking) == cudaSuccess);
    REQUIRE(cudaEventRecord(in_loose, loose) == cudaSuccess);
    REQUIRE(cudaMemcpyAsync(b, a, size, cudaMemcpyDefault, nullptr) == cudaSuccess);
    REQUIRE(cudaEventRecord(in_null, nullptr) == cudaSuccess);
    REQUIRE(cudaEventRecord(in_own, cudaStreamPerThread) == cudaSuccess);
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(after(in_blocking, in_null));
    CHECK_FALSE(after(in_blocking, in_loose));
    CHECK(after(in_null, in_own));
    CHECK(std::memcmp(b, host, size) == 0);
    CHECK(simcuda::server().races() == 0);

    REQUIRE(cudaMemcpyAsync(a, host, size, cudaMemcpyDefault, nullptr) == cudaSuccess);
    REQUIRE(cudaMemcpyAsync(host, a, size, cudaMemcpyDefault, loose) == cudaSuccess); // a missing event
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    CHECK(simcuda::server().races() == 1);
}

TEST_CASE("simcuda: batches want a stream, an access order and attributes for every copy") {
    fresh();
    char *const to = on_device(0), *const from = pinned();
    patterned::fill(from, size, 6);
    const cudaStream_t stream = stream_on(0);
    void* targets[] = {to, to + size / 2};
    const void* sources[] = {from, from + size / 2};
    std::size_t sizes[] = {size / 2, size / 2};
    std::size_t first[] = {0};
    cudaMemcpyAttributes how{};
    const auto batch = [&](cudaStream_t on) {
        return cudaMemcpyBatchAsync(targets, sources, sizes, 2, &how, first, 1, on);
    };
    CHECK(batch(stream) == cudaErrorInvalidValue); // no access order
    how.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
    CHECK(batch(nullptr) == cudaErrorInvalidValue);
    CHECK(batch(cudaStreamLegacy) == cudaErrorInvalidValue);
    first[0] = 1;
    CHECK(batch(stream) == cudaErrorInvalidValue);
    first[0] = 0;
    CHECK(batch(stream) == cudaSuccess);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(patterned::holds(to, size, 6));
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed) == cudaSuccess);
    CHECK(batch(stream) == cudaErrorStreamCaptureUnsupported);
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
}

TEST_CASE("simcuda: rows, fills and host functions run in stream order") {
    fresh();
    char *const there = on_device(0), *const host = pinned();
    const cudaStream_t stream = stream_on(0);
    struct seen {
        char* at;
        char first = 0;
        cudaError_t answer = cudaSuccess;
    } saw{host};
    REQUIRE(cudaMemsetAsync(there, 0x5a, size, stream) == cudaSuccess);
    REQUIRE(cudaMemcpy2DAsync(host, 100, there, 200, 50, 1000, cudaMemcpyDeviceToHost, stream) == cudaSuccess);
    REQUIRE(cudaLaunchHostFunc(
                stream,
                [](void* data) {
                    auto* s = static_cast<seen*>(data);
                    s->first = s->at[0];
                    s->answer = cudaSetDevice(1);
                },
                &saw) == cudaSuccess);
    CHECK(saw.first == 0);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(saw.first == 0x5a);
    CHECK(saw.answer == cudaErrorNotPermitted); // no CUDA in host functions
    CHECK(host[49] == 0x5a);
    CHECK(host[50] == 0);
    CHECK(host[99 * 100 + 49] == 0x5a);
    CHECK(cudaMemcpy2DAsync(host, 40, there, 200, 50, 10, cudaMemcpyDeviceToHost, stream) ==
          cudaErrorInvalidPitchValue);
}

TEST_CASE("simcuda: handles of an earlier process, or destroyed ones, are no handles") {
    fresh();
    const cudaStream_t stream = stream_on(0);
    const cudaEvent_t event = event_on(0);
    char* const at = on_device(0);
    CHECK(simcuda::live().streams == 1);
    fresh();
    CHECK(simcuda::live() == simcuda::live_counts{});
    CHECK(cudaStreamSynchronize(stream) == cudaErrorInvalidResourceHandle);
    CHECK(cudaEventQuery(event) == cudaErrorInvalidResourceHandle);
    CHECK(cudaFree(at) == cudaErrorInvalidValue);
    int device = -1;
    CHECK(cudaGetDevice(&device) == cudaSuccess);
    CHECK(device == 0);
}

TEST_CASE("simcuda: host memory lies on the nodes that it was bound to") {
    sim::options traced;
    traced.trace = true;
    simcuda::reset(builtin::hgx_h100_8(), traced);
    pages host(4 * MiB);
    CHECK(node_of(host.at) == 0);
    REQUIRE(bind(host.at, host.bytes, 2) == 0);
    CHECK(node_of(host.at + host.bytes - 1) == 1);
    CHECK(bind(host.at, host.bytes, 4) == -1); // there is no node 2
    CHECK(errno == EINVAL);
    REQUIRE(bind(host.at + MiB, MiB, 1) == 0);
    CHECK(node_of(host.at + MiB) == 0);
    CHECK(node_of(host.at + 2 * MiB) == 1);

    void* asked[] = {host.at, host.at + MiB, host.at + 3 * MiB};
    int found[3] = {};
    host.at[0] = host.at[MiB] = 1;
    CHECK(syscall(SYS_move_pages, 0, 3, asked, nullptr, found, 0) == 0);
    CHECK(found[0] == 1);
    CHECK(found[1] == 0);
    CHECK(found[2] == -ENOENT); // not touched

    REQUIRE(bind(host.at, MiB, 1) == 0); // what is there stays, the rest follows
    CHECK(node_of(host.at) == 1);
    REQUIRE(bind(host.at, MiB, 2) == 0);

    // A copy is cut where the node changes, so that each part uses its own links.
    char* const there = on_device(0, host.bytes);
    const cudaStream_t stream = stream_on(0);
    patterned::fill(host.at, host.bytes, 7);
    REQUIRE(cudaHostRegister(host.at, host.bytes, 0) == cudaSuccess);
    REQUIRE(cudaMemcpyAsync(there, host.at, host.bytes, cudaMemcpyDefault, stream) == cudaSuccess);
    REQUIRE(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(patterned::holds(there, host.bytes, 7));
    CHECK(nodes_of_trace() == "101");
    CHECK(cudaHostUnregister(host.at) == cudaSuccess);

    REQUIRE(munmap(host.at, host.bytes) == 0);
    host.at = static_cast<char*>(
        mmap(host.at, host.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    CHECK(node_of(host.at) == 0); // a new mapping is not bound

    const unsigned long second = 2;
    REQUIRE(syscall(SYS_set_mempolicy, MPOL_BIND, &second, 64) == 0);
    CHECK(node_of(host.at) == 1);
    CHECK(node_of(pinned()) == 1);
    std::thread([&] { CHECK(node_of(host.at) == 0); }).join();
    REQUIRE(syscall(SYS_set_mempolicy, MPOL_DEFAULT, nullptr, 0) == 0);

    simcuda::deny_binding();
    CHECK(bind(host.at, host.bytes, 1) == -1);
    CHECK(errno == EPERM);
    CHECK(syscall(SYS_gettid) > 0); // everything else is the kernel's
    simcuda::deny_binding(false);
    CHECK(bind(host.at, host.bytes, 1) == 0);
}

TEST_CASE("simcuda: hwloc sees the server, and its GPUs under CUDA's addresses") {
    for (const builtin::entry& each : builtin::names()) {
        INFO(each.name);
        fresh(each.make());
        const auto seen = discover();
        REQUIRE(seen);
        const machine& m = simcuda::server().topology();
        CHECK(seen->count(node_kind::memory) == m.count(node_kind::memory));
        int devices = 0;
        REQUIRE(cudaGetDeviceCount(&devices) == cudaSuccess);
        CHECK(seen->count(node_kind::gpu) == static_cast<std::size_t>(devices));
        for (int d = 0; d < devices; ++d) {
            int bus = 0, domain = 0, slot = 0;
            REQUIRE(cudaDeviceGetAttribute(&domain, cudaDevAttrPciDomainId, d) == cudaSuccess);
            REQUIRE(cudaDeviceGetAttribute(&bus, cudaDevAttrPciBusId, d) == cudaSuccess);
            REQUIRE(cudaDeviceGetAttribute(&slot, cudaDevAttrPciDeviceId, d) == cudaSuccess);
            const pci_address at{static_cast<std::uint32_t>(domain), static_cast<std::uint8_t>(bus),
                                 static_cast<std::uint8_t>(slot), 0, true};
            CHECK(seen->find(at) == seen->gpu(gpu_id{d}));
        }
    }
    hwloc_topology_t topology = nullptr;
    REQUIRE(hwloc_topology_init(&topology) == 0);
    REQUIRE(hwloc_topology_load(topology) == 0);
    hwloc_topology_destroy(topology);
}

TEST_CASE("simcuda: a graph replays its copies in order, any number of times") {
    fresh();
    char *const a = on_device(0), *const b = on_device(1), *const host = pinned(), *const back = pinned();
    const cudaStream_t main = stream_on(0), side = stream_on(1), launch = stream_on(0);
    const cudaEvent_t fork = event_on(0), join = event_on(1), outside = event_on(0);
    REQUIRE(cudaStreamBeginCapture(main, cudaStreamCaptureModeGlobal) == cudaSuccess);
    CHECK(cudaMemcpyAsync(a, host, size, cudaMemcpyDefault, main) == cudaSuccess);
    CHECK(cudaEventRecord(fork, main) == cudaSuccess);
    CHECK(cudaStreamWaitEvent(side, fork, 0) == cudaSuccess);
    CHECK(cudaMemcpyAsync(b, a, size, cudaMemcpyDefault, side) == cudaSuccess);
    CHECK(cudaEventRecord(join, side) == cudaSuccess);
    CHECK(cudaMemsetAsync(back, 0, size, main) == cudaSuccess); // beside it
    CHECK(cudaStreamWaitEvent(main, join, 0) == cudaSuccess);
    CHECK(cudaMemcpyAsync(back, b, size, cudaMemcpyDefault, main) == cudaSuccess);
    CHECK(cudaEventRecordWithFlags(outside, main, cudaEventRecordExternal) == cudaSuccess);
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    unsigned long long id = 0;
    std::size_t before = 0;
#if CUDART_VERSION >= 13000
    CHECK(cudaStreamGetCaptureInfo(side, &status, &id, nullptr, nullptr, nullptr, &before) == cudaSuccess);
    CHECK(status == cudaStreamCaptureStatusActive);
    CHECK(id != 0);
    CHECK(before == 1);
#endif
    cudaGraph_t graph = nullptr;
    REQUIRE(cudaStreamEndCapture(main, &graph) == cudaSuccess);
    CHECK(cudaStreamIsCapturing(side, &status) == cudaSuccess);
    CHECK(status == cudaStreamCaptureStatusNone);
    std::size_t nodes = 0;
    CHECK(cudaGraphGetNodes(graph, nullptr, &nodes) == cudaSuccess);
    CHECK(nodes == 5);
    cudaGraphExec_t exec = nullptr;
    REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);
    CHECK(back[0] == 0); // nothing has run
    for (const std::uint64_t seed : {10u, 11u, 12u}) {
        patterned::fill(host, size, seed);
        REQUIRE(cudaGraphLaunch(exec, launch) == cudaSuccess);
        REQUIRE(cudaGraphLaunch(exec, launch) == cudaSuccess);
        REQUIRE(cudaStreamSynchronize(launch) == cudaSuccess);
        CHECK(patterned::holds(back, size, seed));
        CHECK(cudaEventQuery(outside) == cudaSuccess);
    }
    CHECK(simcuda::server().races() == 0);
    CHECK(simcuda::live().graphs == 1);
    CHECK(cudaGraphExecDestroy(exec) == cudaSuccess);
    CHECK(cudaGraphLaunch(exec, launch) == cudaErrorInvalidValue);
}

TEST_CASE("simcuda: what a capture forbids, and spoils it") {
    fresh();
    char *const a = on_device(0), *const host = pinned();
    const cudaStream_t stream = stream_on(0), other = stream_on(0);
    const cudaEvent_t event = event_on(0), second = event_on(0);
    cudaGraph_t graph = nullptr;
    void* more = nullptr;
    const auto begin = [&](cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) {
        REQUIRE(cudaStreamBeginCapture(stream, mode) == cudaSuccess);
    };
    const auto end = [&] { return cudaStreamEndCapture(stream, &graph); };

    SECTION("calls that may block") {
        begin();
        CHECK(cudaMalloc(&more, 64) == cudaErrorStreamCaptureUnsupported);
        CHECK(cudaMemcpyAsync(a, host, 64, cudaMemcpyDefault, stream) == cudaErrorStreamCaptureInvalidated);
        CHECK(end() == cudaErrorStreamCaptureInvalidated);
        CHECK(graph == nullptr);
        REQUIRE(cudaEventRecord(event, other) == cudaSuccess);
        begin();
        CHECK(cudaEventQuery(event) == cudaErrorStreamCaptureUnsupported);
        CHECK(end() == cudaErrorStreamCaptureInvalidated);
        begin(cudaStreamCaptureModeRelaxed);
        CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported); // whatever the mode
        CHECK(end() == cudaErrorStreamCaptureInvalidated);
    }
    SECTION("in relaxed mode they are the caller's risk") {
        begin();
        cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
        REQUIRE(cudaThreadExchangeStreamCaptureMode(&mode) == cudaSuccess);
        CHECK(mode == cudaStreamCaptureModeGlobal);
        CHECK(cudaMalloc(&more, 64) == cudaSuccess);
        CHECK(cudaEventQuery(event) == cudaSuccess);
        REQUIRE(cudaThreadExchangeStreamCaptureMode(&mode) == cudaSuccess);
        CHECK(end() == cudaSuccess);
    }
    SECTION("global captures forbid them to every thread, thread-local ones to their own") {
        begin();
        std::thread([&] { CHECK(cudaMalloc(&more, 64) == cudaErrorStreamCaptureUnsupported); }).join();
        CHECK(end() == cudaErrorStreamCaptureInvalidated);
        begin(cudaStreamCaptureModeThreadLocal);
        std::thread([&] {
            CHECK(cudaMalloc(&more, 64) == cudaSuccess);
            CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureWrongThread);
        }).join();
        CHECK(end() == cudaErrorStreamCaptureInvalidated);
    }
    SECTION("events of outside, events of inside") {
        REQUIRE(cudaEventRecord(second, other) == cudaSuccess);
        begin();
        CHECK(cudaStreamWaitEvent(stream, second, 0) == cudaErrorStreamCaptureIsolation);
        CHECK(end() == cudaErrorStreamCaptureInvalidated);
        begin();
        CHECK(cudaEventRecord(event, stream) == cudaSuccess);
        CHECK(cudaEventSynchronize(event) == cudaErrorCapturedEvent);
        CHECK(end() == cudaErrorStreamCaptureInvalidated);
        CHECK(cudaEventQuery(event) == cudaErrorCapturedEvent);
        CHECK(cudaEventRecord(event, other) == cudaSuccess);
        CHECK(cudaEventSynchronize(event) == cudaSuccess);
    }
    SECTION("streams that joined come back") {
        begin();
        CHECK(cudaEventRecord(event, stream) == cudaSuccess);
        CHECK(cudaStreamWaitEvent(other, event, 0) == cudaSuccess);
        CHECK(cudaMemcpyAsync(a, host, 64, cudaMemcpyDefault, other) == cudaSuccess);
        CHECK(cudaStreamEndCapture(other, &graph) == cudaErrorStreamCaptureUnmatched);
        CHECK(end() == cudaErrorStreamCaptureInvalidated);
        begin();
        CHECK(cudaEventRecord(event, stream) == cudaSuccess);
        CHECK(cudaStreamWaitEvent(other, event, 0) == cudaSuccess);
        CHECK(cudaMemcpyAsync(a, host, 64, cudaMemcpyDefault, other) == cudaSuccess);
        CHECK(end() == cudaErrorStreamCaptureUnjoined);
        REQUIRE(cudaStreamBeginCapture(other, cudaStreamCaptureModeGlobal) == cudaSuccess);
        begin();
        CHECK(cudaEventRecord(event, other) == cudaSuccess);
        CHECK(cudaStreamWaitEvent(stream, event, 0) == cudaErrorStreamCaptureMerge);
        CHECK(end() == cudaErrorStreamCaptureInvalidated);
        CHECK(cudaStreamEndCapture(other, &graph) == cudaErrorStreamCaptureInvalidated);
    }
    SECTION("pageable memory and the NULL stream") {
        std::vector<char> pageable(64);
        begin();
        CHECK(cudaMemcpyAsync(a, pageable.data(), 64, cudaMemcpyDefault, stream) == cudaErrorStreamCaptureUnsupported);
        CHECK(end() == cudaErrorStreamCaptureInvalidated);
        CHECK(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal) == cudaErrorStreamCaptureUnsupported);
        const cudaStream_t blocking = stream_on(0, cudaStreamDefault);
        REQUIRE(cudaStreamBeginCapture(blocking, cudaStreamCaptureModeRelaxed) == cudaSuccess);
        CHECK(cudaMemcpyAsync(a, host, 64, cudaMemcpyDefault, nullptr) == cudaErrorStreamCaptureImplicit);
        CHECK(cudaStreamEndCapture(blocking, &graph) == cudaErrorStreamCaptureInvalidated);
    }
    CHECK(end() == cudaErrorIllegalState);
    CHECK(cudaMemcpy(a, host, size, cudaMemcpyHostToDevice) == cudaSuccess); // nothing of it is left
}

TEST_CASE("simcuda: threads may call at once") {
    fresh();
    std::vector<std::thread> threads;
    for (int d = 0; d < 4; ++d)
        threads.emplace_back([d] {
            void* at = nullptr;
            std::vector<char> source(MiB), target(MiB);
            patterned::fill(source.data(), MiB, static_cast<std::uint64_t>(d));
            bool good = cudaSetDevice(d) == cudaSuccess && cudaMalloc(&at, MiB) == cudaSuccess;
            for (int i = 0; i < 20 && good; ++i)
                good = cudaMemcpyAsync(at, source.data(), MiB, cudaMemcpyDefault, cudaStreamPerThread) == cudaSuccess &&
                       cudaMemcpyAsync(target.data(), at, MiB, cudaMemcpyDefault, cudaStreamPerThread) == cudaSuccess &&
                       patterned::holds(target.data(), MiB, static_cast<std::uint64_t>(d));
            if (!good || cudaFree(at) != cudaSuccess) std::abort();
        });
    for (std::thread& each : threads) each.join();
    CHECK(simcuda::live().device_allocations == 0);
    CHECK(simcuda::contexts() == 4);
}
