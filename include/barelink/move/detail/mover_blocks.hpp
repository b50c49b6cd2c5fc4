// How a mover runs batches of blocks. Private to move/mover.hpp, which includes it last.
#pragma once

#include <cstdint>
#include <utility>

#include <barelink/move/mover.hpp>

BARELINK_BEGIN_NAMESPACE

template <runtime Runtime, class Planner>
template <class List>
result<ticket<Runtime>> mover<Runtime, Planner>::blocks_once(const List& list, stream_type stream,
                                                             const batch_options& options) {
    prepared_batch& batch = blocks_.unprepared(options);
    if (auto listed = blocks_.collect(batch, list); !listed) return listed.error();
    return run_blocks(batch, stream);
}

template <runtime Runtime, class Planner>
result<ticket<Runtime>> mover<Runtime, Planner>::copy_batch(const paged_blocks& pages, stream_type stream,
                                                            batch_options options) {
    prepared_batch& batch = blocks_.unprepared(options);
    if (auto described = blocks_.describe(batch, pages); !described) return described.error();
    if (auto listed = blocks_.collect(batch, pages.to_numbers, pages.from_numbers); !listed) return listed.error();
    return run_blocks(batch, stream);
}

template <runtime Runtime, class Planner>
template <class List>
result<prepared_batch> mover<Runtime, Planner>::prepare_blocks(const List& list, stream_type stream,
                                                               const batch_options& options) {
    prepared_batch batch;
    batch.options_ = options;
    if (auto listed = blocks_.collect(batch, list); !listed) return listed.error();
    if (auto planned = plan_blocks(batch, stream, true); !planned) return planned.error();
    return batch;
}

template <runtime Runtime, class Planner>
result<prepared_batch> mover<Runtime, Planner>::prepare(const paged_blocks& pages, stream_type stream,
                                                        batch_options options) {
    prepared_batch batch;
    batch.options_ = options;
    if (auto described = blocks_.describe(batch, pages); !described) return described.error();
    if (auto listed = blocks_.collect(batch, pages.to_numbers, pages.from_numbers); !listed) return listed.error();
    if (auto planned = plan_blocks(batch, stream, true); !planned) return planned.error();
    return batch;
}

template <runtime Runtime, class Planner>
status mover<Runtime, Planner>::plan_blocks(prepared_batch& batch, stream_type stream, bool may_prove) {
    return blocks_.make_plans(
        batch, stream, [&](node_index from, node_index to) { return book_.is_direct_pair(from, to, may_prove); });
}

template <runtime Runtime, class Planner>
result<ticket<Runtime>> mover<Runtime, Planner>::run_blocks(prepared_batch& batch, stream_type stream) {
    auto capture = runtime_.capturing(stream);
    if (!capture) return std::move(capture).error();
    if (auto planned = plan_blocks(batch, stream, *capture == 0); !planned) return planned.error();
    const node_index gpu = runtime_.issuer(stream);
    const std::uint64_t bytes = blocks_.bytes();
    const bool captured = *capture != 0;
    const std::uint32_t slot = flights_.take();
    detail::flight<Runtime>& f = flights_.at(slot);
    without_room_ = no_node;
    if (auto begun = f.begin(gpu); !begun) return begun.error();
    if (auto fits = blocks_.adapt(batch, stream, captured, f); !fits) return fits.error();
    for (const detail::block_group& group : blocks_.groups())
        if (blocks_.two_gpus(group.places)) note_losses(f, book_.pair_of(group.places.from, group.places.to));
    if (blocks_.is_direct(gpu)) {
        if (auto moved = blocks_.run_direct(batch, stream, gpu, f, captured); !moved) return moved.error();
        ++counters_.direct;
    } else {
        auto lanes = lanes_.take(stream, gpu, *capture);
        if (!lanes) return std::move(lanes).error();
        if (auto moved = blocks_.run(batch, stream, gpu, **lanes, f); !moved) return moved.error();
    }
    return book(slot, *capture, bytes);
}

BARELINK_END_NAMESPACE
