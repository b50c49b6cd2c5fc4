// A shared library for LD_PRELOAD: an unmodified program's cudaMemcpyAsync goes through barelink.
//
//   LD_PRELOAD=./libbarelink_preload.so BARELINK_RELAYS=1,2,3 ./program
//
// The program must use the shared CUDA runtime library; a static one has no symbol to stand in front of. Variables:
// BARELINK_RELAYS, GPUs that may carry other GPUs' bytes (numbers with commas; none by default), BARELINK_REPORT=1, a line on
// stderr at the end.
#include <barelink/memcpy.hpp>

#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>

namespace {

/// Barelink copies with cudaMemcpyAsync, too: those calls, of the same thread, must reach CUDA.
thread_local bool inside = false;

using copy_function = cudaError_t (*)(void*, const void*, size_t, cudaMemcpyKind, cudaStream_t);
using peer_function = cudaError_t (*)(void*, int, const void*, int, size_t, cudaStream_t);

template <class Function>
Function real(const char* name) {
    void* const found = ::dlsym(RTLD_NEXT, name);
    if (!found) {
        std::fprintf(stderr, "barelink preload: this program has no shared CUDA runtime library: %s\n", ::dlerror());
        std::abort();
    }
    return reinterpret_cast<Function>(found);
}

barelink::gpu_set relays_of_environment() {
    barelink::gpu_set relays;
    const char* at = std::getenv("BARELINK_RELAYS");
    while (at && *at) {
        char* end = nullptr;
        const long gpu = std::strtol(at, &end, 10);
        if (end == at) break;
        relays.insert(barelink::gpu_id{static_cast<std::int32_t>(gpu)});
        at = *end == ',' ? end + 1 : end;
    }
    return relays;
}

struct session {
    session() { (void)barelink::memcpy_configure({.relays = relays_of_environment()}); }
    ~session() {
        const char* wanted = std::getenv("BARELINK_REPORT");
        if (!wanted || *wanted != '1') return;
        const barelink::memcpy_counters did = barelink::memcpy_counted();
        std::fprintf(stderr,
                     "barelink preload: planned %llu copies (%llu pageable), left %llu to CUDA, fell back %llu times\n",
                     static_cast<unsigned long long>(did.planned), static_cast<unsigned long long>(did.staged),
                     static_cast<unsigned long long>(did.left_to_cuda), static_cast<unsigned long long>(did.fallbacks));
    }
} this_session;

/// Runs the outermost call through barelink.
template <class Ours, class Theirs>
cudaError_t route(Ours ours, Theirs theirs) {
    if (inside) return theirs();
    inside = true;
    const cudaError_t code = ours();
    inside = false;
    return code;
}

} // namespace

extern "C" __attribute__((visibility("default"))) cudaError_t
cudaMemcpyAsync(void* dst, const void* src, size_t count, cudaMemcpyKind kind, cudaStream_t stream) {
    static const auto cuda = real<copy_function>("cudaMemcpyAsync");
    return route([&] { return barelink::memcpy_async(dst, src, count, kind, stream); },
                 [&] { return cuda(dst, src, count, kind, stream); });
}

extern "C" __attribute__((visibility("default"))) cudaError_t
cudaMemcpyPeerAsync(void* dst, int dst_device, const void* src, int src_device, size_t count, cudaStream_t stream) {
    static const auto cuda = real<peer_function>("cudaMemcpyPeerAsync");
    return route([&] { return barelink::memcpy_peer_async(dst, dst_device, src, src_device, count, stream); },
                 [&] { return cuda(dst, dst_device, src, src_device, count, stream); });
}
