// Who takes the next bytes of a job, and how many. Pure arithmetic. Private to move.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/core/units.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Bytes that no route has taken yet, and the routes that may.
struct byte_pool {
    std::uint64_t begin = 0; ///< in the part's bytes
    std::uint64_t at = 0;    ///< the next to be taken
    std::uint64_t end = 0;
    std::uint32_t part = 0;

    [[nodiscard]] std::uint64_t left() const noexcept { return end - at; }
};

/// What is known about one route of a job.
struct route_feed {
    std::uint32_t pool = 0;
    std::uint64_t most_chunk = 0, least_chunk = 0;
    std::uint64_t ramp = 0; ///< size of the next chunk at the start, where sizes double
    std::uint32_t window = 1;
    double planned_gb_s = 0, gb_s = 0; ///< as planned, and as seen
    double since_us = -1;   ///< when the last chunk was seen to arrive, or the first one was started; -1: idle
    double steady_gb_s = 0; ///< as seen over a longer time
    bool spare = false;     ///< carries nothing while the others keep up with the plan
    bool may_help = false;  ///< spare: they do not, and it may be of use
    bool costly = false;    ///< spare: its links are full without it
    bool slow = false;      ///< the others keep up, and it does not
    std::uint32_t first_slot = 0, crossed = 0,
                  stood_by = 0;  ///< into `paced_feed::slots`: crossed ones, then stood-by-for
    bool full = false;           ///< the legs are filled: times between arrivals are those of the slowest leg
    std::uint32_t in_flight = 0; ///< chunks
    std::uint64_t in_flight_bytes = 0, arrived_bytes = 0;

    /// GB/s that it may be counted on for now: what was seen, less when the next chunk is overdue.
    [[nodiscard]] double pace(double now_us) const noexcept {
        if (in_flight == 0 || since_us < 0 || now_us <= since_us) return gb_s;
        const double at_most = rate_gb_s(static_cast<double>(in_flight_bytes), now_us - since_us);
        return at_most < gb_s ? at_most : gb_s;
    }
    /// Time of a chunk as planned.
    [[nodiscard]] double usual_us() const noexcept {
        return transfer_us(static_cast<double>(most_chunk), planned_gb_s);
    }
    static constexpr double averaged = 4; ///< chunks that `steady_gb_s` goes by

    /// Of the rate that the plan gave it, what it has had for some time; less when the next chunk is overdue.
    [[nodiscard]] double kept_up(double now_us) const noexcept {
        const double now = pace(now_us);
        return (now < gb_s && now < steady_gb_s ? now : steady_gb_s) / planned_gb_s;
    }
    void took(std::uint64_t bytes, double now_us) noexcept {
        if (in_flight == 0) {
            since_us = now_us;
            full = false;
        }
        ++in_flight;
        in_flight_bytes += bytes;
        ramp = 2 * ramp < most_chunk ? 2 * ramp : most_chunk;
    }
    /// `bytes` in `chunks` were seen to have arrived. One average over the time of a chunk or two, one over that of four.
    void saw(std::uint64_t bytes, std::uint32_t chunks, double now_us) noexcept {
        if (full && now_us > since_us) {
            const double us = now_us - since_us, seen_gb_s = rate_gb_s(static_cast<double>(bytes), us);
            gb_s += (seen_gb_s - gb_s) * us / (us + usual_us());
            steady_gb_s += (seen_gb_s - steady_gb_s) * us / (us + averaged * usual_us());
        }
        full = true;
        since_us = now_us;
        in_flight -= chunks;
        in_flight_bytes -= bytes;
        arrived_bytes += bytes;
    }
};

/// Shares pools out among routes. Guided self-scheduling (Polychronopoulos and Kuck, 1987) with speeds: a route takes half
/// of what it could still carry until all would end together, so that sizes shrink towards the end, and nothing when it would
/// be the last to finish.
class paced_feed {
public:
    std::vector<byte_pool> pools;
    std::vector<route_feed> routes;
    /// Link directions by slot that each route crosses; and those for which a spare route stands by.
    std::vector<std::uint32_t> slots;
    std::vector<double> capacity; ///< by slot, GB/s

    void clear() noexcept {
        pools.clear();
        routes.clear();
        slots.clear();
        helped = false;
    }
    /// The user's stream has let the chunks go only now.
    void restart(double now_us) noexcept {
        started_us_ = now_us;
        for (route_feed& r : routes)
            if (r.in_flight > 0) r.since_us = now_us;
    }

    /// Looks for a route that falls behind for some time while others keep up. What it crosses and they do not may be slow, and
    /// the spare routes that stand by for those links may carry from then on. Once: afterwards routes are in each other's way,
    /// and slowness says less.
    void diagnose(double now_us) noexcept {
        if (helped) return;
        double best = sound;
        bool any = false;
        for (const route_feed& r : routes)
            if (is_seasoned(r, now_us) && r.kept_up(now_us) > best) best = r.kept_up(now_us);
        for (route_feed& r : routes) {
            r.slow = is_seasoned(r, now_us) && r.kept_up(now_us) < slow * best;
            any |= r.slow;
        }
        if (!any) return;
        for (route_feed& r : routes) {
            if (!r.spare) continue;
            for (const std::uint32_t link : stands_by_for(r)) r.may_help |= is_suspect(link, best, now_us);
            helped |= r.may_help;
            for (const std::uint32_t link : crossed_by(r))
                r.costly |= !is_suspect(link, best, now_us) && room(link, now_us) < little * r.planned_gb_s;
        }
        if (helped) helped_us_ = now_us;
    }
    bool helped = false; ///< some spare routes may carry

    [[nodiscard]] std::uint64_t left() const noexcept {
        std::uint64_t sum = 0;
        for (const byte_pool& p : pools) sum += p.left();
        return sum;
    }

    /// Bytes that a route takes next; 0: none now.
    [[nodiscard]] std::uint64_t share(std::size_t route, double now_us) const noexcept {
        const route_feed& r = routes[route];
        const std::uint64_t left = pools[r.pool].left();
        if (left == 0 || r.in_flight >= r.window) return 0;
        if (r.spare && !(r.may_help && (!r.costly || is_last_resort(r, now_us)))) return 0;
        double gb_s = 0, waiting = static_cast<double>(left), rivals = 0;
        for (const route_feed& each : routes) {
            if (each.pool != r.pool || (each.spare && each.in_flight == 0 && &each != &r)) continue;
            gb_s += each.pace(now_us);
            waiting += static_cast<double>(each.in_flight_bytes);
            rivals += 1;
        }
        const double pace = r.pace(now_us);
        // What it could carry until all have ended. Over all routes that is what is left, so one of them has its part of it.
        const double room = waiting * (pace / gb_s) - static_cast<double>(r.in_flight_bytes);
        const double part = static_cast<double>(left) / rivals;
        const double least = static_cast<double>(r.least_chunk) < part ? static_cast<double>(r.least_chunk) : part;
        if (room < least * (1 - 1e-9)) return 0;
        // A crawling route's chunks take no longer than two of a sound one. Others stay as they are: the thread has no time for
        // smaller ones.
        std::uint64_t most = r.ramp;
        if (2 * pace < r.planned_gb_s) most = scaled(most, 2 * pace / r.planned_gb_s);
        if (most < r.least_chunk) most = r.least_chunk;
        std::uint64_t size = scaled(static_cast<std::uint64_t>(room), 0.5);
        if (size < r.least_chunk) size = r.least_chunk;
        if (size > most) size = most;
        if (size > left || left - size < r.least_chunk / 2) size = left < r.most_chunk ? left : size;
        return size < left ? size : left;
    }

private:
    [[nodiscard]] std::span<const std::uint32_t> crossed_by(const route_feed& r) const noexcept {
        return {slots.data() + r.first_slot, r.crossed};
    }
    [[nodiscard]] std::span<const std::uint32_t> stands_by_for(const route_feed& r) const noexcept {
        return {slots.data() + r.first_slot + r.crossed, r.stood_by};
    }
    /// Under way for so long that its average is its own.
    [[nodiscard]] bool is_seasoned(const route_feed& r, double now_us) const noexcept {
        return !r.spare && r.in_flight > 0 && now_us - started_us_ > 2 * averaged * r.usual_us();
    }
    [[nodiscard]] bool is_suspect(std::uint32_t link, double best, double now_us) const noexcept {
        bool by_slow = false;
        for (const route_feed& r : routes) {
            if (r.spare || r.in_flight == 0) continue;
            bool crosses = false;
            for (const std::uint32_t each : crossed_by(r)) crosses |= each == link;
            if (crosses && r.kept_up(now_us) > sound * best) return false;
            by_slow |= crosses && r.slow;
        }
        return by_slow;
    }
    /// GB/s of a link that no route uses.
    [[nodiscard]] double room(std::uint32_t link, double now_us) const noexcept {
        double gb_s = link < capacity.size() ? capacity[link] : 0;
        for (const route_feed& r : routes) {
            if (r.in_flight == 0) continue;
            for (const std::uint32_t each : crossed_by(r))
                if (each == link) gb_s -= r.kept_up(now_us) * r.planned_gb_s;
        }
        return gb_s;
    }
    /// Help over full links is at the cost of others: for the pool that would end last, when what costs nobody anything is
    /// not enough.
    [[nodiscard]] bool is_last_resort(const route_feed& r, double now_us) const noexcept {
        if (now_us - helped_us_ < 2 * averaged * r.usual_us()) return false;
        double planned = 0, seen = 0;
        for (const route_feed& each : routes) {
            if (each.pool != r.pool) continue;
            if (!each.spare) planned += each.planned_gb_s;
            if (!each.costly && each.in_flight > 0) seen += each.kept_up(now_us) * each.planned_gb_s;
        }
        if (seen > 0.95 * planned) return false;
        const double own_us = end_us(r.pool, now_us);
        for (std::uint32_t other = 0; other < pools.size(); ++other)
            if (other != r.pool && end_us(other, now_us) > own_us) return false;
        return true;
    }
    /// Time until a pool's bytes are there, as things go.
    [[nodiscard]] double end_us(std::uint32_t pool, double now_us) const noexcept {
        double gb_s = 0, waiting = static_cast<double>(pools[pool].left());
        for (const route_feed& each : routes) {
            if (each.pool != pool || (each.spare && each.in_flight == 0)) continue;
            gb_s += each.kept_up(now_us) * each.planned_gb_s;
            waiting += static_cast<double>(each.in_flight_bytes);
        }
        return waiting > 0 ? transfer_us(waiting, gb_s) : 0;
    }

    double started_us_ = 0, helped_us_ = 0;

    /// Project choices: half a link is noticed, and the ripple of chunks is not.
    static constexpr double slow = 0.75, sound = 0.9, little = 0.25;
    static constexpr double averaged = route_feed::averaged;

    [[nodiscard]] static std::uint64_t scaled(std::uint64_t bytes, double by) noexcept {
        const auto less = static_cast<std::uint64_t>(static_cast<double>(bytes) * by);
        return less < 4 * KiB ? less : less / (4 * KiB) * (4 * KiB);
    }
};

} // namespace detail
BARELINK_END_NAMESPACE
