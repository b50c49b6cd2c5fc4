// What a mover needs of a GPU runtime. Two models: sim::runtime and cuda::runtime.
#pragma once

#include <concepts>
#include <cstdint>

#include <barelink/core/result.hpp>
#include <barelink/move/placement.hpp>

BARELINK_BEGIN_NAMESPACE

/// About twenty operations, each one call of the CUDA runtime. Handles are small values; a default-made one is "none".
/// Every operation may fail and says how. Nothing blocks but `synchronize` and `host_copy`.
///
///  * topology      the machine it runs on
///  * allocate      memory on a GPU, or pinned memory on a NUMA node; `release` gives it back
///  * classify      kind and place of an address range; fails when the range straddles two allocations
///  * make_stream   a stream of a GPU; make_event, an event of a GPU
///  * issuer        the GPU that a stream belongs to
///  * record, wait  an event after the stream's work; the stream's later work after the event's last recording
///  * copy          asynchronous, in stream order; a copy between two GPUs uses the engine of the stream's GPU
///  * host_copy     by host threads near a NUMA node; returns when the bytes are there
///  * is_done, synchronize, elapsed_us    ask for, wait for, and time between events
///  * capturing     whether the stream is being captured into a graph
template <class R>
concept runtime = requires(R& r, const R& constant, node_index n, std::uint64_t bytes, void* to, const void* from,
                           typename R::stream_type stream, typename R::event_type event) {
    { constant.topology() } -> std::same_as<const machine&>;
    { r.allocate(n, bytes) } -> std::same_as<result<void*>>;
    { r.release(to) } -> std::same_as<status>;
    { r.classify(from, bytes) } -> std::same_as<result<placement>>;
    { r.make_stream(n) } -> std::same_as<result<typename R::stream_type>>;
    { r.destroy(stream) } -> std::same_as<status>;
    { r.issuer(stream) } -> std::same_as<node_index>;
    { r.make_event(n) } -> std::same_as<result<typename R::event_type>>;
    { r.destroy(event) } -> std::same_as<status>;
    { r.record(event, stream) } -> std::same_as<status>;
    { r.wait(stream, event) } -> std::same_as<status>;
    { r.copy(to, from, bytes, stream) } -> std::same_as<status>;
    { r.host_copy(to, from, bytes, n) } -> std::same_as<status>;
    { r.is_done(event) } -> std::same_as<result<bool>>;
    { r.synchronize(event) } -> std::same_as<status>;
    { r.elapsed_us(event, event) } -> std::same_as<result<double>>;
    { r.capturing(stream) } -> std::same_as<result<bool>>;
};

BARELINK_END_NAMESPACE
