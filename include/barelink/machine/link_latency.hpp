// What crossing one link adds to a copy's start-up, by kind, for machines that do not say.
#pragma once

#include <barelink/machine/link.hpp>

BARELINK_BEGIN_NAMESPACE

/// Microseconds that one link adds to the start of a copy, once per link crossed. Project priors (`assumed`): with the
/// costs of `copy_costs` they give the published V100 size curve (PCIe) and the published 2.3 us of a 16-byte copy between
/// two H100s (NVLink).
[[nodiscard]] constexpr double default_latency_us(link_kind kind) noexcept {
    switch (kind) {
    case link_kind::dram: return 0.1;
    case link_kind::cpu: return 0.15;
    case link_kind::pcie: return 0.2;
    case link_kind::nvlink: return 0.15;
    case link_kind::c2c: return 0.3;
    }
    return 0;
}

BARELINK_END_NAMESPACE
