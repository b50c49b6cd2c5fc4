// What a mover needs of a GPU runtime. Two models: sim::runtime and cuda::runtime.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include <barelink/core/result.hpp>
#include <barelink/move/block.hpp>
#include <barelink/move/memory_extent.hpp>

BARELINK_BEGIN_NAMESPACE

/// About twenty-five operations, each one call of the CUDA runtime. Handles are small values; a default-made one is "none".
/// Every operation may fail and says how. Nothing blocks but `synchronize`, `host_copy` and what makes or frees memory.
///
///  * topology      the machine it runs on
///  * allocate      memory on a GPU, or pinned memory on a NUMA node; `release` gives it back
///  * pin, unpin    page-locks memory of the caller's that lies where he says, until it is unpinned
///  * classify      kind and place of an address range; fails when the range straddles two allocations
///  * extent        the whole allocation or page-locked piece that an address lies in
///  * open_peer     lets copies from one GPU to another go directly, both GPUs' engines; asked again it costs nothing
///  * set_delivery  what a delivery proof found about such a path: `topology` tells it from then on
///  * make_stream   a stream of a GPU; make_event, an event of a GPU, with or without the time of its recording
///  * issuer        the GPU that a stream belongs to
///  * record, wait  an event after the stream's work; the stream's later work after the event's last recording
///  * copy          asynchronous, in stream order; a copy between two GPUs uses the engine of the stream's GPU
///  * copy_2d       `rows` rows of `row_bytes` with a pitch on either side, bytes, as one command; else like `copy`
///  * copy_many     a list of blocks as one batch, read in stream order; needs the list only during the call.
///  * can_copy_many false where there is no batch copy, or not in this stream; captures cannot take one either
///  * host_copy     by host threads near a NUMA node; returns when the bytes are there
///  * is_done, synchronize, elapsed_us    ask for, wait for, and time between events
///  * capturing     the number of the capture into a graph that the stream is in, 0 when it is in none
///  * clock_us      a clock that only goes forward, microseconds, for time-outs
///
/// Two more it may have (`has_block_kernels`):
///
///  * has_block_kernel    whether `copy_blocks` can be called
///  * copy_blocks         a list of blocks, copied by a kernel on at most `multiprocessors` of the stream's GPU. The list is
///                        in pinned memory and must stay until the kernel is done; addresses are those that GPUs use
template <class R>
concept runtime = requires(R& r, const R& constant, node_index n, std::uint64_t bytes, void* to, const void* from,
                           typename R::stream_type stream, typename R::event_type event, placement where,
                           delivery proof, bool timed, const block* list, std::size_t count) {
    { constant.topology() } -> std::same_as<const machine&>;
    { r.allocate(n, bytes) } -> std::same_as<result<void*>>;
    { r.release(to) } -> std::same_as<status>;
    { r.pin(to, bytes, where) } -> std::same_as<status>;
    { r.unpin(to) } -> std::same_as<status>;
    { r.classify(from, bytes) } -> std::same_as<result<placement>>;
    { r.extent(from) } -> std::same_as<result<memory_extent>>;
    { r.open_peer(n, n) } -> std::same_as<status>;
    { r.set_delivery(n, n, proof) } -> std::same_as<void>;
    { r.make_stream(n) } -> std::same_as<result<typename R::stream_type>>;
    { r.destroy(stream) } -> std::same_as<status>;
    { r.issuer(stream) } -> std::same_as<node_index>;
    { r.make_event(n, timed) } -> std::same_as<result<typename R::event_type>>;
    { r.destroy(event) } -> std::same_as<status>;
    { r.record(event, stream) } -> std::same_as<status>;
    { r.wait(stream, event) } -> std::same_as<status>;
    { r.copy(to, from, bytes, stream) } -> std::same_as<status>;
    { r.copy_2d(to, bytes, from, bytes, bytes, bytes, stream) } -> std::same_as<status>;
    { r.copy_many(list, count, stream) } -> std::same_as<status>;
    { constant.can_copy_many(stream) } -> std::same_as<bool>;
    { r.host_copy(to, from, bytes, n) } -> std::same_as<status>;
    { r.is_done(event) } -> std::same_as<result<bool>>;
    { r.synchronize(event) } -> std::same_as<status>;
    { r.elapsed_us(event, event) } -> std::same_as<result<double>>;
    { r.capturing(stream) } -> std::same_as<result<std::uint64_t>>;
    { r.clock_us() } -> std::same_as<double>;
};

/// A runtime that may have a copy kernel.
template <class R>
concept has_block_kernels = requires(R& r, const R& constant, const block* list, std::size_t count, int multiprocessors,
                                     typename R::stream_type stream) {
    { constant.has_block_kernel() } -> std::same_as<bool>;
    { r.copy_blocks(list, count, multiprocessors, stream) } -> std::same_as<status>;
};

BARELINK_END_NAMESPACE
