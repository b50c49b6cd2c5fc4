// The routes of one or several plans that run together: streams and rings for all, a common start, a common end. Private to move.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <barelink/move/detail/flight.hpp>
#include <barelink/move/detail/route_run.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Keeps its working memory between copies: it allocates nothing once it has seen plans of the same shape.
template <runtime Runtime>
class route_team {
public:
    using stream_type = typename Runtime::stream_type;

    explicit route_team(Runtime& on) : runtime_(on) {}

    /// Takes streams and rings for every route of every plan. The plans must stay until `join`. Nothing is enqueued.
    /// `own_streams`: no route goes in the user's stream, not even the one that could.
    [[nodiscard]] status gather(std::span<const bound_plan> plans, stream_type user, node_index user_gpu,
                                lane_set<Runtime>& lanes, flight<Runtime>& f, bool own_streams = false) {
        plans_.assign(plans.begin(), plans.end());
        user_ = user;
        user_gpu_ = user_gpu;
        lanes_ = &lanes;
        without_room_ = no_node;
        runs_.clear();
        f.captured = lanes.capture != 0;
        if (auto done = f.begin(user_gpu); !done) return done;
        bool user_taken = own_streams;
        for (const bound_plan& each : plans_) {
            if (auto done = refuse(each); !done) return done;
            if (auto done = f.add_routes(runtime_.topology(), *each.what, user_gpu); !done) return done;
            if (auto done = gather(each, user_taken, f); !done) return done;
        }
        return {};
    }

    /// Marks the moment after the user's work from which the routes may start.
    [[nodiscard]] status start(flight<Runtime>& f) {
        if (!f.captured)
            if (auto done = runtime_.record(f.started, user_); !done) return done;
        if (auto done = runtime_.record(lanes_->forked, user_); !done) return done;
        if (f.captured) return {};
        for (std::size_t i = 0; i < runs_.size(); ++i)
            if (f.routes[i].starts_alone)
                if (auto done = mark_start(runs_[i], f.routes[i].started); !done) return done;
        return {};
    }
    [[nodiscard]] typename Runtime::event_type forked() const noexcept { return lanes_->forked; }

    [[nodiscard]] std::vector<route_run<Runtime>>& runs() noexcept { return runs_; }
    [[nodiscard]] const std::vector<route_run<Runtime>>& runs() const noexcept { return runs_; }

    /// One leg of the current chunk of one route.
    [[nodiscard]] status move(std::size_t run, std::size_t leg) {
        if constexpr (requires { runtime_.annotate(0u, 0u, 0u); })
            runtime_.annotate(static_cast<std::uint32_t>(run), static_cast<std::uint32_t>(leg), runs_[run].number);
        return runs_[run].move(runtime_, leg, lanes_->forked);
    }
    /// Host threads empty the last rings of routes that end in pageable memory.
    [[nodiscard]] status drain_all() {
        for (route_run<Runtime>& run : runs_)
            while (run.ends_by_host() && run.drained < run.number)
                if (auto done = run.drain(runtime_); !done) return done;
        return {};
    }

    /// The user's stream waits for the last leg of every route. Also after a failure: the stream must not overtake what was
    /// enqueued.
    [[nodiscard]] status join(flight<Runtime>& f) {
        status first_failure;
        for (std::size_t i = 0; i < runs_.size(); ++i) {
            const route_run<Runtime>& run = runs_[i];
            const std::size_t l = run.last_engine_leg();
            // The last chunk's stream first waits for the other one, so that one event stands for the route.
            const stream_type last = run.streams[l][(run.number + 1) % 2], other = run.streams[l][run.number % 2];
            if (!(last == other) && run.number > 1) {
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
    /// A failure halfway may have left work that nothing waits for: then this thread does. In a capture nothing runs.
    void settle(const flight<Runtime>& f) {
        if (!f.captured) (void)lanes_->quiet();
    }

    /// The memory that had no room for a ring; none when it failed otherwise. Nothing was enqueued then.
    [[nodiscard]] node_index without_room() const noexcept { return without_room_; }

private:
    [[nodiscard]] status refuse(const bound_plan& p) const {
        if (p.what->asked.bytes != p.src.bytes || p.src.bytes != p.dst.bytes)
            return error(errc::invalid_argument, "the plan is for another number of bytes").asking(p.src.bytes);
        if (p.by_stripes() && p.what->asked.stripe_bytes == 0 && runtime_.topology().count(node_kind::memory) > 1)
            return error(errc::invalid_argument, "a plan for host:all runs only with the stripes of its buffer: set "
                                                 "request::stripe_bytes, or let the mover plan");
        if (lanes_->capture == 0) return {};
        for (const route& r : p.what->routes)
            for (const leg& l : r.path())
                if (l.host_copy)
                    return error(errc::unsupported,
                                 "pageable memory cannot be captured into a graph: its bytes pass through "
                                 "host threads; pin it");
        return {};
    }

    [[nodiscard]] status gather(const bound_plan& p, bool& user_taken, flight<Runtime>& f) {
        const std::vector<route>& routes = p.what->routes;
        std::uint64_t part_start = 0;
        for (std::size_t i = 0; i < routes.size(); ++i) {
            const route& r = routes[i];
            if (i == 0 || r.part != routes[i - 1].part) part_start = r.offset;
            route_run<Runtime> run;
            run.way = &r;
            run.ends = &p;
            run.numa_nodes = runtime_.topology().count(node_kind::memory);
            run.chunk_at = p.by_stripes() ? r.offset - part_start : r.offset;
            run.most_chunk_bytes = r.chunk_bytes;
            if (auto done = take_rings(run); !done) return done;
            if (run.most_chunk_bytes < r.chunk_bytes)
                f.fallbacks.push_back("route " + std::to_string(runs_.size()) + ": no room for its ring on " +
                                      runtime_.topology().at(r.legs[0].to).id() + ", chunks of " +
                                      std::to_string(run.most_chunk_bytes) + " bytes instead of " +
                                      std::to_string(r.chunk_bytes));
            if (auto done = take_streams(run, user_taken); !done) return done;
            runs_.push_back(run);
        }
        return {};
    }

    [[nodiscard]] status take_rings(route_run<Runtime>& run) {
        const route& r = *run.way;
        for (std::size_t l = 0; l + 1 < r.leg_count; ++l) {
            const node_index where = r.legs[l].to;
            const node_index filled_by = issuer(r.legs[l]), drained_by = issuer(r.legs[l + 1]);
            auto taken = lanes_->take_ring(where, filled_by, drained_by, ordinal(run, l, where, filled_by, drained_by),
                                           r.chunk_bytes, r.depth);
            if (!taken) {
                if (taken.error().code() == errc::out_of_memory) without_room_ = where;
                return taken.error();
            }
            run.rings[l] = *taken;
            if ((*taken)->slot_bytes < run.most_chunk_bytes) run.most_chunk_bytes = (*taken)->slot_bytes;
        }
        return {};
    }
    [[nodiscard]] status take_streams(route_run<Runtime>& run, bool& user_taken) {
        const machine& m = runtime_.topology();
        const route& r = *run.way;
        for (std::size_t l = 0; l < r.leg_count; ++l) {
            if (r.legs[l].host_copy) continue;
            if (m.at(r.legs[l].from).kind == node_kind::gpu && m.at(r.legs[l].to).kind == node_kind::gpu)
                if (auto opened = runtime_.open_peer(r.legs[l].from, r.legs[l].to); !opened) return opened;
            const node_index gpu = issuer(r.legs[l]);
            const bool whole = r.leg_count == 1 && r.chunk_bytes == r.bytes;
            if (!user_taken && whole && user_gpu_ == gpu) {
                user_taken = true;
                run.streams[l] = {user_, user_}; // the first direct route needs no stream of its own
                run.forked = {true, true};
                continue;
            }
            for (std::size_t turn = 0; turn < 2; ++turn) {
                if (turn == 1 && whole) {
                    run.streams[l][1] = run.streams[l][0];
                    continue;
                }
                auto taken = lanes_->take_stream(gpu);
                if (!taken) return taken.error();
                run.streams[l][turn] = *taken;
            }
        }
        return {};
    }

    /// The GPU that issues a leg; none for host threads.
    [[nodiscard]] node_index issuer(const leg& l) const {
        return l.host_copy ? no_node : issuer_of(runtime_.topology(), l);
    }

    /// Rings of one team with the same memory and the same GPUs are told apart by their order.
    [[nodiscard]] std::uint32_t ordinal(const route_run<Runtime>& self, std::size_t upto, node_index node,
                                        node_index filled_by, node_index drained_by) const noexcept {
        std::uint32_t same = 0;
        const auto count = [&](const route_run<Runtime>& run, std::size_t rings) {
            for (std::size_t l = 0; l < rings; ++l)
                same += run.rings[l]->node == node && run.rings[l]->filled_by == filled_by &&
                        run.rings[l]->drained_by == drained_by;
        };
        for (const route_run<Runtime>& run : runs_) count(run, run.way->leg_count - 1u);
        count(self, upto);
        return same;
    }

    /// For routes that end on another GPU than the user's, the time at which that GPU may start: in the stream that begins
    /// the route when it is the same GPU's.
    [[nodiscard]] status mark_start(route_run<Runtime>& run, typename Runtime::event_type started) {
        const std::size_t first = run.first_engine_leg(), last = run.last_engine_leg();
        const bool same = issuer(run.way->legs[first]) == issuer(run.way->legs[last]);
        const std::size_t l = same ? first : last;
        if (auto done = runtime_.wait(run.streams[l][0], lanes_->forked); !done) return done;
        if (same) run.forked[0] = true;
        return runtime_.record(started, run.streams[l][0]);
    }

    Runtime& runtime_;
    stream_type user_{};
    node_index user_gpu_ = no_node, without_room_ = no_node;
    lane_set<Runtime>* lanes_ = nullptr;
    std::vector<bound_plan> plans_;
    std::vector<route_run<Runtime>> runs_;
};

} // namespace detail
BARELINK_END_NAMESPACE
