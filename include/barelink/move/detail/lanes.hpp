// What a copy in flight works with besides its own memory: streams, and rings with the events of their slots. Private to move.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include <barelink/move/detail/event_shelf.hpp>
#include <barelink/plan/plan.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

template <runtime Runtime>
class lane_pool;

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
    std::uint64_t wanted_bytes = 0; ///< slot size that was asked for; the memory may have had no room for it
    bool squeezed = false;          ///< smaller for the mover's own budget: not for good
    bool taken = false;             ///< by the copy that was submitted last
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

    lane_set(Runtime& on, lane_pool<Runtime>& pool) : runtime_(on), pool_(pool) {}
    lane_set(const lane_set&) = delete;
    lane_set& operator=(const lane_set&) = delete;
    ~lane_set() { clear(); }

    /// Gives streams and rings back, when they are empty. Silent: a failure to give something back has nobody to go to.
    void clear() {
        // One call may fail by itself; when one fails again the device is gone, and nothing runs any more.
        if (!quiet()) (void)quiet();
        for (ring<Runtime>& r : rings_) discard(r);
        for (const lane& l : lanes_) {
            (void)runtime_.destroy(l.stream);
            (void)runtime_.destroy(l.done);
        }
        rings_.clear();
        lanes_.clear();
    }

    stream_type user{};        ///< whose copies it serves
    std::uint64_t capture = 0; ///< whose graph it belongs to, 0 for none
    bool used = false;         ///< `finished` was recorded
    bool busy = false;         ///< a job has it to itself
    event_type forked{};       ///< the user's stream at the start of the copy
    event_type finished{};

    [[nodiscard]] status make_events(node_index gpu) {
        events_.rewind();
        auto first = events_.take(gpu);
        if (!first) return first.error();
        auto second = events_.take(gpu);
        if (!second) return second.error();
        forked = *first;
        finished = *second;
        return {};
    }

    /// Starts handing out streams and rings from the beginning.
    void rewind() noexcept {
        for (lane& l : lanes_) l.taken = false;
        for (ring<Runtime>& r : rings_) r.taken = false;
    }

    /// A stream of a GPU that this copy does not use yet.
    [[nodiscard]] result<stream_type> take_stream(node_index gpu) {
        for (lane& l : lanes_)
            if (!l.taken && l.gpu == gpu) {
                l.taken = true;
                return l.stream;
            }
        auto made = runtime_.make_stream(gpu);
        if (!made) return made;
        auto done = runtime_.make_event(gpu, false);
        if (!done) {
            (void)runtime_.destroy(*made);
            return done.error();
        }
        lanes_.push_back({gpu, *made, *done, true});
        return made;
    }

    [[nodiscard]] std::uint64_t scratch_bytes() const noexcept {
        std::uint64_t sum = 0;
        for (const ring<Runtime>& r : rings_) sum += r.slot_bytes * r.slots.size();
        return sum;
    }
    [[nodiscard]] std::uint64_t scratch_bytes(node_index node) const noexcept {
        std::uint64_t sum = 0;
        for (const ring<Runtime>& r : rings_) sum += r.node == node ? r.slot_bytes * r.slots.size() : 0;
        return sum;
    }

    /// Nothing that it was given is under way, as far as its last copy tells. A capture's sets belong to its graph.
    [[nodiscard]] bool idle() const {
        if (busy || capture != 0) return false;
        if (!used) return true;
        const auto done = runtime_.is_done(finished);
        return done && *done;
    }
    /// Gives back its rings on a node, but for those that the copy being submitted has taken if it is `submitting`.
    /// Precondition: idle.
    void drop_rings(node_index node, bool submitting) {
        if (!submitting)
            for (ring<Runtime>& r : rings_) r.taken = false;
        bool any = false;
        for (const ring<Runtime>& r : rings_) any |= r.node == node && !r.taken && r.base;
        if (!any || !quiet()) return;
        for (ring<Runtime>& r : rings_)
            if (r.node == node && !r.taken) discard(r);
    }

    /// Blocks until its streams are empty. `finished` says less: it stands for the last copy, and not for what a copy
    /// that failed halfway left behind, nor for an earlier copy of another user's stream.
    [[nodiscard]] status quiet() {
        status first_failure;
        for (const lane& l : lanes_) {
            status done = runtime_.record(l.done, l.stream);
            if (done) done = runtime_.synchronize(l.done);
            first_failure.keep_first(std::move(done));
        }
        return first_failure;
    }

    /// A ring of at least `depth` slots of `slot_bytes`. When the memory has no room it tries smaller slots, down to
    /// `least_slot_bytes`, and stays with what it got; the caller sees it. When it is the mover's budget that has no room the
    /// rings of idle sets go first, and a smaller ring grows when there is room again and nothing runs in it. Errors:
    /// out_of_memory and what the runtime says.
    [[nodiscard]] result<ring<Runtime>*> take_ring(node_index node, node_index filled_by, node_index drained_by,
                                                   std::uint32_t ordinal, std::uint64_t slot_bytes,
                                                   std::uint32_t depth) {
        for (ring<Runtime>& r : rings_) {
            if (r.node != node || r.filled_by != filled_by || r.drained_by != drained_by || r.ordinal != ordinal)
                continue;
            r.taken = true;
            const bool fits = r.wanted_bytes >= slot_bytes && r.slots.size() >= depth;
            if (fits && !(r.squeezed && r.slot_bytes < slot_bytes && may_grow(r, slot_bytes, depth))) return &r;
            if (r.base)
                if (auto empty = quiet(); !empty) return empty.error();
            discard(r);
            return make(r, slot_bytes, depth);
        }
        rings_.push_back({});
        ring<Runtime>& r = rings_.back();
        r.node = node;
        r.filled_by = filled_by;
        r.drained_by = drained_by;
        r.ordinal = ordinal;
        r.taken = true;
        return make(r, slot_bytes, depth);
    }

    static constexpr std::uint64_t least_slot_bytes = 64 * KiB;

private:
    struct lane {
        node_index gpu;
        stream_type stream{};
        event_type done{};
        bool taken = false;
    };

    result<ring<Runtime>*> make(ring<Runtime>& r, std::uint64_t slot_bytes, std::uint32_t depth) {
        r.slot_bytes = r.wanted_bytes = 0;
        r.squeezed = false;
        for (std::uint64_t size = slot_bytes;; size /= 2) {
            const bool fits = pool_.make_room(r.node, size * depth, *this);
            auto memory = fits ? runtime_.allocate(r.node, size * depth) : no_budget(r.node, size * depth);
            if (memory) {
                r.base = *memory;
                r.slot_bytes = size;
                break;
            }
            r.squeezed |= !fits;
            if (!fits) pool_.note_over_budget();
            if (memory.error().code() != errc::out_of_memory || size / 2 < least_slot_bytes) return memory.error();
        }
        // Where host threads are at one side, nobody records its events: they are the other side's GPU's, so that no third
        // GPU gets a context.
        const auto event_at = [&](node_index gpu, node_index other_side) {
            return runtime_.make_event(gpu == no_node ? other_side : gpu, false);
        };
        while (r.slots.size() < depth) {
            auto ready = event_at(r.filled_by, r.drained_by);
            if (!ready) return ready.error();
            auto drained = event_at(r.drained_by, r.filled_by);
            if (!drained) {
                (void)runtime_.destroy(*ready);
                return drained.error();
            }
            r.slots.push_back({*ready, *drained, false});
        }
        r.wanted_bytes = slot_bytes;
        return &r;
    }
    [[nodiscard]] bool may_grow(const ring<Runtime>& r, std::uint64_t slot_bytes, std::uint32_t depth) {
        const std::uint64_t more = slot_bytes * depth - r.slot_bytes * r.slots.size();
        return idle() && pool_.make_room(r.node, more, *this);
    }
    [[nodiscard]] result<void*> no_budget(node_index node, std::uint64_t bytes) const {
        const auto& id = runtime_.topology().at(node).id();
        return error(errc::out_of_memory,
                     text::join({"copies in flight use up what mover_options::relay_bytes allows on ", id.c_str()}))
            .about(id.c_str())
            .asking(bytes);
    }
    void discard(ring<Runtime>& r) {
        if (r.base) (void)runtime_.release(r.base);
        r.base = nullptr;
        for (const auto& slot : r.slots) {
            (void)runtime_.destroy(slot.ready);
            (void)runtime_.destroy(slot.drained);
        }
        r.slots.clear();
        r.slot_bytes = r.wanted_bytes = 0;
    }

    Runtime& runtime_;
    lane_pool<Runtime>& pool_;
    event_shelf<Runtime> events_{runtime_, false};
    std::vector<lane> lanes_;
    std::deque<ring<Runtime>> rings_; ///< addresses stay
};

} // namespace detail
BARELINK_END_NAMESPACE
