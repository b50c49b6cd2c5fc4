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

    /// `relay_bytes`: all rings on one GPU together.
    lane_pool(Runtime& on, std::uint64_t relay_bytes) : runtime_(on), relay_bytes_(relay_bytes) {}

    /// The set that serves this stream already, an idle one, a new one, or the one used longest ago.
    [[nodiscard]] result<lane_set<Runtime>*> take(stream_type stream, node_index gpu, std::uint64_t capture) {
        over_budget_ = false;
        lane_set<Runtime>* chosen = capture != 0 ? find_captured(stream, capture) : find(stream);
        if (auto made = chosen->make_events(gpu); !made) return made.error();
        chosen->user = stream;
        chosen->rewind();
        return chosen;
    }
    /// A set for a job, to itself until it is given back: its copy takes its time, and the user's stream goes on meanwhile.
    [[nodiscard]] result<lane_set<Runtime>*> take_for_job(stream_type stream, node_index gpu) {
        over_budget_ = false;
        lane_set<Runtime>* chosen = nullptr;
        for (auto& set : jobs_)
            if (!set.busy) chosen = &set;
        if (!chosen) chosen = &jobs_.emplace_back(runtime_, *this);
        if (auto made = chosen->make_events(gpu); !made) return made.error();
        chosen->user = stream;
        chosen->rewind();
        chosen->busy = true;
        return chosen;
    }
    /// Nothing is in flight in it any more. `broken`: something failed; its streams and rings are not used again.
    void give_back(lane_set<Runtime>& set, bool broken) {
        if (broken) set.clear();
        set.busy = set.used = false; // the thread has seen all of it end
    }

    /// Memory in rings, bytes.
    [[nodiscard]] std::uint64_t scratch_bytes() const noexcept {
        std::uint64_t sum = 0;
        for (const auto& set : sets_) sum += set.scratch_bytes();
        for (const auto& set : captured_) sum += set.scratch_bytes();
        for (const auto& set : jobs_) sum += set.scratch_bytes();
        return sum;
    }
    [[nodiscard]] std::uint64_t scratch_bytes(node_index node) const noexcept {
        std::uint64_t sum = 0;
        for (const auto* sets : {&sets_, &captured_, &jobs_})
            for (const auto& set : *sets) sum += set.scratch_bytes(node);
        return sum;
    }

    /// A ring for the last set that was taken got less than it wanted, or nothing, because of the budget: copies in flight
    /// use it up.
    [[nodiscard]] bool over_budget() const noexcept { return over_budget_; }
    void note_over_budget() noexcept { over_budget_ = true; }

    /// Rings in host memory are nobody's GPU's: they have no budget.
    [[nodiscard]] bool has_room(node_index node, std::uint64_t bytes) const noexcept {
        return runtime_.topology().at(node).kind != node_kind::gpu || scratch_bytes(node) + bytes <= relay_bytes_;
    }
    /// The same, after rings of idle sets were given back where that is needed and enough.
    [[nodiscard]] bool make_room(node_index node, std::uint64_t bytes, const lane_set<Runtime>& submitting) {
        if (has_room(node, bytes)) return true;
        if (bytes > relay_bytes_) return false;
        for (auto* sets : {&jobs_, &sets_})
            for (auto& set : *sets) {
                if (set.scratch_bytes(node) == 0 || !set.idle()) continue;
                set.drop_rings(node, &set == &submitting);
                if (has_room(node, bytes)) return true;
            }
        return false;
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
        if (sets_.size() < most_sets) return &sets_.emplace_back(runtime_, *this);
        return &sets_[next_++ % most_sets];
    }
    [[nodiscard]] lane_set<Runtime>* find_captured(stream_type stream, std::uint64_t capture) {
        for (auto& set : captured_)
            if (set.capture == capture && set.user == stream) return &set;
        captured_.emplace_back(runtime_, *this);
        captured_.back().capture = capture;
        return &captured_.back();
    }

    Runtime& runtime_;
    std::uint64_t relay_bytes_;
    bool over_budget_ = false;
    std::deque<lane_set<Runtime>> sets_, captured_, jobs_;
    std::size_t next_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
