// The GPUs that CUDA shows: whether there are any, whether they are real, and memory of theirs read and written by the host.
#pragma once

#ifndef BARELINK_TOOL_CUDA
#define BARELINK_TOOL_CUDA 0
#endif

#include <cstdint>
#include <string_view>

#include <unistd.h>

#include <barelink/machine/machine.hpp>
#if BARELINK_TOOL_CUDA
#include <barelink/move/cuda.hpp>
#endif

#include "pattern.hpp"

namespace tool {

inline constexpr bool has_cuda = BARELINK_TOOL_CUDA != 0;

inline constexpr const char* simulated_warning = "simulated GPUs: times are not measurements";

/// A simulated CUDA library says so in the names of its GPUs.
[[nodiscard]] inline bool is_simulated(std::string_view gpu_name) noexcept {
    return gpu_name.ends_with("(simulated)");
}

/// Errors: unsupported without CUDA in this build, else why CUDA shows no GPU. `instead`: what can be done without one.
inline void require_cuda_gpus([[maybe_unused]] const char* doing, const char* instead) {
    const auto refuse = [&](barelink::errc code, const char* why) {
        barelink::detail::raise(barelink::error(code, barelink::text::join({why, "; ", instead})));
    };
#if BARELINK_TOOL_CUDA
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code == cudaSuccess && count > 0) return;
    const barelink::error why = barelink::cuda::to_error(code == cudaSuccess ? cudaErrorNoDevice : code, doing);
    refuse(why.code(), why.what());
#else
    refuse(barelink::errc::unsupported,
           "this barelink was built without CUDA: build it where the CUDA toolkit is installed to copy on GPUs");
#endif
}

#if BARELINK_TOOL_CUDA

/// Whether what CUDA shows are no GPUs: by their names, or because the kernel has nothing through which a driver could reach
/// one (Linux, WSL, Tegra). Nothing simulated may pass for a measurement.
[[nodiscard]] inline bool has_simulated_gpus() {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
    for (int device = 0; device < count; ++device) {
        cudaDeviceProp properties{};
        if (cudaGetDeviceProperties(&properties, device) == cudaSuccess && is_simulated(properties.name)) return true;
    }
    (void)cudaGetLastError();
    for (const char* file : {"/dev/nvidiactl", "/dev/dxg", "/dev/nvgpu", "/dev/nvhost-ctrl-gpu", "/dev/nvmap"})
        if (::access(file, F_OK) == 0) return false;
    return count > 0;
}

/// Fills and checks memory wherever it lies. A GPU's goes through pinned memory, in pieces. Borrows the runtime.
class memory_access {
public:
    explicit memory_access(barelink::cuda::runtime& on, barelink::node_index host)
        : on_(on), bounce_(on.allocate(host, piece_bytes).value()) {}
    memory_access(const memory_access&) = delete;
    memory_access& operator=(const memory_access&) = delete;
    ~memory_access() { (void)on_.release(bounce_); }

    /// With the pattern from `first` on, a multiple of 8; blocks until the bytes are there.
    void fill(const barelink::region& memory, content what, std::uint64_t first = 0) const {
        if (memory.where.kind != barelink::memory_kind::device)
            return tool::fill(memory.base, memory.bytes, first, what);
        each_piece(memory, [&](char* at, std::uint64_t offset, std::uint64_t bytes) {
            tool::fill(bounce_, bytes, first + offset, what);
            copy(at, bounce_, bytes);
        });
    }
    [[nodiscard]] bool holds_pattern(const barelink::region& memory, std::uint64_t first = 0) const {
        if (memory.where.kind != barelink::memory_kind::device)
            return tool::holds_pattern(memory.base, memory.bytes, first);
        bool right = true;
        each_piece(memory, [&](char* at, std::uint64_t offset, std::uint64_t bytes) {
            std::memset(bounce_, 0, bytes); // no word of the pattern is 0: what was there before must not pass for it
            copy(bounce_, at, bytes);
            right = right && tool::holds_pattern(bounce_, bytes, first + offset);
        });
        return right;
    }

private:
    static constexpr std::uint64_t piece_bytes = 32 * barelink::MiB;

    template <class Do>
    void each_piece(const barelink::region& memory, Do each) const {
        const barelink::cuda::detail::device_scope scope(on_.device_of(memory.where.node));
        for (std::uint64_t offset = 0; offset < memory.bytes; offset += piece_bytes) {
            const std::uint64_t left = memory.bytes - offset;
            each(static_cast<char*>(memory.base) + offset, offset, left < piece_bytes ? left : piece_bytes);
        }
    }
    /// The legacy stream: waits for all other work of the GPU, but for streams that asked not to be waited for.
    static void copy(void* to, const void* from, std::uint64_t bytes) {
        barelink::cuda::check(cudaMemcpy(to, from, bytes, cudaMemcpyDefault), "copying to check the bytes").value();
    }

    barelink::cuda::runtime& on_;
    void* bounce_;
};

#endif

} // namespace tool
