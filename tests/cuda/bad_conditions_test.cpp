// Drivers, memory, pointers and devices that are not as they should be: a named error or a recorded fallback, nothing
// left behind, and the mover works on.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <barelink/move/cuda.hpp>

#include <support/catch.hpp>
#include <support/cuda_box.hpp>
#include <support/transfer_scenarios.hpp>

using namespace barelink;

namespace {

constexpr std::uint64_t odd_bytes = 2 * MiB + 4096;

/// Whole pages of ordinary memory, not filled by anybody.
struct pages {
    explicit pages(std::uint64_t size_wanted)
        : size(size_wanted),
          at(static_cast<char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {}
    pages(const pages&) = delete;
    pages& operator=(const pages&) = delete;
    ~pages() { ::munmap(at, size); }
    std::uint64_t size;
    char* at;
};

/// A box with a mover and a good pair of buffers to show that it still works.
struct working_box : cuda_box::server {
    explicit working_box(const machine& m, mover_options options = {})
        : cuda_box::server(m), moves(on, options), host(on, places::host(0), odd_bytes),
          device(on, places::gpu(0), odd_bytes), in(stream(0)) {}
    explicit working_box(const char* name = "hgx-h100-8", mover_options options = {})
        : working_box(builtin::find(name).value(), options) {}

    mover<cuda::runtime> moves;
    cuda_box::buffer host, device;
    cuda::stream in;
    std::uint64_t seed = 100;

    /// Nothing is left of what went wrong.
    void check_works() {
        CHECK(simcuda::pending_error() == cudaSuccess);
        host.fill(++seed);
        device.clear();
        const auto up = moves.copy(device.data(), host.data(), odd_bytes, in);
        if (!up) FAIL_CHECK(up.error().what());
        REQUIRE(up);
        REQUIRE(up->wait());
        CHECK(device.holds(seed));
        host.clear();
        const auto down = moves.copy(host.data(), device.data(), odd_bytes, in);
        REQUIRE(down);
        REQUIRE(down->wait());
        CHECK(host.holds(seed));
        CHECK((host.guarded() && device.guarded()));
        CHECK(simcuda::pending_error() == cudaSuccess);
        CHECK(simcuda::server().races() == 0);
    }
    /// A refused copy: its code, and words that its message must have.
    void refuses(void* to, const void* from, std::uint64_t count, errc code, std::initializer_list<const char*> words) {
        const auto refused = moves.copy(to, from, count, in);
        REQUIRE_FALSE(refused);
        check_error(refused.error(), code, words);
        check_works();
    }
    static void check_error(const error& said, errc code, std::initializer_list<const char*> words) {
        INFO(said.what());
        CHECK(said.code() == code);
        for (const char* word : words) CHECK(std::string(said.what()).find(word) != std::string::npos);
    }
};

bool note(const std::vector<std::string>& notes, std::initializer_list<const char*> words) {
    for (const std::string& each : notes) {
        bool all = true;
        for (const char* word : words) all &= each.find(word) != std::string::npos;
        if (all) return true;
    }
    return false;
}

/// A copy that must arrive; its fallbacks.
std::vector<std::string> arrives(mover<cuda::runtime>& moves, const cuda_box::buffer& dst, const cuda_box::buffer& src,
                                 cuda::stream in, std::uint64_t seed) {
    src.fill(seed);
    dst.clear();
    const auto started = moves.copy(dst.data(), src.data(), src.size(), in);
    if (!started) FAIL_CHECK(started.error().what());
    if (!started) return {};
    REQUIRE(started->wait());
    CHECK(dst.holds(seed));
    CHECK((dst.guarded() && src.guarded()));
    CHECK(simcuda::pending_error() == cudaSuccess);
    return started->fallbacks();
}

/// Room for so much on one GPU.
machine with_gpu_bytes(int index, std::uint64_t room) {
    machine m = builtin::hgx_h100_8();
    m.nodes[m.gpu(gpu_id{index}).value].bytes = room;
    return m;
}

} // namespace

TEST_CASE("A process of its own without a driver or without a GPU", "[.]") {
    const char* named = std::getenv("BARELINK_SIM_MACHINE");
    const std::string condition = named ? named : "";
    if (condition != "no-driver" && condition != "none") return; // not the process that the next test starts
    const errc code = condition == "none" ? errc::not_found : errc::unsupported;
    const char* const word = condition == "none" ? "no GPU is visible" : "install or update the NVIDIA driver";
    cuda::runtime on(builtin::hgx_h100_8());
    CHECK(simcuda::pending_error() == cudaSuccess);
    mover<cuda::runtime> moves(on);
    const node_index gpu = on.topology().gpu(gpu_id{0}), host = on.topology().memory(numa_id{0});
    CHECK(on.device_of(gpu) == -1);
    working_box::check_error(on.allocate(gpu, 4096).error(), code, {word});
    working_box::check_error(on.allocate(host, 4096).error(), code, {word});
    working_box::check_error(on.make_stream(gpu).error(), code, {word});
    working_box::check_error(on.make_event(gpu, true).error(), code, {word});
    const auto proof = prove_delivery(on, gpu, on.topology().gpu(gpu_id{1}));
    CHECK_FALSE(proof);
    std::vector<char> a(4096), b(4096);
    const auto started = moves.copy(a.data(), b.data(), 4096, cuda::stream{});
    REQUIRE_FALSE(started);
    working_box::check_error(started.error(), code, {word});
    CHECK(simcuda::pending_error() == cudaSuccess);
    CHECK(on.classify(a.data(), 4096).has_value() == false);
}

TEST_CASE("Without a driver or a GPU every call says so and what to do") {
    char self[4096] = {};
    REQUIRE(::readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    for (const char* condition : {"no-driver", "none"}) {
        const std::string command = std::string("BARELINK_SIM_MACHINE=") + condition + " '" + self +
                                    "' 'A process of its own without a driver or without a GPU' > /dev/null";
        INFO(command);
        CHECK(std::system(command.c_str()) == 0);
    }
}

TEST_CASE("A driver that is too old is named, at any call") {
    cuda_box::server box("hgx-h100-8");
    simcuda::fail("cudaStreamCreateWithFlags", 0, cudaErrorInsufficientDriver);
    const auto refused = box.on.make_stream(box.gpu(0));
    REQUIRE_FALSE(refused);
    working_box::check_error(refused.error(), errc::unsupported, {"older", "update the NVIDIA driver"});
    CHECK(simcuda::pending_error() == cudaSuccess);
}

TEST_CASE("A GPU that CUDA does not show is named") {
    working_box box;
    machine more = builtin::find("hgx-h100-8").value();
    more.nodes[more.gpu(gpu_id{5}).value].pci = {0, 0xee, 0, 0, true}; // hidden by CUDA_VISIBLE_DEVICES, say
    cuda::runtime on(more);
    const node_index hidden = more.gpu(gpu_id{5});
    CHECK(on.device_of(hidden) == -1);
    working_box::check_error(on.allocate(hidden, 64).error(), errc::not_found, {"gpu:5", "CUDA_VISIBLE_DEVICES"});
    working_box::check_error(on.make_stream(hidden).error(), errc::not_found, {"gpu:5"});
    CHECK(simcuda::pending_error() == cudaSuccess);
    // As a relay it is simply not there.
    mover<cuda::runtime> moves(on, {.relays = gpu_set::none().insert(gpu_id{5}), .scratch_bytes = 512 * KiB});
    const auto notes = arrives(moves, box.device, box.host, box.in, 3);
    CHECK(note(notes, {"gpu:5"}));
    box.check_works();
}

TEST_CASE("A device that is lost in the middle of a copy: nothing hangs, and the error says restart") {
    for (const transfer_scenario& s : transfer_scenarios) {
        INFO(s.name);
        cuda_box::server box(s.machine);
        const cuda_box::buffer src(box.on, s.from, s.bytes, 0, s.stripe_bytes),
            dst(box.on, s.to, s.bytes, 0, s.stripe_bytes);
        const cuda::stream in = box.stream(s.to.where == endpoint::place::gpu ? s.to.index : s.from.index);
        {
            mover<cuda::runtime> moves(box.on, s.options());
            const auto started = moves.copy(dst.data(), src.data(), s.bytes, in);
            REQUIRE(started);
            simcuda::lose_device(0);
            const auto waited = started->wait();
            REQUIRE_FALSE(waited);
            working_box::check_error(waited.error(), errc::device, {"restart", "cudaErrorLaunchFailure"});
            CHECK(waited.error().native() == cudaErrorLaunchFailure);
            CHECK_FALSE(started->poll());
            const auto later = moves.copy(dst.data(), src.data(), s.bytes, in);
            REQUIRE_FALSE(later);
            working_box::check_error(later.error(), errc::device, {"restart"});
        }
        CHECK_FALSE(box.on.allocate(box.gpu(0), 64));
    }
    SECTION("by a link that dies under the copy") {
        cuda_box::server box("hgx-h100-8");
        const cuda_box::buffer src(box.on, places::host(0), 64 * MiB), dst(box.on, places::gpu(0), 64 * MiB);
        const cuda::stream in = box.stream(0);
        mover<cuda::runtime> moves(box.on, {.relays = gpu_set::all()});
        const machine& m = box.on.topology();
        REQUIRE(moves.plan_for(moves.resolve(dst.data(), dst.size()).value(),
                               moves.resolve(src.data(), src.size()).value()));
        sim::faults broken;
        const double soon_us = simcuda::server().now_us() + 60;
        broken.links.push_back({m.hops(*m.path(m.memory(numa_id{0}), box.gpu(0))).back(), soon_us, 0});
        simcuda::server().inject(broken);
        const auto started = moves.copy(dst.data(), src.data(), src.size(), in);
        REQUIRE(started);
        const auto waited = started->wait();
        REQUIRE_FALSE(waited);
        working_box::check_error(waited.error(), errc::device, {"restart"});
    }
}

TEST_CASE("A relay with little memory makes its ring smaller; one with none is left out; both are recorded") {
    const machine usual = builtin::hgx_h100_8();
    const std::uint64_t size = 64 * MiB + 5;
    const plan p =
        default_planner(usual).make(places::request(places::host(0), places::gpu(0), size, gpu_set::all())).value();
    int relay = -1;
    for (const route& r : p.routes)
        if (r.leg_count > 1) relay = usual.at(r.legs[0].to).index;
    REQUIRE(relay > 0);
    const std::string id = "gpu:" + std::to_string(relay);
    for (const std::uint64_t room : {std::uint64_t{0}, 1 * MiB}) {
        INFO(room << " bytes of room on " << id);
        // Room for the proofs, which is full when the copy comes.
        working_box box(with_gpu_bytes(relay, 8 * MiB), {.relays = gpu_set::all()});
        const cuda_box::buffer src(box.on, places::host(0), size), dst(box.on, places::gpu(0), size);
        REQUIRE(box.moves.plan_for(box.moves.resolve(dst.data(), size).value(),
                                   box.moves.resolve(src.data(), size).value()));
        void* const full = box.on.allocate(box.gpu(relay), 8 * MiB - room).value();
        const auto before = simcuda::live();
        std::uint64_t asked = 0;
        for (int i = 0; i < 3; ++i) {
            const auto notes = arrives(box.moves, dst, src, box.in, 7);
            if (room > 0) CHECK(note(notes, {"no room for its ring", id.c_str(), "instead of"}));
            if (room == 0) CHECK(note(notes, {id.c_str(), "relays nothing", "cudaErrorMemoryAllocation"}));
            if (i > 0) CHECK(simcuda::calls("cudaMalloc") == asked); // it does not try again with every copy
            asked = simcuda::calls("cudaMalloc");
        }
        CHECK(box.moves.counters().fallbacks == 3);
        if (room == 0) CHECK_FALSE(box.moves.request_for({}, {}).relays.contains(gpu_id{relay}));
        CHECK(box.moves.request_for({}, {}).relays.contains(gpu_id{relay == 1 ? 2 : 1}));
        CHECK(simcuda::live().device_allocations >= before.device_allocations);
        box.check_works();
        // Small copies never wanted it.
        CHECK(box.moves.counters().fallbacks == 3);
        REQUIRE(box.on.release(full));
        box.moves.forget_plans();
        if (room == 0) CHECK(arrives(box.moves, dst, src, box.in, 8).empty());
        if (room == 0) CHECK(simcuda::calls("cudaMalloc") > asked);
    }
}

TEST_CASE("When all relays are full the copy is what it would be without them") {
    machine m = builtin::hgx_h100_8();
    for (int g = 1; g < 8; ++g) m.nodes[m.gpu(gpu_id{g}).value].bytes = 2 * MiB;
    working_box box(m, {.relays = gpu_set::all()});
    const std::uint64_t size = 64 * MiB + 5;
    const cuda_box::buffer src(box.on, places::host(0), size), dst(box.on, places::gpu(0), size);
    const region to = box.moves.resolve(dst.data(), size).value(), from = box.moves.resolve(src.data(), size).value();
    const std::size_t routes = box.moves.plan_for(to, from).value()->routes.size();
    REQUIRE(routes > 2);
    std::vector<void*> full;
    for (int g = 1; g < 8; ++g) full.push_back(box.on.allocate(box.gpu(g), 2 * MiB).value());
    const auto notes = arrives(box.moves, dst, src, box.in, 1);
    CHECK(notes.size() >= routes - 1);
    CHECK(box.moves.plan_for(to, from).value()->routes.size() == 1);
    CHECK(box.moves.scratch_bytes() == 0);
    box.check_works();
    // The same in a capture, for which nothing had been planned.
    box.moves.forget_plans();
    REQUIRE(cudaStreamBeginCapture(box.in.handle, cudaStreamCaptureModeGlobal) == cudaSuccess);
    const auto captured = box.moves.copy(to, from, box.in);
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamEndCapture(box.in.handle, &graph) == cudaSuccess);
    REQUIRE(captured);
    CHECK(captured->fallbacks().size() >= routes - 1);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);
    box.check_works();
}

TEST_CASE("Less pinned memory than wanted makes a smaller ring; none at all is an error with a name") {
    for (const std::uint64_t left : {512 * KiB, 0 * KiB}) {
        INFO(left << " bytes may be pinned");
        working_box box;
        const std::uint64_t size = 32 * MiB;
        const cuda_box::buffer src(box.on, places::pageable(0), size), dst(box.on, places::gpu(0), size);
        const auto before = simcuda::live();
        // Both good buffers stay pinned.
        const std::uint64_t pinned = round_up(odd_bytes + 2 * cuda_box::guard_bytes, 4096);
        simcuda::limit_pinned(pinned + left);
        if (left > 0) {
            CHECK(note(arrives(box.moves, dst, src, box.in, 1), {"no room for its ring", "numa:0", "instead of"}));
            CHECK(box.moves.scratch_bytes() <= left);
            CHECK(box.moves.counters().fallbacks == 1);
        } else {
            const auto refused = box.moves.copy(dst.data(), src.data(), size, box.in);
            REQUIRE_FALSE(refused);
            working_box::check_error(refused.error(), errc::out_of_memory, {"numa:0", "free some"});
            CHECK(std::string(refused.error().object()) == "numa:0");
            CHECK(refused.error().bytes() > 0);
            CHECK(simcuda::live().registrations == before.registrations);
        }
        box.check_works();
        simcuda::limit_pinned(~0ull);
        arrives(box.moves, dst, src, box.in, 2);
    }
}

TEST_CASE("A GPU without memory says which GPU and how much") {
    working_box box(with_gpu_bytes(3, 4 * MiB));
    const auto refused = box.on.allocate(box.gpu(3), 8 * MiB);
    REQUIRE_FALSE(refused);
    working_box::check_error(refused.error(), errc::out_of_memory, {"gpu:3", "free some"});
    CHECK(refused.error().bytes() == 8 * MiB);
    CHECK(refused.error().device() == 3);
    CHECK(refused.error().native() == cudaErrorMemoryAllocation);
    box.check_works();
}

TEST_CASE("Where memory may not be bound copies work all the same") {
    {
        working_box box;
        simcuda::deny_binding();
        box.check_works();
        const cuda_box::buffer src(box.on, places::pageable(1), odd_bytes), dst(box.on, places::gpu(4), odd_bytes);
        arrives(box.moves, dst, src, box.stream(4), 1);
        auto mapped = host_mapping::make(odd_bytes, {{numa_id{1}}, 0});
        REQUIRE(mapped);
        REQUIRE_FALSE(mapped->notes().empty());
        CHECK(mapped->notes().front().find("numa:1") != std::string::npos);
    }
    simcuda::deny_binding(false);
}

TEST_CASE("Pointers that are none") {
    working_box box;
    SECTION("null") {
        box.refuses(nullptr, box.host.data(), odd_bytes, errc::invalid_argument, {"null"});
        box.refuses(box.device.data(), nullptr, odd_bytes, errc::invalid_argument, {"null"});
    }
    SECTION("freed on a GPU") {
        void* const gone = box.on.allocate(box.gpu(0), odd_bytes).value();
        REQUIRE(box.on.release(gone));
        // Where it was the simulator's own memory may be left over, mapped or not.
        const auto refused = box.moves.copy(gone, box.host.data(), odd_bytes, box.in);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code() == errc::invalid_argument);
        CHECK(*refused.error().what() != '\0');
        box.check_works();
    }
    SECTION("freed pinned memory") {
        void* const gone = box.on.allocate(box.on.topology().memory(numa_id{0}), odd_bytes).value();
        REQUIRE(box.on.release(gone));
        box.refuses(box.device.data(), gone, odd_bytes, errc::invalid_argument, {"freed"});
        box.refuses(gone, box.device.data(), odd_bytes, errc::invalid_argument, {"freed"});
    }
    SECTION("unmapped") {
        void* gone = nullptr;
        {
            const pages mapped(odd_bytes);
            gone = mapped.at;
        }
        box.refuses(box.device.data(), gone, odd_bytes, errc::invalid_argument, {"no memory at this address"});
        box.refuses(box.device.data(), reinterpret_cast<void*>(64), odd_bytes, errc::invalid_argument, {"no memory"});
    }
    SECTION("mapped at the start only") {
        const pages mapped(2 * odd_bytes);
        REQUIRE(::munmap(mapped.at + odd_bytes, odd_bytes) == 0);
        box.refuses(box.device.data(), mapped.at + 4096, odd_bytes, errc::invalid_argument,
                    {"no memory at this address"});
    }
    SECTION("past the end of its allocation") {
        const std::uint64_t past = 2 * cuda_box::guard_bytes + 8192;
        box.refuses(box.device.data(), box.host.data() + past, odd_bytes, errc::invalid_argument, {"partly"});
    }
}

TEST_CASE("Ranges that are registered in part, or twice") {
    working_box box;
    const pages mine(4 * MiB);
    std::memset(mine.at, 1, mine.size);
    SECTION("the first half") {
        REQUIRE(cudaHostRegister(mine.at, 2 * MiB, cudaHostRegisterPortable) == cudaSuccess);
        box.refuses(box.device.data(), mine.at + MiB, odd_bytes, errc::invalid_argument,
                    {"partly page-locked", "split"});
        box.refuses(mine.at + MiB, box.device.data(), odd_bytes, errc::invalid_argument, {"partly page-locked"});
        REQUIRE(cudaHostUnregister(mine.at) == cudaSuccess);
    }
    SECTION("the last half") {
        REQUIRE(cudaHostRegister(mine.at + 2 * MiB, 2 * MiB, cudaHostRegisterPortable) == cudaSuccess);
        box.refuses(box.device.data(), mine.at + MiB, odd_bytes, errc::invalid_argument, {"partly page-locked"});
        REQUIRE(cudaHostUnregister(mine.at + 2 * MiB) == cudaSuccess);
    }
    SECTION("a hole between two registrations") {
        REQUIRE(cudaHostRegister(mine.at, MiB, cudaHostRegisterPortable) == cudaSuccess);
        REQUIRE(cudaHostRegister(mine.at + 2 * MiB, 2 * MiB, cudaHostRegisterPortable) == cudaSuccess);
        box.refuses(box.device.data(), mine.at + MiB / 2, odd_bytes, errc::invalid_argument, {"partly page-locked"});
        REQUIRE(cudaHostUnregister(mine.at) == cudaSuccess);
        REQUIRE(cudaHostUnregister(mine.at + 2 * MiB) == cudaSuccess);
    }
    SECTION("two of one size, and two of different sizes") {
        patterned::fill(mine.at, mine.size, 77);
        REQUIRE(cudaHostRegister(mine.at, MiB, cudaHostRegisterPortable) == cudaSuccess);
        REQUIRE(cudaHostRegister(mine.at + MiB, 3 * MiB, cudaHostRegisterPortable) == cudaSuccess);
        // Over one border: cut at every multiple of the first piece's size.
        const std::uint64_t before = simcuda::calls("cudaMemcpyAsync");
        const auto started = box.moves.copy(box.device.data(), mine.at + MiB / 2, odd_bytes, box.in);
        if (!started) FAIL_CHECK(started.error().what());
        REQUIRE(started);
        REQUIRE(started->wait());
        CHECK(std::memcmp(box.device.data(), mine.at + MiB / 2, odd_bytes) == 0);
        CHECK(simcuda::calls("cudaMemcpyAsync") == before + 3);
        REQUIRE(cudaHostUnregister(mine.at + MiB) == cudaSuccess);
        // Over two borders, of which only one is where the first piece's size says.
        REQUIRE(cudaHostRegister(mine.at + MiB, MiB / 2, cudaHostRegisterPortable) == cudaSuccess);
        REQUIRE(cudaHostRegister(mine.at + MiB * 3 / 2, 2 * MiB, cudaHostRegisterPortable) == cudaSuccess);
        box.refuses(box.device.data(), mine.at + MiB / 2, odd_bytes, errc::invalid_argument,
                    {"registrations of different sizes", "split"});
        for (const std::uint64_t at : {0 * MiB, MiB, MiB * 3 / 2})
            REQUIRE(cudaHostUnregister(mine.at + at) == cudaSuccess);
    }
    box.check_works();
}

TEST_CASE("Managed memory, no bytes at all, a stream that is gone") {
    working_box box;
    SECTION("managed") {
        void* managed = nullptr;
        REQUIRE(cudaMallocManaged(&managed, odd_bytes, cudaMemAttachGlobal) == cudaSuccess);
        box.refuses(box.device.data(), managed, odd_bytes, errc::unsupported, {"managed", "cudaMemPrefetchAsync"});
        box.refuses(managed, box.device.data(), odd_bytes, errc::unsupported, {"managed"});
        REQUIRE(cudaFree(managed) == cudaSuccess);
    }
    SECTION("no bytes") {
        box.refuses(box.device.data(), box.host.data(), 0, errc::invalid_argument, {"bytes"});
    }
    SECTION("a destroyed stream") {
        const cuda::stream gone = box.stream(0);
        REQUIRE(box.on.destroy(gone));
        for (const cuda::stream each : {gone, cuda::stream(gone.handle)}) {
            const auto refused = box.moves.copy(box.device.data(), box.host.data(), odd_bytes, each);
            REQUIRE_FALSE(refused);
            working_box::check_error(refused.error(), errc::invalid_argument, {"stream", "gone"});
            box.check_works();
            const region to = box.moves.resolve(box.device.data(), odd_bytes).value();
            const region from = box.moves.resolve(box.host.data(), odd_bytes).value();
            const auto queued = box.moves.enqueue(to, from, each);
            REQUIRE_FALSE(queued);
            CHECK(queued.error().code() == errc::invalid_argument);
            box.check_works();
        }
    }
    SECTION("pageable memory in a capture") {
        std::vector<char> ordinary(odd_bytes);
        REQUIRE(cudaStreamBeginCapture(box.in.handle, cudaStreamCaptureModeGlobal) == cudaSuccess);
        const auto refused = box.moves.copy(box.device.data(), ordinary.data(), odd_bytes, box.in);
        cudaGraph_t graph = nullptr;
        CHECK(cudaStreamEndCapture(box.in.handle, &graph) == cudaSuccess);
        REQUIRE_FALSE(refused);
        working_box::check_error(refused.error(), errc::unsupported, {"captured", "pin it"});
        CHECK(cudaGraphDestroy(graph) == cudaSuccess);
    }
    SECTION("a capture that was spoilt before") {
        REQUIRE(cudaStreamBeginCapture(box.in.handle, cudaStreamCaptureModeGlobal) == cudaSuccess);
        CHECK(cudaStreamSynchronize(box.in.handle) == cudaErrorStreamCaptureUnsupported);
        (void)cudaGetLastError();
        const auto refused = box.moves.copy(box.device.data(), box.host.data(), odd_bytes, box.in);
        REQUIRE_FALSE(refused);
        working_box::check_error(refused.error(), errc::invalid_argument, {"capture was broken", "end it"});
        cudaGraph_t graph = nullptr;
        CHECK(cudaStreamEndCapture(box.in.handle, &graph) == cudaErrorStreamCaptureInvalidated);
        (void)cudaGetLastError();
    }
    box.check_works();
}
