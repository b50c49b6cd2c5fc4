// Work captured into a CUDA graph, to be launched again and again.
#pragma once

#include <cstddef>

#include <cuda_runtime_api.h>

#include <support/catch.hpp>

namespace test {

/// What a stream is given while `work` runs, as a graph that is ready to be launched.
class graph {
public:
    template <class Work>
    graph(cudaStream_t stream, Work work) {
        REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
        work();
        cudaGraph_t made = nullptr;
        REQUIRE(cudaStreamEndCapture(stream, &made) == cudaSuccess);
        REQUIRE(cudaGraphGetNodes(made, nullptr, &nodes_) == cudaSuccess);
        REQUIRE(cudaGraphInstantiate(&ready_, made, 0) == cudaSuccess);
        REQUIRE(cudaGraphDestroy(made) == cudaSuccess);
    }
    graph(const graph&) = delete;
    graph& operator=(const graph&) = delete;
    ~graph() { (void)cudaGraphExecDestroy(ready_); }

    void start(cudaStream_t in) const { REQUIRE(cudaGraphLaunch(ready_, in) == cudaSuccess); }
    void run(cudaStream_t in) const {
        start(in);
        REQUIRE(cudaStreamSynchronize(in) == cudaSuccess);
    }
    /// Commands in it.
    [[nodiscard]] std::size_t nodes() const { return nodes_; }

private:
    cudaGraphExec_t ready_ = nullptr;
    std::size_t nodes_ = 0;
};

} // namespace test
