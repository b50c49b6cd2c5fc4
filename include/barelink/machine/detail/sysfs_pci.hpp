// NVIDIA's PCI devices and the ports above them from Linux's /sys, for programs without hwloc.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <dirent.h>

#include <barelink/machine/detail/sketch.hpp>
#include <barelink/machine/detail/sysfs_host.hpp>
#include <barelink/machine/pcie.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Fills GPUs, NVSwitches and the ports above them. A device's real path lists the bridges above it:
/// `/sys/devices/pci0000:10/0000:10:01.0/0000:11:00.0/0000:12:00.0/0000:13:00.0` is a root port, a switch's two ports
/// and the device. One bridge between a root port and a device is a part of the way. `root` as for `sysfs_host`, whose
/// memories must be there already.
class sysfs_pci {
public:
    sysfs_pci(std::string root, machine_sketch& seen)
        : devices_(std::move(root) + "/sys/bus/pci/devices/"), seen_(seen) {
        std::vector<std::string> names;
        if (DIR* folder = ::opendir(devices_.c_str())) {
            while (const dirent* entry = ::readdir(folder))
                if (entry->d_name[0] != '.' && names.size() < max_nodes) names.emplace_back(entry->d_name);
            ::closedir(folder);
        }
        std::sort(names.begin(), names.end());
        for (const std::string& each : names) add_endpoint(each);
    }

private:
    [[nodiscard]] static pci_address parsed(const std::string& name) {
        unsigned domain = 0, bus = 0, device = 0, function = 0;
        char more = 0;
        if (std::sscanf(name.c_str(), "%x:%x:%x.%x%c", &domain, &bus, &device, &function, &more) != 4) return {};
        return {domain, static_cast<std::uint8_t>(bus), static_cast<std::uint8_t>(device),
                static_cast<std::uint8_t>(function), true};
    }
    [[nodiscard]] long number(const std::string& name, const char* file, long otherwise) const {
        return number_in(devices_ + name + '/' + file, otherwise);
    }

    /// Generation and lanes of the link above a device, from `current_link_speed` ("32.0 GT/s PCIe") and its width.
    [[nodiscard]] link_reading reading(const std::string& name) const {
        link_reading read;
        const double gt_s = std::strtod(small_file(devices_ + name + "/current_link_speed", 64).c_str(), nullptr);
        for (const pcie_generation& each : pcie_generations)
            if (gt_s >= each.gt_s * 0.99) read.generation = each.number;
        read.lanes = static_cast<int>(number(name, "current_link_width", 0));
        if (read.lanes < 0 || read.lanes > 16) read.lanes = 0;
        return read;
    }

    void add_endpoint(const std::string& name) {
        if (number(name, "vendor", 0) != nvidia_vendor) return;
        const long pci_class = number(name, "class", 0) >> 8;
        const bool nvswitch = pci_class == 0x0680;
        if (!nvswitch && pci_class != 0x0300 && pci_class != 0x0302) return;
        std::vector<std::string> way;
        if (char* real = ::realpath((devices_ + name).c_str(), nullptr)) {
            std::string path = real;
            std::free(real);
            for (std::size_t slash; (slash = path.rfind('/')) != std::string::npos; path.resize(slash)) {
                std::string part = path.substr(slash + 1);
                if (!parsed(part).known) break;
                way.push_back(std::move(part));
            }
        }
        std::reverse(way.begin(), way.end()); // root port first, the device last
        int parent = -1;
        std::string port; // the port just above
        if (way.size() > 1) {
            parent = add(node_kind::root_port, way[0], -1, {});
            port = way[0];
        }
        for (std::size_t bridge = 1; bridge + 2 < way.size(); bridge += 2) {
            parent = add(node_kind::pcie_switch, way[bridge], parent, port);
            port = way[bridge + 1];
        }
        const int added = add(nvswitch ? node_kind::nvswitch : node_kind::gpu, name, parent, port);
        seen_.devices[static_cast<std::size_t>(added)].cuda = !nvswitch;
    }

    int add(node_kind kind, const std::string& name, int parent, const std::string& port) {
        sketched_device added;
        added.kind = kind;
        added.pci = parsed(name);
        for (std::size_t d = 0; d < seen_.devices.size(); ++d)
            if (seen_.devices[d].pci == added.pci) return static_cast<int>(d);
        added.vendor = static_cast<std::uint16_t>(number(name, "vendor", 0));
        added.device = static_cast<std::uint16_t>(number(name, "device", 0));
        added.parent = parent;
        added.above = reading(name);
        if (!port.empty()) added.port = reading(port);
        added.numa = static_cast<int>(number(name, "numa_node", -1));
        bool known = false;
        for (const sketched_memory& each : seen_.memories) {
            if (each.index != added.numa) continue;
            added.package = each.package;
            known = true;
        }
        if (!known) added.numa = -1;
        if (seen_.packages.size() == 1) added.package = 0;
        seen_.devices.push_back(std::move(added));
        return static_cast<int>(seen_.devices.size()) - 1;
    }

    std::string devices_;
    machine_sketch& seen_;
};

} // namespace detail
BARELINK_END_NAMESPACE
