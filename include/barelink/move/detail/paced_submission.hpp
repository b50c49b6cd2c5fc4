// One copy that the calling thread feeds chunk by chunk: fork as ever, a window of chunks a route, join at the end. Private to move.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <barelink/move/detail/paced_feed.hpp>
#include <barelink/move/detail/route_team.hpp>
#include <barelink/move/job_options.hpp>
#include <barelink/plan/spare_routes.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Keeps its working memory from job to job: nothing is allocated for a chunk, nor for a job like the last.
template <runtime Runtime>
class paced_submission {
public:
    using stream_type = typename Runtime::stream_type;
    using event_type = typename Runtime::event_type;

    explicit paced_submission(Runtime& on) : runtime_(on), team_(on), flight_(on), landings_(on, false) {}

    /// Takes streams and rings for a copy and marks its start in the user's stream. Nothing moves yet. When it fails the job
    /// is over.
    [[nodiscard]] status begin(const plan& p, std::span<const spared_plan::reason> reasons, const region& dst,
                               const region& src, stream_type user, node_index gpu, lane_set<Runtime>& lanes,
                               const job_options& chosen);

    /// Looks for what arrived, and starts chunks when it `may_start` any.
    void step(bool may_start);
    /// No new chunks: those in flight are the last.
    void cut_off() noexcept {
        for (byte_pool& p : feed_.pools) p.end = p.at;
        cut_off_ = true;
    }

    [[nodiscard]] bool over() const noexcept { return phase_ == phase::over; }
    /// The user's stream has come to it, and it is not over.
    [[nodiscard]] bool moving() const noexcept { return !over() && let_go_; }
    [[nodiscard]] bool background() const noexcept { return options_.background; }
    [[nodiscard]] bool was_cut_off() const noexcept { return cut_off_; }
    [[nodiscard]] const status& failure() const noexcept { return failure_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return spared_.what.asked.bytes; }
    [[nodiscard]] std::uint64_t arrived() const noexcept {
        std::uint64_t sum = 0;
        for (const route_feed& r : feed_.routes) sum += r.arrived_bytes;
        return sum;
    }
    [[nodiscard]] std::span<const route_feed> routes() const noexcept { return feed_.routes; }
    [[nodiscard]] const plan& planned() const noexcept { return spared_.what; }
    [[nodiscard]] flight<Runtime>& log() noexcept { return flight_; }
    [[nodiscard]] lane_set<Runtime>* lanes() const noexcept { return lanes_; }
    [[nodiscard]] node_index without_room() const noexcept { return team_.without_room(); }

    /// Calls `found(offset, bytes)` for the stretches of the ranges that were taken, once it is over: they all arrived.
    template <class Found>
    void each_taken(Found found) const;

private:
    enum class phase : std::uint8_t { moving, joining, over };
    /// Chunks on their way, oldest first: an event after each, in the stream that ends it.
    struct landing_strip {
        struct chunk {
            event_type landed{};
            std::uint64_t bytes = 0;
        };
        std::array<chunk, job_options::most_window> chunks{};
        std::uint32_t oldest = 0;
    };

    [[nodiscard]] static double pace_us(const plan& p) noexcept;
    void plan_chunks();
    [[nodiscard]] std::uint64_t relief(const plan& p) const noexcept;
    [[nodiscard]] status open_feeds();
    void note_links(std::size_t route, route_feed& into);
    [[nodiscard]] status look();
    [[nodiscard]] status start_chunks();
    [[nodiscard]] status start_round(bool& any);
    [[nodiscard]] result<bool> ended();
    void fail(status why);

    Runtime& runtime_;
    spared_plan spared_;
    job_options options_;
    route_team<Runtime> team_;
    flight<Runtime> flight_;
    event_shelf<Runtime> landings_;
    lane_set<Runtime>* lanes_ = nullptr;
    paced_feed feed_;
    std::vector<landing_strip> strips_;
    status failure_;
    phase phase_ = phase::over;
    bool let_go_ = false, cut_off_ = false, any_spare_ = false;
};

template <runtime Runtime>
status paced_submission<Runtime>::begin(const plan& p, std::span<const spared_plan::reason> reasons, const region& dst,
                                        const region& src, stream_type user, node_index gpu, lane_set<Runtime>& lanes,
                                        const job_options& chosen) {
    options_ = chosen;
    lanes_ = &lanes;
    failure_ = status();
    let_go_ = cut_off_ = false;
    phase_ = phase::over;
    spared_.what = p;
    spared_.reasons.assign(reasons.begin(), reasons.end());
    plan_chunks();
    const bound_plan bound{&spared_.what, dst, src};
    if (auto done = team_.gather({&bound, 1}, user, gpu, lanes, flight_, true); !done) return done;
    if (auto done = open_feeds(); !done) return done;
    if (auto done = team_.start(flight_); !done) {
        (void)team_.join(flight_);
        return done;
    }
    phase_ = phase::moving;
    return {};
}

/// Time of the chunks of routes of one leg, which have none of their own: that of the other routes' chunks, and at least a
/// hundred times what the engine needs for a command.
template <runtime Runtime>
double paced_submission<Runtime>::pace_us(const plan& p) noexcept {
    double us = 50;
    for (const route& other : p.routes) {
        const double own_us = transfer_us(static_cast<double>(other.chunk_bytes), other.gb_s);
        if (other.leg_count > 1 && own_us > us) us = own_us;
    }
    return us;
}

/// How many times larger chunks must be for the thread to spend no more than half of its time on starting and watching them: the
/// plan's sizes let it be busy with starting alone.
template <runtime Runtime>
std::uint64_t paced_submission<Runtime>::relief(const plan& p) const noexcept {
    const copy_costs& costs = runtime_.topology().costs;
    double busy = 0;
    for (const route& r : p.routes)
        if (r.leg_count > 1 && r.bytes > 0)
            busy += (r.leg_count * costs.submit_us + (2.0 * r.leg_count + 1) * costs.event_us) /
                    transfer_us(static_cast<double>(r.chunk_bytes), r.gb_s);
    return busy > 1 ? 4 : busy > 0.5 ? 2 : 1;
}

template <runtime Runtime>
void paced_submission<Runtime>::plan_chunks() {
    plan& p = spared_.what;
    const std::uint64_t larger = relief(p);
    const double one_leg_us = pace_us(p);
    for (route& r : p.routes) {
        if (r.leg_count > 1) {
            const std::uint64_t most = p.asked.scratch_bytes / r.depth;
            if (r.chunk_bytes * larger <= most) r.chunk_bytes *= larger;
        } else {
            const auto bytes = static_cast<std::uint64_t>(r.gb_s * 1e3 * one_leg_us);
            r.chunk_bytes = bytes < 64 * KiB ? 64 * KiB : round_up(bytes, 64 * KiB);
            r.first_chunk_bytes = r.chunk_bytes / 4 < 64 * KiB ? 64 * KiB : r.chunk_bytes / 4;
        }
        if (options_.most_chunk_bytes > 0 && options_.most_chunk_bytes < r.chunk_bytes)
            r.chunk_bytes = options_.most_chunk_bytes;
        if (r.first_chunk_bytes > r.chunk_bytes) r.first_chunk_bytes = r.chunk_bytes;
    }
}

/// A pool for each part of the bytes, or where shares are fixed for each route; and events for chunks on their way.
template <runtime Runtime>
status paced_submission<Runtime>::open_feeds() {
    feed_.clear();
    any_spare_ = false;
    feed_.capacity.resize(2 * runtime_.topology().links.size());
    for (std::uint32_t slot = 0; slot < feed_.capacity.size(); ++slot)
        feed_.capacity[slot] = runtime_.topology().gb_s(link_direction::from_slot(slot));
    strips_.clear();
    landings_.rewind();
    const auto& runs = team_.runs();
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const route& r = *runs[i].way;
        const bool next_part = i == 0 || r.part != runs[i - 1].way->part;
        if (next_part || !options_.adaptive)
            feed_.pools.push_back({runs[i].chunk_at, runs[i].chunk_at, runs[i].chunk_at, r.part});
        feed_.pools.back().end += r.bytes;
        route_feed each;
        each.pool = static_cast<std::uint32_t>(feed_.pools.size() - 1);
        each.most_chunk = runs[i].most_chunk_bytes;
        each.least_chunk = r.first_chunk_bytes < each.most_chunk ? r.first_chunk_bytes : each.most_chunk;
        each.ramp = each.least_chunk;
        each.window = options_.window > 0 ? options_.window : r.leg_count + 1u;
        if (each.window > job_options::most_window) each.window = job_options::most_window;
        each.planned_gb_s = each.gb_s = each.steady_gb_s = r.gb_s;
        each.spare = r.bytes == 0;
        any_spare_ |= each.spare;
        note_links(i, each);
        landing_strip strip;
        const node_index gpu = issuer_of(runtime_.topology(), r.legs[runs[i].last_engine_leg()]);
        for (std::uint32_t slot = 0; slot < each.window; ++slot) {
            auto event = landings_.take(gpu);
            if (!event) return event.error();
            strip.chunks[slot].landed = *event;
        }
        feed_.routes.push_back(each);
        strips_.push_back(strip);
    }
    return {};
}

template <runtime Runtime>
void paced_submission<Runtime>::note_links(std::size_t route, route_feed& into) {
    into.first_slot = static_cast<std::uint32_t>(feed_.slots.size());
    for (const leg& l : spared_.what.routes[route].path())
        for (const link_direction hop : spared_.what.hops_of(l)) feed_.slots.push_back(hop.slot());
    into.crossed = static_cast<std::uint32_t>(feed_.slots.size()) - into.first_slot;
    for (const spared_plan::reason& each : spared_.reasons)
        if (each.route == route) feed_.slots.push_back(each.slow.slot());
    into.stood_by = static_cast<std::uint32_t>(feed_.slots.size()) - into.first_slot - into.crossed;
}

template <runtime Runtime>
void paced_submission<Runtime>::step(bool may_start) {
    if (over()) return;
    if (!let_go_) {
        auto started = runtime_.is_done(flight_.started);
        if (!started) return fail(std::move(started).error());
        let_go_ = *started;
        if (let_go_) feed_.restart(runtime_.clock_us());
    }
    status done;
    if (let_go_) done = look();
    if (done && phase_ == phase::moving && may_start) done = start_chunks();
    if (done && phase_ == phase::moving && feed_.left() == 0) {
        phase_ = phase::joining;
        done = team_.join(flight_);
        for (std::size_t i = 0; done && i < feed_.routes.size(); ++i)
            flight_.routes[i].bytes = feed_.routes[i].arrived_bytes + feed_.routes[i].in_flight_bytes;
    }
    if (!done) return fail(std::move(done));
    if (phase_ != phase::joining) return;
    auto all = ended();
    if (!all) return fail(std::move(all).error());
    if (*all) phase_ = phase::over;
}

/// Which chunks arrived since the last look.
template <runtime Runtime>
status paced_submission<Runtime>::look() {
    for (std::size_t i = 0; i < strips_.size(); ++i) {
        route_feed& r = feed_.routes[i];
        landing_strip& strip = strips_[i];
        std::uint64_t bytes = 0;
        std::uint32_t chunks = 0;
        while (chunks < r.in_flight) {
            const auto& oldest = strip.chunks[strip.oldest];
            auto landed = runtime_.is_done(oldest.landed);
            if (!landed) return std::move(landed).error();
            if (!*landed) break;
            bytes += oldest.bytes;
            ++chunks;
            strip.oldest = (strip.oldest + 1) % r.window;
        }
        if (chunks > 0) r.saw(bytes, chunks, runtime_.clock_us());
    }
    return {};
}

template <runtime Runtime>
status paced_submission<Runtime>::start_chunks() {
    if (any_spare_) feed_.diagnose(runtime_.clock_us());
    // In the background a round at a time: the thread is soon free for what goes before.
    for (bool any = true; any; any = any && !background())
        if (auto done = start_round(any); !done) return done;
    return {};
}

/// One chunk for every route that takes one, leg by leg as in `submission`.
template <runtime Runtime>
status paced_submission<Runtime>::start_round(bool& any) {
    auto& runs = team_.runs();
    const double now_us = runtime_.clock_us();
    any = false;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        byte_pool& from = feed_.pools[feed_.routes[i].pool];
        const std::uint64_t bytes = runs[i].fit(from.at, feed_.share(i, now_us));
        runs[i].begin_chunk(from.at, bytes);
        if (bytes == 0) continue;
        from.at += bytes;
        feed_.routes[i].took(bytes, now_us);
        any = true;
    }
    for (std::size_t l = 0; any && l <= max_between; ++l)
        for (std::size_t i = 0; i < runs.size(); ++i) {
            if (l >= runs[i].way->leg_count || runs[i].chunk_bytes == 0) continue;
            if (auto done = team_.move(i, l); !done) return done;
            if (l + 1u < runs[i].way->leg_count) continue;
            landing_strip& strip = strips_[i];
            auto& chunk = strip.chunks[(strip.oldest + feed_.routes[i].in_flight - 1) % feed_.routes[i].window];
            chunk.bytes = runs[i].chunk_bytes;
            if (auto done = runtime_.record(chunk.landed, runs[i].stream(l)); !done) return done;
        }
    for (auto& run : runs)
        if (run.chunk_bytes > 0) run.end_chunk();
    return {};
}

/// All chunks arrived, and the times of the routes are known.
template <runtime Runtime>
result<bool> paced_submission<Runtime>::ended() {
    for (std::size_t i = 0; i < feed_.routes.size(); ++i) {
        if (feed_.routes[i].in_flight > 0) return false;
        if (feed_.routes[i].arrived_bytes == 0) continue;
        auto done = runtime_.is_done(flight_.routes[i].done);
        if (!done || !*done) return done;
    }
    return true;
}

/// The user's stream must not overtake what was started. The lanes that it gives back are broken: they are emptied first.
template <runtime Runtime>
void paced_submission<Runtime>::fail(status why) {
    failure_ = std::move(why);
    (void)team_.join(flight_);
    phase_ = phase::over;
}

template <runtime Runtime>
template <class Found>
void paced_submission<Runtime>::each_taken(Found found) const {
    for (const byte_pool& p : feed_.pools)
        for (const route_run<Runtime>& run : team_.runs())
            if (run.way->part == p.part) {
                run.each_stretch(p.begin, p.at - p.begin, found);
                break;
            }
}

} // namespace detail
BARELINK_END_NAMESPACE
