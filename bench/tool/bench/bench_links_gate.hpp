// Keeps streams waiting until all that is to be timed has been submitted, so that submitting is not part of the time.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <barelink/move/cuda.hpp>

#include "spin_kernel.hpp"

namespace tool {

/// A flag in mapped pinned memory and the kernels that look at it. Without a kernel that runs on every GPU there is none, and
/// `why_not` says why. CUDA's context must be current where it is made and where it ends.
class links_gate {
public:
    /// Tries the kernel on every GPU: loading it later, while another one spins, could wait for ever.
    links_gate(const barelink::cuda::runtime& on, const std::vector<barelink::node_index>& gpus)
        : kernel_(compiled_spin_kernel()) {
        const char* blocking = std::getenv("CUDA_LAUNCH_BLOCKING");
        if (!kernel_) why_not_ = "this barelink was built without nvcc";
        if (blocking && *blocking && *blocking != '0') why_not_ = "CUDA_LAUNCH_BLOCKING has every launch wait";
        if (!why_not_.empty()) return;
        void* made = nullptr;
        barelink::cuda::check(
            cudaHostAlloc(&made, 2 * sizeof(std::uint32_t), cudaHostAllocPortable | cudaHostAllocMapped),
            "allocating the gate's flag")
            .value();
        words_ = static_cast<std::uint32_t*>(made);
        open();
        for (const barelink::node_index gpu : gpus) {
            const barelink::cuda::detail::device_scope scope(on.device_of(gpu));
            cudaError_t code = hold(nullptr);
            if (code == cudaSuccess) code = cudaDeviceSynchronize();
            if (code == cudaSuccess) continue;
            (void)cudaGetLastError();
            why_not_ = "the kernel does not run on " + on.topology().at(gpu).id() + " (" + cudaGetErrorName(code) + ")";
            return;
        }
    }
    links_gate(const links_gate&) = delete;
    links_gate& operator=(const links_gate&) = delete;
    ~links_gate() {
        if (words_) (void)cudaFreeHost(words_);
    }

    /// Empty: there is a gate.
    [[nodiscard]] const std::string& why_not() const noexcept { return why_not_; }

    void close() noexcept {
        word(1).store(0, std::memory_order_relaxed);
        word(0).store(0, std::memory_order_release);
    }
    void open() noexcept { word(0).store(1, std::memory_order_release); }
    /// Work that is given to the stream from now on waits. Its GPU must be current.
    [[nodiscard]] cudaError_t hold(cudaStream_t stream) const {
        std::uint32_t* there = nullptr; // by the GPU's address
        const cudaError_t code = cudaHostGetDevicePointer(reinterpret_cast<void**>(&there), words_, 0);
        return code == cudaSuccess ? kernel_(there, there + 1, most_ns, stream) : code;
    }
    /// A kernel did not wait to the end: what it kept waiting ran too early.
    [[nodiscard]] bool gave_up() noexcept { return word(1).load(std::memory_order_acquire) != 0; }
    /// No more of it from now on.
    void retire(const char* why) { why_not_ = why; }

private:
    static constexpr std::uint64_t most_ns = 20'000'000'000; ///< submitting takes milliseconds

    [[nodiscard]] std::atomic_ref<std::uint32_t> word(int which) const noexcept {
        return std::atomic_ref<std::uint32_t>(words_[which]);
    }

    spin_kernel kernel_;
    std::uint32_t* words_ = nullptr; ///< open, gave up
    std::string why_not_;
};

} // namespace tool
