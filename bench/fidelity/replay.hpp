// The copies of the published tools, made on the simulated server.
#pragma once

#include <algorithm>
#include <vector>

#include <barelink/move/sim_runtime.hpp>

#include "questions.hpp"

namespace fidelity {

/// What sim::runtime says to a question: GB/s, or microseconds for latencies. The copies are those of the tools:
///
///  * nvbandwidth: 16 copies a stream behind a gate, so that submitting costs nothing; of both ways at once the other way
///    runs for longer and is not counted; of all GPUs at once each GPU counts for itself
///  * p2pBandwidthLatencyTest: 5 copies behind a gate, 100 for latency; both ways at once counts both
///  * bandwidthTest: copies in one stream, no gate; pageable memory as the driver moves it, one thread and two pinned buffers
class replay {
public:
    explicit replay(const barelink::machine& m) : on_(m, {.timing_only = true}) {}

    /// Errors: not_found for GPUs or memories that the machine lacks; those of the runtime.
    barelink::result<double> answer(const question& q);

private:
    using stream = barelink::sim::stream;
    using event = barelink::sim::event;

    /// Copies in one stream: `copies` of `bytes`, one after the other.
    struct flow {
        barelink::node_index from, to, issuer;
        std::uint64_t bytes;
        int copies;
        double start_us = 0, end_us = 0;
        [[nodiscard]] double gb_s() const noexcept {
            return static_cast<double>(bytes) * copies / ((end_us - start_us) * 1e3);
        }
    };

    [[nodiscard]] const barelink::machine& machine() const noexcept { return on_.topology(); }
    void run(std::vector<flow>& flows, bool gated);
    double run_one(const flow& one, bool gated) {
        std::vector<flow> flows{one};
        run(flows, gated);
        return flows[0].gb_s();
    }
    /// First start to last end, everything counted.
    [[nodiscard]] static double together_gb_s(const std::vector<flow>& flows) {
        double start = flows[0].start_us, end = 0, bytes = 0;
        for (const flow& f : flows) {
            start = std::min(start, f.start_us);
            end = std::max(end, f.end_us);
            bytes += static_cast<double>(f.bytes) * f.copies;
        }
        return bytes / ((end - start) * 1e3);
    }
    [[nodiscard]] flow host_flow(const question& q, barelink::node_index gpu, bool to_device, int copies) const {
        const auto near =
            q.memory >= 0 ? machine().memory(barelink::numa_id{q.memory}) : machine().memory(machine().at(gpu).numa);
        return to_device ? flow{near, gpu, gpu, q.bytes, copies} : flow{gpu, near, gpu, q.bytes, copies};
    }
    double pageable(const question& q, barelink::node_index gpu);
    double submission_us(const question& q, barelink::node_index from, barelink::node_index to);

    /// A direction that is not counted runs until the counted one is done, whichever is slower.
    static constexpr int interference = 8;
    barelink::sim::runtime on_;
};

inline barelink::result<double> replay::answer(const question& q) {
    using namespace barelink;
    const node_index gpu = machine().gpu(gpu_id{q.gpu}), peer = machine().gpu(gpu_id{q.peer});
    const bool pairs = q.what == kind::pair || q.what == kind::pair_both || q.what == kind::staged ||
                       q.what == kind::staged_both || q.what == kind::latency || q.what == kind::staged_latency ||
                       q.what == kind::submission;
    if (gpu == no_node || (pairs && (peer == no_node || peer == gpu)) ||
        (q.memory >= 0 && machine().memory(numa_id{q.memory}) == no_node))
        return error(errc::not_found, "the machine has no such GPU or memory");
    if (q.what == kind::staged || q.what == kind::staged_both || q.what == kind::staged_latency) on_.require_access();

    switch (q.what) {
    case kind::host:
    case kind::host_far: return run_one(host_flow(q, gpu, q.to_device, q.copies), true);
    case kind::curve: return run_one(host_flow(q, gpu, q.to_device, q.copies), false);
    case kind::pageable: return pageable(q, gpu);
    case kind::host_both: {
        std::vector<flow> flows{host_flow(q, gpu, q.to_device, q.copies),
                                host_flow(q, gpu, !q.to_device, q.copies * interference)};
        run(flows, true);
        if (!q.sum) return flows[0].gb_s();
        std::vector<flow> back{host_flow(q, gpu, !q.to_device, q.copies),
                               host_flow(q, gpu, q.to_device, q.copies * interference)};
        run(back, true);
        return flows[0].gb_s() + back[0].gb_s();
    }
    case kind::host_all:
    case kind::host_all_both: {
        std::vector<flow> flows;
        std::size_t mine = 0;
        for (const node_index each : machine().all(node_kind::gpu)) {
            if (each == gpu) mine = flows.size();
            flows.push_back(host_flow(q, each, q.to_device, q.copies));
        }
        if (q.what == kind::host_all_both)
            for (const node_index each : machine().all(node_kind::gpu))
                flows.push_back(host_flow(q, each, !q.to_device, q.copies * interference));
        run(flows, true);
        return flows[mine].gb_s();
    }
    case kind::pair:
    case kind::staged: return run_one({gpu, peer, q.pulled ? peer : gpu, q.bytes, q.copies}, true);
    case kind::pair_both:
    case kind::staged_both: {
        std::vector<flow> flows{
            {gpu, peer, q.pulled ? peer : gpu, q.bytes, q.copies},
            {peer, gpu, q.pulled ? gpu : peer, q.bytes, q.sum ? q.copies : q.copies * interference}};
        run(flows, true);
        return q.sum ? together_gb_s(flows) : flows[0].gb_s();
    }
    case kind::one_and_all: {
        std::vector<flow> flows;
        for (const node_index each : machine().all(node_kind::gpu)) {
            if (each == gpu) continue;
            const node_index from = q.to_device ? each : gpu, to = q.to_device ? gpu : each;
            flows.push_back({from, to, q.pulled ? to : from, q.bytes, q.copies});
        }
        run(flows, true);
        return together_gb_s(flows);
    }
    case kind::latency:
    case kind::staged_latency: {
        std::vector<flow> flows{{gpu, peer, q.pulled ? peer : gpu, q.bytes, q.copies}};
        run(flows, true);
        return (flows[0].end_us - flows[0].start_us) / q.copies;
    }
    case kind::submission: return submission_us(q, gpu, peer);
    }
    return error(errc::unsupported, "no such question");
}

inline void replay::run(std::vector<flow>& flows, bool gated) {
    struct lane {
        stream s;
        event start, end;
        char *from, *to;
    };
    std::vector<lane> lanes;
    int copies = 0;
    for (const flow& f : flows) {
        lanes.push_back({on_.make_stream(f.issuer).value(), on_.make_event(f.issuer).value(),
                         on_.make_event(f.issuer).value(), static_cast<char*>(on_.allocate(f.from, f.bytes).value()),
                         static_cast<char*>(on_.allocate(f.to, f.bytes).value())});
        copies += f.copies;
    }
    if (gated) { // a kernel that holds all streams until everything is submitted
        const auto gate = on_.make_event(flows[0].issuer).value();
        const auto keeper = on_.make_stream(flows[0].issuer).value();
        on_.launch(keeper, 100.0 + 5.0 * copies);
        on_.record(gate, keeper).value();
        for (const lane& l : lanes) on_.wait(l.s, gate).value();
    }
    const double before_us = on_.now_us();
    for (const lane& l : lanes) on_.record(l.start, l.s).value();
    for (int round = 0; round < copies; ++round) // in turn: no stream is a long way ahead
        for (std::size_t f = 0; f < flows.size(); ++f) {
            if (round < flows[f].copies) on_.copy(lanes[f].to, lanes[f].from, flows[f].bytes, lanes[f].s).value();
            if (round + 1 == flows[f].copies) on_.record(lanes[f].end, lanes[f].s).value();
        }
    for (std::size_t f = 0; f < flows.size(); ++f) {
        on_.synchronize(lanes[f].end).value();
        flows[f].start_us = before_us + on_.elapsed_us(lanes[0].start, lanes[f].start).value();
        flows[f].end_us = flows[f].start_us + on_.elapsed_us(lanes[f].start, lanes[f].end).value();
    }
    for (const lane& l : lanes) {
        on_.release(l.from).value();
        on_.release(l.to).value();
    }
}

inline double replay::pageable(const question& q, barelink::node_index gpu) {
    using namespace barelink;
    const node_index near = machine().memory(machine().at(gpu).numa);
    const auto piece = static_cast<std::uint64_t>(machine().costs.driver_staging_bytes);
    const auto s = on_.make_stream(gpu).value();
    char* const source = static_cast<char*>(on_.allocate_pageable(near, q.bytes).value());
    char* const device = static_cast<char*>(on_.allocate(gpu, q.bytes).value());
    struct half {
        char* bytes;
        event free;
        bool used;
    } halves[2];
    for (half& each : halves)
        each = {static_cast<char*>(on_.allocate(near, piece).value()), on_.make_event(gpu).value(), false};
    const double start = on_.now_us();
    std::uint64_t number = 0;
    for (int copy = 0; copy < q.copies; ++copy) {
        std::uint64_t drained = 0, drained_number = number; // to the host: one piece is fetched ahead
        for (std::uint64_t at = 0; at < q.bytes; at += piece, ++number) {
            const std::uint64_t bytes = std::min(piece, q.bytes - at);
            half& h = halves[number % 2];
            if (q.to_device) {
                if (h.used) on_.synchronize(h.free).value();
                on_.host_copy(h.bytes, source + at, bytes, near).value();
                on_.copy(device + at, h.bytes, bytes, s).value();
                on_.record(h.free, s).value();
                h.used = true;
                continue;
            }
            on_.copy(h.bytes, device + at, bytes, s).value();
            on_.record(h.free, s).value();
            if (number == drained_number) continue;
            half& before = halves[drained_number++ % 2];
            on_.synchronize(before.free).value();
            on_.host_copy(source + drained, before.bytes, piece, near).value();
            drained += piece;
        }
        if (!q.to_device) {
            half& last = halves[drained_number % 2];
            on_.synchronize(last.free).value();
            on_.host_copy(source + drained, last.bytes, q.bytes - drained, near).value();
        }
    }
    if (q.to_device)
        for (const half& each : halves)
            if (each.used) on_.synchronize(each.free).value();
    return static_cast<double>(q.bytes) * q.copies / ((on_.now_us() - start) * 1e3);
}

inline double replay::submission_us(const question& q, barelink::node_index from, barelink::node_index to) {
    const auto s = on_.make_stream(q.pulled ? to : from).value();
    void* const source = on_.allocate(from, q.bytes).value();
    void* const target = on_.allocate(to, q.bytes).value();
    on_.launch(s, 1e5); // nothing starts while the calls are timed
    const double before_us = on_.now_us();
    for (int i = 0; i < q.copies; ++i) on_.copy(target, source, q.bytes, s).value();
    return (on_.now_us() - before_us) / q.copies;
}

} // namespace fidelity
