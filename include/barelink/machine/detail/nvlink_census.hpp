// What of a machine's GPUs tells how NVLink is wired, when nobody lists the links.
#pragma once

#include <cstddef>

#include <barelink/machine/detail/sketch.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Counts NVSwitch chips, and GPUs with NVLinks by form.
struct nvlink_census {
    std::size_t chips = 0, modules = 0, alike = 0, bridgeable = 0;
    const gpu_model* first = nullptr; ///< module or superchip with NVLinks
    bool modern = false, rack = false;

    explicit nvlink_census(const machine_sketch& seen) {
        for (const sketched_device& each : seen.devices) {
            chips += each.kind == node_kind::nvswitch;
            const gpu_model* model = each.kind == node_kind::gpu ? model_of(each) : nullptr;
            if (!model || model->nvlinks == 0) continue;
            if (model->form == gpu_form::card) {
                ++bridgeable;
                continue;
            }
            if (!first) first = model;
            ++modules;
            alike += model == first;
            modern = first->sm >= 80 && first->form == gpu_form::module;
            rack = first->sm >= 100 && first->form == gpu_form::superchip;
        }
    }
    /// 8 or 16 of a modern module, and the superchips of a rack, are always built on NVSwitch.
    [[nodiscard]] bool switched() const noexcept {
        return chips > 0 || rack || (modern && alike == modules && (modules == 8 || modules == 16));
    }
};

/// NVLinks that a GPU has: the table's, else those of the largest product of its compute capability (data sheets), 0 for
/// chips that were never sold with any.
[[nodiscard]] inline int nvlinks_of(const sketched_device& gpu) noexcept {
    if (const gpu_model* model = model_of(gpu)) return model->nvlinks;
    const int sm = gpu.sm;
    return sm == 60 ? 4 : sm == 70 ? 6 : sm == 80 ? 12 : sm == 86 ? 4 : sm >= 90 && sm < 110 ? 18 : 0;
}

} // namespace detail
BARELINK_END_NAMESPACE
