// The row of latency: one step, one small copy at a time; as fast as they go, and at a fixed rate.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/open_loop.hpp>

#include "tax_inference.hpp"

namespace tool {

/// A rate that every GPU of a model gets, whatever it reaches: at most `share` of what its memory's nominal bandwidth would allow,
/// and one of 1, 2, 5 times a power of ten. Steps a second; 0 when the bandwidth is unknown.
[[nodiscard]] inline double open_loop_rate(double nominal_gb_s, double step_bytes, double share = 0.4) noexcept {
    const double most = share * nominal_gb_s * 1e9 / step_bytes;
    if (!(most >= 1)) return 0;
    const double ten = std::pow(10.0, std::floor(std::log10(most) + 1e-9));
    for (const double digit : {5.0, 2.0})
        if (digit * ten <= most * (1 + 1e-9)) return digit * ten;
    return ten;
}

class tax_latency {
public:
    tax_latency(tax_bench& bench, const decode_kernels& kernels, double share)
        : bench_(bench), kernels_(kernels), share_(share) {}

    void run() {
        const bool simulated = bench_.asked.simulated;
        if (simulated)
            bench_.collect->absent(row, "time on the host",
                                   "the simulator's clock is the GPUs': this host's is another");
        bench_.collect->guard(row, "small copies", [&] { run_copies(); });
        if (const std::string why = decode_place::missing(bench_, kernels_); !why.empty())
            return bench_.collect->absent(row, "steps of the decode proxy", why);
        bench_.collect->guard(row, "steps of the decode proxy", [&] { run_steps(); });
    }

private:
    static constexpr barelink::tax_row row = barelink::tax_row::latency;
    static constexpr std::uint64_t copy_bytes = 4 * barelink::KiB;
    /// Samples that may depend on each other: a stall lasts longer than one of them. Project choice.
    static constexpr std::uint32_t block = 100;
    static constexpr double copies_a_second = 10'000;

    [[nodiscard]] std::size_t count(std::size_t full, std::size_t quick) const noexcept {
        return bench_.asked.quick || bench_.asked.simulated ? quick : full;
    }
    void add(const std::string& id, const std::string& what, const std::string& method, std::vector<double> us,
             bool headline = false) {
        barelink::tax_series series = rate_series(row, id, what, method, headline);
        series.unit = barelink::tax_unit::us;
        series.block = block;
        tax_samples samples;
        samples.settled = true; // tails are what is looked for: what came before them was thrown away
        for (const double each : us) samples.values.push_back(rounded_sample(each));
        bench_.collect->add(std::move(series), std::move(samples));
    }
    /// Calls `once(i)` so often, the first tenth for nothing, or until time is over.
    template <class Once>
    void repeat(std::size_t times, double seconds, Once once) {
        constexpr std::size_t least = 400; // a P99 needs 368 samples
        const double begin = tax_clock_s();
        for (std::size_t i = 0; i < times / 10 + 1; ++i) (void)once();
        for (std::size_t i = 0; i < times && (i < least || tax_clock_s() - begin < seconds); ++i) once();
    }

    void run_copies() {
        const barelink::node_index gpu = bench_.gpus.front();
        const barelink::cuda::detail::device_scope scope(bench_.on.device_of(gpu));
        const cuda_memory device(cuda_memory::kind::device, copy_bytes), host(cuda_memory::kind::pinned, copy_bytes);
        const barelink::cuda::stream stream = bench_.on.make_stream(gpu).value();
        const double seconds = bench_.asked.seconds * share_ / 8;
        for (const bool up : {true, false}) {
            const auto copy = [&] {
                gpu_stopwatch::check(cudaMemcpyAsync(up ? device.data() : host.data(), up ? host.data() : device.data(),
                                                     copy_bytes, cudaMemcpyDefault, stream.handle));
            };
            const auto wait = [&] { gpu_stopwatch::check(cudaStreamSynchronize(stream.handle)); };
            const std::string which = up ? "copy_h2d" : "copy_d2h";
            const std::string what = up ? "4 KiB from pinned memory to " + bench_.id(gpu)
                                        : "4 KiB from " + bench_.id(gpu) + " to pinned memory";
            gpu_stopwatch watch(stream.handle);
            run_device_side(which, what, watch, copy, seconds);
            if (bench_.asked.simulated) continue;
            run_host_side(which, what, copy, wait, seconds, up ? 10'000 : 4000);
            if (up) run_open_loop_of_copies(what, copy, wait);
        }
        (void)bench_.on.destroy(stream);
    }
    template <class Copy>
    void run_device_side(const std::string& which, const std::string& what, gpu_stopwatch& watch, Copy copy,
                         double seconds) {
        std::vector<double> us;
        const std::size_t wanted = count(1000, 400);
        repeat(wanted, seconds, [&] { us.push_back(watch.us(copy)); });
        us.erase(us.begin(), us.begin() + static_cast<std::ptrdiff_t>(wanted / 10 + 1));
        add(which + "/device", what + ", time on the GPU",
            "one copy at a time, between two events (resolution 0.5 us); closed loop", std::move(us),
            bench_.asked.simulated);
    }
    template <class Copy, class Wait>
    void run_host_side(const std::string& which, const std::string& what, Copy copy, Wait wait, double seconds,
                       std::size_t most) {
        std::vector<double> us;
        const std::size_t wanted = count(most, 1000);
        repeat(wanted, seconds, [&] {
            const double before = tax_clock_us();
            copy();
            wait();
            us.push_back(tax_clock_us() - before);
        });
        us.erase(us.begin(), us.begin() + static_cast<std::ptrdiff_t>(wanted / 10 + 1));
        add(which + "/host", what + ", time on the host",
            "one copy at a time, from the call until the host knows that it is there; closed loop; CLOCK_MONOTONIC",
            std::move(us), true);
    }
    template <class Copy, class Wait>
    void run_open_loop_of_copies(const std::string& what, Copy copy, Wait wait) {
        std::vector<double> us(count(2000, 500));
        (void)barelink::run_open_loop(1e6 / copies_a_second, std::span(us), tax_clock_us, [&](std::size_t) {
            copy();
            wait();
        });
        add(fmt::format("copy_h2d/open_{:.0f}", copies_a_second),
            fmt::format("{}, {:.0f} a second", what, copies_a_second),
            "open loop: copies begin at fixed times and count from those, waiting for earlier ones included; "
            "CLOCK_MONOTONIC",
            std::move(us));
    }

    void run_steps() {
        decode_place place(bench_, kernels_, false);
        if (place.presets().empty())
            return bench_.collect->absent(row, "steps of the decode proxy", "less than 2 GiB of GPU memory are free");
        const decode_preset& preset = place.presets().front();
        constexpr unsigned percent = 10;
        decode_proxy proxy(kernels_, place.memory(), decode_layout::make(preset.bytes, preset.layers, percent),
                           place.stream());
        const std::string of = "one step of the decode proxy of 1 GiB";
        for (const bool graph : {false, true}) {
            std::vector<step_time> took;
            const std::size_t wanted = graph ? count(10'000, 400) : count(1000, 400);
            repeat(wanted, bench_.asked.seconds * share_ / (graph ? 2 : 8),
                   [&] { took.push_back(graph ? proxy.graph_step() : proxy.plain_step()); });
            took.erase(took.begin(), took.begin() + static_cast<std::ptrdiff_t>(wanted / 10 + 1));
            std::vector<double> host, device;
            for (const step_time& each : took) {
                host.push_back(each.host_us);
                if (device.size() < 1000)
                    device.push_back(each.device_us); // their tails are the host's: files stay small
            }
            const std::string id = graph ? "step/graph" : "step/plain";
            const std::string what = of + (graph ? ", CUDA graph" : ", kernel by kernel");
            const std::string method = step_method(preset, percent, proxy.bytes(), graph) + "; closed loop; ";
            add(id + "/host", what + ", time on the host", method + "CLOCK_MONOTONIC", std::move(host), graph);
            add(id + "/device", what + ", time on the GPU", method + "between events around its work",
                std::move(device));
        }
        run_open_loop_of_steps(proxy, preset, of);
    }
    void run_open_loop_of_steps(decode_proxy& proxy, const decode_preset& preset, const std::string& of) {
        const double rate = open_loop_rate(nominal_gb_s(), static_cast<double>(proxy.bytes()));
        if (rate <= 0)
            return bench_.collect->absent(
                row, of + ", open loop",
                "CUDA does not say how fast this GPU's memory is, which the rate follows from");
        std::vector<double> us(count(2000, 400));
        (void)barelink::run_open_loop(1e6 / rate, std::span(us), tax_clock_us,
                                      [&](std::size_t) { (void)proxy.graph_step(); });
        add(fmt::format("step/graph/open_{:.0f}", rate), fmt::format("{}, {:.0f} a second", of, rate),
            step_method(preset, 10, proxy.bytes(), true) +
                "; open loop: steps begin at fixed times and count from those, waiting for earlier ones included; the "
                "rate follows from the nominal memory bandwidth; CLOCK_MONOTONIC",
            std::move(us));
    }
    /// Twice the memory's clock times its width, as CUDA's samples reckon it; 0 when it does not say.
    [[nodiscard]] double nominal_gb_s() const {
        const int device = bench_.on.device_of(bench_.gpus.front());
        int khz = 0, bits = 0;
        if (cudaDeviceGetAttribute(&khz, cudaDevAttrMemoryClockRate, device) != cudaSuccess) khz = 0;
        if (cudaDeviceGetAttribute(&bits, cudaDevAttrGlobalMemoryBusWidth, device) != cudaSuccess) bits = 0;
        (void)cudaGetLastError();
        return 2.0 * khz * 1e3 * bits / 8 * 1e-9;
    }

    tax_bench& bench_;
    decode_kernels kernels_;
    double share_;
};

} // namespace tool
