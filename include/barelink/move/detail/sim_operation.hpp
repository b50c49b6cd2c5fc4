// What the simulated server works on: the ways that copies go, and the entries of its streams. Private to sim::runtime.
#pragma once

#include <cstdint>
#include <vector>

#include <barelink/move/block.hpp>
#include <barelink/move/trace.hpp>
#include <barelink/plan/fair_share.hpp>

BARELINK_BEGIN_NAMESPACE
namespace sim::detail {

inline constexpr std::uint32_t nothing = 0xffffffffu;

/// What each byte takes from a resource.
struct toll {
    std::uint32_t of = nothing;
    double amount = 0;
    friend bool operator==(const toll&, const toll&) = default;
};

/// How one copy goes: what it fills, what it occupies, how it may be limited.
struct way {
    std::vector<std::uint32_t> slots;
    std::vector<toll>
        shared;             ///< resources besides, that it waits for like for a link: DRAM buses, the driver's staging
    std::vector<toll> lost; ///< link directions that have less to give because of it; it does not wait for them
    double weight = 1;      ///< of its flow: reads and writes of one memory get the same time, not the same bytes
    std::uint32_t engine = nothing;
    double latency_us = 0;
    double chain_us = 0; ///< until a copy right behind it may start
    double most_gb_s = fair_share::unlimited;
    bool zeros = false;
    bool refused = false;
    bool hangs = false;

    friend bool operator==(const way&, const way&) = default;
};

/// One entry of a stream's queue.
struct operation {
    /// `blocks` is a kernel that copies a list of blocks: no copy engine is busy with it.
    enum class kind : std::uint8_t { copy, record, wait, kernel, blocks };
    kind what = kind::copy;
    bool poisoned = false;
    double submit_us = 0;
    double us = 0;                  ///< kernel: how long it runs; copy and blocks: time besides the bytes
    std::uint32_t target = nothing; ///< copy and blocks: way; record and wait: recording
    void* to = nullptr;
    const void* from = nullptr;    ///< blocks: the list, read when the kernel starts
    std::uint64_t bytes = 0;       ///< of all blocks
    std::uint32_t list = nothing;  ///< copy: its blocks, where it is not one
    std::uint64_t count = 0;       ///< blocks: of the list
    void (*work)(void*) = nullptr; ///< kernel: runs when it ends
    copy_record tag;
};

} // namespace sim::detail
BARELINK_END_NAMESPACE
