// Owns an hwloc topology and loads one, from XML or from this machine, with the same filters.
#pragma once

#include <utility>

#include <hwloc.h>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Owns a topology; empty when loading failed. hwloc reads it from several threads at once, but loads and edits it from
/// one.
class hwloc_topology {
public:
    hwloc_topology() noexcept = default;
    hwloc_topology(hwloc_topology&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    hwloc_topology& operator=(hwloc_topology other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~hwloc_topology() {
        if (handle_) hwloc_topology_destroy(handle_);
    }

    [[nodiscard]] explicit operator bool() const noexcept { return handle_ != nullptr; }
    [[nodiscard]] hwloc_topology_t get() const noexcept { return handle_; }

    /// From `size` bytes of XML; the byte after them is the final zero.
    [[nodiscard]] static hwloc_topology from_xml(const char* xml, int size) {
        hwloc_topology made = with_filters();
        if (made &&
            (hwloc_topology_set_xmlbuffer(made.handle_, xml, size + 1) != 0 || hwloc_topology_load(made.handle_) != 0))
            return {};
        return made;
    }
    /// This machine. The components that would wake drivers or look for X servers stay out, by hwloc's names for them; CUDA is asked
    /// elsewhere.
    [[nodiscard]] static hwloc_topology live() {
        hwloc_topology made = with_filters();
        if (!made) return made;
        for (const char* component : {"gl", "opencl", "cuda", "nvml", "rsmi", "levelzero"})
            (void)hwloc_topology_set_components(made.handle_, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, component);
        return hwloc_topology_load(made.handle_) == 0 ? std::move(made) : hwloc_topology{};
    }

private:
    /// I/O is off by default. Bridges are all kept, because a switch shows by its ports, used or not. Cores and inner
    /// caches do not matter to copies; outer caches stay, because a NUMA node may be local to one.
    [[nodiscard]] static hwloc_topology with_filters() {
        hwloc_topology made;
        if (hwloc_topology_init(&made.handle_) != 0) {
            made.handle_ = nullptr;
            return made;
        }
        for (const hwloc_obj_type_t inner : {HWLOC_OBJ_CORE, HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE})
            (void)hwloc_topology_set_type_filter(made.handle_, inner, HWLOC_TYPE_FILTER_KEEP_NONE);
        (void)hwloc_topology_set_type_filter(made.handle_, HWLOC_OBJ_BRIDGE, HWLOC_TYPE_FILTER_KEEP_ALL);
        (void)hwloc_topology_set_type_filter(made.handle_, HWLOC_OBJ_PCI_DEVICE, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
        (void)hwloc_topology_set_type_filter(made.handle_, HWLOC_OBJ_OS_DEVICE, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
        return made;
    }

    hwloc_topology_t handle_ = nullptr;
};

/// An info attribute of an object, empty when it has none of that name.
[[nodiscard]] inline const char* info_of(hwloc_obj_t object, const char* name) {
    const char* value = object ? hwloc_obj_get_info_by_name(object, name) : nullptr;
    return value ? value : "";
}

} // namespace detail
BARELINK_END_NAMESPACE
