// A topology file laid over a machine whose hypervisor hides the tree.
#include <string>

#include <barelink/machine/merge.hpp>
#include <barelink/machine/read.hpp>

#include "../support/captures.hpp"
#include "../support/catch.hpp"
#include "../support/expected_machine.hpp"

using namespace barelink;
using test::find_note;
using test::rate;

namespace {

machine read_any(const std::string& path) {
    result<machine> read = read_machine_file(path);
    INFO(path << ": " << (read ? "" : read.error().what()));
    REQUIRE(read);
    return std::move(read).value();
}

/// `root:0 > switch:1 > gpu:0`, from the package down.
std::string way(const machine& m, const std::string& id) {
    for (const barelink::link& each : m.links)
        if (each.kind == link_kind::pcie && m.at(each.b).id() == id) return way(m, m.at(each.a).id()) + " > " + id;
    return id;
}

} // namespace

TEST_CASE("a hint file gives a flat machine its tree", "[machine][merge]") {
    const machine flat = read_any(test::fixture("flat-vm-4xa100.nccl.xml"));
    const machine hint = read_any(test::fixture("hint-4xa100.nccl.xml"));
    test::check(flat, {"flat", 2, 2, 0, 4, 4, 0, 0, 0, 25.7, 0, true});
    REQUIRE(flat.at(flat.gpu(gpu_id{2})).numa == numa_id{0});

    const result<machine> merged = merge(flat, hint);
    REQUIRE(merged);
    const machine& m = *merged;
    test::check_invariants(m);
    CHECK(m.name == flat.name);
    CHECK(m.count(node_kind::pcie_switch) == 2);
    CHECK(m.count(node_kind::root_port) == 3); // GPU 3 is not in the file and keeps its own
    CHECK(way(m, "gpu:0") == "package:0 > root:1 > switch:0 > gpu:0");
    CHECK(way(m, "gpu:1") == "package:0 > root:1 > switch:0 > gpu:1");
    CHECK(way(m, "gpu:2") == "package:1 > root:2 > switch:1 > gpu:2");
    CHECK(way(m, "gpu:3") == "package:0 > root:0 > gpu:3");
    CHECK(m.at(m.gpu(gpu_id{2})).numa == numa_id{1});
    CHECK(find_note(m, "gpu:2", "the file is believed"));
    CHECK(find_note(m, "gpu:3", "are not in hint-4xa100"));
    CHECK(find_note(m, "0009:00:00.0", "not here: left out"));

    SECTION("uplinks carry what their GPUs do") {
        CHECK(rate(m, link_kind::pcie, "root:1", "switch:0") == Approx(25.7));
        CHECK(rate(m, link_kind::pcie, "package:0", "root:1") == Approx(25.7));
    }
    SECTION("GPUs that share an uplink share a link of the graph") {
        const dma_path* a = m.path(m.memory(numa_id{0}), m.gpu(gpu_id{0}));
        const dma_path* b = m.path(m.memory(numa_id{0}), m.gpu(gpu_id{1}));
        CHECK(m.hops(*a)[2] == m.hops(*b)[2]);
    }
    SECTION("the file's NVLinks come along, unproved") {
        const dma_path* pair = m.path(m.gpu(gpu_id{0}), m.gpu(gpu_id{1}));
        REQUIRE(pair);
        CHECK(pair->hop_count == 1);
        CHECK(pair->proof == delivery::unproved);
        CHECK(find_note(m, "nvlink", "hint-4xa100"));
    }
    SECTION("merging twice changes nothing more") {
        const result<machine> twice = merge(m, hint);
        REQUIRE(twice);
        CHECK(twice->links.size() == m.links.size());
        CHECK(way(*twice, "gpu:1") == "package:0 > root:1 > switch:0 > gpu:1");
    }
}

TEST_CASE("a port that both sides know is one port", "[machine][merge]") {
    // The file places the NIC below the switch that the machine shows too, and leaves the GPU out, as some clouds'
    // files do.
    const auto parsed = [](const std::string& xml) {
        return read_nccl_xml_buffer(xml.data(), xml.size(), "x.xml").value();
    };
    const std::string head = R"(<system version="1"><cpu numaid="0"><pci busid="0000:45:00.0" class="0x060400"
        link_speed="32 GT/s" link_width="16">)",
                      tail = "</pci></cpu></system>";
    const std::string nic = R"(<pci busid="0000:4f:00.0" class="0x020000" link_speed="32 GT/s" link_width="16"/>)";
    const std::string gpu =
        R"(<pci busid="0000:53:00.0" class="0x030200" vendor="0x10de" device="0x2330"><gpu dev="0"/></pci>)";
    const result<machine> merged = merge(parsed(head + nic + gpu + tail), parsed(head + nic + tail));
    REQUIRE(merged);
    CHECK(merged->count(node_kind::pcie_switch) == 1);
    CHECK(way(*merged, "gpu:0") == "package:0 > root:0 > switch:0 > gpu:0");
    CHECK(way(*merged, "nic:0") == "package:0 > root:0 > switch:0 > nic:0");
    CHECK(find_note(*merged, "gpu:0", "are not in x"));
}

TEST_CASE("a file about another machine is refused", "[machine][merge]") {
    const machine flat = read_any(test::fixture("flat-vm-4xa100.nccl.xml"));
    const result<machine> merged = merge(flat, read_any(test::fixture("traps.nccl.xml")));
    REQUIRE_FALSE(merged);
    CHECK(merged.error().code() == errc::not_found);
    CHECK(std::string(merged.error().what()).find("traps.nccl is about another machine") == 0);
}

TEST_CASE("clouds' files over captures of their machines", "[machine][merge][captures]") {
    const std::string folder = test::captures();
    if (folder.empty()) {
        WARN("no folder of captures: set BARELINK_CAPTURES to check them");
        return;
    }
    SECTION("p4d: root buses become four switches of two GPUs and a NIC") {
        const result<machine> merged =
            merge(read_any(folder + "/hwloc/aws-p4d.24xl-vm.xml"), read_any(folder + "/nccl/aws-p4d-24xl-topo.xml"));
        REQUIRE(merged);
        test::check(*merged, {"p4d", 2, 2, 4, 8, 8, 0, 8, 0, 25.7, 274.5, true});
        test::check_invariants(*merged);
        CHECK_FALSE(find_note(*merged, "gpu:0", "merge a topology file"));
        for (int s = 0; s < 4; ++s) {
            int below = 0;
            for (const barelink::link& each : merged->links)
                below += each.kind == link_kind::pcie && merged->at(each.a).id() == "switch:" + std::to_string(s);
            CHECK(below == 3);
        }
    }
    SECTION("g5: no switches, but the packages become known") {
        const machine live = read_any(folder + "/hwloc/aws-g5.48xl-vm.xml");
        const result<machine> merged = merge(live, read_any(folder + "/nccl/aws-g5.48xl-topo.xml"));
        REQUIRE(merged);
        test::check_invariants(*merged);
        CHECK(merged->count(node_kind::gpu) == 8);
        CHECK(merged->at(merged->gpu(gpu_id{0})).numa == numa_id{0});
        CHECK(merged->at(merged->gpu(gpu_id{7})).numa == numa_id{1});
        CHECK(way(*merged, "gpu:7").find("package:1 > ") == 0);
        CHECK_FALSE(find_note(*merged, "gpu:7", "nothing says which package"));
    }
    SECTION("p5: the file names the switches that are already there and no GPU") {
        const machine live = read_any(folder + "/hwloc/aws-p5.48xl-vm.xml");
        const result<machine> merged = merge(live, read_any(folder + "/nccl/aws-p5.48xl-topo.xml"));
        REQUIRE(merged);
        CHECK(merged->links.size() == live.links.size());
        CHECK(merged->count(node_kind::pcie_switch) == 8);
        CHECK(merged->at(merged->gpu(gpu_id{0})).pci == live.at(live.gpu(gpu_id{0})).pci);
    }
}
