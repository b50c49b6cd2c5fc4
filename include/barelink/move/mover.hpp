// mover<Runtime>: runs plans. Everything is enqueued by the calling thread and ordered by events.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include <barelink/move/detail/block_mover.hpp>
#include <barelink/move/detail/lane_pool.hpp>
#include <barelink/move/detail/plan_book.hpp>
#include <barelink/move/detail/submission.hpp>
#include <barelink/move/detail/tree_submission.hpp>
#include <barelink/move/job.hpp>
#include <barelink/move/ticket.hpp>

BARELINK_BEGIN_NAMESPACE

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
    using job = barelink::job<Runtime>;

    explicit mover(Runtime& on, mover_options options = {})
        : runtime_(on), book_(on, options), lanes_(on, options.relay_bytes) {}
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
            auto planned = book_.plan_for(dst, src, *capture == 0);
            if (!planned) return std::move(planned).error();
            auto started = run(**planned, dst, src, stream, *capture);
            if (started || !leave_out_full_relay(started.error(), src.bytes)) return started;
        }
    }

    /// `copy` for those who need no ticket: a plan of one direct copy is that one command and nothing else.
    [[nodiscard]] status enqueue(const region& dst, const region& src, stream_type stream) {
        auto planned = book_.plan_if_known(dst, src);
        if (!planned) return std::move(planned).error();
        if (*planned && !jobs_.any_background() && is_direct(**planned, runtime_.issuer(stream))) {
            ++counters_.copies;
            ++counters_.direct;
            counters_.bytes += src.bytes;
            return copy_as_one(dst, src, stream);
        }
        auto started = copy(dst, src, stream);
        return started ? status() : status(std::move(started).error());
    }

    /// The plan that `copy` would run. Proves and opens the paths between GPUs that it might use. Valid until the next call
    /// of this mover that has to plan.
    [[nodiscard]] result<const plan*> plan_for(const region& dst, const region& src) {
        return book_.plan_for(dst, src, true);
    }
    [[nodiscard]] request request_for(const region& dst, const region& src) const noexcept {
        return book_.request_for(dst, src);
    }

    /// Runs a plan on two ranges of its size and kind. Stream, blocking, ownership and errors as for `copy`.
    [[nodiscard]] result<ticket> run(const plan& p, const region& dst, const region& src, stream_type stream) {
        auto capture = runtime_.capturing(stream);
        if (!capture) return std::move(capture).error();
        return run(p, dst, src, stream, *capture);
    }

    /// Copies that are planned to run together, so that the slowest ends as early as possible: what shares links is known before.
    /// One ticket for all; its routes are those of all plans in order. Stream, blocking, ownership and errors as for `copy`;
    /// errors name the transfer. `scattered`, `gathered`, `scattered_columns` and `exchanged` make such lists.
    [[nodiscard]] result<ticket> copy_together(std::span<const transfer> together, stream_type stream);
    /// The next bytes of `src` to each destination in turn; see `scattered`.
    [[nodiscard]] result<ticket> scatter(std::span<const region> dst, const region& src, stream_type stream) {
        return together_if(scattered(dst, src), stream);
    }
    /// All sources, one after the other, into `dst`.
    [[nodiscard]] result<ticket> gather(const region& dst, std::span<const region> src, stream_type stream) {
        return together_if(gathered(dst, src), stream);
    }
    /// Every GPU to every other; see `exchanged`.
    [[nodiscard]] result<ticket> exchange(std::span<const region> dst, std::span<const region> src,
                                          stream_type stream) {
        return together_if(exchanged(dst, src), stream);
    }
    /// The plans that `copy_together` would run, one for each. Valid until the next call of this mover that has to plan.
    [[nodiscard]] result<std::span<const plan>> plans_for(std::span<const transfer> together) {
        return book_.plans_for(together, true);
    }

    /// The same bytes to every destination, one on each GPU, from pinned memory or from another GPU: every host link carries its
    /// part once, the links between GPUs the rest, in chunks. Contiguous ranges. Ticket, stream, ownership and errors as for `copy`;
    /// its routes are the plan's trees.
    [[nodiscard]] result<ticket> broadcast(std::span<const region> dst, const region& src, stream_type stream);
    [[nodiscard]] result<const broadcast_plan*> plan_for(std::span<const region> dst, const region& src) {
        return book_.plan_for(dst, src, true);
    }

    /// Scattered blocks, thousands of them, of any size: between pinned or pageable memory and GPUs, within a GPU and between GPUs,
    /// of several allocations and registrations, all in one call. Neighbours are merged, blocks are cut where page-locked memory
    /// is, and what goes between the same two places goes the way that costs least (`block_way`); each pair of places is a route
    /// of the ticket. Blocks may be read more than once; which of two that write the same bytes wins is not said. Empty ones are
    /// skipped. Stream and ownership as for `copy`, blocking too: only for pageable memory, and where `batch_options::may_block`
    /// says so, and while eight kernels' lists are in flight. Allocates nothing once a list of its size has run.
    /// Errors: those of `copy`, of the first bad entry, with its number; nothing is enqueued then. unsupported when the way that
    /// the options name cannot be taken.
    [[nodiscard]] result<ticket> copy_batch(std::span<const block> list, stream_type stream,
                                            batch_options options = {}) {
        return blocks_once(list, stream, options);
    }
    [[nodiscard]] result<ticket> copy_batch(const block_arrays& arrays, stream_type stream,
                                            batch_options options = {}) {
        return blocks_once(arrays, stream, options);
    }
    [[nodiscard]] result<ticket> copy_batch(const paged_blocks& pages, stream_type stream, batch_options options = {});

    /// Checks and plans a batch without running it; `run` then does so with other lists between the same places, in streams of
    /// any kind, without asking or planning again. Proves paths between GPUs. Errors: as for `copy_batch`.
    [[nodiscard]] result<prepared_batch> prepare(std::span<const block> list, stream_type stream,
                                                 batch_options options = {}) {
        return prepare_blocks(list, stream, options);
    }
    [[nodiscard]] result<prepared_batch> prepare(const block_arrays& arrays, stream_type stream,
                                                 batch_options options = {}) {
        return prepare_blocks(arrays, stream, options);
    }
    [[nodiscard]] result<prepared_batch> prepare(const paged_blocks& pages, stream_type stream,
                                                 batch_options options = {});
    /// Runs a prepared batch with these block numbers, or with this list. Errors as for `copy_batch`; block numbers are checked
    /// against the caches that it was prepared for. Places that it does not know yet are planned and remembered.
    [[nodiscard]] result<ticket> run(prepared_batch& prepared, const block_numbers& to, const block_numbers& from,
                                     stream_type stream) {
        if (auto listed = blocks_.collect(prepared, to, from); !listed) return listed.error();
        return run_blocks(prepared, stream);
    }
    [[nodiscard]] result<ticket> run(prepared_batch& prepared, std::span<const block> list, stream_type stream) {
        if (auto listed = blocks_.collect(prepared, list); !listed) return listed.error();
        return run_blocks(prepared, stream);
    }

    /// A copy that this thread feeds chunk by chunk from now on: adaptive, in the background, with progress, to be cancelled.
    /// See `job` for stream, blocking and ownership. Errors: unsupported for pageable memory (pin it) and in a stream that is
    /// captured, and those of `copy`.
    [[nodiscard]] result<job> start(const region& dst, const region& src, stream_type stream, job_options chosen = {});
    [[nodiscard]] result<job> start(void* dst, const void* src, std::uint64_t bytes, stream_type stream,
                                    job_options chosen = {}) {
        auto ends = resolve_both(dst, src, bytes);
        if (!ends) return std::move(ends).error();
        return start(ends->dst, ends->src, stream, chosen);
    }
    /// Feeds all jobs with what their routes can take. Does not block. What fails shows in the jobs.
    void progress() { jobs_.progress(); }

    [[nodiscard]] Runtime& on() noexcept { return runtime_; }
    [[nodiscard]] const mover_counters& counters() const noexcept { return counters_; }
    /// Memory that it holds in rings, bytes.
    [[nodiscard]] std::uint64_t scratch_bytes() const noexcept {
        return lanes_.scratch_bytes() + blocks_.scratch_bytes();
    }
    /// The same on one node: a GPU that relays (at most `mover_options::relay_bytes`), or a NUMA node.
    [[nodiscard]] std::uint64_t scratch_bytes(node_index node) const noexcept { return lanes_.scratch_bytes(node); }
    /// After the machine changed: plans are made anew. Relays that had no room, and pairs whose proof could not be made, are
    /// tried again.
    void forget_plans() noexcept { book_.forget(); }

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

    /// One copy engine command, or one for each piece of page-locked memory, in the user's own stream: needs no event.
    [[nodiscard]] bool is_direct(const plan& p, node_index gpu) const {
        const route& only = p.routes.front();
        return p.routes.size() == 1 && only.leg_count == 1 && only.chunk_bytes == only.bytes &&
               p.asked.stripe_bytes == 0 && issuer_of(runtime_.topology(), only.legs[0]) == gpu;
    }
    [[nodiscard]] status copy_as_one(const region& dst, const region& src, stream_type stream) {
        return detail::copy_rows(runtime_, detail::side_of(dst), 0, detail::side_of(src), 0, src.bytes, stream);
    }

    /// A relay without room for the smallest ring is left out from now on, or of this copy when only the mover's budget is used
    /// up: nothing was enqueued, and the copy goes on by the plan without it. False when the error is another one.
    [[nodiscard]] bool leave_out_full_relay(const error& failure, std::uint64_t bytes) {
        const node_index full = std::exchange(without_room_, no_node);
        if (full != no_node && book_.leave_out(full, failure, bytes, lanes_.over_budget())) return true;
        book_.welcome_back();
        return false;
    }
    [[nodiscard]] result<ticket> together_if(result<std::vector<transfer>> listed, stream_type stream) {
        if (!listed) return std::move(listed).error();
        return copy_together(*listed, stream);
    }
    /// Gives `submit(GPU of the stream, lanes, flight) -> status` what it works with, and books the copy when it succeeds.
    template <class Submit>
    [[nodiscard]] result<ticket> launch(stream_type stream, std::uint64_t capture, std::uint64_t bytes, Submit submit);
    void note_losses(detail::flight<Runtime>& f, const request& asked) {
        book_.each_note(asked, [&](const std::string& note) { f.path_notes.push_back(&note); });
        for (const std::string& note : book_.passing_notes()) f.fallbacks.push_back(note);
        book_.welcome_back();
    }
    [[nodiscard]] result<ticket> book(std::uint32_t slot, std::uint64_t capture, std::uint64_t bytes);

    [[nodiscard]] result<ticket> run(const plan& p, const region& dst, const region& src, stream_type stream,
                                     std::uint64_t capture);
    [[nodiscard]] status run_direct(const plan& p, const region& dst, const region& src, stream_type stream,
                                    node_index gpu, detail::flight<Runtime>& f, bool captured);

    template <class List>
    [[nodiscard]] result<ticket> blocks_once(const List& list, stream_type stream, const batch_options& options);
    template <class List>
    [[nodiscard]] result<prepared_batch> prepare_blocks(const List& list, stream_type stream,
                                                        const batch_options& options);
    [[nodiscard]] status plan_blocks(prepared_batch& batch, stream_type stream, bool may_prove);
    [[nodiscard]] result<ticket> run_blocks(prepared_batch& batch, stream_type stream);

    Runtime& runtime_;
    detail::plan_book<Runtime, Planner> book_;
    node_index without_room_ = no_node; ///< of the last copy that failed
    detail::submission<Runtime> submission_{runtime_};
    detail::tree_submission<Runtime> trees_{runtime_};
    std::vector<detail::bound_plan> bound_;
    detail::block_mover<Runtime> blocks_{runtime_};
    detail::lane_pool<Runtime> lanes_;
    detail::flight_log<Runtime> flights_{runtime_};
    detail::job_board<Runtime> jobs_{runtime_, lanes_, flights_};
    mover_counters counters_;
};

BARELINK_END_NAMESPACE

#include <barelink/move/detail/job_start.hpp>
#include <barelink/move/detail/mover_blocks.hpp>
#include <barelink/move/detail/mover_runs.hpp>
