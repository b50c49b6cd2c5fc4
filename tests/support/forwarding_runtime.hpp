// A runtime that passes every call on, for wrappers that change one of them.
#pragma once

#include <cstdint>

#include <barelink/move/runtime.hpp>

/// Borrows the runtime inside. Derive and hide what should be different.
template <class Inner>
class forwarding_runtime {
public:
    using stream_type = typename Inner::stream_type;
    using event_type = typename Inner::event_type;

    explicit forwarding_runtime(Inner& on) : on_(on) {}

    [[nodiscard]] const barelink::machine& topology() const { return on_.topology(); }
    [[nodiscard]] auto allocate(barelink::node_index where, std::uint64_t bytes) { return on_.allocate(where, bytes); }
    [[nodiscard]] auto release(void* at) { return on_.release(at); }
    [[nodiscard]] auto classify(const void* at, std::uint64_t bytes) { return on_.classify(at, bytes); }
    [[nodiscard]] auto extent(const void* at) { return on_.extent(at); }
    [[nodiscard]] auto make_stream(barelink::node_index gpu) { return on_.make_stream(gpu); }
    [[nodiscard]] auto destroy(stream_type s) { return on_.destroy(s); }
    [[nodiscard]] auto issuer(stream_type s) const { return on_.issuer(s); }
    [[nodiscard]] auto make_event(barelink::node_index gpu, bool timed) { return on_.make_event(gpu, timed); }
    [[nodiscard]] auto pin(void* at, std::uint64_t bytes, const barelink::placement& where) {
        return on_.pin(at, bytes, where);
    }
    [[nodiscard]] auto unpin(void* at) { return on_.unpin(at); }
    [[nodiscard]] auto open_peer(barelink::node_index from, barelink::node_index to) { return on_.open_peer(from, to); }
    void set_delivery(barelink::node_index from, barelink::node_index to, barelink::delivery proof) {
        on_.set_delivery(from, to, proof);
    }
    [[nodiscard]] double clock_us() const { return on_.clock_us(); }
    [[nodiscard]] auto destroy(event_type e) { return on_.destroy(e); }
    [[nodiscard]] auto record(event_type e, stream_type s) { return on_.record(e, s); }
    [[nodiscard]] auto wait(stream_type s, event_type e) { return on_.wait(s, e); }
    [[nodiscard]] auto copy(void* to, const void* from, std::uint64_t bytes, stream_type s) {
        return on_.copy(to, from, bytes, s);
    }
    [[nodiscard]] auto copy_2d(void* to, std::uint64_t to_pitch, const void* from, std::uint64_t from_pitch,
                               std::uint64_t row_bytes, std::uint64_t rows, stream_type s) {
        return on_.copy_2d(to, to_pitch, from, from_pitch, row_bytes, rows, s);
    }
    [[nodiscard]] auto copy_many(const barelink::block* list, std::size_t count, stream_type s) {
        return on_.copy_many(list, count, s);
    }
    [[nodiscard]] bool can_copy_many(stream_type s) const { return on_.can_copy_many(s); }
    [[nodiscard]] bool has_block_kernel() const {
        if constexpr (barelink::has_block_kernels<Inner>) return on_.has_block_kernel();
        return false;
    }
    [[nodiscard]] barelink::status copy_blocks(const barelink::block* list, std::size_t count, int multiprocessors,
                                               stream_type s) {
        if constexpr (barelink::has_block_kernels<Inner>) return on_.copy_blocks(list, count, multiprocessors, s);
        return barelink::error(barelink::errc::unsupported, "this runtime has no copy kernel");
    }
    [[nodiscard]] auto host_copy(void* to, const void* from, std::uint64_t bytes, barelink::node_index near) {
        return on_.host_copy(to, from, bytes, near);
    }
    [[nodiscard]] auto is_done(event_type e) { return on_.is_done(e); }
    [[nodiscard]] auto synchronize(event_type e) { return on_.synchronize(e); }
    [[nodiscard]] auto elapsed_us(event_type from, event_type to) { return on_.elapsed_us(from, to); }
    [[nodiscard]] auto capturing(stream_type s) { return on_.capturing(s); }
    void annotate(std::uint32_t route, std::uint32_t leg, std::uint32_t chunk) {
        if constexpr (requires { on_.annotate(route, leg, chunk); }) on_.annotate(route, leg, chunk);
    }

protected:
    Inner& on_;
};
