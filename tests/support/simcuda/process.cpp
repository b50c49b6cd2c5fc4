// Starting a simulated process, and what tests may do to it.
#include "process.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "environment.hpp"
#include "numa.hpp"

namespace simcuda {

process::process(barelink::machine on, sim::options chosen) : server(std::move(on), chosen) {
    const barelink::machine& m = server.topology();
    for (std::int32_t g = 0; m.gpu(barelink::gpu_id{g}) != barelink::no_node; ++g)
        gpus.push_back(m.gpu(barelink::gpu_id{g}));
    context.assign(gpus.size(), 0);
    access.assign(gpus.size() * gpus.size(), 0);
    refused = access;
    server.require_access();
}

barelink::node_index process::host_memory(std::int32_t numa) const {
    const barelink::machine& m = server.topology();
    const barelink::node_index there = m.memory(barelink::numa_id{numa});
    if (there != barelink::no_node) return there;
    const auto all = m.all(barelink::node_kind::memory);
    return all.empty() ? barelink::no_node : all.front();
}

world& the_world() {
    static world* const only = new world; // never destroyed: other libraries' destructors may still call CUDA
    return *only;
}

thread_state& this_thread() {
    thread_local thread_state mine;
    world& w = the_world();
    if (mine.number == 0) mine.number = ++w.threads;
    if (mine.generation != w.generation) {
        mine.generation = w.generation;
        mine.device = 0;
        mine.current = false;
        mine.pushed.clear();
        mine.last = cudaSuccess;
        mine.mode = cudaStreamCaptureModeGlobal;
    }
    return mine;
}

void world::start() {
    if (started) return;
    started = true;
    auto asked = machine_of_environment(no_gpu);
    if (!asked) return;
    slow_links(*asked);
    running = std::make_unique<process>(std::move(*asked), sim::options{});
    running->server.inject(broken_peers(running->server.topology()));
}

void world::restart(barelink::machine on, sim::options chosen) {
    started = true;
    no_gpu = cudaSuccess;
    running.reset();
    calls.clear();
    all_calls = 0;
    planned.clear();
    in_host_function = records_not_ready = false;
    ++generation;
    numa::forget_all();
    address_devices(on);
    publish(on);
    running = std::make_unique<process>(std::move(on), chosen);
    if (running->gpus.empty()) {
        running.reset();
        no_gpu = cudaErrorNoDevice;
    }
}

std::optional<cudaError_t> world::admit(const char* function) {
    start();
    const std::uint64_t any = all_calls++;
    auto counted = calls.find(function);
    if (counted == calls.end()) counted = calls.emplace(function, 0).first;
    const std::uint64_t same = counted->second++;
    if (!running) return no_gpu;
    if (in_host_function) return cudaErrorNotPermitted;
    if (running->sticky != cudaSuccess) return running->sticky;
    for (auto each = planned.begin(); each != planned.end(); ++each) {
        const bool now = each->function.empty() ? each->call == any : each->function == function && each->call == same;
        if (!now) continue;
        const cudaError_t code = each->code;
        if (each->sticky) running->sticky = code;
        planned.erase(each);
        return code;
    }
    return {};
}

bool needs_context(const char* function) noexcept {
    for (const char* query :
         {"cudaGetDeviceCount", "cudaGetDevice", "cudaSetDevice", "cudaDeviceGetAttribute", "cudaDeviceGetPCIBusId",
          "cudaDeviceGetByPCIBusId", "cudaGetDeviceProperties", "cudaDeviceCanAccessPeer", "cudaDeviceGetP2PAttribute",
          "cudaDriverGetVersion", "cudaRuntimeGetVersion", "cudaGetDriverEntryPoint",
          "cudaGetDriverEntryPointByVersion", "cudaThreadExchangeStreamCaptureMode"})
        if (std::strcmp(function, query) == 0) return false;
    return true;
}

cudaError_t code_of(const barelink::error& failure) {
    switch (failure.code()) {
    case barelink::errc::out_of_memory: return cudaErrorMemoryAllocation;
    case barelink::errc::invalid_argument: return cudaErrorInvalidValue;
    case barelink::errc::unsupported: return cudaErrorNotSupported;
    case barelink::errc::not_permitted: return cudaErrorPeerAccessUnsupported;
    default: return cudaErrorUnknown;
    }
}

namespace {

/// The running process, for the control functions.
process& running_process(world& w) {
    w.start();
    if (!w.running) {
        std::fputs("simcuda: there is no GPU here\n", stderr);
        std::abort();
    }
    return *w.running;
}

} // namespace

void reset(barelink::machine on, barelink::sim::options chosen) {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    w.restart(std::move(on), chosen);
}

void reset() {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    cudaError_t why = cudaSuccess;
    auto asked = machine_of_environment(why);
    if (asked) return w.restart(std::move(*asked), {});
    w.restart(barelink::machine{}, {});
    w.no_gpu = why;
}

barelink::sim::runtime& server() {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    return running_process(w).server;
}

bool has_context(int device) {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    return w.running && w.running->has(device) && w.running->context[static_cast<std::size_t>(device)] != 0;
}

int contexts() {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    return w.running ? static_cast<int>(std::count(w.running->context.begin(), w.running->context.end(), 1)) : 0;
}

void fail(const char* function, std::uint64_t nth, cudaError_t code, bool sticky) {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    const auto counted = w.calls.find(function);
    w.planned.push_back({function, nth + (counted == w.calls.end() ? 0 : counted->second), code, sticky});
}

void fail_any(std::uint64_t nth, cudaError_t code, bool sticky) {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    w.planned.push_back({{}, nth + w.all_calls, code, sticky});
}

void lose_device(int, cudaError_t code) {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    running_process(w).sticky = code;
}

void refuse_peer(int from, int to) {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    process& p = running_process(w);
    if (p.has(from) && p.has(to)) p.refused[p.pair(from, to)] = 1;
}

void deny_binding(bool denied) {
    numa::deny(denied);
}

void limit_pinned(std::uint64_t bytes) {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    running_process(w).pinned_limit = bytes;
}

void record_not_ready(bool recorded) {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    w.records_not_ready = recorded;
}

std::uint64_t calls(const char* function) {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    const auto counted = w.calls.find(function);
    return counted == w.calls.end() ? 0 : counted->second;
}

std::uint64_t calls() {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    return w.all_calls;
}

cudaError_t pending_error() {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    const thread_state& me = this_thread();
    return w.running && w.running->sticky != cudaSuccess ? w.running->sticky : me.last;
}

live_counts live() {
    world& w = the_world();
    const std::lock_guard held(w.gate);
    live_counts found;
    if (!w.running) return found;
    const process& p = *w.running;
    found.streams = p.streams.size();
    found.events = p.events.size();
    found.graphs = p.graphs.size() + p.execs.size();
    for (const auto& [base, each] : p.memory) {
        found.registrations += each.what == allocation::kind::registered;
        found.host_allocations += each.what == allocation::kind::host;
        found.device_allocations += !each.is_host();
    }
    return found;
}

} // namespace simcuda
