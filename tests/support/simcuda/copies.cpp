// How a copy goes: in parts that one copy engine command can do, through staging buffers, or by the host.
#include "copies.hpp"

#include <algorithm>
#include <cstring>

#include "captures.hpp"
#include "memory.hpp"
#include "work.hpp"

namespace simcuda {
namespace {

/// One end of a copy.
struct place {
    const allocation* in = nullptr; ///< nullptr: pageable
    std::uintptr_t base = 0;

    [[nodiscard]] bool pageable() const noexcept { return !in; }
    [[nodiscard]] bool device() const noexcept { return in && in->what == allocation::kind::device; }
    [[nodiscard]] bool managed() const noexcept { return in && in->what == allocation::kind::managed; }
    /// Bytes from an address to where the memory's node changes.
    [[nodiscard]] std::uint64_t room(std::uintptr_t at) const noexcept {
        for (const allocation::run& each : in->runs)
            if (each.end > at) return each.end - at;
        return ~0ull;
    }
};

cudaError_t look_up(process& p, const void* at, std::uint64_t bytes, place& found) {
    return locate(p, at, bytes, found.in, found.base);
}

/// A kind that says otherwise than the pointers.
bool contradicts(cudaMemcpyKind kind, const place& to, const place& from) {
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (kind == cudaMemcpyDefault) return false;
    return (!to.managed() && to.device() != to_device) || (!from.managed() && from.device() != from_device);
}

double host_copy_us(const process& p, std::uint64_t bytes) {
    return barelink::transfer_us(static_cast<double>(bytes), p.server.topology().costs.host_copy_gb_s);
}

/// Known memory on at least one device: cut where a node changes, one command a part. The caller submits once, whatever
/// the number of parts.
cudaError_t by_engines(process& p, sim::stream lane, void* to, const void* from, std::uint64_t bytes) {
    place target, source;
    if (const cudaError_t code = look_up(p, to, bytes, target); code != cudaSuccess) return code;
    if (const cudaError_t code = look_up(p, from, bytes, source); code != cudaSuccess) return code;
    if (!target.in || !source.in) return cudaErrorInvalidValue; // freed since it was captured
    auto* out = static_cast<char*>(to);
    const auto* in = static_cast<const char*>(from);
    const auto next = [&] {
        return std::min({bytes, target.room(reinterpret_cast<std::uintptr_t>(out)),
                         source.room(reinterpret_cast<std::uintptr_t>(in))});
    };
    std::uint64_t part = next();
    const cudaError_t first = code_of(p.server.copy(out, in, part, lane));
    if (first != cudaSuccess) return first;
    const uncharged free_of_cost(p);
    while (bytes -= part) {
        out += part;
        in += part;
        part = next();
        const cudaError_t code = code_of(p.server.copy(out, in, part, lane));
        if (code != cudaSuccess) return code;
    }
    return cudaSuccess;
}

/// Whether one engine command can do it: two ends known, one of them on a device, each on one node.
bool is_one_command(process& p, const void* to, const void* from, std::uint64_t to_bytes, std::uint64_t from_bytes) {
    place target, source;
    if (look_up(p, to, to_bytes, target) != cudaSuccess || look_up(p, from, from_bytes, source) != cudaSuccess)
        return false;
    return target.in && source.in && (target.device() || source.device()) &&
           target.room(reinterpret_cast<std::uintptr_t>(to)) >= to_bytes &&
           source.room(reinterpret_cast<std::uintptr_t>(from)) >= from_bytes;
}

/// The driver's staging buffer is near the device.
constexpr std::uint64_t staging_bytes = 4 << 20;

struct staging {
    char* bytes;
    sim::event through;
};
cudaError_t stage(process& p, int device, std::uint64_t bytes, staging& out) {
    const uncharged free_of_cost(p);
    staged_bytes made{std::make_unique<char[]>(bytes), {}};
    const barelink::placement where{barelink::memory_kind::pinned, p.host_memory(p.gpu_node(device).numa.value), 0, 0};
    const auto pinned = p.server.pin(made.bytes.get(), bytes, where);
    if (!pinned) return code_of(pinned);
    const auto event = p.server.make_event(p.gpu(device));
    if (!event) return code_of(event.error());
    made.read = *event;
    out = {made.bytes.get(), *event};
    p.staged.push_back(std::move(made));
    return cudaSuccess;
}

cudaError_t note_through(process& p, CUstream_st& stream, const staging& buffer) {
    const uncharged free_of_cost(p);
    return code_of(p.server.record(buffer.through, stream.lane));
}

/// Returns when the source has been read.
cudaError_t pageable_to_device(process& p, CUstream_st& stream, char* to, const char* from, std::uint64_t bytes,
                               int device) {
    for (std::uint64_t part = 0; bytes > 0; bytes -= part, to += part, from += part) {
        part = std::min(bytes, staging_bytes);
        staging buffer{};
        if (const cudaError_t code = stage(p, device, part, buffer); code != cudaSuccess) return code;
        std::memcpy(buffer.bytes, from, part);
        p.server.spend(host_copy_us(p, part));
        const cudaError_t code = code_of(p.server.copy(to, buffer.bytes, part, stream.lane));
        const cudaError_t marked = note_through(p, stream, buffer);
        if (code != cudaSuccess || marked != cudaSuccess) return code != cudaSuccess ? code : marked;
    }
    return cudaSuccess;
}

/// Returns when the bytes have arrived.
cudaError_t device_to_pageable(process& p, CUstream_st& stream, char* to, const char* from, std::uint64_t bytes,
                               int device) {
    for (std::uint64_t part = 0; bytes > 0; bytes -= part, to += part, from += part) {
        part = std::min(bytes, staging_bytes);
        staging buffer{};
        if (const cudaError_t code = stage(p, device, part, buffer); code != cudaSuccess) return code;
        const cudaError_t code = code_of(p.server.copy(buffer.bytes, from, part, stream.lane));
        const cudaError_t marked = note_through(p, stream, buffer);
        if (code != cudaSuccess || marked != cudaSuccess) return code != cudaSuccess ? code : marked;
        if (const cudaError_t done = wait_for(p, buffer.through); done != cudaSuccess) return done;
        std::memcpy(to, buffer.bytes, part);
        p.server.spend(host_copy_us(p, part));
        reap(p);
    }
    return cudaSuccess;
}

cudaError_t by_host(process& p, CUstream_st& stream, void* to, const void* from, std::uint64_t bytes) {
    if (const cudaError_t done = wait_for(p, stream); done != cudaSuccess) return done;
    std::memmove(to, from, bytes);
    p.server.spend(host_copy_us(p, bytes));
    return cudaSuccess;
}

} // namespace

bool between_devices(process& p, const void* to, const void* from, std::uint64_t bytes) {
    place target, source;
    return look_up(p, to, bytes, target) == cudaSuccess && look_up(p, from, bytes, source) == cudaSuccess &&
           target.device() && source.device();
}

cudaError_t submit_copy(process& p, CUstream_st& stream, void* to, const void* from, std::uint64_t bytes,
                        cudaMemcpyKind kind) {
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
    if (bytes == 0) return cudaSuccess;
    place target, source;
    if (const cudaError_t code = look_up(p, to, bytes, target); code != cudaSuccess) return code;
    if (const cudaError_t code = look_up(p, from, bytes, source); code != cudaSuccess) return code;
    if (contradicts(kind, target, source)) return cudaErrorInvalidValue;

    const bool pageable = target.pageable() || source.pageable();
    const bool host_only = !target.device() && !source.device();
    if (!pageable && !host_only)
        return submit(p, stream, cudaGraphNodeTypeMemcpy,
                      [=](process& q, sim::stream lane) { return by_engines(q, lane, to, from, bytes); });
    if (stream.capturing) return spoil(*stream.capturing, cudaErrorStreamCaptureUnsupported);
    reap(p);
    if (const cudaError_t ordered = order_with_legacy(p, stream); ordered != cudaSuccess) return ordered;
    if (host_only) return by_host(p, stream, to, from, bytes);
    auto* out = static_cast<char*>(to);
    const auto* in = static_cast<const char*>(from);
    return target.pageable() ? device_to_pageable(p, stream, out, in, bytes, source.in->device)
                             : pageable_to_device(p, stream, out, in, bytes, target.in->device);
}

cudaError_t submit_rows(process& p, CUstream_st& stream, const rows& all, cudaMemcpyKind kind) {
    const std::uint64_t to_bytes = (all.count - 1) * all.to_pitch + all.bytes;
    const std::uint64_t from_bytes = (all.count - 1) * all.from_pitch + all.bytes;
    if (is_one_command(p, all.to, all.from, to_bytes, from_bytes)) {
        place target, source;
        (void)look_up(p, all.to, to_bytes, target);
        (void)look_up(p, all.from, from_bytes, source);
        if (contradicts(kind, target, source)) return cudaErrorInvalidValue;
        return submit(p, stream, cudaGraphNodeTypeMemcpy, [=](process& q, sim::stream lane) {
            return code_of(
                q.server.copy_2d(all.to, all.to_pitch, all.from, all.from_pitch, all.bytes, all.count, lane));
        });
    }
    // Row by row, at the price of one submission.
    const cudaError_t first = submit_copy(p, stream, all.to, all.from, all.bytes, kind);
    if (first != cudaSuccess) return first;
    const uncharged free_of_cost(p);
    for (std::uint64_t row = 1; row < all.count; ++row) {
        const cudaError_t code =
            submit_copy(p, stream, static_cast<char*>(all.to) + row * all.to_pitch,
                        static_cast<const char*>(all.from) + row * all.from_pitch, all.bytes, kind);
        if (code != cudaSuccess) return code;
    }
    return cudaSuccess;
}

cudaError_t submit_batch(process& p, CUstream_st& stream, const std::vector<barelink::block>& list,
                         std::size_t& failed) {
    bool whole = true;
    for (const barelink::block& each : list)
        whole = whole && is_one_command(p, each.to, each.from, each.bytes, each.bytes);
    if (whole)
        return submit(p, stream, cudaGraphNodeTypeMemcpy, [&](process& q, sim::stream lane) {
            return code_of(q.server.copy_many(list.data(), list.size(), lane));
        });
    failed = 0;
    const cudaError_t first = submit_copy(p, stream, list[0].to, list[0].from, list[0].bytes, cudaMemcpyDefault);
    if (first != cudaSuccess) return first;
    const uncharged free_of_cost(p); // one submission
    for (std::size_t i = 1; i < list.size(); ++i) {
        failed = i;
        const cudaError_t code = submit_copy(p, stream, list[i].to, list[i].from, list[i].bytes, cudaMemcpyDefault);
        if (code != cudaSuccess) return code;
    }
    return cudaSuccess;
}

} // namespace simcuda
