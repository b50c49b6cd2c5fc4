// The simulated driver: contexts pushed and popped, and the ranges of allocations. A context's handle is its device's
// number and one more; codes are those of <cuda.h>.
#include "driver.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <tuple>

#include "process.hpp"

using simcuda::process;
using simcuda::this_thread;

namespace {

constexpr int success = 0, invalid_value = 1, not_initialized = 3, invalid_context = 201;

/// One call at a time, none without a server.
template <class Work>
int in_driver(Work work) {
    simcuda::world& w = simcuda::the_world();
    const std::lock_guard held(w.gate);
    w.start();
    return w.running ? work(*w.running) : not_initialized;
}

void* handle_of(int device) noexcept {
    return reinterpret_cast<void*>(static_cast<std::intptr_t>(device) + 1);
}
int device_of(const void* context) noexcept {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(context)) - 1;
}

int device_get(int* device, int ordinal) {
    return in_driver([&](process& p) { return p.has(ordinal) ? (*device = ordinal, success) : invalid_value; });
}
int primary_context_retain(void** context, int device) {
    return in_driver([&](process& p) {
        if (!p.has(device)) return invalid_value;
        p.touch(device);
        *context = handle_of(device);
        return success;
    });
}
int context_push(void* context) {
    return in_driver([&](process& p) {
        if (!p.has(device_of(context))) return invalid_context;
        simcuda::thread_state& me = this_thread();
        me.pushed.emplace_back(me.device, me.current);
        me.device = device_of(context);
        me.current = true;
        return success;
    });
}
int context_pop(void** context) {
    return in_driver([&](process&) {
        simcuda::thread_state& me = this_thread();
        if (me.pushed.empty()) return invalid_context;
        *context = handle_of(me.device);
        std::tie(me.device, me.current) = me.pushed.back();
        me.pushed.pop_back();
        return success;
    });
}
int context_current(void** context) {
    return in_driver([&](process&) {
        const simcuda::thread_state& me = this_thread();
        *context = me.current ? handle_of(me.device) : nullptr;
        return success;
    });
}
int context_device(int* device) {
    return in_driver([&](process&) {
        const simcuda::thread_state& me = this_thread();
        return me.current ? (*device = me.device, success) : invalid_context;
    });
}
int stream_context(cudaStream_t stream, void** context) {
    return in_driver([&](process& p) {
        const auto known = p.streams.find(stream);
        if (known == p.streams.end()) return invalid_value;
        *context = handle_of(known->second->device);
        return success;
    });
}
int pointer_attribute(void* value, int which, unsigned long long address) {
    constexpr int range_start = 11, range_size = 12;
    return in_driver([&](process& p) {
        auto after = p.memory.upper_bound(static_cast<std::uintptr_t>(address));
        if (after == p.memory.begin()) return invalid_value;
        const auto& [base, found] = *std::prev(after);
        if (address >= base + found.bytes) return invalid_value;
        if (which == range_start) {
            const auto start = static_cast<unsigned long long>(base);
            std::memcpy(value, &start, sizeof start);
        } else if (which == range_size) {
            const auto bytes = static_cast<std::size_t>(found.bytes);
            std::memcpy(value, &bytes, sizeof bytes);
        } else {
            return invalid_value;
        }
        return success;
    });
}

} // namespace

void* simcuda::driver_function(const char* name) noexcept {
    const struct {
        const char* name;
        void* at;
    } functions[] = {
        {"cuDeviceGet", reinterpret_cast<void*>(device_get)},
        {"cuDevicePrimaryCtxRetain", reinterpret_cast<void*>(primary_context_retain)},
        {"cuCtxPushCurrent", reinterpret_cast<void*>(context_push)},
        {"cuCtxPopCurrent", reinterpret_cast<void*>(context_pop)},
        {"cuCtxGetCurrent", reinterpret_cast<void*>(context_current)},
        {"cuCtxGetDevice", reinterpret_cast<void*>(context_device)},
        {"cuStreamGetCtx", reinterpret_cast<void*>(stream_context)},
        {"cuPointerGetAttribute", reinterpret_cast<void*>(pointer_attribute)},
    };
    for (const auto& each : functions)
        if (std::strcmp(each.name, name) == 0) return each.at;
    return nullptr;
}
