// Graphs: captured work laid out on streams of the simulator, to be launched any number of times.
#include "captures.hpp"
#include "work.hpp"

namespace simcuda {
namespace {

/// Chains of nodes become lanes: a node goes on the lane whose last node it comes after, else on one of its own.
cudaError_t lay_out(process& p, const CUgraph_st& graph, CUgraphExec_st& exec) {
    std::vector<std::size_t> last; ///< per lane, its last step
    for (const CUgraphNode_st& node : graph.nodes) {
        CUgraphExec_st::step made{node, exec.lanes.size(), {}, {}};
        for (std::size_t lane = 0; lane < exec.lanes.size() && made.lane == exec.lanes.size(); ++lane)
            for (const cudaGraphNode_t before : node.after)
                if (before->number == last[lane] && exec.lanes[lane].device == node.device) made.lane = lane;
        if (made.lane == exec.lanes.size()) {
            const auto stream = p.server.make_stream(p.gpu(node.device));
            if (!stream) return code_of(stream.error());
            const auto end = p.server.make_event(p.gpu(node.device));
            if (!end) return code_of(end.error());
            exec.lanes.push_back({node.device, *stream, *end});
            last.push_back(0);
        }
        last[made.lane] = exec.steps.size();
        for (const cudaGraphNode_t before : node.after)
            if (exec.steps[before->number].lane != made.lane) made.waits.push_back(before->number);
        const auto done = p.server.make_event(p.gpu(node.device));
        if (!done) return code_of(done.error());
        made.done = *done;
        exec.steps.push_back(std::move(made));
    }
    for (sim::event* each : {&exec.start, &exec.end}) {
        const auto event = p.server.make_event(p.gpu(0));
        if (!event) return code_of(event.error());
        *each = *event;
    }
    return cudaSuccess;
}

cudaError_t instantiate(process& p, cudaGraphExec_t* out, cudaGraph_t graph) {
    const auto found = p.graphs.find(graph);
    if (!out || found == p.graphs.end()) return cudaErrorInvalidValue;
    auto made = std::make_unique<CUgraphExec_st>();
    if (const cudaError_t code = lay_out(p, *found->second, *made); code != cudaSuccess) return code;
    *out = made.get();
    p.execs.emplace(*out, std::move(made));
    return cudaSuccess;
}

/// The lanes start after the stream's work and after the launch before; the stream goes on when all of them are through.
cudaError_t replay(process& p, CUgraphExec_st& exec, sim::stream on) {
    const uncharged free_of_cost(p);
    if (exec.launched)
        if (const cudaError_t code = code_of(p.server.wait(on, exec.end)); code != cudaSuccess) return code;
    if (const cudaError_t code = code_of(p.server.record(exec.start, on)); code != cudaSuccess) return code;
    for (CUgraphExec_st::lane& lane : exec.lanes)
        if (const cudaError_t code = code_of(p.server.wait(lane.stream, exec.start)); code != cudaSuccess) return code;
    for (CUgraphExec_st::step& step : exec.steps) {
        const sim::stream lane = exec.lanes[step.lane].stream;
        for (const std::size_t before : step.waits)
            if (const cudaError_t code = code_of(p.server.wait(lane, exec.steps[before].done)); code != cudaSuccess)
                return code;
        if (const cudaError_t code = step.node.work(p, lane); code != cudaSuccess) return code;
        if (const cudaError_t code = code_of(p.server.record(step.done, lane)); code != cudaSuccess) return code;
    }
    for (CUgraphExec_st::lane& lane : exec.lanes) {
        if (const cudaError_t code = code_of(p.server.record(lane.end, lane.stream)); code != cudaSuccess) return code;
        if (const cudaError_t code = code_of(p.server.wait(on, lane.end)); code != cudaSuccess) return code;
    }
    exec.launched = true;
    return code_of(p.server.record(exec.end, on));
}

cudaError_t launch(process& p, cudaGraphExec_t handle, cudaStream_t on) {
    const auto found = p.execs.find(handle);
    if (found == p.execs.end()) return cudaErrorInvalidValue;
    CUstream_st* stream = find_stream(p, on);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (stream->capturing) return spoil(*stream->capturing, cudaErrorStreamCaptureUnsupported);
    if (const cudaError_t code = order_with_legacy(p, *stream); code != cudaSuccess) return code;
    p.server.spend(p.server.topology().costs.submit_us);
    return replay(p, *found->second, stream->lane);
}

} // namespace
} // namespace simcuda

using simcuda::call;
using simcuda::process;

extern "C" {

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
    return call(__func__, [&](process& p) { return simcuda::instantiate(p, out, graph); });
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
    return call(__func__, [&](process& p) { return simcuda::instantiate(p, out, graph); });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
    return call(__func__, [&](process& p) { return simcuda::launch(p, graph, stream); });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    return call(__func__, [&](process& p) { return p.graphs.erase(graph) ? cudaSuccess : cudaErrorInvalidValue; });
}
/// A launch in progress goes on.
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
    return call(__func__, [&](process& p) { return p.execs.erase(graph) ? cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
    return call(__func__, [&](process& p) {
        const auto found = p.graphs.find(graph);
        if (!count || found == p.graphs.end()) return cudaErrorInvalidValue;
        auto& all = found->second->nodes;
        if (!nodes) {
            *count = all.size();
            return cudaSuccess;
        }
        for (std::size_t n = 0; n < *count; ++n) nodes[n] = n < all.size() ? &all[n] : nullptr;
        if (*count > all.size()) *count = all.size();
        return cudaSuccess;
    });
}
cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
    return call(__func__, [&](process&) {
        if (!node || !type) return cudaErrorInvalidValue;
        *type = node->type;
        return cudaSuccess;
    });
}

} // extern "C"
