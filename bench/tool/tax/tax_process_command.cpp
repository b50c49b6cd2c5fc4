// One of the processes of barelink tax measure.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <barelink/machine/hwloc_live.hpp>

#include "cuda_gpus.hpp"
#include "tax_process_command.hpp"
#if BARELINK_TOOL_CUDA
#include <barelink/machine/live.hpp>

#include "tax_process.hpp"
#endif

namespace tool {
namespace {

struct tax_process_options {
    double seconds = 10;
    unsigned number = 0;
    std::vector<std::string> gpus, left_out;
    bool quick = false;

    void run() const {
#if BARELINK_TOOL_CUDA
        require_cuda_gpus("measuring this machine's GPUs", needs_gpus);
        const barelink::machine m = tax_machine();
        tax_parameters asked;
        asked.seconds = seconds;
        asked.number = number;
        asked.quick = quick;
        asked.gpus = gpus_named(m, gpus);
        std::vector<barelink::tax_row> rows;
        for (const barelink::tax_row row : barelink::tax_rows)
            if (std::find(left_out.begin(), left_out.end(), to_string(row)) != left_out.end()) rows.push_back(row);
        run_tax_process(m, asked, rows);
#else
        require_cuda_gpus("measuring this machine's GPUs", needs_gpus);
#endif
    }
};

} // namespace

barelink::machine tax_machine() {
    ::setenv("HWLOC_HIDE_ERRORS", "2", 0); // our errors are one line each
#if BARELINK_TOOL_CUDA
    return barelink::live_machine().value();
#else
    return barelink::discover().value();
#endif
}

void add_tax_process(CLI::App& tax) {
    CLI::App* process = tax.add_subcommand(tax_process_command, "One of the processes of `measure`")->group("");
    auto part = std::make_shared<tax_process_options>();
    process->add_option("--seconds", part->seconds);
    process->add_option("--number", part->number);
    process->add_option("--gpus", part->gpus)->delimiter(',');
    process->add_option("--leave-out", part->left_out)->delimiter(',');
    process->add_flag("--quick", part->quick);
    process->callback([part] { part->run(); });
}

} // namespace tool
