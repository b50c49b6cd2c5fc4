// This machine, discovered: every built-in machine as hwloc and the simulated CUDA runtime show it, against itself.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/machine/cuda.hpp>
#include <barelink/machine/detail/hwloc_machine_xml.hpp>
#include <barelink/machine/live.hpp>

#include "support/captures.hpp"
#include "support/catch.hpp"
#include "support/expected_machine.hpp"
#include "support/simcuda/simcuda.hpp"

using namespace barelink;
using test::find_note;

namespace {

/// An environment variable with another value, or none, for a while.
class variable {
public:
    variable(const char* name, const char* value) : name_(name) {
        if (const char* before = std::getenv(name)) {
            had_ = true;
            before_ = before;
        }
        value ? ::setenv(name, value, 1) : ::unsetenv(name);
    }
    variable(const variable&) = delete;
    variable& operator=(const variable&) = delete;
    ~variable() { had_ ? ::setenv(name_, before_.c_str(), 1) : ::unsetenv(name_); }

private:
    const char* name_;
    bool had_ = false;
    std::string before_;
};

/// CUDA shows `cuda`, hwloc shows `tree`, until this goes away.
class shown {
public:
    shown(const machine& cuda, const machine& tree)
        : file_((std::ofstream(folder_ / "machine.xml") << detail::machine_xml(tree), folder_ / "machine.xml")),
          xml_("HWLOC_XMLFILE", file_.c_str()), here_("HWLOC_THISSYSTEM", nullptr) {
        simcuda::reset(cuda);
    }
    explicit shown(const machine& both) : shown(both, both) {}

private:
    test::temporary_folder folder_;
    std::string file_;
    variable xml_, here_;
};

/// CUDA answers that there is no GPU, or no driver; hwloc still shows the machine.
class without_cuda {
public:
    without_cuda(const char* why, const machine& tree) : shown_(tree), named_("BARELINK_SIM_MACHINE", why) {
        simcuda::reset();
    }
    without_cuda(const without_cuda&) = delete;
    without_cuda& operator=(const without_cuda&) = delete;
    ~without_cuda() { simcuda::reset(builtin::gh200()); }

private:
    shown shown_;
    variable named_;
};

bool allowed(const machine& m, int from, int to) {
    const dma_path* path = m.path(m.gpu(gpu_id{from}), m.gpu(gpu_id{to}));
    return path && path->allowed;
}

bool of_gpus(link_kind kind) {
    return kind == link_kind::pcie || kind == link_kind::nvlink || kind == link_kind::c2c;
}

/// The slowest of a path's PCIe links, NVLinks and C2C.
double wire_gb_s(const machine& m, const dma_path& path) {
    double slowest = 0;
    for (const link_direction hop : m.hops(path))
        if (of_gpus(m.at(hop.link).kind)) slowest = slowest == 0 ? m.gb_s(hop) : std::min(slowest, m.gb_s(hop));
    return slowest;
}

bool share_wires(const machine& m, const dma_path& one, const dma_path& other) {
    for (const link_direction a : m.hops(one))
        for (const link_direction b : m.hops(other))
            if (a == b && of_gpus(m.at(a.link).kind)) return true;
    return false;
}

bool over_nvlink(const machine& m, const dma_path& path) {
    return m.at(m.hops(path)[0].link).kind == link_kind::nvlink;
}

/// GB/s of all of them.
double nvlinks_of(const machine& m, int gpu) {
    double sum = 0;
    for (const barelink::link& each : m.links)
        if (each.kind == link_kind::nvlink && (each.a == m.gpu(gpu_id{gpu}) || each.b == m.gpu(gpu_id{gpu})))
            sum += each.gb_s_ab;
    return sum;
}

void check_quiet() {
    CHECK(simcuda::contexts() == 0);
    CHECK(simcuda::pending_error() == cudaSuccess);
}

constexpr const char* queries[] = {"cudaGetDeviceCount",     "cudaGetDeviceProperties", "cudaDeviceGetPCIBusId",
                                   "cudaDeviceGetAttribute", "cudaDeviceCanAccessPeer", "cudaDeviceGetP2PAttribute"};

} // namespace

TEST_CASE("every built-in machine is discovered as it is", "[cuda][discover]") {
    for (const builtin::entry& entry : builtin::names()) {
        const machine real = entry.make();
        const shown now(real);
        const machine m = live_machine().value();
        INFO(entry.name);
        check_quiet();
        test::check_invariants(m);
        const int gpus = static_cast<int>(real.count(node_kind::gpu));
        REQUIRE(m.count(node_kind::gpu) == real.count(node_kind::gpu));
        CHECK(m.count(node_kind::memory) == real.count(node_kind::memory));
        CHECK(m.count(node_kind::package) == real.count(node_kind::package));
        CHECK(m.count(node_kind::nvswitch) == real.count(node_kind::nvswitch));
        CHECK_FALSE(find_note(m, "cuda", ""));
        for (int g = 0; g < gpus; ++g) {
            INFO("gpu:" << g);
            const node &here = m.at(m.gpu(gpu_id{g})), &there = real.at(real.gpu(gpu_id{g}));
            CHECK(here.pci == there.pci);
            CHECK(here.bytes == there.bytes);
            CHECK(here.numa == there.numa);
            CHECK(here.name == there.name + " (simulated)");
            CHECK(here.cuda);
            // Also where the split of its NVLinks over its neighbours is a guess.
            CHECK(nvlinks_of(m, g) == Approx(nvlinks_of(real, g)).epsilon(0.1));
            for (const node_index memory : real.all(node_kind::memory)) {
                const node_index same = m.memory(real.at(memory).numa);
                for (const bool out : {true, false}) {
                    const auto path = [&](const machine& on, node_index host, int gpu) {
                        const node_index end = on.gpu(gpu_id{gpu});
                        return out ? on.path(host, end) : on.path(end, host);
                    };
                    CHECK(wire_gb_s(m, *path(m, same, g)) ==
                          Approx(wire_gb_s(real, *path(real, memory, g))).epsilon(0.1));
                    for (int h = 0; h < g; ++h) {
                        INFO("gpu:" << h);
                        CHECK(share_wires(m, *path(m, same, g), *path(m, same, h)) ==
                              share_wires(real, *path(real, memory, g), *path(real, memory, h)));
                    }
                }
            }
            for (int h = 0; h < gpus; ++h) {
                if (g == h) continue;
                INFO("gpu:" << h);
                CHECK(allowed(m, g, h) == allowed(real, g, h));
                if (!allowed(m, g, h)) continue;
                const dma_path& found = *m.path(m.gpu(gpu_id{g}), m.gpu(gpu_id{h}));
                const dma_path& known = *real.path(real.gpu(gpu_id{g}), real.gpu(gpu_id{h}));
                CHECK(found.proof == delivery::unproved);
                CHECK(over_nvlink(m, found) == over_nvlink(real, known));
                const double least = 0.9 * wire_gb_s(real, known);
                const double most = 1.1 * wire_gb_s(real, known);
                CHECK(wire_gb_s(m, found) >= least * 0.999);
                CHECK(wire_gb_s(m, found) <= most * 1.001);
            }
        }
    }
}

TEST_CASE("without hwloc: CUDA and /sys find the same GPUs and pairs", "[cuda][discover]") {
    for (const builtin::entry& entry : builtin::names()) {
        const machine real = entry.make();
        const shown now(real);
        const machine m = cuda::discover().value();
        INFO(entry.name);
        check_quiet();
        test::check_invariants(m);
        const int gpus = static_cast<int>(real.count(node_kind::gpu));
        CHECK(m.count(node_kind::nvswitch) == real.count(node_kind::nvswitch));
        for (int g = 0; g < gpus; ++g) {
            INFO("gpu:" << g);
            const node &here = m.at(m.gpu(gpu_id{g})), &there = real.at(real.gpu(gpu_id{g}));
            CHECK(here.pci == there.pci);
            CHECK(here.numa == there.numa);
            CHECK(nvlinks_of(m, g) == Approx(nvlinks_of(real, g)).epsilon(0.1));
            for (int h = 0; h < gpus; ++h)
                if (g != h) CHECK(allowed(m, g, h) == allowed(real, g, h));
        }
    }
}

TEST_CASE("GPUs are numbered as CUDA numbers them", "[cuda][discover]") {
    const machine real = builtin::hgx_h100_8();
    machine reversed = real;
    for (node& each : reversed.nodes)
        if (each.kind == node_kind::gpu) each.index = 7 - each.index;
    reversed.connect();
    const shown now(reversed, real);
    const machine m = live_machine().value();
    for (int g = 0; g < 8; ++g) CHECK(m.at(m.gpu(gpu_id{g})).pci == real.at(real.gpu(gpu_id{7 - g})).pci);
}

TEST_CASE("GPUs on one side only", "[cuda][discover]") {
    SECTION("CUDA shows what the tree does not") {
        const shown now(builtin::azure_nd_h100_v5_vm(), builtin::gh200());
        const machine m = live_machine().value();
        CHECK(m.count(node_kind::gpu) == 9);
        for (int g = 0; g < 8; ++g) CHECK(m.at(m.gpu(gpu_id{g})).cuda);
        CHECK_FALSE(m.at(m.gpu(gpu_id{8})).cuda);
        CHECK(allowed(m, 0, 7));
    }
    SECTION("the tree shows what CUDA does not") {
        const shown now(builtin::gh200(), builtin::l40s_pcie_8());
        const machine m = live_machine().value();
        CHECK(m.count(node_kind::gpu) == 9);
        CHECK(m.at(m.gpu(gpu_id{0})).name.find("GH200") != std::string::npos);
        CHECK_FALSE(m.at(m.gpu(gpu_id{1})).is_memory());
    }
}

TEST_CASE("a pair that is refused one way", "[cuda][discover]") {
    const shown now(builtin::l40s_pcie_8());
    simcuda::refuse_peer(1, 2);
    const machine m = live_machine().value();
    CHECK_FALSE(allowed(m, 1, 2));
    CHECK(allowed(m, 2, 1));
    CHECK(find_note(m, "gpu:2-gpu:1", "not back"));
}

TEST_CASE("a machine without a driver or without a GPU is a machine", "[cuda][discover]") {
    const machine real = builtin::hgx_h100_8();
    SECTION("no driver") {
        const without_cuda now("no-driver", real);
        const machine m = live_machine().value();
        CHECK(m.count(node_kind::gpu) == 8);
        CHECK(m.at(m.gpu(gpu_id{0})).cuda);
        CHECK(find_note(m, "cuda", "there is no CUDA driver"));
        const result<machine> alone = cuda::discover();
        REQUIRE_FALSE(alone);
        CHECK(alone.error().code() == errc::unsupported);
        CHECK(alone.error().native() == cudaErrorInsufficientDriver);
        CHECK(simcuda::pending_error() == cudaSuccess);
    }
    SECTION("no GPU that is visible") {
        const without_cuda now("none", real);
        const machine m = live_machine().value();
        CHECK(m.count(node_kind::gpu) == 8);
        CHECK_FALSE(m.at(m.gpu(gpu_id{0})).cuda);
        CHECK(find_note(m, "cuda", "CUDA_VISIBLE_DEVICES"));
        const result<machine> alone = cuda::discover();
        REQUIRE_FALSE(alone);
        CHECK(alone.error().code() == errc::not_found);
        CHECK(simcuda::pending_error() == cudaSuccess);
    }
    SECTION("the fabric is not up") {
        const shown now(real);
        simcuda::fail("cudaGetDeviceCount", 0, cudaErrorSystemNotReady);
        const machine m = live_machine().value();
        CHECK(find_note(m, "cuda", "nvidia-fabricmanager"));
        check_quiet();
    }
}

TEST_CASE("any single query may fail", "[cuda][discover]") {
    const machine real = builtin::a100_pcie_4_switch();
    const shown now(real);
    REQUIRE(live_machine());
    const std::uint64_t all = simcuda::calls();
    std::uint64_t known = 0;
    for (const char* each : queries) known += simcuda::calls(each);
    CHECK(known == all); // nothing but queries
    for (std::uint64_t nth = 0; nth < all; ++nth) {
        INFO(nth);
        simcuda::reset(real);
        simcuda::fail_any(nth, cudaErrorUnknown);
        const machine m = live_machine().value();
        check_quiet();
        test::check_invariants(m);
        CHECK(m.count(node_kind::gpu) == 4);
        const bool refused = find_note(m, "cuda", "") != nullptr;
        CHECK(refused == (nth == 0)); // the number of GPUs is the only answer that it cannot do without

        simcuda::reset(real);
        simcuda::fail_any(nth, cudaErrorUnknown);
        const result<machine> alone = cuda::discover();
        check_quiet();
        CHECK(static_cast<bool>(alone) == (nth != 0));
    }
}

TEST_CASE("a GPU that fails in the middle is an error with a name", "[cuda][discover]") {
    const machine real = builtin::a100_pcie_4_switch();
    const shown now(real);
    REQUIRE(cuda::read_gpus());
    const std::uint64_t all = simcuda::calls();
    for (std::uint64_t nth = 0; nth < all; ++nth) {
        INFO(nth);
        simcuda::reset(real);
        simcuda::fail_any(nth, cudaErrorLaunchFailure, true);
        const result<cuda::gpu_inventory> facts = cuda::read_gpus();
        REQUIRE_FALSE(facts);
        CHECK(facts.error().code() == errc::device);
        CHECK(facts.error().native() == cudaErrorLaunchFailure);
        simcuda::reset(real);
        simcuda::fail_any(nth, cudaErrorLaunchFailure, true);
        const machine m = live_machine().value();
        CHECK(find_note(m, "cuda", "restart it"));
    }
    simcuda::reset(real);
}
