// What the rows of one measuring process share: the machine, its runtime, the GPUs that may be used, names of places.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <barelink/measure/rate_probe.hpp>
#include <barelink/move/cuda.hpp>
#include <barelink/report/units.hpp>

#include "bench/bench_place.hpp"
#include "cuda_gpus.hpp"
#include "tax_collector.hpp"

namespace tool {

/// Borrows the collector. Contexts are created on the GPUs of the parameters and on no other.
struct tax_bench {
    tax_bench(const barelink::machine& m, tax_parameters chosen, tax_collector& into)
        : asked(std::move(chosen)), on(m), collect(&into) {
        for (const int each : asked.gpus) gpus.push_back(m.gpu(barelink::gpu_id{each}));
    }

    [[nodiscard]] const barelink::machine& machine() const noexcept { return on.topology(); }
    [[nodiscard]] std::string id(barelink::node_index node) const { return machine().at(node).id(); }
    /// Host memory beside a GPU.
    [[nodiscard]] barelink::node_index host_of(barelink::node_index gpu) const {
        return machine().memory(barelink::numa_id{bench_numa(machine(), machine().at(gpu).index, -1)});
    }
    /// Device memory that is free on the current GPU.
    [[nodiscard]] static std::uint64_t free_bytes() {
        std::size_t left = 0, all = 0;
        barelink::cuda::check(cudaMemGetInfo(&left, &all), "asking for free memory").value();
        return left;
    }
    /// The effort for each of `count` series of a row that gets this share of the process's time.
    [[nodiscard]] tax_effort effort(double share, std::size_t count) const {
        tax_effort each;
        each.seconds = asked.seconds * share / static_cast<double>(count > 0 ? count : 1);
        each.least = asked.quick ? 2 : 3;
        each.most = asked.quick ? 2 : 9;
        return each;
    }
    /// `settled_samples` of rates into a series.
    template <class Measure>
    void add_rates(barelink::tax_series series, const tax_effort& effort_of_each, Measure measure) {
        collect->guard(series.row, series.what, [&] {
            tax_samples samples = settled_samples(effort_of_each, measure);
            collect->add(std::move(series), std::move(samples));
        });
    }

    tax_parameters asked;
    barelink::cuda::runtime on;
    tax_collector* collect; ///< of the row that is being measured
    std::vector<barelink::node_index> gpus;
};

/// What several loads reach while all run, added up.
[[nodiscard]] inline double rate_together(barelink::rate_probe<barelink::cuda::runtime>& probe,
                                          const std::vector<barelink::copy_load>& loads) {
    const std::vector<barelink::load_rate> rates = probe.measure(loads).value();
    double sum = 0;
    for (const barelink::load_rate& each : rates) sum += each.gb_s;
    return sum;
}

/// A series of rates; a sample is one window's.
[[nodiscard]] inline barelink::tax_series rate_series(barelink::tax_row row, std::string id, std::string what,
                                                      std::string method, bool headline = false) {
    barelink::tax_series made;
    made.id = std::string(to_string(row)) + "/" + id;
    made.row = row;
    made.what = std::move(what);
    made.method = std::move(method);
    made.headline = headline;
    return made;
}

} // namespace tool
