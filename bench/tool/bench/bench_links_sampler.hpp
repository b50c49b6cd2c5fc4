// Times copies that run together: all submitted behind a gate, started together, each stream timed by its own GPU's events.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "bench_links_gate.hpp"

namespace tool {

/// Copies from one place to another, one after the other in a stream of `issuer`.
struct link_flow {
    barelink::region from, to;
    barelink::node_index issuer = barelink::no_node;
    unsigned times = 1;  ///< copies for each one that the sample asks for: traffic that is to outlast what is timed
    bool staged = false; ///< between GPUs without peer access
};

struct link_sample {
    std::vector<double> us; ///< of every flow, from its begin to its end, by its GPU
    double all_us = 0;      ///< from the begin of the first flow to the end of the last one, by the first one's GPU
    std::vector<std::vector<double>> done_us; ///< of every flow, when each copy was done, from its begin on
};

/// All flows begin when the first one does, after every flow's warm-up. Events resolve 0.5 us; a GPU hears of another's event
/// some microseconds later. Borrows what it is given.
class links_sampler {
public:
    links_sampler(barelink::cuda::runtime& on, links_gate& gate) : on_(on), gate_(gate) {}
    links_sampler(const links_sampler&) = delete;
    links_sampler& operator=(const links_sampler&) = delete;
    ~links_sampler() {
        for (auto& [place, known] : lanes_) {
            for (const barelink::cuda::event& each : known->marks) (void)on_.destroy(each);
            for (const barelink::cuda::event& each : {known->begin, known->end, known->all, known->warm})
                if (each.handle) (void)on_.destroy(each);
            (void)on_.destroy(known->stream);
        }
    }

    /// `copies` of `bytes` in every flow, through different parts of its buffers. Blocks until they are done.
    /// Throws what CUDA answers; device when the gate gave up.
    [[nodiscard]] link_sample take(const std::vector<link_flow>& flows, std::uint64_t bytes, unsigned copies,
                                   unsigned warm_up, bool gated, bool with_marks = false) {
        std::vector<lane*> in;
        std::map<barelink::node_index, unsigned> used;
        in.reserve(flows.size());
        for (const link_flow& each : flows) in.push_back(&lane_of(each.issuer, used[each.issuer]++));
        for (std::size_t i = 0; with_marks && i < flows.size(); ++i)
            while (in[i]->marks.size() < copies * flows[i].times)
                in[i]->marks.push_back(on_.make_event(flows[i].issuer, true).value());
        if (gated) gate_.close();
        try {
            submit(flows, in, bytes, copies, warm_up, gated, with_marks);
        } catch (...) {
            gate_release(gated);
            for (const lane* each : in) (void)cudaStreamSynchronize(each->stream.handle);
            throw;
        }
        gate_release(gated);
        for (const lane* each : in)
            barelink::cuda::check(cudaStreamSynchronize(each->stream.handle), "waiting for the copies").value();
        if (gated && gate_.gave_up()) {
            gate_.retire("it waited in vain once");
            barelink::detail::raise(barelink::error(
                barelink::errc::device, "submitting took longer than the spin kernel waits: the times mean nothing"));
        }
        return read(flows, in, copies, with_marks);
    }

private:
    struct lane {
        barelink::cuda::stream stream;
        int device = -1;
        barelink::cuda::event begin, end, all, warm;
        std::vector<barelink::cuda::event> marks;
    };

    [[nodiscard]] lane& lane_of(barelink::node_index gpu, unsigned number) {
        auto& known = lanes_[{gpu, number}];
        if (known) return *known;
        auto made = std::make_unique<lane>();
        made->device = on_.device_of(gpu);
        made->stream = on_.make_stream(gpu).value();
        known = std::move(made); // from here on the destructor sees to it
        known->begin = on_.make_event(gpu, true).value();
        known->end = on_.make_event(gpu, true).value();
        known->all = on_.make_event(gpu, true).value();
        known->warm = on_.make_event(gpu, false).value();
        return *known;
    }
    void gate_release(bool gated) noexcept {
        if (gated) gate_.open();
    }
    void copy(const link_flow& flow, const lane& in, std::uint64_t bytes, std::uint64_t number) const {
        const std::uint64_t offset = number % std::max<std::uint64_t>(flow.from.bytes / bytes, 1) * bytes;
        void* const to = static_cast<char*>(flow.to.base) + offset;
        const void* const from = static_cast<const char*>(flow.from.base) + offset;
        const cudaError_t code = flow.staged
                                     ? cudaMemcpyPeerAsync(to, on_.device_of(flow.to.where.node), from,
                                                           on_.device_of(flow.from.where.node), bytes, in.stream.handle)
                                     : cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, in.stream.handle);
        barelink::cuda::check(code, flow.staged ? "cudaMemcpyPeerAsync" : "cudaMemcpyAsync", in.device).value();
    }
    /// Flows in turn, so that without a gate they run together as well.
    void submit(const std::vector<link_flow>& flows, const std::vector<lane*>& in, std::uint64_t bytes, unsigned copies,
                unsigned warm_up, bool gated, bool with_marks) {
        for (std::size_t i = 0; i < flows.size(); ++i) {
            if (gated) {
                const barelink::cuda::detail::device_scope scope(in[i]->device);
                barelink::cuda::check(gate_.hold(in[i]->stream.handle), "launching the spin kernel", in[i]->device)
                    .value();
            }
            for (unsigned n = 0; n < warm_up; ++n) copy(flows[i], *in[i], bytes, n);
            if (i == 0) continue;
            on_.record(in[i]->warm, in[i]->stream).value();
            on_.wait(in[0]->stream, in[i]->warm).value();
        }
        on_.record(in[0]->begin, in[0]->stream).value();
        unsigned most = 0;
        for (std::size_t i = 0; i < flows.size(); ++i) {
            most = std::max(most, copies * flows[i].times);
            if (i == 0) continue;
            on_.wait(in[i]->stream, in[0]->begin).value();
            on_.record(in[i]->begin, in[i]->stream).value();
        }
        for (unsigned n = 0; n < most; ++n)
            for (std::size_t i = 0; i < flows.size(); ++i) {
                if (n >= copies * flows[i].times) continue;
                copy(flows[i], *in[i], bytes, n);
                if (with_marks) on_.record(in[i]->marks[n], in[i]->stream).value();
            }
        for (std::size_t i = 0; i < flows.size(); ++i) {
            on_.record(in[i]->end, in[i]->stream).value();
            if (i > 0) on_.wait(in[0]->stream, in[i]->end).value();
        }
        on_.record(in[0]->all, in[0]->stream).value();
    }
    [[nodiscard]] link_sample read(const std::vector<link_flow>& flows, const std::vector<lane*>& in, unsigned copies,
                                   bool with_marks) {
        link_sample found;
        for (std::size_t i = 0; i < flows.size(); ++i) {
            found.us.push_back(on_.elapsed_us(in[i]->begin, in[i]->end).value());
            if (!with_marks) continue;
            found.done_us.emplace_back();
            for (unsigned n = 0; n < copies * flows[i].times; ++n)
                found.done_us.back().push_back(on_.elapsed_us(in[i]->begin, in[i]->marks[n]).value());
        }
        found.all_us = on_.elapsed_us(in[0]->begin, in[0]->all).value();
        return found;
    }

    barelink::cuda::runtime& on_;
    links_gate& gate_;
    std::map<std::pair<barelink::node_index, unsigned>, std::unique_ptr<lane>> lanes_;
};

} // namespace tool
