// A copy that was started: its events, and what became of its routes. Private to move.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <barelink/move/runtime.hpp>
#include <barelink/plan/plan.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// What a ticket refers to.
template <runtime Runtime>
struct flight {
    using event_type = typename Runtime::event_type;

    explicit flight(Runtime& on) : runtime_(&on) {}
    flight(const flight&) = delete;
    flight& operator=(const flight&) = delete;
    ~flight() {
        for (std::size_t i = 0; i < made_; ++i) (void)runtime_->destroy(i == 0 ? started : finished);
        for (const event_type e : route_done) (void)runtime_->destroy(e);
    }

    std::uint64_t number = 0;
    event_type started{}, finished{};
    std::vector<event_type> route_done; ///< grows to the most routes ever used
    std::vector<std::uint64_t> route_bytes;
    std::vector<std::string> fallbacks;

    [[nodiscard]] status prepare(const plan& p, node_index gpu) {
        for (; made_ < 2; ++made_) {
            auto event = runtime_->make_event(gpu);
            if (!event) return event.error();
            (made_ == 0 ? started : finished) = *event;
        }
        while (route_done.size() < p.routes.size()) {
            auto event = runtime_->make_event(gpu);
            if (!event) return event.error();
            route_done.push_back(*event);
        }
        route_bytes.clear();
        for (const route& r : p.routes) route_bytes.push_back(r.bytes);
        fallbacks.clear();
        return {};
    }

private:
    Runtime* runtime_;
    std::size_t made_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
