// hwloc XML and live machines become the graph that their hardware is.
#include <filesystem>
#include <set>
#include <string>

#include <barelink/machine/detail/pcie_policy.hpp>
#include <barelink/machine/hwloc.hpp>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#include "../support/captures.hpp"
#include "../support/catch.hpp"
#include "../support/expected_machine.hpp"

using namespace barelink;
using test::find_note;
using test::rate;

namespace {

constexpr double v100_nvlink = 145.6, gen3 = 12.4, gen4 = 25.7, gen5 = 55.3;

// package, NUMA, switch, GPU, CUDA GPU, NVLink pairs, NVSwitch links, C2C, GPU link, NVLink, virtual
constexpr test::expected_machine captured[] = {
    {"aws-g4dn.metal-8xT4", 2, 2, 2, 8, 8, 0, 0, 0, gen3, 0, false},
    {"aws-g5.48xl-vm", 2, 2, 0, 8, 8, 0, 0, 0, gen4, 0, true},
    {"aws-g6.48xl-vm", 2, 2, 3, 8, 8, 0, 0, 0, gen4, 0, true},
    {"aws-p3dn.24xl-vm", 2, 2, 0, 8, 8, 0, 0, 0, gen3, 0, true},
    {"aws-p4d.24xl-vm", 2, 2, 0, 8, 8, 0, 8, 0, gen4, 274.5, true},
    {"aws-p5.48xl-vm", 2, 2, 8, 8, 8, 0, 8, 0, gen5, 395, true},
    {"azure-hbv4-vm", 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, true},
    {"coral-ea-p8-4xP100-hwloc1", 2, 2, 1, 4, 4, 0, 0, 0, gen3, 0, false},
    {"dgx2-16xV100", 2, 2, 14, 16, 16, 0, 16, 0, gen3, v100_nvlink, false},
    {"fsroot-fakepcilocalities", 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, false},
    {"fsroot-p9-ac922-gpunuma-dropped", 2, 2, 0, 6, 6, 0, 0, 0, gen3, 0, false},
    {"fsroot-p9-ac922-gpunuma-kept", 2, 2, 0, 6, 6, 0, 0, 0, gen3, 0, false},
    {"fsroot-xeon-2g2n4c-pcilocality", 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, false},
    {"gh200-noio", 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, false},
    {"lassen-p9-4xV100", 2, 2, 2, 4, 4, 0, 0, 0, gen3 / 8, 0, false}, // its GPUs' PCIe has two lanes
    {"lyra4-epyc-mi50", 1, 4, 1, 1, 0, 0, 0, 0, 11.81, 0, false},
    {"mi300x-8gpu", 2, 2, 17, 8, 0, 0, 0, 0, gen5, 0, false},
    {"palmetto-2xV100-pcie", 2, 2, 0, 2, 2, 0, 0, 0, gen3, 0, false},
    {"pascal-2xP100-pcie", 2, 2, 1, 2, 2, 0, 0, 0, gen3, 0, false},
    {"power8-4xP100-nvlink", 2, 2, 0, 4, 4, 2, 0, 4, gen3 / 2, 35.2, false}, // PCIe x8; NVLink two by two
    {"tioga-4xMI250X", 1, 4, 2, 8, 0, 0, 0, 0, gen4, 0, false},
    {"turin-4xH200-nonvml-wholeio", 2, 8, 8, 4, 4, 0, 0, 0, gen5, 0, false},
    {"xeon-4s-96pu-pci", 16, 4, 0, 0, 0, 0, 0, 0, 0, 0, false},
};

machine read(const std::string& path) {
    result<machine> read = read_hwloc_xml(path);
    INFO(path << ": " << (read ? "" : read.error().what()));
    REQUIRE(read);
    return std::move(read).value();
}

} // namespace

TEST_CASE("every captured hwloc topology reads as the machine it is", "[machine][hwloc][captures]") {
    if (test::captures().empty()) {
        WARN("no folder of captures: set BARELINK_CAPTURES to check them");
        return;
    }
    std::set<std::string> expected;
    for (const test::expected_machine& row : captured) {
        const machine m = read(test::captures() + "/hwloc/" + row.file + ".xml");
        CHECK(m.name == row.file);
        test::check(m, row);
        test::check_invariants(m);
        expected.insert(std::string(row.file) + ".xml");
    }
    for (const auto& entry : std::filesystem::directory_iterator(test::captures() + "/hwloc"))
        if (!expected.count(entry.path().filename().string())) WARN("no row for " << entry.path());
}

TEST_CASE("captured hwloc topologies: what is special about each", "[machine][hwloc][captures]") {
    const std::string folder = test::captures() + "/hwloc/";
    if (test::captures().empty()) {
        WARN("no folder of captures: set BARELINK_CAPTURES to check them");
        return;
    }
    SECTION("idle ports above T4s that read their maximum") {
        const machine m = read(folder + "aws-g4dn.metal-8xT4.xml");
        CHECK(find_note(m, "gpu:7", "idle link"));
        CHECK(rate(m, link_kind::pcie, "root:0", "gpu:0") == Approx(gen3));
        CHECK(m.at(m.gpu(gpu_id{4})).numa == numa_id{1});
        CHECK(m.at(m.gpu(gpu_id{0})).name == "Tesla T4");
        CHECK(m.path(m.gpu(gpu_id{0}), m.gpu(gpu_id{4}))->usable());
    }
    SECTION("a flat virtual machine: idle A10G, no locality") {
        const machine m = read(folder + "aws-g5.48xl-vm.xml");
        CHECK(find_note(m, "gpu:0", "2 GB/s, which is an idle link's"));
        CHECK(find_note(m, "gpu:7", "nothing says which package"));
        CHECK(find_note(m, "gpu:7", "hides the PCIe tree"));
        CHECK(m.at(m.gpu(gpu_id{0})).numa == unknown_numa);
        const dma_path* peer = m.path(m.gpu(gpu_id{0}), m.gpu(gpu_id{1}));
        REQUIRE(peer);
        CHECK(peer->proof == delivery::unproved);
        CHECK_FALSE(peer->usable());
    }
    SECTION("virtual ports slower than the GPUs below them") {
        const machine m = read(folder + "aws-p5.48xl-vm.xml");
        CHECK(find_note(m, "switch:0", "15.75 GB/s, which a hypervisor made up"));
        CHECK(find_note(m, "nvswitch", "assumed, because 8 NVIDIA H100"));
        for (const barelink::link& each : m.links)
            if (each.kind == link_kind::pcie && m.at(each.b).kind == node_kind::pcie_switch)
                CHECK(each.gb_s_ab == Approx(gen5));
        CHECK(m.path(m.memory(numa_id{0}), m.gpu(gpu_id{7}))->gb_s == Approx(gen5));
    }
    SECTION("eight V100 in a mesh that nothing describes") {
        const machine m = read(folder + "aws-p3dn.24xl-vm.xml");
        CHECK(find_note(m, "nvlink", "none assumed"));
    }
    SECTION("DGX-2: six links to each GPU, twelve chips one node, four GPUs to an uplink") {
        const machine m = read(folder + "dgx2-16xV100.xml");
        CHECK(m.at(m.find(node_kind::nvswitch, 0)).name == "12 NVSwitches");
        CHECK(rate(m, link_kind::nvlink, "gpu:15", "nvswitch") == Approx(v100_nvlink));
        CHECK(m.at(m.gpu(gpu_id{0})).name == "Tesla V100-SXM3-32GB-H");
        CHECK(m.count(node_kind::root_port) == 4);
        CHECK(m.path(m.memory(numa_id{0}), m.gpu(gpu_id{0}))->hop_count == 5);
        for (const barelink::link& each : m.links)
            if (each.kind == link_kind::nvlink) CHECK(each.source == evidence::read);
    }
    SECTION("POWER8: NVLink between GPUs and to the CPU") {
        const machine m = read(folder + "power8-4xP100-nvlink.xml");
        CHECK(rate(m, link_kind::nvlink, "gpu:0", "gpu:1") == Approx(35.2));
        CHECK(rate(m, link_kind::nvlink, "gpu:2", "gpu:3") == Approx(35.2));
        CHECK(rate(m, link_kind::c2c, "package:1", "gpu:3") == Approx(35.2));
        CHECK(m.path(m.memory(numa_id{0}), m.gpu(gpu_id{0}))->gb_s == Approx(35.2));
        CHECK(find_note(m, "gpu:0", "7.88 GB/s: 6.2 GB/s believed"));
    }
    SECTION("GPU memory as NUMA nodes, blank ids, node numbers with gaps") {
        const machine m = read(folder + "fsroot-p9-ac922-gpunuma-kept.xml");
        CHECK(find_note(m, "numa:255", "memory of a GPU"));
        CHECK(m.memory(numa_id{8}) != no_node);
        CHECK(m.memory(numa_id{255}) == no_node);
        CHECK(find_note(m, "0004:05:00.0", "vendor and device read 0"));
        CHECK(m.at(m.gpu(gpu_id{3})).numa == numa_id{8});
    }
    SECTION("Grace: nodes without memory are no memories") {
        const machine m = read(folder + "gh200-noio.xml");
        CHECK(find_note(m, "numa:8", "left out"));
        CHECK(m.at(m.find(node_kind::package, 0)).name == "NVIDIA Grace");
        CHECK(rate(m, link_kind::dram, "numa:0", "package:0") == Approx(0.75 * 512000 * 1.048576 / 1e3));
    }
    SECTION("what Debian's hwloc sees of four H200 on NPS4") {
        const machine m = read(folder + "turin-4xH200-nonvml-wholeio.xml");
        const std::int32_t near[] = {1, 2, 6, 7};
        for (std::int32_t g = 0; g < 4; ++g) CHECK(m.at(m.gpu(gpu_id{g})).numa == numa_id{near[g]});
        CHECK(find_note(m, "nvlink", "none assumed"));
        for (const barelink::link& each : m.links)
            if (each.kind == link_kind::pcie && m.at(each.b).kind == node_kind::gpu)
                CHECK(each.source == evidence::read);
    }
    SECTION("AMD: read, drawn, never planned over; XGMI matrices are not links") {
        const machine m = read(folder + "tioga-4xMI250X.xml");
        CHECK(find_note(m, "XGMIBandwidth", "not read as links"));
        CHECK(m.paths().empty());
    }
    SECTION("two GPUs share a switch") {
        const machine m = read(folder + "pascal-2xP100-pcie.xml");
        const dma_path* peer = m.path(m.gpu(gpu_id{0}), m.gpu(gpu_id{1}));
        REQUIRE(peer);
        CHECK(peer->hop_count == 2);
        CHECK(peer->proof == delivery::assumed);
    }
}

TEST_CASE("our own hwloc fixture, node by node", "[machine][hwloc]") {
    const machine m = read(test::fixture("two-l4-one-switch.hwloc.xml"));
    test::check(m, {"fixture", 1, 2, 1, 3, 3, 0, 0, 0, 12.4, 0, false});
    test::check_invariants(m);
    CHECK(m.name == "two-l4-one-switch.hwloc");
    CHECK(m.count(node_kind::root_port) == 3); // the display's has nothing that copies use
    CHECK(m.count(node_kind::nic) == 1);
    CHECK(m.count(node_kind::disk) == 1);
    CHECK(m.at(m.find(node_kind::package, 0)).name == "AMD EPYC 9254 24-Core Processor");
    CHECK(m.memory(numa_id{3}) != no_node);
    CHECK(find_note(m, "numa:2", "left out"));
    CHECK(find_note(m, "numa:4", "left out"));
    // The whole bandwidth of Genoa over two nodes.
    CHECK(rate(m, link_kind::dram, "numa:3", "package:0") == Approx(175));

    SECTION("a switch is its ports together") {
        CHECK(m.at(m.find(node_kind::pcie_switch, 0)).pci == pci_address{0, 1, 0, 0, true});
        CHECK(rate(m, link_kind::pcie, "switch:0", "gpu:0") == Approx(gen4));
        CHECK(rate(m, link_kind::pcie, "switch:0", "nic:0") == Approx(gen3));
        CHECK(m.at(m.find(node_kind::nic, 0)).name == "mlx5_0");
    }
    SECTION("a card in use on bare metal is believed, at whatever width") {
        CHECK(rate(m, link_kind::pcie, "switch:0", "gpu:1") == Approx(gen3)); // Gen4 x8 or Gen3 x16: the same copies
        for (const barelink::link& each : m.links)
            if (m.at(each.b).id() == "gpu:1") CHECK(each.source == evidence::read);
    }
    SECTION("idle links: the uplink takes the fastest below, the H100 its generation") {
        CHECK(rate(m, link_kind::pcie, "root:0", "switch:0") == Approx(gen4));
        CHECK(find_note(m, "switch:0", "4 GB/s, which is an idle link's"));
        CHECK(rate(m, link_kind::pcie, "root:1", "gpu:2") == Approx(gen5));
        CHECK(rate(m, link_kind::pcie, "package:0", "root:1") == Approx(gen5));
        CHECK(find_note(m, "gpu:2", "and the GPU is Gen5: 55.3 GB/s assumed"));
        CHECK(m.at(m.gpu(gpu_id{2})).numa == numa_id{3});
    }
}

TEST_CASE("our own fixture of NVLinks, GPU memory and virtual ports", "[machine][hwloc]") {
    const machine m = read(test::fixture("nvlink-in-qemu.hwloc.xml"));
    test::check(m, {"fixture", 1, 1, 0, 2, 2, 1, 1, 1, gen3, 2 * v100_nvlink / 6, true});
    test::check_invariants(m);
    CHECK(find_note(m, "machine", "Standard PC"));
    CHECK(find_note(m, "numa:255", "memory of a GPU, 0000:02:00.0"));
    CHECK(find_note(m, "numa:1", "no memory"));
    CHECK(rate(m, link_kind::nvlink, "gpu:0", "gpu:1") == Approx(2 * v100_nvlink / 6));
    CHECK(rate(m, link_kind::nvlink, "gpu:1", "nvswitch") == Approx(4 * v100_nvlink / 6));
    CHECK(rate(m, link_kind::c2c, "package:0", "gpu:0") == Approx(3 * v100_nvlink / 6));
    CHECK(find_note(m, "gpu:1", "the port above it reads 0.25 GB/s, which a hypervisor made up: ignored"));
    CHECK(m.count(node_kind::root_port) == 2); // the NVSwitch's PCIe port carries no copies
    CHECK(m.at(m.find(node_kind::nvswitch, 0)).name == "NVSwitch");
    // POWER9's DRAM; the C2C is the way to GPU 0, PCIe to GPU 1.
    CHECK(rate(m, link_kind::dram, "numa:0", "package:0") == 130);
    CHECK(m.path(m.memory(numa_id{0}), m.gpu(gpu_id{0}))->gb_s == Approx(3 * v100_nvlink / 6));
    CHECK(m.path(m.memory(numa_id{0}), m.gpu(gpu_id{1}))->gb_s == Approx(gen3));
}

TEST_CASE("format 1 of hwloc reads through hwloc's own conversion", "[machine][hwloc]") {
    const std::string sets =
        R"( cpuset="0x1" complete_cpuset="0x1" online_cpuset="0x1" allowed_cpuset="0x1" nodeset="0x1"
        complete_nodeset="0x1" allowed_nodeset="0x1")";
    const std::string xml =
        R"(<?xml version="1.0"?><!DOCTYPE topology SYSTEM "hwloc.dtd"><topology><object type="Machine"
        os_index="0")" +
        sets + R"(><object type="NUMANode" os_index="0" local_memory="1048576")" + sets +
        R"(><object type="Socket" os_index="0")" + sets + R"(><object type="PU" os_index="0")" + sets +
        R"(/><object type="Bridge" os_index="0" bridge_type="0-1" depth="0" bridge_pci="0000:[00-01]"><object
        type="Bridge" os_index="1" bridge_type="1-1" depth="1" bridge_pci="0000:[01-01]" pci_busid="0000:00:01.0"
        pci_type="0604 [8086:0001] [0000:0000] 00" pci_link_speed="0.000000"><object type="PCIDev" os_index="2"
        pci_busid="0000:01:00.0" pci_type="0302 [10de:15f8] [0000:0000] a1"
        pci_link_speed="0.000000"/></object></object></object></object></object></topology>)";
    const result<machine> m = read_hwloc_xml_buffer(xml.data(), xml.size(), "old.xml");
    INFO((m ? "" : m.error().what()));
    REQUIRE(m);
    test::check(*m, {"old", 1, 1, 0, 1, 1, 0, 0, 0, gen3, 0, false});
    CHECK(m->at(m->gpu(gpu_id{0})).name == "Tesla P100-PCIE-16GB");
    CHECK(find_note(*m, "gpu:0", "no speed"));
}

TEST_CASE("a PCIe link is believed by what it signals", "[machine][hwloc]") {
    using namespace detail;
    const auto raw = [](double gb_s) { return link_reading{gb_s, 0, 0}; };
    SECTION("Gen3 and later are told from Gen1 and Gen2 by their coding") {
        for (const double working : {0.985, 1.969, 3.938, 7.877, 15.754, 15.0, 31.508, 63.015})
            CHECK(signalling_of(raw(working)) == signalling::working);
        for (const double idle : {0.25, 0.5, 1.0, 2.0, 4.0, 8.0}) CHECK(signalling_of(raw(idle)) == signalling::idle);
        CHECK(signalling_of(raw(0)) == signalling::unknown);
        CHECK(signalling_of({0, 2, 16}) == signalling::idle);
        CHECK(signalling_of({0, 3, 1}) == signalling::working);
    }
    const gpu_model& h100 = *find_gpu_model(nvidia_vendor, 0x2330);
    const gpu_model& card = *find_gpu_model(nvidia_vendor, 0x2331);
    const gpu_model& v100 = *find_gpu_model(nvidia_vendor, 0x1db1);
    SECTION("modules always train at their generation") {
        CHECK(judge_gpu_link(&h100, raw(15.754), {}, false).gb_s == 55.3);
        CHECK(judge_gpu_link(&h100, raw(15.754), {}, false).source == evidence::assumed);
        CHECK(judge_gpu_link(&h100, raw(63.015), {}, false).source == evidence::read);
    }
    SECTION("cards are believed on bare metal and not in a virtual machine") {
        CHECK(judge_gpu_link(&card, raw(31.508), {}, false).gb_s == 25.7);
        CHECK(judge_gpu_link(&card, raw(31.508), {}, false).source == evidence::read);
        CHECK(judge_gpu_link(&card, raw(31.508), {}, true).gb_s == 55.3);
    }
    SECTION("nothing is faster than its GPU") {
        CHECK(judge_gpu_link(&v100, raw(31.508), {}, false).gb_s == 12.4);
    }
    SECTION("a port narrows a link where its lanes can be told, and never in a virtual machine") {
        CHECK(judge_gpu_link(&v100, raw(15.754), raw(1.969), false).gb_s == Approx(12.4 / 8).epsilon(0.001));
        CHECK(judge_gpu_link(&v100, raw(15.754), raw(1.969), true).gb_s == 12.4);
        CHECK(judge_gpu_link(&h100, raw(63.015), raw(0.25), true).gb_s == 55.3);
        CHECK_FALSE(judge_gpu_link(&h100, raw(63.015), raw(0.25), true).why.empty());
        CHECK(judge_gpu_link(&h100, raw(63.015), raw(4), false).gb_s == 55.3);
    }
    SECTION("unknown GPUs") {
        CHECK(judge_gpu_link(nullptr, raw(31.508), {}, false).gb_s == 25.7);
        CHECK(judge_gpu_link(nullptr, raw(2), {}, false).gb_s == 12.4);
        CHECK(judge_gpu_link(nullptr, {}, {}, false).source == evidence::assumed);
    }
    SECTION("uplinks") {
        CHECK(judge_uplink(raw(15.754), {}, 55.3, false).gb_s == 12.4); // bare metal: a narrow slot
        CHECK(judge_uplink(raw(15.754), {}, 55.3, true).gb_s == 55.3);
        CHECK(judge_uplink(raw(8), {}, 55.3, false).gb_s == 55.3);
        CHECK(judge_uplink({}, raw(63.015), 25.7, false).gb_s == 55.3);
        CHECK(judge_uplink({}, {}, 25.7, false).why.find("no speed") != std::string::npos);
    }
    SECTION("figures for people") {
        CHECK(figure(55.3) == "55.3");
        CHECK(figure(2) == "2");
        CHECK(figure(7.876) == "7.88");
        CHECK(figure(0.05) == "0.05");
    }
}

TEST_CASE("this machine reads through the same path", "[machine][hwloc][live]") {
#if defined(__SANITIZE_ADDRESS__)
    const __lsan::ScopedDisabler libpciaccess_leaks; // what hwloc's PCI plugin loads forgets some of what it allocates
#endif
    const result<machine> live = discover();
    REQUIRE(live);
    CHECK(live->count(node_kind::package) >= 1);
    CHECK(live->count(node_kind::memory) >= 1);
    CHECK_FALSE(live->name.empty());
    test::check_invariants(*live);
    for (const peer_grant& each : live->grants) CHECK(each.proof == delivery::unproved);
}
