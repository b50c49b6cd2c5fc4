// What the simulated server works on: the ways that copies go, and the entries of its streams. Private to sim::runtime.
#pragma once

#include <cstdint>
#include <vector>

#include <barelink/move/trace.hpp>
#include <barelink/plan/fair_share.hpp>

BARELINK_BEGIN_NAMESPACE
namespace sim::detail {

inline constexpr std::uint32_t nothing = 0xffffffffu;

/// How one copy goes: what it fills, what it occupies, how it may be limited.
struct way {
    std::vector<std::uint32_t> slots;
    std::uint32_t engine = nothing;
    double latency_us = 0;
    double most_gb_s = fair_share::unlimited;
    bool zeros = false;
    bool refused = false;
    bool hangs = false;
};

/// One entry of a stream's queue.
struct operation {
    enum class kind : std::uint8_t { copy, record, wait, kernel };
    kind what = kind::copy;
    bool poisoned = false;
    double submit_us = 0;
    double us = 0;                  ///< kernel: how long it runs
    std::uint32_t target = nothing; ///< copy: way; record and wait: recording
    void* to = nullptr;
    const void* from = nullptr;
    std::uint64_t bytes = 0;
    void (*work)(void*) = nullptr; ///< kernel: runs when it ends
    copy_record tag;
};

} // namespace sim::detail
BARELINK_END_NAMESPACE
