// A runtime that forgets one call: what a missing line in the mover would do.
#pragma once

#include <string>

#include "forwarding_runtime.hpp"

enum class forgotten : std::uint8_t { nothing, wait, record, synchronize };

/// Passes everything on, except that one `wait`, `record` or `synchronize`, chosen by its number, reports success and
/// does nothing.
template <class Inner>
class dropping_runtime : public forwarding_runtime<Inner> {
    using base = forwarding_runtime<Inner>;

public:
    using base::base;
    using typename base::event_type;
    using typename base::stream_type;

    /// Forgets the `number`-th call of a kind from now on, counted from 0.
    void drop(forgotten what, std::uint64_t number) {
        what_ = what;
        number_ = number;
        seen_ = 0;
        dropped_.clear();
    }
    /// Calls are neither counted nor forgotten while it is paused.
    void pause(bool paused) { paused_ = paused; }
    /// Calls of the kind since `drop`.
    [[nodiscard]] std::uint64_t seen() const { return seen_; }
    /// Which copy the forgotten call came after; empty when there was none.
    [[nodiscard]] const std::string& dropped() const { return dropped_; }

    [[nodiscard]] barelink::status record(event_type e, stream_type s) {
        return forgets(forgotten::record) ? barelink::status{} : base::record(e, s);
    }
    [[nodiscard]] barelink::status wait(stream_type s, event_type e) {
        return forgets(forgotten::wait) ? barelink::status{} : base::wait(s, e);
    }
    [[nodiscard]] barelink::status synchronize(event_type e) {
        return forgets(forgotten::synchronize) ? barelink::status{} : base::synchronize(e);
    }
    void annotate(std::uint32_t route, std::uint32_t leg, std::uint32_t chunk) {
        at_ = "route " + std::to_string(route) + " leg " + std::to_string(leg) + " chunk " + std::to_string(chunk);
        base::annotate(route, leg, chunk);
    }

private:
    bool forgets(forgotten kind) {
        if (paused_ || kind != what_ || seen_++ != number_) return false;
        dropped_ = "after " + at_;
        return true;
    }

    forgotten what_ = forgotten::nothing;
    bool paused_ = false;
    std::uint64_t number_ = 0, seen_ = 0;
    std::string at_ = "the start", dropped_;
};
