// The host's side of an hwloc topology: packages, NUMA nodes, and whether a hypervisor stands between.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <barelink/machine/detail/hwloc_topology.hpp>
#include <barelink/machine/detail/sketch.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Without the blanks that firmware pads names with.
[[nodiscard]] inline std::string trimmed(const char* chars) {
    std::string text = chars;
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
}

/// Fills packages and memories of a sketch, and says where an object of the topology lies among them.
class hwloc_host {
public:
    hwloc_host(hwloc_topology_t topology, machine_sketch& seen) : topology_(topology), seen_(seen) {
        add_packages();
        add_memories();
    }

    struct place {
        int package = -1;
        int numa = -1;
    };
    /// Of an I/O object: what its nearest CPU-side ancestor is local to. All of a machine of several nodes is unknown,
    /// because Linux reports a device of unknown node as local to every CPU. (The common ancestor function is not for
    /// I/O objects.)
    [[nodiscard]] place place_of(hwloc_obj_t object) const {
        while (object && hwloc_obj_type_is_io(object->type)) object = object->parent;
        place found;
        if (!object) return found;
        for (std::size_t m = 0; m < memories_.size(); ++m) {
            if (!object->nodeset || !hwloc_bitmap_isset(object->nodeset, memories_[m]->os_index)) continue;
            if (found.numa >= 0) {
                found.numa = -1;
                break;
            }
            found = {seen_.memories[m].package, seen_.memories[m].index};
        }
        if (found.numa < 0) found.package = packages_.size() == 1 ? 0 : package_of(object);
        return found;
    }
    /// The one package that an object is in or covers, -1 when there are several or none.
    [[nodiscard]] int package_of(hwloc_obj_t object) const {
        int found = -1;
        for (std::size_t p = 0; p < packages_.size(); ++p) {
            if (!object->cpuset || !hwloc_bitmap_intersects(object->cpuset, packages_[p]->cpuset)) continue;
            if (found >= 0) return -1;
            found = static_cast<int>(p);
        }
        return found;
    }
    [[nodiscard]] int package_at(hwloc_obj_t package) const {
        for (std::size_t p = 0; p < packages_.size(); ++p)
            if (packages_[p] == package) return static_cast<int>(p);
        return -1;
    }

private:
    void add_packages() {
        const hwloc_obj_t root = hwloc_get_root_obj(topology_);
        for (hwloc_obj_t at = nullptr; (at = hwloc_get_next_obj_by_type(topology_, HWLOC_OBJ_PACKAGE, at));) {
            sketched_package added;
            added.name = trimmed(info_of(at, "CPUModel"));
            added.vendor = info_of(at, "CPUVendor");
            added.family = std::atoi(info_of(at, "CPUFamilyNumber"));
            added.model = std::atoi(info_of(at, "CPUModelNumber"));
            // Arm's Linux has no model string; Grace is the only Arm CPU with a GPU on C2C, and the only 144-bank one
            // known here.
            if (added.name.empty() && std::strcmp(info_of(root, "Architecture"), "aarch64") == 0 && grace_board(root))
                added.name = "NVIDIA Grace";
            packages_.push_back(at);
            seen_.packages.push_back(std::move(added));
        }
    }

    /// Boards that carry Grace and nothing else: NVIDIA's own, and the makers' whose names say CG1 (GH200) or Grace.
    [[nodiscard]] static bool grace_board(hwloc_obj_t root) {
        for (const char* info : {"DMIProductName", "DMIBoardName", "DMIBoardVendor"})
            for (const char* name : {"Grace", "GRACE", "GH200", "GB200", "CG1", "P3880"})
                if (std::strstr(info_of(root, info), name)) return true;
        return false;
    }

    void add_memories() {
        bool any = false;
        for (hwloc_obj_t at = nullptr; (at = hwloc_get_next_obj_by_type(topology_, HWLOC_OBJ_NUMANODE, at));)
            any = any || (at->attr->numanode.local_memory > 0 && !on_gpu(at));
        for (hwloc_obj_t at = nullptr; (at = hwloc_get_next_obj_by_type(topology_, HWLOC_OBJ_NUMANODE, at));) {
            const std::string id = "numa:" + std::to_string(at->os_index);
            if (on_gpu(at)) {
                seen_.note(id, std::string("is the memory of a GPU") + (*info_of(at, "PCIBusID") ? ", " : "") +
                                   info_of(at, "PCIBusID") + ": not host memory");
                continue;
            }
            if (any && at->attr->numanode.local_memory == 0) {
                seen_.note(id, "has no memory: left out");
                continue;
            }
            sketched_memory added;
            added.index = static_cast<std::int32_t>(at->os_index);
            added.bytes = at->attr->numanode.local_memory;
            added.package = package_near(at);
            added.nominal_gb_s = told_gb_s(at);
            memories_.push_back(at);
            seen_.memories.push_back(added);
        }
        const hwloc_obj_t root = hwloc_get_root_obj(topology_);
        std::string absent;
        int next = hwloc_bitmap_first(root->complete_nodeset);
        for (int listed = 0; next >= 0 && listed < 64; next = hwloc_bitmap_next(root->complete_nodeset, next), ++listed)
            if (!hwloc_bitmap_isset(root->nodeset, static_cast<unsigned>(next)))
                absent += (absent.empty() ? "numa:" : ",numa:") + std::to_string(next);
        if (!absent.empty()) seen_.note(absent, "exist without memory or are not allowed here: left out");
    }

    [[nodiscard]] static bool on_gpu(hwloc_obj_t numa) {
        return numa->subtype && std::strcmp(numa->subtype, "GPUMemory") == 0;
    }

    /// NUMA nodes hang from a package or from something in it; a node above several packages goes to the first.
    [[nodiscard]] int package_near(hwloc_obj_t numa) const {
        for (hwloc_obj_t at = numa; at; at = at->parent)
            if (at->type == HWLOC_OBJ_PACKAGE) return package_at(at);
        for (std::size_t p = 0; p < packages_.size(); ++p)
            if (numa->cpuset && hwloc_bitmap_intersects(numa->cpuset, packages_[p]->cpuset)) return static_cast<int>(p);
        return 0;
    }

    /// The firmware's figure (ACPI HMAT) for a node as its own CPUs see it, GB/s; 0 when it gives none.
    [[nodiscard]] double told_gb_s(hwloc_obj_t numa) const {
        if (!numa->cpuset) return 0;
        hwloc_location from{};
        from.type = HWLOC_LOCATION_TYPE_CPUSET;
        from.location.cpuset = numa->cpuset;
        hwloc_uint64_t mib_s = 0;
        if (hwloc_memattr_get_value(topology_, HWLOC_MEMATTR_ID_BANDWIDTH, numa, &from, 0, &mib_s) != 0) return 0;
        const double gb_s = static_cast<double>(mib_s) * 1048576.0 / 1e9;
        return gb_s >= 1 && gb_s <= 10000 ? gb_s : 0;
    }

    hwloc_topology_t topology_;
    machine_sketch& seen_;
    std::vector<hwloc_obj_t> packages_;
    std::vector<hwloc_obj_t> memories_;
};

/// Whether this process runs under a hypervisor, by the CPU's own flag. Linux on x86 only; false elsewhere.
[[nodiscard]] inline bool cpu_says_virtual() {
    std::FILE* file = std::fopen("/proc/cpuinfo", "rb");
    if (!file) return false;
    char start[16384];
    const std::size_t size = std::fread(start, 1, sizeof start - 1, file);
    std::fclose(file);
    start[size] = '\0';
    return std::strstr(start, " hypervisor") != nullptr;
}

/// What gives a virtual machine away, as a phrase; empty on bare metal. DMI strings first, then devices that only
/// hypervisors have.
[[nodiscard]] inline std::string sign_of_hypervisor(hwloc_topology_t topology) {
    const hwloc_obj_t root = hwloc_get_root_obj(topology);
    const std::string product = trimmed(info_of(root, "DMIProductName"));
    if (*info_of(root, "HypervisorVendor")) return std::string("hypervisor ") + info_of(root, "HypervisorVendor");
    for (const char* name : {"Virtual Machine", "VMware", "VirtualBox", "KVM", "QEMU", "Standard PC", "HVM domU",
                             "Google Compute Engine", "OpenStack", "Bochs", "Alibaba Cloud ECS", "RHEV"})
        if (product.find(name) != std::string::npos) return "product '" + product + "'";
    if (std::strcmp(info_of(root, "DMISysVendor"), "QEMU") == 0) return "vendor QEMU";
    if (std::strcmp(info_of(root, "DMISysVendor"), "Amazon EC2") == 0 && product.find(".metal") == std::string::npos)
        return "EC2 instance '" + product + "'";
    struct virtual_device {
        unsigned vendor, device; ///< device 0: all of the vendor's
        const char* name;
    };
    constexpr virtual_device invented[] = {
        {0x1af4, 0, "a virtio device"},          {0x1b36, 0, "a QEMU device"},
        {0x1234, 0x1111, "QEMU's display"},      {0x1d0f, 0x1111, "EC2's virtual display"},
        {0x1d0f, 0x0200, "EC2's virtual ports"}, {0x8086, 0x7113, "an emulated PIIX4"},
        {0x15ad, 0, "a VMware device"},          {0x1414, 0, "a Hyper-V device"},
        {0x1ae0, 0, "a Google virtual device"},
    };
    const auto named = [&](unsigned vendor, unsigned device) -> const char* {
        for (const virtual_device& each : invented)
            if (each.vendor == vendor && (each.device == 0 || each.device == device)) return each.name;
        return nullptr;
    };
    for (hwloc_obj_t at = nullptr; (at = hwloc_get_next_pcidev(topology, at));)
        if (const char* name = named(at->attr->pcidev.vendor_id, at->attr->pcidev.device_id)) return name;
    for (hwloc_obj_t at = nullptr; (at = hwloc_get_next_bridge(topology, at));)
        if (at->attr->bridge.upstream_type == HWLOC_OBJ_BRIDGE_PCI)
            if (const char* name =
                    named(at->attr->bridge.upstream.pci.vendor_id, at->attr->bridge.upstream.pci.device_id))
                return name;
    return {};
}

} // namespace detail
BARELINK_END_NAMESPACE
