#include "captures.hpp"

#include "work.hpp"

namespace simcuda {

cudaError_t forbid_while_capturing(process& p) {
    const thread_state& me = this_thread();
    if (me.mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
    cudaError_t code = cudaSuccess;
    for (const auto& each : p.captures) {
        const bool mine = each->thread == me.number && each->mode != cudaStreamCaptureModeRelaxed;
        const bool global = each->mode == cudaStreamCaptureModeGlobal && me.mode == cudaStreamCaptureModeGlobal;
        if (mine || global) code = spoil(*each, cudaErrorStreamCaptureUnsupported);
    }
    return code;
}

cudaError_t add_node(process&, CUstream_st& stream, cudaGraphNodeType type, const command& work) {
    capture& c = *stream.capturing;
    if (c.invalid) return cudaErrorStreamCaptureInvalidated;
    c.graph->nodes.push_back({c.graph->nodes.size(), type, stream.device, work, stream.tail});
    stream.tail.assign(1, &c.graph->nodes.back());
    return cudaSuccess;
}

std::unique_ptr<CUgraph_st> close(process& p, capture& c) {
    for (CUstream_st* each : streams_of(p, -1)) {
        if (each->capturing != &c) continue;
        each->capturing = nullptr;
        each->tail.clear();
    }
    auto graph = std::move(c.graph);
    p.captures.remove_if([&](const std::unique_ptr<capture>& each) { return each.get() == &c; });
    return graph;
}

capture* find_capture(process& p, std::uint64_t number) {
    for (const auto& each : p.captures)
        if (each->number == number) return each.get();
    return nullptr;
}

} // namespace simcuda
