// Boxes and wires of a picture, and its measures. Private to the report layer.
#pragma once

#include <cstdint>

#include <barelink/core/ids.hpp>
#include <barelink/report/svg.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

struct layout_box {
    double x = 0, y = 0, width = 0, height = 0;
    bool drawn = false;

    [[nodiscard]] double middle() const noexcept { return x + width / 2; }
    [[nodiscard]] double bottom() const noexcept { return y + height; }
    [[nodiscard]] double centre() const noexcept { return y + height / 2; }
};

/// A link in the picture. Vertical: from top to bottom. Horizontal: from left to right. Curve: a cubic from `first`.
struct layout_wire {
    enum class form : std::uint8_t { none, vertical, horizontal, curve };
    form shape = form::none;
    node_index first = no_node; ///< the node at points[0]
    svg_point points[4];
    svg_point label;
    bool labelled = false;
};

struct layout_sizes {
    double gpu_height = 52, package_height = 28, hub_height = 26, switch_height = 20, memory_height = 36;
    double link_gap = 46, bare_gap = 18, hub_gap = 60, package_gap = 74, pad = 14, margin = 26, head = 70;
    double package_text = 0; ///< of a package's height, what its name takes at the top; 0 writes it beside
    double hub_text = 0;     ///< the same at the bottom of the NVSwitch
    double widest = 1800;    ///< of a line of packages
    double widest_rack = 2600;
};

} // namespace detail
BARELINK_END_NAMESPACE
