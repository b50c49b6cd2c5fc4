// A picture of the machine.
#pragma once

#include <string>

#include <barelink/report/detail/machine_drawing.hpp>

BARELINK_BEGIN_NAMESPACE

/// The machine as an SVG document: packages with their memories, PCIe trees, GPUs and NVLink, every link drawn as wide as it is
/// fast and labelled in GB/s. Needs no fonts and no scripts, follows the viewer's light or dark theme, and is the same for the
/// same machine, byte for byte.
[[nodiscard]] inline std::string machine_svg(const machine& m) {
    const detail::host_tree tree(m);
    const detail::machine_layout layout(m, tree);
    const detail::wire_layout wires(m, tree, layout);
    svg_writer svg;
    detail::machine_drawing drawing(m, layout, wires, svg);
    const std::string summary = detail::machine_summary(m);
    const std::string title = m.name.empty() ? "machine" : m.name;
    drawing.heading(title, summary);
    drawing.cards();
    drawing.hub();
    drawing.wires();
    drawing.boxes();
    drawing.hub_names();
    drawing.labels();
    const double height = drawing.legend(layout.bottom + 26);
    return svg.document(layout.width, height, title,
                        "A server: " + summary + "; its links with their rates in GB/s, " +
                            detail::evidence_summary(m) + ".",
                        detail::svg_style);
}

BARELINK_END_NAMESPACE
