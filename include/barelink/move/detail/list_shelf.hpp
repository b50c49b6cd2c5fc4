// Pinned memory for the lists that copy kernels read, used again when a kernel is done. Private to move.
#pragma once

#include <cstdint>
#include <deque>

#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Lists that a graph reads are never used again: its launches read them as long as it lives.
template <runtime Runtime>
class list_shelf {
public:
    struct list {
        void* base = nullptr;
        std::uint64_t bytes = 0;
        std::uint64_t device_offset = 0;
        node_index node = no_node, gpu = no_node;
        typename Runtime::event_type read{}; ///< the last kernel that reads it
        bool used = false, captured = false;
    };

    explicit list_shelf(Runtime& on) : runtime_(on) {}
    list_shelf(const list_shelf&) = delete;
    list_shelf& operator=(const list_shelf&) = delete;
    /// Silent: a failure to give something back has nobody to go to.
    ~list_shelf() {
        for (list& each : lists_) {
            // When one call fails the other may not; when both do the device is gone, and nothing runs any more.
            if (each.used && !runtime_.synchronize(each.read)) (void)runtime_.synchronize(each.read);
            (void)runtime_.release(each.base);
            (void)runtime_.destroy(each.read);
        }
    }

    /// Memory on a NUMA node for a kernel of a GPU. Allocates when none is idle; waits for one of them when there
    /// are `most` of its kind. Errors: the runtime's.
    [[nodiscard]] result<list*> take(node_index node, node_index gpu, std::uint64_t bytes, bool captured) {
        std::size_t enough = 0;
        list* busy = nullptr;
        for (list& each : lists_) {
            if (captured || each.captured || each.node != node || each.gpu != gpu || each.bytes < bytes) continue;
            if (each.used) {
                const auto idle = runtime_.is_done(each.read);
                if (!idle) return idle.error();
                if (!*idle) {
                    ++enough;
                    if (!busy) busy = &each;
                    continue;
                }
            }
            return &each;
        }
        if (enough >= most) {
            if (auto done = runtime_.synchronize(busy->read); !done) return done.error();
            return busy;
        }
        list made;
        made.bytes = least_bytes;
        while (made.bytes < bytes) made.bytes *= 2;
        made.node = node;
        made.gpu = gpu;
        made.captured = captured;
        auto event = runtime_.make_event(gpu, false);
        if (!event) return event.error();
        made.read = *event;
        auto memory = runtime_.allocate(node, made.bytes);
        if (!memory) {
            (void)runtime_.destroy(made.read);
            return memory.error();
        }
        made.base = *memory;
        if (auto seen = runtime_.extent(made.base)) made.device_offset = seen->device_offset;
        lists_.push_back(made);
        return &lists_.back();
    }
    /// After the kernel was enqueued.
    [[nodiscard]] status mark(list& taken, typename Runtime::stream_type stream) {
        if (taken.captured) return {};
        auto done = runtime_.record(taken.read, stream);
        taken.used = true;
        return done;
    }

    [[nodiscard]] std::uint64_t bytes() const noexcept {
        std::uint64_t sum = 0;
        for (const list& each : lists_) sum += each.bytes;
        return sum;
    }

private:
    static constexpr std::uint64_t least_bytes = 64 * KiB;
    static constexpr std::size_t most = 8;

    Runtime& runtime_;
    std::deque<list> lists_; ///< addresses stay
};

} // namespace detail
BARELINK_END_NAMESPACE
