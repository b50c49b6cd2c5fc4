// machine::connect(): which DMA paths a graph has, over which links, and what grants change.
#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/machine.hpp>
#include <barelink/machine/machine_builder.hpp>

#include "../support/catch.hpp"
#include "../support/generated_machines.hpp"

using namespace barelink;

namespace {

/// `dram:numa:0-package:0>` for ab, `...<` for ba, joined by spaces.
std::string route(const machine& m, node_index from, node_index to) {
    const dma_path* path = m.path(from, to);
    if (!path) return "none";
    std::string text;
    for (const link_direction hop : m.hops(*path))
        text += (text.empty() ? "" : " ") + m.id(hop.link) + (hop.reverse ? "<" : ">");
    return text;
}

node made(node_kind kind, std::int32_t index, bool cuda = false) {
    node n;
    n.kind = kind;
    n.index = index;
    n.cuda = cuda;
    return n;
}

/// Two packages with a memory each; below package 0 a port with a switch and two GPUs, below package 1 one GPU on its port.
struct small {
    machine m;
    node_index numa0 = m.add(made(node_kind::memory, 0)), numa1 = m.add(made(node_kind::memory, 1));
    node_index cpu0 = m.add(made(node_kind::package, 0)), cpu1 = m.add(made(node_kind::package, 1));
    node_index root0 = m.add(made(node_kind::root_port, 0)), root1 = m.add(made(node_kind::root_port, 1));
    node_index sw = m.add(made(node_kind::pcie_switch, 0));
    node_index gpu0 = m.add(made(node_kind::gpu, 0, true)), gpu1 = m.add(made(node_kind::gpu, 1, true));
    node_index gpu2 = m.add(made(node_kind::gpu, 2, true));

    small() {
        m.add(barelink::link{link_kind::dram, numa0, cpu0, 100, 80, 0.1});
        m.add(barelink::link{link_kind::dram, numa1, cpu1, 101, 81, 0.1});
        m.add(barelink::link{link_kind::cpu, cpu0, cpu1, 20, 19, 0.15});
        m.add(barelink::link{link_kind::pcie, cpu0, root0, 26, 27, 0.2});
        m.add(barelink::link{link_kind::pcie, cpu1, root1, 26, 27, 0.2});
        m.add(barelink::link{link_kind::pcie, root0, sw, 25, 24, 0.2});
        m.add(barelink::link{link_kind::pcie, sw, gpu0, 23, 22, 0.2});
        m.add(barelink::link{link_kind::pcie, sw, gpu1, 21, 20, 0.2});
        m.add(barelink::link{link_kind::pcie, root1, gpu2, 18, 17, 0.2});
    }
};

} // namespace

TEST_CASE("host paths run link by link, each in its direction", "[machine]") {
    small s;
    s.m.connect();
    CHECK(route(s.m, s.numa0, s.gpu0) ==
          "dram:numa:0-package:0> pcie:package:0-root:0> pcie:root:0-switch:0> pcie:switch:0-gpu:0>");
    CHECK(route(s.m, s.gpu0, s.numa0) ==
          "pcie:switch:0-gpu:0< pcie:root:0-switch:0< pcie:package:0-root:0< dram:numa:0-package:0<");
    CHECK(route(s.m, s.numa1, s.gpu1) == "dram:numa:1-package:1> cpu:package:0-package:1< pcie:package:0-root:0> "
                                         "pcie:root:0-switch:0> pcie:switch:0-gpu:1>");

    const dma_path& down = *s.m.path(s.numa0, s.gpu0);
    CHECK(down.gb_s == 23); // the slowest link's rate in that direction
    CHECK(s.m.path(s.gpu0, s.numa0)->gb_s == 22);
    CHECK(s.m.path(s.numa1, s.gpu0)->gb_s == 19);
    CHECK(s.m.path(s.gpu0, s.numa1)->gb_s == 20);
    CHECK(down.latency_us == Approx(0.7));
    CHECK(s.m.path(s.numa1, s.gpu0)->latency_us == Approx(0.85));
    CHECK(down.allowed);
    CHECK(down.proof == delivery::proved);
    CHECK(down.usable());
}

TEST_CASE("only memories are ends of paths, and not two on the host", "[machine]") {
    small s;
    const node_index other = s.m.add(made(node_kind::gpu, 3, false)); // CUDA cannot drive it
    s.m.add(barelink::link{link_kind::pcie, s.root1, other, 18, 17, 0.2});
    s.m.connect();
    CHECK(s.m.path(s.numa0, s.numa1) == nullptr);
    CHECK(s.m.path(s.gpu0, s.gpu0) == nullptr);
    CHECK(s.m.path(s.cpu0, s.gpu0) == nullptr);
    CHECK(s.m.path(s.numa1, other) == nullptr);
    CHECK(s.m.path(other, s.gpu2) == nullptr);
    CHECK(s.m.paths().size() == 2 * 2 * 3);
}

TEST_CASE("a machine that is not connected yet has no paths", "[machine]") {
    const small s;
    CHECK(s.m.paths().empty());
    CHECK(s.m.path(s.numa0, s.gpu0) == nullptr);
}

TEST_CASE("no path leads through a memory", "[machine]") {
    // Two packages that only a GPU joins, as two C2C superchips without a CPU link would be.
    machine m;
    const node_index numa0 = m.add(made(node_kind::memory, 0)), numa1 = m.add(made(node_kind::memory, 1));
    const node_index cpu0 = m.add(made(node_kind::package, 0)), cpu1 = m.add(made(node_kind::package, 1));
    const node_index shared = m.add(made(node_kind::gpu, 0, true)), far = m.add(made(node_kind::gpu, 1, true));
    m.add(barelink::link{link_kind::dram, numa0, cpu0, 100, 100, 0.1});
    m.add(barelink::link{link_kind::dram, numa1, cpu1, 100, 100, 0.1});
    m.add(barelink::link{link_kind::c2c, cpu0, shared, 50, 50, 0.3});
    m.add(barelink::link{link_kind::c2c, cpu1, shared, 50, 50, 0.3});
    m.add(barelink::link{link_kind::c2c, cpu1, far, 50, 50, 0.3});
    m.connect();
    CHECK(m.path(numa0, shared) != nullptr);
    CHECK(m.path(numa1, shared) != nullptr);
    CHECK(m.path(numa1, far) != nullptr);
    CHECK(m.path(numa0, far) == nullptr);
    CHECK(m.path(far, numa0) == nullptr);
}

TEST_CASE("the shortest way wins, and of equals the widest", "[machine]") {
    machine m;
    const node_index numa = m.add(made(node_kind::memory, 0)), cpu = m.add(made(node_kind::package, 0));
    const node_index narrow = m.add(made(node_kind::root_port, 0)), wide = m.add(made(node_kind::root_port, 1));
    const node_index sw = m.add(made(node_kind::pcie_switch, 0)), gpu = m.add(made(node_kind::gpu, 0, true));
    m.add(barelink::link{link_kind::dram, numa, cpu, 100, 100, 0.1});
    m.add(barelink::link{link_kind::pcie, cpu, narrow, 6, 6, 0.2});
    m.add(barelink::link{link_kind::pcie, cpu, wide, 12, 12, 0.2});
    m.add(barelink::link{link_kind::pcie, narrow, gpu, 6, 6, 0.2});
    SECTION("equal length") {
        m.add(barelink::link{link_kind::pcie, wide, gpu, 12, 12, 0.2});
        m.connect();
        CHECK(route(m, numa, gpu) == "dram:numa:0-package:0> pcie:package:0-root:1> pcie:root:1-gpu:0>");
        CHECK(route(m, gpu, numa) == "pcie:root:1-gpu:0< pcie:package:0-root:1< dram:numa:0-package:0<");
    }
    SECTION("a wider way that is longer") {
        m.add(barelink::link{link_kind::pcie, wide, sw, 12, 12, 0.2});
        m.add(barelink::link{link_kind::pcie, sw, gpu, 12, 12, 0.2});
        m.connect();
        CHECK(route(m, numa, gpu) == "dram:numa:0-package:0> pcie:package:0-root:0> pcie:root:0-gpu:0>");
    }
}

TEST_CASE("NVLink joins GPUs directly or over the NVSwitch, without a grant", "[machine]") {
    small s;
    SECTION("a direct link") {
        s.m.add(barelink::link{link_kind::nvlink, s.gpu0, s.gpu2, 48, 47, 0.15});
        s.m.connect();
        CHECK(route(s.m, s.gpu0, s.gpu2) == "nvlink:gpu:0-gpu:2>");
        CHECK(route(s.m, s.gpu2, s.gpu0) == "nvlink:gpu:0-gpu:2<");
        CHECK(s.m.path(s.gpu2, s.gpu0)->gb_s == 47);
        CHECK(s.m.path(s.gpu0, s.gpu1) == nullptr);
        CHECK(s.m.path(s.gpu1, s.gpu2) == nullptr); // not through gpu:0
        // The host still reaches gpu:2 over PCIe, and nothing else.
        CHECK(route(s.m, s.numa1, s.gpu2) == "dram:numa:1-package:1> pcie:package:1-root:1> pcie:root:1-gpu:2>");
        CHECK(s.m.path(s.gpu0, s.gpu2)->proof == delivery::assumed);
        CHECK(s.m.path(s.gpu0, s.gpu2)->usable());
    }
    SECTION("an NVSwitch") {
        const node_index hub = s.m.add(made(node_kind::nvswitch, 0));
        s.m.add(barelink::link{link_kind::nvlink, s.gpu0, hub, 300, 290, 0.15});
        s.m.add(barelink::link{link_kind::nvlink, s.gpu2, hub, 280, 270, 0.15});
        s.m.connect();
        CHECK(route(s.m, s.gpu0, s.gpu2) == "nvlink:gpu:0-nvswitch> nvlink:gpu:2-nvswitch<");
        CHECK(s.m.path(s.gpu0, s.gpu2)->gb_s == 270);
        CHECK(s.m.path(s.gpu2, s.gpu0)->gb_s == 280);
        CHECK(s.m.path(s.gpu0, s.gpu2)->latency_us == Approx(0.3));
        CHECK(s.m.path(s.gpu0, s.gpu1) == nullptr); // gpu:1 has no NVLink
        s.m.add(barelink::link{link_kind::nvlink, s.gpu0, s.gpu2, 50, 50, 0.15});
        s.m.connect();
        CHECK(route(s.m, s.gpu0, s.gpu2) == "nvlink:gpu:0-gpu:2>"); // a wire of their own comes first
    }
}

TEST_CASE("PCIe pairs need a grant, in that direction", "[machine]") {
    small s;
    s.m.grants.push_back({s.gpu0, s.gpu1, true, delivery::assumed});
    s.m.grants.push_back({s.gpu2, s.gpu0, true, delivery::unproved});
    s.m.connect();
    CHECK(route(s.m, s.gpu0, s.gpu1) == "pcie:switch:0-gpu:0< pcie:switch:0-gpu:1>"); // below the switch
    CHECK(s.m.path(s.gpu0, s.gpu1)->gb_s == 21);
    CHECK(s.m.path(s.gpu0, s.gpu1)->usable());
    CHECK(s.m.path(s.gpu1, s.gpu0) == nullptr);
    CHECK(route(s.m, s.gpu2, s.gpu0) == "pcie:root:1-gpu:2< pcie:package:1-root:1< cpu:package:0-package:1< "
                                        "pcie:package:0-root:0> pcie:root:0-switch:0> pcie:switch:0-gpu:0>");
    CHECK_FALSE(s.m.path(s.gpu2, s.gpu0)->usable());
    CHECK(s.m.path(s.gpu2, s.gpu0)->usable(true));
}

TEST_CASE("usable follows allowed and proof", "[machine]") {
    const struct {
        bool allowed;
        delivery proof;
        bool usable, usable_when_trusting;
    } cases[] = {{true, delivery::proved, true, true},    {true, delivery::assumed, true, true},
                 {true, delivery::unproved, false, true}, {true, delivery::failed, false, false},
                 {false, delivery::proved, false, false}, {false, delivery::unproved, false, false}};
    for (const auto& each : cases) {
        dma_path path;
        path.allowed = each.allowed;
        path.proof = each.proof;
        CHECK(path.usable() == each.usable);
        CHECK(path.usable(true) == each.usable_when_trusting);
    }
}

TEST_CASE("set_delivery changes a pair now and after the next connect", "[machine]") {
    small s;
    s.m.add(barelink::link{link_kind::nvlink, s.gpu0, s.gpu2, 48, 48, 0.15});
    s.m.connect();

    SECTION("an NVLink pair that failed its proof") {
        s.m.set_delivery(s.gpu0, s.gpu2, true, delivery::failed);
        CHECK_FALSE(s.m.path(s.gpu0, s.gpu2)->usable(true));
        CHECK(s.m.path(s.gpu2, s.gpu0)->usable()); // the other direction is its own
        s.m.connect();
        CHECK(s.m.path(s.gpu0, s.gpu2)->proof == delivery::failed);
        CHECK(s.m.grants.size() == 1);
    }
    SECTION("a PCIe pair that becomes known") {
        REQUIRE(s.m.path(s.gpu0, s.gpu1) == nullptr);
        s.m.set_delivery(s.gpu0, s.gpu1, true, delivery::proved);
        REQUIRE(s.m.path(s.gpu0, s.gpu1) != nullptr);
        CHECK(s.m.path(s.gpu0, s.gpu1)->usable());
        CHECK(s.m.path(s.gpu1, s.gpu0) == nullptr);
        s.m.set_delivery(s.gpu0, s.gpu1, false, delivery::proved);
        CHECK_FALSE(s.m.path(s.gpu0, s.gpu1)->usable(true));
        CHECK(s.m.grants.size() == 1); // updated, not added again
    }
    SECTION("what was there stays") {
        const machine before = s.m;
        s.m.set_delivery(s.gpu0, s.gpu1, true, delivery::proved);
        for (const dma_path& path : before.paths()) {
            REQUIRE(s.m.path(path.from, path.to) != nullptr);
            CHECK(route(s.m, path.from, path.to) == route(before, path.from, path.to));
        }
        CHECK(s.m.paths().size() == before.paths().size() + 1);
    }
}

TEST_CASE("connecting again changes nothing, and machines compare", "[machine]") {
    small s;
    s.m.connect();
    const machine once = s.m;
    s.m.connect();
    CHECK(s.m == once);
    s.m.links[5].gb_s_ab = 1;
    CHECK_FALSE(s.m == once);
    s.m.connect();
    CHECK(s.m.path(s.numa0, s.gpu0)->gb_s == 1);
}

TEST_CASE("nodes are found by kind and number, and by a known PCI address only", "[machine]") {
    small s;
    s.m.nodes[s.gpu1.value].pci = {0, 0x1b, 0, 0, true};
    CHECK(s.m.gpu(gpu_id{1}) == s.gpu1);
    CHECK(s.m.memory(numa_id{1}) == s.numa1);
    CHECK(s.m.gpu(gpu_id{9}) == no_node);
    CHECK(s.m.memory(unknown_numa) == no_node);
    CHECK(s.m.find(pci_address{0, 0x1b, 0, 0, true}) == s.gpu1);
    CHECK(s.m.find(pci_address{0, 0x1c, 0, 0, true}) == no_node);
    CHECK(s.m.find(pci_address{}) == no_node);
    CHECK(to_string(s.m.at(s.gpu1).pci) == "0000:1b:00.0");
    CHECK(to_string(pci_address{0x12345, 0xff, 0x1f, 7, true}) == "00012345:ff:1f.7");
    CHECK(s.m.count(node_kind::gpu) == 3);
    CHECK(s.m.all(node_kind::gpu) == std::vector<node_index>{s.gpu0, s.gpu1, s.gpu2});
}

TEST_CASE("a builder numbers nodes, inherits NUMA nodes and hands out addresses", "[machine][builder]") {
    const gpu_model& v100 = *find_gpu_model(nvidia_vendor, 0x1db1);
    machine_builder box("box");
    const node_index cpu0 = box.package({"CPU A", 2, 40, 30, 8 * GiB}),
                     cpu1 = box.package({"CPU B", 2, 40, 30, 8 * GiB});
    box.cpu_link(cpu0, cpu1, 20);
    const node_index port0 = box.root_port(cpu0, pcie_rates(3)), port1 = box.root_port(cpu1, pcie_rates(3), numa_id{3});
    const node_index gpu0 = box.gpu(box.pcie_switch(port0, pcie_rates(3, 8)), v100, {12, 13});
    const node_index gpu1 = box.gpu(port1, v100, {12, 13});
    box.nvlink(gpu0, gpu1, 1).nvlink(gpu1, gpu0, 2);
    const machine m = box.finish();

    CHECK(m.name == "box");
    CHECK(m.count(node_kind::memory) == 4);
    CHECK(m.at(m.memory(numa_id{3})).bytes == 8 * GiB);
    CHECK(m.at(cpu1).numa == numa_id{2});
    CHECK(m.at(gpu0).numa == numa_id{0});
    CHECK(m.at(gpu1).numa == numa_id{3});
    CHECK(m.at(gpu1).id() == "gpu:1");
    CHECK(m.at(gpu0).name == "Tesla V100-SXM2-16GB");
    CHECK(m.at(gpu0).bytes == 16 * GiB);
    CHECK(m.at(gpu0).cuda);
    CHECK(m.path(m.memory(numa_id{0}), gpu0)->gb_s == Approx(6.2)); // the x8 uplink
    CHECK(m.path(gpu0, gpu1)->gb_s == Approx(3 * 145.6 / 6));       // calls for one pair add up
    CHECK(m.links.size() == 4 + 1 + 2 + 1 + 2 + 1);
    CHECK(box.finish() == m); // a builder is a value: it can go on
    box.gpu(port1, v100, {12, 13});
    CHECK(box.finish().count(node_kind::gpu) == 3);
    CHECK(m.count(node_kind::gpu) == 2);
}

TEST_CASE("a builder grants peers as far as asked", "[machine][builder]") {
    const gpu_model& l4 = *find_gpu_model("NVIDIA L4");
    const auto build = [&](peer_scope scope) {
        machine_builder box("box");
        for (int p = 0; p < 2; ++p) {
            const node_index cpu = box.package({.read_gb_s = 100, .write_gb_s = 100});
            if (p == 1) box.cpu_link(node_index{0}, cpu, 20);
            for (int g = 0; g < 2; ++g) box.gpu(box.root_port(cpu, pcie_rates(4)), l4, pcie_rates(4, 8));
        }
        const machine m = std::move(box.peers(scope).nvswitch()).finish();
        CHECK(m.count(node_kind::nvswitch) == 0); // an L4 has no NVLinks
        return m;
    };
    CHECK(build(peer_scope::none).grants.empty());
    CHECK(build(peer_scope::all).grants.size() == 12);
    const machine near = build(peer_scope::same_package);
    CHECK(near.grants.size() == 4);
    CHECK(near.path(near.gpu(gpu_id{0}), near.gpu(gpu_id{1})) != nullptr);
    CHECK(near.path(near.gpu(gpu_id{1}), near.gpu(gpu_id{2})) == nullptr);
}

TEST_CASE("a builder never hands out an address twice", "[machine][builder]") {
    const gpu_model& l4 = *find_gpu_model("NVIDIA L4");
    machine_builder box("many");
    const node_index cpu = box.package({.read_gb_s = 100, .write_gb_s = 100});
    std::vector<std::pair<node_index, node_index>> trees; // a port and its last GPU; 5 buses each
    for (int g = 0; g < 300; ++g) {
        const node_index port = box.root_port(cpu, pcie_rates(4));
        const node_index shared = box.pcie_switch(port, pcie_rates(4));
        box.gpu(shared, l4, {1, 1});
        trees.emplace_back(port, box.gpu(shared, l4, {1, 1}));
    }
    box.gpu(box.host_bridge(cpu, pcie_rates(4)), l4, {1, 1});
    const node_index port = box.root_port(cpu, pcie_rates(4));
    for (int g = 0; g < 300; ++g) box.gpu(port, l4, {1, 1});
    const machine m = box.finish();
    for (const auto& [top, below] : trees) {
        CHECK(m.at(top).pci.domain == m.at(below).pci.domain); // a tree stays in one domain, its buses going up
        CHECK(m.at(top).pci.bus < m.at(below).pci.bus);
    }
    std::set<std::string> seen;
    for (const node& each : m.nodes)
        if (each.pci.known) CHECK(seen.insert(to_string(each.pci)).second);
    CHECK(seen.size() == 300 * 4 + 1 + 1 + 300);
}

TEST_CASE("on any machine the paths are sound", "[machine]") {
    std::size_t with_gpus = 0, with_peers = 0;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        const machine m = generated::random_machine(seed);
        INFO(m.name);
        REQUIRE(m == generated::random_machine(seed));
        with_gpus += m.count(node_kind::gpu) > 0;

        std::set<std::string> ids;
        for (const node& each : m.nodes) REQUIRE(ids.insert(each.id()).second);
        for (std::uint32_t l = 0; l < m.links.size(); ++l) REQUIRE(ids.insert(m.id(link_index{l})).second);

        for (const node_index memory : m.all(node_kind::memory))
            for (const node_index gpu : m.all(node_kind::gpu)) {
                REQUIRE(m.path(memory, gpu) != nullptr);
                REQUIRE(m.path(gpu, memory) != nullptr);
                REQUIRE(m.path(memory, gpu)->hop_count == m.path(gpu, memory)->hop_count);
            }

        for (const dma_path& path : m.paths()) {
            REQUIRE(m.path(path.from, path.to) == &path);
            REQUIRE(path.hop_count > 0);
            node_index at = path.from;
            double slowest = 1e9, latency = 0;
            std::set<std::uint32_t> crossed;
            for (const link_direction hop : m.hops(path)) {
                const barelink::link& each = m.at(hop.link);
                REQUIRE((hop.reverse ? each.b : each.a) == at); // starts where the last one ended
                REQUIRE((at == path.from || !m.at(at).is_memory()));
                REQUIRE(crossed.insert(hop.link.value).second);
                at = hop.reverse ? each.a : each.b;
                slowest = std::min(slowest, m.gb_s(hop));
                latency += each.latency_us;
            }
            REQUIRE(at == path.to);
            REQUIRE(path.gb_s == slowest);
            REQUIRE(path.gb_s > 0);
            REQUIRE(path.latency_us == Approx(latency));
            with_peers += m.at(path.from).kind == node_kind::gpu && m.at(path.to).kind == node_kind::gpu;
        }
    }
    CHECK(with_gpus > 250); // the generator makes what the properties are about
    CHECK(with_peers > 1000);
}

TEST_CASE("a rack of 72 GPUs connects", "[machine]") {
    const machine m = generated::nvl72();
    CHECK(m.count(node_kind::gpu) == 72);
    CHECK(m.count(node_kind::package) == 36);
    CHECK(m.count(node_kind::memory) == 36);
    CHECK(m.count(node_kind::nvswitch) == 1);
    // Every GPU pair, and every host memory with the four GPUs of its tray, both ways.
    CHECK(m.paths().size() == 72 * 71 + 2 * 36 * 4);
    CHECK(m.path(m.gpu(gpu_id{0}), m.gpu(gpu_id{71}))->gb_s == Approx(18 * 44.0));
    CHECK(m.path(m.memory(numa_id{0}), m.gpu(gpu_id{3}))->gb_s == 133);
    CHECK(m.path(m.memory(numa_id{0}), m.gpu(gpu_id{4})) == nullptr);
}
