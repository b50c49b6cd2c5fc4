// What copies reach over PCIe, by generation: the data sheet's figure less packet headers, flow control and the GPU's
// own limits, as published for copy engines.
#pragma once

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// A PCIe generation: signalling rate per lane, the raw rate of 16 lanes in one direction as hwloc and `lspci` show it, and
/// what a copy engine reaches over them.
struct pcie_generation {
    int number;
    double gt_s;
    double raw_x16_gb_s;
    double copy_x16_gb_s;
};

/// Copy rates: Gen3 12.4 (V100, size curve), Gen4 25.7 (A100), Gen5 55.3 (H100): published measurements. Gen1, Gen2 and Gen6 have
/// none and are the raw rate times 0.79, 0.79 and 0.88: Gen1 and Gen2 after Gen3, Gen6 after Gen5.
inline constexpr pcie_generation pcie_generations[] = {
    {1, 2.5, 4.0, 3.15},   {2, 5.0, 8.0, 6.3},    {3, 8.0, 15.75, 12.4},
    {4, 16.0, 31.5, 25.7}, {5, 32.0, 63.0, 55.3}, {6, 64.0, 121.0, 106.5},
};

/// Copy rate in GB/s of a link of a generation (1 to 6) and a width in lanes (0 is unknown and read as 16).
[[nodiscard]] constexpr double pcie_copy_gb_s(int generation, int lanes = 16) noexcept {
    const int known = generation < 1 ? 1 : generation > 6 ? 6 : generation;
    return pcie_generations[known - 1].copy_x16_gb_s * (lanes <= 0 ? 16 : lanes) / 16.0;
}

/// Copy rate of a link whose raw rate is `raw_gb_s` (hwloc's `linkspeed`, whole link): the efficiency of the slowest
/// generation whose 16 lanes carry it. 0 stays 0: unknown.
[[nodiscard]] constexpr double pcie_copy_gb_s_of_raw(double raw_gb_s) noexcept {
    for (const pcie_generation& each : pcie_generations)
        if (raw_gb_s <= each.raw_x16_gb_s * 1.01) return raw_gb_s * each.copy_x16_gb_s / each.raw_x16_gb_s;
    return raw_gb_s * pcie_generations[5].copy_x16_gb_s / pcie_generations[5].raw_x16_gb_s;
}

/// The other way round: the raw rate of a link over which copies reach `copy_gb_s`, at most Gen6 x16's efficiency.
[[nodiscard]] constexpr double pcie_raw_gb_s_of_copy(double copy_gb_s) noexcept {
    for (const pcie_generation& each : pcie_generations)
        if (copy_gb_s <= each.copy_x16_gb_s * 1.01) return copy_gb_s * each.raw_x16_gb_s / each.copy_x16_gb_s;
    return copy_gb_s * pcie_generations[5].raw_x16_gb_s / pcie_generations[5].copy_x16_gb_s;
}

BARELINK_END_NAMESPACE
