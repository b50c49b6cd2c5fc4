// What stands behind CUDA's opaque handles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "cuda_api.hpp"

#include <barelink/move/sim_runtime.hpp>

namespace simcuda {

namespace sim = barelink::sim;

struct process;
struct capture;

/// Work for a stream: it is enqueued on a lane, a stream of the simulator, now or each time a graph is launched.
using command = std::function<cudaError_t(process&, sim::stream lane)>;

} // namespace simcuda

struct CUgraphNode_st {
    std::size_t number; ///< position in its graph
    cudaGraphNodeType type;
    int device;
    simcuda::command work;
    std::vector<cudaGraphNode_t> after;
};

struct CUgraph_st {
    std::deque<CUgraphNode_st> nodes; ///< handles point into it
};

struct CUgraphExec_st {
    /// A chain of nodes of one device.
    struct lane {
        int device;
        simcuda::sim::stream stream;
        simcuda::sim::event end;
    };
    struct step {
        CUgraphNode_st node;
        std::size_t lane;
        simcuda::sim::event done;
        std::vector<std::size_t> waits; ///< steps of other lanes
    };
    std::vector<lane> lanes;
    std::vector<step> steps;
    simcuda::sim::event start, end;
    bool launched = false;
};

struct CUstream_st {
    int device;
    unsigned flags;
    int priority;
    unsigned long long id;
    bool legacy; ///< the device's NULL stream
    simcuda::sim::stream lane;
    simcuda::sim::event mark; ///< recorded for whoever waits for the whole stream
    simcuda::capture* capturing = nullptr;
    std::vector<cudaGraphNode_t> tail; ///< what the next captured node comes after

    [[nodiscard]] bool blocking() const noexcept { return (flags & cudaStreamNonBlocking) == 0; }
};

struct CUevent_st {
    int device;
    unsigned flags;
    simcuda::sim::event recording;
    bool recorded = false;
    std::uint64_t captured_in = 0; ///< number of the capture that it was last recorded in, 0 for none
    std::vector<cudaGraphNode_t> after;
};

namespace simcuda {

/// One capture sequence, from cudaStreamBeginCapture to cudaStreamEndCapture.
struct capture {
    std::uint64_t number;
    cudaStreamCaptureMode mode;
    int thread;
    cudaStream_t origin;
    std::unique_ptr<CUgraph_st> graph;
    bool invalid = false;
};

} // namespace simcuda
