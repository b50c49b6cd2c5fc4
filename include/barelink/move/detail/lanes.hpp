// What a copy in flight works with besides its own memory: streams, and rings with the events of their slots. Private to move.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include <barelink/move/runtime.hpp>
#include <barelink/plan/plan.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// A ring of slots in one memory, between two legs. `ready` is recorded by the leg that fills a slot, `drained` by the one that
/// empties it; both outlive a copy, so that the next copy to use the slot waits for the last.
template <runtime Runtime>
struct ring {
    node_index node = no_node;
    node_index filled_by = no_node;  ///< GPU that issues the leg into it; none for host threads
    node_index drained_by = no_node; ///< GPU that issues the leg out of it; none for host threads
    std::uint32_t ordinal = 0;       ///< among the rings of one plan with the same three
    void* base = nullptr;
    std::uint64_t slot_bytes = 0;
    struct slot {
        typename Runtime::event_type ready{}, drained{};
        bool used = false;
    };
    std::vector<slot> slots;

    [[nodiscard]] void* at(std::uint32_t number) const noexcept {
        return static_cast<char*>(base) + number * slot_bytes;
    }
};

/// Streams and rings for one copy at a time. Copies of the same user stream share a set, because they are ordered anyway;
/// copies of different streams get different sets, so that none waits for work of another's stream.
template <runtime Runtime>
class lane_set {
public:
    using stream_type = typename Runtime::stream_type;
    using event_type = typename Runtime::event_type;

    explicit lane_set(Runtime& on) : runtime_(on) {}
    lane_set(const lane_set&) = delete;
    lane_set& operator=(const lane_set&) = delete;
    /// Silent: a failure to give something back has nobody to go to.
    ~lane_set() {
        if (used) (void)runtime_.synchronize(finished);
        for (ring<Runtime>& r : rings_) discard(r);
        for (const lane& l : lanes_) (void)runtime_.destroy(l.stream);
        if (made_) {
            (void)runtime_.destroy(forked);
            (void)runtime_.destroy(finished);
        }
    }

    stream_type user{};  ///< whose copies it serves
    bool used = false;   ///< `finished` was recorded
    event_type forked{}; ///< the user's stream at the start of the copy
    event_type finished{};

    [[nodiscard]] status make_events(node_index gpu) {
        if (made_) return {};
        auto first = runtime_.make_event(gpu);
        if (!first) return first.error();
        forked = *first;
        auto second = runtime_.make_event(gpu);
        if (!second) return second.error();
        finished = *second;
        made_ = true;
        return {};
    }

    /// Starts handing out streams and rings from the beginning.
    void rewind() noexcept {
        for (lane& l : lanes_) l.taken = false;
    }

    /// A stream of a GPU that this copy does not use yet.
    [[nodiscard]] result<stream_type> take_stream(node_index gpu) {
        for (lane& l : lanes_)
            if (!l.taken && l.gpu == gpu) {
                l.taken = true;
                return l.stream;
            }
        auto made = runtime_.make_stream(gpu);
        if (made) lanes_.push_back({gpu, *made, true});
        return made;
    }

    /// A ring of at least `depth` slots of `slot_bytes`. When the memory has no room it tries smaller slots, down to
    /// `least_slot_bytes`; the caller sees what it got. Errors: out_of_memory and what the runtime says.
    [[nodiscard]] result<ring<Runtime>*> take_ring(node_index node, node_index filled_by, node_index drained_by,
                                                   std::uint32_t ordinal, std::uint64_t slot_bytes,
                                                   std::uint32_t depth) {
        for (ring<Runtime>& r : rings_) {
            if (r.node != node || r.filled_by != filled_by || r.drained_by != drained_by || r.ordinal != ordinal)
                continue;
            if (r.slot_bytes >= slot_bytes && r.slots.size() >= depth) return &r;
            if (used)
                if (auto quiet = runtime_.synchronize(finished); !quiet) return quiet.error();
            discard(r);
            return make(r, slot_bytes, depth);
        }
        rings_.push_back({});
        ring<Runtime>& r = rings_.back();
        r.node = node;
        r.filled_by = filled_by;
        r.drained_by = drained_by;
        r.ordinal = ordinal;
        return make(r, slot_bytes, depth);
    }

    static constexpr std::uint64_t least_slot_bytes = 64 * KiB;

private:
    struct lane {
        node_index gpu;
        stream_type stream{};
        bool taken = false;
    };

    result<ring<Runtime>*> make(ring<Runtime>& r, std::uint64_t slot_bytes, std::uint32_t depth) {
        r.slot_bytes = 0;
        for (std::uint64_t size = slot_bytes;; size /= 2) {
            auto memory = runtime_.allocate(r.node, size * depth);
            if (memory) {
                r.base = *memory;
                r.slot_bytes = size;
                break;
            }
            if (memory.error().code() != errc::out_of_memory || size / 2 < least_slot_bytes) return memory.error();
        }
        const machine& m = runtime_.topology();
        const auto event_at = [&](node_index gpu) {
            return runtime_.make_event(gpu == no_node ? m.all(node_kind::gpu).front() : gpu);
        };
        while (r.slots.size() < depth) {
            auto ready = event_at(r.filled_by);
            if (!ready) return ready.error();
            r.slots.push_back({*ready, {}, false});
            auto drained = event_at(r.drained_by);
            if (!drained) return drained.error();
            r.slots.back().drained = *drained;
        }
        return &r;
    }
    void discard(ring<Runtime>& r) {
        if (r.base) (void)runtime_.release(r.base);
        r.base = nullptr;
        for (const auto& slot : r.slots) {
            (void)runtime_.destroy(slot.ready);
            (void)runtime_.destroy(slot.drained);
        }
        r.slots.clear();
    }

    Runtime& runtime_;
    bool made_ = false;
    std::vector<lane> lanes_;
    std::deque<ring<Runtime>> rings_; ///< addresses stay
};

} // namespace detail
BARELINK_END_NAMESPACE
