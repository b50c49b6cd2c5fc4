// Memory of a probe: blocks on GPUs and pinned on NUMA nodes, kept for the next measurement. Private to measure.
#pragma once

#include <cstdint>
#include <vector>

#include <barelink/core/units.hpp>
#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Blocks by node. One is handed out to one user until `rewind`; freed at the end, when no copy uses them.
template <runtime Runtime>
class probe_memory {
public:
    /// Holds at most `most_bytes` at a time.
    probe_memory(Runtime& on, std::uint64_t most_bytes) : runtime_(on), most_bytes_(most_bytes) {}
    probe_memory(const probe_memory&) = delete;
    probe_memory& operator=(const probe_memory&) = delete;
    ~probe_memory() { free_unused(true); }

    /// Starts handing out blocks from the beginning.
    void rewind() noexcept {
        for (block_of& each : blocks_) each.taken = false;
    }
    /// The smallest free block that is large enough, or a new one. Blocks nobody uses make room for it.
    /// Errors: out_of_memory beyond the limit, and the runtime's.
    [[nodiscard]] result<void*> take(node_index where, std::uint64_t bytes) {
        block_of* best = nullptr;
        for (block_of& each : blocks_)
            if (!each.taken && each.where == where && each.bytes >= bytes && (!best || each.bytes < best->bytes))
                best = &each;
        if (best) {
            best->taken = true;
            return best->at;
        }
        const std::uint64_t rounded = round_up(bytes, 4 * KiB);
        if (bytes_ + rounded > most_bytes_) free_unused(false);
        if (bytes_ + rounded > most_bytes_)
            return error(errc::out_of_memory, "the measurement needs more memory than it was allowed").asking(bytes);
        auto made = runtime_.allocate(where, rounded);
        if (!made) return made;
        blocks_.push_back({where, *made, rounded, true});
        bytes_ += rounded;
        return made;
    }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    struct block_of {
        node_index where;
        void* at = nullptr;
        std::uint64_t bytes = 0;
        bool taken = false;
    };

    void free_unused(bool all) {
        std::size_t kept = 0;
        for (const block_of& each : blocks_)
            if (all || !each.taken) {
                bytes_ -= each.bytes;
                (void)runtime_.release(each.at);
            } else {
                blocks_[kept++] = each;
            }
        blocks_.resize(kept);
    }

    Runtime& runtime_;
    std::uint64_t most_bytes_, bytes_ = 0;
    std::vector<block_of> blocks_;
};

} // namespace detail
BARELINK_END_NAMESPACE
