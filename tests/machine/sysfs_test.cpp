// Machines from a /sys that the test writes: two packages, switches, a VM, and next to nothing.
#include <filesystem>
#include <fstream>
#include <string>

#include <barelink/machine/detail/sysfs_machine.hpp>

#include "support/captures.hpp"
#include "support/catch.hpp"
#include "support/expected_machine.hpp"

using namespace barelink;
using barelink::cuda::gpu_inventory;
using test::find_note;
using test::rate;

namespace {

class fake_root {
public:
    void write(const std::string& path, const std::string& text) const {
        const std::filesystem::path file = folder_.path() / path;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file) << text << '\n';
    }
    void node(int n, const std::string& cpus, unsigned gib) const {
        const std::string at = "sys/devices/system/node/node" + std::to_string(n) + "/";
        write(at + "cpulist", cpus);
        write(at + "meminfo", "Node " + std::to_string(n) + " MemTotal:       " + std::to_string(gib << 20) + " kB\n");
    }
    void cpu(int c, int package) const {
        write("sys/devices/system/cpu/cpu" + std::to_string(c) + "/topology/physical_package_id",
              std::to_string(package));
    }
    /// `way` is the path below /sys/devices; its last part is the device.
    void pci(const std::string& way, const std::string& ids, const std::string& pci_class, const std::string& speed,
             int lanes, int numa) const {
        const std::string at = "sys/devices/" + way + "/", name = way.substr(way.rfind('/') + 1);
        write(at + "vendor", "0x" + ids.substr(0, 4));
        write(at + "device", "0x" + ids.substr(5));
        write(at + "class", "0x" + pci_class);
        write(at + "current_link_speed", speed);
        write(at + "current_link_width", std::to_string(lanes));
        write(at + "numa_node", std::to_string(numa));
        const std::filesystem::path all = folder_.path() / "sys/bus/pci/devices";
        std::filesystem::create_directories(all);
        std::filesystem::create_directory_symlink(folder_.path() / "sys/devices" / way, all / name);
    }
    /// Two Emerald Rapids of one node each, and a node without anything.
    void two_sockets(bool hypervisor = false) const {
        write("proc/cpuinfo",
              std::string("processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 207\n") +
                  "model name\t: INTEL(R) XEON(R) PLATINUM 8592+\nflags\t\t: fpu vme " +
                  (hypervisor ? "hypervisor lahf_lm" : "lahf_lm") + "\n");
        write("sys/devices/system/node/online", "0-1,4");
        node(0, "0-1", 512);
        node(1, "2-3", 256);
        node(4, "", 0);
        for (int c = 0; c < 4; ++c) cpu(c, c < 2 ? 0 : 3);
    }
    [[nodiscard]] std::string path() const { return folder_.path().string(); }

private:
    test::temporary_folder folder_;
};

gpu_inventory one_gpu(unsigned bus, int numa, const gpu_model& model) {
    gpu_inventory said;
    cuda::gpu_facts gpu;
    gpu.pci = {0, static_cast<std::uint8_t>(bus), 0, 0, true};
    gpu.name = model.name;
    gpu.sm = model.sm;
    gpu.memory_bytes = model.memory_bytes;
    gpu.host_numa = numa_id{numa};
    said.gpus.push_back(gpu);
    said.peers.resize(1);
    return said;
}

machine read(const fake_root& root, const gpu_inventory& said) {
    machine made = detail::machine_from_sysfs(root.path(), said).value();
    test::check_invariants(made);
    return made;
}

} // namespace

TEST_CASE("packages, memories and switches from /sys", "[machine][sysfs]") {
    const fake_root root;
    root.two_sockets();
    root.write("sys/class/dmi/id/product_name", "Big Box");
    const std::string port = "pci0000:10/0000:10:01.0", up = port + "/0000:11:00.0";
    root.pci(port, "8086:352a", "060400", "32.0 GT/s PCIe", 16, 1);
    root.pci(up, "1000:c030", "060400", "32.0 GT/s PCIe", 16, 1);
    for (const char* at : {"0000:12:00.0/0000:13:00.0", "0000:12:01.0/0000:14:00.0"}) {
        const std::string below = up + "/" + at;
        root.pci(below.substr(0, below.rfind('/')), "1000:c030", "060400", "16.0 GT/s PCIe", 16, 1);
        root.pci(below, "10de:26b9", "030200", "16.0 GT/s PCIe", 16, 1);
    }
    root.pci(up + "/0000:12:02.0", "1000:c030", "060400", "16.0 GT/s PCIe", 8, 1);
    root.pci(up + "/0000:12:02.0/0000:15:00.0", "15b3:1021", "020000", "16.0 GT/s PCIe", 8, 1); // no NVIDIA device
    root.pci("pci0000:80/0000:80:02.0", "10de:22a3", "068000", "", 0, 0);                       // an NVSwitch
    const machine m = read(root, one_gpu(0x14, -1, *find_gpu_model(nvidia_vendor, 0x26b9)));
    CHECK(m.name == "Big Box");
    CHECK_FALSE(m.virtualized);
    CHECK(m.count(node_kind::package) == 2);
    CHECK(m.at(m.find(node_kind::package, 1)).name == "INTEL(R) XEON(R) PLATINUM 8592+");
    CHECK(m.count(node_kind::memory) == 2);
    CHECK(m.at(m.memory(numa_id{0})).bytes == 512 * GiB);
    CHECK(rate(m, link_kind::dram, "numa:1", "package:1") == Approx(270)); // Emerald Rapids
    CHECK(m.count(node_kind::root_port) == 1);
    CHECK(m.count(node_kind::pcie_switch) == 1);
    REQUIRE(m.count(node_kind::gpu) == 2);
    CHECK(m.at(m.gpu(gpu_id{0})).pci.bus == 0x14); // the one that CUDA shows
    CHECK(m.at(m.gpu(gpu_id{0})).numa == numa_id{1});
    CHECK_FALSE(m.at(m.gpu(gpu_id{1})).cuda);
    CHECK(rate(m, link_kind::pcie, "switch:0", "gpu:0") == Approx(25.7));
    CHECK(rate(m, link_kind::pcie, "root:0", "switch:0") == Approx(55.3));
}

TEST_CASE("a virtual machine's /sys", "[machine][sysfs]") {
    const fake_root root;
    root.two_sockets(true);
    root.pci("pci0001:00/0000:09:00.0", "10de:2330", "030200", "Unknown", 0, -1);
    const machine m = read(root, one_gpu(9, 1, *find_gpu_model(nvidia_vendor, 0x2330)));
    CHECK(m.virtualized);
    CHECK(m.count(node_kind::gpu) == 1);
    CHECK(m.count(node_kind::root_port) == 1);
    CHECK(m.at(m.gpu(gpu_id{0})).numa == numa_id{1});
    CHECK(rate(m, link_kind::pcie, "root:0", "gpu:0") == Approx(55.3));
}

TEST_CASE("no /sys at all: what CUDA names", "[machine][sysfs]") {
    const fake_root root;
    const machine m = read(root, one_gpu(9, 1, *find_gpu_model(nvidia_vendor, 0x2330)));
    CHECK(m.name == "live");
    CHECK(m.count(node_kind::memory) == 1);
    CHECK(m.memory(numa_id{1}) != no_node);
    CHECK(find_note(m, "numa:1", "not in /sys"));
    const machine unknown = read(root, one_gpu(9, -1, *find_gpu_model(nvidia_vendor, 0x2330)));
    CHECK(unknown.memory(numa_id{0}) != no_node);
    CHECK(unknown.at(unknown.gpu(gpu_id{0})).numa == numa_id{0});
}

TEST_CASE("a Grace's GPU memory is not host memory, and is not added as such", "[machine][sysfs]") {
    const fake_root root;
    root.write("proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd4f\n");
    root.write("sys/devices/system/node/online", "0-1");
    root.node(0, "0-71", 480);
    root.node(1, "", 96);
    root.cpu(0, 0);
    gpu_inventory said = one_gpu(1, 0, *find_gpu_model(nvidia_vendor, 0x2342));
    said.gpus[0].memory_numa = numa_id{1};
    said.gpus[0].host_atomics = said.gpus[0].pageable_access = said.gpus[0].host_page_tables = cuda::answer::yes;
    const machine m = read(root, said);
    CHECK(m.count(node_kind::memory) == 1);
    CHECK(rate(m, link_kind::c2c, "package:0", "gpu:0") == Approx(378));
    CHECK(rate(m, link_kind::dram, "numa:0", "package:0") == Approx(384));
}

TEST_CASE("lists of numbers as the kernel writes them", "[machine][sysfs]") {
    CHECK(detail::numbers_in("0-2,5", 100) == std::vector<int>{0, 1, 2, 5});
    CHECK(detail::numbers_in("", 100).empty());
    CHECK(detail::numbers_in("nonsense", 100).empty());
    CHECK(detail::numbers_in("0-999999999", 3).size() == 3);
    CHECK(detail::numbers_in("3-1", 3).empty());
}
