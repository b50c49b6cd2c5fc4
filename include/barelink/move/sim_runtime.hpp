// sim::runtime: a server built from any machine. Real bytes move; time is virtual.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <barelink/move/detail/sim_engine.hpp>
#include <barelink/move/detail/sim_memory.hpp>
#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE
namespace sim {

struct options {
    /// Addresses without memory behind them: sweeps over sizes and machines cost no bytes. Nobody may touch the addresses.
    bool timing_only = false;
    /// Keep a record of every copy; see `runtime::trace`.
    bool trace = false;
    /// Whether there is a copy kernel, and whether there are batch copies: older programs have neither.
    bool block_kernel = true;
    bool batch_copies = true;
};

struct stream {
    std::uint32_t number = detail::nothing;
    friend bool operator==(const stream&, const stream&) noexcept = default;
};
struct event {
    std::uint32_t number = detail::nothing;
    friend bool operator==(const event&, const event&) noexcept = default;
};

/// A simulated server. Concurrent copies share link directions max-min fairly, every copy pays its costs, every copy engine
/// serves one copy at a time, host threads copy at their rate; the calling thread has a clock of its own, which each call
/// moves on by what the call costs. Deterministic. Not thread-safe.
class runtime {
public:
    using stream_type = stream;
    using event_type = event;

    explicit runtime(machine m, options chosen = {})
        : machine_(std::move(m)), options_(chosen), memory_(chosen.timing_only),
          engine_(machine_, chosen.timing_only, chosen.trace),
          way_of_(4 * machine_.nodes.size() * machine_.nodes.size(), detail::nothing) {}
    runtime(const runtime&) = delete; // the engine refers to the machine
    runtime& operator=(const runtime&) = delete;

    [[nodiscard]] const machine& topology() const noexcept { return machine_; }

    /// Memory of a GPU, or pinned memory on a NUMA node. Errors: out_of_memory beyond the GPU's capacity.
    [[nodiscard]] result<void*> allocate(node_index where, std::uint64_t bytes) {
        if (auto called = call(); !called) return called.error();
        const node& there = machine_.at(where);
        if (!there.is_memory())
            return error(errc::invalid_argument, text::join({there.id().c_str(), " is not a memory"}));
        if (there.bytes > 0 && memory_.allocated_bytes(where) + bytes > there.bytes)
            return error(errc::out_of_memory, text::join({there.id().c_str(), " has no room for this allocation"}))
                .about(there.id().c_str())
                .on_device(there.kind == node_kind::gpu ? there.index : -1)
                .asking(bytes);
        return memory_.allocate({there.kind == node_kind::gpu ? memory_kind::device : memory_kind::pinned, where, 0, 0},
                                bytes);
    }
    /// Pinned memory in stripes over all NUMA nodes, the first stripe on the first.
    [[nodiscard]] result<void*> allocate_striped(std::uint64_t bytes, std::uint64_t stripe_bytes) {
        const auto nodes = machine_.all(node_kind::memory);
        if (nodes.empty() || stripe_bytes == 0)
            return error(errc::invalid_argument, "striped memory needs a NUMA node and a stripe size");
        return memory_.allocate({memory_kind::striped, nodes.front(), stripe_bytes, 0}, bytes);
    }
    /// Ordinary memory on a NUMA node.
    [[nodiscard]] result<void*> allocate_pageable(node_index where, std::uint64_t bytes) {
        return memory_.allocate({memory_kind::pageable, where, 0, 0}, bytes);
    }
    [[nodiscard]] status release(void* at) {
        if (auto called = call(); !called) return called;
        return memory_.release(at);
    }
    /// The memory stays the caller's; bytes are read and written there.
    [[nodiscard]] status pin(void* at, std::uint64_t bytes, const placement& where) {
        if (auto called = call(); !called) return called;
        return memory_.adopt(at, bytes, where);
    }
    [[nodiscard]] status unpin(void* at) {
        if (auto called = call(); !called) return called;
        return memory_.release(at);
    }
    /// Memory that was not allocated here is pageable, on the first NUMA node.
    [[nodiscard]] result<placement> classify(const void* at, std::uint64_t bytes) {
        if (auto called = call(); !called) return called.error();
        auto where = memory_.classify(at, bytes);
        if (where && where->node == no_node) where->node = first_memory();
        return where;
    }

    [[nodiscard]] result<memory_extent> extent(const void* at) {
        if (auto called = call(); !called) return called.error();
        memory_extent found = memory_.extent(at);
        if (found.where.node == no_node) found.where.node = first_memory();
        return found;
    }
    /// Errors: not_permitted for a pair whose grant is refused by a fault.
    [[nodiscard]] status open_peer(node_index from, node_index to) {
        if (auto called = call(); !called) return called;
        for (const peer_fault& fault : peer_faults_)
            if (fault.what == peer_fault::kind::refused && fault.from == from && fault.to == to)
                return error(errc::not_permitted, "peer access is refused").about(machine_.at(to).id().c_str());
        return {};
    }
    void set_delivery(node_index from, node_index to, delivery proof) {
        machine_.set_delivery(from, to, proof != delivery::failed, proof);
        forget_ways(from, to);
    }

    [[nodiscard]] result<stream> make_stream(node_index gpu) {
        if (auto called = call(); !called) return called.error();
        issuers_.push_back(gpu);
        return stream{engine_.add_stream()};
    }
    /// Errors: invalid_argument while work is left in it.
    [[nodiscard]] status destroy(stream s) {
        if (auto called = call(); !called) return called;
        engine_.run_to(host_us_);
        if (!engine_.is_idle(s.number))
            return error(errc::invalid_argument, "the stream still has work: synchronize first");
        return {};
    }
    [[nodiscard]] node_index issuer(stream s) const noexcept { return issuers_[s.number]; }

    [[nodiscard]] result<event> make_event(node_index, bool /*timed*/ = true) {
        if (auto called = call(); !called) return called.error();
        recordings_.push_back(detail::nothing);
        return event{static_cast<std::uint32_t>(recordings_.size() - 1)};
    }
    [[nodiscard]] status destroy(event e) {
        if (auto called = call(); !called) return called;
        forget(e);
        return {};
    }
    /// The event stands for the stream's work so far, until it is recorded again.
    [[nodiscard]] status record(event e, stream s) {
        if (auto called = call(); !called) return called;
        host_us_ += call_cost_ * machine_.costs.event_us;
        forget(e);
        recordings_[e.number] = engine_.add_recording();
        enqueue(s, operation_of(detail::operation::kind::record, recordings_[e.number]));
        return {};
    }
    /// Later work in the stream starts after the event's latest recording. An event never recorded holds nothing up.
    [[nodiscard]] status wait(stream s, event e) {
        if (auto called = call(); !called) return called;
        host_us_ += call_cost_ * machine_.costs.event_us;
        if (recordings_[e.number] != detail::nothing)
            enqueue(s, operation_of(detail::operation::kind::wait, recordings_[e.number]));
        return {};
    }

    /// Asynchronous, in stream order. Two GPUs without a usable path are staged by the simulated driver, slowly, as CUDA does.
    /// Errors: invalid_argument for ranges that straddle allocations, for pageable memory and for memory on no GPU's path.
    [[nodiscard]] status copy(void* to, const void* from, std::uint64_t bytes, stream s) {
        if (auto called = call(); !called) return called;
        host_us_ += call_cost_ * machine_.costs.submit_us;
        auto op = copy_between(to, from, bytes, s);
        if (!op) return std::move(op).error();
        enqueue(s, *op);
        return {};
    }
    /// One engine command. Errors: as for `copy`.
    [[nodiscard]] status copy_2d(void* to, std::uint64_t to_pitch, const void* from, std::uint64_t from_pitch,
                                 std::uint64_t row_bytes, std::uint64_t rows, stream s);
    /// One submission; neighbours in the list between the same two memories are one engine command. Errors: as for `copy`.
    [[nodiscard]] status copy_many(const block* list, std::size_t count, stream s);
    [[nodiscard]] bool can_copy_many(stream) const noexcept { return options_.batch_copies; }
    /// Not in timing-only mode: a kernel reads its list from memory.
    [[nodiscard]] bool has_block_kernel() const noexcept { return options_.block_kernel && !options_.timing_only; }
    /// The kernel shares the links of all its blocks with everything else, and moves no more than its multiprocessors do.
    [[nodiscard]] status copy_blocks(const block* list, std::size_t count, int multiprocessors, stream s);
    /// Copies with the host's threads near `near` and returns when done.
    [[nodiscard]] status host_copy(void* to, const void* from, std::uint64_t bytes, node_index near) {
        const block one{to, from, bytes};
        return host_copy_many(&one, 1, near);
    }
    /// Many at once, all between the two memories of the first one, as far as time goes.
    [[nodiscard]] status host_copy_many(const block* list, std::size_t count, node_index near);

    /// Asking takes time, too: who asks until it is done sees it done.
    [[nodiscard]] result<bool> is_done(event e) {
        if (auto called = call(); !called) return called.error();
        host_us_ += call_cost_ * machine_.costs.event_us;
        if (recordings_[e.number] == detail::nothing) return true;
        engine_.run_to(host_us_);
        if (engine_.has_failed(recordings_[e.number])) return broken();
        return engine_.is_done(recordings_[e.number]);
    }
    /// Blocks the calling thread until the event is done. Errors: device when work before it failed.
    [[nodiscard]] status synchronize(event e) {
        if (auto called = call(); !called) return called;
        if (recordings_[e.number] == detail::nothing) return {};
        engine_.run_to(host_us_);
        if (!engine_.run_until_done(recordings_[e.number]))
            return error(errc::device,
                         "the event can never complete: the work before it waits for something that is gone");
        if (engine_.done_us(recordings_[e.number]) > host_us_) host_us_ = engine_.done_us(recordings_[e.number]);
        if (engine_.has_failed(recordings_[e.number])) return broken();
        return {};
    }
    [[nodiscard]] result<double> elapsed_us(event from, event to) {
        if (auto called = call(); !called) return called.error();
        const std::uint32_t a = recordings_[from.number], b = recordings_[to.number];
        if (a == detail::nothing || b == detail::nothing || !engine_.is_done(a) || !engine_.is_done(b))
            return error(errc::invalid_argument, "both events must be done before the time between them is known");
        return engine_.done_us(b) - engine_.done_us(a);
    }
    [[nodiscard]] result<std::uint64_t> capturing(stream) { return std::uint64_t{0}; }
    [[nodiscard]] double clock_us() const noexcept { return host_us_; }

    // Beyond the concept: what only a simulation can do.

    /// A kernel that takes `us`; `work` runs on `context` when it ends.
    void launch(stream s, double us, void (*work)(void*) = nullptr, void* context = nullptr) {
        host_us_ += call_cost_ * machine_.costs.submit_us;
        auto op = operation_of(detail::operation::kind::kernel, detail::nothing);
        op.us = us;
        op.work = work;
        op.to = context;
        enqueue(s, op);
    }
    /// From now on copies between two GPUs go directly only where the GPU whose engine moves them has access to the other, as
    /// under CUDA: it is given with `set_access`. Elsewhere the driver stages them.
    void require_access() {
        access_.assign(machine_.nodes.size() * machine_.nodes.size(), 0);
        way_of_.assign(way_of_.size(), detail::nothing);
    }
    /// Precondition: `require_access` was called.
    void set_access(node_index accessor, node_index peer, bool granted) {
        access_[accessor.value * machine_.nodes.size() + peer.value] = granted ? 1 : 0;
        forget_ways(accessor, peer);
        forget_ways(peer, accessor);
    }
    /// Whether calls cost the calling thread time. What a driver does by itself, such as the copies of a graph, does not.
    void charge(bool calls) noexcept { call_cost_ = calls ? 1 : 0; }
    /// What the calling thread does besides: its clock moves on.
    void spend(double us) noexcept { host_us_ += us; }
    /// All work given to the stream so far is done, at the moment of the calling thread's clock.
    [[nodiscard]] bool is_idle(stream s) {
        engine_.run_to(host_us_);
        return engine_.is_idle(s.number);
    }
    [[nodiscard]] std::uint64_t allocated_bytes(node_index where) const noexcept {
        return memory_.allocated_bytes(where);
    }
    /// Faults from now on; link faults happen at their own time.
    void inject(const faults& planned) {
        for (const link_fault& fault : planned.links) engine_.schedule_fault(fault);
        peer_faults_ = planned.peers;
        failing_call_ = planned.failing_call;
    }
    /// Which route, leg and chunk the next copies belong to, for the trace.
    void annotate(std::uint32_t route, std::uint32_t leg, std::uint32_t chunk) noexcept {
        tag_.route = route;
        tag_.leg = leg;
        tag_.chunk = chunk;
    }
    /// The calling thread's clock, microseconds since the server was made.
    [[nodiscard]] double now_us() const noexcept { return host_us_; }
    [[nodiscard]] const copy_trace& trace() const noexcept { return engine_.trace(); }
    void clear_trace() noexcept { engine_.clear_trace(); }
    /// Copies that ran at the same time over the same bytes, one of them writing: each is a missing event.
    [[nodiscard]] std::uint64_t races() const noexcept { return engine_.races(); }
    [[nodiscard]] std::uint64_t calls() const noexcept { return calls_; }
    [[nodiscard]] std::size_t allocations() const noexcept { return memory_.blocks(); }

private:
    [[nodiscard]] status call() {
        if (calls_++ != failing_call_) return {};
        return error(errc::device, text::join({"injected fault in call ", std::to_string(calls_ - 1).c_str()}));
    }
    [[nodiscard]] static error broken() {
        return {errc::device, "a copy before this event failed: a link died, or peer access was refused"};
    }
    [[nodiscard]] detail::operation operation_of(detail::operation::kind what, std::uint32_t target) const noexcept {
        detail::operation op;
        op.what = what;
        op.target = target;
        op.submit_us = host_us_;
        return op;
    }
    void enqueue(stream s, const detail::operation& op) { engine_.submit(s.number, op); }
    void forget(event e) {
        if (recordings_[e.number] != detail::nothing) engine_.drop_recording(recordings_[e.number]);
        recordings_[e.number] = detail::nothing;
    }
    [[nodiscard]] node_index first_memory() const noexcept {
        for (std::uint32_t n = 0; n < machine_.nodes.size(); ++n)
            if (machine_.nodes[n].kind == node_kind::memory) return node_index{n};
        return no_node;
    }
    /// The next copy between the two looks for its way again.
    void forget_ways(node_index from, node_index to) {
        for (std::uint32_t way = 0; way < 4; ++way)
            way_of_[4 * (from.value * machine_.nodes.size() + to.value) + way] = detail::nothing;
    }
    [[nodiscard]] bool may_access(node_index accessor, node_index peer) const noexcept {
        return access_.empty() || machine_.at(accessor).kind != node_kind::gpu ||
               machine_.at(peer).kind != node_kind::gpu ||
               access_[accessor.value * machine_.nodes.size() + peer.value] != 0;
    }
    /// The memory that an address is in: for striped memory the node of its stripe.
    [[nodiscard]] node_index node_at(const placement& where) const {
        if (where.kind != memory_kind::striped) return where.node;
        const auto nodes = machine_.all(node_kind::memory);
        return nodes[where.stripe_phase / where.stripe_bytes % nodes.size()];
    }

    [[nodiscard]] result<detail::operation> copy_between(void* to, const void* from, std::uint64_t bytes, stream s);
    [[nodiscard]] result<std::uint32_t> find_way(node_index from, node_index to, node_index issuer, bool cached);
    /// Host memory so small that what DMA writes there is still in the CPU's cache when DMA reads it again: rings.
    [[nodiscard]] bool is_cached(const void* from, const void* to) const noexcept {
        const auto small = [&](const void* at) {
            const memory_extent found = memory_.extent(at);
            return found.bytes > 0 && found.bytes <= cached_bytes && found.where.kind != memory_kind::device;
        };
        return small(from) || small(to);
    }
    struct staging_pair {
        node_index one, other;
        std::uint32_t resource;
    };
    [[nodiscard]] std::uint32_t staging_between(node_index one, node_index other, double gb_s);
    [[nodiscard]] std::uint32_t kernel_way(const std::vector<std::uint32_t>& ways, int multiprocessors);
    [[nodiscard]] detail::way host_way(node_index from, node_index to) const;

    /// Of host memory that stays in the last-level cache: Xeons let DMA write into it (Data Direct I/O), and sockets have 30 to 400
    /// MB. Project choice.
    static constexpr std::uint64_t cached_bytes = 32 * MiB;

    machine machine_;
    options options_;
    detail::address_space memory_;
    detail::engine engine_;
    double host_us_ = 0, call_cost_ = 1;
    std::vector<char> access_; ///< per pair of nodes; empty: all that the machine allows
    std::vector<node_index> issuers_;
    std::vector<std::uint32_t> recordings_; ///< per event, its latest recording
    std::vector<std::uint32_t> way_of_;     ///< per pair of nodes, pushed and pulled, of large and of cached memory
    std::vector<std::uint32_t> kernel_ways_;
    std::vector<staging_pair> staging_;
    std::vector<block> scratch_; ///< rows of a strided copy
    std::vector<peer_fault> peer_faults_;
    std::uint64_t calls_ = 0, failing_call_ = ~0ull;
    copy_record tag_;
};

} // namespace sim

static_assert(has_block_kernels<sim::runtime>);
static_assert(runtime<sim::runtime>, "sim::runtime must model barelink::runtime");

BARELINK_END_NAMESPACE

#include <barelink/move/detail/sim_blocks.hpp>
#include <barelink/move/detail/sim_ways.hpp>
