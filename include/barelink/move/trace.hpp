// What ran when: one record per copy, for timelines and for finding the copy that was late.
#pragma once

#include <cstdint>
#include <vector>

#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE

/// One copy as it ran. Times in microseconds of the runtime's clock.
struct copy_record {
    node_index from;
    node_index to;
    std::uint32_t route = 0; ///< position in the plan, and which of its legs and chunks
    std::uint32_t leg = 0;
    std::uint32_t chunk = 0;
    bool host_copy = false; ///< by host threads
    std::uint64_t bytes = 0;
    double start_us = 0;
    double end_us = 0;
};

using copy_trace = std::vector<copy_record>;

BARELINK_END_NAMESPACE
