// The row of inference: the decode proxy at three sizes, with no, some and much KV, kernel by kernel and as a graph.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "decode_proxy.hpp"
#include "tax_bench.hpp"
#include "tax_memory.hpp"

namespace tool {

/// Sizes that fit, and the memory for the largest of them, filled. On the first listed GPU; one stream.
class decode_place {
public:
    /// Why there is none; empty: `open` may be called.
    [[nodiscard]] static std::string missing(const tax_bench& bench, const decode_kernels& kernels) {
        if (bench.asked.simulated) return "simulated GPUs run no kernels";
        return kernels ? "" : tax_memory::no_kernels;
    }
    decode_place(tax_bench& bench, const decode_kernels& kernels, bool large)
        : bench_(bench), scope_(bench.on.device_of(bench.gpus.front())),
          stream_(bench.on.make_stream(bench.gpus.front()).value()) {
        const std::uint64_t left = tax_bench::free_bytes();
        const std::uint64_t spare = 1 * barelink::GiB; // for the driver, graphs and tables
        presets_.push_back({"1GiB", 1 * barelink::GiB, 16});
        if (large) presets_.push_back({"14GB", 14'000'000'000, 32});
        // Whole GiB, so that processes that find a little more or less free measure the same.
        if (large) presets_.push_back({"60pct", left / 5 * 3 / barelink::GiB * barelink::GiB, 80});
        std::uint64_t most = 0;
        for (const decode_preset& each : presets_)
            if (fits(each, left, spare)) most = std::max(most, each.bytes);
        for (const decode_preset& each : presets_)
            if (!fits(each, left, spare)) too_large_.push_back(each);
        std::erase_if(presets_, [&](const decode_preset& each) { return !fits(each, left, spare); });
        left_ = left;
        if (presets_.empty()) return;
        memory_ = cuda_memory(cuda_memory::kind::device, barelink::round_up(most, decode_unit_bytes));
        decode_proxy::fill(kernels, memory_.data(), memory_.bytes(), stream_.handle);
    }
    decode_place(const decode_place&) = delete;
    decode_place& operator=(const decode_place&) = delete;
    ~decode_place() {
        memory_ = {};
        (void)bench_.on.destroy(stream_);
    }

    [[nodiscard]] const std::vector<decode_preset>& presets() const noexcept { return presets_; }
    [[nodiscard]] const std::vector<decode_preset>& too_large() const noexcept { return too_large_; }
    [[nodiscard]] std::uint64_t free_bytes() const noexcept { return left_; }
    [[nodiscard]] void* memory() const noexcept { return memory_.data(); }
    [[nodiscard]] cudaStream_t stream() const noexcept { return stream_.handle; }

private:
    /// Also none that another size is as large as: it would say the same twice.
    [[nodiscard]] static bool fits(const decode_preset& each, std::uint64_t left, std::uint64_t spare) noexcept {
        return each.bytes >= barelink::GiB && each.bytes + spare <= left;
    }

    tax_bench& bench_;
    barelink::cuda::detail::device_scope scope_;
    barelink::cuda::stream stream_;
    std::vector<decode_preset> presets_, too_large_;
    std::uint64_t left_ = 0;
    cuda_memory memory_;
};

[[nodiscard]] inline std::string step_method(const decode_preset& preset, unsigned kv_percent, std::uint64_t bytes,
                                             bool graph) {
    return fmt::format(
        "decode proxy (no model runs): a step reads {:.3f} GB in {} layers, {} % of it KV in permuted blocks of 16, 32 "
        "and "
        "64 KiB, with 16-byte loads and two tiny kernels a layer, between copies of 4 KiB to and from the GPU, and the "
        "host waits for it; {}; every step's sums checked",
        static_cast<double>(bytes) * 1e-9, preset.layers, kv_percent,
        graph ? "launched as one CUDA graph" : "launched kernel by kernel");
}

class tax_inference {
public:
    tax_inference(tax_bench& bench, const decode_kernels& kernels, double share)
        : bench_(bench), kernels_(kernels), share_(share) {}

    void run() {
        if (const std::string why = decode_place::missing(bench_, kernels_); !why.empty())
            return bench_.collect->absent(row, "", why);
        bench_.collect->guard(row, "", [&] {
            decode_place place(bench_, kernels_, !bench_.asked.quick);
            for (const decode_preset& each : place.too_large())
                bench_.collect->absent(row, each.name,
                                       fmt::format("{} are free on {}, {} are needed and 1 GiB to spare",
                                                   barelink::format_bytes(place.free_bytes()),
                                                   bench_.id(bench_.gpus.front()), barelink::format_bytes(each.bytes)));
            if (place.presets().empty()) return;
            effort_ = bench_.effort(share_, place.presets().size() * percents.size());
            // The verdict and the money rest on a size that all machines of a model have, and on some KV.
            const std::string headline =
                place.presets().size() > 1 && place.presets()[1].name == "14GB" ? "14GB" : "1GiB";
            for (const decode_preset& each : place.presets())
                for (const unsigned percent : percents)
                    bench_.collect->guard(row, each.name, [&] { run(place, each, percent, each.name == headline); });
        });
    }

private:
    static constexpr barelink::tax_row row = barelink::tax_row::inference;
    static constexpr std::array<unsigned, 3> percents{0, 10, 50};
    /// Steps in a row may depend on each other: clocks and refresh last longer than one.
    static constexpr std::uint32_t block = 10;

    /// Steps of both ways in turn, block by block, so that what drifts hits both.
    void run(const decode_place& place, const decode_preset& preset, unsigned percent, bool headline) {
        decode_proxy proxy(kernels_, place.memory(), decode_layout::make(preset.bytes, preset.layers, percent),
                           place.stream());
        const double begin = tax_clock_s();
        const auto spent = [&] { return tax_clock_s() - begin; };
        const auto step_us = [&](bool graph) { return (graph ? proxy.graph_step() : proxy.plain_step()).host_us; };
        const auto block_of = [&](bool graph, std::vector<double>& us) {
            double sum = 0;
            for (std::uint32_t i = 0; i < block; ++i) {
                us.push_back(step_us(graph));
                sum += us.back();
            }
            return sum;
        };
        std::array<barelink::warm_up, 2> warm;
        std::vector<double> ignored;
        while (!(warm[0].warm() && warm[1].warm()) &&
               (warm[0].windows() < barelink::warm_up::windows_needed || spent() < effort_.seconds / 2))
            for (const bool graph : {false, true}) warm[graph].add(block_of(graph, ignored));
        std::array<std::vector<double>, 2> us;
        const std::size_t least = 2 * block, most = bench_.asked.quick ? 2 * block : 10 * block;
        while (us[0].size() < least || (us[0].size() < most && spent() < effort_.seconds))
            for (const bool graph : {false, true}) (void)block_of(graph, us[graph]);
        for (const bool graph : {false, true}) {
            tax_samples samples;
            samples.settled = warm[graph].warm();
            for (const double each : us[graph])
                samples.values.push_back(rounded_sample(barelink::rate_gb_s(static_cast<double>(proxy.bytes()), each)));
            barelink::tax_series series =
                rate_series(row, fmt::format("{}/kv{}/{}", preset.name, percent, graph ? "graph" : "plain"),
                            fmt::format("decode proxy of {}, {} % KV, {}, on {}", preset.name, percent,
                                        graph ? "CUDA graph" : "kernel by kernel", bench_.id(bench_.gpus.front())),
                            step_method(preset, percent, proxy.bytes(), graph) +
                                "; a sample is one step's bytes by its time on the host",
                            headline && percent == 10 && graph);
            series.block = block;
            series.bytes_per_token = static_cast<double>(proxy.bytes());
            bench_.collect->add(std::move(series), std::move(samples));
        }
    }

    tax_bench& bench_;
    decode_kernels kernels_;
    double share_;
    tax_effort effort_;
};

} // namespace tool
