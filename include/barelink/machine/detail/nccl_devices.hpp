// The PCI tree and the links of an NCCL or RCCL topology file.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <pugixml.hpp>

#include <barelink/machine/detail/nccl_host.hpp>
#include <barelink/machine/detail/sketch.hpp>
#include <barelink/machine/pcie.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// `0000:1b:00.0`, domains of up to eight digits; unknown when it is anything else.
[[nodiscard]] inline pci_address parse_busid(const char* text) noexcept {
    std::uint32_t parts[4] = {};
    constexpr std::uint32_t most[4] = {0xffffffff, 0xff, 0x1f, 7};
    constexpr char ends[4] = {':', ':', '.', '\0'};
    for (int p = 0; p < 4; ++p) {
        int digits = 0;
        std::uint64_t value = 0;
        for (; digits < 9; ++digits, ++text) {
            const char c = *text;
            if (c >= '0' && c <= '9')
                value = value * 16 + static_cast<std::uint64_t>(c - '0');
            else if (c >= 'a' && c <= 'f')
                value = value * 16 + static_cast<std::uint64_t>(c - 'a' + 10);
            else if (c >= 'A' && c <= 'F')
                value = value * 16 + static_cast<std::uint64_t>(c - 'A' + 10);
            else
                break;
        }
        if (digits == 0 || value > most[p] || *text != ends[p]) return {};
        parts[p] = static_cast<std::uint32_t>(value);
        text += p < 3;
    }
    return {parts[0], static_cast<std::uint8_t>(parts[1]), static_cast<std::uint8_t>(parts[2]),
            static_cast<std::uint8_t>(parts[3]), true};
}

/// `32.0 GT/s PCIe` and a width, of which either may be missing, empty or 0.
[[nodiscard]] inline link_reading parse_link(const char* speed, int lanes) noexcept {
    link_reading read;
    double gt_s = 0;
    for (double place = 0; (*speed >= '0' && *speed <= '9') || *speed == '.'; ++speed) {
        if (*speed == '.') {
            place = 1;
        } else {
            gt_s = place > 0 ? gt_s + (*speed - '0') * (place /= 10) : gt_s * 10 + (*speed - '0');
        }
    }
    if (gt_s <= 0 || gt_s > 1000) return read;
    for (const pcie_generation& each : pcie_generations)
        if (read.generation == 0 && gt_s <= each.gt_s * 1.01) read.generation = each.number;
    if (read.generation == 0) read.generation = 6;
    read.lanes = lanes >= 1 && lanes <= 32 ? lanes : 0;
    return read;
}

/// Walks the `<system>` of a file and fills a sketch.
class nccl_devices {
public:
    nccl_devices(pugi::xml_node system, machine_sketch& seen)
        : seen_(seen), rccl_(system.attribute("version").as_int() >= 2) {
        std::vector<nccl_cpu> cpus;
        for (const pugi::xml_node cpu : system.children("cpu")) cpus.push_back(parse_cpu(cpu));
        const std::vector<int> places = add_nccl_hosts(cpus, seen_);
        std::size_t at = 0;
        for (const pugi::xml_node cpu : system.children("cpu")) {
            for (const pugi::xml_node pci : cpu.children("pci")) add(pci, -1, places[at], cpus[at].numa);
            ++at;
        }
        add_links();
        note_oddities();
    }

private:
    [[nodiscard]] static nccl_cpu parse_cpu(pugi::xml_node element);
    [[nodiscard]] static unsigned hex(const char* text) noexcept {
        const unsigned long value = std::strtoul(text, nullptr, 16);
        return value > 0xffffff ? 0 : static_cast<unsigned>(value);
    }
    void add(pugi::xml_node element, int parent, int package, int numa);
    [[nodiscard]] node_kind kind_of(pugi::xml_node element, unsigned pci_class, bool& known) const;
    void describe_gpu(pugi::xml_node element, sketched_device& gpu) const;
    void add_links();
    void add_nvlink(int gpu, pugi::xml_node element);
    void note_oddities();
    void call_virtual(const char* sign) {
        if (sign_.empty()) sign_ = sign;
    }

    machine_sketch& seen_;
    bool rccl_;
    std::vector<pugi::xml_node> elements_; ///< of every device
    std::string sign_;                     ///< what gave a hypervisor away
    std::string invented_, classless_;
    std::size_t xgmi_ = 0;
};

inline nccl_cpu nccl_devices::parse_cpu(pugi::xml_node element) {
    nccl_cpu cpu;
    cpu.numa = element.attribute("numaid").as_int(-1);
    if (cpu.numa < 0 || cpu.numa > 4095) cpu.numa = -1;
    cpu.arch = element.attribute("arch").as_string();
    cpu.cpu.vendor = element.attribute("vendor").as_string();
    cpu.cpu.family = element.attribute("familyid").as_int();
    cpu.cpu.model = element.attribute("modelid").as_int();
    count_affinity(element.attribute("affinity").as_string(), cpu);
    if (cpu.arch.substr(0, 3) == "ppc") cpu.cpu.name = "POWER9";
    if (cpu.arch == "arm64" && element.find_node([](pugi::xml_node n) { return std::strcmp(n.name(), "c2c") == 0; }))
        cpu.cpu.name = "NVIDIA Grace";
    return cpu;
}

inline node_kind nccl_devices::kind_of(pugi::xml_node element, unsigned pci_class, bool& known) const {
    const unsigned base = pci_class >> 16;
    known = true;
    if (element.child("gpu")) return node_kind::gpu;
    if (pci_class >> 8 == 0x0604 || element.child("pci")) return node_kind::pcie_switch;
    if (base == 0x03 || base == 0x12) return node_kind::gpu;
    if (pci_class >> 8 == 0x0680) return node_kind::nvswitch;
    if (base == 0x01) return node_kind::disk;
    if (base == 0x02 || element.child("nic")) return node_kind::nic;
    known = false;
    return node_kind::nic;
}

inline void nccl_devices::add(pugi::xml_node element, int parent, int package, int numa) {
    if (seen_.devices.size() > max_nodes) return; // the assembler refuses it
    const unsigned pci_class = hex(element.attribute("class").as_string());
    const char* const busid = element.attribute("busid").as_string();
    bool known = false;
    sketched_device added;
    added.kind = kind_of(element, pci_class, known);
    added.pci = parse_busid(busid);
    added.parent = parent;
    added.package = package;
    added.numa = numa;
    added.vendor = static_cast<std::uint16_t>(hex(element.attribute("vendor").as_string()));
    added.device = static_cast<std::uint16_t>(hex(element.attribute("device").as_string()));
    if (added.vendor == 0xffff) added.vendor = added.device = 0;
    const pugi::xml_attribute speed = element.attribute("link_speed");
    added.above = parse_link(speed.as_string(), element.attribute("link_width").as_int());

    if (added.pci.known && added.pci.domain == 0xffff) {
        invented_ += (invented_.empty() ? "" : ",") + std::string(busid);
        added.pci = {};
        call_virtual("its switches have invented PCI ids");
    }
    if (!known) {
        if (pci_class != 0) return; // bridges of other kinds, processors: nothing that copies use
        classless_ += (classless_.empty() ? "" : ",") + std::string(busid);
        call_virtual("it is a hint file, which only virtual machines need");
    }
    if (added.kind == node_kind::gpu) {
        describe_gpu(element, added);
        if (added.pci.known && added.pci.bus == 0) call_virtual("its GPUs sit on bus 0");
    }
    if (added.vendor == 0x1ae0 || added.vendor == 0x1af4 || added.vendor == 0x1414)
        call_virtual("it has virtual devices");
    if (const pugi::xml_node net = element.child("nic").child("net")) added.name = net.attribute("name").as_string();

    const int at = static_cast<int>(seen_.devices.size());
    seen_.devices.push_back(std::move(added));
    elements_.push_back(element);
    for (const pugi::xml_node below : element.children("pci")) add(below, at, package, numa);
}

inline void nccl_devices::describe_gpu(pugi::xml_node element, sketched_device& gpu) const {
    const pugi::xml_node own = element.child("gpu");
    const bool amd =
        gpu.vendor == amd_vendor || own.attribute("gcn") || own.child("xgmi") || (gpu.vendor == 0 && rccl_);
    gpu.cuda = gpu.vendor == nvidia_vendor || (gpu.vendor == 0 && !amd);
    gpu.order = own.attribute("dev").as_int(0);
    gpu.sm = gpu.cuda ? own.attribute("sm").as_int() : 0;
    if (const gpu_model* model = find_gpu_model(gpu.vendor, gpu.device))
        gpu.name = model->name;
    else if (amd && own.attribute("gcn"))
        gpu.name = std::string("AMD ") + own.attribute("gcn").as_string();
}

inline void nccl_devices::add_links() {
    for (std::size_t d = 0; d < seen_.devices.size(); ++d) {
        if (seen_.devices[d].kind != node_kind::gpu) continue;
        const int gpu = static_cast<int>(d);
        const pugi::xml_node own = elements_[d].child("gpu");
        if (own) seen_.nvlinks_told = true; // NCCL saw the GPU itself, so it also saw whether it has NVLinks
        for (const pugi::xml_node link : own.children("nvlink")) add_nvlink(gpu, link);
        for (const pugi::xml_node link : own.children("c2c")) {
            const double mb_s = link.attribute("bw").as_double() * link.attribute("count").as_int(1);
            if (!(mb_s > 0 && mb_s < 1e8) || !seen_.devices[d].cuda) continue;
            sketched_nvlink added;
            added.gpu = gpu;
            added.target = nvlink_target::package;
            added.to = seen_.devices[d].package < 0 ? 0 : seen_.devices[d].package;
            added.nominal_gb_s = mb_s / 1e3;
            added.coherent_c2c = true;
            seen_.nvlinks.push_back(added);
        }
        for ([[maybe_unused]] const pugi::xml_node link : own.children("xgmi")) ++xgmi_;
    }
}

/// Classes of the far end are NCCL's: 0x0680 an NVSwitch (also where the target is a GPU behind one), 0x068001 a POWER
/// CPU.
inline void nccl_devices::add_nvlink(int gpu, pugi::xml_node element) {
    if (seen_.nvlinks.size() > 65536) return; // the assembler refuses it
    const int count = element.attribute("count").as_int(1);
    const unsigned far_class = hex(element.attribute("tclass").as_string());
    const char* const target = element.attribute("target").as_string();
    const pci_address to = parse_busid(target);
    sketched_nvlink added;
    added.gpu = gpu;
    added.links = count > 0 && count < 100000 ? count : 0;
    if (added.links == 0) {
        seen_.note(target, "is the target of '" + std::string(element.attribute("count").as_string()).substr(0, 40) +
                               "' NVLinks, which is not a count: ignored");
        return;
    }
    if (far_class == 0x068001) {
        added.target = nvlink_target::package;
        added.to = seen_.devices[static_cast<std::size_t>(gpu)].package < 0
                       ? 0
                       : seen_.devices[static_cast<std::size_t>(gpu)].package;
        seen_.nvlinks.push_back(added);
        return;
    }
    // Invisible switches are all called fffffff:ff:ff.0.
    bool is_switch = far_class >> 8 == 0x0680 || (to.known && to.domain > 0xffffff);
    for (std::size_t d = 0; to.known && d < seen_.devices.size() && added.to < 0; ++d)
        if (seen_.devices[d].pci == to) added.to = static_cast<int>(d);
    if (added.to >= 0 && seen_.devices[static_cast<std::size_t>(added.to)].kind == node_kind::nvswitch)
        is_switch = true;
    if (is_switch) {
        added.target = nvlink_target::nvswitch;
    } else if (added.to < 0 || seen_.devices[static_cast<std::size_t>(added.to)].kind != node_kind::gpu) {
        seen_.note(target, "is the target of NVLinks and no GPU of this file: ignored");
        return;
    }
    seen_.nvlinks.push_back(added);
}

inline void nccl_devices::note_oddities() {
    if (!sign_.empty()) {
        seen_.virtualized = true;
        seen_.note("machine", "seems to run under a hypervisor (" + sign_ +
                                  "): link speeds may be invented, and none is taken as a limit");
    }
    if (!invented_.empty()) seen_.note(invented_, "are invented PCI ids: the switches are kept, without an address");
    if (!classless_.empty())
        seen_.note(classless_,
                   "have no class, so nothing tells a GPU from a NIC: drawn as NICs until merged with a machine that "
                   "knows them");
    if (xgmi_ > 0)
        seen_.note("xgmi",
                   std::to_string(xgmi_) + " links between AMD GPUs, which CUDA cannot drive: not read as links");
}

} // namespace detail
BARELINK_END_NAMESPACE
