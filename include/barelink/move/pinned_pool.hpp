// Pinned host memory on the NUMA nodes that it is asked for on, kept for reuse.
#pragma once

#include <cstdint>
#include <memory_resource>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <barelink/move/detail/pool_store.hpp>
#include <barelink/move/pinned_range.hpp>
#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE

struct pinned_pool_options {
    /// Requests of up to an eighth of this share ranges of this size (so what is left at a slab's end stays small); larger ones
    /// get ranges of their own size. Nothing is rounded to powers of two. Striped pools round it up to a stripe per node.
    std::uint64_t slab_bytes = 64 * MiB;
    /// What the pool may have pinned at any time.
    std::uint64_t most_bytes = ~std::uint64_t{0};
    /// Ranges are registered in pieces of at most this: one registration of 512 GiB fails on current drivers, and pieces of
    /// 1 GiB hold other processes up for 2 s at most. Cut down to whole pages, in striped pools to whole stripes.
    std::uint64_t register_bytes = 1 * GiB;
    /// Of striped pools. Every stripe is a copy of its own, so small ones cost time.
    std::uint64_t stripe_bytes = 32 * MiB;
    host_mapping_options mapping;
};

/// Owns pinned memory on one NUMA node, or striped over all; as a memory resource it puts containers there. Borrows the
/// runtime, which must outlive it. Thread-safe: what fits is handed out while another thread waits for the driver, and only one
/// thread at a time is in the runtime. Freed memory stays pinned until `trim`, or until the budget or the machine has no more.
/// The destructor unpins everything, also what was not given back. Movable until somebody uses it.
template <runtime Runtime>
class pinned_pool final : public std::pmr::memory_resource {
public:
    /// Memory on one node. Errors: not_found when the machine has none there.
    [[nodiscard]] static result<pinned_pool> on(Runtime& runtime, numa_id node,
                                                const pinned_pool_options& options = {});
    /// Memory on the node that a GPU is nearest to. Errors: not_found when there is no such GPU, or when the machine has several
    /// nodes and does not tell which is near.
    [[nodiscard]] static result<pinned_pool> near(Runtime& runtime, gpu_id gpu,
                                                  const pinned_pool_options& options = {});
    /// Memory in stripes over all nodes; ordinary pinned memory where there is one.
    /// Errors: not_found (no NUMA node), invalid_argument (stripes that are not whole pages).
    [[nodiscard]] static result<pinned_pool> striped(Runtime& runtime, const pinned_pool_options& options = {});

    pinned_pool(pinned_pool&& other) noexcept : in_(std::exchange(other.in_, nullptr)) {}
    pinned_pool& operator=(pinned_pool&&) = delete;
    ~pinned_pool() override;

    /// Memory that copy engines reach. Blocks while the pool has to grow: as long as `host_mapping::make`, and the driver's
    /// pinning. `alignment` is a power of two; addresses are multiples of 256 anyway. Zeros when it is new.
    /// Errors: invalid_argument (no bytes, odd alignment), out_of_memory (the budget, the machine), those of the runtime.
    [[nodiscard]] result<region> take(std::uint64_t bytes, std::uint64_t alignment = 256);
    /// Takes back what `take` gave, the whole region, when no copy uses it any more. Does not call the driver.
    /// Errors: invalid_argument for anything else, and for what was given back already.
    [[nodiscard]] status give_back(const region& taken);
    /// The allocation that an address is in. Errors: not_found.
    [[nodiscard]] result<region> owns(const void* address) const;
    /// Unpins and unmaps what nobody uses; returns the bytes.
    std::uint64_t trim() {
        const lock alone(in_->growing);
        return drop_idle(~std::uint64_t{0});
    }

    [[nodiscard]] std::uint64_t bytes_pinned() const { return locked()->store.pinned(); }
    /// As asked for.
    [[nodiscard]] std::uint64_t bytes_in_use() const { return locked()->store.in_use(); }
    /// Where samples of all ranges lie.
    [[nodiscard]] placement_check check() const { return locked()->store.check(); }
    /// What could not be done as asked, one sentence each, each said once; empty when everything was.
    [[nodiscard]] std::vector<std::string> notes() const { return locked()->store.notes(); }
    [[nodiscard]] const host_layout& layout() const noexcept { return in_->layout; }

private:
    using lock = std::lock_guard<std::mutex>;
    struct inside {
        Runtime& on;
        pinned_pool_options options;
        host_layout layout;
        detail::pool_store store; ///< guarded by `book`
        std::uint64_t page_bytes = 0, piece_bytes = 0;
        std::mutex growing{}; ///< held around mapping and pinning; taken before `book`
        std::mutex book{};    ///< never held around a call of the runtime
    };
    struct locked_inside {
        inside* in;
        lock held;
        explicit locked_inside(inside* of) : in(of), held(of->book) {}
        inside* operator->() const noexcept { return in; }
    };

    explicit pinned_pool(inside* in) noexcept : in_(in) {}
    [[nodiscard]] static result<pinned_pool> make(Runtime& runtime, host_layout layout, pinned_pool_options options);
    [[nodiscard]] locked_inside locked() const { return locked_inside(in_); }

    /// Pages that hold it wherever they start.
    [[nodiscard]] std::uint64_t room_for(std::uint64_t bytes, std::uint64_t alignment) const noexcept {
        return round_up(bytes + (alignment > in_->page_bytes ? alignment : 0), in_->page_bytes);
    }
    [[nodiscard]] bool is_small(std::uint64_t bytes, std::uint64_t alignment) const noexcept {
        return bytes <= in_->options.slab_bytes / 8 && alignment <= in_->page_bytes;
    }
    [[nodiscard]] region fit(std::uint64_t bytes, std::uint64_t alignment) {
        const auto in = locked();
        return is_small(bytes, alignment) ? in->store.take_of_slabs(bytes, alignment)
                                          : in->store.take_kept(bytes, alignment, room_for(bytes, alignment));
    }
    [[nodiscard]] result<region> grow(std::uint64_t bytes, std::uint64_t alignment);
    [[nodiscard]] result<detail::pool_range> make_range(std::uint64_t bytes, std::uint64_t budget);
    std::uint64_t drop_idle(std::uint64_t enough);

    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        return take(bytes > 0 ? bytes : 1, alignment).value().base;
    }
    void do_deallocate(void* base, std::size_t bytes, std::size_t) override {
        (void)give_back({base, bytes > 0 ? bytes : 1, {}});
    }
    [[nodiscard]] bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
        return this == &other;
    }

    inside* in_;
};

template <runtime Runtime>
result<pinned_pool<Runtime>> pinned_pool<Runtime>::on(Runtime& runtime, numa_id node,
                                                      const pinned_pool_options& options) {
    if (runtime.topology().memory(node) == no_node)
        return error(errc::not_found, "the machine has no memory on this NUMA node")
            .about(("numa:" + std::to_string(node.value)).c_str());
    return make(runtime, {{node}, options.stripe_bytes}, options);
}

template <runtime Runtime>
result<pinned_pool<Runtime>> pinned_pool<Runtime>::near(Runtime& runtime, gpu_id gpu,
                                                        const pinned_pool_options& options) {
    const machine& m = runtime.topology();
    const std::string name = "gpu:" + std::to_string(gpu.value);
    const node_index there = m.gpu(gpu);
    if (there == no_node) return error(errc::not_found, "the machine has no such GPU").about(name.c_str());
    const auto memories = m.all(node_kind::memory);
    if (m.memory(m.at(there).numa) != no_node) return on(runtime, m.at(there).numa, options);
    if (memories.size() == 1) return on(runtime, numa_id{m.at(memories[0]).index}, options);
    return error(errc::not_found, text::join({"the machine does not tell which NUMA node ", name.c_str(),
                                              " is near to: name the node, or take a striped pool"}))
        .about(name.c_str())
        .on_device(gpu.value);
}

template <runtime Runtime>
result<pinned_pool<Runtime>> pinned_pool<Runtime>::striped(Runtime& runtime, const pinned_pool_options& options) {
    const machine& m = runtime.topology();
    host_layout layout{{}, options.stripe_bytes};
    for (const node_index each : m.all(node_kind::memory)) layout.nodes.push_back(numa_id{m.at(each).index});
    if (layout.nodes.empty()) return error(errc::not_found, "the machine has no memory on any NUMA node");
    if (layout.stripe_bytes == 0 || layout.stripe_bytes % detail::system_page_bytes() != 0)
        return error(errc::invalid_argument, "stripes must be whole pages").asking(options.stripe_bytes);
    return make(runtime, std::move(layout), options);
}

template <runtime Runtime>
result<pinned_pool<Runtime>> pinned_pool<Runtime>::make(Runtime& runtime, host_layout layout,
                                                        pinned_pool_options options) {
    const std::uint64_t page = detail::system_page_bytes();
    placement where{memory_kind::pinned, runtime.topology().memory(layout.nodes[0]), 0, 0};
    std::uint64_t piece = detail::whole_pages(options.register_bytes, page);
    options.slab_bytes = detail::whole_pages(options.slab_bytes, page);
    if (layout.nodes.size() > 1) {
        where.kind = memory_kind::striped;
        where.stripe_bytes = layout.stripe_bytes;
        // Copies are cut where stripes meet: registrations may meet there and nowhere else.
        piece = detail::whole_pages(piece, layout.stripe_bytes);
        options.slab_bytes = round_up(options.slab_bytes, layout.stripe_bytes * layout.nodes.size());
    } else if (options.slab_bytes > piece) {
        options.slab_bytes = piece; // so that no small allocation straddles two
    }
    return pinned_pool(new inside{runtime, options, std::move(layout), detail::pool_store(where), page, piece});
}

template <runtime Runtime>
pinned_pool<Runtime>::~pinned_pool() {
    if (!in_) return;
    for (auto& [base, each] : in_->store.ranges())
        if (!detail::unpin_pieces(in_->on, each.mapping.data(), each.mapping.bytes(), each.cut)) each.mapping.abandon();
    delete in_;
}

template <runtime Runtime>
result<region> pinned_pool<Runtime>::take(std::uint64_t bytes, std::uint64_t alignment) {
    if (alignment == 0 || (alignment & (alignment - 1)) != 0)
        return error(errc::invalid_argument, "an alignment is a power of two");
    if (bytes == 0 || bytes > max_transfer_bytes || alignment > max_transfer_bytes)
        return error(errc::invalid_argument, "an allocation has at least one byte and at most 2^62").asking(bytes);
    if (const region found = fit(bytes, alignment); found.base) return found;
    const lock alone(in_->growing);
    if (const region found = fit(bytes, alignment); found.base) return found; // another thread was here meanwhile
    return grow(bytes, alignment);
}

template <runtime Runtime>
status pinned_pool<Runtime>::give_back(const region& taken) {
    if (locked()->store.give_back(taken.base, taken.bytes)) return {};
    return error(errc::invalid_argument, "this region was not taken from this pool, or was given back already")
        .asking(taken.bytes);
}

template <runtime Runtime>
result<region> pinned_pool<Runtime>::owns(const void* address) const {
    const region found = locked()->store.find(address);
    if (found.base) return found;
    return error(errc::not_found, "no allocation of this pool is at this address");
}

template <runtime Runtime>
result<region> pinned_pool<Runtime>::grow(std::uint64_t bytes, std::uint64_t alignment) {
    const pinned_pool_options& options = in_->options;
    const bool small = is_small(bytes, alignment);
    const std::uint64_t least = room_for(bytes, alignment);
    std::uint64_t wanted = small ? options.slab_bytes : least;
    const auto budget = [&] { return options.most_bytes - bytes_pinned(); };
    if (wanted > budget()) (void)drop_idle(wanted - budget());
    if (small && wanted > budget()) wanted = detail::whole_pages(budget(), in_->page_bytes);
    if (wanted > budget() || wanted < least) {
        // Slabs may have room that is not theirs by size.
        if (const region found = locked()->store.take_of_slabs(bytes, alignment); found.base) return found;
        return error(errc::out_of_memory,
                     text::join({"the pool may pin ", std::to_string(options.most_bytes).c_str(), " bytes and has ",
                                 std::to_string(bytes_in_use()).c_str(),
                                 " in use: give memory back, or raise pinned_pool_options::most_bytes"}))
            .asking(bytes);
    }
    auto first = make_range(wanted, budget());
    auto made = first || drop_idle(~std::uint64_t{0}) == 0 ? std::move(first) : make_range(wanted, budget());
    if (!made) return made.error();
    made->slab = small;
    return locked()->store.add(*std::move(made), bytes, alignment);
}

template <runtime Runtime>
result<detail::pool_range> pinned_pool<Runtime>::make_range(std::uint64_t bytes, std::uint64_t budget) {
    host_mapping_options how = in_->options.mapping;
    if (how.pages == host_mapping_options::huge_pages::reserved_or_transparent &&
        round_up(bytes, detail::huge_page_bytes) > budget)
        how.pages = host_mapping_options::huge_pages::transparent; // reserved ones would break the budget
    auto mapping = host_mapping::make(bytes, in_->layout, how);
    if (!mapping) return mapping.error();
    detail::pool_range made{*std::move(mapping), {in_->piece_bytes, 0}, false, bytes, 0, 0};
    bool stuck = false;
    const placement where = in_->store.placement_in(made); // which never changes
    if (auto pinned = detail::pin_pieces(in_->on, made.mapping.data(), made.mapping.bytes(), made.cut, where, stuck);
        !pinned) {
        if (stuck) made.mapping.abandon();
        return pinned.error();
    }
    return result<detail::pool_range>(std::move(made));
}

/// Returns the bytes that it unpinned.
template <runtime Runtime>
std::uint64_t pinned_pool<Runtime>::drop_idle(std::uint64_t enough) {
    std::uint64_t bytes = 0;
    std::vector<detail::pool_range> dropped = locked()->store.remove_idle(enough);
    for (detail::pool_range& each : dropped) {
        bytes += each.mapping.bytes();
        const status done = detail::unpin_pieces(in_->on, each.mapping.data(), each.mapping.bytes(), each.cut);
        if (done) continue;
        each.mapping.abandon();
        locked()->store.note(std::string("memory could not be unpinned, and is lost to the process: ") +
                             done.error().what());
    }
    return bytes;
}

BARELINK_END_NAMESPACE
