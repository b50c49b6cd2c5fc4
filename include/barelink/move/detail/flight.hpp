// A copy that was started: its events, and what became of its routes. Private to move.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <barelink/move/detail/event_shelf.hpp>
#include <barelink/plan/engines.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// What a ticket refers to.
template <runtime Runtime>
struct flight {
    using event_type = typename Runtime::event_type;

    explicit flight(Runtime& on) : events_(on, true) {}

    std::uint64_t number = 0;
    bool under_way = false; ///< `finished` was recorded
    bool captured = false;  ///< into a graph: its events stand for nothing outside
    bool landed = false;    ///< seen to have ended, or failed: need not be asked again
    event_type started{}, finished{};
    /// Both of the GPU whose stream ends the route: CUDA tells no time between events of different GPUs.
    struct route_times {
        event_type started{}, done{};
        std::uint64_t bytes = 0;
        bool starts_alone = false; ///< `started` is an event of its own, for the submission to record
    };
    std::vector<route_times> routes;
    std::vector<std::string> fallbacks;
    std::vector<const std::string*> path_notes; ///< about paths it could not use; kept by the mover

    /// Starts over, without routes; `gpu`: the user's stream's.
    [[nodiscard]] status begin(node_index gpu) {
        under_way = landed = false;
        events_.rewind();
        for (event_type* each : {&started, &finished}) {
            auto event = events_.take(gpu);
            if (!event) return event.error();
            *each = *event;
        }
        fallbacks.clear();
        path_notes.clear();
        routes.clear();
        return {};
    }
    /// Work in the user's own stream needs no events but the ticket's.
    void add_direct(std::uint64_t bytes) { routes.push_back({started, finished, bytes, false}); }
    [[nodiscard]] status add_routes(const machine& m, const plan& p, node_index gpu) {
        for (const route& r : p.routes) {
            const leg& last = r.legs[r.leg_count - 1u];
            const node_index ends_on = issuer_of(m, last.host_copy ? r.legs[r.leg_count - 2u] : last);
            if (auto added = add_route(ends_on, r.bytes, gpu); !added) return added;
        }
        return {};
    }

    /// A share of the bytes that ends on a stream of `ends_on`; `gpu`: the user's stream's.
    [[nodiscard]] status add_route(node_index ends_on, std::uint64_t bytes, node_index gpu) {
        route_times times{started, {}, bytes, ends_on != gpu};
        auto done = events_.take(ends_on);
        if (!done) return done.error();
        times.done = *done;
        if (times.starts_alone) {
            auto own = events_.take(ends_on);
            if (!own) return own.error();
            times.started = *own;
        }
        routes.push_back(times);
        return {};
    }

private:
    event_shelf<Runtime> events_;
};

/// The last copies that were started, by slot and number. A slot is used again when its copy has landed.
template <runtime Runtime>
class flight_log {
public:
    explicit flight_log(Runtime& on) : runtime_(on) {}
    flight_log(const flight_log&) = delete;
    flight_log& operator=(const flight_log&) = delete;

    [[nodiscard]] std::uint32_t take() {
        std::uint32_t slot = next_;
        bool landed = flights_.size() >= most;
        if (landed && flights_[slot].under_way) {
            const auto done = runtime_.is_done(flights_[slot].finished);
            if (!done) last_lost_ = flights_[slot].number;
            landed = !done || *done;
        }
        if (landed) {
            next_ = (next_ + 1) % static_cast<std::uint32_t>(flights_.size());
        } else {
            slot = static_cast<std::uint32_t>(flights_.size());
            flights_.emplace_back(runtime_);
        }
        flights_[slot].number = ++started_;
        return slot;
    }
    [[nodiscard]] flight<Runtime>& at(std::uint32_t slot) noexcept { return flights_[slot]; }
    [[nodiscard]] const flight<Runtime>& at(std::uint32_t slot) const noexcept { return flights_[slot]; }
    /// Whether any of them moves bytes now: its stream has come to it, and it has not ended. Asks about one event, as long as
    /// the answer is yes, and never again about one that has ended.
    [[nodiscard]] bool any_moving() {
        for (flight<Runtime>& f : flights_) {
            if (!f.under_way || f.captured || f.landed) continue;
            const auto done = runtime_.is_done(f.finished);
            f.landed = !done || *done;
            if (f.landed) continue;
            const auto started = runtime_.is_done(f.started);
            if (started && *started) return true;
        }
        return false;
    }
    /// The latest copy that was found to have failed when its slot was used again.
    [[nodiscard]] std::uint64_t last_lost() const noexcept { return last_lost_; }
    [[nodiscard]] Runtime& on() const noexcept { return runtime_; }

    static constexpr std::uint32_t most = 64;

private:
    Runtime& runtime_;
    std::deque<flight<Runtime>> flights_; ///< addresses stay
    std::uint32_t next_ = 0;
    std::uint64_t started_ = 0;
    std::uint64_t last_lost_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
