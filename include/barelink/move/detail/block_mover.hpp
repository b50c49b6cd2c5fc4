// Batches of blocks: listed, planned, and put onto streams. Private to move.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <barelink/move/detail/block_bounce.hpp>
#include <barelink/move/detail/flight.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Keeps its working memory between batches: one like the last one costs no allocation.
template <runtime Runtime>
class block_mover {
public:
    using stream_type = typename Runtime::stream_type;

    explicit block_mover(Runtime& on) : runtime_(on) {}

    /// For batches that are not prepared: one at a time.
    [[nodiscard]] prepared_batch& unprepared(const batch_options& options) {
        once_.options_ = options;
        once_.paged_ = false;
        once_.extents_.clear();
        once_.groups_.clear();
        return once_;
    }

    /// Checks and sorts a list. Nothing is enqueued. Errors: those of the first bad entry, with its number.
    [[nodiscard]] status collect(prepared_batch& batch, std::span<const block> list) {
        list_.begin(batch.extents_);
        for (std::size_t i = 0; i < list.size(); ++i)
            if (auto done = list_.add(list[i].to, list[i].from, list[i].bytes, i); !done) return done;
        return {};
    }
    [[nodiscard]] status collect(prepared_batch& batch, const block_arrays& arrays) {
        if (arrays.to.size() != arrays.from.size() || arrays.to.size() != arrays.bytes.size())
            return error(errc::invalid_argument, "the arrays of a batch differ in length");
        list_.begin(batch.extents_);
        for (std::size_t i = 0; i < arrays.to.size(); ++i)
            if (auto done = list_.add(reinterpret_cast<const void*>(static_cast<std::uintptr_t>(arrays.to[i])),
                                      reinterpret_cast<const void*>(static_cast<std::uintptr_t>(arrays.from[i])),
                                      arrays.bytes[i], i);
                !done)
                return done;
        return {};
    }
    /// Blocks by their numbers, of the caches that the batch was prepared for.
    [[nodiscard]] status collect(prepared_batch& batch, const block_numbers& to, const block_numbers& from) {
        if (!batch.paged_)
            return error(errc::invalid_argument, "this batch was prepared for a list of blocks, not for block numbers");
        if (to.size() != from.size())
            return error(errc::invalid_argument, "the two lists of block numbers differ in length");
        const paged_blocks& pages = batch.pages_;
        for (std::size_t i = 0; i < to.size(); ++i) // negative ones become large
            if (static_cast<std::uint64_t>(to[i]) >= pages.to.blocks ||
                static_cast<std::uint64_t>(from[i]) >= pages.from.blocks)
                return no_such_block(i, pages, to[i], from[i]);
        list_.begin(batch.extents_);
        for (std::uint64_t layer = 0; layer < pages.layers; ++layer) {
            auto* const into = static_cast<char*>(pages.to.base) + layer * pages.to.layer_stride;
            const auto* const out_of = static_cast<const char*>(pages.from.base) + layer * pages.from.layer_stride;
            for (std::size_t i = 0; i < to.size(); ++i)
                if (auto done = list_.add(into + static_cast<std::uint64_t>(to[i]) * pages.to.block_stride,
                                          out_of + static_cast<std::uint64_t>(from[i]) * pages.from.block_stride,
                                          pages.block_bytes, i);
                    !done)
                    return done;
        }
        return {};
    }
    /// Takes over the geometry and finds out how many blocks there are where the caller does not say.
    [[nodiscard]] status describe(prepared_batch& batch, const paged_blocks& pages) {
        batch.pages_ = pages;
        batch.pages_.to_numbers = batch.pages_.from_numbers = {};
        batch.paged_ = true;
        paged_blocks& own = batch.pages_;
        if (own.block_bytes == 0 || own.layers == 0)
            return error(errc::invalid_argument, "a paged batch needs a block size and a layer");
        for (paged_side* side : {&own.to, &own.from}) {
            if (side->block_stride == 0) side->block_stride = own.block_bytes;
            if (auto done = count_blocks(*side, own); !done) return done;
        }
        // Layers that follow one another within each block are a larger block.
        if (own.layers > 1 && own.to.layer_stride == own.block_bytes && own.from.layer_stride == own.block_bytes) {
            own.block_bytes *= own.layers;
            own.layers = 1;
        }
        return {};
    }

    [[nodiscard]] std::span<block_group> groups() noexcept { return list_.groups(); }

    /// Plans the groups that the batch has no plan for. `direct(from, to)`: may two GPUs' direct path be used?
    template <class Direct>
    [[nodiscard]] status make_plans(prepared_batch& batch, stream_type stream, Direct direct) {
        for (block_group& group : list_.groups()) {
            const planned_blocks* known = nullptr;
            for (const planned_blocks& each : batch.groups_)
                if (list_.same_places(each, group.places)) known = &each;
            if (!known) {
                block_means with;
                with.batch = runtime_.can_copy_many(stream);
                if constexpr (has_block_kernels<Runtime>) with.kernel = runtime_.has_block_kernel();
                with.may_block = batch.options_.may_block;
                with.multiprocessors = batch.options_.multiprocessors;
                if (with.multiprocessors < 1)
                    return error(errc::invalid_argument, "batch_options::multiprocessors must be 1 or more");
                if (two_gpus(group.places)) with.direct = direct(group.places.from, group.places.to);
                const block_summary asked = summary_of(group, list_.known(), is_gpu(group.places.from));
                group.places.plan = plan_blocks(runtime_.topology(), asked, with);
                if (auto done = take_named(group.places.plan, batch.options_); !done) return done;
                batch.groups_.push_back(group.places);
            } else {
                group.places.plan = known->plan;
            }
        }
        return {};
    }

    /// Do these blocks go from one GPU to another?
    [[nodiscard]] bool two_gpus(const planned_blocks& places) const noexcept {
        return places.from != places.to && is_gpu(places.from) && is_gpu(places.to);
    }
    /// Bytes in all groups.
    [[nodiscard]] std::uint64_t bytes() noexcept {
        std::uint64_t sum = 0;
        for (const block_group& each : list_.groups()) sum += each.bytes;
        return sum;
    }

    /// What the stream does not allow gives way to what it does; the flight says so. Errors: unsupported when nothing is left.
    [[nodiscard]] status adapt(prepared_batch& batch, stream_type stream, bool captured, flight<Runtime>& f) {
        for (block_group& group : list_.groups()) {
            block_plan& plan = group.places.plan;
            const bool batches =
                plan.way == block_way::batch || (plan.way == block_way::bounce && plan.ring_way == block_way::batch);
            const bool by_host = plan.way == block_way::bounce && !two_gpus(group.places);
            const bool can_batch = !captured && (!plan.with.batch || runtime_.can_copy_many(stream));
            if (!(batches && !can_batch) && !(by_host && captured)) continue;
            block_means with = plan.with;
            with.batch = with.batch && can_batch;
            with.captured = captured;
            const block_plan other = plan_blocks(runtime_.topology(), plan.asked, with);
            if (!other.possible(other.way))
                return error(errc::unsupported,
                             "pageable memory cannot be captured into a graph: its bytes pass through host threads; "
                             "pin it");
            if (captured && batch.options_.choose == batch_options::choice::named && plan.way == block_way::bounce &&
                other.way != block_way::bounce)
                return error(errc::unsupported, "host threads cannot be captured into a graph: choose another way");
            f.fallbacks.push_back(
                std::string("blocks go ") + to_string(other.way) + " instead of " + to_string(plan.way) +
                (captured ? ": the stream is being captured into a graph" : ": the stream takes no batch copies"));
            plan = other;
        }
        return {};
    }

    /// Can it all go in the caller's stream?
    [[nodiscard]] bool is_direct(node_index user_gpu) noexcept {
        const auto all = list_.groups();
        return all.empty() ||
               (all.size() == 1 && all[0].places.plan.way != block_way::bounce && issuer_of(all[0].places) == user_gpu);
    }
    /// In the caller's stream alone.
    [[nodiscard]] status run_direct(const prepared_batch& batch, stream_type user, node_index user_gpu,
                                    flight<Runtime>& f, bool captured) {
        f.captured = captured;
        f.add_direct(bytes());
        for (const block_group& group : list_.groups())
            if (auto opened = open(group); !opened) return opened;
        if (!captured)
            if (auto done = runtime_.record(f.started, user); !done) return done;
        status moved;
        for (block_group& group : list_.groups())
            moved = issue_.issue(group.places.plan.way, group.blocks, place(batch, group, user, user_gpu, captured));
        if (captured) return moved;
        // Also when a later block was refused: what was enqueued must have an end that can be waited for.
        const status recorded = runtime_.record(f.finished, user);
        f.under_way = true;
        return moved ? recorded : moved;
    }
    /// A stream for each group, forked from the caller's and joined to it.
    [[nodiscard]] status run(const prepared_batch& batch, stream_type user, node_index user_gpu,
                             lane_set<Runtime>& lanes, flight<Runtime>& f) {
        f.captured = lanes.capture != 0;
        if (auto done = take_lanes(user_gpu, lanes, f); !done) return done;
        if (!f.captured)
            if (auto done = runtime_.record(f.started, user); !done) return done;
        if (auto done = runtime_.record(lanes.forked, user); !done) return done;
        status moved = start(batch, lanes, f);
        const status joined = join(user, lanes, f);
        if ((!moved || !joined) && !f.captured) (void)lanes.quiet();
        return moved ? joined : moved;
    }

    [[nodiscard]] std::uint64_t scratch_bytes() const noexcept { return issue_.scratch_bytes(); }

private:
    /// What one group works with.
    struct lane {
        stream_type first{}, last{}; ///< the same, but for two GPUs that pass blocks on through host memory
        node_index first_gpu = no_node, last_gpu = no_node;
        ring<Runtime>* bounce = nullptr;
    };

    [[nodiscard]] bool is_gpu(node_index n) const noexcept { return runtime_.topology().at(n).kind == node_kind::gpu; }
    /// Between two GPUs the sender: its copies may go to any peer that it may write.
    [[nodiscard]] node_index issuer_of(const planned_blocks& places) const noexcept {
        return is_gpu(places.from) ? places.from : places.to;
    }

    [[nodiscard]] static status take_named(block_plan& plan, const batch_options& options) {
        const bool named = options.choose == batch_options::choice::named;
        const block_way wanted = named ? options.way : plan.way;
        const bool single = plan.asked.blocks == plan.asked.runs && wanted == block_way::strided;
        if (!plan.possible(wanted) && !(single && plan.possible(block_way::one_by_one)))
            return error(errc::unsupported, text::join({"the blocks cannot go ", to_string(wanted), ": ",
                                                        to_string(plan.obstacles[static_cast<std::size_t>(wanted)])}));
        plan.way = wanted;
        return {};
    }

    [[nodiscard]] static error no_such_block(std::size_t i, const paged_blocks& pages, std::int64_t to,
                                             std::int64_t from) {
        const bool at_to = static_cast<std::uint64_t>(to) >= pages.to.blocks;
        const std::string said = std::string("there is no block ") + std::to_string(at_to ? to : from) + " at the " +
                                 (at_to ? "destination" : "source") + ", only " +
                                 std::to_string(at_to ? pages.to.blocks : pages.from.blocks);
        return block_list<Runtime>::about(i, error(errc::invalid_argument, text(said.c_str())));
    }

    [[nodiscard]] status count_blocks(paged_side& side, const paged_blocks& pages) {
        if (!side.base) return error(errc::invalid_argument, "a null pointer cannot be copied to or from");
        if (pages.block_bytes > max_transfer_bytes || side.block_stride > max_transfer_bytes ||
            side.layer_stride > max_transfer_bytes / pages.layers)
            return error(errc::invalid_argument, "no memory is that large").asking(pages.block_bytes);
        const std::uint64_t most = (max_transfer_bytes - pages.block_bytes) / side.block_stride + 1;
        if (side.blocks > 0) {
            if (side.blocks > most)
                return error(errc::invalid_argument, "no memory is that large").asking(pages.block_bytes);
            return {};
        }
        const std::uintptr_t base = address_of(side.base);
        std::uint64_t room = 0;
        // Page-locked memory goes on where its next piece begins.
        for (memory_kind kind = memory_kind::pageable;;) {
            auto asked = runtime_.extent(reinterpret_cast<const void*>(base + room));
            if (!asked) {
                if (room == 0) return std::move(asked).error();
                break; // there is nothing behind it
            }
            if (asked->bytes == 0 || (room > 0 && asked->where.kind != kind)) break;
            kind = asked->where.kind;
            room += asked->room(base + room);
            if (kind == memory_kind::device) break;
        }
        const std::uint64_t ahead = (pages.layers - 1) * side.layer_stride + pages.block_bytes;
        if (room == 0)
            return error(errc::invalid_argument,
                         "nobody knows how many blocks this memory has: set paged_side::blocks");
        if (room < ahead)
            return error(errc::invalid_argument, "the memory has no room for one block in every layer").asking(ahead);
        side.blocks = (room - ahead) / side.block_stride + 1;
        return {};
    }

    [[nodiscard]] typename block_issue<Runtime>::where place(const prepared_batch& batch, const block_group& group,
                                                             stream_type stream, node_index gpu, bool captured) {
        return {stream, gpu, captured, group.offset, batch.options_.multiprocessors, &list_.known()};
    }
    [[nodiscard]] status open(const block_group& group) {
        if (!two_gpus(group.places) || group.places.plan.way == block_way::bounce) return {};
        return runtime_.open_peer(group.places.from, group.places.to);
    }

    [[nodiscard]] status take_lanes(node_index user_gpu, lane_set<Runtime>& set, flight<Runtime>& f) {
        lanes_.clear();
        for (block_group& group : list_.groups()) {
            if (auto opened = open(group); !opened) return opened;
            lane mine;
            mine.first_gpu = mine.last_gpu = issuer_of(group.places);
            auto stream = set.take_stream(mine.first_gpu);
            if (!stream) return std::move(stream).error();
            mine.first = mine.last = *stream;
            if (group.places.plan.way == block_way::bounce) {
                if (two_gpus(group.places)) {
                    mine.last_gpu = group.places.to;
                    auto other = set.take_stream(mine.last_gpu);
                    if (!other) return std::move(other).error();
                    mine.last = *other;
                }
                if (auto done = take_ring(group, mine, set, f); !done) return done;
            }
            if (auto done = f.add_route(mine.last_gpu, group.bytes, user_gpu); !done) return done;
            lanes_.push_back(mine);
        }
        return {};
    }

    /// Rings of batches are apart from those of plans, which count from 0.
    static constexpr std::uint32_t first_ordinal = 1u << 16;

    [[nodiscard]] status take_ring(block_group& group, lane& mine, lane_set<Runtime>& set, flight<Runtime>& f) {
        const planned_blocks& places = group.places;
        const node_index node = block_ring_node(runtime_.topology(), group.places.plan.asked);
        std::uint64_t slot_bytes = lane_set<Runtime>::least_slot_bytes;
        while (slot_bytes < block_slot_bytes && slot_bytes * block_bounce<Runtime>::most_depth < group.bytes)
            slot_bytes *= 2;
        const auto number = static_cast<std::uint32_t>(lanes_.size());
        auto taken = set.take_ring(node, is_gpu(places.from) ? mine.first_gpu : no_node,
                                   is_gpu(places.to) ? mine.last_gpu : no_node, first_ordinal + number, slot_bytes,
                                   block_bounce<Runtime>::most_depth);
        if (!taken) return std::move(taken).error();
        mine.bounce = *taken;
        if (mine.bounce->slot_bytes < slot_bytes)
            f.fallbacks.push_back("blocks bounce off slots of " + std::to_string(mine.bounce->slot_bytes) +
                                  " bytes instead of " + std::to_string(slot_bytes) + ": " +
                                  runtime_.topology().at(node).id() + " has no room");
        if (group.places.plan.ring_way == block_way::kernel) {
            // Where GPUs reach the ring by other addresses the kernel would need a list of its own for that.
            auto seen = runtime_.extent(mine.bounce->base);
            if (!seen) return std::move(seen).error();
            if (seen->device_offset != 0) group.places.plan.ring_way = block_way::one_by_one;
        }
        return {};
    }

    /// Commands first: nobody waits for host threads who need not.
    [[nodiscard]] status start(const prepared_batch& batch, lane_set<Runtime>& set, flight<Runtime>& f) {
        const auto all = list_.groups();
        for (std::size_t g = 0; g < all.size(); ++g) {
            if (auto done = runtime_.wait(lanes_[g].first, set.forked); !done) return done;
            if (auto done = runtime_.wait(lanes_[g].last, set.forked); !done) return done;
            if (!f.captured && f.routes[g].starts_alone)
                if (auto done = runtime_.record(f.routes[g].started, lanes_[g].last); !done) return done;
        }
        for (const bool by_host : {false, true})
            for (std::size_t g = 0; g < all.size(); ++g) {
                const planned_blocks& places = all[g].places;
                if (by_host != (places.plan.way == block_way::bounce && !two_gpus(places))) continue;
                annotate(static_cast<std::uint32_t>(g));
                if (auto done = move(batch, all[g], lanes_[g], set, f.captured); !done) return done;
            }
        return {};
    }

    [[nodiscard]] status move(const prepared_batch& batch, const block_group& group, const lane& mine,
                              lane_set<Runtime>& set, bool captured) {
        const auto first = place(batch, group, mine.first, mine.first_gpu, captured);
        const auto last = place(batch, group, mine.last, mine.last_gpu, captured);
        if (!mine.bounce) return issue_.issue(group.places.plan.way, group.blocks, first);
        if (two_gpus(group.places)) return bounce_.pass(group, *mine.bounce, first, last);
        if (is_gpu(group.places.from)) return bounce_.drain_by_host(group, *mine.bounce, first);
        // Pinned memory may still be written by the stream's earlier work; of pageable memory CUDA promises less.
        if (!group.places.from_pageable)
            if (auto done = runtime_.synchronize(set.forked); !done) return done;
        return bounce_.fill_by_host(group, *mine.bounce, first);
    }

    [[nodiscard]] status join(stream_type user, lane_set<Runtime>& set, flight<Runtime>& f) {
        status first_failure;
        for (std::size_t g = 0; g < lanes_.size(); ++g) {
            first_failure.keep_first(runtime_.record(f.routes[g].done, lanes_[g].last));
            first_failure.keep_first(runtime_.wait(user, f.routes[g].done));
        }
        if (f.captured) return first_failure;
        first_failure.keep_first(runtime_.record(f.finished, user));
        first_failure.keep_first(runtime_.record(set.finished, user));
        set.used = f.under_way = true;
        return first_failure;
    }

    void annotate(std::uint32_t group) {
        if constexpr (requires { runtime_.annotate(group, 0u, 0u); }) runtime_.annotate(group, 0, 0);
    }

    Runtime& runtime_;
    block_list<Runtime> list_{runtime_};
    block_issue<Runtime> issue_{runtime_};
    block_bounce<Runtime> bounce_{runtime_, issue_};
    prepared_batch once_;
    std::vector<lane> lanes_;
};

} // namespace detail
BARELINK_END_NAMESPACE
