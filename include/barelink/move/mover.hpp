// mover<Runtime>: runs plans. Everything is enqueued by the calling thread and ordered by events.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include <barelink/move/detail/lane_pool.hpp>
#include <barelink/move/detail/peer_paths.hpp>
#include <barelink/move/detail/relay_roll.hpp>
#include <barelink/move/detail/submission.hpp>
#include <barelink/move/ticket.hpp>
#include <barelink/plan/plan_cache.hpp>

BARELINK_BEGIN_NAMESPACE

/// What a mover may use, for all its copies; see `request`.
struct mover_options {
    gpu_set relays = gpu_set::none();
    bool stage_in_host = true;
    bool trust_unproved = false;
    std::uint64_t scratch_bytes = 64 * MiB;
};

/// What a mover did so far.
struct mover_counters {
    std::uint64_t copies = 0;
    std::uint64_t bytes = 0;
    std::uint64_t direct = 0;    ///< of the copies, those that were one command in the caller's stream
    std::uint64_t captured = 0;  ///< into graphs
    std::uint64_t fallbacks = 0; ///< copies that did not go as planned; their tickets say how
};

/// Copies between any two memories of a machine, at least one of them a GPU's. Borrows the runtime, which must outlive it and
/// its tickets. One thread at a time. Owns streams, events and scratch memory, made on first use and kept.
///
/// Before a direct path between two GPUs is used for the first time, its delivery is proved (see `prove_delivery`); the
/// first plan that could use it waits for that.
///
/// Copies of pinned and device memory can be captured into a graph. The graph's copies use scratch memory of the mover,
/// which must outlive the last launch; each capture gets its own. Plan before capturing (`plan_for`, or one copy): no proof is
/// made while a stream captures, and a pair without one is not used.
template <runtime Runtime, class Planner = default_planner>
class mover {
public:
    using stream_type = typename Runtime::stream_type;
    using ticket = barelink::ticket<Runtime>;

    explicit mover(Runtime& on, mover_options options = {})
        : runtime_(on), options_(options), relays_(options.relays), cache_(Planner(on.topology())) {}
    mover(const mover&) = delete;
    mover& operator=(const mover&) = delete;

    /// Classifies a range once. Errors: what the runtime says (freed, straddling two allocations, null).
    [[nodiscard]] result<region> resolve(void* base, std::uint64_t bytes) {
        if (!base) return error(errc::invalid_argument, "a null pointer cannot be copied to or from");
        auto where = runtime_.classify(base, bytes);
        if (!where) return std::move(where).error();
        return region{base, bytes, *where};
    }

    /// Copies `bytes` from `src` to `dst` after the work in `stream`; later work in `stream` sees the bytes. Does not block,
    /// except for pageable memory: host to device returns when the source has been read, device to host when the bytes have
    /// arrived. Allocates nothing once streams, rings and the plan exist. Both ranges must stay until the copy is done.
    /// Errors: invalid_argument (null, overlapping, straddling), those of planning, those of the runtime.
    [[nodiscard]] result<ticket> copy(void* dst, const void* src, std::uint64_t bytes, stream_type stream) {
        auto ends = resolve_both(dst, src, bytes);
        if (!ends) return std::move(ends).error();
        return copy(ends->dst, ends->src, stream);
    }
    /// The same with ranges that were resolved before, for hot paths.
    [[nodiscard]] result<ticket> copy(const region& dst, const region& src, stream_type stream) {
        auto capture = runtime_.capturing(stream);
        if (!capture) return std::move(capture).error();
        for (;;) {
            auto planned = plan_for(dst, src, *capture == 0);
            if (!planned) return std::move(planned).error();
            auto started = run(**planned, dst, src, stream, *capture);
            if (started || !leave_out_full_relay(started.error(), src.bytes)) return started;
        }
    }

    /// `copy` for those who need no ticket: a plan of one direct copy is that one command and nothing else.
    [[nodiscard]] status enqueue(const region& dst, const region& src, stream_type stream) {
        auto planned = plan_if_known(dst, src);
        if (!planned) return std::move(planned).error();
        if (*planned && is_direct(**planned, runtime_.issuer(stream))) {
            ++counters_.copies;
            ++counters_.direct;
            counters_.bytes += src.bytes;
            return copy_pieces(dst, src, stream);
        }
        auto started = copy(dst, src, stream);
        return started ? status() : status(std::move(started).error());
    }

    /// The plan that `copy` would run. Proves and opens the paths between GPUs that it might use. Valid until the next call
    /// of this mover that has to plan.
    [[nodiscard]] result<const plan*> plan_for(const region& dst, const region& src) {
        return plan_for(dst, src, true);
    }
    [[nodiscard]] request request_for(const region& dst, const region& src) const noexcept;

    /// Runs a plan on two ranges of its size and kind. Stream, blocking, ownership and errors as for `copy`.
    [[nodiscard]] result<ticket> run(const plan& p, const region& dst, const region& src, stream_type stream) {
        auto capture = runtime_.capturing(stream);
        if (!capture) return std::move(capture).error();
        return run(p, dst, src, stream, *capture);
    }

    [[nodiscard]] Runtime& on() noexcept { return runtime_; }
    [[nodiscard]] const mover_counters& counters() const noexcept { return counters_; }
    /// Memory that it holds in rings, bytes.
    [[nodiscard]] std::uint64_t scratch_bytes() const noexcept { return lanes_.scratch_bytes(); }
    /// After the machine changed: plans are made anew. Relays that had no room, and pairs whose proof could not be made, are
    /// tried again.
    void forget_plans() noexcept {
        cache_.clear();
        peers_.try_again();
        relays_.try_again();
    }

private:
    struct both {
        region dst, src;
    };

    [[nodiscard]] result<both> resolve_both(void* dst, const void* src, std::uint64_t bytes) {
        auto to = resolve(dst, bytes);
        if (!to) return std::move(to).error();
        auto from = resolve(const_cast<void*>(src), bytes);
        if (!from) return std::move(from).error();
        return both{*to, *from};
    }

    [[nodiscard]] static status check_ends(const region& dst, const region& src) {
        if (src.bytes != dst.bytes)
            return error(errc::invalid_argument, "source and destination differ in size").asking(src.bytes);
        const auto a = reinterpret_cast<std::uintptr_t>(src.base), b = reinterpret_cast<std::uintptr_t>(dst.base);
        if (a < b + dst.bytes && b < a + src.bytes && src.bytes > 0)
            return error(errc::invalid_argument,
                         "source and destination overlap: copy through a buffer, or in an order that is safe")
                .asking(src.bytes);
        return {};
    }
    /// nullptr when it is not planned yet.
    [[nodiscard]] result<const plan*> plan_if_known(const region& dst, const region& src) {
        if (auto fine = check_ends(dst, src); !fine) return fine.error();
        return cache_.look(request_for(dst, src));
    }
    [[nodiscard]] result<const plan*> plan_for(const region& dst, const region& src, bool may_prove) {
        if (auto fine = check_ends(dst, src); !fine) return fine.error();
        const request asked = request_for(dst, src);
        if (const plan* known = cache_.look(asked)) return known;
        if (may_prove) {
            peers_.make_ready(asked);
            return cache_.find(asked);
        }
        // Without the proofs that it may lack the plan is good for this capture and for nothing else.
        auto made = cache_.planner().make(asked);
        if (!made) return std::move(made).error();
        captured_plan_ = std::move(*made);
        return &captured_plan_;
    }

    /// One copy engine command, or one for each piece of page-locked memory, in the user's own stream: needs no event.
    [[nodiscard]] bool is_direct(const plan& p, node_index gpu) const {
        const route& only = p.routes.front();
        return p.routes.size() == 1 && only.leg_count == 1 && only.chunk_bytes == only.bytes &&
               p.asked.stripe_bytes == 0 && issuer_of(runtime_.topology(), only.legs[0]) == gpu;
    }
    [[nodiscard]] status copy_pieces(const region& dst, const region& src, stream_type stream) {
        const placement& host = src.where.stripe_bytes > 0 ? src.where : dst.where;
        detail::piece_walk walk(0, host.stripe_bytes, host.stripe_phase, 1, 0);
        for (std::uint64_t left = src.bytes; left > 0;) {
            const detail::piece at = walk.next(left);
            if (auto done = runtime_.copy(static_cast<char*>(dst.base) + at.offset,
                                          static_cast<const char*>(src.base) + at.offset, at.bytes, stream);
                !done)
                return done;
            left -= at.bytes;
        }
        return {};
    }

    /// A relay without room for the smallest ring is left out from now on: nothing was enqueued, and the copy goes on by the
    /// plan without it. False when the error is another one.
    [[nodiscard]] bool leave_out_full_relay(const error& failure, std::uint64_t bytes) {
        if (without_room_ == no_node) return false;
        return relays_.leave_out(runtime_.topology().at(std::exchange(without_room_, no_node)), failure, bytes);
    }

    [[nodiscard]] result<ticket> run(const plan& p, const region& dst, const region& src, stream_type stream,
                                     std::uint64_t capture);
    [[nodiscard]] status run_direct(const plan& p, const region& dst, const region& src, stream_type stream,
                                    node_index gpu, detail::flight<Runtime>& f, bool captured);

    Runtime& runtime_;
    mover_options options_;
    detail::relay_roll relays_;
    node_index without_room_ = no_node; ///< of the last copy that failed
    plan_cache<Planner> cache_;
    detail::peer_paths<Runtime> peers_{runtime_};
    detail::submission<Runtime> submission_{runtime_};
    detail::lane_pool<Runtime> lanes_{runtime_};
    detail::flight_log<Runtime> flights_{runtime_};
    mover_counters counters_;
    plan captured_plan_;
};

template <runtime Runtime, class Planner>
request mover<Runtime, Planner>::request_for(const region& dst, const region& src) const noexcept {
    request asked;
    asked.from = endpoint_of(runtime_.topology(), src.where);
    asked.to = endpoint_of(runtime_.topology(), dst.where);
    asked.bytes = src.bytes;
    asked.relays = relays_.now();
    asked.stage_in_host = options_.stage_in_host;
    asked.trust_unproved = options_.trust_unproved;
    asked.scratch_bytes = options_.scratch_bytes;
    const placement& striped = src.where.kind == memory_kind::striped ? src.where : dst.where;
    if (striped.kind == memory_kind::striped) {
        asked.stripe_bytes = striped.stripe_bytes;
        asked.stripe_phase =
            striped.stripe_phase % (striped.stripe_bytes * runtime_.topology().count(node_kind::memory));
    }
    return asked;
}

template <runtime Runtime, class Planner>
result<ticket<Runtime>> mover<Runtime, Planner>::run(const plan& p, const region& dst, const region& src,
                                                     stream_type stream, std::uint64_t capture) {
    if (p.asked.bytes != src.bytes || src.bytes != dst.bytes)
        return error(errc::invalid_argument, "the plan is for another number of bytes").asking(src.bytes);
    const std::uint32_t slot = flights_.take();
    detail::flight<Runtime>& f = flights_.at(slot);
    status submitted;
    without_room_ = no_node;
    const node_index gpu = runtime_.issuer(stream);
    if (is_direct(p, gpu)) {
        submitted = run_direct(p, dst, src, stream, gpu, f, capture != 0);
        if (submitted) ++counters_.direct;
    } else {
        auto lanes = lanes_.take(stream, gpu, capture);
        if (!lanes) return std::move(lanes).error();
        submitted = submission_.run(p, dst, src, stream, gpu, **lanes, f);
        if (!submitted) without_room_ = submission_.without_room();
    }
    if (!submitted) return submitted.error();
    relays_.each_note(src.bytes, [&](const std::string& note) { f.path_notes.push_back(&note); });
    if (peers_.any_lost()) peers_.each_note(p.asked, [&](const std::string& note) { f.path_notes.push_back(&note); });
    ++counters_.copies;
    counters_.bytes += src.bytes;
    if (capture != 0) ++counters_.captured;
    if (!f.fallbacks.empty() || !f.path_notes.empty()) ++counters_.fallbacks;
    return ticket(flights_, slot, src.bytes);
}

template <runtime Runtime, class Planner>
status mover<Runtime, Planner>::run_direct(const plan& p, const region& dst, const region& src, stream_type stream,
                                           node_index gpu, detail::flight<Runtime>& f, bool captured) {
    const machine& m = runtime_.topology();
    const leg& only = p.routes.front().legs[0];
    if (auto done = f.prepare(m, p, gpu, true); !done) return done;
    if (m.at(only.from).kind == node_kind::gpu && m.at(only.to).kind == node_kind::gpu)
        if (auto opened = runtime_.open_peer(only.from, only.to); !opened) return opened;
    f.captured = captured;
    if (captured) return copy_pieces(dst, src, stream);
    if (auto done = runtime_.record(f.started, stream); !done) return done;
    status moved = copy_pieces(dst, src, stream);
    // Also when a later piece was refused: what was enqueued must have an end that can be waited for.
    const status recorded = runtime_.record(f.finished, stream);
    f.under_way = true;
    return moved ? recorded : moved;
}

BARELINK_END_NAMESPACE
