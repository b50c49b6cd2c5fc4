// What of an hwloc document barelink uses. The rest does not reach hwloc, which would spend most of its time on it.
#pragma once

#include <string_view>
#include <vector>

#include <barelink/machine/detail/hwloc_gate.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// `opened`: left out itself, its children kept.
enum class fate : unsigned char { kept, opened, dropped };

/// CPUs, inner caches, huge page counts, what the maker says of slots: copies do not depend on them. For format 2 only;
/// hwloc rebuilds format 1 from all it has.
[[nodiscard]] inline fate fate_of(std::string_view element, const std::vector<xml_attribute>& attributes) {
    const auto value_of = [&](std::string_view name) {
        for (const xml_attribute& each : attributes)
            if (each.name == name) return each.value;
        return std::string_view();
    };
    if (element == "object") {
        const std::string_view type = value_of("type");
        if (type == "PU" || type == "Misc") return fate::dropped;
        for (const std::string_view inner : {"Core", "L1Cache", "L2Cache", "L1iCache", "L2iCache", "L3iCache"})
            if (type == inner) return fate::opened;
        if (type != "PCIDev") return fate::kept;
        // Bridges of other buses, sensors, serial ports: not what hwloc calls important, and dropped before it looks.
        const std::string_view base = value_of("pci_type").substr(0, 2);
        for (const std::string_view junk : {"04", "05", "07", "08", "09", "0a", "0d", "0e", "10", "11", "13"})
            if (base == junk) return fate::dropped;
        return fate::kept;
    }
    if (element == "info") {
        const std::string_view name = value_of("name");
        for (const std::string_view used :
             {"Barelink", "CPU", "DMI", "Hypervisor", "Architecture", "PlatformModel", "PCIDevice", "PCIBusID",
              "GPUModel", "CUDAGlobal", "RSMIVRAM", "OpenCLGlobal"})
            if (name.substr(0, used.size()) == used) return fate::kept;
        return fate::dropped;
    }
    return element == "page_type" || element == "support" || element == "cpukind" || element == "userdata"
               ? fate::dropped
               : fate::kept;
}

} // namespace detail
BARELINK_END_NAMESPACE
