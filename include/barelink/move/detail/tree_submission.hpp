// A broadcast plan onto streams: fork from the user's stream, chunks down the trees, join. Private to move.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <barelink/move/detail/event_shelf.hpp>
#include <barelink/move/detail/flight.hpp>
#include <barelink/move/detail/tree_run.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

template <runtime Runtime>
class tree_submission {
public:
    using stream_type = typename Runtime::stream_type;

    explicit tree_submission(Runtime& on) : runtime_(on) {}

    [[nodiscard]] status run(const bound_broadcast& ends, stream_type user, node_index user_gpu,
                             lane_set<Runtime>& lanes, flight<Runtime>& f) {
        user_ = user;
        lanes_ = &lanes;
        without_room_ = no_node;
        f.captured = lanes.capture != 0;
        if (auto done = f.begin(user_gpu); !done) return done;
        if (auto done = set_out(ends, user_gpu, f); !done) return done;
        status moved = start(f);
        if (moved) moved = move_chunks(ends);
        status joined = join(f);
        if ((!moved || !joined) && !f.captured) (void)lanes.quiet();
        return moved ? joined : moved;
    }
    /// See `route_team`.
    [[nodiscard]] node_index without_room() const noexcept { return without_room_; }

private:
    using run_type = tree_run<Runtime>;

    [[nodiscard]] status set_out(const bound_broadcast& ends, node_index user_gpu, flight<Runtime>& f) {
        const broadcast_plan& p = *ends.what;
        shelf_.rewind();
        rings_.clear();
        runs_.resize(p.trees.size());
        std::uint64_t part_start = 0;
        for (std::size_t i = 0; i < p.trees.size(); ++i) {
            const tree& t = p.trees[i];
            if (i == 0 || t.part != p.trees[i - 1].part) part_start = t.offset;
            run_type& run = runs_[i];
            run.way = &t;
            run.left = t.bytes;
            run.number = 0;
            run.chunk_at = p.asked.from.where == endpoint::place::striped_host ? t.offset - part_start : t.offset;
            run.lanes.clear();
            std::uint64_t most = t.chunk_bytes;
            for (const tree_arc& a : p.arcs_of(t))
                if (auto done = add_lane(ends, run, a, t, most); !done) return done;
            if (most < t.chunk_bytes)
                f.fallbacks.push_back("tree " + std::to_string(i) + ": no room for its ring, chunks of " +
                                      std::to_string(most) + " bytes instead of " + std::to_string(t.chunk_bytes));
            run.most_chunk_bytes = most;
            for (auto& l : run.lanes) {
                if (l.arc->parent < 0) continue;
                auto& parent = run.lanes[static_cast<std::size_t>(l.arc->parent)];
                parent.leaf = false;
                parent.awaited = true;
                l.awaited |= parent.slot_bytes > 0;
            }
            if (auto done = f.add_route(last_leaf(run).gpu, t.bytes, user_gpu); !done) return done;
        }
        return {};
    }

    [[nodiscard]] status add_lane(const bound_broadcast& ends, run_type& run, const tree_arc& a, const tree& t,
                                  std::uint64_t& most) {
        const machine& m = runtime_.topology();
        typename run_type::lane l;
        l.arc = &a;
        l.gpu = issuer(a);
        if (m.at(a.from).kind == node_kind::gpu && m.at(a.to).kind == node_kind::gpu)
            if (auto opened = runtime_.open_peer(a.from, a.to); !opened) return opened;
        if (a.ring) {
            node_index drained_by = l.gpu;
            for (const tree_arc& child : ends.what->arcs_of(t))
                if (child.parent >= 0 && &ends.what->arcs_of(t)[static_cast<std::size_t>(child.parent)] == &a)
                    drained_by = issuer(child);
            auto taken = lanes_->take_ring(a.to, l.gpu, drained_by, ordinal(a.to, l.gpu, drained_by), t.chunk_bytes,
                                           run_type::depth);
            if (!taken) {
                if (taken.error().code() == errc::out_of_memory) without_room_ = a.to;
                return taken.error();
            }
            l.to = static_cast<char*>((*taken)->base);
            l.slot_bytes = (*taken)->slot_bytes;
            if (l.slot_bytes < most) most = l.slot_bytes;
        } else {
            l.to = ends.place_on(a.to);
        }
        for (std::size_t turn = 0; turn < 2; ++turn) {
            if (turn == 1 && !needs_two(a, t)) {
                l.streams[1] = l.streams[0];
                continue;
            }
            auto stream = lanes_->take_stream(l.gpu);
            if (!stream) return stream.error();
            l.streams[turn] = *stream;
        }
        for (auto& moved : l.moved) {
            auto event = shelf_.take(l.gpu);
            if (!event) return event.error();
            moved = *event;
        }
        run.lanes.push_back(l);
        return {};
    }
    /// Where an arc fills half of its path or more, its completions must not keep the engine waiting.
    [[nodiscard]] static bool needs_two(const tree_arc& a, const tree& t) noexcept {
        return t.levels > 1 && t.gb_s > 0.5 * a.path_gb_s;
    }
    [[nodiscard]] node_index issuer(const tree_arc& a) const {
        leg l;
        l.from = a.from;
        l.to = a.to;
        l.pulled = a.pulled;
        return issuer_of(runtime_.topology(), l);
    }
    [[nodiscard]] std::uint32_t ordinal(node_index node, node_index filled_by, node_index drained_by) {
        std::uint32_t same = 0;
        for (const ring_name& r : rings_)
            same += r.node == node && r.filled_by == filled_by && r.drained_by == drained_by;
        rings_.push_back({node, filled_by, drained_by});
        return same;
    }
    [[nodiscard]] static typename run_type::lane& last_leaf(run_type& run) noexcept { return run.lanes.back(); }

    [[nodiscard]] status start(flight<Runtime>& f) {
        if (!f.captured)
            if (auto done = runtime_.record(f.started, user_); !done) return done;
        if (auto done = runtime_.record(lanes_->forked, user_); !done) return done;
        if (f.captured) return {};
        for (std::size_t i = 0; i < runs_.size(); ++i) {
            if (!f.routes[i].starts_alone) continue;
            auto& l = last_leaf(runs_[i]);
            if (auto done = runtime_.wait(l.streams[0], lanes_->forked); !done) return done;
            if (l.arc->parent < 0) l.forked[0] = true;
            if (auto done = runtime_.record(f.routes[i].started, l.streams[0]); !done) return done;
        }
        return {};
    }

    /// Chunk by chunk over all trees, and within a round level by level, arc by arc: every engine gets its first work early.
    [[nodiscard]] status move_chunks(const bound_broadcast& ends) {
        const std::uint64_t numa_nodes = runtime_.topology().count(node_kind::memory);
        for (bool more = true; more;) {
            more = false;
            std::size_t arcs = 0;
            for (run_type& run : runs_) {
                run.chunk_bytes = run.left < run.most_chunk_bytes ? run.left : run.most_chunk_bytes;
                more |= run.chunk_bytes > 0;
                if (run.lanes.size() > arcs) arcs = run.lanes.size();
            }
            for (std::size_t a = 0; more && a < arcs; ++a)
                for (run_type& run : runs_) {
                    if (a >= run.lanes.size() || run.chunk_bytes == 0) continue;
                    if (auto done = run.move(runtime_, a, ends, numa_nodes, lanes_->forked); !done) return done;
                }
            for (run_type& run : runs_) {
                if (run.chunk_bytes == 0) continue;
                run.left -= run.chunk_bytes;
                run.chunk_at += run.chunk_bytes;
                ++run.number;
            }
        }
        return {};
    }

    /// The user's stream waits for every tree, a tree's last stream for its other leaves. Also after a failure.
    [[nodiscard]] status join(flight<Runtime>& f) {
        status first_failure;
        for (std::size_t i = 0; i < runs_.size(); ++i) {
            run_type& run = runs_[i];
            auto& last = last_leaf(run);
            const stream_type end = last.streams[0];
            for (auto& l : run.lanes) {
                if (!l.leaf) continue;
                // The second stream has no work when there was one chunk: in a capture it is not part of it.
                for (std::size_t turn = 0; turn < 2 && turn < run.number; ++turn) {
                    const stream_type s = l.streams[turn];
                    if (s == end || (turn == 1 && s == l.streams[0])) continue;
                    first_failure.keep_first(runtime_.record(l.moved[turn], s));
                    first_failure.keep_first(runtime_.wait(end, l.moved[turn]));
                }
            }
            first_failure.keep_first(runtime_.record(f.routes[i].done, end));
            first_failure.keep_first(runtime_.wait(user_, f.routes[i].done));
        }
        if (f.captured) return first_failure;
        first_failure.keep_first(runtime_.record(f.finished, user_));
        first_failure.keep_first(runtime_.record(lanes_->finished, user_));
        lanes_->used = f.under_way = true;
        return first_failure;
    }

    struct ring_name {
        node_index node, filled_by, drained_by;
    };

    Runtime& runtime_;
    stream_type user_{};
    node_index without_room_ = no_node;
    lane_set<Runtime>* lanes_ = nullptr;
    event_shelf<Runtime> shelf_{runtime_, false};
    std::vector<run_type> runs_;
    std::vector<ring_name> rings_;
};

} // namespace detail
BARELINK_END_NAMESPACE
