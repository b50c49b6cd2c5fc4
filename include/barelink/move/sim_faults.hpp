// What can go wrong on a simulated server, on request.
#pragma once

#include <cstdint>
#include <vector>

#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE
namespace sim {

/// A link direction that changes its rate at some moment of the simulated clock. A rate of 0 is a dead link: copies on it fail.
struct link_fault {
    link_direction where;
    double at_us = 0;
    double gb_s = 0;
};

/// A GPU pair, in one direction, that behaves worse than its grant.
struct peer_fault {
    enum class kind : std::uint8_t {
        refused,        ///< peer access is denied; a copy fails
        delivers_zeros, ///< the copy reports success; the destination receives zeros
        hangs           ///< the copy never ends
    };
    node_index from;
    node_index to;
    kind what = kind::refused;
};

struct faults {
    std::vector<link_fault> links;
    std::vector<peer_fault> peers;
    /// The call with this number fails once (calls are counted from 0 by `runtime::calls`); none by default.
    std::uint64_t failing_call = ~0ull;
};

} // namespace sim
BARELINK_END_NAMESPACE
