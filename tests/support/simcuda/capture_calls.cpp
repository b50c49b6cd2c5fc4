// Beginning, ending and asking for captures.
#include "captures.hpp"
#include "work.hpp"

namespace simcuda {
namespace {

cudaError_t begin(process& p, CUstream_st& stream, cudaStreamCaptureMode mode) {
    if (mode < cudaStreamCaptureModeGlobal || mode > cudaStreamCaptureModeRelaxed) return cudaErrorInvalidValue;
    if (stream.legacy) return cudaErrorStreamCaptureUnsupported;
    if (stream.capturing) return spoil(*stream.capturing, cudaErrorIllegalState);
    auto made = std::make_unique<capture>();
    made->number = p.next_id++;
    made->mode = mode;
    made->thread = this_thread().number;
    made->origin = &stream;
    made->graph = std::make_unique<CUgraph_st>();
    stream.capturing = made.get();
    stream.tail.clear();
    p.captures.push_back(std::move(made));
    return cudaSuccess;
}

/// What the nodes in `tails` come after, themselves included.
std::vector<bool> reached_from(const CUgraph_st& graph, const std::vector<cudaGraphNode_t>& tails) {
    std::vector<bool> reached(graph.nodes.size(), false);
    for (const cudaGraphNode_t each : tails) reached[each->number] = true;
    for (std::size_t n = graph.nodes.size(); n-- > 0;)
        if (reached[n])
            for (const cudaGraphNode_t each : graph.nodes[n].after) reached[each->number] = true;
    return reached;
}

bool unjoined(process& p, const capture& c, const CUstream_st& origin) {
    const std::vector<bool> joined = reached_from(*c.graph, origin.tail);
    for (const CUstream_st* each : streams_of(p, -1)) {
        if (each->capturing != &c) continue;
        for (const cudaGraphNode_t node : each->tail)
            if (!joined[node->number]) return true;
    }
    return false;
}

cudaError_t end(process& p, CUstream_st& stream, cudaGraph_t* out) {
    if (!out) return cudaErrorInvalidValue;
    *out = nullptr;
    if (!stream.capturing) return cudaErrorIllegalState;
    capture& c = *stream.capturing;
    if (c.origin != &stream) return spoil(c, cudaErrorStreamCaptureUnmatched);
    if (c.mode != cudaStreamCaptureModeRelaxed && c.thread != this_thread().number)
        return spoil(c, cudaErrorStreamCaptureWrongThread);
    const bool invalid = c.invalid, forked = !invalid && unjoined(p, c, stream);
    auto graph = close(p, c);
    if (invalid) return cudaErrorStreamCaptureInvalidated;
    if (forked) return cudaErrorStreamCaptureUnjoined;
    *out = graph.get();
    p.graphs.emplace(*out, std::move(graph));
    return cudaSuccess;
}

/// Asking for the NULL stream while a blocking stream captures is an error of its own.
cudaError_t may_be_asked(process& p, const CUstream_st& stream) {
    if (!stream.legacy) return cudaSuccess;
    for (const CUstream_st* each : streams_of(p, stream.device))
        if (each->capturing && each->blocking()) return cudaErrorStreamCaptureImplicit;
    return cudaSuccess;
}

cudaStreamCaptureStatus status_of(const CUstream_st& stream) {
    if (!stream.capturing) return cudaStreamCaptureStatusNone;
    return stream.capturing->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
}

struct capture_info {
    unsigned long long* id;
    cudaGraph_t* graph;
    const cudaGraphNode_t** after;
    std::size_t* count;
};

cudaError_t inform(process& p, cudaStream_t handle, cudaStreamCaptureStatus* status, const capture_info& to) {
    CUstream_st* stream = find_stream(p, handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (!status) return cudaErrorInvalidValue;
    if (const cudaError_t code = may_be_asked(p, *stream); code != cudaSuccess) return code;
    *status = status_of(*stream);
    if (*status != cudaStreamCaptureStatusActive) return cudaSuccess;
    if (to.id) *to.id = stream->capturing->number;
    if (to.graph) *to.graph = stream->capturing->graph.get();
    if (to.after) *to.after = stream->tail.data();
    if (to.count) *to.count = stream->tail.size();
    return cudaSuccess;
}

} // namespace
} // namespace simcuda

using simcuda::call;
using simcuda::process;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
    return call(__func__, [&](process& p) {
        CUstream_st* stream = simcuda::find_stream(p, handle);
        return stream ? simcuda::begin(p, *stream, mode) : cudaErrorInvalidResourceHandle;
    });
}
cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* out) {
    return call(__func__, [&](process& p) {
        CUstream_st* stream = simcuda::find_stream(p, handle);
        return stream ? simcuda::end(p, *stream, out) : cudaErrorInvalidResourceHandle;
    });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
    return call(__func__, [&](process& p) { return simcuda::inform(p, handle, status, {}); });
}
#if CUDART_VERSION >= 13000
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t handle, cudaStreamCaptureStatus* status, unsigned long long* id,
                                     cudaGraph_t* graph, const cudaGraphNode_t** after, const cudaGraphEdgeData** edges,
                                     std::size_t* count) {
    return call(__func__, [&](process& p) {
        if (edges && !after) return cudaErrorInvalidValue;
        if (edges) *edges = nullptr;
        return simcuda::inform(p, handle, status, {id, graph, after, count});
    });
}
#else
cudaError_t cudaStreamGetCaptureInfo_v2(cudaStream_t handle, cudaStreamCaptureStatus* status, unsigned long long* id,
                                        cudaGraph_t* graph, const cudaGraphNode_t** after, std::size_t* count) {
    return call(__func__, [&](process& p) { return simcuda::inform(p, handle, status, {id, graph, after, count}); });
}
#endif

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
    return call(__func__, [&](process&) {
        if (!mode || *mode < cudaStreamCaptureModeGlobal || *mode > cudaStreamCaptureModeRelaxed)
            return cudaErrorInvalidValue;
        std::swap(*mode, simcuda::this_thread().mode);
        return cudaSuccess;
    });
}

} // extern "C"
