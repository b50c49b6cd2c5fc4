// One route of a plan on its way: its streams, its rings, and how a chunk moves over a leg. Private to move.
#pragma once

#include <array>
#include <cstdint>

#include <barelink/move/detail/lanes.hpp>
#include <barelink/move/detail/piece_walk.hpp>
#include <barelink/move/detail/row_copy.hpp>
#include <barelink/plan/engines.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// A plan and the memory that it moves.
struct bound_plan {
    const plan* what = nullptr;
    region dst, src;

    /// The plan's parts are the NUMA nodes' stripes of its host end.
    [[nodiscard]] bool by_stripes() const noexcept {
        return what->asked.from.where == endpoint::place::striped_host ||
               what->asked.to.where == endpoint::place::striped_host;
    }
};

/// Chunks are numbered as they begin; legs of one chunk are submitted in order, those of different chunks as one likes.
/// A chunk is `chunk_bytes` from `chunk_at` bytes into the route's part (with stripes: of its node's bytes).
template <runtime Runtime>
struct route_run {
    using stream_type = typename Runtime::stream_type;

    const route* way = nullptr;
    const bound_plan* ends = nullptr;
    std::uint64_t numa_nodes = 1;
    std::uint64_t most_chunk_bytes = 0; ///< what its rings hold
    std::uint64_t chunk_at = 0, chunk_bytes = 0;
    std::uint32_t number = 0;  ///< of the current chunk
    std::uint32_t drained = 0; ///< chunks that host threads have taken out of the last ring
    /// Two streams a leg, for chunks in turn: while one copy's completion makes its way back, the engine has the next.
    std::array<std::array<stream_type, 2>, max_between + 1> streams{};
    std::array<ring<Runtime>*, max_between> rings{};
    struct waiting_chunk {
        std::uint64_t at = 0, bytes = 0;
    };
    std::array<waiting_chunk, 8> undrained{}; ///< chunks in the last ring, by slot
    std::array<bool, 2> forked{};

    [[nodiscard]] stream_type stream(std::size_t l) const noexcept { return streams[l][number % 2]; }
    [[nodiscard]] bool by_host(std::size_t l) const noexcept { return way->legs[l].host_copy; }
    [[nodiscard]] bool ends_by_host() const noexcept { return by_host(way->leg_count - 1u); }
    [[nodiscard]] bool starts_by_host() const noexcept { return by_host(0); }
    /// Every route has a leg that an engine carries.
    [[nodiscard]] std::size_t first_engine_leg() const noexcept { return starts_by_host() ? 1 : 0; }
    [[nodiscard]] std::size_t last_engine_leg() const noexcept { return way->leg_count - (ends_by_host() ? 2u : 1u); }

    void begin_chunk(std::uint64_t at, std::uint64_t bytes) noexcept {
        chunk_at = at;
        chunk_bytes = bytes;
    }
    void end_chunk() noexcept { ++number; }
    /// What one chunk can take of `bytes` from there: a route of one leg moves no more than a piece at a time.
    [[nodiscard]] std::uint64_t fit(std::uint64_t at, std::uint64_t bytes) const noexcept {
        if (bytes == 0 || way->leg_count > 1 || ends->src.strided() || ends->dst.strided()) return bytes;
        return walk(at).next(bytes).bytes;
    }
    /// Calls `found(offset, bytes)` for where these bytes of the route's part lie in the ranges, rows without their gaps.
    template <class Found>
    void each_stretch(std::uint64_t at, std::uint64_t bytes, Found found) const {
        if (ends->src.strided() || ends->dst.strided()) return found(at, bytes);
        (void)each_piece({at, bytes}, [&](const piece& p, std::uint64_t) {
            found(p.offset, p.bytes);
            return status();
        });
    }

    /// Submits one leg of the current chunk. A route of one leg moves a piece and makes the chunk as small as that.
    [[nodiscard]] status move(Runtime& on, std::size_t l, typename Runtime::event_type start);
    /// Host threads take the oldest chunk out of the last ring; blocks until it is there.
    [[nodiscard]] status drain(Runtime& on);

private:
    [[nodiscard]] status move_direct(Runtime& on, typename Runtime::event_type start);
    [[nodiscard]] status move_between(Runtime& on, ring<Runtime>* from, ring<Runtime>* to, stream_type s);
    /// A stream's first work in this copy comes after the user's stream.
    [[nodiscard]] status fork(Runtime& on, std::size_t l, typename Runtime::event_type start) {
        bool& done = forked[stream(l) == streams[l][0] ? 0 : 1];
        if (done) return {};
        done = true;
        return on.wait(stream(l), start);
    }
    [[nodiscard]] static std::uint32_t slot_of(std::uint32_t chunk, const ring<Runtime>* r) noexcept {
        return chunk % static_cast<std::uint32_t>(r->slots.size());
    }
    [[nodiscard]] piece_walk walk(std::uint64_t at) const noexcept {
        const request& asked = ends->what->asked;
        if (ends->by_stripes()) return {at, asked.stripe_bytes, asked.stripe_phase, numa_nodes, way->part};
        const placement& host = ends->src.where.stripe_bytes > 0 ? ends->src.where : ends->dst.where;
        return {at, host.stripe_bytes, host.stripe_phase, 1, 0};
    }
    /// Calls `copy(piece, bytes before it)` for the pieces of a chunk of contiguous ranges.
    template <class Copy>
    [[nodiscard]] status each_piece(const waiting_chunk& chunk, Copy copy) const {
        piece_walk pieces = walk(chunk.at);
        for (std::uint64_t done = 0; done < chunk.bytes;) {
            const piece next = pieces.next(chunk.bytes - done);
            if (auto copied = copy(next, done); !copied) return copied;
            done += next.bytes;
        }
        return {};
    }
    [[nodiscard]] char* dst() const noexcept { return static_cast<char*>(ends->dst.base); }
    [[nodiscard]] const char* src() const noexcept { return static_cast<const char*>(ends->src.base); }
    [[nodiscard]] static copy_side packed(const ring<Runtime>* r, std::uint32_t chunk) noexcept {
        return {static_cast<char*>(r->at(slot_of(chunk, r))), 0, 0, 0, 0};
    }
};

template <runtime Runtime>
status route_run<Runtime>::move(Runtime& on, std::size_t l, typename Runtime::event_type start) {
    const leg& hop = way->legs[l];
    const bool first = l == 0, last = l + 1u == way->leg_count;
    if (first && last) return move_direct(on, start);
    ring<Runtime>* from = first ? nullptr : rings[l - 1];
    ring<Runtime>* to = last ? nullptr : rings[l];
    if (last && hop.host_copy) {
        // Taken out by host threads: later, when the ring is full, so that the engine keeps working meanwhile.
        undrained[number % from->slots.size()] = {chunk_at, chunk_bytes};
        return {};
    }
    if (to && l + 2u == way->leg_count && ends_by_host() && number - drained == to->slots.size())
        if (auto done = drain(on); !done) return done;

    auto* out_of = from ? &from->slots[slot_of(number, from)] : nullptr;
    auto* into = to ? &to->slots[slot_of(number, to)] : nullptr;
    if (hop.host_copy) { // the first leg, by host threads: the slot must be empty now
        if (into->used)
            if (auto done = on.synchronize(into->drained); !done) return done;
        into->used = true;
        if (ends->src.strided())
            return host_copy_rows(on, packed(to, number), 0, side_of(ends->src), chunk_at, chunk_bytes, hop.to);
        char* const slot = static_cast<char*>(to->at(slot_of(number, to)));
        return each_piece({chunk_at, chunk_bytes}, [&](const piece& at, std::uint64_t done) {
            return on.host_copy(slot + done, src() + at.offset, at.bytes, hop.to);
        });
    }
    const stream_type s = stream(l);
    const bool first_on_engine = !from || by_host(l - 1);
    if (first_on_engine)
        if (auto done = fork(on, l, start); !done) return done;
    if (out_of && !by_host(l - 1))
        if (auto done = on.wait(s, out_of->ready); !done) return done;
    if (into && into->used && to->drained_by != no_node)
        if (auto done = on.wait(s, into->drained); !done) return done;
    if (auto done = move_between(on, from, to, s); !done) return done;
    if (into) {
        into->used = true;
        if (auto done = on.record(into->ready, s); !done) return done;
    }
    if (out_of)
        if (auto done = on.record(out_of->drained, s); !done) return done;
    return {};
}

template <runtime Runtime>
status route_run<Runtime>::move_direct(Runtime& on, typename Runtime::event_type start) {
    if (auto done = fork(on, 0, start); !done) return done;
    if (ends->src.strided() || ends->dst.strided())
        return copy_rows(on, side_of(ends->dst), chunk_at, side_of(ends->src), chunk_at, chunk_bytes, stream(0));
    const piece at = walk(chunk_at).next(chunk_bytes);
    chunk_bytes = at.bytes; // a striped route moves a stripe a round
    return on.copy(dst() + at.offset, src() + at.offset, at.bytes, stream(0));
}

template <runtime Runtime>
status route_run<Runtime>::move_between(Runtime& on, ring<Runtime>* from, ring<Runtime>* to, stream_type s) {
    if (from && to) return on.copy(to->at(slot_of(number, to)), from->at(slot_of(number, from)), chunk_bytes, s);
    if (!from && ends->src.strided())
        return copy_rows(on, packed(to, number), 0, side_of(ends->src), chunk_at, chunk_bytes, s);
    if (!to && ends->dst.strided())
        return copy_rows(on, side_of(ends->dst), chunk_at, packed(from, number), 0, chunk_bytes, s);
    char* const slot = static_cast<char*>(from ? from->at(slot_of(number, from)) : to->at(slot_of(number, to)));
    return each_piece({chunk_at, chunk_bytes}, [&](const piece& at, std::uint64_t done) {
        return from ? on.copy(dst() + at.offset, slot + done, at.bytes, s)
                    : on.copy(slot + done, src() + at.offset, at.bytes, s);
    });
}

template <runtime Runtime>
status route_run<Runtime>::drain(Runtime& on) {
    ring<Runtime>& from = *rings[way->leg_count - 2u];
    const std::uint32_t slot = slot_of(drained, &from);
    if (auto done = on.synchronize(from.slots[slot].ready); !done) return done;
    const waiting_chunk chunk = undrained[slot];
    if (ends->dst.strided()) {
        const std::uint32_t number_of = drained++;
        return host_copy_rows(on, side_of(ends->dst), chunk.at, packed(&from, number_of), 0, chunk.bytes, from.node);
    }
    ++drained;
    return each_piece(chunk, [&](const piece& at, std::uint64_t done) {
        return on.host_copy(dst() + at.offset, static_cast<const char*>(from.at(slot)) + done, at.bytes, from.node);
    });
}

} // namespace detail
BARELINK_END_NAMESPACE
