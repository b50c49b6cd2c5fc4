// Colours and fonts of every picture, light and dark. Private to the report layer.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include <barelink/machine/link.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Colours that tell routes apart on either background; reused from the start after the last.
inline constexpr std::array<const char*, 12> route_colours = {"#3b82f6", "#f97316", "#22a55b", "#e64980",
                                                              "#8b5cf6", "#0ea5a5", "#d4a106", "#ef4444",
                                                              "#64748b", "#84b81a", "#c026d3", "#0284c7"};

[[nodiscard]] inline const char* route_colour(std::size_t route) noexcept {
    return route_colours[route % route_colours.size()];
}

/// CSS class of a link kind's strokes; its fill is in `f-` plus the same name.
[[nodiscard]] inline std::string link_class(link_kind kind) {
    return std::string("k-") + to_string(kind);
}

inline constexpr const char* svg_style =
    R"(text{font-family:Inter,"Segoe UI",system-ui,-apple-system,"Helvetica Neue",Arial,sans-serif;font-size:11px;fill:#1c2533}
.mid{text-anchor:middle}.end{text-anchor:end}
.h1{font-size:20px;font-weight:650}.h2{font-size:12.5px;fill:#667085}
.b{font-weight:600}.s{font-size:9.5px}.xs{font-size:8.5px}.m{fill:#667085}.over{paint-order:stroke;stroke:#e6eaf1;stroke-width:3.5px;stroke-linejoin:round}.num{font-variant-numeric:tabular-nums}
.bg{fill:#ffffff}.card{fill:#f5f7fa;stroke:#e1e5ec}.node{fill:#ffffff;stroke:#c4cbd6}.bar{fill:#e6eaf1;stroke:#c4cbd6}
.gpu{fill:#ffffff;stroke:#8793a6;stroke-width:1.3}.hub{fill:#e9f3dc;stroke:#a8c983}.mem{fill:#e0f4f1;stroke:#8cccc3}
.pill{fill:#ffffff}.pill-card{fill:#f5f7fa}.pill-read{stroke:#c4cbd6;stroke-width:.8}.pill-measured{stroke:#1c2533;stroke-width:1}
.pill-full{stroke:#dc2626;stroke-width:1.2}.full{fill:#c81e1e}.lit{stroke:#1c2533;stroke-width:2}.track{fill:#e6eaf1}
.axis{stroke:#dfe3ea;stroke-width:1}.rule{stroke:#c4cbd6;stroke-width:1}.fill-good{fill:#22a55b}.fill-soft{fill:#9aa5b5}
.k-dram,.k-cpu,.k-pcie,.k-nvlink,.k-c2c{fill:none}
.k-dram{stroke:#12988c}.k-cpu{stroke:#8b5cf6}.k-pcie{stroke:#2f7de1}.k-nvlink{stroke:#6aa81d}.k-c2c{stroke:#e8772e}
.gap{stroke:#f5f7fa;fill:none}.gap-bg{stroke:#ffffff;fill:none}.flow{fill:none;stroke-linejoin:round}.faded{opacity:.25}.dim{opacity:.5}.tip{fill:#1c2533}
.pulse{fill:none;stroke:#ffffff;stroke-opacity:.6;stroke-dasharray:3 15;animation:run 1.1s linear infinite}
.lane{fill:#f3f5f8}.area{fill-opacity:.35;stroke-width:1}
.area.k-dram{fill:#12988c}.area.k-cpu{fill:#8b5cf6}.area.k-pcie{fill:#2f7de1}.area.k-nvlink{fill:#6aa81d}.area.k-c2c{fill:#e8772e}
@keyframes run{to{stroke-dashoffset:-18}}
@media (prefers-reduced-motion:reduce){.pulse{animation:none}}
@media (prefers-color-scheme:dark){
text{fill:#e6ebf2}.h2,.m{fill:#97a3b6}
.bg{fill:#0e131a}.card{fill:#151c26;stroke:#242e3c}.node{fill:#1c2532;stroke:#3a4759}.bar{fill:#263142;stroke:#3a4759}
.gpu{fill:#1c2532;stroke:#6c7a90}.hub{fill:#22301a;stroke:#55723a}.mem{fill:#15302f;stroke:#2f6a64}
.pill{fill:#0e131a}.pill-card{fill:#151c26}.pill-read{stroke:#3a4759}.pill-measured{stroke:#e6ebf2}.pill-full{stroke:#f87171}
.full{fill:#f98080}.tip{fill:#e6ebf2}.lit{stroke:#e6ebf2}.track{fill:#263142}.over{stroke:#263142}.axis{stroke:#222b38}.rule{stroke:#3a4759}.fill-soft{fill:#5d6a7d}
.k-dram{stroke:#2dbfb0}.k-cpu{stroke:#a78bfa}.k-pcie{stroke:#5a9ff5}.k-nvlink{stroke:#8dcc3f}.k-c2c{stroke:#fb9450}
.lane{fill:#151c26}.gap{stroke:#151c26}.gap-bg{stroke:#0e131a}
}
)";

} // namespace detail
BARELINK_END_NAMESPACE
