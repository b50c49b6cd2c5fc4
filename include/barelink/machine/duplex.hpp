// What the two directions of one link take from each other.
#pragma once

#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE

/// The direction that goes back over the same link.
[[nodiscard]] constexpr link_direction opposite(link_direction hop) noexcept {
    return {hop.link, !hop.reverse};
}

/// Bytes of `opposite(hop)` that are lost to each byte of a copy along `path` over `hop`.
///
/// DRAM is one bus: reading at rate r and writing at rate w take r/R + w/W of its time, so a byte written costs R/W bytes that
/// could have been read, and the other way round. Elsewhere it is what the link says; on PCIe between two GPUs nothing, for
/// posted writes over a switch or a root complex hardly meet (published: 50.1 GB/s both ways between two RTX 4090, 25.6
/// one way).
[[nodiscard]] inline double lost_to(const machine& m, const dma_path& path, link_direction hop) noexcept {
    const link& over = m.at(hop.link);
    if (over.kind == link_kind::dram) {
        const double there = over.gb_s(hop.reverse);
        return there > 0 ? over.gb_s(!hop.reverse) / there : 0;
    }
    if (over.kind == link_kind::pcie && m.at(path.from).kind == node_kind::gpu && m.at(path.to).kind == node_kind::gpu)
        return 0;
    return over.lost(!hop.reverse);
}

BARELINK_END_NAMESPACE
