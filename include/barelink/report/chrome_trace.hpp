// A trace in the JSON format of Chrome's tracing, which Perfetto (ui.perfetto.dev) opens.
#pragma once

#include <string>
#include <string_view>

#include <barelink/report/detail/trace_lanes.hpp>
#include <barelink/report/plan_text.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

[[nodiscard]] inline std::string json_quoted(std::string_view raw) {
    std::string out = "\"";
    for (const char c : raw) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20)
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else
            out += c;
    }
    return out + '"';
}

} // namespace detail

/// Every copy as a complete event ("X") on the thread of its leg, times in microseconds from the first copy on. Machine and
/// plan are those that the trace was recorded with.
[[nodiscard]] inline std::string chrome_trace(const machine& m, const plan& p, const copy_trace& trace) {
    const double start = detail::span_of(trace).start_us;
    std::string out = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
    out += fmt::format("{{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":1,\"tid\":0,\"args\":{{\"name\":{}}}}}",
                       detail::json_quoted(fmt::format("{}: {} -> {}, {}", m.name, to_string(p.asked.from),
                                                       to_string(p.asked.to), format_bytes(p.asked.bytes))));
    int thread = 0;
    for (const detail::trace_lane& lane : detail::trace_lanes(p, trace)) {
        for (const auto& track : lane.tracks) {
            ++thread;
            out += fmt::format(
                ",\n{{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":{0},\"args\":{{\"name\":{1}}}}}"
                ",\n{{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":1,\"tid\":{0},\"args\":{{"
                "\"sort_index\":{0}}}}}",
                thread, detail::json_quoted(lane.name(m, "->")));
            for (const copy_record* each : track) {
                const bool planned = each->route < p.routes.size();
                const std::string_view family = planned ? p.routes[each->route].family : "copy";
                const double us = each->end_us - each->start_us;
                out += fmt::format(",\n{{\"ph\":\"X\",\"name\":\"route {} chunk {}\",\"cat\":{},\"pid\":1,\"tid\":{},"
                                   "\"ts\":{:.6f},\"dur\":{:.6f},\"args\":{{\"way\":{},\"leg\":{},\"bytes\":{},"
                                   "\"gb_s\":{:.3f}}}}}",
                                   each->route + 1, each->chunk, detail::json_quoted(family), thread,
                                   each->start_us - start, us,
                                   detail::json_quoted(planned ? way_text(m, p, p.routes[each->route]) : ""), each->leg,
                                   each->bytes, rate_gb_s(static_cast<double>(each->bytes), us));
            }
        }
    }
    return out + "\n]}\n";
}

BARELINK_END_NAMESPACE
