// NCCL and RCCL topology files become the graph that their hardware is.
#include <filesystem>
#include <set>
#include <string>

#include <barelink/machine/nccl.hpp>

#include "../support/captures.hpp"
#include "../support/catch.hpp"
#include "../support/expected_machine.hpp"

using namespace barelink;
using test::find_note;
using test::rate;

namespace {

constexpr double gen4 = 25.7, gen5 = 55.3, a100_nvlink = 274.5;

// package, NUMA, switch, GPU, CUDA GPU, NVLink pairs, NVSwitch links, C2C, GPU link, NVLink, virtual
constexpr test::expected_machine captured[] = {
    {"aws-g5.48xl-topo", 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, true},
    {"aws-p4d-24xl-topo", 2, 2, 4, 8, 8, 0, 8, 0, gen4, a100_nvlink, true},
    {"aws-p5.48xl-topo", 2, 2, 8, 0, 0, 0, 0, 0, 0, 0, true},
    {"azure-nc48v4-topo", 2, 2, 0, 2, 2, 1, 0, 0, gen4, a100_nvlink, true},
    {"azure-ncv4-topo", 2, 4, 0, 4, 4, 0, 0, 0, gen4, 0, true},
    {"azure-ndv2-topo", 2, 2, 0, 8, 8, 0, 0, 0, gen4, 0, true}, // the file says Gen4 of V100s it does not name
    {"azure-ndv4-topo", 2, 4, 4, 8, 8, 0, 0, 0, gen4, 0, true},
    {"gcp-a3-highgpu-8xh100", 2, 2, 4, 8, 8, 0, 8, 0, gen5, 395, true},
    {"lab-4x4090-epyc-nps4", 2, 4, 0, 4, 4, 0, 0, 0, gen4, 0, false},
    {"lab-8x3090-switchtec-icelake", 2, 2, 2, 8, 8, 0, 0, 0, gen4, 0, false},
    {"modal-8xb200-vm-flat", 2, 2, 0, 8, 8, 0, 8, 0, gen5, 792, true},
    {"nvidia-a100-8x-xla", 2, 4, 24, 8, 8, 0, 8, 0, gen4, a100_nvlink, false},
    {"oci-bm-gpu4-8-flattened", 2, 4, 4, 8, 8, 0, 0, 0, gen4, 0, false},
    {"oci-h100", 2, 2, 24, 8, 8, 0, 8, 0, gen5, 395, false},
    {"perlmutter-4xa100-sxm", 1, 4, 0, 4, 4, 6, 0, 0, gen4, a100_nvlink / 3, false},
    {"rccl-topo_16p1h", 2, 4, 28, 16, 0, 0, 0, 0, gen5, 0, false},
    {"rccl-topo_16p1h_vm", 2, 4, 0, 16, 0, 0, 0, 0, gen5, 0, true},
    {"rccl-topo_16p_gio-1s-1rp-cascade", 2, 2, 43, 16, 0, 0, 0, 0, gen5, 0, false},
    {"rccl-topo_8p6l_6nic", 2, 2, 8, 8, 0, 0, 0, 0, gen4, 0, false},
    {"rccl-topo_8p_942", 2, 2, 24, 8, 0, 0, 0, 0, gen5, 0, false},
    {"rccl-topo_8p_rome_n4", 2, 7, 8, 8, 0, 0, 0, 0, gen4, 0, false},
};

machine read_nccl(const std::string& path) {
    result<machine> read = read_nccl_xml(path);
    INFO(path << ": " << (read ? "" : read.error().what()));
    REQUIRE(read);
    return std::move(read).value();
}

machine read_text(const std::string& xml) {
    result<machine> read = read_nccl_xml_buffer(xml.data(), xml.size(), "inline.xml");
    INFO((read ? "" : read.error().what()));
    REQUIRE(read);
    return std::move(read).value();
}

} // namespace

TEST_CASE("every captured NCCL file reads as the machine it is", "[machine][nccl][captures]") {
    if (test::captures().empty()) {
        WARN("no folder of captures: set BARELINK_CAPTURES to check them");
        return;
    }
    std::set<std::string> expected;
    for (const test::expected_machine& row : captured) {
        const machine m = read_nccl(test::captures() + "/nccl/" + row.file + ".xml");
        CHECK(m.name == row.file);
        test::check(m, row);
        test::check_invariants(m);
        expected.insert(std::string(row.file) + ".xml");
    }
    for (const auto& entry : std::filesystem::directory_iterator(test::captures() + "/nccl"))
        if (!expected.count(entry.path().filename().string())) WARN("no row for " << entry.path());
}

TEST_CASE("captured NCCL files: what is special about each", "[machine][nccl][captures]") {
    const std::string folder = test::captures() + "/nccl/";
    if (test::captures().empty()) {
        WARN("no folder of captures: set BARELINK_CAPTURES to check them");
        return;
    }
    SECTION("a GPU NVLinked to itself") {
        const machine m = read_nccl(folder + "azure-ncv4-topo.xml");
        CHECK(find_note(m, "gpu:3", "to itself were dropped"));
        CHECK(find_note(m, "gpu:0", "no speed"));
    }
    SECTION("link counts overstated seven times") {
        const machine m = read_nccl(folder + "modal-8xb200-vm-flat.xml");
        CHECK(find_note(m, "gpu:0", "126 NVLinks are listed and NVIDIA B200 has 18"));
        CHECK(rate(m, link_kind::nvlink, "gpu:7", "nvswitch") == Approx(18 * 44.0));
        CHECK(m.path(m.gpu(gpu_id{0}), m.gpu(gpu_id{7}))->hop_count == 2);
    }
    SECTION("an invisible NVSwitch, Gen4 shown for Gen5 GPUs") {
        const machine m = read_nccl(folder + "gcp-a3-highgpu-8xh100.xml");
        CHECK(find_note(m, "gpu:0", "this module always trains at Gen5"));
        CHECK(find_note(m, "switch:0", "raised"));
    }
    SECTION("5.0 GT/s root switches above Gen5, four visible NVSwitches") {
        const machine m = read_nccl(folder + "oci-h100.xml");
        CHECK(find_note(m, "switch:0", "5 GT/s x16, which is an idle link's"));
        CHECK(rate(m, link_kind::pcie, "root:0", "switch:0") == Approx(gen5));
        CHECK(m.path(m.memory(numa_id{0}), m.gpu(gpu_id{0}))->gb_s == Approx(gen5));
    }
    SECTION("switches with invented ids") {
        const machine m = read_nccl(folder + "azure-ndv4-topo.xml");
        CHECK(find_note(m, "ffff:ff:01.0", "invented"));
        CHECK_FALSE(m.at(m.find(node_kind::pcie_switch, 0)).pci.known);
    }
    SECTION("NPS4: nodes 1, 3, 5 and 7 on two packages, three switch levels") {
        const machine m = read_nccl(folder + "nvidia-a100-8x-xla.xml");
        const std::int32_t near[] = {3, 3, 1, 1, 7, 7, 5, 5};
        for (std::int32_t g = 0; g < 8; ++g) CHECK(m.at(m.gpu(gpu_id{g})).numa == numa_id{near[g]});
        CHECK(m.path(m.memory(numa_id{3}), m.gpu(gpu_id{0}))->hop_count == 6);
        CHECK(rate(m, link_kind::dram, "numa:5", "package:1") > 0);
        CHECK(rate(m, link_kind::dram, "numa:3", "package:0") > 0);
    }
    SECTION("GPUs in the order of their dev") {
        const machine m = read_nccl(folder + "perlmutter-4xa100-sxm.xml");
        const std::uint8_t bus[] = {0x03, 0x41, 0x82, 0xc1};
        for (std::int32_t g = 0; g < 4; ++g) CHECK(m.at(m.gpu(gpu_id{g})).pci.bus == bus[g]);
        CHECK(m.path(m.gpu(gpu_id{0}), m.gpu(gpu_id{3}))->gb_s == Approx(4 * a100_nvlink / 12));
    }
    SECTION("GeForce: four behind one uplink, no peer access") {
        const machine m = read_nccl(folder + "lab-8x3090-switchtec-icelake.xml");
        CHECK(m.grants.empty());
        CHECK(m.path(m.gpu(gpu_id{0}), m.gpu(gpu_id{1})) == nullptr);
        CHECK(rate(m, link_kind::pcie, "root:0", "switch:0") == Approx(gen4));
    }
    SECTION("hint files") {
        const machine m = read_nccl(folder + "aws-g5.48xl-topo.xml");
        CHECK(find_note(m, "0000:00:16.0", "no class"));
        CHECK(m.count(node_kind::nic) == 9);
    }
    SECTION("AMD") {
        const machine m = read_nccl(folder + "rccl-topo_16p_gio-1s-1rp-cascade.xml");
        CHECK(find_note(m, "xgmi", "112 links between AMD GPUs"));
        CHECK(m.paths().empty());
    }
}

TEST_CASE("our own NCCL fixture holds every trap", "[machine][nccl]") {
    const machine m = read_nccl(test::fixture("traps.nccl.xml"));
    test::check(m, {"fixture", 2, 2, 1, 4, 3, 1, 0, 0, 12.85, 2 * 274.5 / 12, false});
    test::check_invariants(m);
    // CUDA's GPUs first and in the order of dev, AMD's after them.
    CHECK(m.at(m.gpu(gpu_id{0})).pci.bus == 0x04);
    CHECK(m.at(m.gpu(gpu_id{1})).pci.bus == 0x81);
    CHECK(m.at(m.gpu(gpu_id{2})).pci.bus == 0x03);
    CHECK_FALSE(m.at(m.gpu(gpu_id{3})).cuda);
    CHECK(m.at(m.gpu(gpu_id{3})).name == "AMD gfx942");
    CHECK(find_note(m, "gpu:2", "4 NVLinks from this GPU to itself"));
    CHECK(find_note(m, "gpu:2-gpu:0", "the fewer are believed"));
    CHECK(find_note(m, "0000:99:00.0", "no GPU of this file"));
    CHECK(find_note(m, "switch:0", "raised"));
    CHECK(find_note(m, "gpu:0", "no speed"));
    CHECK(rate(m, link_kind::pcie, "switch:0", "gpu:2") == Approx(gen4)); // width 0 is not no width
    CHECK(m.path(m.gpu(gpu_id{0}), m.gpu(gpu_id{1})) == nullptr);         // GeForce at one end
}

TEST_CASE("C2C: bandwidth per link times links, no PCIe way", "[machine][nccl]") {
    const machine m = read_nccl(test::fixture("gh200.nccl.xml"));
    test::check(m, {"fixture", 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, false});
    test::check_invariants(m);
    CHECK(rate(m, link_kind::c2c, "package:0", "gpu:0") == Approx(378 * 447.12 / 450));
    CHECK(m.count(node_kind::root_port) == 0);
    CHECK(m.links[1].source == evidence::read);
    CHECK(m.at(m.find(node_kind::package, 0)).name == "NVIDIA Grace");
}

TEST_CASE("NCCL files in odd shapes", "[machine][nccl]") {
    SECTION("numaid -1 is unknown, not everywhere") {
        const machine one = read_text(R"(<system version="1"><cpu numaid="-1"><pci busid="0000:01:00.0" class="0x030200"
            vendor="0x10de" device="0x26b9" link_speed="16.0 GT/s PCIe" link_width="16"><gpu dev="0"/></pci></cpu></system>)");
        CHECK(one.count(node_kind::memory) == 1);
        CHECK(one.at(one.gpu(gpu_id{0})).numa == unknown_numa);
        CHECK(find_note(one, "cpu numaid", "unknown"));
        const machine more = read_text(R"(<system version="1"><cpu numaid="0"/><cpu numaid="1"/><cpu numaid="-1"><pci
            busid="0000:01:00.0" class="0x030200" vendor="0x10de" device="0x26b9"><gpu dev="0"/></pci></cpu></system>)");
        CHECK(more.count(node_kind::memory) == 2);
        CHECK(find_note(more, "gpu:0", "nothing says which package"));
    }
    SECTION("a POWER CPU at the far end of an NVLink") {
        const machine m =
            read_text(R"(<system version="1"><cpu numaid="0" arch="ppc64"><pci busid="0004:04:00.0" class="0x030200"
            vendor="0x10de" device="0x1db1" link_speed="8.0 GT/s" link_width="16"><gpu dev="0" sm="70"><nvlink target="0000:00:00.0"
            count="3" tclass="0x068001"/></gpu></pci></cpu></system>)");
        CHECK(rate(m, link_kind::c2c, "package:0", "gpu:0") == Approx(145.6 / 2));
    }
    SECTION("counts are capped by what the model has; a GPU behind an NVSwitch may be listed as the target") {
        const machine m = read_text(R"(<system version="1"><cpu numaid="0"><pci busid="0002:00:01.0" class="0x030200"
            vendor="0x10de" device="0x2901"><gpu dev="0"><nvlink target="0002:00:02.0" count="18" tclass="0x068000"/><nvlink
            target="0002:00:03.0" count="18" tclass="0x068000"/></gpu></pci><pci busid="0002:00:02.0" class="0x030200"
            vendor="0x10de" device="0x2901"><gpu dev="1"><nvlink target="fffffff:ff:ff.0" count="18"
            tclass="0x068000"/></gpu></pci></cpu></system>)");
        CHECK(find_note(m, "gpu:0", "36 NVLinks are listed and NVIDIA B200 has 18"));
        CHECK_FALSE(find_note(m, "gpu:1", "NVLinks are listed"));
        CHECK(rate(m, link_kind::nvlink, "gpu:0", "nvswitch") == Approx(18 * 44.0));
        CHECK(rate(m, link_kind::nvlink, "gpu:1", "nvswitch") == Approx(18 * 44.0));
        CHECK(m.virtualized);
    }
    SECTION("NUMA nodes go to packages by their numbers and the CPU's cores") {
        const auto packages = [](int nodes, const char* affinity, const char* family, const char* model) {
            std::string xml = "<system version=\"1\">";
            for (int n = 0; n < nodes; ++n)
                xml += "<cpu numaid=\"" + std::to_string(n) + "\" affinity=\"" + affinity +
                       "\" vendor=\"AuthenticAMD\" familyid=\"" + family + "\" modelid=\"" + model + "\"/>";
            return read_text(xml + "</system>");
        };
        CHECK(packages(1, "ff", "143", "49").count(node_kind::package) == 1);
        CHECK(packages(2, "ff", "143", "49").count(node_kind::package) == 2);
        CHECK(packages(4, "0000ffff,0000ffff", "175", "1").count(node_kind::package) ==
              1);                                                                  // 64 cores, two threads each
        CHECK(packages(4, "00ffffff", "23", "49").count(node_kind::package) == 2); // 96 cores of 64-core CPUs
        const machine nps4 = packages(8, "ff", "143", "49");
        CHECK(nps4.count(node_kind::package) == 2);
        CHECK(rate(nps4, link_kind::dram, "numa:3", "package:0") > 0);
        CHECK(rate(nps4, link_kind::dram, "numa:4", "package:1") > 0);
        CHECK(rate(nps4, link_kind::cpu, "package:0", "package:1") == 60);
        CHECK(find_note(nps4, "package", "8 NUMA nodes were taken as 2 packages"));
    }
    SECTION("CUDA's numbers leave out what CUDA cannot drive") {
        const machine m = read_text(R"(<system version="2"><cpu numaid="0"><pci busid="0000:01:00.0" class="0x120000"
            vendor="0x1002" device="0x74a1"><gpu dev="0"/></pci><pci busid="0000:02:00.0" class="0x030200" vendor="0x10de"
            device="0x26b9"><gpu dev="1"/></pci></cpu></system>)");
        CHECK(m.at(m.gpu(gpu_id{0})).cuda);
        CHECK_FALSE(m.at(m.gpu(gpu_id{1})).cuda);
    }
    SECTION("hostile numbers are no numbers") {
        const machine m =
            read_text(R"(<system version="1"><cpu numaid="99999999999999999999" affinity="zzzz" familyid="-7"><pci
            busid="nonsense" class="0xffffffffffffffffff" vendor="0x10de" device="0x2330" link_speed="1e999 GT/s" link_width="-5">
            <gpu dev="-2147483648" sm="99999999999"><nvlink target="::::" count="99999999999" tclass="zz"/><nvlink
            target="0:0:0.0" count="-3" tclass="0x068000"/><c2c bw="1e300" count="2147483647"/></gpu></pci></cpu></system>)");
        CHECK(m.count(node_kind::gpu) == 1);
        test::check_invariants(m);
    }
    SECTION("both spellings of AMD's family are Rome") {
        CHECK(&find_host_model("AuthenticAMD", 143, 49, "") == &find_host_model("AuthenticAMD", 23, 49, ""));
        CHECK(find_host_model("AuthenticAMD", 175, 17, "").dram_read_gb_s == 350);
        CHECK(find_host_model("GenuineIntel", 6, 143, "").dram_write_gb_s == 178);
        CHECK(find_host_model("", 0, 0, "POWER9, altivec supported").cpu_link_gb_s == 50);
        CHECK(&find_host_model("", 0, 0, "") == &unknown_host_model);
    }
}
