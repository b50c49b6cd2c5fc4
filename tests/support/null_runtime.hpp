// A runtime that does nothing and remembers nothing: what a mover itself costs and allocates.
#pragma once

#include <cstdint>
#include <utility>

#include <barelink/move/runtime.hpp>

/// Every copy is done as soon as it is asked for. Addresses are made up: nobody may touch them.
class null_runtime {
public:
    struct stream_type {
        std::uint32_t number = 0;
        friend bool operator==(stream_type, stream_type) noexcept = default;
    };
    struct event_type {
        std::uint32_t number = 0;
    };

    explicit null_runtime(barelink::machine m) : machine_(std::move(m)) {}

    /// An address in memory of a kind, a terabyte long.
    [[nodiscard]] static void* address(barelink::memory_kind kind, barelink::node_index where) noexcept {
        return reinterpret_cast<void*>((std::uintptr_t{1} << 56) | (static_cast<std::uintptr_t>(kind) << 52) |
                                       (std::uintptr_t{where.value} << 40));
    }
    [[nodiscard]] std::uint64_t allocations() const noexcept { return allocations_; }
    [[nodiscard]] std::uint64_t copies() const noexcept { return copies_; }

    [[nodiscard]] const barelink::machine& topology() const noexcept { return machine_; }
    [[nodiscard]] barelink::result<void*> allocate(barelink::node_index where, std::uint64_t) {
        ++allocations_;
        return address(machine_.at(where).kind == barelink::node_kind::gpu ? barelink::memory_kind::device
                                                                           : barelink::memory_kind::pinned,
                       where);
    }
    [[nodiscard]] barelink::status release(void*) { return {}; }
    [[nodiscard]] barelink::status pin(void*, std::uint64_t, const barelink::placement&) { return {}; }
    [[nodiscard]] barelink::status unpin(void*) { return {}; }
    [[nodiscard]] barelink::status open_peer(barelink::node_index, barelink::node_index) { return {}; }
    void set_delivery(barelink::node_index from, barelink::node_index to, barelink::delivery proof) {
        machine_.set_delivery(from, to, proof != barelink::delivery::failed, proof);
    }
    [[nodiscard]] double clock_us() { return clock_us_ += 1; }
    [[nodiscard]] barelink::result<barelink::placement> classify(const void* at, std::uint64_t) {
        const auto bits = reinterpret_cast<std::uintptr_t>(at);
        barelink::placement where;
        where.kind = static_cast<barelink::memory_kind>((bits >> 52) & 0xf);
        where.node = barelink::node_index{static_cast<std::uint32_t>((bits >> 40) & 0xfff)};
        if (where.kind == barelink::memory_kind::striped) where.stripe_bytes = 2 * barelink::MiB;
        where.stripe_phase = bits & ((std::uintptr_t{1} << 40) - 1);
        return where;
    }
    [[nodiscard]] barelink::result<barelink::memory_extent> extent(const void* at) {
        constexpr std::uintptr_t terabyte = std::uintptr_t{1} << 40;
        barelink::memory_extent found;
        found.base = reinterpret_cast<std::uintptr_t>(at) & ~(terabyte - 1);
        const auto where = classify(reinterpret_cast<const void*>(found.base), 1);
        if (!where) return where.error();
        found.where = *where;
        found.bytes = where->kind == barelink::memory_kind::pageable ? 0 : terabyte;
        return found;
    }
    [[nodiscard]] barelink::result<stream_type> make_stream(barelink::node_index) { return stream_type{++streams_}; }
    [[nodiscard]] barelink::status destroy(stream_type) { return {}; }
    [[nodiscard]] barelink::node_index issuer(stream_type) const { return machine_.gpu(barelink::gpu_id{0}); }
    [[nodiscard]] barelink::result<event_type> make_event(barelink::node_index, bool) { return event_type{++events_}; }
    [[nodiscard]] barelink::status destroy(event_type) { return {}; }
    [[nodiscard]] barelink::status record(event_type, stream_type) { return {}; }
    [[nodiscard]] barelink::status wait(stream_type, event_type) { return {}; }
    [[nodiscard]] barelink::status copy(void*, const void*, std::uint64_t, stream_type) {
        ++copies_;
        return {};
    }
    [[nodiscard]] barelink::status copy_2d(void*, std::uint64_t, const void*, std::uint64_t, std::uint64_t,
                                           std::uint64_t, stream_type) {
        ++copies_;
        return {};
    }
    [[nodiscard]] barelink::status copy_many(const barelink::block*, std::size_t, stream_type) {
        ++copies_;
        return {};
    }
    [[nodiscard]] bool can_copy_many(stream_type) const { return true; }
    [[nodiscard]] barelink::status host_copy(void*, const void*, std::uint64_t, barelink::node_index) {
        ++copies_;
        return {};
    }
    [[nodiscard]] barelink::result<bool> is_done(event_type) { return true; }
    [[nodiscard]] barelink::status synchronize(event_type) { return {}; }
    [[nodiscard]] barelink::result<double> elapsed_us(event_type, event_type) { return 1.0; }
    [[nodiscard]] barelink::result<std::uint64_t> capturing(stream_type) { return std::uint64_t{captured_ ? 1u : 0u}; }

    /// Streams are being captured into a graph from now on.
    void capture(bool on) noexcept { captured_ = on; }

private:
    barelink::machine machine_;
    std::uint32_t streams_ = 0, events_ = 0;
    std::uint64_t allocations_ = 0, copies_ = 0;
    bool captured_ = false;
    double clock_us_ = 0;
};

static_assert(barelink::runtime<null_runtime>);
