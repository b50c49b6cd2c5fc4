// Blocks through a ring of pinned memory: host threads at the host's side of it, commands at a GPU's. Private to move.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <barelink/move/detail/block_issue.hpp>
#include <barelink/move/detail/lanes.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Cuts a group into slots of a ring. Each slot holds its blocks without gaps, in the order of the list.
class slot_walk {
public:
    explicit slot_walk(const block_group& group, const extent_table& known) noexcept
        : list_(group.blocks), known_(&known) {}

    [[nodiscard]] bool more() const noexcept { return at_ < list_.size(); }
    /// The blocks into the next slot, and those out of it.
    void next(void* slot, std::uint64_t bytes, std::vector<block>& in, std::vector<block>& out) {
        in.clear();
        out.clear();
        auto* here = static_cast<char*>(slot);
        while (more() && bytes > 0) {
            const block& each = list_[at_];
            const std::uint64_t left = each.bytes - done_, part = left < bytes ? left : bytes;
            append(in, {here, static_cast<const char*>(each.from) + done_, part}, false);
            append(out, {static_cast<char*>(each.to) + done_, here, part}, true);
            here += part;
            bytes -= part;
            done_ += part;
            if (done_ < each.bytes) break;
            done_ = 0;
            ++at_;
        }
    }

private:
    /// The ring's side is contiguous; where the other side is, too, and within one extent, it is one block.
    void append(std::vector<block>& list, const block& next, bool out) const {
        if (!list.empty()) {
            block& last = list.back();
            const void *before = out ? last.to : last.from, *at = out ? next.to : next.from;
            if (address_of(before) + last.bytes == address_of(at)) {
                const memory_extent* in = known_->find(address_of(before));
                if (in && in->holds(address_of(at) + next.bytes - 1)) {
                    last.bytes += next.bytes;
                    return;
                }
            }
        }
        list.push_back(next);
    }

    std::span<const block> list_;
    const extent_table* known_;
    std::size_t at_ = 0;
    std::uint64_t done_ = 0;
};

/// Keeps its working memory between batches.
template <runtime Runtime>
class block_bounce {
public:
    using place = typename block_issue<Runtime>::where;

    block_bounce(Runtime& on, block_issue<Runtime>& issue) : runtime_(on), issue_(issue) {}

    /// Host memory to a GPU. Returns when the source has been read; the bytes are under way then.
    [[nodiscard]] status fill_by_host(const block_group& group, ring<Runtime>& r, const place& to) {
        slot_walk walk(group, *to.known);
        for (std::uint32_t number = 0; walk.more(); ++number) {
            auto& slot = r.slots[number % r.slots.size()];
            // Host threads write next: what read the slot before must be through, and no stream can wait for it in their place.
            if (slot.used)
                if (auto done = runtime_.synchronize(slot.drained); !done) return done;
            walk.next(r.at(number % slots_of(r)), r.slot_bytes, in_[0], out_[0]);
            if (auto done = by_host(in_[0], r.node); !done) return done;
            auto moved = issue_.issue(group.places.plan.ring_way, out_[0], to);
            slot.used = true;
            const status marked = runtime_.record(slot.drained, to.stream);
            if (!moved || !marked) return moved ? marked : moved;
        }
        return {};
    }

    /// A GPU to host memory. Returns when the bytes have arrived.
    [[nodiscard]] status drain_by_host(const block_group& group, ring<Runtime>& r, const place& from) {
        slot_walk walk(group, *from.known);
        const std::uint32_t depth = slots_of(r) < most_depth ? slots_of(r) : most_depth;
        std::uint32_t filled = 0, drained = 0;
        const auto drain = [&]() -> status {
            const std::uint32_t number = drained++ % depth;
            if (auto done = runtime_.synchronize(r.slots[number].ready); !done) return done;
            return by_host(out_[number], r.node);
        };
        while (walk.more()) {
            if (filled - drained == depth)
                if (auto done = drain(); !done) return done;
            const std::uint32_t number = filled % depth;
            walk.next(r.at(number), r.slot_bytes, in_[number], out_[number]);
            if (auto done = issue_.issue(group.places.plan.ring_way, in_[number], from); !done) return done;
            if (auto done = runtime_.record(r.slots[number].ready, from.stream); !done) return done;
            ++filled;
        }
        while (drained < filled)
            if (auto done = drain(); !done) return done;
        return {};
    }

    /// Between two GPUs. Blocks nobody, and can be captured.
    [[nodiscard]] status pass(const block_group& group, ring<Runtime>& r, const place& from, const place& to) {
        slot_walk walk(group, *to.known);
        for (std::uint32_t number = 0; walk.more(); ++number) {
            auto& slot = r.slots[number % r.slots.size()];
            walk.next(r.at(number % slots_of(r)), r.slot_bytes, in_[0], out_[0]);
            if (slot.used)
                if (auto done = runtime_.wait(from.stream, slot.drained); !done) return done;
            if (auto done = issue_.issue(group.places.plan.ring_way, in_[0], from); !done) return done;
            if (auto done = runtime_.record(slot.ready, from.stream); !done) return done;
            if (auto done = runtime_.wait(to.stream, slot.ready); !done) return done;
            auto moved = issue_.issue(group.places.plan.ring_way, out_[0], to);
            slot.used = true;
            const status marked = runtime_.record(slot.drained, to.stream);
            if (!moved || !marked) return moved ? marked : moved;
        }
        return {};
    }

    static constexpr std::uint32_t most_depth = 3;

private:
    [[nodiscard]] static std::uint32_t slots_of(const ring<Runtime>& r) noexcept {
        return static_cast<std::uint32_t>(r.slots.size());
    }
    [[nodiscard]] status by_host(const std::vector<block>& list, node_index near) {
        if constexpr (requires { runtime_.host_copy_many(list.data(), list.size(), near); }) {
            return runtime_.host_copy_many(list.data(), list.size(), near);
        } else {
            for (const block& each : list)
                if (auto done = runtime_.host_copy(each.to, each.from, each.bytes, near); !done) return done;
            return {};
        }
    }

    Runtime& runtime_;
    block_issue<Runtime>& issue_;
    std::array<std::vector<block>, most_depth> in_, out_;
};

} // namespace detail
BARELINK_END_NAMESPACE
