// The decode proxy: a step that asks of a GPU what one token of a language model asks of its memory. No model runs.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <barelink/machine/cuda_error.hpp>

#include "decode_kernels.hpp"
#include "decode_layout.hpp"
#include "tax_clock.hpp"

namespace tool {

/// Device or pinned memory of CUDA, freed with it. For one GPU: the current one when it is made, and when it goes.
class cuda_memory {
public:
    enum class kind : std::uint8_t { device, pinned };

    cuda_memory() = default;
    /// Throws what CUDA answers.
    cuda_memory(kind of, std::uint64_t bytes) : kind_(of), bytes_(bytes) {
        const cudaError_t code =
            of == kind::device ? cudaMalloc(&at_, bytes) : cudaHostAlloc(&at_, bytes, cudaHostAllocPortable);
        barelink::cuda::check(code, of == kind::device ? "cudaMalloc" : "cudaHostAlloc").value();
    }
    cuda_memory(cuda_memory&& other) noexcept { swap(other); }
    cuda_memory& operator=(cuda_memory other) noexcept {
        swap(other);
        return *this;
    }
    ~cuda_memory() {
        if (at_) (void)(kind_ == kind::device ? cudaFree(at_) : cudaFreeHost(at_));
    }

    template <class T = void>
    [[nodiscard]] T* data() const noexcept {
        return static_cast<T*>(at_);
    }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    void swap(cuda_memory& other) noexcept {
        std::swap(at_, other.at_);
        std::swap(kind_, other.kind_);
        std::swap(bytes_, other.bytes_);
    }
    void* at_ = nullptr;
    kind kind_ = kind::device;
    std::uint64_t bytes_ = 0;
};

/// One step's time: until the host had the result, and between events around what the GPU did.
struct step_time {
    double host_us = 0, device_us = 0;
};

/// Steps over one layout. A step copies a token to the GPU, then for each layer opens it, streams its weights, reads its KV
/// blocks in permuted order and closes it, copies the layers' sums back and has the host wait: the next token depends on them, so
/// steps cannot overlap. Every step's sums are held against what the memory's words must add up to: a kernel that reads
/// too little is found out.
///
/// Borrows the memory, which `fill` has filled and which is as long as the layout at least, and the stream, of the current GPU.
/// Throws what CUDA answers, and not_delivered when the sums are wrong.
class decode_proxy {
public:
    decode_proxy(const decode_kernels& kernels, void* memory, decode_layout layout, cudaStream_t stream)
        : kernels_(kernels), memory_(static_cast<char*>(memory)), layout_(std::move(layout)), stream_(stream) {
        if (!layout_.table.empty()) {
            table_ = cuda_memory(cuda_memory::kind::device, layout_.table.size() * sizeof(std::uint32_t));
            check(
                cudaMemcpyAsync(table_.data(), layout_.table.data(), table_.bytes(), cudaMemcpyHostToDevice, stream_));
        }
        // The rest of what is copied back stays as it is here.
        check(cudaMemsetAsync(trace_.data(), 0, trace_.bytes(), stream_));
        check(cudaEventCreateWithFlags(&begin_, cudaEventDefault));
        check(cudaEventCreateWithFlags(&end_, cudaEventDefault));
        check(cudaStreamSynchronize(stream_));
    }
    decode_proxy(const decode_proxy&) = delete;
    decode_proxy& operator=(const decode_proxy&) = delete;
    ~decode_proxy() {
        (void)cudaStreamSynchronize(stream_);
        if (graph_) (void)cudaGraphExecDestroy(graph_);
        if (begin_) (void)cudaEventDestroy(begin_);
        if (end_) (void)cudaEventDestroy(end_);
    }

    /// Fills memory for proxies of this size at most; returns when it is filled.
    static void fill(const decode_kernels& kernels, void* memory, std::uint64_t bytes, cudaStream_t stream) {
        check(kernels.fill(memory, bytes, 0, stream));
        check(cudaStreamSynchronize(stream));
    }

    [[nodiscard]] std::uint64_t bytes() const noexcept { return layout_.bytes; }

    /// Kernel by kernel, as a program without graphs launches them.
    [[nodiscard]] step_time plain_step() {
        return timed([&] { enqueue(); });
    }
    /// All of it as one graph, captured at the first call.
    [[nodiscard]] step_time graph_step() {
        if (!graph_) capture();
        return timed([&] { check(cudaGraphLaunch(graph_, stream_)); });
    }

private:
    static void check(cudaError_t code) { barelink::cuda::check(code, "the decode proxy").value(); }

    template <class Submit>
    step_time timed(Submit submit) {
        new_token();
        step_time took;
        const double before = tax_clock_us();
        check(cudaEventRecord(begin_, stream_));
        submit();
        check(cudaEventRecord(end_, stream_));
        check(cudaStreamSynchronize(stream_));
        took.host_us = tax_clock_us() - before;
        float ms = 0;
        check(cudaEventElapsedTime(&ms, begin_, end_));
        took.device_us = static_cast<double>(ms) * 1e3;
        verify();
        return took;
    }

    /// What the host would sample: another one each step.
    void new_token() noexcept {
        ++step_;
        token_sum_ = 0;
        for (std::uint32_t i = 0; i < decode_token_words; ++i) {
            const std::uint32_t word = step_ * decode_token_words + i;
            host_token_.data<std::uint32_t>()[i] = word;
            token_sum_ += word;
        }
        host_trace_.data<std::uint32_t>()[0] = 0;
    }
    void enqueue() {
        auto* const token = token_.data<std::uint32_t>();
        auto* const state = state_.data<decode_state>();
        check(cudaMemcpyAsync(token, host_token_.data(), token_.bytes(), cudaMemcpyHostToDevice, stream_));
        for (std::uint32_t l = 0; l < layout_.layers.size(); ++l) {
            const decode_layer& layer = layout_.layers[l];
            check(kernels_.open_layer(state, l == 0 ? token : nullptr, stream_));
            if (layer.weights_bytes > 0)
                check(kernels_.read(memory_ + layer.weights_at, layer.weights_bytes, state, stream_));
            if (layer.kv_bytes > 0)
                check(kernels_.read_blocks(memory_ + layer.kv_at, layer.kv_block_bytes,
                                           table_.data<std::uint32_t>() + layer.table_at, layer.kv_blocks(), state,
                                           stream_));
            check(kernels_.close_layer(state, trace_.data<std::uint32_t>(), l, stream_));
        }
        check(cudaMemcpyAsync(host_trace_.data(), trace_.data(), trace_.bytes(), cudaMemcpyDeviceToHost, stream_));
    }
    void capture() {
        cudaGraph_t made = nullptr;
        check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal));
        enqueue();
        check(cudaStreamEndCapture(stream_, &made));
        const cudaError_t code = cudaGraphInstantiateWithFlags(&graph_, made, 0);
        (void)cudaGraphDestroy(made);
        check(code);
    }
    void verify() const {
        const std::vector<std::uint32_t> wanted = layout_.expected(token_sum_);
        if (std::memcmp(wanted.data(), host_trace_.data(), wanted.size() * sizeof(std::uint32_t)) == 0) return;
        barelink::detail::raise(barelink::error(barelink::errc::not_delivered,
                                                "the decode proxy's kernels did not read what lies in memory: its sums "
                                                "are wrong, so no figure of it counts"));
    }

    static constexpr std::uint64_t token_bytes = std::uint64_t{decode_token_words} * sizeof(std::uint32_t);

    decode_kernels kernels_;
    char* memory_;
    decode_layout layout_;
    cudaStream_t stream_;
    cuda_memory table_;
    cuda_memory token_{cuda_memory::kind::device, token_bytes}, trace_{cuda_memory::kind::device, token_bytes};
    cuda_memory host_token_{cuda_memory::kind::pinned, token_bytes},
        host_trace_{cuda_memory::kind::pinned, token_bytes};
    cuda_memory state_{cuda_memory::kind::device, sizeof(decode_state)};
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
    cudaGraphExec_t graph_ = nullptr;
    std::uint32_t step_ = 0, token_sum_ = 0;
};

} // namespace tool
