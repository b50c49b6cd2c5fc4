// How a mover starts a job: the plan of an ordinary copy, handed to the board. Private to move; ends mover.hpp.
#pragma once

#include <barelink/move/mover.hpp>

BARELINK_BEGIN_NAMESPACE

template <runtime Runtime, class Planner>
result<job<Runtime>> mover<Runtime, Planner>::start(const region& dst, const region& src, stream_type stream,
                                                    job_options chosen) {
    for (const region* end : {&dst, &src})
        if (end->where.kind == memory_kind::pageable)
            return error(errc::unsupported,
                         "a job needs page-locked host memory: pin it, or use copy, which stages pageable memory")
                .asking(src.bytes);
    if (chosen.window > job_options::most_window)
        return error(errc::invalid_argument, "the window of a job is at most 8 chunks for each route");
    auto capture = runtime_.capturing(stream);
    if (!capture) return std::move(capture).error();
    if (*capture != 0)
        return error(errc::unsupported,
                     "a job cannot be captured into a graph: the thread feeds it while it runs; use copy");
    const node_index gpu = runtime_.issuer(stream);
    for (bool spares = chosen.adaptive;;) {
        auto planned = book_.plan_for(dst, src, true);
        if (!planned) return std::move(planned).error();
        const spared_plan* spared = spares ? &book_.with_spares(**planned) : nullptr;
        auto started = spared ? jobs_.start(spared->what, spared->reasons, dst, src, stream, gpu, chosen)
                              : jobs_.start(**planned, {}, dst, src, stream, gpu, chosen);
        if (!started) {
            without_room_ = jobs_.without_room();
            if (spares && without_room_ != no_node) { // what only may be of use takes no room from what is
                spares = false;
                continue;
            }
            if (leave_out_full_relay(started.error(), src.bytes)) continue;
            return std::move(started).error();
        }
        detail::flight<Runtime>& f = (*started)->work.log();
        note_losses(f, (**planned).asked);
        ++counters_.copies;
        counters_.bytes += src.bytes;
        if (!f.fallbacks.empty() || !f.path_notes.empty()) ++counters_.fallbacks;
        return job(jobs_, **started);
    }
}

BARELINK_END_NAMESPACE
