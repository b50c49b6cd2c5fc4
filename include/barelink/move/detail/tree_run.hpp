// One tree of a broadcast on its way: its streams, events and rings, and how a chunk moves over an arc. Private to move.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <barelink/move/detail/lanes.hpp>
#include <barelink/move/detail/piece_walk.hpp>
#include <barelink/plan/broadcast.hpp>
#include <barelink/plan/engines.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// A broadcast plan and the memory that it moves: one destination for each GPU.
struct bound_broadcast {
    const broadcast_plan* what = nullptr;
    region src;
    std::span<const region> dst;

    [[nodiscard]] char* place_on(node_index gpu) const noexcept {
        for (const region& each : dst)
            if (each.where.node == gpu) return static_cast<char*>(each.base);
        return nullptr;
    }
};

/// Chunks are numbered as they begin; the arcs of one chunk are submitted parents first.
template <runtime Runtime>
struct tree_run {
    using stream_type = typename Runtime::stream_type;
    using event_type = typename Runtime::event_type;
    static constexpr std::uint32_t depth = tree_writer::ring_depth;

    struct lane {
        const tree_arc* arc = nullptr;
        node_index gpu = no_node;             ///< that issues it
        char* to = nullptr;                   ///< destination or ring
        std::uint64_t slot_bytes = 0;         ///< of the ring; 0: none
        std::array<stream_type, 2> streams{}; ///< in turn, as on a route
        std::array<event_type, depth> moved{};
        std::array<bool, 2> forked{};
        bool leaf = true;
        bool awaited = false; ///< somebody waits for its chunks: a child, or the arc that fills its ring
    };

    const tree* way = nullptr;
    std::uint64_t left = 0;
    std::uint64_t most_chunk_bytes = 0; ///< what its rings hold
    std::uint64_t chunk_at = 0, chunk_bytes = 0;
    std::uint32_t number = 0; ///< of the current chunk
    std::vector<lane> lanes;

    /// Submits the current chunk's copy over one arc.
    [[nodiscard]] status move(Runtime& on, std::size_t a, const bound_broadcast& ends, std::uint64_t numa_nodes,
                              event_type start) {
        lane& l = lanes[a];
        const stream_type s = l.streams[number % 2];
        const lane* from = l.arc->parent < 0 ? nullptr : &lanes[static_cast<std::size_t>(l.arc->parent)];
        if (from) {
            if (auto done = on.wait(s, from->moved[number % depth]); !done) return done;
        } else if (bool& forked = l.forked[number % 2]; !forked) {
            forked = true;
            if (auto done = on.wait(s, start); !done) return done;
        }
        if (l.slot_bytes > 0 && number >= depth) // its slot was read by every child
            for (const lane& child : lanes)
                if (child.arc->parent == static_cast<std::int32_t>(a))
                    if (auto done = on.wait(s, child.moved[number % depth]); !done) return done;
        if (auto done = copy_chunk(on, l, from, ends, numa_nodes, s); !done) return done;
        return l.awaited ? on.record(l.moved[number % depth], s) : status();
    }

private:
    [[nodiscard]] status copy_chunk(Runtime& on, const lane& l, const lane* from, const bound_broadcast& ends,
                                    std::uint64_t numa_nodes, stream_type s) const {
        char* const to_slot = l.slot_bytes > 0 ? l.to + number % depth * l.slot_bytes : nullptr;
        const char* const from_slot =
            from && from->slot_bytes > 0 ? from->to + number % depth * from->slot_bytes : nullptr;
        const char* const source = from ? from->to : static_cast<const char*>(ends.src.base);
        piece_walk pieces = walk(ends, numa_nodes);
        for (std::uint64_t done = 0; done < chunk_bytes;) {
            const piece at = pieces.next(chunk_bytes - done);
            if (auto copied = on.copy(to_slot ? to_slot + done : l.to + at.offset,
                                      from_slot ? from_slot + done : source + at.offset, at.bytes, s);
                !copied)
                return copied;
            done += at.bytes;
        }
        return {};
    }
    [[nodiscard]] piece_walk walk(const bound_broadcast& ends, std::uint64_t numa_nodes) const noexcept {
        const broadcast_request& asked = ends.what->asked;
        if (asked.from.where == endpoint::place::striped_host)
            return {chunk_at, asked.stripe_bytes, asked.stripe_phase, numa_nodes, way->part};
        return {chunk_at, ends.src.where.stripe_bytes, ends.src.where.stripe_phase, 1, 0};
    }
};

} // namespace detail
BARELINK_END_NAMESPACE
