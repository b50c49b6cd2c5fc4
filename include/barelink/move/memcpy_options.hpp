// What the drop-in copies may use, and what they did. No CUDA.
#pragma once

#include <cstdint>

#include <barelink/core/units.hpp>
#include <barelink/plan/request.hpp>

BARELINK_BEGIN_NAMESPACE

/// The drop-in functions share one set of movers, made by the first call that plans and kept until the process ends: the
/// library's one piece of global state.
struct memcpy_options {
    /// GPUs whose memory and links may carry other GPUs' bytes. None by default; see `request::relays`.
    gpu_set relays = gpu_set::none();
    /// Scratch memory that one route may take on one relay, bytes.
    std::uint64_t scratch_bytes = 64 * MiB;
    /// Threads that copy pageable memory, on each NUMA node; 0: what the machine's costs say (8).
    unsigned host_threads = 0;
    /// Copies of pageable memory below this are left to CUDA. Project choice: sixteen times the size from which others are
    /// planned, so that a wake-up of the threads is lost in the noise.
    std::uint64_t pageable_from_bytes = 4 * MiB;
    /// All other copies below this are left to CUDA: one command is the best plan there is (see `crossover_bytes`).
    std::uint64_t plan_from_bytes = 256 * KiB;
};

/// Of all threads.
struct memcpy_counters {
    std::uint64_t left_to_cuda = 0; ///< because CUDA does them best
    std::uint64_t planned = 0;
    std::uint64_t staged = 0;    ///< of the planned, those of pageable memory
    std::uint64_t fallbacks = 0; ///< could not be planned, and went to CUDA
};

BARELINK_END_NAMESPACE
