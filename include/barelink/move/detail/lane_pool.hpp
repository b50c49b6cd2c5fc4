// Which lanes serve which stream. Private to move.
#pragma once

#include <cstdint>
#include <deque>

#include <barelink/move/detail/lanes.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// At most eight sets for streams, given to others when their copies are done. A capture has sets of its own that nobody
/// else gets: its graph writes their rings whenever it is launched.
template <runtime Runtime>
class lane_pool {
public:
    using stream_type = typename Runtime::stream_type;

    explicit lane_pool(Runtime& on) : runtime_(on) {}

    /// The set that serves this stream already, an idle one, a new one, or the one used longest ago.
    [[nodiscard]] result<lane_set<Runtime>*> take(stream_type stream, node_index gpu, std::uint64_t capture) {
        lane_set<Runtime>* chosen = capture != 0 ? find_captured(stream, capture) : find(stream);
        if (auto made = chosen->make_events(gpu); !made) return made.error();
        chosen->user = stream;
        chosen->rewind();
        return chosen;
    }
    /// Memory in rings, bytes.
    [[nodiscard]] std::uint64_t scratch_bytes() const noexcept {
        std::uint64_t sum = 0;
        for (const auto& set : sets_) sum += set.scratch_bytes();
        for (const auto& set : captured_) sum += set.scratch_bytes();
        return sum;
    }

private:
    static constexpr std::size_t most_sets = 8;

    [[nodiscard]] lane_set<Runtime>* find(stream_type stream) {
        for (auto& set : sets_)
            if (set.used && set.user == stream) return &set;
        for (auto& set : sets_) {
            const auto idle = set.used ? runtime_.is_done(set.finished) : result<bool>(true);
            if (idle && *idle) return &set; // one whose copy failed is left to its own stream
        }
        if (sets_.size() < most_sets) return &sets_.emplace_back(runtime_);
        return &sets_[next_++ % most_sets];
    }
    [[nodiscard]] lane_set<Runtime>* find_captured(stream_type stream, std::uint64_t capture) {
        for (auto& set : captured_)
            if (set.capture == capture && set.user == stream) return &set;
        captured_.emplace_back(runtime_);
        captured_.back().capture = capture;
        return &captured_.back();
    }

    Runtime& runtime_;
    std::deque<lane_set<Runtime>> sets_, captured_;
    std::size_t next_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
