// On a server whose GPU shares the CPU's page tables. A process of its own when run by file: the drop-in functions keep their
// server.
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/memcpy.hpp>

#include <support/catch.hpp>
#include <support/patterned_bytes.hpp>
#include <support/simcuda/simcuda.hpp>

using namespace barelink;

TEST_CASE("Where a coherent link lets the GPU read ordinary memory, CUDA keeps its pageable copies", "[coherent]") {
    if (memcpy_counted().planned > 0) {
        WARN("run by file: this process has its server already");
        return;
    }
    simcuda::reset(builtin::gh200());
    const std::size_t bytes = 8 * MiB + 5;
    std::vector<char> host(bytes), answer(bytes);
    patterned::fill(host.data(), bytes, 3);
    void* gpu = nullptr;
    REQUIRE(cudaMalloc(&gpu, bytes) == cudaSuccess);
    REQUIRE(memcpy_async(gpu, host.data(), bytes, cudaMemcpyHostToDevice) == cudaSuccess);
    REQUIRE(memcpy_async(answer.data(), gpu, bytes, cudaMemcpyDeviceToHost) == cudaSuccess);
    CHECK(patterned::holds(answer.data(), bytes, 3));
    CHECK(memcpy_counted().left_to_cuda == 2);
    CHECK(memcpy_counted().planned == 0);
    CHECK(cudaFree(gpu) == cudaSuccess);
    CHECK(simcuda::pending_error() == cudaSuccess);
}
