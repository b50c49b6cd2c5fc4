// How long copies take one by one: for spreads, drifts and small sizes, where a rate is not enough.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <barelink/measure/order_statistics.hpp>
#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail::probes {

/// A stream of a GPU and a few events, given back at the end. A copy that never ended keeps them.
template <runtime Runtime>
class timed_stream {
public:
    [[nodiscard]] static result<timed_stream> make(Runtime& on, node_index gpu, std::size_t events, double timeout_us) {
        timed_stream made(on, timeout_us);
        auto stream = on.make_stream(gpu);
        if (!stream) return stream.error();
        made.stream_ = *stream;
        made.has_stream_ = true;
        for (std::size_t e = 0; e < events; ++e) {
            auto event = on.make_event(gpu, true);
            if (!event) return event.error();
            made.events_.push_back(*event);
        }
        return result<timed_stream>(std::move(made)); // nvcc would copy
    }
    timed_stream(timed_stream&& other) noexcept
        : on_(other.on_), timeout_us_(other.timeout_us_), stream_(other.stream_),
          has_stream_(std::exchange(other.has_stream_, false)), events_(std::move(other.events_)) {
        other.events_.clear();
    }
    timed_stream& operator=(timed_stream&&) = delete;
    ~timed_stream() {
        if (stuck_) return;
        for (const auto event : events_) (void)on_.destroy(event);
        if (has_stream_) (void)on_.destroy(stream_);
    }

    [[nodiscard]] auto stream() const noexcept { return stream_; }
    [[nodiscard]] status mark(std::size_t event) { return on_.record(events_[event], stream_); }
    [[nodiscard]] result<bool> is_done(std::size_t event) { return on_.is_done(events_[event]); }
    [[nodiscard]] result<double> us_between(std::size_t a, std::size_t b) {
        return on_.elapsed_us(events_[a], events_[b]);
    }
    /// Asks until the event is done. Errors: device, when the time is over: its work may still run.
    [[nodiscard]] status finish(std::size_t event) {
        const double until_us = on_.clock_us() + timeout_us_;
        for (;;) {
            const auto done = on_.is_done(events_[event]);
            if (!done) return done.error();
            if (*done) return {};
            if (on_.clock_us() <= until_us) continue;
            stuck_ = true;
            return error(errc::device, "a copy did not end in time");
        }
    }

private:
    timed_stream(Runtime& on, double timeout_us) : on_(on), timeout_us_(timeout_us) {}

    Runtime& on_;
    double timeout_us_;
    typename Runtime::stream_type stream_{};
    bool has_stream_ = false, stuck_ = false;
    std::vector<typename Runtime::event_type> events_;
};

/// Memory for one measurement, given back at the end.
template <runtime Runtime>
class lent_memory {
public:
    [[nodiscard]] static result<lent_memory> make(Runtime& on, node_index where, std::uint64_t bytes) {
        auto at = on.allocate(where, bytes);
        if (!at) return at.error();
        return lent_memory(on, *at);
    }
    lent_memory(lent_memory&& other) noexcept : on_(other.on_), at_(std::exchange(other.at_, nullptr)) {}
    lent_memory& operator=(lent_memory&&) = delete;
    ~lent_memory() {
        if (at_) (void)on_.release(at_);
    }
    [[nodiscard]] void* at() const noexcept { return at_; }
    /// Something may still write to it.
    void abandon() noexcept { at_ = nullptr; }

private:
    lent_memory(Runtime& on, void* at) : on_(on), at_(at) {}
    Runtime& on_;
    void* at_;
};

} // namespace detail::probes

/// Times of `count` copies back to back in one stream of `gpu`, each between two events, after one that is not counted,
/// microseconds. Blocks until they are done. Errors: device when they do not end in time; the runtime's.
template <runtime Runtime>
[[nodiscard]] result<std::vector<double>> copy_times(Runtime& on, node_index gpu, void* to, const void* from,
                                                     std::uint64_t bytes, int count, double timeout_us) {
    const auto copies = static_cast<std::size_t>(count < 1 ? 1 : count);
    auto lane = detail::probes::timed_stream<Runtime>::make(on, gpu, copies + 1, timeout_us);
    if (!lane) return lane.error();
    status done = on.copy(to, from, bytes, lane->stream());
    if (done) done = lane->mark(0);
    for (std::size_t i = 1; done && i <= copies; ++i) {
        done = on.copy(to, from, bytes, lane->stream());
        if (done) done = lane->mark(i);
    }
    if (done) done = lane->finish(copies);
    if (!done) return done.error();
    std::vector<double> us;
    for (std::size_t i = 1; i <= copies; ++i) {
        auto each = lane->us_between(i - 1, i);
        if (!each) return each.error();
        us.push_back(*each);
    }
    return us;
}

/// Times of `count` copies as a caller sees them, one after the other: from the call until the wait for it returns,
/// microseconds of the runtime's clock. Up to eight more come first and are not counted.
template <runtime Runtime>
[[nodiscard]] result<std::vector<double>> call_times(Runtime& on, node_index gpu, void* to, const void* from,
                                                     std::uint64_t bytes, int count, double timeout_us) {
    auto lane = detail::probes::timed_stream<Runtime>::make(on, gpu, 1, timeout_us);
    if (!lane) return lane.error();
    std::vector<double> us;
    const int not_counted = std::min(count, 8);
    for (int i = -not_counted; i < count; ++i) {
        const double before_us = on.clock_us();
        status done = on.copy(to, from, bytes, lane->stream());
        if (done) done = lane->mark(0);
        if (done) done = lane->finish(0);
        if (!done) return done.error();
        if (i >= 0) us.push_back(on.clock_us() - before_us);
    }
    return us;
}

BARELINK_END_NAMESPACE
