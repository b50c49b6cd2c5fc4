// How a copy that is fed piece by piece goes.
#pragma once

#include <cstdint>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

struct job_options {
    /// Routes take chunks from what is left as they finish, so that a link slowed by other traffic carries less. Otherwise each
    /// carries the share that the plan gave it.
    bool adaptive = true;
    /// Chunks are started only while no other copy or job of the mover moves bytes; those in flight end. A copy that still
    /// waits for its stream holds nothing up, and neither does one that was captured into a graph.
    bool background = false;
    /// Chunks that one route may have in flight, at most `most_window`; 0: one more than the route has legs, so that every leg
    /// has one and the next is ready.
    std::uint32_t window = 0;
    /// Bytes of the largest chunk; 0: what the link carries in some 50 us. A foreground copy waits for one window of
    /// chunks, and so does `job::cancel`.
    std::uint64_t most_chunk_bytes = 0;

    static constexpr std::uint32_t most_window = 8;
};

BARELINK_END_NAMESPACE
