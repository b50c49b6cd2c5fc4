// One measuring process: every row, each written to standard output as a report of its own as soon as it is done.
#pragma once

#include <cstdio>
#include <string>

#include <barelink/measure/clock_cost.hpp>

#include "output.hpp"
#include "tax_host_link.hpp"
#include "tax_inference.hpp"
#include "tax_json.hpp"
#include "tax_latency.hpp"
#include "tax_memory.hpp"
#include "tax_nvlink.hpp"
#include "tax_subject.hpp"

namespace tool {

/// The share of a process's time that a row may take. Project choice.
[[nodiscard]] constexpr double share_of(barelink::tax_row row) noexcept {
    switch (row) {
    case barelink::tax_row::host_link: return 0.15;
    case barelink::tax_row::memory: return 0.15;
    case barelink::tax_row::inference: return 0.30;
    case barelink::tax_row::nvlink: return 0.15;
    case barelink::tax_row::latency: return 0.25;
    }
    return 0;
}

inline void measure_row(tax_bench& bench, barelink::tax_row row) {
    const decode_kernels kernels = compiled_decode_kernels();
    const double share = share_of(row);
    switch (row) {
    case barelink::tax_row::host_link: return tax_host_link(bench, share).run();
    case barelink::tax_row::memory: return tax_memory(bench, kernels, share).run();
    case barelink::tax_row::inference: return tax_inference(bench, kernels, share).run();
    case barelink::tax_row::nvlink: return tax_nvlink(bench, share).run();
    case barelink::tax_row::latency: return tax_latency(bench, kernels, share).run();
    }
}

/// Measures the rows that `asked` does not leave out and prints a report for each. Throws what ends all of it,
/// among that an error of CUDA's that stays, after the report of the row that met with it.
inline void run_tax_process(const barelink::machine& m, tax_parameters asked,
                            const std::vector<barelink::tax_row>& left_out) {
    asked.simulated = has_simulated_gpus();
    barelink::tax_report piece, unused;
    tax_collector first(unused);
    tax_bench bench(m, asked, first);
    piece.name = m.name;
    piece.taken = utc_now();
    piece.tool = tool_version();
    piece.processes = 1;
    piece.subject = read_subject(bench.on.device_of(bench.gpus.front()), static_cast<int>(bench.gpus.size()));
    piece.clock_ns = barelink::measure_clock_cost(tax_clock_ns).read_ns;
    for (const barelink::tax_row row : rows_in_turn(asked.number)) {
        if (std::find(left_out.begin(), left_out.end(), row) != left_out.end()) continue;
        barelink::tax_report of_row = piece;
        tax_collector collect(of_row);
        bench.collect = &collect;
        collect.guard(row, "", [&] { measure_row(bench, row); });
        collect.finish();
        print(tax_json(of_row).value());
        std::fflush(stdout);
        // An error that CUDA repeats until the process ends would only spoil the rows to come: another process measures them.
        const barelink::cuda::stream alive = bench.on.make_stream(bench.gpus.front()).value();
        (void)bench.on.destroy(alive);
    }
}

} // namespace tool
