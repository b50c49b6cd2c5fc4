// Copies between two GPUs without peer access, as the driver makes them: through a small buffer in host memory.
#pragma once

#include <barelink/core/units.hpp>
#include <barelink/machine/duplex.hpp>

BARELINK_BEGIN_NAMESPACE

/// The two legs and what they reach. `out` and `in` are nullptr when host memory reaches neither.
struct driver_staging {
    const dma_path* out = nullptr;
    const dma_path* in = nullptr;
    /// One buffer after the other, a hand-over behind each: buffer / (buffer / slower leg + hand-over).
    double gb_s = 0;
    /// Both directions of a pair together at most: they take turns with the buffer, and half of each hand-over hides behind
    /// the other direction's copy (published: 45 to 53 GB/s of H100s, 37 one way; 20 to 22 of RTX 4090s, 18 to 21).
    double both_ways_gb_s = 0;
    double start_us = 0; ///< until the first byte arrives, besides the copy call
};

/// What the driver reaches from one GPU to another, by the costs of the machine. The buffer is in the memory near the first GPU, and
/// small enough to stay in the CPU's cache: DRAM does not count. Where both legs cross one link, each loses what the other
/// takes from it (published: 8.7 GB/s below one switch of a DGX-2, 11.4 elsewhere).
[[nodiscard]] inline driver_staging driver_staging_of(const machine& m, node_index from, node_index to) {
    driver_staging found;
    for (std::uint32_t n = 0; n < m.nodes.size(); ++n) {
        if (m.nodes[n].kind != node_kind::memory || (found.out && m.nodes[n].numa != m.at(from).numa)) continue;
        found.out = m.path(from, node_index{n});
        found.in = m.path(node_index{n}, to);
    }
    if (!found.out || !found.in) return {};
    double leg_gb_s = 0;
    const auto look_at = [&](const dma_path& leg, const dma_path& other) {
        for (const link_direction hop : m.hops(leg)) {
            if (m.at(hop.link).kind == link_kind::dram) continue;
            double gb_s = m.gb_s(hop);
            for (const link_direction back : m.hops(other))
                if (back == opposite(hop)) gb_s /= 1 + lost_to(m, other, back);
            if (leg_gb_s == 0 || gb_s < leg_gb_s) leg_gb_s = gb_s;
        }
    };
    look_at(*found.out, *found.in);
    look_at(*found.in, *found.out);
    if (leg_gb_s <= 0) return {};
    const double buffer = m.costs.driver_staging_bytes, hand_over_us = m.costs.driver_staging_us;
    found.gb_s = rate_gb_s(buffer, transfer_us(buffer, leg_gb_s) + hand_over_us);
    found.both_ways_gb_s = rate_gb_s(buffer, transfer_us(buffer, leg_gb_s) + hand_over_us / 2);
    found.start_us = found.out->latency_us + found.in->latency_us + m.costs.driver_staging_start_us;
    return found;
}

BARELINK_END_NAMESPACE
