// A grant of peer access is no proof: pairs are proved at first use, and one that fails is not used.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <barelink/move/cuda.hpp>

#include <support/catch.hpp>
#include <support/cuda_box.hpp>
#include <support/forwarding_runtime.hpp>
#include <support/simulated_box.hpp>

using namespace barelink;

namespace {

constexpr std::uint64_t pair_bytes = 3 * MiB + 7;

std::uint64_t opened() {
    return simcuda::calls("cudaDeviceEnablePeerAccess");
}
std::uint64_t copied() {
    return simcuda::calls("cudaMemcpyAsync");
}
/// Two GPUs of a server, and copies between them.
struct pair_box : cuda_box::server {
    explicit pair_box(const char* machine = "hgx-h100-8", mover_options options = {})
        : cuda_box::server(machine, {}, {.timing_only = false, .trace = true}), moves(on, options),
          left(on, places::gpu(0), pair_bytes), right(on, places::gpu(3), pair_bytes), from_left(stream(0)),
          from_right(stream(3)) {}

    mover<cuda::runtime> moves;
    cuda_box::buffer left, right;
    cuda::stream from_left, from_right;
    std::vector<std::string> fallbacks;

    [[nodiscard]] delivery proof(int from, int to) const { return on.topology().path(gpu(from), gpu(to))->proof; }
    [[nodiscard]] bool allowed(int from, int to) const { return on.topology().path(gpu(from), gpu(to))->allowed; }
    /// One copy; whether the bytes arrived.
    [[nodiscard]] bool moves_right(bool forth, std::uint64_t seed) {
        const cuda_box::buffer &src = forth ? left : right, &dst = forth ? right : left;
        src.fill(seed);
        dst.clear();
        const auto started = moves.copy(dst.data(), src.data(), pair_bytes, forth ? from_left : from_right);
        if (!started) FAIL_CHECK(started.error().what());
        if (!started || !started->wait()) return false;
        fallbacks = started->fallbacks();
        return dst.holds(seed) && dst.guarded();
    }
    /// Of the copies since the last `clear_trace`, those that went from GPU to GPU.
    [[nodiscard]] std::size_t between_gpus() const {
        std::size_t found = 0;
        for (const copy_record& each : simcuda::server().trace())
            found += on.topology().at(each.from).kind == node_kind::gpu &&
                     on.topology().at(each.to).kind == node_kind::gpu && each.from != each.to;
        return found;
    }
    void inject(int from, int to, sim::peer_fault::kind what) {
        sim::faults planned;
        planned.peers.push_back({gpu(from), gpu(to), what});
        simcuda::server().inject(planned);
    }
};

bool names(const std::vector<std::string>& notes, const char* pair, const char* why) {
    for (const std::string& each : notes)
        if (each.find(pair) != std::string::npos && each.find(why) != std::string::npos) return true;
    return false;
}

/// Between two GPUs nothing is moved any more: whoever reads the destination gets what an earlier proof brought there.
template <class Inner>
class stale_runtime : public forwarding_runtime<Inner> {
    using base = forwarding_runtime<Inner>;

public:
    using base::base;
    using typename base::stream_type;

    bool stale = false;

    [[nodiscard]] status copy(void* to, const void* from, std::uint64_t count, stream_type s) {
        const bool out = kind_of(from) == memory_kind::device, in = kind_of(to) == memory_kind::device;
        if (out && !in && stale) {
            std::memcpy(to, earlier_.data(), count); // the stream's answer, as it was before
            return {};
        }
        if (out && !in) answers_.push_back({static_cast<const char*>(to), count});
        return base::copy(to, from, count, s);
    }
    [[nodiscard]] status release(void* at) {
        for (const answer& each : answers_)
            if (each.at == at) earlier_.assign(each.at, each.at + each.count);
        std::erase_if(answers_, [&](const answer& each) { return each.at == at; });
        return base::release(at);
    }

private:
    struct answer {
        const char* at;
        std::uint64_t count;
    };
    memory_kind kind_of(const void* at) { return base::classify(at, 1).value().kind; }
    std::vector<answer> answers_;
    std::vector<char> earlier_;
};

template <class Inner>
void check_stale(Inner& inner) {
    stale_runtime<Inner> on(inner);
    const node_index a = on.topology().gpu(gpu_id{0}), b = on.topology().gpu(gpu_id{3});
    REQUIRE(prove_delivery(on, a, b).value() == delivery::proved);
    REQUIRE(prove_delivery(on, a, b).value() == delivery::proved); // as often as one likes
    on.stale = true;
    CHECK(prove_delivery(on, a, b).value() == delivery::failed);
    CHECK(on.topology().path(a, b)->proof == delivery::failed);
    CHECK_FALSE(on.topology().path(a, b)->allowed);
}

} // namespace

TEST_CASE("A pair is unproved until it is used, and proved once, both ways") {
    pair_box box;
    for (const int other : {1, 3, 7}) CHECK(box.proof(0, other) == delivery::unproved);
    CHECK((opened() == 0 && copied() == 0));
    const auto before = simcuda::live();
    REQUIRE(box.moves_right(true, 1));
    CHECK((box.proof(0, 3) == delivery::proved && box.proof(3, 0) == delivery::proved));
    CHECK(box.proof(0, 1) == delivery::unproved);
    CHECK(opened() == 2); // each GPU's engine
    // Four copies for a proof by one engine, two engines, two directions; and the copy.
    CHECK(copied() == 17);
    const auto after = simcuda::live();
    CHECK(after.device_allocations == before.device_allocations);
    CHECK(after.registrations == before.registrations);
    CHECK(after.streams == before.streams);
    CHECK(box.fallbacks.empty());
    REQUIRE(box.moves_right(true, 2));
    REQUIRE(box.moves_right(false, 3));
    CHECK((opened() == 2 && copied() == 19));
    CHECK(simcuda::contexts() == 2);
}

TEST_CASE("A path that delivers zeros is found out and not used, whatever its grant") {
    for (const bool relays : {false, true}) {
        mover_options options;
        if (relays) options.relays = gpu_set::none().insert(gpu_id{1}).insert(gpu_id{2});
        pair_box box("hgx-h100-8", options);
        box.inject(0, 3, sim::peer_fault::kind::delivers_zeros);
        REQUIRE(box.moves_right(true, 1));
        CHECK((box.proof(0, 3) == delivery::failed && !box.allowed(0, 3)));
        CHECK((box.proof(3, 0) == delivery::proved && box.allowed(3, 0)));
        CHECK(names(box.fallbacks, "gpu:0 -> gpu:3", "do not arrive"));
        CHECK_FALSE(names(box.fallbacks, "gpu:3 -> gpu:0", ""));
        const std::uint64_t asked = opened();
        simcuda::server().clear_trace();
        REQUIRE(box.moves_right(true, 2)); // and it is not asked again
        CHECK(opened() == asked);
        CHECK((box.between_gpus() > 0) == relays); // by way of the relays, else staged in host memory
        for (const copy_record& each : simcuda::server().trace())
            CHECK_FALSE((each.from == box.gpu(0) && each.to == box.gpu(3)));
        simcuda::server().clear_trace();
        REQUIRE(box.moves_right(false, 3));
        CHECK(box.between_gpus() == 1);
        CHECK(box.moves.counters().fallbacks == box.moves.counters().copies);
    }
    SECTION("over the simulator alone") {
        sim::runtime on(builtin::hgx_h100_8());
        const node_index a = on.topology().gpu(gpu_id{0}), b = on.topology().gpu(gpu_id{3});
        sim::faults planned;
        planned.peers.push_back({a, b, sim::peer_fault::kind::delivers_zeros});
        on.inject(planned);
        CHECK(prove_delivery(on, a, b).value() == delivery::failed);
        CHECK(prove_delivery(on, b, a).value() == delivery::proved);
        CHECK(on.allocations() == 0);
    }
}

TEST_CASE("A path that hangs has failed when the time is over, and nothing else waits for it") {
    pair_box box;
    const cuda_box::buffer host(box.on, places::host(0), pair_bytes);
    box.inject(0, 3, sim::peer_fault::kind::hangs);
    const auto before = simcuda::live();
    const double start_us = box.on.clock_us();
    const auto proof = prove_delivery(box.on, box.gpu(0), box.gpu(3), {.timeout_us = 2e4});
    REQUIRE(proof);
    CHECK(*proof == delivery::failed);
    CHECK(box.on.clock_us() - start_us < 1e6);
    CHECK((box.proof(0, 3) == delivery::failed && !box.allowed(0, 3)));
    // What the copy may still write is kept.
    CHECK(simcuda::live().device_allocations == before.device_allocations + 2);
    CHECK(simcuda::live().registrations == before.registrations + 2);
    host.fill(5);
    const auto loaded = box.moves.copy(box.left.data(), host.data(), pair_bytes, box.from_left);
    REQUIRE(loaded);
    REQUIRE(loaded->wait());
    CHECK(box.left.holds(5));
    CHECK(simcuda::pending_error() == cudaSuccess);
    SECTION("over the simulator alone") {
        sim::runtime on(builtin::hgx_h100_8());
        const node_index a = on.topology().gpu(gpu_id{0}), b = on.topology().gpu(gpu_id{3});
        sim::faults planned;
        planned.peers.push_back({a, b, sim::peer_fault::kind::hangs});
        on.inject(planned);
        CHECK(prove_delivery(on, a, b, {.timeout_us = 3000}).value() == delivery::failed);
        CHECK((on.now_us() > 3000 && on.now_us() < 6000));
        CHECK(on.allocations() == 4);
    }
}

TEST_CASE("Where peer access is refused the copy goes another way, and the note says refused") {
    for (const bool at_once : {true, false}) {
        pair_box box;
        // Not granted at all; or granted by the query and refused when it is opened.
        if (at_once) simcuda::refuse_peer(0, 3);
        if (!at_once) simcuda::fail("cudaDeviceEnablePeerAccess", 0, cudaErrorPeerAccessUnsupported);
        REQUIRE(box.moves_right(true, 1));
        CHECK((box.proof(0, 3) == delivery::failed && box.proof(3, 0) == delivery::proved));
        CHECK(names(box.fallbacks, "gpu:0 -> gpu:3", "refused"));
        CHECK(box.moves.counters().fallbacks == 1);
        CHECK(simcuda::pending_error() == cudaSuccess);
        const std::uint64_t asked = opened();
        REQUIRE(box.moves_right(true, 2));
        REQUIRE(box.moves_right(false, 3));
        CHECK(opened() == asked);
    }
}

TEST_CASE("Where one direction is granted, only the engine that has the grant is asked to copy") {
    for (const bool forth : {true, false}) {
        pair_box box;
        simcuda::refuse_peer(forth ? 3 : 0, forth ? 0 : 3); // the GPU at the other end may not
        simcuda::server().clear_trace();
        REQUIRE(box.moves_right(forth, 1));
        simcuda::server().clear_trace();
        REQUIRE(box.moves_right(forth, 2));
        REQUIRE(box.between_gpus() == 1);
        const copy_record direct = simcuda::server().trace().back();
        // The driver would stage it at a tenth of that, had the other engine been asked.
        CHECK(rate_gb_s(static_cast<double>(direct.bytes), direct.end_us - direct.start_us) > 100);
        REQUIRE(box.moves_right(!forth, 3));
        CHECK(box.between_gpus() == 1); // the other way it is staged
        CHECK(names(box.fallbacks, forth ? "gpu:3 -> gpu:0" : "gpu:0 -> gpu:3", "refused"));
        CHECK(simcuda::server().races() == 0);
    }
}

TEST_CASE("A proof that cannot be made leaves the pair unproved, says so, and is tried again on request") {
    for (const char* function : {"cudaMalloc", "cudaHostRegister", "cudaMemcpyAsync", "cudaStreamCreateWithFlags",
                                 "cudaEventCreateWithFlags", "cudaEventRecord", "cudaDeviceEnablePeerAccess"}) {
        INFO(function);
        pair_box box;
        const auto before = simcuda::live();
        simcuda::fail(function, 0, cudaErrorMemoryAllocation);
        REQUIRE(box.moves_right(true, 1));
        CHECK((box.proof(0, 3) == delivery::unproved && box.allowed(0, 3)));
        CHECK(box.proof(3, 0) == delivery::proved);
        CHECK(names(box.fallbacks, "gpu:0 -> gpu:3", "could not be made"));
        CHECK(names(box.fallbacks, "gpu:0 -> gpu:3", "out of memory"));
        CHECK(simcuda::live().device_allocations == before.device_allocations);
        CHECK(simcuda::pending_error() == cudaSuccess);
        const std::uint64_t asked = simcuda::calls("cudaMalloc");
        REQUIRE(box.moves_right(true, 2));
        CHECK(simcuda::calls("cudaMalloc") == asked); // not with every copy
        CHECK(names(box.fallbacks, "gpu:0 -> gpu:3", "could not be made"));
        box.moves.forget_plans();
        simcuda::server().clear_trace();
        REQUIRE(box.moves_right(true, 3));
        CHECK(box.proof(0, 3) == delivery::proved);
        CHECK(box.between_gpus() == 4 - 1); // pushed and pulled for the proof, and the copy
        CHECK(box.fallbacks.empty());
    }
}

TEST_CASE("Stale bytes of an earlier proof do not pass for a delivery") {
    SECTION("over CUDA") {
        cuda_box::server box("hgx-h100-8");
        check_stale(box.on);
    }
    SECTION("over the simulator") {
        sim::runtime on(builtin::hgx_h100_8());
        check_stale(on);
    }
}

TEST_CASE("Peer access that is withdrawn after the proof is noticed by the next plan") {
    pair_box box;
    REQUIRE(prove_delivery(box.on, box.gpu(0), box.gpu(3)).value() == delivery::proved);
    cuda::runtime fresh(box.on.topology());
    CHECK(fresh.topology().path(box.gpu(0), box.gpu(3))->proof == delivery::unproved); // a proof is not taken over
    fresh.set_delivery(box.gpu(0), box.gpu(3), delivery::proved); // and now it is, but nothing was opened yet
    REQUIRE(cudaSetDevice(0) == cudaSuccess);
    REQUIRE(cudaDeviceDisablePeerAccess(3) == cudaSuccess);
    simcuda::refuse_peer(0, 3);
    mover<cuda::runtime> moves(fresh);
    box.left.fill(8);
    const auto started = moves.copy(box.right.data(), box.left.data(), pair_bytes, box.from_left);
    REQUIRE(started);
    REQUIRE(started->wait());
    CHECK(box.right.holds(8));
    CHECK(names(started->fallbacks(), "gpu:0 -> gpu:3", "withdrawn"));
    CHECK(fresh.topology().path(box.gpu(0), box.gpu(3))->proof == delivery::failed);
}
