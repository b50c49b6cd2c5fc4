// One plan onto streams: fork from the user's stream, chunks over legs and rings, join. Private to move.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <barelink/move/detail/flight.hpp>
#include <barelink/move/detail/lanes.hpp>
#include <barelink/move/detail/piece_walk.hpp>
#include <barelink/plan/chunking.hpp>
#include <barelink/plan/engines.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Keeps its working memory between copies: submitting allocates nothing once it has seen a plan of the same shape.
template <runtime Runtime>
class submission {
public:
    using stream_type = typename Runtime::stream_type;

    explicit submission(Runtime& on) : runtime_(on) {}

    [[nodiscard]] status run(const plan& p, const region& dst, const region& src, stream_type user, node_index user_gpu,
                             lane_set<Runtime>& lanes, flight<Runtime>& f) {
        dst_ = static_cast<char*>(dst.base);
        src_ = static_cast<const char*>(src.base);
        user_ = user;
        user_gpu_ = user_gpu;
        lanes_ = &lanes;
        pieces_ = src.where.stripe_bytes > 0 ? src.where : dst.where;
        without_room_ = no_node;
        if (auto done = refuse_capture(p); !done) return done;
        if (auto done = f.prepare(runtime_.topology(), p, user_gpu, false); !done) return done;
        f.captured = lanes.capture != 0;
        if (auto done = set_out(p, f); !done) return done;
        if (!f.captured)
            if (auto done = runtime_.record(f.started, user); !done) return done;
        if (auto done = runtime_.record(lanes.forked, user); !done) return done;
        status moved = mark_starts(f);
        if (moved) moved = move_chunks();
        // Whatever happened, the user's stream must not overtake what was enqueued. A copy that failed halfway may have
        // left work that nothing waits for: then this thread does. In a capture nothing runs that could be waited for.
        status joined = join(f);
        if ((!moved || !joined) && !f.captured) (void)lanes.quiet();
        return moved ? joined : moved;
    }
    /// The memory that had no room for a ring of the last copy; none when it failed otherwise. Nothing was enqueued then.
    [[nodiscard]] node_index without_room() const noexcept { return without_room_; }

private:
    /// Where one route stands.
    struct cursor {
        const route* way = nullptr;
        chunk_sequence chunks{0, 0, 0};
        piece_walk in, out; ///< pieces read by the first leg, written by the last
        std::uint64_t left = 0;
        std::uint32_t number = 0;  ///< of the next chunk
        std::uint32_t drained = 0; ///< chunks that host threads have taken out of the last ring
        std::uint64_t chunk_bytes = 0;
        /// Two streams a leg, for chunks in turn: while one copy's completion makes its way back, the engine has the next.
        std::array<std::array<stream_type, 2>, max_between + 1> streams{};
        std::array<ring<Runtime>*, max_between> rings{};
        std::array<std::uint64_t, 8> undrained{}; ///< sizes of chunks in the last ring, by slot
        std::array<bool, 2> forked{};
        [[nodiscard]] stream_type stream(std::size_t l) const noexcept { return streams[l][number % 2]; }
    };

    [[nodiscard]] status refuse_capture(const plan& p) {
        if (lanes_->capture == 0) return {};
        for (const route& r : p.routes)
            for (const leg& l : r.path())
                if (l.host_copy)
                    return error(errc::unsupported,
                                 "pageable memory cannot be captured into a graph: its bytes pass through "
                                 "host threads; pin it");
        return {};
    }

    /// Takes streams and rings for every route.
    [[nodiscard]] status set_out(const plan& p, flight<Runtime>& f) {
        const machine& m = runtime_.topology();
        const std::uint64_t numa_nodes = m.count(node_kind::memory);
        cursors_.clear();
        std::uint64_t part_start = 0;
        bool user_taken = false;
        for (std::size_t i = 0; i < p.routes.size(); ++i) {
            const route& r = p.routes[i];
            if (i == 0 || r.part != p.routes[i - 1].part) part_start = r.offset;
            cursor c;
            c.way = &r;
            c.left = r.bytes;
            const bool striped = p.asked.from.where == endpoint::place::striped_host ||
                                 p.asked.to.where == endpoint::place::striped_host;
            c.in = striped ? piece_walk(r.offset - part_start, p.asked.stripe_bytes, p.asked.stripe_phase, numa_nodes,
                                        r.part)
                           : piece_walk(r.offset, pieces_.stripe_bytes, pieces_.stripe_phase, 1, 0);
            if (striped && p.asked.stripe_bytes == 0 && numa_nodes > 1)
                return error(errc::invalid_argument,
                             "a plan for host:all runs only with the stripes of its buffer: set "
                             "request::stripe_bytes, or let the mover plan");
            c.out = c.in;
            std::uint64_t most = r.chunk_bytes;
            for (std::size_t l = 0; l + 1 < r.leg_count; ++l) {
                const leg &into = r.legs[l], &out_of = r.legs[l + 1];
                const node_index filled_by = into.host_copy ? no_node : issuer_of(m, into);
                const node_index drained_by = out_of.host_copy ? no_node : issuer_of(m, out_of);
                auto taken = lanes_->take_ring(into.to, filled_by, drained_by,
                                               ordinal(c, l, into.to, filled_by, drained_by), r.chunk_bytes, r.depth);
                if (!taken) {
                    if (taken.error().code() == errc::out_of_memory) without_room_ = into.to;
                    return taken.error();
                }
                c.rings[l] = *taken;
                if ((*taken)->slot_bytes < most) most = (*taken)->slot_bytes;
            }
            if (most < r.chunk_bytes)
                f.fallbacks.push_back("route " + std::to_string(i) + ": no room for its ring on " +
                                      m.at(r.legs[0].to).id() + ", chunks of " + std::to_string(most) +
                                      " bytes instead of " + std::to_string(r.chunk_bytes));
            c.chunks = chunk_sequence(r.bytes, r.first_chunk_bytes < most ? r.first_chunk_bytes : most, most);
            for (std::size_t l = 0; l < r.leg_count; ++l) {
                if (r.legs[l].host_copy) continue;
                if (is_gpu(m, r.legs[l].from) && is_gpu(m, r.legs[l].to))
                    if (auto opened = runtime_.open_peer(r.legs[l].from, r.legs[l].to); !opened) return opened;
                const node_index gpu = issuer_of(m, r.legs[l]);
                const bool whole = r.leg_count == 1 && r.chunk_bytes == r.bytes;
                if (!user_taken && whole && user_gpu_ == gpu) {
                    user_taken = true;
                    c.streams[l] = {user_, user_}; // the first direct route needs no stream of its own
                    c.forked = {true, true};
                    continue;
                }
                for (std::size_t turn = 0; turn < 2; ++turn) {
                    if (turn == 1 && whole) {
                        c.streams[l][1] = c.streams[l][0];
                        continue;
                    }
                    auto taken = lanes_->take_stream(gpu);
                    if (!taken) return taken.error();
                    c.streams[l][turn] = *taken;
                }
            }
            cursors_.push_back(c);
        }
        return {};
    }

    [[nodiscard]] static bool is_gpu(const machine& m, node_index n) noexcept { return m.at(n).kind == node_kind::gpu; }

    /// For routes that end on another GPU than the user's, the time at which that GPU may start: in the stream that begins
    /// the route when it is the same GPU's.
    [[nodiscard]] status mark_starts(flight<Runtime>& f) {
        if (f.captured) return {};
        for (std::size_t i = 0; i < cursors_.size(); ++i) {
            if (!f.routes[i].starts_alone) continue;
            cursor& c = cursors_[i];
            const machine& m = runtime_.topology();
            const std::size_t first = c.way->legs[0].host_copy ? 1 : 0, last = last_engine_leg(c);
            const bool same = issuer_of(m, c.way->legs[first]) == issuer_of(m, c.way->legs[last]);
            const std::size_t l = same ? first : last;
            if (auto done = runtime_.wait(c.streams[l][0], lanes_->forked); !done) return done;
            if (same) c.forked[0] = true;
            if (auto done = runtime_.record(f.routes[i].started, c.streams[l][0]); !done) return done;
        }
        return {};
    }

    /// Rings of one plan with the same memory and the same GPUs are told apart by their order.
    [[nodiscard]] std::uint32_t ordinal(const cursor& self, std::size_t upto, node_index node, node_index filled_by,
                                        node_index drained_by) const noexcept {
        std::uint32_t same = 0;
        const auto count = [&](const cursor& c, std::size_t rings) {
            for (std::size_t l = 0; l < rings; ++l)
                same += c.rings[l]->node == node && c.rings[l]->filled_by == filled_by &&
                        c.rings[l]->drained_by == drained_by;
        };
        for (const cursor& c : cursors_) count(c, c.way->leg_count - 1u);
        count(self, upto);
        return same;
    }

    /// Chunk by chunk over all routes, and within a round leg by leg: every engine gets its first work as early as possible.
    [[nodiscard]] status move_chunks() {
        for (bool more = true; more;) {
            more = false;
            for (cursor& c : cursors_) {
                c.chunk_bytes = c.way->leg_count == 1 ? c.way->chunk_bytes : c.chunks.next();
                if (c.chunk_bytes > c.left) c.chunk_bytes = c.left;
                more |= c.chunk_bytes > 0;
            }
            for (std::size_t l = 0; more && l <= max_between; ++l)
                for (std::size_t i = 0; i < cursors_.size(); ++i) {
                    cursor& c = cursors_[i];
                    if (l >= c.way->leg_count || c.chunk_bytes == 0) continue;
                    annotate(static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(l), c.number);
                    if (auto done = move_one(c, l); !done) return done;
                }
            for (cursor& c : cursors_) {
                if (c.chunk_bytes == 0) continue;
                c.left -= c.chunk_bytes;
                ++c.number;
            }
        }
        for (cursor& c : cursors_)
            while (c.drained < c.number && c.way->legs[c.way->leg_count - 1u].host_copy)
                if (auto done = drain(c); !done) return done;
        return {};
    }

    /// One leg of the current chunk.
    [[nodiscard]] status move_one(cursor& c, std::size_t l) {
        const leg& hop = c.way->legs[l];
        const bool first = l == 0, last = l + 1u == c.way->leg_count;
        if (first && last) return move_direct(c);
        ring<Runtime>* from = first ? nullptr : c.rings[l - 1];
        ring<Runtime>* to = last ? nullptr : c.rings[l];
        if (last && hop.host_copy) {
            // Taken out by host threads: later, when the ring is full, so that the engine keeps working meanwhile.
            c.undrained[c.number % from->slots.size()] = c.chunk_bytes;
            return {};
        }
        if (to && last_leg_is_host(c, l + 1) && c.number - c.drained == to->slots.size())
            if (auto done = drain(c); !done) return done;

        auto* out_of = from ? &from->slots[c.number % from->slots.size()] : nullptr;
        auto* into = to ? &to->slots[c.number % to->slots.size()] : nullptr;
        if (hop.host_copy) { // the first leg, by host threads: the slot must be empty now
            if (into->used)
                if (auto done = runtime_.synchronize(into->drained); !done) return done;
            into->used = true;
            return each_piece(c.in, c.chunk_bytes, [&](const piece& at, std::uint64_t done) {
                return runtime_.host_copy(static_cast<char*>(to->at(slot_of(c, to))) + done, src_ + at.offset, at.bytes,
                                          hop.to);
            });
        }
        const stream_type stream = c.stream(l);
        const bool first_on_engine = !from || c.way->legs[l - 1].host_copy;
        if (first_on_engine)
            if (auto done = fork(c, l); !done) return done;
        if (out_of && !c.way->legs[l - 1].host_copy)
            if (auto done = runtime_.wait(stream, out_of->ready); !done) return done;
        if (into && into->used && to->drained_by != no_node)
            if (auto done = runtime_.wait(stream, into->drained); !done) return done;
        if (auto done = move_between(c, from, to, stream); !done) return done;
        if (into) {
            into->used = true;
            if (auto done = runtime_.record(into->ready, stream); !done) return done;
        }
        if (out_of)
            if (auto done = runtime_.record(out_of->drained, stream); !done) return done;
        return {};
    }

    [[nodiscard]] status move_direct(cursor& c) {
        if (auto done = fork(c, 0); !done) return done;
        const piece at = c.in.next(c.chunk_bytes);
        c.chunk_bytes = at.bytes; // a striped route moves a stripe a round
        return runtime_.copy(dst_ + at.offset, src_ + at.offset, at.bytes, c.stream(0));
    }

    /// A stream's first work in this copy comes after the user's stream.
    [[nodiscard]] status fork(cursor& c, std::size_t l) {
        bool& forked = c.forked[c.stream(l) == c.streams[l][0] ? 0 : 1];
        if (forked) return {};
        forked = true;
        return runtime_.wait(c.stream(l), lanes_->forked);
    }

    [[nodiscard]] status move_between(cursor& c, ring<Runtime>* from, ring<Runtime>* to, stream_type stream) {
        if (from && to) return runtime_.copy(to->at(slot_of(c, to)), from->at(slot_of(c, from)), c.chunk_bytes, stream);
        return each_piece(from ? c.out : c.in, c.chunk_bytes, [&](const piece& at, std::uint64_t done) {
            return from ? runtime_.copy(dst_ + at.offset, static_cast<char*>(from->at(slot_of(c, from))) + done,
                                        at.bytes, stream)
                        : runtime_.copy(static_cast<char*>(to->at(slot_of(c, to))) + done, src_ + at.offset, at.bytes,
                                        stream);
        });
    }

    /// Host threads take the oldest chunk out of the last ring.
    [[nodiscard]] status drain(cursor& c) {
        ring<Runtime>& from = *c.rings[c.way->leg_count - 2u];
        const std::uint32_t number = c.drained % static_cast<std::uint32_t>(from.slots.size());
        if (auto done = runtime_.synchronize(from.slots[number].ready); !done) return done;
        ++c.drained;
        return each_piece(c.out, c.undrained[number], [&](const piece& at, std::uint64_t done) {
            return runtime_.host_copy(dst_ + at.offset, static_cast<const char*>(from.at(number)) + done, at.bytes,
                                      from.node);
        });
    }

    template <class Copy>
    [[nodiscard]] static status each_piece(piece_walk& walk, std::uint64_t bytes, Copy copy) {
        for (std::uint64_t done = 0; done < bytes;) {
            const piece at = walk.next(bytes - done);
            if (auto copied = copy(at, done); !copied) return copied;
            done += at.bytes;
        }
        return {};
    }
    [[nodiscard]] static std::uint32_t slot_of(const cursor& c, const ring<Runtime>* r) noexcept {
        return c.number % static_cast<std::uint32_t>(r->slots.size());
    }
    [[nodiscard]] static std::size_t last_engine_leg(const cursor& c) noexcept {
        const std::size_t last = c.way->leg_count - 1u;
        return c.way->legs[last].host_copy ? last - 1 : last;
    }
    [[nodiscard]] static bool last_leg_is_host(const cursor& c, std::size_t l) noexcept {
        return l + 1u == c.way->leg_count && c.way->legs[l].host_copy;
    }

    /// The user's stream waits for the last leg of every route.
    [[nodiscard]] status join(flight<Runtime>& f) {
        status first_failure;
        for (std::size_t i = 0; i < cursors_.size(); ++i) {
            const cursor& c = cursors_[i];
            const std::size_t l = last_engine_leg(c);
            // The last chunk's stream first waits for the other one, so that one event stands for the route.
            const stream_type last = c.streams[l][(c.number + 1) % 2], other = c.streams[l][c.number % 2];
            if (!(last == other) && c.number > 1) {
                first_failure.keep_first(runtime_.record(f.routes[i].done, other));
                first_failure.keep_first(runtime_.wait(last, f.routes[i].done));
            }
            first_failure.keep_first(runtime_.record(f.routes[i].done, last));
            if (!(last == user_)) first_failure.keep_first(runtime_.wait(user_, f.routes[i].done));
        }
        if (f.captured) return first_failure;
        first_failure.keep_first(runtime_.record(f.finished, user_));
        first_failure.keep_first(runtime_.record(lanes_->finished, user_));
        lanes_->used = f.under_way = true;
        return first_failure;
    }

    void annotate(std::uint32_t route, std::uint32_t leg, std::uint32_t chunk) {
        if constexpr (requires { runtime_.annotate(route, leg, chunk); }) runtime_.annotate(route, leg, chunk);
    }

    Runtime& runtime_;
    char* dst_ = nullptr;
    const char* src_ = nullptr;
    stream_type user_{};
    node_index user_gpu_ = no_node, without_room_ = no_node;
    placement pieces_; ///< of the host end
    lane_set<Runtime>* lanes_ = nullptr;
    std::vector<cursor> cursors_;
};

} // namespace detail
BARELINK_END_NAMESPACE
