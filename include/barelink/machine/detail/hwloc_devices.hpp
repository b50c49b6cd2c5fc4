// The PCI tree of an hwloc topology: ports folded into switches, devices told apart, NVLinks from its matrices.
#pragma once

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/detail/hwloc_host.hpp>
#include <barelink/machine/detail/hwloc_topology.hpp>
#include <barelink/machine/detail/sketch.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Fills devices and NVLinks of a sketch.
class hwloc_devices {
public:
    hwloc_devices(hwloc_topology_t topology, const hwloc_host& host, machine_sketch& seen)
        : topology_(topology), host_(host), seen_(seen) {
        const hwloc_obj_t root = hwloc_get_root_obj(topology);
        seen_.platform = info_of(root, "PlatformModel");
        // Trees hang from whatever they are local to; every I/O object without an I/O parent starts one.
        for (hwloc_obj_t at = nullptr; (at = hwloc_get_next_bridge(topology, at));)
            if (!hwloc_obj_type_is_io(at->parent->type)) walk(at, {});
        for (hwloc_obj_t at = nullptr; (at = hwloc_get_next_pcidev(topology, at));)
            if (!hwloc_obj_type_is_io(at->parent->type)) walk(at, {});
        add_nvlinks();
    }

private:
    /// Where in the tree a walk is: below which device, and what the port just above reads.
    struct position {
        int parent = -1;
        link_reading port;
        bool below_root = false;
    };

    [[nodiscard]] static pci_address address(const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci) {
        return {pci.domain, pci.bus, pci.dev, pci.func, true};
    }
    [[nodiscard]] static link_reading reading(const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci) {
        return {pci.linkspeed > 0 && pci.linkspeed < 1e4f ? static_cast<double>(pci.linkspeed) : 0, 0, 0};
    }
    [[nodiscard]] static bool is_bridge(hwloc_obj_t object) { return object->type == HWLOC_OBJ_BRIDGE; }

    int add(node_kind kind, hwloc_obj_t object, const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci,
            const position& where) {
        const hwloc_host::place place = host_.place_of(object);
        sketched_device added;
        added.kind = kind;
        added.pci = address(pci);
        added.vendor = pci.vendor_id;
        added.device = pci.device_id;
        added.parent = where.parent;
        added.package = place.package;
        added.numa = place.numa;
        added.above = reading(pci);
        added.port = where.port;
        added.name = info_of(object, "PCIDevice");
        seen_.devices.push_back(std::move(added));
        objects_.push_back(object);
        return static_cast<int>(seen_.devices.size()) - 1;
    }

    void walk(hwloc_obj_t object, position where) {
        if (object->type == HWLOC_OBJ_PCI_DEVICE) return add_endpoint(object, where);
        if (!is_bridge(object)) return;
        const hwloc_obj_attr_u::hwloc_bridge_attr_s& bridge = object->attr->bridge;
        if (bridge.upstream_type != HWLOC_OBJ_BRIDGE_PCI) { // a host bridge is no port: nothing moves over it alone
            for (hwloc_obj_t at = object->io_first_child; at; at = at->next_sibling) walk(at, {});
            return;
        }
        const link_reading own = reading(bridge.upstream.pci);
        bool has_ports = false;
        for (hwloc_obj_t at = object->io_first_child; at; at = at->next_sibling) has_ports = has_ports || is_bridge(at);
        if (!where.below_root) {
            position below{add(node_kind::root_port, object, bridge.upstream.pci, where), own, true};
            for (hwloc_obj_t at = object->io_first_child; at; at = at->next_sibling) walk(at, below);
        } else if (has_ports) {
            walk_switch(object, where);
        } else { // a bridge for one bus: part of the way, not a place where ways part
            where.port = own;
            for (hwloc_obj_t at = object->io_first_child; at; at = at->next_sibling) walk(at, where);
        }
    }

    /// An upstream port and the downstream ports below it are one switch.
    void walk_switch(hwloc_obj_t upstream, const position& where) {
        const int added = add(node_kind::pcie_switch, upstream, upstream->attr->bridge.upstream.pci, where);
        for (hwloc_obj_t port = upstream->io_first_child; port; port = port->next_sibling) {
            if (!is_bridge(port)) {
                walk(port, {added, {}, true});
                continue;
            }
            const position below{added, reading(port->attr->bridge.upstream.pci), true};
            for (hwloc_obj_t at = port->io_first_child; at; at = at->next_sibling) walk(at, below);
        }
    }

    void add_endpoint(hwloc_obj_t object, const position& where) {
        const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci = object->attr->pcidev;
        const unsigned base = pci.class_id >> 8;
        const bool nvswitch = (object->subtype && std::strcmp(object->subtype, "NVSwitch") == 0) ||
                              (pci.vendor_id == nvidia_vendor && pci.class_id == 0x0680);
        if (nvswitch) {
            add(node_kind::nvswitch, object, pci, where);
        } else if (is_gpu(pci)) {
            add_gpu(object, where);
        } else if (base == 0x02 || pci.class_id == 0x0c06 || os_device(object, HWLOC_OBJ_OSDEV_OPENFABRICS)) {
            add_named(node_kind::nic, object, where);
        } else if (pci.class_id == 0x0108 || (base == 0x01 && os_device(object, HWLOC_OBJ_OSDEV_BLOCK))) {
            add_named(node_kind::disk, object, where);
        }
    }

    /// Display controllers and accelerators of the three makers of compute GPUs, less what they made before that. A
    /// blank vendor is a GPU on POWER, whose firmware hides it.
    [[nodiscard]] bool is_gpu(const hwloc_obj_attr_u::hwloc_pcidev_attr_s& pci) const {
        const unsigned base = pci.class_id >> 8;
        if (base != 0x03 && base != 0x12) return false;
        if (pci.vendor_id == nvidia_vendor) return true;
        if (pci.vendor_id == amd_vendor) return pci.device_id >= 0x6600; // below: server displays such as ES1000
        if (pci.vendor_id == 0x8086) return pci.class_id == 0x0380;
        return pci.vendor_id == 0 && seen_.platform.find("PowerNV") != std::string::npos;
    }

    void add_gpu(hwloc_obj_t object, const position& where) {
        const int at = add(node_kind::gpu, object, object->attr->pcidev, where);
        sketched_device& gpu = seen_.devices[static_cast<std::size_t>(at)];
        gpu.cuda = gpu.vendor == nvidia_vendor;
        const gpu_model* known = find_gpu_model(gpu.vendor, gpu.device);
        if (known) gpu.name = known->name;
        for (hwloc_obj_t os = object->io_first_child; os; os = os->next_sibling) {
            if (os->type != HWLOC_OBJ_OS_DEVICE) continue;
            const bool driver = !os->subtype || std::strcmp(os->subtype, "OpenCL") != 0;
            if (*info_of(os, "GPUModel") && (driver || gpu.name.empty())) gpu.name = info_of(os, "GPUModel");
            for (const char* kib : {"CUDAGlobalMemorySize", "RSMIVRAMSize", "OpenCLGlobalMemorySize"})
                if (gpu.bytes == 0 && *info_of(os, kib)) gpu.bytes = std::strtoull(info_of(os, kib), nullptr, 10) << 10;
        }
        if (gpu.vendor != 0) return;
        gpu.cuda = true;
        // IBM's AC922 (8335-GTG and later) carries V100, the S822LC before it (8335-GTB) P100: nothing else was sold.
        const bool older = seen_.platform.find("8335-GTB") != std::string::npos;
        if (seen_.platform.find("8335-GT") != std::string::npos)
            gpu.name = older ? "Tesla P100-SXM2-16GB" : "Tesla V100-SXM2-16GB";
        seen_.note(to_string(gpu.pci), "its vendor and device read 0: taken for the " +
                                           (gpu.name.empty() ? std::string("NVIDIA GPU") : gpu.name) + " of a " +
                                           seen_.platform);
    }

    void add_named(node_kind kind, hwloc_obj_t object, const position& where) {
        const int at = add(kind, object, object->attr->pcidev, where);
        if (object->io_first_child && object->io_first_child->name)
            seen_.devices[static_cast<std::size_t>(at)].name = object->io_first_child->name;
    }

    [[nodiscard]] static bool os_device(hwloc_obj_t object, hwloc_obj_osdev_type_t type) {
        for (hwloc_obj_t os = object->io_first_child; os; os = os->next_sibling)
            if (os->type == HWLOC_OBJ_OS_DEVICE && os->attr->osdev.type == type) return true;
        return false;
    }

    [[nodiscard]] int device_at(hwloc_obj_t object) const {
        while (object && object->type == HWLOC_OBJ_OS_DEVICE) object = object->parent;
        for (std::size_t d = 0; d < objects_.size(); ++d)
            if (objects_[d] == object) return static_cast<int>(d);
        return -1;
    }

    void add_nvlinks();

    hwloc_topology_t topology_;
    const hwloc_host& host_;
    machine_sketch& seen_;
    std::vector<hwloc_obj_t> objects_; ///< of every device
};

/// `NVLinkBandwidth`: MB/s, the sum of a pair's links, with an artificial diagonal; GPUs, NVSwitches and POWER's
/// packages.
inline void hwloc_devices::add_nvlinks() {
    for (const char* amd : {"XGMIBandwidth", "XGMIHops"}) {
        unsigned count = 0;
        if (hwloc_distances_get_by_name(topology_, amd, &count, nullptr, 0) == 0 && count > 0)
            seen_.note(amd, "joins AMD GPUs, which CUDA cannot drive: not read as links");
    }
    hwloc_distances_s* matrix = nullptr;
    unsigned count = 1;
    if (hwloc_distances_get_by_name(topology_, "NVLinkBandwidth", &count, &matrix, 0) != 0 || count == 0 || !matrix)
        return;
    seen_.nvlinks_told = true;
    for (unsigned i = 0; i < matrix->nbobjs; ++i) {
        const int gpu = matrix->objs[i] ? device_at(matrix->objs[i]) : -1;
        if (gpu < 0 || seen_.devices[static_cast<std::size_t>(gpu)].kind != node_kind::gpu) continue;
        for (unsigned j = 0; j < matrix->nbobjs; ++j) {
            const hwloc_obj_t to = matrix->objs[j];
            const hwloc_uint64_t mb_s = matrix->values[i * matrix->nbobjs + j];
            if (i == j || mb_s == 0 || mb_s > 100000000 || !to) continue;
            sketched_nvlink added;
            added.gpu = gpu;
            added.nominal_gb_s = static_cast<double>(mb_s) / 1e3;
            if (to->type == HWLOC_OBJ_PACKAGE) {
                added.target = nvlink_target::package;
                added.to = host_.package_at(to);
            } else {
                added.to = device_at(to);
                if (added.to >= 0 && seen_.devices[static_cast<std::size_t>(added.to)].kind == node_kind::nvswitch)
                    added.target = nvlink_target::nvswitch;
                else if (added.to < 0 || seen_.devices[static_cast<std::size_t>(added.to)].kind != node_kind::gpu)
                    continue;
            }
            if (added.to >= 0) seen_.nvlinks.push_back(added);
        }
    }
    hwloc_distances_release(topology_, matrix);
}

} // namespace detail
BARELINK_END_NAMESPACE
