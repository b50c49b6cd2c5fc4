// The row of memory bandwidth: kernels over the GPUs' memory, host threads over each NUMA node's. The negative control: no layer
// between code and hardware touches it, so a gap here says that the machines differ.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <barelink/move/host_mapping.hpp>
#include <barelink/move/host_threads.hpp>

#include "decode_proxy.hpp"
#include "tax_bench.hpp"

namespace tool {

/// Events around work in a stream of the current GPU.
class gpu_stopwatch {
public:
    explicit gpu_stopwatch(cudaStream_t stream) : stream_(stream) {
        check(cudaEventCreateWithFlags(&begin_, cudaEventDefault));
        check(cudaEventCreateWithFlags(&end_, cudaEventDefault));
    }
    gpu_stopwatch(const gpu_stopwatch&) = delete;
    gpu_stopwatch& operator=(const gpu_stopwatch&) = delete;
    ~gpu_stopwatch() {
        (void)cudaEventDestroy(begin_);
        (void)cudaEventDestroy(end_);
    }
    /// Between the events, us, after the work has ended. Throws what CUDA answers.
    template <class Enqueue>
    [[nodiscard]] double us(Enqueue enqueue) {
        check(cudaEventRecord(begin_, stream_));
        enqueue();
        check(cudaEventRecord(end_, stream_));
        check(cudaStreamSynchronize(stream_));
        float ms = 0;
        check(cudaEventElapsedTime(&ms, begin_, end_));
        return static_cast<double>(ms) * 1e3;
    }
    static void check(cudaError_t code) { barelink::cuda::check(code, "timing the GPU's work").value(); }

private:
    cudaStream_t stream_;
    cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

class tax_memory {
public:
    tax_memory(tax_bench& bench, const decode_kernels& kernels, double share)
        : bench_(bench), kernels_(kernels), share_(share) {}

    void run() {
        if (bench_.asked.simulated)
            return bench_.collect->absent(
                row, "", "simulated GPUs run no kernels, and the host's memory is not the simulated server's");
        const std::vector<barelink::node_index> nodes = bench_.machine().all(barelink::node_kind::memory);
        effort_ = bench_.effort(share_, 2 * (bench_.gpus.size() + nodes.size()));
        if (!kernels_)
            bench_.collect->absent(row, "GPU memory", no_kernels);
        else
            for (const barelink::node_index gpu : bench_.gpus)
                bench_.collect->guard(row, bench_.id(gpu) + " memory", [&] { run_gpu(gpu); });
        for (const barelink::node_index node : nodes)
            bench_.collect->guard(row, bench_.id(node) + " memory", [&] { run_host(node); });
    }

    static constexpr const char* no_kernels = "this barelink was built without its kernels: build it where nvcc is";

private:
    static constexpr barelink::tax_row row = barelink::tax_row::memory;
    static constexpr int launches = 4;

    void run_gpu(barelink::node_index gpu) {
        const barelink::cuda::detail::device_scope scope(bench_.on.device_of(gpu));
        // Many times what any cache holds; at most a quarter of what is free.
        const std::uint64_t most = bench_.asked.quick ? barelink::GiB : 8 * barelink::GiB;
        const std::uint64_t bytes =
            std::min(most, tax_bench::free_bytes() / 4) / (2 * decode_unit_bytes) * (2 * decode_unit_bytes);
        if (bytes < 256 * barelink::MiB)
            return bench_.collect->absent(row, bench_.id(gpu) + " memory", "less than 1 GiB of it is free");
        const barelink::cuda::stream stream = bench_.on.make_stream(gpu).value();
        {
            const cuda_memory memory(cuda_memory::kind::device, bytes);
            const cuda_memory state(cuda_memory::kind::device, sizeof(decode_state));
            decode_proxy::fill(kernels_, memory.data(), bytes, stream.handle);
            gpu_stopwatch watch(stream.handle);
            read(gpu, memory, state, stream.handle, watch);
            copy(gpu, memory, state, stream.handle, watch);
        }
        (void)bench_.on.destroy(stream);
    }
    [[nodiscard]] std::string gpu_method(const char* kernel, std::uint64_t bytes, const char* counted) const {
        return fmt::format("{} launches of a kernel that {} {} with 16-byte accesses; {}; timed by the GPU's events; "
                           "what it read was checked by its sum",
                           launches, kernel, barelink::format_bytes(bytes), counted);
    }
    /// What `times` reads of granules from 0 on add up to; state as {activation 1, sum 0} before.
    static void reset(const cuda_memory& state, cudaStream_t stream) {
        const decode_state fresh{1, 0};
        gpu_stopwatch::check(cudaMemcpyAsync(state.data(), &fresh, sizeof fresh, cudaMemcpyHostToDevice, stream));
        gpu_stopwatch::check(cudaStreamSynchronize(stream));
    }
    static void verify(const cuda_memory& state, std::uint32_t wanted) {
        decode_state found{};
        gpu_stopwatch::check(cudaMemcpy(&found, state.data(), sizeof found, cudaMemcpyDeviceToHost));
        if (found.sum == wanted) return;
        barelink::detail::raise(barelink::error(barelink::errc::not_delivered,
                                                "the kernel's sum is wrong: it did not read what lies in memory"));
    }
    void read(barelink::node_index gpu, const cuda_memory& memory, const cuda_memory& state, cudaStream_t stream,
              gpu_stopwatch& watch) {
        const std::uint32_t once = decode_sum(0, memory.bytes() / decode_granule_bytes);
        bench_.add_rates(rate_series(row, "hbm_read/" + bench_.id(gpu), bench_.id(gpu) + " memory, read by a kernel",
                                     gpu_method("reads", memory.bytes(), "bytes read count"), true),
                         effort_, [&] {
                             reset(state, stream);
                             const double us = watch.us([&] {
                                 for (int i = 0; i < launches; ++i)
                                     gpu_stopwatch::check(kernels_.read(memory.data(), memory.bytes(),
                                                                        state.data<decode_state>(), stream));
                             });
                             verify(state, once * static_cast<std::uint32_t>(launches));
                             return barelink::rate_gb_s(static_cast<double>(memory.bytes()) * launches, us);
                         });
    }
    void copy(barelink::node_index gpu, const cuda_memory& memory, const cuda_memory& state, cudaStream_t stream,
              gpu_stopwatch& watch) {
        const std::uint64_t half = memory.bytes() / 2;
        char* const to = memory.data<char>() + half;
        const std::uint32_t wanted = decode_sum(0, half / decode_granule_bytes);
        bench_.add_rates(rate_series(row, "hbm_copy/" + bench_.id(gpu), bench_.id(gpu) + " memory, copied by a kernel",
                                     gpu_method("copies", half, "bytes read and bytes written count"), true),
                         effort_, [&] {
                             const double us = watch.us([&] {
                                 for (int i = 0; i < launches; ++i)
                                     gpu_stopwatch::check(kernels_.copy(to, memory.data(), half, stream));
                             });
                             reset(state, stream);
                             gpu_stopwatch::check(kernels_.read(to, half, state.data<decode_state>(), stream));
                             gpu_stopwatch::check(cudaStreamSynchronize(stream));
                             verify(state, wanted);
                             return barelink::rate_gb_s(2.0 * static_cast<double>(half) * launches, us);
                         });
    }

    /// Words of a piece of memory added up, so that reading them cannot be left out.
    struct summing {
        const std::uint64_t* from;
        std::atomic<std::uint64_t> sum{0};
        static constexpr std::uint64_t slice_bytes = 1 * barelink::MiB;

        static void slice(void* context, std::uint64_t index) {
            auto& job = *static_cast<summing*>(context);
            constexpr std::uint64_t words = slice_bytes / sizeof(std::uint64_t);
            const std::uint64_t* const mine = job.from + index * words;
            std::uint64_t sums[8] = {};
            for (std::uint64_t i = 0; i < words; i += 8)
                for (std::uint64_t lane = 0; lane < 8; ++lane) sums[lane] += mine[i + lane];
            std::uint64_t sum = 0;
            for (const std::uint64_t each : sums) sum += each;
            job.sum.fetch_add(sum, std::memory_order_relaxed);
        }
    };
    void run_host(barelink::node_index node) {
        const std::uint64_t bytes = bench_.asked.quick ? 128 * barelink::MiB : barelink::GiB;
        const std::string name = bench_.id(node);
        if (barelink::detail::fillable_bytes() < 4 * bytes)
            return bench_.collect->absent(row, name + " memory", "too little of it is free");
        const barelink::numa_id numa = bench_.machine().at(node).numa;
        const unsigned cpus = (barelink::detail::cpus_of(numa) & barelink::detail::allowed_cpus()).count();
        if (cpus == 0 && bench_.machine().count(barelink::node_kind::memory) > 1)
            return bench_.collect->absent(row, name + " memory", "this process may use no CPU beside it");
        constexpr unsigned most_threads = 64;
        const unsigned all = barelink::detail::allowed_cpus().count();
        barelink::host_threads crew(numa, std::min(cpus > 0 ? cpus : all, most_threads));
        barelink::host_layout layout;
        layout.nodes = {numa};
        const auto from = barelink::host_mapping::make(bytes, layout).value();
        const auto to = barelink::host_mapping::make(bytes, layout).value();
        std::memset(from.data(), 1, bytes);
        const auto method = [&](const char* how, const char* counted) {
            return fmt::format("{} host threads {} {} of the node's memory; {}; timed by CLOCK_MONOTONIC",
                               crew.threads(), how, barelink::format_bytes(bytes), counted);
        };
        const auto total = static_cast<double>(bytes);
        bench_.add_rates(rate_series(row, "dram_read/" + name, name + " memory, read by host threads",
                                     method("read", "bytes read count")),
                         effort_, [&] {
                             summing job{static_cast<const std::uint64_t*>(from.data())};
                             const double before = tax_clock_us();
                             crew.run(summing::slice, &job, bytes / summing::slice_bytes);
                             const double us = tax_clock_us() - before;
                             if (job.sum != 0x0101010101010101u * (bytes / sizeof(std::uint64_t)))
                                 barelink::detail::raise(barelink::error(barelink::errc::not_delivered,
                                                                         "host memory does not hold what was written"));
                             return barelink::rate_gb_s(total, us);
                         });
        bench_.add_rates(rate_series(row, "dram_copy/" + name, name + " memory, copied by host threads",
                                     method("copy", "bytes read and bytes written count")),
                         effort_, [&] {
                             const double before = tax_clock_us();
                             crew.copy(to.data(), from.data(), bytes);
                             return barelink::rate_gb_s(2 * total, tax_clock_us() - before);
                         });
    }

    tax_bench& bench_;
    decode_kernels kernels_;
    double share_;
    tax_effort effort_;
};

} // namespace tool
