// A machine saved and read back is the same machine, and hwloc opens the file.
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>

#include <barelink/machine/builtin.hpp>
#include <barelink/machine/hwloc.hpp>
#include <barelink/machine/read.hpp>

#include "../support/captures.hpp"
#include "../support/catch.hpp"
#include "../support/expected_machine.hpp"

using namespace barelink;

namespace {

machine saved_and_read(const machine& m) {
    const test::temporary_folder folder;
    const std::string path = folder / "saved.xml";
    const status saved = save_machine(m, path);
    INFO(m.name << ": " << (saved ? "" : saved.error().what()));
    REQUIRE(saved);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1); // nothing left beside it
    const std::string bytes = test::contents(path);
    CHECK(sniff_machine_format(bytes.data(), bytes.size(), "x").value() == machine_format::machine_file);
    result<machine> back = read_hwloc_xml(path);
    REQUIRE(back);
    return std::move(back).value();
}

} // namespace

TEST_CASE("every built-in machine survives a file", "[machine][file]") {
    for (const builtin::entry& each : builtin::names()) {
        INFO(each.name);
        const machine m = each.make();
        CHECK(saved_and_read(m) == m);
    }
}

TEST_CASE("every captured machine survives a file", "[machine][file][captures]") {
    if (test::captures().empty()) {
        WARN("no folder of captures: set BARELINK_CAPTURES to check them");
        return;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(test::captures())) {
        if (entry.path().extension() != ".xml") continue;
        INFO(entry.path());
        const machine m = read_machine_file(entry.path().string()).value();
        CHECK(saved_and_read(m) == m);
    }
}

TEST_CASE("what a calibration changed survives bit by bit", "[machine][file]") {
    machine m = builtin::find("hgx-h100-8").value();
    m.name = "50% of <\"A&B\"> \xc3\xa9\n\ttab";
    m.links[3].gb_s_ab = 54.837261946578123;
    m.links[3].gb_s_ba = std::nextafter(55.3, 0);
    m.links[3].source = evidence::measured;
    m.links[3].lost_ab = 1.0 / 3;
    m.links[5].lost_ba = 1.0 / 37;
    m.links[4].latency_us = 1e-300;
    m.costs.chain_read_us = 1.0 / 41;
    m.costs.chain_posted_us = 1.0 / 43;
    m.costs.chain_nvlink_us = 1.0 / 47;
    m.costs.chain_nvlink_pull_us = 1.0 / 53;
    m.costs.driver_staging_start_us = 1.0 / 59;
    m.costs.submit_us = 1.0 / 3;
    m.costs.host_threads = 3;
    m.costs.source = evidence::measured;
    m.blocks.batch_us = 1.0 / 3;
    m.blocks.batch_block_us = 1.0 / 7;
    m.blocks.row_us = 1.0 / 11;
    m.blocks.kernel_us = 1.0 / 13;
    m.blocks.kernel_block_us = 1.0 / 17;
    m.blocks.kernel_multiprocessor_gb_s = 1.0 / 19;
    m.blocks.kernel_link_share = 1.0 / 23;
    m.blocks.device_gb_s = 1.0 / 31;
    m.blocks.host_block_us = 1.0 / 29;
    m.blocks.source = evidence::measured;
    m.nodes[0].name = "-";
    m.nodes[0].bytes = std::numeric_limits<std::uint64_t>::max();
    m.nodes[1].index = 7; // node numbers have gaps
    m.nodes[1].numa = numa_id{7};
    m.nodes.back().pci = {0xffffffff, 0xff, 0x1f, 7, true};
    m.note("gpu:3", "");
    m.note("", "a note, 100%");
    m.set_delivery(m.gpu(gpu_id{0}), m.gpu(gpu_id{1}), true, delivery::proved);
    m.set_delivery(m.gpu(gpu_id{1}), m.gpu(gpu_id{0}), false, delivery::failed);
    m.connect();
    CHECK(saved_and_read(m) == m);
}

TEST_CASE("machines of odd shapes survive a file", "[machine][file]") {
    SECTION("nothing at all") {
        machine m;
        m.connect();
        CHECK(saved_and_read(m) == m);
    }
    SECTION("a memory and a GPU, no package, links in a circle") {
        machine m;
        node n;
        m.add(n);
        n.kind = node_kind::gpu;
        n.cuda = true;
        m.add(n);
        n = {};
        n.kind = node_kind::pcie_switch;
        m.add(n);
        n.index = 1;
        m.add(n);
        m.add({link_kind::pcie, node_index{2}, node_index{3}, 1, 2, 0.1, evidence::read});
        m.add({link_kind::pcie, node_index{3}, node_index{2}, 1, 2, 0.1, evidence::read});
        m.add({link_kind::pcie, node_index{2}, node_index{1}, 1, 2, 0.1, evidence::read});
        m.connect();
        CHECK(saved_and_read(m) == m);
    }
    SECTION("two memories of one number") {
        machine m;
        m.add(node{});
        m.add(node{});
        m.connect();
        CHECK(saved_and_read(m) == m);
    }
}

TEST_CASE("what a file cannot hold is refused, and nothing is written", "[machine][file]") {
    const test::temporary_folder folder;
    machine m = builtin::find("gh200").value();
    SECTION("an infinite rate") {
        m.links[0].gb_s_ab = std::numeric_limits<double>::infinity();
    }
    SECTION("no number") {
        m.links[0].latency_us = std::nan("");
    }
    SECTION("a negative rate") {
        m.links[0].gb_s_ba = -1;
    }
    SECTION("a link to nowhere") {
        m.links[0].b = node_index{99};
    }
    SECTION("links changed without connect") {
        m.links[0].gb_s_ab = 1;
    }
    const status saved = save_machine(m, folder / "bad.xml");
    REQUIRE_FALSE(saved);
    CHECK(saved.error().code() == errc::invalid_argument);
    CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("a file that cannot be written is one error, and the old one stays", "[machine][file]") {
    const machine m = builtin::find("gh200").value();
    const status nowhere = save_machine(m, "/nonexistent-folder/m.xml");
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().code() == errc::io);
    CHECK(save_machine(m, "").error().code() == errc::invalid_argument);
    CHECK(save_machine(m, static_cast<const char*>(nullptr)).error().code() == errc::invalid_argument);
    const test::temporary_folder folder;
    std::filesystem::create_directory(folder.path() / "m.xml");
    CHECK(save_machine(m, folder / "m.xml").error().code() == errc::io);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("hwloc itself accepts the file, and sees tree and matrices", "[machine][file]") {
    const machine m = builtin::find("a100-pcie-4-switch").value();
    const test::temporary_folder folder;
    REQUIRE(save_machine(m, folder / "m.xml"));
    hwloc_topology_t topology = nullptr;
    REQUIRE(hwloc_topology_init(&topology) == 0);
    REQUIRE(hwloc_topology_set_xml(topology, (folder / "m.xml").c_str()) == 0);
    hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_ALL);
    REQUIRE(hwloc_topology_load(topology) == 0);
    hwloc_topology_check(topology); // aborts on an inconsistent topology
    CHECK(hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PACKAGE) == 1);
    CHECK(hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE) == 1);
    CHECK(hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PCI_DEVICE) == 4);
    CHECK(hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_BRIDGE) ==
          6); // two of hwloc's host bridges, two ports, two switches
    hwloc_distances_s* matrix = nullptr;
    unsigned count = 1;
    REQUIRE(hwloc_distances_get_by_name(topology, "BarelinkBandwidth", &count, &matrix, 0) == 0);
    REQUIRE(count == 1);
    REQUIRE(matrix->nbobjs == 5);
    CHECK(matrix->objs[0]->type == HWLOC_OBJ_NUMANODE);
    CHECK(matrix->objs[1]->type == HWLOC_OBJ_PCI_DEVICE);
    CHECK(matrix->values[1] == 25700);
    hwloc_distances_release(topology, matrix);

    SECTION("and a copy that hwloc wrote reads back the same") {
        char* xml = nullptr;
        int size = 0;
        REQUIRE(hwloc_topology_export_xmlbuffer(topology, &xml, &size, 0) == 0);
        const result<machine> back = read_hwloc_xml_buffer(xml, static_cast<std::size_t>(size) - 1, "copy.xml");
        REQUIRE(back);
        CHECK(*back == m);
        hwloc_free_xmlbuffer(topology, xml);
    }
    hwloc_topology_destroy(topology);
}

TEST_CASE("a damaged machine file is one error", "[machine][file]") {
    const machine m = builtin::find("rtx4090-pcie-8").value();
    const std::string good = detail::machine_xml(m);
    const auto changed = [&](const std::string& from, const std::string& to) {
        std::string bad = good;
        const std::size_t at = bad.find(from);
        REQUIRE(at != std::string::npos);
        bad.replace(at, from.size(), to);
        const result<machine> read = read_hwloc_xml_buffer(bad.data(), bad.size(), "bad.xml");
        REQUIRE_FALSE(read);
        CHECK(read.error().code() == errc::parse);
        return std::string(read.error().what());
    };
    const auto version = changed("\"BarelinkMachineFile\" value=\"1 ", "\"BarelinkMachineFile\" value=\"2 ");
    CHECK(version.find("another version") != std::string::npos);
    CHECK(changed("BarelinkMachineFile\" value=\"1 ", "BarelinkMachineFile\" value=\"1 9999999 ").find("damaged") !=
          std::string::npos);
    CHECK(changed("value=\"dram 1 0 ", "value=\"dram 1 99 ").find("damaged") != std::string::npos);
    CHECK(changed("value=\"dram 1 0 ", "value=\"wire 1 0 ").find("damaged") != std::string::npos);
    CHECK(changed("350 280", "nan 280").find("damaged") != std::string::npos);
    CHECK(changed("BarelinkLink", "BarelinkLnik").find("damaged") != std::string::npos);
    CHECK(changed("BarelinkNode", "BarelinkEdon").find("lost or doubled") != std::string::npos);
    CHECK(changed("value=\"0 package", "value=\"1 package").find("lost or doubled") != std::string::npos);
}
