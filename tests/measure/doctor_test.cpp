// Every check of the host on systems that the tests write: ok, warn, fail and unknown where the check has them.
#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <barelink/core/units.hpp>
#include <barelink/measure/doctor.hpp>

#include "support/catch.hpp"
#include "support/fake_system.hpp"

namespace doctor_test {

using namespace barelink;

/// A system, and a machine whose GPUs are only what checks of files ask for.
struct box {
    fake::system system;
    machine m;

    node& gpu(unsigned bus, std::int32_t numa, const char* name = "NVIDIA H100 80GB HBM3") {
        node added;
        added.kind = node_kind::gpu;
        added.index = static_cast<std::int32_t>(m.count(node_kind::gpu));
        added.name = name;
        added.numa = numa_id{numa};
        added.pci = {0, static_cast<std::uint8_t>(bus), 0, 0, true};
        added.bytes = 80 * GiB;
        added.vendor = nvidia_vendor;
        added.cuda = true;
        m.add(added);
        return m.nodes.back();
    }
    /// A GPU's folder in /sys, below the ports named.
    std::string device(unsigned bus, const std::string& ports = "/0000:10:01.0") {
        const std::string name = to_string(pci_address{0, static_cast<std::uint8_t>(bus), 0, 0, true});
        const std::string real = "/sys/devices/pci0000:10" + ports + "/" + name;
        system.link("/sys/bus/pci/devices/" + name, real);
        system.file(real + "/vendor", "0x10de");
        return real;
    }
    void metal() {
        system.hypervisor_bit(false);
        system.file("/sys/class/dmi/id/sys_vendor", "Supermicro");
        system.file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse2 sev sev_es\n");
    }
    void vm(const char* signature = "KVMKVMKVM") {
        system.hypervisor_bit(true);
        system.leaf(0x40000000, signature);
        system.file("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu hypervisor sse2\n");
    }
    [[nodiscard]] findings run(const char* id) const {
        for (const host_check& each : host_checks)
            if (std::string(each.id) == id) return run_check(id, each.run, doctor_scene(system.view(), m));
        throw std::runtime_error(std::string("no check ") + id);
    }
};

struct expectation {
    const char* what;
    const char* id;
    void (*arrange)(box&);
    severity level;
    const char* evidence; ///< a part of it
};

/// Every finding says what it must, in one line.
void check_shape(const finding& f) {
    INFO(f.id << ' ' << to_string(f.level) << ": " << f.evidence);
    CHECK(check_place(f.id) < std::size(check_names));
    CHECK_FALSE(f.title.empty());
    CHECK_FALSE(f.evidence.empty());
    CHECK_FALSE(f.cost.empty());
    if (f.level == severity::warn || f.level == severity::fail || f.level == severity::ok) CHECK_FALSE(f.limit.empty());
    if (f.level == severity::warn || f.level == severity::fail) CHECK_FALSE(f.remedy.empty());
    for (const std::string* text : {&f.evidence, &f.limit, &f.cost, &f.remedy, &f.reaction})
        CHECK(text->find('\n') == std::string::npos);
}

void hold(const std::vector<expectation>& table) {
    for (const expectation& each : table) {
        box there;
        each.arrange(there);
        const findings found = there.run(each.id);
        INFO(each.id << ": " << each.what);
        REQUIRE(found.size() == 1);
        INFO(found[0].evidence);
        CHECK(std::string(to_string(found[0].level)) == to_string(each.level));
        CHECK(found[0].id == each.id);
        CHECK(found[0].evidence.find(each.evidence) != std::string::npos);
        check_shape(found[0]);
    }
}

probe_times took(double mean_ns) {
    return {100000, mean_ns, mean_ns, mean_ns * 2, mean_ns * 4, mean_ns * 100};
}
constexpr const char* clock_file = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
constexpr const char* no_steal = "cpu  100 0 100 5000 0 0 0 0 0 0\ncpu0 1 1 1";

TEST_CASE("VRT-05: the clock", "[measure][doctor]") {
    hold({
        {"tsc, fast", "VRT-05",
         [](box& b) {
             b.system.file(clock_file, "tsc");
             b.system.clock = took(25);
         },
         severity::ok, "current_clocksource is tsc; a read takes 25 ns"},
        {"a busy machine is no slow clock", "VRT-05",
         [](box& b) {
             b.system.file(clock_file, "tsc");
             b.system.clock = probe_times{1000000, 5000, 30, 60, 9000, 90000};
         },
         severity::ok, "a read takes 30 ns"},
        {"the name is not needed when the clock was timed", "VRT-05", [](box& b) { b.system.clock = took(149); },
         severity::ok, "is not there; a read takes 149 ns"},
        {"tsc, but through the kernel", "VRT-05",
         [](box& b) {
             b.system.file(clock_file, "tsc");
             b.system.clock = took(400);
         },
         severity::warn, "400 ns"},
        {"acpi_pm", "VRT-05",
         [](box& b) {
             b.system.file(clock_file, "acpi_pm");
             b.system.clock = took(2900);
         },
         severity::fail, "acpi_pm"},
        {"hpet that is too fast to be true", "VRT-05",
         [](box& b) {
             b.system.file(clock_file, "hpet");
             b.system.clock = took(30);
         },
         severity::warn, "hpet"},
        {"hpet that was not timed", "VRT-05", [](box& b) { b.system.file(clock_file, "hpet"); }, severity::fail,
         "hpet"},
        {"the name of a fast clock proves nothing", "VRT-05", [](box& b) { b.system.file(clock_file, "tsc"); },
         severity::unknown, "was not timed"},
        {"nothing", "VRT-05", [](box&) {}, severity::unknown, "is not there"},
    });
}

TEST_CASE("VRT-01: which hypervisor", "[measure][doctor]") {
    hold({
        {"KVM", "VRT-01", [](box& b) { b.vm(); }, severity::info, "KVM: CPUID's hypervisor bit is set"},
        {"KVM that also plays Hyper-V: the highest leaf counts", "VRT-01",
         [](box& b) {
             b.vm("Microsoft Hv");
             b.system.leaf(0x40000100, "KVMKVMKVM");
         },
         severity::info, "KVM: "},
        {"far up", "VRT-01",
         [](box& b) {
             b.vm("nobody knows");
             b.system.leaf(0x40010000, "XenVMMXenVMM");
         },
         severity::info, "Xen: "},
        {"Hyper-V", "VRT-01", [](box& b) { b.vm("Microsoft Hv"); }, severity::info, "Hyper-V: "},
        {"VMware", "VRT-01", [](box& b) { b.vm("VMwareVMware"); }, severity::info, "VMware: "},
        {"Firecracker", "VRT-01",
         [](box& b) {
             b.vm();
             b.system.file("/sys/firmware/acpi/tables/FACP", "FACP....FIRECK");
         },
         severity::info, "Firecracker (KVM)"},
        {"without a name", "VRT-01", [](box& b) { b.vm("nobody knows"); }, severity::info,
         "a hypervisor without a name"},
        {"Xen by /sys alone", "VRT-01", [](box& b) { b.system.file("/sys/hypervisor/type", "xen"); }, severity::info,
         "Xen: "},
        {"gVisor in a guest", "VRT-01",
         [](box& b) {
             b.vm();
             b.system.file("/proc/version", "Linux version 4.19.0-gvisor");
         },
         severity::info, "gVisor in KVM"},
        {"metal", "VRT-01", [](box& b) { b.metal(); }, severity::info, "none: CPUID's hypervisor bit is clear"},
        {"metal of EC2", "VRT-01",
         [](box& b) {
             b.metal();
             b.system.file("/sys/class/dmi/id/sys_vendor", "Amazon EC2");
             b.system.file("/sys/class/dmi/id/product_name", "p5.metal");
         },
         severity::info, "a bare metal instance of EC2"},
        {"nothing", "VRT-01", [](box&) {}, severity::unknown, "could be read"},
    });
    box sandbox; // its /sys is its own
    sandbox.metal();
    sandbox.system.file("/proc/version", "Linux version 4.19.0-gvisor");
    CHECK(sandbox.run("VRT-01")[0].evidence.rfind("gVisor: ", 0) == 0);
    CHECK_FALSE(read_virtualization(sandbox.system.view()).on_metal());
    box hidden; // a DMI that is denied says nothing
    hidden.system.deny("/sys");
    hidden.system.deny("/proc");
    CHECK(hidden.run("VRT-01")[0].level == severity::unknown);
}

TEST_CASE("VRT-02: a hypervisor that hides", "[measure][doctor]") {
    hold({
        {"shown", "VRT-02", [](box& b) { b.vm(); }, severity::ok, "shows itself"},
        {"metal", "VRT-02", [](box& b) { b.metal(); }, severity::ok, "clear"},
        {"a signature without the bit", "VRT-02",
         [](box& b) {
             b.metal();
             b.system.leaf(0x40000000, "KVMKVMKVM");
         },
         severity::warn, "spells \"KVMKVMKVM\""},
        {"a virtio device", "VRT-02",
         [](box& b) {
             b.metal();
             b.system.file("/sys/bus/pci/devices/0000:00:02.0/vendor", "0x1af4");
         },
         severity::warn, "vendor 0x1af4"},
        {"QEMU's port", "VRT-02",
         [](box& b) {
             b.metal();
             b.system.file("/sys/bus/pci/devices/0000:00:02.0/vendor", "0x1b36");
         },
         severity::warn, "vendor 0x1b36"},
        {"q35's host bridge", "VRT-02",
         [](box& b) {
             b.metal();
             b.system.file("/sys/bus/pci/devices/0000:00:00.0/vendor", "0x8086");
             b.system.file("/sys/bus/pci/devices/0000:00:00.0/subsystem_vendor", "0x1af4");
         },
         severity::warn, "QEMU's bridges"},
        {"DMI", "VRT-02",
         [](box& b) {
             b.metal();
             b.system.file("/sys/class/dmi/id/product_name", "Standard PC (Q35 + ICH9, 2009)");
         },
         severity::warn, "Standard PC"},
        {"no CPUID", "VRT-02", [](box&) {}, severity::unknown, "CPUID"},
        {"nothing to contradict the bit", "VRT-02", [](box& b) { b.system.hypervisor_bit(false); }, severity::unknown,
         "contradict"},
    });
    box hidden; // and then nothing may take the machine for metal
    hidden.metal();
    hidden.system.leaf(0x40000000, "KVMKVMKVM");
    CHECK(read_virtualization(hidden.system.view()).where == hosting::virtual_machine);
}

TEST_CASE("VRT-03: stolen time over the run", "[measure][doctor]") {
    hold({
        {"none", "VRT-03",
         [](box& b) {
             b.system.file("/proc/stat", {no_steal, "cpu  1100 0 100 9000 0 0 0 0 0 0"});
         },
         severity::ok, "0 of 1000 ticks"},
        {"0.1 % is still ok", "VRT-03",
         [](box& b) {
             b.system.file("/proc/stat", {no_steal, "cpu  1099 0 100 5000 0 0 0 1 0 0"});
         },
         severity::ok, "1 of 1000"},
        {"0.5 %", "VRT-03",
         [](box& b) {
             b.system.file("/proc/stat", {no_steal, "cpu  1095 0 100 5000 0 0 0 5 0 0"});
         },
         severity::warn, "(0.5 %)"},
        {"2 %, of a machine that idles else", "VRT-03",
         [](box& b) {
             b.system.file("/proc/stat", {no_steal, "cpu  1080 0 100 99999 0 0 0 20 0 0"});
         },
         severity::fail, "20 of 1000"},
        {"what was stolen before does not count", "VRT-03",
         [](box& b) {
             b.system.file("/proc/stat", {"cpu  1 0 1 1 0 0 0 900 0 0", "cpu  1001 0 1 1 0 0 0 900 0 0"});
         },
         severity::ok, "0 of 1000 ticks that threads wanted were stolen during the run (0 %), 47.3 % since"},
        {"too short a run", "VRT-03", [](box& b) { b.system.file("/proc/stat", no_steal); }, severity::unknown,
         "too few ticks"},
        {"not readable", "VRT-03", [](box&) {}, severity::unknown, "/proc/stat is not there"},
        {"denied", "VRT-03", [](box& b) { b.system.deny("/proc"); }, severity::unknown, "Permission denied"},
        {"nonsense", "VRT-03", [](box& b) { b.system.file("/proc/stat", "cpu  what"); }, severity::unknown, "stolen"},
        {"gone in between", "VRT-03",
         [](box& b) {
             b.system.file("/proc/stat", {no_steal, "nothing"});
         },
         severity::unknown, "all CPUs"},
    });
    box alone; // run by itself it keeps a CPU busy first
    alone.system.gap = gap_times{1, 1000, 0, 0, -1, 0, 0};
    alone.system.file("/proc/stat", {no_steal, no_steal, "cpu  1080 0 100 5000 0 0 0 20 0 0"});
    CHECK(alone.run("VRT-03")[0].level == severity::fail);
    CHECK(alone.system.gaps_asked == 1);
}

TEST_CASE("VRT-04: exits", "[measure][doctor]") {
    hold({
        {"a usual guest", "VRT-04",
         [](box& b) {
             b.vm();
             b.system.exit = took(700);
         },
         severity::ok, "p50 0.7 us"},
        {"nested", "VRT-04",
         [](box& b) {
             b.vm();
             b.system.exit = took(20000);
         },
         severity::warn, "p50 20 us"},
        {"metal", "VRT-04",
         [](box& b) {
             b.metal();
             b.system.exit = took(60);
         },
         severity::ok, "0.06 us"},
        {"metal that takes as long as a guest", "VRT-04",
         [](box& b) {
             b.metal();
             b.system.exit = took(700);
         },
         severity::warn, "no hypervisor shows itself"},
        {"not x86", "VRT-04", [](box&) {}, severity::unknown, "cannot be asked"},
    });
}

TEST_CASE("VRT-06 and VRT-07: gaps and wake-ups", "[measure][doctor]") {
    hold({
        {"quiet", "VRT-06", [](box& b) { b.system.gap = gap_times{2, 1200, 3, 22, 1, 0, 0}; }, severity::ok,
         "spun 1200 ms over 2 CPUs: 3 gaps"},
        {"some", "VRT-06", [](box& b) { b.system.gap = gap_times{2, 1200, 3, 220, 1, 0, 0}; }, severity::warn,
         "220 us on CPU 1"},
        {"the host takes the CPU away", "VRT-06", [](box& b) { b.system.gap = gap_times{2, 1200, 3, 4000, 1, 0, 0}; },
         severity::fail, "4000 us"},
        {"a busy system is no broken platform", "VRT-06",
         [](box& b) {
             b.system.gap = gap_times{2, 1200, 9, 22, 1, 5, 20000};
             b.system.file("/proc/loadavg", "9.00 1 1");
         },
         severity::warn, "5 in which another thread of this system ran, the longest 20000 us (load 9.00)"},
        {"no CPU", "VRT-06", [](box& b) { b.system.gap = gap_times{}; }, severity::unknown, "no CPU"},
        {"not possible", "VRT-06", [](box&) {}, severity::unknown, "cannot be asked"},
        {"quick", "VRT-07", [](box& b) { b.system.wake = took(5000); }, severity::ok, "p50 5 us"},
        {"slow", "VRT-07", [](box& b) { b.system.wake = took(50000); }, severity::warn, "p50 50 us"},
        {"not possible", "VRT-07", [](box&) {}, severity::unknown, "cannot be asked"},
    });
}

TEST_CASE("VRT-08: confidential guests", "[measure][doctor]") {
    hold({
        {"an ordinary guest", "VRT-08", [](box& b) { b.vm(); }, severity::ok, "no flag"},
        {"metal that could host some", "VRT-08", [](box& b) { b.metal(); }, severity::ok, "no hypervisor"},
        {"TDX by its flag", "VRT-08",
         [](box& b) {
             b.vm();
             b.system.file("/proc/cpuinfo", "flags : fpu hypervisor tdx_guest");
         },
         severity::warn, "tdx_guest"},
        {"TDX by CPUID", "VRT-08",
         [](box& b) {
             b.vm();
             b.system.leaf(0x21, {0, 0x65746e49, 0x20202020, 0x5844546c});
         },
         severity::warn, "IntelTDX"},
        {"SEV by its device", "VRT-08",
         [](box& b) {
             b.vm();
             b.system.file("/dev/sev-guest", "");
         },
         severity::warn, "/dev/sev-guest"},
        {"SEV by its flag", "VRT-08",
         [](box& b) {
             b.vm();
             b.system.file("/proc/cpuinfo", "flags : hypervisor sev sev_snp");
         },
         severity::warn, "sev_snp"},
        {"a guest without /proc", "VRT-08", [](box& b) { b.system.hypervisor_bit(true); }, severity::unknown,
         "cannot be read"},
        {"nothing", "VRT-08", [](box&) {}, severity::unknown, "cannot be read"},
    });
}

TEST_CASE("VRT-09 and VRT-10: virtual GPUs and gVisor", "[measure][doctor]") {
    hold({
        {"a whole GPU", "VRT-09", [](box& b) { b.gpu(0x13, 0); }, severity::ok, "H100"},
        {"a name that ends like a profile and is none", "VRT-09",
         [](box& b) { b.gpu(0x13, 0, "NVIDIA A100-SXM4-40GB"); }, severity::ok, "A100"},
        {"a profile", "VRT-09", [](box& b) { b.gpu(0x13, 0, "NVIDIA A40-48Q"); }, severity::warn, "A40-48Q"},
        {"the driver's word comes first", "VRT-09",
         [](box& b) {
             b.gpu(0x13, 0);
             b.system.file("/proc/driver/nvidia/gpus/0000:13:00.0/information",
                           "Model: \t\t GRID A100-10C\nIRQ:   \t\t 1\n");
         },
         severity::warn, "GRID A100-10C"},
        {"no name", "VRT-09", [](box& b) { b.gpu(0x13, 0, ""); }, severity::unknown, "not known"},
        {"no GPU", "VRT-09", [](box&) {}, severity::unknown, "no GPU"},
        {"Linux", "VRT-10",
         [](box& b) {
             b.system.file("/proc/version", "Linux version 6.8.0");
             b.system.call = took(100);
         },
         severity::ok, "100 ns"},
        {"a busy machine is no sandbox", "VRT-10",
         [](box& b) { b.system.call = probe_times{100000, 5000, 100, 200, 90000, 900000}; }, severity::ok, "100 ns"},
        {"gVisor", "VRT-10",
         [](box& b) {
             b.system.file("/proc/version", "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016");
             b.system.call = took(600);
         },
         severity::warn, "4.4.0"},
        {"a sandbox that hides its name", "VRT-10",
         [](box& b) {
             b.system.file("/proc/version", "Linux version 6.8.0");
             b.system.call = took(2500);
         },
         severity::warn, "2500 ns"},
        {"a version alone proves nothing", "VRT-10",
         [](box& b) { b.system.file("/proc/version", "Linux version 6.8.0"); }, severity::unknown, "no system call"},
        {"nothing", "VRT-10", [](box&) {}, severity::unknown, "is not there"},
    });
}

void pcie(box& b, const char* speed, const char* width, const char* port_speed = "32.0 GT/s PCIe") {
    b.metal();
    b.gpu(0x13, 0);
    const std::string at = b.device(0x13);
    b.system.file(at + "/current_link_speed", speed);
    b.system.file(at + "/current_link_width", width);
    b.system.file(at + "/max_link_speed", "32.0 GT/s PCIe");
    b.system.file(at + "/max_link_width", "16");
    b.system.file("/sys/devices/pci0000:10/0000:10:01.0/max_link_speed", port_speed);
    b.system.file("/sys/devices/pci0000:10/0000:10:01.0/max_link_width", "16");
}

TEST_CASE("PCI-01 to PCI-03: the link, as /sys tells it on metal", "[measure][doctor]") {
    hold({
        {"full speed", "PCI-01", [](box& b) { pcie(b, "32.0 GT/s PCIe", "16"); }, severity::ok, "Gen5 of Gen5"},
        {"as fast as the port", "PCI-01", [](box& b) { pcie(b, "16.0 GT/s PCIe", "16", "16.0 GT/s PCIe"); },
         severity::ok, "Gen4 of Gen4"},
        {"an idle link proves nothing", "PCI-01", [](box& b) { pcie(b, "2.5 GT/s PCIe", "16"); }, severity::unknown,
         "Gen1 of Gen5 while idle"},
        {"not told", "PCI-01", [](box& b) { pcie(b, "Unknown", "16"); }, severity::unknown, "does not tell"},
        {"a guest's is not judged", "PCI-01",
         [](box& b) {
             pcie(b, "2.5 GT/s PCIe", "1");
             b.vm();
         },
         severity::unknown, "may invent"},
        {"nor one where nothing is known", "PCI-01", [](box& b) { b.gpu(0x13, 0); }, severity::unknown, "is not known"},
        {"no /sys", "PCI-01",
         [](box& b) {
             b.metal();
             b.gpu(0x13, 0);
         },
         severity::unknown, "is not there"},
        {"no GPU", "PCI-01", [](box& b) { b.metal(); }, severity::unknown, "no GPU"},
        {"all lanes", "PCI-02", [](box& b) { pcie(b, "2.5 GT/s PCIe", "16"); }, severity::ok, "x16 of x16"},
        {"half of them", "PCI-02", [](box& b) { pcie(b, "2.5 GT/s PCIe", "8"); }, severity::warn, "x8 of x16"},
        {"255 is unknown", "PCI-02", [](box& b) { pcie(b, "2.5 GT/s PCIe", "255"); }, severity::unknown, "width"},
        {"a guest", "PCI-02",
         [](box& b) {
             pcie(b, "2.5 GT/s PCIe", "1");
             b.vm();
         },
         severity::unknown, "may invent"},
        {"idle", "PCI-03", [](box& b) { pcie(b, "2.5 GT/s PCIe", "16"); }, severity::info, "Gen1 x16 now"},
        {"a guest", "PCI-03",
         [](box& b) {
             pcie(b, "2.5 GT/s PCIe", "1");
             b.vm();
         },
         severity::unknown, "may invent"},
    });
    box copying; // the same readings while bytes move are verdicts
    pcie(copying, "5.0 GT/s PCIe", "8");
    const result<pcie_reading> link = read_pcie_link(copying.system.view(), copying.m.nodes[0]);
    REQUIRE(link);
    const finding generation = judge_pcie_generation(*link, "gpu:0", true);
    CHECK(generation.level == severity::fail);
    CHECK(generation.evidence.find("Gen2 of Gen5 while copying") != std::string::npos);
    CHECK(generation.cost.find("3.15 of 27.") != std::string::npos); // 6.3 GB/s, half the lanes
    CHECK(judge_pcie_width(*link, "gpu:0", true).level == severity::fail);
    check_shape(generation);
}

TEST_CASE("PCI-07: BAR1", "[measure][doctor]") {
    constexpr const char* large = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
                                  "0x000020f000000000 0x000020f003ffffff 0x000000000014220c\n"
                                  "0x0000200000000000 0x0000201fffffffff 0x000000000014220c\n";
    static const char* text;
    text = large;
    hold({
        {"the whole memory", "PCI-07",
         [](box& b) {
             b.gpu(0x13, 0);
             b.system.file(b.device(0x13) + "/resource", text);
         },
         severity::ok, "128 GiB prefetchable of 80 GiB"},
        {"256 MiB", "PCI-07",
         [](box& b) {
             b.gpu(0x13, 0);
             b.system.file(b.device(0x13) + "/resource",
                           "0x00000000a0000000 0x00000000afffffff 0x000000000014220c\n"
                           "0x0000200000000000 0x0000201fffffffff 0x0000000000040200\n"); // large, not prefetchable
         },
         severity::warn, "256 MiB prefetchable"},
        {"some GiB", "PCI-07",
         [](box& b) {
             b.gpu(0x13, 0);
             b.system.file(b.device(0x13) + "/resource", "0x2000000000 0x23ffffffff 0x14220c\n");
         },
         severity::info, "16 GiB"},
        {"nothing assigned", "PCI-07",
         [](box& b) {
             b.gpu(0x13, 0);
             b.system.file(b.device(0x13) + "/resource", "0x0 0x0 0x0\n");
         },
         severity::unknown, "no prefetchable"},
        {"no /sys", "PCI-07", [](box& b) { b.gpu(0x13, 0); }, severity::unknown, "is not there"},
    });
}

void iommu(box& b, const char* type) {
    b.gpu(0x13, 0);
    const std::string at = b.device(0x13);
    b.system.link("/sys/bus/pci/devices/0000:13:00.0/iommu_group", "/sys/kernel/iommu_groups/7");
    b.system.link(at + "/iommu_group", "/sys/kernel/iommu_groups/7");
    b.system.file("/sys/kernel/iommu_groups/7/type", type);
    b.system.file("/proc/cmdline", "quiet iommu=pt ro");
}

TEST_CASE("IOM-01: the IOMMU", "[measure][doctor]") {
    hold({
        {"identity", "IOM-01",
         [](box& b) {
             b.metal();
             iommu(b, "identity");
         },
         severity::ok, "/sys/kernel/iommu_groups/7/type is identity; the kernel's command line has iommu=pt"},
        {"lazy", "IOM-01",
         [](box& b) {
             b.metal();
             iommu(b, "DMA-FQ");
         },
         severity::warn, "DMA-FQ"},
        {"strict on metal", "IOM-01",
         [](box& b) {
             b.metal();
             iommu(b, "DMA");
         },
         severity::fail, "is DMA;"},
        {"strict in a guest: the guest's own", "IOM-01",
         [](box& b) {
             b.vm();
             iommu(b, "DMA");
         },
         severity::warn, "DMA"},
        {"identity in a guest says nothing of the host", "IOM-01",
         [](box& b) {
             b.vm();
             iommu(b, "identity");
         },
         severity::unknown, "host's IOMMU"},
        {"no groups on metal", "IOM-01",
         [](box& b) {
             b.metal();
             b.gpu(0x13, 0);
             b.device(0x13);
             b.system.folder("/sys/kernel/iommu_groups");
         },
         severity::ok, "is empty"},
        {"no groups in a guest", "IOM-01",
         [](box& b) {
             b.vm();
             b.gpu(0x13, 0);
             b.device(0x13);
             b.system.folder("/sys/kernel/iommu_groups");
         },
         severity::unknown, "host's IOMMU"},
        {"a type of the future", "IOM-01",
         [](box& b) {
             b.metal();
             iommu(b, "novel");
         },
         severity::unknown, "novel"},
        {"no /sys on metal is not 'off'", "IOM-01",
         [](box& b) {
             b.metal();
             b.gpu(0x13, 0);
         },
         severity::unknown, "is not there"},
        {"an empty /sys neither", "IOM-01",
         [](box& b) {
             b.metal();
             b.gpu(0x13, 0);
             b.system.folder("/sys/kernel/iommu_groups");
         },
         severity::unknown, "is not there"},
    });
}

TEST_CASE("TOP-01: whose tree it is", "[measure][doctor]") {
    hold({
        {"real", "TOP-01",
         [](box& b) {
             b.gpu(0x13, 0);
             b.system.file(b.device(0x13) + "/numa_node", "1");
         },
         severity::ok, "real: 1 port"},
        {"flat", "TOP-01",
         [](box& b) {
             b.gpu(0x13, -1);
             b.system.file(b.device(0x13, "") + "/numa_node", "-1");
         },
         severity::warn, "flat: on a root bus"},
        {"QEMU's port is none", "TOP-01",
         [](box& b) {
             b.gpu(0x13, 0);
             b.system.file(b.device(0x13) + "/numa_node", "0");
             b.system.file("/sys/devices/pci0000:10/0000:10:01.0/vendor", "0x1b36");
             b.system.file("/sys/devices/pci0000:10/0000:10:01.0/device", "0x000c");
         },
         severity::warn, "partial: 1 port above it, 1 emulated, numa_node 0"},
        {"no node, but there is only one", "TOP-01",
         [](box& b) {
             b.gpu(0x13, -1);
             b.system.file(b.device(0x13) + "/numa_node", "-1");
             b.system.file("/sys/devices/system/node/online", "0");
         },
         severity::ok, "partial: 1 port"},
        {"no /sys", "TOP-01", [](box& b) { b.gpu(0x13, 0); }, severity::unknown, "is not there"},
    });
}

TEST_CASE("NUM-01 to NUM-03: nodes", "[measure][doctor]") {
    hold({
        {"near", "NUM-01",
         [](box& b) {
             b.gpu(0x13, 1);
             b.system.cpus = {0, 1, 32};
             b.system.file("/sys/devices/system/node/node1/cpulist", "32-63");
         },
         severity::ok, "1 of the 32 CPUs of node 1"},
        {"none near", "NUM-01",
         [](box& b) {
             b.gpu(0x13, 1);
             b.system.cpus = {0, 1};
             b.system.file("/sys/devices/system/node/node1/cpulist", "32-63");
         },
         severity::fail, "0 of the 32 CPUs"},
        {"unknown node", "NUM-01",
         [](box& b) {
             b.gpu(0x13, -1);
             b.system.cpus = {0};
         },
         severity::unknown, "not known"},
        {"no affinity", "NUM-01", [](box& b) { b.gpu(0x13, 0); }, severity::unknown, "affinity"},
        {"no list", "NUM-01",
         [](box& b) {
             b.gpu(0x13, 0);
             b.system.cpus = {0};
         },
         severity::unknown, "is not there"},
        {"placed", "NUM-02",
         [](box& b) {
             b.gpu(0x13, 1);
             b.system.file("/sys/devices/system/node/online", "0-1");
         },
         severity::ok, "node 1 on a machine of 2 nodes"},
        {"not placed", "NUM-02",
         [](box& b) {
             b.gpu(0x13, -1);
             b.system.file("/sys/devices/system/node/online", "0-1");
         },
         severity::warn, "node -1 on a machine of 2 nodes"},
        {"nowhere else to be", "NUM-02",
         [](box& b) {
             b.gpu(0x13, -1);
             b.system.file("/sys/devices/system/node/online", "0");
         },
         severity::ok, "1 node"},
        {"no nodes", "NUM-02", [](box& b) { b.gpu(0x13, -1); }, severity::unknown, "is not there"},
        {"balancing off", "NUM-03", [](box& b) { b.system.file("/proc/sys/kernel/numa_balancing", "0"); }, severity::ok,
         "is 0"},
        {"balancing on", "NUM-03", [](box& b) { b.system.file("/proc/sys/kernel/numa_balancing", "1"); },
         severity::warn, "is 1"},
        {"on, with nothing to balance", "NUM-03",
         [](box& b) {
             b.system.file("/proc/sys/kernel/numa_balancing", "1");
             b.system.file("/sys/devices/system/node/online", "0");
         },
         severity::ok, "one node"},
        {"a kernel without", "NUM-03", [](box& b) { b.system.file("/proc/sys/kernel/osrelease", "6.8.0"); },
         severity::ok, "no automatic balancing"},
        {"no /proc", "NUM-03", [](box&) {}, severity::unknown, "is not there"},
        {"nonsense", "NUM-03", [](box& b) { b.system.file("/proc/sys/kernel/numa_balancing", "x"); }, severity::unknown,
         "no number"},
    });
}

TEST_CASE("CPU-01 and CPU-02: governor and sleep states", "[measure][doctor]") {
    hold({
        {"performance", "CPU-01",
         [](box& b) {
             b.system.cpus = {0, 1};
             b.system.file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance");
             b.system.file("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance");
         },
         severity::ok, "performance on 2 CPUs"},
        {"one is not", "CPU-01",
         [](box& b) {
             b.system.cpus = {0, 1};
             b.system.file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance");
             b.system.file("/sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave");
         },
         severity::warn, "performance on 1 CPU, powersave on 1 CPU"},
        {"a guest has none", "CPU-01",
         [](box& b) {
             b.vm();
             b.system.cpus = {0};
         },
         severity::unknown, "the host decides"},
        {"no affinity", "CPU-01", [](box&) {}, severity::unknown, "affinity"},
        {"shallow", "CPU-02",
         [](box& b) {
             b.system.cpus = {4};
             b.system.file("/sys/devices/system/cpu/cpu4/cpuidle/state0/latency", "0");
             b.system.file("/sys/devices/system/cpu/cpu4/cpuidle/state1/latency", "2");
             b.system.file("/sys/devices/system/cpu/cpu4/cpuidle/state1/name", "C1");
             b.system.file("/sys/devices/system/cpu/cpu4/cpuidle/state2/latency", "400");
             b.system.file("/sys/devices/system/cpu/cpu4/cpuidle/state2/disable", "1");
         },
         severity::ok, "C1, left in 2 us"},
        {"deep", "CPU-02",
         [](box& b) {
             b.system.cpus = {0};
             b.system.file("/sys/devices/system/cpu/cpu0/cpuidle/state3/latency", "170");
             b.system.file("/sys/devices/system/cpu/cpu0/cpuidle/state3/name", "C6");
             b.system.file("/sys/devices/system/cpu/cpu0/cpuidle/state3/disable", "0");
         },
         severity::warn, "C6, left in 170 us"},
        {"none enabled", "CPU-02",
         [](box& b) {
             b.system.cpus = {0};
             b.system.folder("/sys/devices/system/cpu/cpu0/cpuidle");
         },
         severity::unknown, "no state"},
        {"no /sys", "CPU-02", [](box& b) { b.system.cpus = {0}; }, severity::unknown, "is not there"},
    });
}

TEST_CASE("CPU-03: quotas", "[measure][doctor]") {
    hold({
        {"version 2, no limit", "CPU-03",
         [](box& b) {
             b.system.file("/proc/self/cgroup", "0::/user.slice/job");
             b.system.file("/sys/fs/cgroup/user.slice/job/cpu.max", "max 100000");
             b.system.file("/sys/fs/cgroup/user.slice/job/cpu.stat", "nr_periods 0\nnr_throttled 0");
         },
         severity::ok, "no limit"},
        {"a limit that has not hurt", "CPU-03",
         [](box& b) {
             b.system.file("/proc/self/cgroup", "0::/");
             b.system.file("/sys/fs/cgroup/cpu.max", "250000 100000");
             b.system.file("/sys/fs/cgroup/cpu.stat", "nr_periods 100\nnr_throttled 0");
         },
         severity::ok, "allows 2.5 CPUs; throttled in 0 of 100 periods"},
        {"throttled long ago", "CPU-03",
         [](box& b) {
             b.system.file("/proc/self/cgroup", "0::/");
             b.system.file("/sys/fs/cgroup/cpu.max", "250000 100000");
             b.system.file("/sys/fs/cgroup/cpu.stat", "nr_periods 1000\nnr_throttled 3");
         },
         severity::warn, "3 of 1000 periods, 0 during"},
        {"throttled while looked at", "CPU-03",
         [](box& b) {
             b.system.file("/proc/self/cgroup", "0::/");
             b.system.file("/sys/fs/cgroup/cpu.max", "250000 100000");
             b.system.file("/sys/fs/cgroup/cpu.stat",
                           {"nr_periods 1000\nnr_throttled 3", "nr_periods 1010\nnr_throttled 4"});
         },
         severity::fail, "1 during the run"},
        {"throttled often", "CPU-03",
         [](box& b) {
             b.system.file("/proc/self/cgroup", "0::/");
             b.system.file("/sys/fs/cgroup/cpu.max", "250000 100000");
             b.system.file("/sys/fs/cgroup/cpu.stat", "nr_periods 1000\nnr_throttled 30");
         },
         severity::fail, "30 of 1000"},
        {"the limit of a group above", "CPU-03",
         [](box& b) {
             b.system.file("/proc/self/cgroup", "0::/a/b");
             b.system.file("/sys/fs/cgroup/a/b/cpu.max", "max 100000");
             b.system.file("/sys/fs/cgroup/a/cpu.max", "50000 100000");
             b.system.file("/sys/fs/cgroup/a/cpu.stat", "nr_periods 9\nnr_throttled 9");
         },
         severity::fail, "/sys/fs/cgroup/a/cpu.max allows 0.5 CPUs"},
        {"version 1", "CPU-03",
         [](box& b) {
             b.system.file("/proc/self/cgroup", "4:cpu,cpuacct:/docker/x\n0::/");
             b.system.file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000"); // the container sees its own as the root
             b.system.file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
             b.system.file("/sys/fs/cgroup/cpu/cpu.stat", "nr_periods 4\nnr_throttled 0");
         },
         severity::ok, "allows 1.5 CPUs"},
        {"version 1, no limit", "CPU-03",
         [](box& b) {
             b.system.file("/proc/self/cgroup", "4:cpu:/");
             b.system.file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1");
         },
         severity::ok, "no limit"},
        {"the root group", "CPU-03",
         [](box& b) {
             b.system.file("/proc/self/cgroup", "0::/");
             b.system.file("/proc/self/stat", "77 (job) R 1");
             b.system.file("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io");
             b.system.file("/sys/fs/cgroup/cgroup.procs", "1\n77");
         },
         severity::ok, "up to the root"},
        {"a container that is shown its host's root", "CPU-03",
         [](box& b) {
             b.system.file("/proc/self/cgroup", "0::/");
             b.system.file("/proc/self/stat", "77 (job) R 1");
             b.system.file("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io");
             b.system.file("/sys/fs/cgroup/cgroup.procs", "1\n2");
         },
         severity::unknown, "no CPU limit"},
        {"a group without the controller", "CPU-03",
         [](box& b) {
             b.system.file("/proc/self/cgroup", "0::/a/b");
             b.system.file("/proc/self/stat", "77 (job) R 1");
             b.system.file("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io");
             b.system.file("/sys/fs/cgroup/a/b/cgroup.procs", "77");
         },
         severity::ok, "/sys/fs/cgroup/a/b up to the root"},
        {"groups are not mounted", "CPU-03", [](box& b) { b.system.file("/proc/self/cgroup", "0::/"); },
         severity::unknown, "no CPU limit"},
        {"no /proc", "CPU-03", [](box&) {}, severity::unknown, "is not there"},
    });
}

TEST_CASE("MEM-01 to MEM-05: host memory", "[measure][doctor]") {
    hold({
        {"unlimited", "MEM-01", [](box& b) { b.system.locked = system_view::unlimited; }, severity::ok, "unlimited"},
        {"Linux's default", "MEM-01", [](box& b) { b.system.locked = 8 * MiB; }, severity::warn, "8 MiB"},
        {"some", "MEM-01", [](box& b) { b.system.locked = 64 * GiB; }, severity::info, "64 GiB"},
        {"not told", "MEM-01", [](box&) {}, severity::unknown, "RLIMIT_MEMLOCK"},
        {"large", "MEM-02",
         [](box& b) {
             b.system.spaces["/dev/shm"] = {64 * GiB, 60 * GiB};
         },
         severity::ok, "64 GiB"},
        {"Docker's default", "MEM-02",
         [](box& b) {
             b.system.spaces["/dev/shm"] = {64 * MiB, 64 * MiB};
         },
         severity::warn, "64 MiB"},
        {"full", "MEM-02",
         [](box& b) {
             b.system.spaces["/dev/shm"] = {64 * GiB, 1 * MiB};
         },
         severity::warn, "1 MiB are free"},
        {"none", "MEM-02", [](box&) {}, severity::unknown, "/dev/shm is not there"},
        {"madvise", "MEM-04",
         [](box& b) { b.system.file("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never"); },
         severity::ok, "[madvise]"},
        {"never", "MEM-04",
         [](box& b) { b.system.file("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]"); },
         severity::warn, "[never]"},
        {"never, but some are set aside", "MEM-04",
         [](box& b) {
             b.system.file("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]");
             b.system.file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "512");
         },
         severity::ok, "512 pages"},
        {"only the others are told, and there are none", "MEM-04",
         [](box& b) { b.system.file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0"); },
         severity::unknown, "is not there"},
        {"nonsense", "MEM-04", [](box& b) { b.system.file("/sys/kernel/mm/transparent_hugepage/enabled", "maybe"); },
         severity::unknown, "not understood"},
        {"no /sys", "MEM-04", [](box&) {}, severity::unknown, "is not there"},
        {"allowed", "MEM-05", [](box& b) { b.system.bind_errno = 0; }, severity::ok, "allowed"},
        {"Docker's seccomp", "MEM-05", [](box& b) { b.system.bind_errno = EPERM; }, severity::warn, "not permitted"},
        {"where it does not matter", "MEM-05",
         [](box& b) {
             b.system.bind_errno = EPERM;
             b.system.file("/sys/devices/system/node/online", "0");
         },
         severity::info, "one node"},
        {"a kernel without", "MEM-05", [](box& b) { b.system.bind_errno = ENOSYS; }, severity::unknown, "mbind"},
    });
}

void driver(box& b, const char* flavour) {
    b.system.file("/proc/driver/nvidia/version", {"NVRM version: NVIDIA UNIX " + std::string(flavour) +
                                                  "  580.95.05  Release Build\nGCC version: gcc 12.2.0"});
}

TEST_CASE("DRV-01 to DRV-05: the driver", "[measure][doctor]") {
    hold({
        {"open", "DRV-01", [](box& b) { driver(b, "Open Kernel Module for x86_64"); }, severity::ok,
         "open kernel module 580.95.05"},
        {"proprietary", "DRV-01", [](box& b) { driver(b, "x86_64 Kernel Module"); }, severity::info,
         "proprietary kernel module 580.95.05"},
        {"nonsense", "DRV-01", [](box& b) { b.system.file("/proc/driver/nvidia/version", "?"); }, severity::unknown,
         "not understood"},
        {"none", "DRV-01", [](box&) {}, severity::unknown, "is not there"},
        {"as shipped", "DRV-02",
         [](box& b) {
             b.system.file("/proc/driver/nvidia/params",
                           "EnableMSI: 1\nDmaRemapPeerMmio: 1\nNvLinkDisable: 0\nRegistryDwords: \"\"");
         },
         severity::ok, "nothing is switched off"},
        {"NVLink off", "DRV-02",
         [](box& b) { b.system.file("/proc/driver/nvidia/params", "EnableMSI: 1\nNvLinkDisable: 1"); }, severity::fail,
         "NVLink is off"},
        {"remapping off", "DRV-02", [](box& b) { b.system.file("/proc/driver/nvidia/params", "DmaRemapPeerMmio: 0"); },
         severity::warn, "DmaRemapPeerMmio"},
        {"interrupts", "DRV-02", [](box& b) { b.system.file("/proc/driver/nvidia/params", "EnableMSI: 0"); },
         severity::warn, "EnableMSI"},
        {"keys of one's own", "DRV-02",
         [](box& b) { b.system.file("/proc/driver/nvidia/params", "RegistryDwords: \"ForceP2P=17\""); }, severity::info,
         "ForceP2P=17"},
        {"of another driver", "DRV-02", [](box& b) { b.system.file("/proc/driver/nvidia/params", "Some: 1"); },
         severity::unknown, "none of the parameters"},
        {"none", "DRV-02", [](box&) {}, severity::unknown, "is not there"},
        {"helpers", "DRV-03",
         [](box& b) {
             b.system.folder("/sys/module/nvidia_peermem");
             b.system.folder("/sys/module");
         },
         severity::info, "nvidia_peermem loaded"},
        {"no helpers", "DRV-03",
         [](box& b) {
             b.system.folder("/sys/module/ext4");
             b.system.folder("/sys/module");
         },
         severity::info, "none of nvidia_peermem"},
        {"an empty folder is a masked one", "DRV-03", [](box& b) { b.system.folder("/sys/module"); }, severity::unknown,
         "is empty"},
        {"none", "DRV-03", [](box&) {}, severity::unknown, "is not there"},
        {"one version", "DRV-05",
         [](box& b) {
             driver(b, "Open Kernel Module for x86_64");
             b.system.link("/usr/lib64/libcuda.so.1", "/usr/lib64/libcuda.so.580.95.05");
             b.system.file("/usr/lib64/libcuda.so.580.95.05", "");
         },
         severity::ok, "580.95.05"},
        {"forward compatibility", "DRV-05",
         [](box& b) {
             driver(b, "Open Kernel Module for x86_64");
             b.system.variable("LD_LIBRARY_PATH", "/nothing:/usr/local/cuda/compat");
             b.system.link("/usr/local/cuda/compat/libcuda.so.1", "/usr/local/cuda/compat/libcuda.so.590.10");
             b.system.file("/usr/local/cuda/compat/libcuda.so.590.10", "");
             b.system.file("/usr/lib64/libcuda.so.580.95.05", "");
         },
         severity::warn, "590.10 with kernel module 580.95.05"},
        {"no library", "DRV-05", [](box& b) { driver(b, "Open Kernel Module for x86_64"); }, severity::unknown,
         "was not found"},
        {"a library without a version", "DRV-05",
         [](box& b) {
             driver(b, "Open Kernel Module for x86_64");
             b.system.file("/usr/lib64/libcuda.so.1", "");
         },
         severity::unknown, "cannot be compared"},
        {"no module", "DRV-05", [](box&) {}, severity::unknown, "is not there"},
    });
}

TEST_CASE("GPU-01: MIG and MPS", "[measure][doctor]") {
    hold({
        {"whole GPUs", "GPU-01", [](box& b) { b.system.file("/proc/driver/nvidia/capabilities/gpu0/mig/x", ""); },
         severity::ok, "no MIG instance"},
        {"an instance", "GPU-01",
         [](box& b) { b.system.file("/proc/driver/nvidia/capabilities/gpu0/mig/gi3/access", ""); }, severity::warn,
         "1 instance"},
        {"chosen by variable", "GPU-01", [](box& b) { b.system.variable("CUDA_VISIBLE_DEVICES", "MIG-1234"); },
         severity::warn, "MIG instance"},
        {"MPS by variable", "GPU-01", [](box& b) { b.system.variable("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "50"); },
         severity::warn, "=50"},
        {"MPS by its pipe", "GPU-01", [](box& b) { b.system.file("/tmp/nvidia-mps/control", ""); }, severity::warn,
         "MPS server"},
        {"nothing listed", "GPU-01", [](box& b) { b.system.folder("/proc/driver/nvidia/capabilities"); },
         severity::unknown, "no GPU"},
        {"no driver", "GPU-01", [](box&) {}, severity::unknown, "is not there"},
    });
}

TEST_CASE("ENV-01 and ENV-02: variables", "[measure][doctor]") {
    hold({
        {"nothing set", "ENV-01",
         [](box& b) {
             b.gpu(0x13, 0);
             b.gpu(0x14, 0);
         },
         severity::ok, "is not set"},
        {"models differ", "ENV-01",
         [](box& b) {
             b.gpu(0x13, 0);
             b.gpu(0x14, 0, "NVIDIA L40S");
         },
         severity::warn, "different models"},
        {"models differ, in PCI order", "ENV-01",
         [](box& b) {
             b.gpu(0x13, 0);
             b.gpu(0x14, 0, "NVIDIA L40S");
             b.system.variable("CUDA_DEVICE_ORDER", "PCI_BUS_ID");
         },
         severity::ok, "PCI_BUS_ID"},
        {"some hidden", "ENV-01", [](box& b) { b.system.variable("CUDA_VISIBLE_DEVICES", "1,0"); }, severity::info,
         "1,0"},
        {"all hidden", "ENV-01", [](box& b) { b.system.variable("CUDA_VISIBLE_DEVICES", ""); }, severity::warn,
         "no GPU is visible"},
        {"not readable", "ENV-01", [](box& b) { b.system.variables_readable = false; }, severity::unknown, "variables"},
        {"nothing set", "ENV-02", [](box&) {}, severity::ok, "none of"},
        {"set to nothing", "ENV-02", [](box& b) { b.system.variable("CUDA_LAUNCH_BLOCKING", "0"); }, severity::ok,
         "none of"},
        {"blocking", "ENV-02", [](box& b) { b.system.variable("CUDA_LAUNCH_BLOCKING", "1"); }, severity::fail,
         "CUDA_LAUNCH_BLOCKING=1"},
        {"no peer access for NCCL", "ENV-02", [](box& b) { b.system.variable("NCCL_P2P_DISABLE", "1"); },
         severity::warn, "NCCL_P2P_DISABLE=1"},
        {"a value that is judged by what it is", "ENV-02",
         [](box& b) { b.system.variable("CUDA_DEVICE_MAX_CONNECTIONS", "32"); }, severity::ok, "none of"},
        {"not readable", "ENV-02", [](box& b) { b.system.variables_readable = false; }, severity::unknown, "variables"},
    });
    box both;
    both.system.variable("CUDA_LAUNCH_BLOCKING", "1");
    both.system.variable("NCCL_P2P_LEVEL", "LOC");
    const findings found = both.run("ENV-02");
    REQUIRE(found.size() == 2);
    CHECK(found[0].object == "CUDA_LAUNCH_BLOCKING");
    CHECK(found[1].object == "NCCL_P2P_LEVEL");
}

TEST_CASE("where nothing can be read, nothing is ok", "[measure][doctor]") {
    for (const bool denied : {false, true}) {
        box masked;
        masked.gpu(0x13, 0);
        masked.gpu(0x14, -1);
        masked.system.variables_readable = false;
        if (denied)
            for (const char* each : {"/proc", "/sys", "/dev"}) masked.system.deny(each);
        const findings all = run_doctor(masked.system.view(), masked.m);
        std::set<std::string> ids;
        for (const finding& each : all) {
            INFO(each.id << ' ' << each.object << ": " << each.evidence);
            // The GPU's model came with the machine.
            if (each.id != "VRT-09") CHECK(each.level == severity::unknown);
            check_shape(each);
            ids.insert(each.id);
        }
        CHECK(ids.size() == std::size(host_checks));
        CHECK(exit_status(all) == 0);
    }
    box empty; // folders that are there and have nothing in them: tmpfs over /proc and /sys
    empty.gpu(0x13, 0, "");
    for (const char* each : {"/proc", "/sys", "/dev"}) empty.system.folder(each);
    empty.system.variables_readable = false;
    for (const finding& each : run_doctor(empty.system.view(), empty.m)) {
        INFO(each.id << ": " << each.evidence);
        CHECK(each.level == severity::unknown);
    }
}

findings throws(const doctor_scene&) {
    throw std::runtime_error("the check slipped");
}
findings finds_nothing(const doctor_scene&) {
    return {};
}
finding made(const char* id, severity level, const char* object = "") {
    finding f = finding_of(id, object);
    f.level = level;
    return f;
}

TEST_CASE("a check that fails is unknown, and so is one without a word", "[measure][doctor]") {
    const box there;
    const doctor_scene scene(there.system.view(), there.m);
    const findings slipped = run_check("VRT-06", throws, scene);
    REQUIRE(slipped.size() == 1);
    CHECK(slipped[0].level == severity::unknown);
    CHECK(slipped[0].evidence == "the check failed: the check slipped");
    CHECK(slipped[0].title == "jitter");
    const findings silent = run_check("VRT-06", finds_nothing, scene);
    REQUIRE(silent.size() == 1);
    CHECK(silent[0].level == severity::unknown);
}

TEST_CASE("worst first, exit statuses, and what runs", "[measure][doctor]") {
    findings all{made("ENV-02", severity::ok),
                 made("VRT-01", severity::info),
                 made("MEM-01", severity::unknown),
                 made("PCI-02", severity::warn, "gpu:1"),
                 made("PCI-02", severity::warn, "gpu:0"),
                 made("VRT-05", severity::warn),
                 made("DRV-02", severity::fail)};
    sort_findings(all);
    std::string order;
    for (const finding& each : all) order += each.id + each.object + ' ';
    CHECK(order == "DRV-02 VRT-05 PCI-02gpu:0 PCI-02gpu:1 MEM-01 VRT-01 ENV-02 ");

    CHECK(exit_status({}) == 0);
    CHECK(exit_status(
              {made("MEM-01", severity::unknown), made("VRT-01", severity::info), made("ENV-02", severity::ok)}) == 0);
    CHECK(exit_status({made("MEM-01", severity::warn), made("VRT-01", severity::info)}) == 3);
    CHECK(exit_status({made("MEM-01", severity::warn), made("VRT-05", severity::fail)}) == 4);

    const box there;
    doctor_options only;
    only.only = {"ENV", "VRT-05"};
    only.skip = {"ENV-01"};
    order.clear();
    for (const finding& each : run_doctor(there.system.view(), there.m, only)) order += each.id + ' ';
    CHECK(order == "VRT-05 ENV-02 ");
    CHECK_FALSE(doctor_options{{"VRT-0"}, {}}.wants("VRT-05")); // a part of an id is no name
}

TEST_CASE("what GPUs say takes the place of what files could not", "[measure][doctor]") {
    const findings host{made("PCI-01", severity::unknown, "gpu:0"), made("PCI-01", severity::unknown, "gpu:1"),
                        made("VRT-07", severity::ok, "futex")};
    const findings gpus{made("PCI-01", severity::fail, "gpu:0"), made("VRT-07", severity::warn, "gpu:0")};
    const findings joined = join_findings(host, gpus);
    std::string order;
    for (const finding& each : joined) order += each.id + '/' + each.object + '/' + to_string(each.level) + ' ';
    CHECK(order == "PCI-01/gpu:0/fail VRT-07/gpu:0/warn PCI-01/gpu:1/unknown VRT-07/futex/ok ");
}

TEST_CASE("one finding may speak for several GPUs", "[measure][doctor]") {
    const findings host{made("PCI-02", severity::unknown, "gpu:1"), made("PCI-02", severity::unknown, "gpu:4"),
                        made("PCI-01", severity::unknown, "gpu:3"), made("PCI-01", severity::unknown, "gpu:8"),
                        made("IOM-01", severity::unknown, "gpu:0"), made("NUM-01", severity::unknown, "gpu:1")};
    const findings gpus{made("PCI-02", severity::ok, "gpu:0, gpu:1, gpu:2"),
                        made("PCI-01", severity::ok, "gpu:0, ..., gpu:7 (8)"),
                        made("IOM-01", severity::unknown, "gpu:0"), made("IOM-01", severity::info, "gpu:0"),
                        made("NUM-01", severity::unknown, "gpu:0, gpu:1")};
    std::string order;
    for (const finding& each : join_findings(host, gpus))
        order += each.id + '/' + each.object + '/' + to_string(each.level) + ' ';
    CHECK(order == "PCI-01/gpu:8/unknown PCI-02/gpu:4/unknown IOM-01/gpu:0/unknown NUM-01/gpu:0, gpu:1/unknown "
                   "IOM-01/gpu:0/info PCI-01/gpu:0, ..., gpu:7 (8)/ok PCI-02/gpu:0, gpu:1, gpu:2/ok ");
}

TEST_CASE("ids are unique and known", "[measure][doctor]") {
    std::set<std::string> ids;
    for (const check_name& each : check_names) CHECK(ids.insert(each.id).second);
    CHECK(ids.size() == 48);
    std::set<std::string> run;
    for (const host_check& each : host_checks) {
        CHECK(run.insert(each.id).second);
        CHECK(ids.count(each.id) == 1);
    }
    CHECK(std::string(host_checks[0].id) == "VRT-05"); // a slow clock spoils every other timing
}

} // namespace doctor_test
