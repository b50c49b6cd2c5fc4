// Events of a GPU each, handed out again and again. Private to move.
#pragma once

#include <vector>

#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Events by GPU, because a stream records only events of its own GPU. Made on first use and kept.
template <runtime Runtime>
class event_shelf {
public:
    using event_type = typename Runtime::event_type;

    /// `timed`: its events keep the time of their recording.
    event_shelf(Runtime& on, bool timed) : runtime_(on), timed_(timed) {}
    event_shelf(const event_shelf&) = delete;
    event_shelf& operator=(const event_shelf&) = delete;
    ~event_shelf() {
        for (const entry& e : entries_) (void)runtime_.destroy(e.event);
    }

    /// Starts handing out events from the beginning.
    void rewind() noexcept {
        for (entry& e : entries_) e.taken = false;
    }
    /// An event of a GPU that was not taken since `rewind`.
    [[nodiscard]] result<event_type> take(node_index gpu) {
        for (entry& e : entries_)
            if (!e.taken && e.gpu == gpu) {
                e.taken = true;
                return e.event;
            }
        auto made = runtime_.make_event(gpu, timed_);
        if (made) entries_.push_back({gpu, *made, true});
        return made;
    }

private:
    struct entry {
        node_index gpu;
        event_type event{};
        bool taken = false;
    };
    Runtime& runtime_;
    bool timed_;
    std::vector<entry> entries_;
};

} // namespace detail
BARELINK_END_NAMESPACE
