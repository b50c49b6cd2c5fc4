// Memory: on devices, pinned, managed, and the caller's own when it is registered.
#include "memory.hpp"
#include "captures.hpp"
#include "numa.hpp"
#include "work.hpp"

namespace simcuda {

cudaError_t locate(process& p, const void* at, std::uint64_t bytes, const allocation*& found, std::uintptr_t& base) {
    const auto address = reinterpret_cast<std::uintptr_t>(at);
    found = nullptr;
    if (!at) return cudaErrorInvalidValue;
    const auto after = p.memory.upper_bound(address);
    if (after != p.memory.begin()) {
        const auto& [start, each] = *std::prev(after);
        if (address - start < each.bytes) {
            if (bytes > each.bytes - (address - start)) return cudaErrorInvalidValue;
            found = &each;
            base = start;
            return cudaSuccess;
        }
    }
    // Not known to CUDA; the range must not reach into what is.
    return after != p.memory.end() && after->first - address < bytes ? cudaErrorInvalidValue : cudaSuccess;
}

namespace {

/// Registered memory is given to the simulator in parts, one per run of pages on a node. Pages that alternate finer than
/// this count as lying on the first one's: cutting copies there would cost what no copy engine pays.
constexpr std::uint64_t finest_run = 64 * 1024;

std::vector<allocation::run> runs_of(std::uintptr_t base, std::uint64_t bytes) {
    std::vector<allocation::run> found;
    for (const numa::run& each : numa::runs_of(base, bytes)) found.push_back({each.end, each.node});
    if (found.size() > 2 && bytes / found.size() < finest_run) found.assign(1, {base + bytes, found.front().node});
    return found;
}

cudaError_t give(process& p, void** out, std::uint64_t bytes, barelink::node_index where, allocation made) {
    if (!out) return cudaErrorInvalidValue;
    *out = nullptr;
    if (bytes == 0) return cudaSuccess;
    const auto at = p.server.allocate(where, bytes);
    if (!at) return code_of(at.error());
    const auto base = reinterpret_cast<std::uintptr_t>(*at);
    made.bytes = bytes;
    if (made.what != allocation::kind::device) numa::place(base, bytes, p.server.topology().at(where).index);
    p.memory.emplace(base, std::move(made));
    *out = *at;
    return cudaSuccess;
}

cudaError_t allocate_pinned(process& p, void** out, std::uint64_t bytes, unsigned flags) {
    constexpr unsigned known = cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined;
    if (const cudaError_t code = forbid_while_capturing(p); code != cudaSuccess) return code;
    if ((flags & ~known) != 0) return cudaErrorInvalidValue;
    const int device = current_device(p);
    if (bytes > p.pinned_limit || p.pinned > p.pinned_limit - bytes) return cudaErrorMemoryAllocation;
    const cudaError_t made =
        give(p, out, bytes, p.host_memory(numa::local_node()), {allocation::kind::host, device, 0, flags, {}});
    if (made == cudaSuccess) p.pinned += bytes;
    return made;
}

/// Whoever frees waits for the device, so that nothing in flight uses the memory any more.
template <class Accepts>
cudaError_t take_back(process& p, void* at, cudaError_t unknown, Accepts accepts) {
    if (const cudaError_t code = forbid_while_capturing(p); code != cudaSuccess) return code;
    const auto found = p.memory.find(reinterpret_cast<std::uintptr_t>(at));
    if (found == p.memory.end() || !accepts(found->second)) return unknown;
    const allocation gone = found->second;
    if (const cudaError_t done = wait_for_device(p, gone.is_host() ? -1 : gone.device); done != cudaSuccess)
        return done;
    p.memory.erase(found);
    if (gone.is_host()) p.pinned -= gone.bytes;
    if (gone.what != allocation::kind::registered) {
        if (gone.what != allocation::kind::device) numa::forget(reinterpret_cast<std::uintptr_t>(at), gone.bytes);
        return code_of(p.server.release(at));
    }
    auto part = reinterpret_cast<std::uintptr_t>(at);
    for (const allocation::run& each : gone.runs) {
        if (const auto unpinned = p.server.unpin(reinterpret_cast<void*>(part)); !unpinned) return code_of(unpinned);
        part = each.end;
    }
    return cudaSuccess;
}

cudaError_t register_range(process& p, void* at, std::uint64_t bytes, unsigned flags) {
    constexpr unsigned known =
        cudaHostRegisterPortable | cudaHostRegisterMapped | cudaHostRegisterIoMemory | cudaHostRegisterReadOnly;
    if (const cudaError_t code = forbid_while_capturing(p); code != cudaSuccess) return code;
    if (!at || bytes == 0 || (flags & ~known) != 0) return cudaErrorInvalidValue;
    const int device = current_device(p);
    const auto base = reinterpret_cast<std::uintptr_t>(at);
    for (const auto& [start, each] : p.memory)
        if (base < start + each.bytes && start < base + bytes)
            return each.is_host() ? cudaErrorHostMemoryAlreadyRegistered : cudaErrorInvalidValue;
    if (bytes > p.pinned_limit || p.pinned > p.pinned_limit - bytes) return cudaErrorMemoryAllocation;
    allocation made{allocation::kind::registered, device, bytes, flags, runs_of(base, bytes)};
    std::uintptr_t part = base;
    for (const allocation::run& each : made.runs) {
        const barelink::placement where{barelink::memory_kind::pinned, p.host_memory(each.node), 0, 0};
        const auto pinned = p.server.pin(reinterpret_cast<void*>(part), each.end - part, where);
        if (!pinned) {
            for (std::uintptr_t back = base; back < part;) {
                (void)p.server.unpin(reinterpret_cast<void*>(back));
                for (const allocation::run& done : made.runs)
                    if (done.end > back) {
                        back = done.end;
                        break;
                    }
            }
            return code_of(pinned);
        }
        part = each.end;
    }
    p.memory.emplace(base, std::move(made));
    p.pinned += bytes;
    return cudaSuccess;
}

cudaError_t describe(process& p, const void* at, cudaPointerAttributes& to) {
    current_device(p); // the question alone makes a context
    const allocation* found = nullptr;
    std::uintptr_t base = 0;
    to = cudaPointerAttributes{};
    to.device = cudaInvalidDeviceId;
    to.hostPointer = const_cast<void*>(at);
    if (!at || locate(p, at, 1, found, base) != cudaSuccess || !found) return cudaSuccess;
    to.device = found->device;
    to.devicePointer = const_cast<void*>(at);
    switch (found->what) {
    case allocation::kind::device:
        to.type = cudaMemoryTypeDevice;
        to.hostPointer = nullptr;
        break;
    case allocation::kind::managed: to.type = cudaMemoryTypeManaged; break;
    default: to.type = cudaMemoryTypeHost; break;
    }
    return cudaSuccess;
}

} // namespace
} // namespace simcuda

using simcuda::allocation;
using simcuda::call;
using simcuda::process;

extern "C" {

cudaError_t cudaMemGetInfo(std::size_t* available, std::size_t* total) {
    return call(__func__, [&](process& p) {
        if (!available || !total) return cudaErrorInvalidValue;
        const int device = simcuda::current_device(p);
        *total = p.gpu_node(device).bytes;
        *available = *total - p.server.allocated_bytes(p.gpu(device));
        return cudaSuccess;
    });
}

cudaError_t cudaMalloc(void** out, std::size_t bytes) {
    return call(__func__, [&](process& p) {
        if (const cudaError_t code = simcuda::forbid_while_capturing(p); code != cudaSuccess) return code;
        const int device = simcuda::current_device(p);
        return simcuda::give(p, out, bytes, p.gpu(device), {allocation::kind::device, device, 0, 0, {}});
    });
}

cudaError_t cudaMallocManaged(void** out, std::size_t bytes, unsigned flags) {
    return call(__func__, [&](process& p) {
        if (const cudaError_t code = simcuda::forbid_while_capturing(p); code != cudaSuccess) return code;
        if (bytes == 0 || (flags != cudaMemAttachGlobal && flags != cudaMemAttachHost)) return cudaErrorInvalidValue;
        const int device = simcuda::current_device(p);
        return simcuda::give(p, out, bytes, p.host_memory(simcuda::numa::local_node()),
                             {allocation::kind::managed, device, 0, flags, {}});
    });
}

cudaError_t cudaFree(void* at) {
    return call(__func__, [&](process& p) {
        simcuda::current_device(p);
        if (!at) return cudaSuccess;
        return simcuda::take_back(p, at, cudaErrorInvalidValue, [](const allocation& a) { return !a.is_host(); });
    });
}

cudaError_t cudaMallocAsync(void** out, std::size_t bytes, cudaStream_t handle) {
    return call(__func__, [&](process& p) {
        CUstream_st* stream = simcuda::find_stream(p, handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        if (stream->capturing) return simcuda::spoil(*stream->capturing, cudaErrorStreamCaptureUnsupported);
        return simcuda::give(p, out, bytes, p.gpu(stream->device),
                             {allocation::kind::device, stream->device, 0, 0, {}});
    });
}

cudaError_t cudaFreeAsync(void* at, cudaStream_t handle) {
    return call(__func__, [&](process& p) {
        CUstream_st* stream = simcuda::find_stream(p, handle);
        if (!stream) return cudaErrorInvalidResourceHandle;
        if (stream->capturing) return simcuda::spoil(*stream->capturing, cudaErrorStreamCaptureUnsupported);
        const auto found = p.memory.find(reinterpret_cast<std::uintptr_t>(at));
        if (found == p.memory.end() || found->second.is_host()) return cudaErrorInvalidValue;
        p.memory.erase(found);
        return simcuda::submit(p, *stream, cudaGraphNodeTypeMemFree, [at](process& q, simcuda::sim::stream lane) {
            q.server.launch(lane, 0, simcuda::run_chore, simcuda::keep(q, [&q, at] { (void)q.server.release(at); }));
            return cudaSuccess;
        });
    });
}

cudaError_t cudaHostAlloc(void** out, std::size_t bytes, unsigned flags) {
    return call(__func__, [&](process& p) { return simcuda::allocate_pinned(p, out, bytes, flags); });
}
cudaError_t cudaMallocHost(void** out, std::size_t bytes) {
    return call(__func__, [&](process& p) { return simcuda::allocate_pinned(p, out, bytes, cudaHostAllocDefault); });
}
cudaError_t cudaFreeHost(void* at) {
    return call(__func__, [&](process& p) {
        if (!at) return cudaSuccess;
        return simcuda::take_back(p, at, cudaErrorInvalidValue,
                                  [](const allocation& a) { return a.what == allocation::kind::host; });
    });
}

cudaError_t cudaHostRegister(void* at, std::size_t bytes, unsigned flags) {
    return call(__func__, [&](process& p) { return simcuda::register_range(p, at, bytes, flags); });
}
cudaError_t cudaHostUnregister(void* at) {
    return call(__func__, [&](process& p) {
        return simcuda::take_back(p, at, cudaErrorHostMemoryNotRegistered,
                                  [](const allocation& a) { return a.what == allocation::kind::registered; });
    });
}

cudaError_t cudaHostGetDevicePointer(void** out, void* at, unsigned flags) {
    return call(__func__, [&](process& p) {
        const allocation* found = nullptr;
        std::uintptr_t base = 0;
        if (!out || flags != 0 || simcuda::locate(p, at, 1, found, base) != cudaSuccess) return cudaErrorInvalidValue;
        if (!found || !found->is_host()) return cudaErrorInvalidValue;
        *out = at;
        return cudaSuccess;
    });
}

cudaError_t cudaHostGetFlags(unsigned* flags, void* at) {
    return call(__func__, [&](process& p) {
        const auto found = p.memory.find(reinterpret_cast<std::uintptr_t>(at));
        if (!flags || found == p.memory.end() || !found->second.is_host()) return cudaErrorInvalidValue;
        *flags = found->second.flags;
        return cudaSuccess;
    });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* at) {
    return call(__func__,
                [&](process& p) { return attributes ? simcuda::describe(p, at, *attributes) : cudaErrorInvalidValue; });
}

} // extern "C"
