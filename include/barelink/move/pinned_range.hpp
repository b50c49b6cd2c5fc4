// The caller's own memory, pinned: in pieces, all or none.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <barelink/move/detail/pin_pieces.hpp>
#include <barelink/move/host_mapping.hpp>
#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE

/// Owns the registration of a range, not the memory, which must outlive it. Borrows the runtime. Movable. Not thread-safe.
template <runtime Runtime>
class pinned_range {
public:
    pinned_range(pinned_range&& other) noexcept { swap(other); }
    pinned_range& operator=(pinned_range other) noexcept {
        swap(other);
        return *this;
    }
    ~pinned_range() { (void)release(); }

    /// What to copy from and to. A range that was registered in several pieces says where they meet: copies are cut there.
    [[nodiscard]] const region& memory() const noexcept { return memory_; }
    [[nodiscard]] std::uint64_t piece_bytes() const noexcept { return cut_.piece_bytes; }

    /// Unpins every piece; no copy may be under way. Errors: the runtime's first; it goes on with the other pieces.
    [[nodiscard]] status release() {
        if (!on_) return {};
        return detail::unpin_pieces(*std::exchange(on_, nullptr), memory_.base, memory_.bytes, cut_);
    }

private:
    template <runtime R>
    friend result<pinned_range<R>> adopt(R& on, void* base, std::uint64_t bytes, numa_id node,
                                         std::uint64_t register_bytes);
    pinned_range(Runtime& on, const region& memory, detail::pin_cut cut) noexcept
        : on_(&on), memory_(memory), cut_(cut) {}
    void swap(pinned_range& other) noexcept {
        std::swap(on_, other.on_);
        std::swap(memory_, other.memory_);
        std::swap(cut_, other.cut_);
    }

    Runtime* on_ = nullptr;
    region memory_;
    detail::pin_cut cut_;
};

/// Pins memory of the caller's, of any alignment, in pieces of at most `register_bytes`: one registration of 512 GiB fails on
/// current drivers, and pieces of 1 GiB hold other processes up for 2 s at most. All pieces or none. `node` is where the
/// memory lies; unknown asks the kernel about the first page. Blocks while the driver pins.
/// Errors: invalid_argument (null, no bytes), not_found (the machine has no such node), not_permitted (the kernel does not
/// say where it lies: name the node), those of the runtime, with the piece that failed.
template <runtime Runtime>
[[nodiscard]] result<pinned_range<Runtime>> adopt(Runtime& on, void* base, std::uint64_t bytes,
                                                  numa_id node = unknown_numa, std::uint64_t register_bytes = 1 * GiB) {
    if (!base || bytes == 0 || bytes > max_transfer_bytes)
        return error(errc::invalid_argument, "there is nothing to pin: a null pointer, or no bytes").asking(bytes);
    const machine& m = on.topology();
    const std::uint64_t page = detail::system_page_bytes(), lead = reinterpret_cast<std::uintptr_t>(base) % page;
    if (node == unknown_numa) {
        if (const auto memories = m.all(node_kind::memory); memories.size() == 1) {
            node = numa_id{m.at(memories[0]).index};
        } else {
            // An untouched page lies nowhere yet; this leaves what is in it as it is.
            (void)detail::populate(static_cast<char*>(base) - lead, page);
            const auto found = node_of(base);
            if (!found) return found.error();
            node = *found;
        }
    }
    const node_index where = m.memory(node);
    if (where == no_node)
        return error(errc::not_found, "the machine has no memory on this NUMA node")
            .about(("numa:" + std::to_string(node.value)).c_str());

    // Pieces meet at page boundaries: two registrations cannot share a page.
    const detail::pin_cut cut{detail::whole_pages(register_bytes, page), lead};
    region memory{base, bytes, {memory_kind::pinned, where, 0, 0}};
    if (cut.pieces(bytes) > 1) {
        memory.where.stripe_bytes = cut.piece_bytes;
        memory.where.stripe_phase = lead;
    }
    bool stuck = false; // the error says so; the memory is the caller's
    if (auto pinned = detail::pin_pieces(on, base, bytes, cut, memory.where, stuck); !pinned) return pinned.error();
    return pinned_range<Runtime>(on, memory, cut);
}

BARELINK_END_NAMESPACE
