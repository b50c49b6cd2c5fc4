// The simulated server's clock: streams, copy engines and flows that share links. Private to sim::runtime.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include <barelink/machine/duplex.hpp>
#include <barelink/move/detail/sim_flows.hpp>
#include <barelink/move/detail/sim_lists.hpp>
#include <barelink/move/sim_faults.hpp>
#include <barelink/plan/detail/rates.hpp>
#include <barelink/plan/engines.hpp>
#include <barelink/plan/fair_share.hpp>

BARELINK_BEGIN_NAMESPACE
namespace sim::detail {

/// Discrete events and fluid flows. Deterministic: events of one moment run in the order in which they were made.
class engine {
public:
    engine(const machine& m, bool timing_only, bool tracing)
        : machine_(m), timing_only_(timing_only), tracing_(tracing), flows_(barelink::detail::slot_capacities(m)),
          bus_of_(m.links.size(), nothing), engine_busy_(engine_count(m), nothing), engine_queue_(engine_count(m)) {}

    std::deque<way> ways; ///< grows while flows point into it
    list_store lists;

    /// Something besides links that ways share.
    [[nodiscard]] std::uint32_t add_resource(double gb_s) { return flows_.add_resource(gb_s); }
    /// Adds to a way what a copy along `path` crosses and takes. `on_bus`: reads and writes of the host memory at its end take turns.
    void append(way& to, const dma_path& path, bool on_bus) {
        for (const link_direction hop : machine_.hops(path)) {
            const link& over = machine_.at(hop.link);
            const double gb_s = over.gb_s(hop.reverse), back_gb_s = over.gb_s(!hop.reverse);
            if (over.kind == link_kind::dram && on_bus) {
                std::uint32_t& bus = bus_of_[hop.link.value];
                if (bus == nothing) bus = add_resource(1.0);
                if (gb_s > 0) to.shared.push_back({bus, 1 / gb_s});
                if (gb_s < back_gb_s) to.weight = std::min(to.weight, gb_s / back_gb_s);
            } else if (const double bytes = lost_to(machine_, path, hop); bytes > 0 && over.kind != link_kind::dram) {
                to.lost.push_back({opposite(hop).slot(), bytes});
            }
            to.slots.push_back(hop.slot());
        }
    }

    [[nodiscard]] double now_us() const noexcept { return now_us_; }
    [[nodiscard]] const copy_trace& trace() const noexcept { return trace_; }
    [[nodiscard]] std::uint64_t races() const noexcept { return races_; }
    void clear_trace() noexcept { trace_.clear(); }

    [[nodiscard]] std::uint32_t add_stream() {
        streams_.emplace_back();
        return static_cast<std::uint32_t>(streams_.size() - 1);
    }
    [[nodiscard]] bool is_idle(std::uint32_t stream) const noexcept { return streams_[stream].queue_empty(); }

    void submit(std::uint32_t stream, operation op) {
        if (op.what == operation::kind::record || op.what == operation::kind::wait) ++recordings_[op.target].references;
        stream_state& s = streams_[stream];
        s.queue.push_back(op);
        if (s.head + 1 == s.queue.size()) schedule(op.submit_us, timed::progress, stream);
    }

    /// A new recording, referenced once by its event.
    [[nodiscard]] std::uint32_t add_recording() {
        if (free_recordings_.empty()) {
            recordings_.emplace_back();
            free_recordings_.push_back(static_cast<std::uint32_t>(recordings_.size() - 1));
        }
        const std::uint32_t r = free_recordings_.back();
        free_recordings_.pop_back();
        recordings_[r].done = recordings_[r].failed = false;
        recordings_[r].references = 1;
        return r;
    }
    void drop_recording(std::uint32_t r) {
        if (--recordings_[r].references == 0) free_recordings_.push_back(r);
    }
    [[nodiscard]] bool is_done(std::uint32_t r) const noexcept { return recordings_[r].done; }
    [[nodiscard]] bool has_failed(std::uint32_t r) const noexcept { return recordings_[r].failed; }
    [[nodiscard]] double done_us(std::uint32_t r) const noexcept { return recordings_[r].at_us; }

    /// Runs the server up to a moment.
    void run_to(double until_us) {
        while (step(until_us)) {
        }
        settle(until_us);
    }
    /// Runs until a recording is done. False when nothing is left that could bring it about.
    [[nodiscard]] bool run_until_done(std::uint32_t r) {
        while (!recordings_[r].done)
            if (!step(never)) return false;
        return true;
    }
    /// Copies by the host's threads, here and now: returns when they end. They share links with everything in flight. False
    /// when a dead link lets them never end.
    [[nodiscard]] bool host_copy(const way& by, const block* list, std::size_t count, const copy_record& tag) {
        host_flow_done_ = false;
        footprint touched;
        std::uint64_t bytes = 0;
        for (std::size_t i = 0; i < count; ++i) {
            touched.reads.add(list[i].from, list[i].bytes);
            touched.writes.add(list[i].to, list[i].bytes);
            bytes += list[i].bytes;
        }
        (void)note_races(touched);
        copy_record ran = tag;
        ran.start_us = now_us_;
        flows_.add(nothing, bytes, by);
        while (!host_flow_done_ && step(never)) {
        }
        flows_.remove_host_flows();
        if (!host_flow_done_) return false;
        for (std::size_t i = 0; i < count && !timing_only_; ++i) std::memcpy(list[i].to, list[i].from, list[i].bytes);
        ran.end_us = now_us_;
        ran.bytes = bytes;
        if (tracing_) trace_.push_back(ran);
        return true;
    }
    void schedule_fault(const link_fault& fault) {
        faults_.push_back(fault);
        schedule(fault.at_us, timed::fault, static_cast<std::uint32_t>(faults_.size() - 1));
    }

private:
    static constexpr double never = flow_table::never;

    struct stream_state {
        std::vector<operation> queue;
        std::size_t head = 0;
        bool running = false; ///< the head is a copy or kernel in progress, or waits for an engine or an event
        bool failed = false;
        double started_us = 0;
        double chained_us = 0; ///< a copy right behind a copy starts no sooner
        [[nodiscard]] bool queue_empty() const noexcept { return head == queue.size(); }
        [[nodiscard]] operation& front() noexcept { return queue[head]; }
        void pop() {
            if (++head == queue.size()) {
                queue.clear();
                head = 0;
            }
        }
    };
    struct recording {
        bool done = false;
        bool failed = false;
        double at_us = 0;
        std::uint32_t stream = nothing;
        std::uint32_t references = 0;
        std::vector<std::uint32_t> waiters;
    };
    struct timed {
        enum kind : std::uint8_t { progress, begin_flow, finish, fault };
        double us;
        std::uint64_t order;
        kind what;
        std::uint32_t which;
        friend bool operator<(const timed& a, const timed& b) noexcept {
            return a.us != b.us ? a.us > b.us : a.order > b.order;
        }
    };

    void schedule(double us, typename timed::kind what, std::uint32_t which) {
        heap_.push_back({us < now_us_ ? now_us_ : us, next_order_++, what, which});
        std::push_heap(heap_.begin(), heap_.end());
    }

    void settle(double us) {
        flows_.advance(us - now_us_);
        now_us_ = us;
    }

    /// Handles the next thing to happen, if it happens by `until_us`.
    bool step(double until_us) {
        const double timed_us = heap_.empty() ? never : heap_.front().us;
        std::size_t ending = 0;
        // While things are due at this very moment, no rate matters yet.
        const double flow_us = timed_us > now_us_ ? now_us_ + flows_.next_end(ending) : never;
        const double next_us = std::min(timed_us, flow_us);
        if (next_us > until_us || next_us >= never) return false;
        settle(next_us);
        if (flow_us <= timed_us) {
            end_flow(ending);
            return true;
        }
        const timed now = heap_.front();
        std::pop_heap(heap_.begin(), heap_.end());
        heap_.pop_back();
        switch (now.what) {
        case timed::progress: progress(now.which); break;
        case timed::begin_flow: begin_flow(now.which); break;
        case timed::finish: finish(now.which); break;
        case timed::fault: apply(faults_[now.which]); break;
        }
        return true;
    }

    /// Starts whatever the head of a stream allows to start.
    void progress(std::uint32_t index) {
        for (;;) {
            stream_state& s = streams_[index];
            if (s.queue_empty() || s.running) return;
            operation& op = s.front();
            if (op.submit_us > now_us_) return schedule(op.submit_us, timed::progress, index);
            if (s.failed && op.what != operation::kind::record && op.what != operation::kind::wait) {
                if (op.list != nothing) lists.drop(op.list);
                s.pop();
                continue;
            }
            switch (op.what) {
            case operation::kind::record: complete(op.target, index, s.failed); break;
            case operation::kind::wait: {
                recording& r = recordings_[op.target];
                if (!r.done) {
                    r.waiters.push_back(index);
                    return;
                }
                const double wakes_us = r.at_us + (r.stream == index ? 0 : machine_.costs.wake_us);
                if (wakes_us > now_us_) return schedule(wakes_us, timed::progress, index);
                s.failed |= r.failed;
                drop_recording(op.target);
                break;
            }
            case operation::kind::kernel:
                s.running = true;
                s.started_us = now_us_;
                return schedule(now_us_ + op.us, timed::finish, index);
            case operation::kind::blocks:
                s.running = true;
                op.list = lists.add(static_cast<const block*>(op.from), op.count);
                return start(index);
            case operation::kind::copy: {
                if (s.chained_us > now_us_) return schedule(s.chained_us, timed::progress, index);
                s.running = true;
                const std::uint32_t by = ways[op.target].engine;
                if (engine_busy_[by] != nothing)
                    engine_queue_[by].push_back(index);
                else
                    occupy(by, index);
                return;
            }
            }
            streams_[index].chained_us = 0;
            streams_[index].pop();
        }
    }

    void complete(std::uint32_t target, std::uint32_t stream, bool failed) {
        recording& r = recordings_[target];
        r.done = true;
        r.failed = failed;
        r.at_us = now_us_;
        r.stream = stream;
        for (const std::uint32_t waiter : r.waiters) schedule(now_us_, timed::progress, waiter);
        r.waiters.clear();
        drop_recording(target);
    }

    void occupy(std::uint32_t number, std::uint32_t stream) {
        engine_busy_[number] = stream;
        start(stream);
    }

    /// A copy that has its engine, or a kernel that needs none.
    void start(std::uint32_t stream) {
        stream_state& s = streams_[stream];
        operation& op = s.front();
        s.started_us = now_us_;
        const way& by = ways[op.target];
        bool dead = by.refused;
        for (const std::uint32_t slot : by.slots) dead |= flows_.capacity(slot) <= 0;
        if (dead) {
            s.failed = true;
            release_engine(by.engine);
            return schedule(now_us_, timed::finish, stream);
        }
        footprint touched;
        touched.stream = stream;
        each_block(op, [&](void* to, const void* from, std::uint64_t bytes) {
            touched.reads.add(from, bytes);
            touched.writes.add(to, bytes);
        });
        op.poisoned = note_races(touched);
        in_progress_.push_back(std::move(touched));
        if (!by.hangs) schedule(now_us_ + op.us, timed::begin_flow, stream);
    }

    template <class Touch>
    void each_block(const operation& op, Touch touch) const {
        if (op.list == nothing) return touch(op.to, op.from, op.bytes);
        for (const block& each : lists.at(op.list)) touch(each.to, each.from, each.bytes);
    }

    void begin_flow(std::uint32_t stream) {
        const operation& op = streams_[stream].front();
        flows_.add(stream, op.bytes, ways[op.target]);
    }

    void end_flow(std::size_t index) {
        const flow ended = flows_.remove(index);
        if (ended.stream == nothing) {
            host_flow_done_ = true;
            return;
        }
        deliver(streams_[ended.stream].front());
        forget_footprint(ended.stream);
        if (tracing_) {
            copy_record ran = streams_[ended.stream].front().tag;
            ran.bytes = streams_[ended.stream].front().bytes;
            ran.start_us = streams_[ended.stream].started_us;
            ran.end_us = now_us_;
            trace_.push_back(ran);
        }
        release_engine(ended.by->engine);
        schedule(now_us_ + ended.by->latency_us, timed::finish, ended.stream);
    }

    void deliver(const operation& op) const {
        if (timing_only_) return;
        each_block(op, [&](void* to, const void* from, std::uint64_t bytes) {
            if (op.poisoned)
                std::memset(to, 0xdb, bytes);
            else if (ways[op.target].zeros)
                std::memset(to, 0, bytes);
            else
                std::memcpy(to, from, bytes);
        });
    }
    void forget_footprint(std::uint32_t stream) {
        std::erase_if(in_progress_, [&](const footprint& f) { return f.stream == stream; });
    }

    void release_engine(std::uint32_t number) {
        if (number == nothing) return; // a kernel's
        engine_busy_[number] = nothing;
        auto& queue = engine_queue_[number];
        if (queue.empty()) return;
        const std::uint32_t next = queue.front();
        queue.erase(queue.begin());
        occupy(number, next);
    }

    void finish(std::uint32_t stream) {
        stream_state& s = streams_[stream];
        const operation op = s.front();
        s.running = false;
        if (op.list != nothing) lists.drop(op.list);
        s.chained_us = op.what == operation::kind::copy ? now_us_ + ways[op.target].chain_us : 0;
        s.pop();
        if (op.what == operation::kind::kernel && op.work && !timing_only_) op.work(op.to);
        progress(stream);
    }

    void apply(const link_fault& fault) {
        flows_.set_capacity(fault.where.slot(), fault.gb_s);
        if (fault.gb_s > 0) return;
        for (flow dying{}; flows_.remove_one_on(fault.where.slot(), dying);) {
            streams_[dying.stream].failed = true;
            forget_footprint(dying.stream);
            release_engine(dying.by->engine);
            schedule(now_us_, timed::finish, dying.stream);
        }
    }

    /// Two copies in flight whose bytes overlap, one of them writing: an event is missing somewhere. The later one
    /// delivers garbage, so that no test can pass by luck.
    [[nodiscard]] bool note_races(footprint& touched) {
        touched.reads.settle();
        touched.writes.settle();
        bool raced = false;
        for (const footprint& other : in_progress_) raced |= other.stream != touched.stream && touched.races(other);
        races_ += raced ? 1 : 0;
        return raced;
    }

    const machine& machine_;
    bool timing_only_, tracing_;
    double now_us_ = 0;
    flow_table flows_;
    std::vector<std::uint32_t> bus_of_; ///< per DRAM link, the resource that reading and writing share
    bool host_flow_done_ = false;
    std::uint64_t next_order_ = 0, races_ = 0;
    std::vector<stream_state> streams_;
    std::vector<recording> recordings_;
    std::vector<std::uint32_t> free_recordings_;
    std::vector<std::uint32_t> engine_busy_;
    std::vector<std::vector<std::uint32_t>> engine_queue_;
    std::vector<footprint> in_progress_; ///< of the copies that have begun and not ended
    std::vector<timed> heap_;
    std::vector<link_fault> faults_;
    copy_trace trace_;
};

} // namespace sim::detail
BARELINK_END_NAMESPACE
