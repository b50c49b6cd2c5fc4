// A runtime whose streams and events have numbers, for wrappers that keep books about them: sim::runtime's have, CUDA's
// are pointers.
#pragma once

#include <cstdint>

#include "forwarding_runtime.hpp"

template <class Inner>
class numbered_runtime : public forwarding_runtime<Inner> {
    using base = forwarding_runtime<Inner>;

public:
    using base::base;

    struct stream_type {
        typename Inner::stream_type inner{};
        std::uint32_t number = 0;
        friend bool operator==(const stream_type& a, const stream_type& b) noexcept { return a.number == b.number; }
    };
    struct event_type {
        typename Inner::event_type inner{};
        std::uint32_t number = 0;
    };

    [[nodiscard]] barelink::result<stream_type> make_stream(barelink::node_index gpu) {
        auto made = base::make_stream(gpu);
        if (!made) return made.error();
        return stream_type{*made, ++streams_};
    }
    [[nodiscard]] barelink::result<event_type> make_event(barelink::node_index gpu, bool timed) {
        auto made = base::make_event(gpu, timed);
        if (!made) return made.error();
        return event_type{*made, ++events_};
    }
    [[nodiscard]] auto destroy(stream_type s) { return base::destroy(s.inner); }
    [[nodiscard]] auto destroy(event_type e) { return base::destroy(e.inner); }
    [[nodiscard]] auto issuer(stream_type s) const { return base::issuer(s.inner); }
    [[nodiscard]] auto record(event_type e, stream_type s) { return base::record(e.inner, s.inner); }
    [[nodiscard]] auto wait(stream_type s, event_type e) { return base::wait(s.inner, e.inner); }
    [[nodiscard]] auto copy(void* to, const void* from, std::uint64_t bytes, stream_type s) {
        return base::copy(to, from, bytes, s.inner);
    }
    [[nodiscard]] auto copy_2d(void* to, std::uint64_t to_pitch, const void* from, std::uint64_t from_pitch,
                               std::uint64_t row_bytes, std::uint64_t rows, stream_type s) {
        return base::copy_2d(to, to_pitch, from, from_pitch, row_bytes, rows, s.inner);
    }
    [[nodiscard]] auto copy_many(const barelink::block* list, std::size_t count, stream_type s) {
        return base::copy_many(list, count, s.inner);
    }
    [[nodiscard]] bool can_copy_many(stream_type s) const { return base::can_copy_many(s.inner); }
    [[nodiscard]] barelink::status copy_blocks(const barelink::block* list, std::size_t count, int multiprocessors,
                                               stream_type s) {
        return base::copy_blocks(list, count, multiprocessors, s.inner);
    }
    [[nodiscard]] auto is_done(event_type e) { return base::is_done(e.inner); }
    [[nodiscard]] auto synchronize(event_type e) { return base::synchronize(e.inner); }
    [[nodiscard]] auto elapsed_us(event_type from, event_type to) { return base::elapsed_us(from.inner, to.inner); }
    [[nodiscard]] auto capturing(stream_type s) { return base::capturing(s.inner); }

private:
    std::uint32_t streams_ = 0, events_ = 0;
};
