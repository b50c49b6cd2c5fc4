// One simulated process: its server, contexts, handles and memory. Everything here is guarded by one mutex.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "handles.hpp"
#include "simcuda.hpp"

namespace simcuda {

/// Memory that CUDA knows: allocated by it, or registered.
struct allocation {
    enum class kind : std::uint8_t { device, managed, host, registered };
    /// A part of it on one NUMA node.
    struct run {
        std::uintptr_t end;
        std::int32_t node;
    };
    kind what;
    int device; ///< current when it was made
    std::uint64_t bytes;
    unsigned flags = 0;
    std::vector<run> runs; ///< registered memory: in order, covering it

    [[nodiscard]] bool is_host() const noexcept { return what == kind::host || what == kind::registered; }
};

struct planned_failure {
    std::string function; ///< empty: any
    std::uint64_t call;
    cudaError_t code;
    bool sticky;
};

/// Each thread's own part of the process.
struct thread_state {
    std::uint64_t generation = 0;
    int number = 0; ///< never 0 for a thread that has called
    int device = 0;
    bool current = false; ///< a context of that device is current in this thread
    /// What was current before each cuCtxPushCurrent.
    std::vector<std::pair<int, bool>> pushed;
    cudaError_t last = cudaSuccess;
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
};

/// Bytes that a copy of pageable memory passed through, kept until they are read.
struct staged_bytes {
    std::unique_ptr<char[]> bytes;
    sim::event read;
};

struct process {
    process(barelink::machine on, sim::options chosen);

    sim::runtime server;
    std::vector<barelink::node_index> gpus; ///< by device number
    std::vector<char> context;              ///< by device number
    std::vector<char> access, refused;      ///< accessor * devices + peer

    std::map<std::uintptr_t, allocation> memory;
    std::uint64_t pinned = 0, pinned_limit = ~0ull;
    std::list<staged_bytes> staged;
    std::list<std::function<void()>> chores; ///< work that the simulator runs later

    std::map<cudaStream_t, std::unique_ptr<CUstream_st>> streams;
    std::map<cudaEvent_t, std::unique_ptr<CUevent_st>> events;
    std::map<cudaGraph_t, std::unique_ptr<CUgraph_st>> graphs;
    std::map<cudaGraphExec_t, std::unique_ptr<CUgraphExec_st>> execs;
    std::map<std::pair<int, int>, std::unique_ptr<CUstream_st>> default_streams; ///< thread (0: legacy), device
    std::list<std::unique_ptr<capture>> captures;
    std::uint64_t next_id = 1;

    cudaError_t sticky = cudaSuccess;
    bool charged = true; ///< calls of the simulator cost the calling thread time

    [[nodiscard]] int devices() const noexcept { return static_cast<int>(gpus.size()); }
    [[nodiscard]] bool has(int device) const noexcept { return device >= 0 && device < devices(); }
    [[nodiscard]] std::size_t pair(int accessor, int peer) const noexcept {
        return static_cast<std::size_t>(accessor) * gpus.size() + static_cast<std::size_t>(peer);
    }
    [[nodiscard]] barelink::node_index gpu(int device) const noexcept { return gpus[static_cast<std::size_t>(device)]; }
    [[nodiscard]] const barelink::node& gpu_node(int device) const noexcept {
        return server.topology().at(gpu(device));
    }
    void touch(int device) { context[static_cast<std::size_t>(device)] = 1; }
    /// The memory of a NUMA node, of the machine's first where there is none of this number.
    [[nodiscard]] barelink::node_index host_memory(std::int32_t numa) const;
};

/// While it lives, calls of the simulator cost the calling thread nothing: they are the driver's doing.
class uncharged {
public:
    explicit uncharged(process& p) : p_(p), before_(p.charged) { set(false); }
    uncharged(const uncharged&) = delete;
    uncharged& operator=(const uncharged&) = delete;
    ~uncharged() { set(before_); }

private:
    void set(bool charged) {
        p_.charged = charged;
        p_.server.charge(charged);
    }
    process& p_;
    bool before_;
};

/// What outlives a reset.
struct world {
    std::recursive_mutex gate;
    std::unique_ptr<process> running;
    std::uint64_t generation = 1;
    bool started = false;
    cudaError_t no_gpu = cudaSuccess; ///< why there is no process
    bool in_host_function = false;
    bool records_not_ready = false;

    std::map<std::string, std::uint64_t, std::less<>> calls;
    std::uint64_t all_calls = 0;
    std::vector<planned_failure> planned;
    int threads = 0;

    /// On the first call: the server that the environment asks for.
    void start();
    void restart(barelink::machine on, sim::options chosen);
    /// Counts a call. What it has to return without doing anything; nothing when it may go ahead.
    [[nodiscard]] std::optional<cudaError_t> admit(const char* function);
};

[[nodiscard]] world& the_world();
[[nodiscard]] thread_state& this_thread();

/// The code for a failure of the simulator.
[[nodiscard]] cudaError_t code_of(const barelink::error& failure);
[[nodiscard]] inline cudaError_t code_of(const barelink::status& done) {
    return done ? cudaSuccess : code_of(done.error());
}

/// The thread's current device, which gets a context.
inline int current_device(process& p) {
    thread_state& me = this_thread();
    p.touch(me.device);
    me.current = true;
    return me.device;
}

/// All functions but the queries make a context on the thread's current device, when the thread has none: the runtime
/// library initialises it, whichever device the call is about.
[[nodiscard]] bool needs_context(const char* function) noexcept;

/// The frame of every CUDA function: one at a time, counted, failing on request, its code the thread's last error.
template <class Work>
[[nodiscard]] cudaError_t call(const char* function, Work work) {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    thread_state& me = this_thread();
    const std::optional<cudaError_t> refused = w.admit(function);
    if (!refused && !me.current && needs_context(function)) current_device(*w.running);
    const cudaError_t code = refused ? *refused : work(*w.running);
    if (code != cudaSuccess && (code != cudaErrorNotReady || w.records_not_ready)) me.last = code;
    return code;
}

} // namespace simcuda
