// A trace sorted into lanes: one for every leg, split where copies of one leg run at the same time. Private to the report
// layer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <barelink/move/trace.hpp>
#include <barelink/plan/plan.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

struct trace_lane {
    node_index from, to;
    bool host_copy = false;
    std::vector<std::vector<const copy_record*>> tracks; ///< copies of one track do not overlap; in order of time

    [[nodiscard]] std::string name(const machine& m, const char* arrow) const {
        return fmt::format("{} {} {}{}", m.at(from).id(), arrow, m.at(to).id(), host_copy ? ", host threads" : "");
    }
};

/// Lanes in the order of the plan's routes and legs; what the plan does not know comes last. The records must outlive them.
[[nodiscard]] inline std::vector<trace_lane> trace_lanes(const plan& p, const copy_trace& trace) {
    std::vector<trace_lane> lanes;
    const auto lane_of = [&](node_index from, node_index to, bool host_copy) -> trace_lane& {
        for (trace_lane& lane : lanes)
            if (lane.from == from && lane.to == to && lane.host_copy == host_copy) return lane;
        lanes.push_back({from, to, host_copy, {}});
        return lanes.back();
    };
    for (const route& r : p.routes)
        for (const leg& l : r.path()) lane_of(l.from, l.to, l.host_copy);
    std::vector<const copy_record*> in_time;
    for (const copy_record& each : trace) in_time.push_back(&each);
    std::stable_sort(in_time.begin(), in_time.end(), [](const copy_record* a, const copy_record* b) {
        return a->start_us != b->start_us ? a->start_us < b->start_us : a->route < b->route;
    });
    for (const copy_record* each : in_time) {
        auto& tracks = lane_of(each->from, each->to, each->host_copy).tracks;
        std::size_t free = 0;
        while (free < tracks.size() && tracks[free].back()->end_us > each->start_us + 1e-9) ++free;
        if (free == tracks.size()) tracks.emplace_back();
        tracks[free].push_back(each);
    }
    std::erase_if(lanes, [](const trace_lane& lane) { return lane.tracks.empty(); });
    return lanes;
}

/// First start and last end.
struct trace_span {
    double start_us = 0, end_us = 0;
    [[nodiscard]] double us() const noexcept { return end_us - start_us; }
};
[[nodiscard]] inline trace_span span_of(const copy_trace& trace) noexcept {
    if (trace.empty()) return {};
    trace_span span{trace.front().start_us, trace.front().end_us};
    for (const copy_record& each : trace) {
        span.start_us = std::min(span.start_us, each.start_us);
        span.end_us = std::max(span.end_us, each.end_us);
    }
    return span;
}

} // namespace detail
BARELINK_END_NAMESPACE
