// Broadcast, scatter, gather, exchange and columns through the CUDA code: bytes on every GPU, order, graphs, failing calls.
#include <cstdint>
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <barelink/move/cuda.hpp>

#include <support/catch.hpp>
#include <support/cuda_box.hpp>

using namespace barelink;

namespace {

using cuda_mover = mover<cuda::runtime>;
constexpr const char* machines[] = {"hgx-h100-8", "dgx1-v100", "rtx4090-pcie-8"};

/// A server whose paths between GPUs need no proof first, which would take most of the time here.
struct proved_server : cuda_box::server {
    explicit proved_server(const char* machine, bool proved = true) : server(machine) {
        const auto known = on.topology().paths();
        if (proved)
            for (const dma_path& path : std::vector<dma_path>(known.begin(), known.end()))
                if (path.proof == delivery::unproved) on.set_delivery(path.from, path.to, delivery::proved);
    }
    [[nodiscard]] int gpus() const { return static_cast<int>(on.topology().count(node_kind::gpu)); }
};

/// One buffer of a size on each of some GPUs.
struct on_gpus {
    on_gpus(proved_server& box, int first, int end, std::uint64_t bytes) {
        for (int i = first; i < end; ++i) {
            each.emplace_back(box.on, places::gpu(i), bytes);
            regions.push_back({each.back().data(), bytes, box.on.classify(each.back().data(), bytes).value()});
        }
    }
    void clear() const {
        for (const cuda_box::buffer& b : each) b.clear();
    }
    [[nodiscard]] bool hold(std::uint64_t seed) const {
        bool right = true;
        for (const cuda_box::buffer& b : each) right = b.holds(seed) && right;
        return right;
    }
    [[nodiscard]] bool guarded() const {
        bool right = true;
        for (const cuda_box::buffer& b : each) right = b.guarded() && right;
        return right;
    }

    std::deque<cuda_box::buffer> each;
    std::vector<region> regions;
};

region region_of(proved_server& box, const cuda_box::buffer& b) {
    return {b.data(), b.size(), box.on.classify(b.data(), b.size()).value()};
}
/// A host function in the stream: it fills the source, which is what a producing kernel does.
struct producer {
    const cuda_box::buffer* what;
    std::uint64_t seed;
    void start(cudaStream_t in) {
        REQUIRE(cudaLaunchHostFunc(
                    in,
                    [](void* self) {
                        const auto& p = *static_cast<producer*>(self);
                        p.what->fill(p.seed);
                    },
                    this) == cudaSuccess);
    }
};
/// A host function that looks at every GPU's bytes and then spoils them all, the source too.
struct consumer {
    const cuda_box::buffer* src;
    const on_gpus* dst;
    std::uint64_t seed;
    bool right = false;
    void start(cudaStream_t in) {
        REQUIRE(cudaLaunchHostFunc(
                    in,
                    [](void* self) {
                        auto& c = *static_cast<consumer*>(self);
                        c.right = c.dst->hold(c.seed);
                        c.dst->clear();
                        c.src->clear();
                    },
                    this) == cudaSuccess);
    }
};
void settle(const cuda::stream& s) {
    REQUIRE(cudaStreamSynchronize(s.handle) == cudaSuccess);
}
void check_nothing_is_wrong() {
    CHECK(simcuda::server().races() == 0);
    CHECK(simcuda::pending_error() == cudaSuccess);
}

} // namespace

TEST_CASE("Every GPU has every byte of a broadcast through the CUDA code, from any source") {
    for (const char* machine : machines)
        for (const endpoint from : {endpoint::host_all(), places::host(1), places::gpu(0)})
            for (const std::uint64_t bytes : {std::uint64_t{1}, 4 * KiB + 3, 5 * MiB + 17}) {
                INFO(machine << ": " << bytes << " bytes from " << to_string(from));
                proved_server box(machine, bytes > MiB);
                const auto before = simcuda::live();
                {
                    cuda_mover moves(box.on);
                    const cuda_box::buffer src(box.on, from, bytes, 777, 512 * KiB);
                    const on_gpus dst(box, from == places::gpu(0) ? 1 : 0, box.gpus(), bytes);
                    const cuda::stream stream = box.stream(3);
                    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
                        src.fill(seed);
                        dst.clear();
                        const auto started = moves.broadcast(dst.regions, region_of(box, src), stream);
                        REQUIRE(started);
                        REQUIRE(started->wait());
                        CHECK(started->fallbacks().empty());
                        CHECK(started->bytes() == bytes * dst.each.size());
                        CHECK(started->elapsed_us().value() > 0);
                        CHECK((dst.hold(seed) && src.holds(seed) && dst.guarded() && src.guarded()));
                    }
                    check_nothing_is_wrong();
                    CHECK(box.on.destroy(stream));
                }
                CHECK(simcuda::live() == before);
            }
}

TEST_CASE("A broadcast keeps its order where one link is slow: nobody reads too early, no ring is filled too soon") {
    std::uint64_t rings = 0;
    for (const char* machine : machines)
        for (const endpoint from : {endpoint::host_all(), places::gpu(0)})
            for (const int slow : {1, 3, 7}) {
                INFO(machine << ": from " << to_string(from) << ", gpu:" << slow << " is slow");
                proved_server box(machine);
                const std::uint64_t bytes = 5 * MiB + 333;
                cuda_mover moves(box.on);
                const cuda_box::buffer src(box.on, from, bytes, 0, 256 * KiB);
                const on_gpus dst(box, from == places::gpu(0) ? 1 : 0, box.gpus(), bytes);
                const auto plan = moves.plan_for(dst.regions, region_of(box, src));
                REQUIRE(plan);
                for (const tree& t : (*plan)->trees)
                    for (const tree_arc& a : (*plan)->arcs_of(t)) rings += a.ring && t.bytes > 8 * t.chunk_bytes;
                // Every link that ends at that GPU.
                sim::faults weather;
                for (std::uint32_t l = 0; l < box.on.topology().links.size(); ++l) {
                    const barelink::link& each = box.on.topology().links[l];
                    for (const bool reverse : {false, true})
                        if ((reverse ? each.a : each.b) == box.gpu(slow))
                            weather.links.push_back(
                                {{link_index{l}, reverse}, 0, box.on.topology().gb_s({link_index{l}, reverse}) / 100});
                }
                simcuda::server().inject(weather);
                const cuda::stream stream = box.stream(0);
                for (std::uint64_t seed = 1; seed <= 2; ++seed) {
                    src.fill(seed);
                    dst.clear();
                    const auto started = moves.broadcast(dst.regions, region_of(box, src), stream);
                    REQUIRE(started);
                    REQUIRE(started->wait());
                    CHECK(dst.hold(seed));
                }
                check_nothing_is_wrong();
            }
    CHECK(rings > 0); // else nothing here went round one
}

TEST_CASE("Broadcasts in two streams keep their place between producers and consumers") {
    for (const char* machine : machines) {
        INFO(machine);
        proved_server box(machine);
        const std::uint64_t bytes = 3 * MiB + 5;
        cuda_mover moves(box.on);
        struct lane {
            lane(proved_server& box, endpoint from, int gpu, std::uint64_t bytes)
                : src(box.on, from, bytes, 0, 512 * KiB), dst(box, 0, box.gpus(), bytes), stream(box.stream(gpu)) {}
            cuda_box::buffer src;
            on_gpus dst;
            cuda::stream stream;
            std::deque<producer> made;
            std::deque<consumer> seen;
        };
        std::deque<lane> lanes;
        lanes.emplace_back(box, endpoint::host_all(), 0, bytes);
        lanes.emplace_back(box, places::host(0), 5, bytes);
        for (std::uint64_t seed = 1; seed <= 4; ++seed)
            for (lane& each : lanes) {
                each.made.push_back({&each.src, seed}); // none of these waits: all is enqueued at once
                each.made.back().start(each.stream.handle);
                REQUIRE(moves.broadcast(each.dst.regions, region_of(box, each.src), each.stream));
                each.seen.push_back({&each.src, &each.dst, seed});
                each.seen.back().start(each.stream.handle);
            }
        for (lane& each : lanes) {
            settle(each.stream);
            REQUIRE(each.seen.size() == 4);
            for (const consumer& c : each.seen) CHECK(c.right);
            CHECK(each.dst.guarded());
        }
        check_nothing_is_wrong();
    }
}

TEST_CASE("A captured broadcast delivers to every GPU what its source holds when the graph is launched") {
    for (const char* machine : machines)
        for (const endpoint from : {endpoint::host_all(), places::gpu(2)}) {
            INFO(machine << " from " << to_string(from));
            proved_server box(machine);
            const std::uint64_t bytes = 3 * MiB + 21;
            cuda_mover moves(box.on);
            const cuda_box::buffer src(box.on, from, bytes, 0, 512 * KiB), other(box.on, places::host(0), bytes);
            on_gpus dst(box, 0, box.gpus(), bytes);
            const on_gpus aside(box, 0, box.gpus(), bytes);
            if (from == places::gpu(2)) dst.regions.erase(dst.regions.begin() + 2);
            const auto arrived = [&](std::uint64_t seed) {
                bool right = true;
                for (std::size_t i = 0; i < dst.each.size(); ++i)
                    right = (from == places::gpu(2) && i == 2 ? patterned::guarded(dst.each[i].data(), bytes)
                                                              : dst.each[i].holds(seed)) &&
                            right;
                return right;
            };
            const cuda::stream stream = box.stream(0), launched = box.stream(1), beside = box.stream(4);
            REQUIRE(moves.plan_for(dst.regions, region_of(box, src)));
            src.fill(1);
            dst.clear();
            REQUIRE(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeGlobal) == cudaSuccess);
            const auto ticket = moves.broadcast(dst.regions, region_of(box, src), stream);
            cudaGraph_t made = nullptr;
            REQUIRE(cudaStreamEndCapture(stream.handle, &made) == cudaSuccess);
            REQUIRE(ticket);
            CHECK(ticket->captured());
            CHECK(patterned::guarded(dst.each[0].data(), bytes)); // nothing has run
            cudaGraphExec_t ready = nullptr;
            REQUIRE(cudaGraphInstantiate(&ready, made, 0) == cudaSuccess);
            for (std::uint64_t seed = 10; seed < 13; ++seed) {
                src.fill(seed);
                other.fill(seed + 100);
                dst.clear();
                aside.clear();
                // The same mover broadcasts something else meanwhile.
                const auto first = moves.broadcast(aside.regions, region_of(box, other), beside);
                REQUIRE(cudaGraphLaunch(ready, launched.handle) == cudaSuccess);
                REQUIRE(first);
                REQUIRE(first->wait());
                settle(launched);
                CHECK(arrived(seed));
                CHECK(aside.hold(seed + 100));
                CHECK((dst.guarded() && aside.guarded()));
            }
            CHECK(cudaGraphExecDestroy(ready) == cudaSuccess);
            CHECK(cudaGraphDestroy(made) == cudaSuccess);
            check_nothing_is_wrong();
        }
}

TEST_CASE("Scatter, gather, exchange and columns through the CUDA code put every byte where it belongs") {
    for (const char* machine : machines)
        for (const bool relays : {false, true}) {
            INFO(machine << (relays ? " with relays" : ""));
            proved_server box(machine, relays);
            const auto n = static_cast<std::uint64_t>(box.gpus());
            cuda_mover moves(box.on, {.relays = relays ? gpu_set::all() : gpu_set::none()});
            const std::uint64_t shard = 2 * MiB + 5;
            const cuda::stream stream = box.stream(1);
            const cuda_box::buffer host(box.on, endpoint::host_all(), n * shard, 99, 1 * MiB),
                back(box.on, endpoint::host_all(), n * shard, 0, 2 * MiB);
            const on_gpus parts(box, 0, box.gpus(), shard);
            host.fill(1);
            back.clear();
            parts.clear();
            REQUIRE(moves.scatter(parts.regions, region_of(box, host), stream));
            const auto returned = moves.gather(region_of(box, back), parts.regions, stream);
            REQUIRE(returned);
            REQUIRE(returned->wait());
            CHECK((back.holds(1) && back.guarded() && parts.guarded()));
            for (std::size_t i = 0; i < n; ++i)
                CHECK(std::memcmp(parts.each[i].data(), host.data() + i * shard, shard) == 0);

            const std::uint64_t piece = 96 * KiB + 8;
            const on_gpus given(box, 0, box.gpus(), n * piece), got(box, 0, box.gpus(), n * piece);
            for (std::size_t i = 0; i < n; ++i) given.each[i].fill(100 + i);
            got.clear();
            const auto exchanging = moves.exchange(got.regions, given.regions, stream);
            REQUIRE(exchanging);
            REQUIRE(exchanging->wait());
            for (std::size_t i = 0; i < n; ++i)
                for (std::size_t j = 0; j < n; ++j) {
                    const char* const arrived = got.each[j].data() + i * piece;
                    CHECK((i == j ? patterned::guarded(arrived, piece)
                                  : std::memcmp(arrived, given.each[i].data() + j * piece, piece) == 0));
                }

            const std::uint64_t rows = 300, row_bytes = 1003;
            const cuda_box::buffer matrix(box.on, places::host(0), rows * n * row_bytes);
            const on_gpus columns(box, 0, box.gpus(), rows * row_bytes);
            matrix.fill(9);
            columns.clear();
            const auto list = scattered_columns(columns.regions, region_of(box, matrix), n * row_bytes);
            REQUIRE(list);
            const auto sharded = moves.copy_together(*list, stream);
            REQUIRE(sharded);
            REQUIRE(sharded->wait());
            bool right = true;
            for (std::size_t i = 0; i < n; ++i)
                for (std::uint64_t r = 0; r < rows; ++r)
                    right = std::memcmp(columns.each[i].data() + r * row_bytes, matrix.data() + (r * n + i) * row_bytes,
                                        row_bytes) == 0 &&
                            right;
            CHECK((right && columns.guarded()));
            check_nothing_is_wrong();
        }
}

namespace {

struct faulty_run {
    std::uint64_t calls = 0, refused = 0;
    std::string wrong; ///< empty when all is well
};

/// Three broadcasts by a mover of their own; the `number`-th CUDA call from then on fails.
faulty_run broadcasts(const char* machine, endpoint from, std::optional<std::uint64_t> number) {
    constexpr cudaError_t codes[] = {cudaErrorMemoryAllocation, cudaErrorInvalidValue, cudaErrorUnknown};
    proved_server box(machine);
    const std::uint64_t bytes = MiB + 17;
    const cuda_box::buffer src(box.on, from, bytes, 0, 256 * KiB);
    const on_gpus dst(box, 1, 4, bytes);
    const cuda::stream stream = box.stream(1), other = box.stream(2);
    const region whole = region_of(box, src);
    faulty_run found;
    const auto check = [&](bool fine, const char* what) {
        if (!fine && found.wrong.empty()) found.wrong = what;
    };
    const std::uint64_t first_call = simcuda::calls();
    if (number) simcuda::fail_any(*number, codes[*number % 3]);
    {
        cuda_mover moves(box.on);
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            const bool over = number && simcuda::calls() > first_call + *number;
            const cuda::stream in = seed == 2 ? other : stream;
            src.fill(seed);
            dst.clear();
            const auto started = moves.broadcast(dst.regions, whole, in);
            check(simcuda::pending_error() == cudaSuccess, "an error was left behind");
            if (!started) check(*started.error().what() != '\0', "an error without words");
            found.refused += !started;
            bool arrived = false;
            if (started) {
                arrived = static_cast<bool>(started->wait());
                check(!arrived || dst.hold(seed), "waited for, and the bytes are not there");
            }
            check(arrived || !over, "a broadcast failed, though nothing is broken any more");
            check(arrived || number, "a broadcast failed without a fault");
            for (int tries = 0; tries < 2 && cudaStreamSynchronize(in.handle) != cudaSuccess; ++tries)
                (void)cudaGetLastError();
        }
    }
    found.calls = simcuda::calls() - first_call;
    check(simcuda::server().races() == 0, "copies raced");
    check(src.guarded() && dst.guarded(), "bytes beside the buffers changed");
    check(simcuda::pending_error() == cudaSuccess, "an error was left behind at the end");
    return found;
}

} // namespace

TEST_CASE("Whichever CUDA call of a broadcast fails, it says so, claims nothing, and the next one works") {
    struct row {
        const char* machine;
        endpoint from;
    };
    for (const row& each : {row{"hgx-h100-8", endpoint::host_all()}, row{"rtx4090-pcie-8", places::gpu(0)}}) {
        const faulty_run clean = broadcasts(each.machine, each.from, {});
        INFO(each.machine << " from " << to_string(each.from) << ", " << clean.calls << " calls");
        CHECK(clean.wrong == "");
        CHECK(clean.refused == 0);
        CHECK(clean.calls > 100);
        std::uint64_t refused = 0;
        for (std::uint64_t number = 0; number < clean.calls; ++number) {
            const faulty_run found = broadcasts(each.machine, each.from, number);
            refused += found.refused;
            if (!found.wrong.empty()) FAIL_CHECK("call " << number << ": " << found.wrong);
        }
        CHECK(refused > clean.calls / 4);
    }
}
