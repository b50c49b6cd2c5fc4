// A picture of what ran when: the chunks of every leg over time, and how full the busiest links were.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <barelink/report/detail/svg_theme.hpp>
#include <barelink/report/detail/trace_lanes.hpp>
#include <barelink/report/limits.hpp>
#include <barelink/report/plan_text.hpp>
#include <barelink/report/svg.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

/// One link direction's traffic over time, as an average over equal slices.
struct link_load {
    link_direction where;
    std::vector<double> gb_s;
    double bytes = 0;
};

class timeline_drawing {
public:
    timeline_drawing(const machine& m, const plan& p, const copy_trace& trace)
        : m_(m), plan_(p), trace_(trace), lanes_(trace_lanes(p, trace)), span_(span_of(trace)) {
        for (const trace_lane& lane : lanes_) left_ = std::max(left_, 40 + text_pixels(lane.name(m, "\u2192"), 10));
        measure_loads();
        for (const link_load& each : loads_)
            left_ = std::max({left_, 40 + text_pixels(load_name(each), 10), 40 + text_pixels(fullness_text(each), 10)});
        left_ = std::min(left_, 330.0);
    }

    [[nodiscard]] std::string str() {
        const std::string title = fmt::format("{} \u2192 {}, {}", to_string(plan_.asked.from),
                                              to_string(plan_.asked.to), format_bytes(plan_.asked.bytes));
        const std::string figures =
            fmt::format("{} on {}: {}, {} copies", format_us(span_.us()), m_.name,
                        format_gb_s(rate_gb_s(static_cast<double>(plan_.asked.bytes), span_.us())), trace_.size());
        svg_.text(26, 36, title, "h1");
        svg_.text(26, 56, figures, "h2");
        double y = 92;
        for (const trace_lane& lane : lanes_) y += lane_height(lane) + 5;
        const double lanes_end = y + 2,
                     end = lanes_end + (loads_.empty() ? 0 : 34 + 50 * static_cast<double>(loads_.size()));
        grid(78, end);
        y = 92;
        for (const trace_lane& lane : lanes_) {
            draw(lane, y);
            y += lane_height(lane) + 5;
        }
        if (!loads_.empty()) {
            svg_.rect(20, lanes_end + 9, 280, 18, 0, "bg");
            svg_.text(26, lanes_end + 22, "Load of the busiest links; the dashed line is all that fits", "m s");
        }
        for (std::size_t i = 0; i < loads_.size(); ++i) draw(loads_[i], lanes_end + 34 + 50 * static_cast<double>(i));
        return svg_.document(width, legend(end + 22), title,
                             "A timeline of the copies of one transfer: " + figures + ".", svg_style);
    }

private:
    static constexpr double width = 1180, right = width - 30, track_height = 15;
    static constexpr std::size_t slices = 480;

    [[nodiscard]] double x_of(double us) const noexcept {
        return left_ + (right - left_) * (span_.us() > 0 ? (us - span_.start_us) / span_.us() : 0);
    }
    [[nodiscard]] static double lane_height(const trace_lane& lane) noexcept {
        return track_height * static_cast<double>(lane.tracks.size());
    }
    [[nodiscard]] std::string load_name(const link_load& load) const {
        return fmt::format("{} {} \u2192 {}", to_string(m_.at(load.where.link).kind),
                           m_.at(tail_of(m_, load.where)).id(), m_.at(head_of(m_, load.where)).id());
    }

    [[nodiscard]] std::string fullness_text(const link_load& load) const {
        const double most = m_.gb_s(load.where);
        return fmt::format("of {}, {} full", format_gb_s(most),
                           format_percent(load.bytes / std::max(1e-9, most * 1e3 * span_.us())));
    }

    /// Vertical lines at round times, about eight of them, with the time above.
    void grid(double top, double bottom) {
        if (span_.us() <= 0) return;
        double step = std::pow(10, std::floor(std::log10(span_.us() / 5)));
        for (const double factor : {2.0, 2.5, 2.0})
            if (span_.us() / step > 10) step *= factor;
        for (int i = 0; i * step <= span_.us() * 1.0001; ++i) {
            const double x = x_of(span_.start_us + i * step);
            svg_.line({x, top}, {x, bottom}, 1, "axis");
            svg_.text(x, top - 5, i == 0 ? "0" : format_us(i * step), "mid num s m");
        }
    }

    void draw(const trace_lane& lane, double y) {
        const double height = lane_height(lane);
        svg_.text(left_ - 12, y + height / 2 + 3.5, text_cut(lane.name(m_, "\u2192"), left_ - 38, 10), "end s");
        svg_.rect(left_, y, right - left_, height, 3, "lane");
        for (std::size_t t = 0; t < lane.tracks.size(); ++t) {
            const auto& track = lane.tracks[t];
            for (std::size_t i = 0; i < track.size();) {
                // Chunks too narrow to be told apart are drawn as one.
                std::size_t last = i;
                const double from = x_of(track[i]->start_us);
                while (last + 1 < track.size() && track[last + 1]->route == track[i]->route &&
                       x_of(track[last + 1]->end_us) - from < 2 &&
                       x_of(track[last + 1]->start_us) - x_of(track[last]->end_us) < 0.5)
                    ++last;
                bar(*track[i], *track[last], last - i + 1, y + track_height * static_cast<double>(t));
                i = last + 1;
            }
        }
    }
    void bar(const copy_record& first, const copy_record& last, std::size_t copies, double y) {
        const double from = x_of(first.start_us), wide = std::max(0.6, x_of(last.end_us) - from - 0.6);
        svg_.open({}, copies > 1
                          ? fmt::format("route {}, {} copies from chunk {}", first.route + 1, copies, first.chunk)
                          : fmt::format("route {}, chunk {}: {}, {} at {}", first.route + 1, first.chunk,
                                        format_bytes(first.bytes), format_us(first.end_us - first.start_us),
                                        format_us(first.start_us - span_.start_us)));
        svg_.rect(from, y + 1, wide, track_height - 2, wide > 5 ? 2 : 0, "",
                  fmt::format("fill=\"{}\"", route_colour(first.route)));
        svg_.close();
    }

    void measure_loads();
    void draw(const link_load& load, double y);
    double legend(double y);

    const machine& m_;
    const plan& plan_;
    const copy_trace& trace_;
    std::vector<trace_lane> lanes_;
    trace_span span_;
    std::vector<link_load> loads_; ///< the busiest, fullest first
    double left_ = 120;
    svg_writer svg_;
};

/// Every copy spreads its bytes evenly over its time and over the links of its leg. Of links that carry the same, the
/// slowest is kept; of those, the six that come nearest to full.
inline void timeline_drawing::measure_loads() {
    if (span_.us() <= 0) return;
    std::vector<link_load> all(2 * m_.links.size());
    const double slice_us = span_.us() / static_cast<double>(slices);
    for (const copy_record& each : trace_) {
        if (each.route >= plan_.routes.size() || each.leg >= plan_.routes[each.route].leg_count) continue;
        const double us = std::max(1e-9, each.end_us - each.start_us);
        for (const link_direction hop : plan_.hops_of(plan_.routes[each.route].legs[each.leg])) {
            link_load& load = all[hop.slot()];
            load.where = hop;
            load.gb_s.resize(slices, 0);
            load.bytes += static_cast<double>(each.bytes);
            const auto first = static_cast<std::size_t>((each.start_us - span_.start_us) / slice_us);
            for (std::size_t s = first; s < slices; ++s) {
                const double begin = span_.start_us + static_cast<double>(s) * slice_us;
                const double covered = std::min(each.end_us, begin + slice_us) - std::max(each.start_us, begin);
                if (covered <= 0) break;
                load.gb_s[s] += rate_gb_s(static_cast<double>(each.bytes), us) * covered / slice_us;
            }
        }
    }
    std::erase_if(all, [](const link_load& load) { return load.gb_s.empty(); });
    const auto fullness = [&](const link_load& load) { return load.bytes / m_.gb_s(load.where); };
    std::stable_sort(all.begin(), all.end(),
                     [&](const link_load& a, const link_load& b) { return fullness(a) > fullness(b); });
    for (const link_load& each : all) {
        bool known = false;
        for (const link_load& kept : loads_) known |= kept.gb_s == each.gb_s;
        if (!known && loads_.size() < 6) loads_.push_back(each);
    }
}

inline void timeline_drawing::draw(const link_load& load, double y) {
    const double high = 40, most = m_.gb_s(load.where), step = (right - left_) / static_cast<double>(slices);
    const auto height_of = [&](double gb_s) {
        return y + high - (high - 6) * std::min(1.0, most > 0 ? gb_s / most : 0);
    };
    std::string area = fmt::format("M{} {}", svg_number(left_), svg_number(y + high));
    double before = -1;
    for (std::size_t s = 0; s < slices; ++s) {
        const double top = height_of(load.gb_s[s]), x = left_ + step * static_cast<double>(s);
        if (std::abs(top - before) > 0.05)
            area += fmt::format("L{0} {1}L{0} {2}", svg_number(x), svg_number(before < 0 ? y + high : before),
                                svg_number(top));
        before = top;
    }
    area += fmt::format("L{0} {1}L{0} {2}z", svg_number(right), svg_number(before), svg_number(y + high));
    const link_kind kind = m_.at(load.where.link).kind;
    svg_.rect(left_, y + 6, right - left_, high - 6, 3, "lane");
    svg_.path(area, "area " + link_class(kind));
    svg_.line({left_, y + 6}, {right, y + 6}, 1, "rule", "stroke-dasharray=\"4 3\"");
    svg_.text(left_ - 12, y + 21, text_cut(load_name(load), left_ - 38, 10), "end s");
    svg_.text(left_ - 12, y + 34, fullness_text(load), "end s m");
}

inline double timeline_drawing::legend(double y) {
    svg_.line({26, y}, {width - 26, y}, 1, "rule");
    double x = 26;
    y += 22;
    for (std::size_t r = 0; r < plan_.routes.size(); ++r) {
        std::string way = way_text(m_, plan_, plan_.routes[r]);
        for (std::size_t at = way.find("->"); at != std::string::npos; at = way.find("->"))
            way.replace(at, 2, "\u2192");
        const double wide = 18 + text_pixels(way, 11) + 22;
        if (x > 26 && x + wide > width - 20) {
            x = 26;
            y += 20;
        }
        svg_.rect(x, y - 9.5, 12, 12, 3, "", fmt::format("fill=\"{}\"", route_colour(r)));
        svg_.text(x + 18, y, way, "");
        x += wide;
    }
    return y + 18;
}

} // namespace detail

/// The timeline of one transfer as an SVG document: a lane for every leg with its chunks in the colours of their routes (the
/// same as in `plan_svg`), and below them the load of the busiest links. Times in microseconds from the first copy on.
[[nodiscard]] inline std::string timeline_svg(const machine& m, const plan& p, const copy_trace& trace) {
    return detail::timeline_drawing(m, p, trace).str();
}

BARELINK_END_NAMESPACE
