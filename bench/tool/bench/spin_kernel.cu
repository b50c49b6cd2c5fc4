// A kernel that keeps a stream waiting until the host has submitted all that is to be timed.
#include <cstdint>

#include <cuda_runtime.h>

#include "spin_kernel.hpp"

namespace tool {
namespace {

/// Gives up after `most_ns`, and says so: a GPU whose host has died must not spin for ever. Sleeps between looks, which go
/// over PCIe.
__global__ void spin_until_open(const volatile std::uint32_t* open, volatile std::uint32_t* gave_up,
                                std::uint64_t most_ns) {
    const auto now = [] {
        std::uint64_t ns = 0;
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
        return ns;
    };
    const std::uint64_t begin = now();
    while (*open == 0) {
        if (now() - begin > most_ns) {
            *gave_up = 1;
            return;
        }
        __nanosleep(200);
    }
}

cudaError_t launch(const std::uint32_t* open, std::uint32_t* gave_up, std::uint64_t most_ns, cudaStream_t stream) {
    void* arguments[] = {&open, &gave_up, &most_ns};
    return cudaLaunchKernel(reinterpret_cast<const void*>(&spin_until_open), dim3(1), dim3(1), arguments, 0, stream);
}

} // namespace

spin_kernel compiled_spin_kernel() {
    return launch;
}

} // namespace tool
