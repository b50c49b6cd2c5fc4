// The longer operations of a mover. Private to move/mover.hpp, which includes it last.
#pragma once

#include <cstdint>
#include <span>

#include <barelink/move/mover.hpp>

BARELINK_BEGIN_NAMESPACE

template <runtime Runtime, class Planner>
result<ticket<Runtime>> mover<Runtime, Planner>::run(const plan& p, const region& dst, const region& src,
                                                     stream_type stream, std::uint64_t capture) {
    if (p.asked.bytes != src.bytes || src.bytes != dst.bytes)
        return error(errc::invalid_argument, "the plan is for another number of bytes").asking(src.bytes);
    const node_index gpu = runtime_.issuer(stream);
    if (!is_direct(p, gpu)) {
        const detail::bound_plan bound{&p, dst, src};
        return launch(stream, capture, src.bytes, [&](detail::lane_set<Runtime>& lanes, detail::flight<Runtime>& f) {
            status submitted = submission_.run({&bound, 1}, stream, gpu, lanes, f);
            if (submitted) note_losses(f, p.asked);
            without_room_ = submission_.without_room();
            return submitted;
        });
    }
    const std::uint32_t slot = flights_.take();
    detail::flight<Runtime>& f = flights_.at(slot);
    without_room_ = no_node;
    if (auto submitted = run_direct(p, dst, src, stream, gpu, f, capture != 0); !submitted) return submitted.error();
    ++counters_.direct;
    note_losses(f, p.asked);
    return book(slot, capture, src.bytes);
}

template <runtime Runtime, class Planner>
template <class Submit>
result<ticket<Runtime>> mover<Runtime, Planner>::launch(stream_type stream, std::uint64_t capture, std::uint64_t bytes,
                                                        Submit submit) {
    const std::uint32_t slot = flights_.take();
    without_room_ = no_node;
    auto lanes = lanes_.take(stream, runtime_.issuer(stream), capture);
    if (!lanes) return std::move(lanes).error();
    if (auto submitted = submit(**lanes, flights_.at(slot)); !submitted) return submitted.error();
    return book(slot, capture, bytes);
}

template <runtime Runtime, class Planner>
result<ticket<Runtime>> mover<Runtime, Planner>::book(std::uint32_t slot, std::uint64_t capture, std::uint64_t bytes) {
    const detail::flight<Runtime>& f = flights_.at(slot);
    ++counters_.copies;
    counters_.bytes += bytes;
    if (capture != 0) ++counters_.captured;
    if (!f.fallbacks.empty() || !f.path_notes.empty()) ++counters_.fallbacks;
    return ticket(flights_, slot, bytes);
}

template <runtime Runtime, class Planner>
result<ticket<Runtime>> mover<Runtime, Planner>::copy_together(std::span<const transfer> together, stream_type stream) {
    auto capture = runtime_.capturing(stream);
    if (!capture) return std::move(capture).error();
    std::uint64_t bytes = 0;
    for (const transfer& each : together) bytes += each.src.bytes;
    for (;;) {
        auto planned = book_.plans_for(together, *capture == 0);
        if (!planned) return std::move(planned).error();
        bound_.clear();
        for (std::size_t i = 0; i < together.size(); ++i)
            bound_.push_back({&(*planned)[i], together[i].dst, together[i].src});
        auto started =
            launch(stream, *capture, bytes, [&](detail::lane_set<Runtime>& lanes, detail::flight<Runtime>& f) {
                status submitted = submission_.run(bound_, stream, runtime_.issuer(stream), lanes, f);
                if (submitted)
                    for (const plan& each : *planned) note_losses(f, each.asked);
                without_room_ = submission_.without_room();
                return submitted;
            });
        if (started || !leave_out_full_relay(started.error(), bytes)) return started;
    }
}

template <runtime Runtime, class Planner>
result<ticket<Runtime>> mover<Runtime, Planner>::broadcast(std::span<const region> dst, const region& src,
                                                           stream_type stream) {
    auto capture = runtime_.capturing(stream);
    if (!capture) return std::move(capture).error();
    for (;;) {
        auto planned = book_.plan_for(dst, src, *capture == 0);
        if (!planned) return std::move(planned).error();
        const detail::bound_broadcast bound{*planned, src, dst};
        auto started = launch(stream, *capture, src.bytes * dst.size(),
                              [&](detail::lane_set<Runtime>& lanes, detail::flight<Runtime>& f) {
                                  status submitted = trees_.run(bound, stream, runtime_.issuer(stream), lanes, f);
                                  if (submitted) note_losses(f, book_.pairs_of((*planned)->asked));
                                  without_room_ = trees_.without_room();
                                  return submitted;
                              });
        if (started || !leave_out_full_relay(started.error(), src.bytes)) return started;
    }
}

template <runtime Runtime, class Planner>
status mover<Runtime, Planner>::run_direct(const plan& p, const region& dst, const region& src, stream_type stream,
                                           node_index gpu, detail::flight<Runtime>& f, bool captured) {
    const machine& m = runtime_.topology();
    const leg& only = p.routes.front().legs[0];
    if (auto done = f.begin(gpu); !done) return done;
    f.add_direct(p.asked.bytes);
    if (m.at(only.from).kind == node_kind::gpu && m.at(only.to).kind == node_kind::gpu)
        if (auto opened = runtime_.open_peer(only.from, only.to); !opened) return opened;
    f.captured = captured;
    if (captured) return copy_as_one(dst, src, stream);
    if (auto done = runtime_.record(f.started, stream); !done) return done;
    status moved = copy_as_one(dst, src, stream);
    // Also when a later piece was refused: what was enqueued must have an end that can be waited for.
    const status recorded = runtime_.record(f.finished, stream);
    f.under_way = true;
    return moved ? recorded : moved;
}

BARELINK_END_NAMESPACE
