// The rings of a file mover: slots of pinned memory, near the GPUs that they serve. Private to move.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <barelink/move/detail/file_cut.hpp>
#include <barelink/move/detail/file_task.hpp>
#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// The host memory with the fastest path to a GPU; among equals the GPU's own node, then the one with the least latency.
[[nodiscard]] inline node_index nearest_memory(const machine& m, node_index gpu) noexcept {
    node_index best = no_node;
    const dma_path* best_path = nullptr;
    for (std::uint32_t n = 0; n < m.nodes.size(); ++n) {
        if (m.nodes[n].kind != node_kind::memory) continue;
        const dma_path* const path = m.path(node_index{n}, gpu);
        if (!path) continue;
        const bool own = m.nodes[n].numa == m.at(gpu).numa;
        const bool better = !best_path || path->gb_s > best_path->gb_s ||
                            (path->gb_s == best_path->gb_s && m.at(best).numa != m.at(gpu).numa &&
                             (own || path->latency_us < best_path->latency_us));
        if (!better) continue;
        best = node_index{n};
        best_path = path;
    }
    return best;
}

/// A piece of pinned memory, allocated by itself, so that no registration is straddled and a full machine costs slots and
/// not the job.
struct file_slot {
    char* memory = nullptr; ///< nullptr: an entry that waits for memory
    std::uint32_t ring = 0;
    std::uint32_t links = 0; ///< copies between it and GPUs under way
    file_window window;
    file_task task;
};

/// Slots of one size on several NUMA nodes. Owns the memory. Borrows the runtime.
template <runtime Runtime>
class file_slots {
public:
    explicit file_slots(Runtime& on) : runtime_(on) {}
    file_slots(const file_slots&) = delete;
    file_slots& operator=(const file_slots&) = delete;
    ~file_slots() { release_all(); }

    /// The ring on a node, by number; made empty.
    [[nodiscard]] std::uint32_t ring_on(node_index node) {
        for (std::uint32_t r = 0; r < rings_.size(); ++r)
            if (rings_[r].node == node) return r;
        rings_.push_back({node, 0, {}});
        return static_cast<std::uint32_t>(rings_.size() - 1);
    }
    [[nodiscard]] node_index node_of(std::uint32_t ring) const noexcept { return rings_[ring].node; }
    [[nodiscard]] std::uint32_t rings() const noexcept { return static_cast<std::uint32_t>(rings_.size()); }

    /// Gives every ring `wanted[ring]` slots of `slot_bytes` or more; where the memory is full fewer, then smaller ones, and says
    /// so in `note`. Precondition: no slot is in use. Errors: out_of_memory below two slots of 64 KiB, those of the runtime.
    template <class Note>
    [[nodiscard]] status provide(const std::vector<std::uint64_t>& wanted, std::uint64_t slot_bytes,
                                 std::uint64_t alignment, Note note) {
        if (slot_bytes_ < slot_bytes || slot_bytes_ % alignment != 0) {
            release_all();
            slot_bytes_ = slot_bytes;
        }
        for (;;) {
            status enough;
            // First what is too much, so that no moment sees more than the budget.
            for (std::uint32_t r = 0; r < rings_.size(); ++r)
                while (rings_[r].count > wanted[r]) release_one(r);
            for (std::uint32_t r = 0; r < rings_.size() && enough; ++r) enough = grow(r, wanted[r], note);
            if (enough || enough.error().code() != errc::out_of_memory) return enough;
            const std::uint64_t smaller = round_up(slot_bytes_ / 2, alignment);
            if (smaller < least_slot_bytes || smaller >= slot_bytes_) return enough;
            release_all();
            slot_bytes_ = smaller;
            note("the ring has chunks of " + std::to_string(smaller) + " bytes: " + enough.error().what());
        }
    }
    [[nodiscard]] bool has_free(std::uint32_t ring) const noexcept { return !rings_[ring].free.empty(); }
    /// Precondition: the ring has a free slot.
    [[nodiscard]] std::uint32_t take(std::uint32_t ring) noexcept {
        const std::uint32_t taken = rings_[ring].free.back();
        rings_[ring].free.pop_back();
        return taken;
    }
    void give_back(std::uint32_t slot) { rings_[slots_[slot].ring].free.push_back(slot); }

    /// The next `provide` starts from nothing.
    void forget() {
        release_all();
        slot_bytes_ = 0;
    }
    [[nodiscard]] file_slot& at(std::uint32_t slot) noexcept { return slots_[slot]; }
    [[nodiscard]] const file_slot& at(std::uint32_t slot) const noexcept { return slots_[slot]; }
    [[nodiscard]] std::uint64_t slot_bytes() const noexcept { return slot_bytes_; }
    [[nodiscard]] std::uint32_t count(std::uint32_t ring) const noexcept { return rings_[ring].count; }
    [[nodiscard]] std::uint32_t count() const noexcept {
        std::uint32_t sum = 0;
        for (const ring_state& each : rings_) sum += each.count;
        return sum;
    }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return slot_bytes_ * count(); }

    static constexpr std::uint64_t least_slot_bytes = 64 * KiB;

private:
    struct ring_state {
        node_index node;
        std::uint32_t count = 0; ///< with memory
        std::vector<std::uint32_t> free;
    };

    template <class Note>
    [[nodiscard]] status grow(std::uint32_t number, std::uint64_t wanted, Note note) {
        ring_state& mine = rings_[number];
        while (mine.count < wanted) {
            auto memory = runtime_.allocate(mine.node, slot_bytes_);
            if (!memory) {
                if (memory.error().code() != errc::out_of_memory || mine.count < (wanted < 2 ? wanted : 2))
                    return memory.error();
                note("the ring on " + runtime_.topology().at(mine.node).id() + " has " + std::to_string(mine.count) +
                     " chunks of " + std::to_string(wanted) + ": " + memory.error().what());
                return {};
            }
            std::uint32_t slot = 0;
            while (slot < slots_.size() && slots_[slot].memory) ++slot;
            if (slot == slots_.size()) slots_.emplace_back();
            slots_[slot].memory = static_cast<char*>(*memory);
            slots_[slot].ring = number;
            slots_[slot].links = 0;
            ++mine.count;
            mine.free.push_back(slot);
        }
        return {};
    }
    void release_one(std::uint32_t ring) {
        const std::uint32_t slot = take(ring);
        (void)runtime_.release(slots_[slot].memory); // silent: who could be told has moved on
        slots_[slot].memory = nullptr;
        --rings_[ring].count;
    }
    void release_all() {
        for (file_slot& each : slots_)
            if (each.memory) {
                (void)runtime_.release(each.memory);
                each.memory = nullptr;
            }
        for (ring_state& each : rings_) {
            each.count = 0;
            each.free.clear();
        }
    }

    Runtime& runtime_;
    std::deque<file_slot> slots_; ///< addresses stay
    std::vector<ring_state> rings_;
    std::uint64_t slot_bytes_ = 0;
};

} // namespace detail
BARELINK_END_NAMESPACE
