// A copy that was started: its events, and what became of its routes. Private to move.
#pragma once

#include <cstdint>
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
    event_type started{}, finished{};
    std::vector<event_type> route_done; ///< each of the GPU whose stream ends the route
    std::vector<std::uint64_t> route_bytes;
    std::vector<std::string> fallbacks;

    [[nodiscard]] status prepare(const machine& m, const plan& p, node_index gpu) {
        under_way = false;
        events_.rewind();
        for (event_type* each : {&started, &finished}) {
            auto event = events_.take(gpu);
            if (!event) return event.error();
            *each = *event;
        }
        route_done.clear();
        for (const route& r : p.routes) {
            const leg& last = r.legs[r.leg_count - 1u];
            auto event = events_.take(issuer_of(m, last.host_copy ? r.legs[r.leg_count - 2u] : last));
            if (!event) return event.error();
            route_done.push_back(*event);
        }
        route_bytes.clear();
        for (const route& r : p.routes) route_bytes.push_back(r.bytes);
        fallbacks.clear();
        return {};
    }

private:
    event_shelf<Runtime> events_;
};

} // namespace detail
BARELINK_END_NAMESPACE
