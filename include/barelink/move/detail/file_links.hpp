// The GPU side of a file mover: a stream for each memory in use, and what is under way in it. Private to move.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// A memory that bytes go to or come from. Pinned host memory has no stream: host threads copy there.
template <runtime Runtime>
struct file_lane {
    node_index node = no_node;
    bool host = false;
    bool used = false; ///< by the present job
    std::uint32_t ring = 0;
    typename Runtime::stream_type stream{};
    struct link {
        std::uint32_t slot = 0;
        std::uint64_t bytes = 0;
        typename Runtime::event_type done{};
    };
    std::deque<link> under_way; ///< in the stream's order
    std::vector<typename Runtime::event_type> spare;
};

/// Owns lanes, their streams and events. Borrows the runtime.
template <runtime Runtime>
class file_links {
public:
    using stream_type = typename Runtime::stream_type;
    using event_type = typename Runtime::event_type;
    using lane = file_lane<Runtime>;

    explicit file_links(Runtime& on) : runtime_(on) {}
    file_links(const file_links&) = delete;
    file_links& operator=(const file_links&) = delete;
    ~file_links() {
        for (lane& each : lanes_) {
            if (each.host) continue;
            (void)runtime_.destroy(each.stream);
            for (const event_type event : each.spare) (void)runtime_.destroy(event);
            for (const auto& link : each.under_way) (void)runtime_.destroy(link.done);
        }
    }

    /// The lane of a memory, made on first use. `ring`: the one that serves it.
    [[nodiscard]] result<std::uint32_t> lane_to(const placement& where, std::uint32_t ring) {
        const bool host = where.kind != memory_kind::device;
        for (std::uint32_t l = 0; l < lanes_.size(); ++l)
            if (lanes_[l].node == where.node && lanes_[l].host == host) {
                lanes_[l].used = true;
                return l;
            }
        lane made;
        made.node = where.node;
        made.host = host;
        made.used = true;
        made.ring = ring;
        if (!host) {
            auto stream = runtime_.make_stream(where.node);
            if (!stream) return std::move(stream).error();
            made.stream = *stream;
        }
        lanes_.push_back(std::move(made));
        return static_cast<std::uint32_t>(lanes_.size() - 1);
    }
    [[nodiscard]] std::deque<lane>& lanes() noexcept { return lanes_; }
    [[nodiscard]] lane& at(std::uint32_t l) noexcept { return lanes_[l]; }

    /// The lane's copies for a slot are enqueued: from now on they count as under way. When this fails nothing tells when
    /// they end but `quiet`.
    [[nodiscard]] status mark(lane& l, std::uint32_t slot, std::uint64_t bytes) {
        auto event = take_event(l);
        if (!event) return std::move(event).error();
        if (auto recorded = runtime_.record(*event, l.stream); !recorded) {
            l.spare.push_back(*event);
            return recorded;
        }
        l.under_way.push_back({slot, bytes, *event});
        ++under_way_;
        return {};
    }
    [[nodiscard]] std::uint64_t under_way() const noexcept { return under_way_; }
    /// The first link of a lane is over, in whatever way.
    typename lane::link pop(lane& l) {
        const auto ended = l.under_way.front();
        l.under_way.pop_front();
        l.spare.push_back(ended.done);
        --under_way_;
        return ended;
    }
    /// The lane that has most to do; nullptr when none has anything.
    [[nodiscard]] lane* busiest() noexcept {
        lane* found = nullptr;
        for (lane& each : lanes_)
            if (!each.under_way.empty() && (!found || each.under_way.size() > found->under_way.size())) found = &each;
        return found;
    }
    /// Blocks until the streams in use are empty, as far as the runtime can tell.
    void quiet() noexcept {
        for (lane& each : lanes_) {
            if (!each.used || each.host) continue;
            // One call may fail by itself; when one fails again the device is gone, and nothing runs any more.
            for (int tries = 0; tries < 2; ++tries) {
                auto event = take_event(each);
                if (!event) continue;
                status done = runtime_.record(*event, each.stream);
                if (done) done = runtime_.synchronize(*event);
                each.spare.push_back(*event);
                if (done) break;
            }
        }
    }

private:
    [[nodiscard]] result<event_type> take_event(lane& l) {
        if (l.spare.empty()) return runtime_.make_event(l.node, false);
        const event_type taken = l.spare.back();
        l.spare.pop_back();
        return taken;
    }

    Runtime& runtime_;
    std::deque<lane> lanes_; ///< addresses stay
    std::uint64_t under_way_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
