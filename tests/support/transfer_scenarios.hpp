// Small transfers that exercise every shape of plan: direct, relayed, staged, striped, over two and three legs.
#pragma once

#include <barelink/machine/builtin.hpp>
#include <barelink/move/mover.hpp>

#include "places.hpp"

struct transfer_scenario {
    const char* name;
    const char* machine;
    barelink::endpoint from, to;
    std::uint64_t bytes;
    bool relays = true;
    std::uint64_t stripe_bytes = 96 * barelink::KiB;
    /// Small, so that chunks are small and rings go round several times.
    std::uint64_t scratch_bytes = 256 * barelink::KiB;

    [[nodiscard]] barelink::mover_options options() const {
        barelink::mover_options chosen;
        chosen.relays = relays ? barelink::gpu_set::all() : barelink::gpu_set::none();
        chosen.scratch_bytes = scratch_bytes;
        return chosen;
    }
};

/// Odd sizes on purpose.
inline const transfer_scenario transfer_scenarios[] = {
    {"pinned", "hgx-h100-8", places::host(0), places::gpu(0), 300001, false},
    {"pinned store", "hgx-h100-8", places::gpu(5), places::host(1), 300001, false},
    {"peer", "hgx-h100-8", places::gpu(0), places::gpu(3), 300001, false},
    {"pinned and relay", "hgx-h100-8", places::host(0), places::gpu(0), 4 * barelink::MiB + 4097, true, 0,
     512 * barelink::KiB},
    {"relayed store", "hgx-h100-8", places::gpu(3), places::host(0), 4 * barelink::MiB + 513, true, 0,
     512 * barelink::KiB},
    {"staged pair", "rtx4090-pcie-8", places::gpu(0), places::gpu(5), barelink::MiB + 77},
    {"two detours", "dgx1-v100", places::host(0), places::gpu(0), 4 * barelink::MiB + 1},
    {"two and three legs between GPUs", "dgx1-v100", places::gpu(2), places::gpu(6), 4 * barelink::MiB + 4097, true, 0,
     512 * barelink::KiB},
    {"striped load", "dgx1-v100", barelink::endpoint::host_all(), places::gpu(6), 2 * barelink::MiB + 11},
    {"striped store", "dgx1-v100", places::gpu(0), barelink::endpoint::host_all(), 2 * barelink::MiB + 11},
    {"pageable load", "dgx1-v100", places::pageable(0), places::gpu(0), barelink::MiB + 4095},
    {"pageable load, one ring", "gh200", places::pageable(0), places::gpu(0), barelink::MiB + 3},
    {"pageable store", "dgx1-v100", places::gpu(0), places::pageable(0), barelink::MiB + 4095},
    {"pageable store, one ring", "gh200", places::gpu(0), places::pageable(0), barelink::MiB + 3},
};
