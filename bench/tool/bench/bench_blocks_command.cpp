// barelink bench blocks: thousands of small blocks, by every way that people use and by barelink's.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <barelink/core/size_text.hpp>
#include <barelink/machine/hwloc_machine_file.hpp>

#include "bench_blocks_report.hpp"
#include "bench_place.hpp"
#include "block_fit.hpp"
#include "commands.hpp"
#include "machine_argument.hpp"
#include "output.hpp"
#include "system_facts.hpp"
#if BARELINK_TOOL_CUDA
#include "bench_blocks.hpp"
#endif

namespace tool {
namespace {

struct bench_blocks_options {
    std::vector<std::string> sizes = {"1KiB", "4KiB", "16KiB", "32KiB", "64KiB", "256KiB"};
    std::vector<std::uint32_t> counts = {16, 256, 4096, 65536};
    std::vector<std::string> directions = {"h2d", "d2h"};
    std::vector<std::string> ways = {"loop", "batch", "kernel", "staged", "barelink", "prepared"};
    std::string memory, json_file, machine_file;
    int gpu = 0, numa = -1, multiprocessors = 16;
    unsigned rounds = 11, host_threads = 8;
    std::uint64_t seed = 1;
    bool asynchronous = false;

    void run() const {
        barelink::machine m = machine_argument().read_with_cuda("measuring blocks on this machine's GPUs");
        blocks_report report;
        report.asked = parameters(m);
        report.facts = read_facts(m);
        if (!machine_file.empty() && report.facts.simulated)
            refuse(barelink::errc::unsupported, "--save: simulated GPUs have no costs that could be measured");
        measure(m, report);
        report.fit_from = to_string(m.blocks.source);
        report.fit = fit_block_costs(m, report, m.blocks);
        show(
            json_file, [&] { return blocks_json(report); },
            [&] { return blocks_text(report, barelink::text_style{colours()}); });
        if (!report.failures.empty()) refuse(barelink::errc::device, report.failures.front());
        if (!report.verified())
            refuse(barelink::errc::not_delivered,
                   "blocks were reported as copied and the bytes that arrived are wrong: see the report");
        if (!machine_file.empty()) save(std::move(m), report);
    }

private:
    /// The fit has marked what was measured; the other costs rest on what they did before.
    void save(barelink::machine m, const blocks_report& report) const {
        if (report.fit.empty())
            refuse(barelink::errc::invalid_argument,
                   "--save: too few cells to fit a cost to; leave --sizes, --counts and --ways as they are");
        barelink::save_machine(m, machine_file).value();
        remark("saved " + machine_file +
               ": costs of batch copy and kernel as measured, strided and gathered copies as before");
    }

    [[nodiscard]] blocks_parameters parameters(const barelink::machine& m) const {
        blocks_parameters asked;
        asked.gpu = gpu;
        asked.numa = bench_numa(m, gpu, numa);
        asked.rounds = rounds;
        asked.seed = seed;
        asked.multiprocessors = multiprocessors;
        asked.host_threads = host_threads;
        asked.may_block = !asynchronous;
        asked.directions = directions;
        asked.ways = ways;
        if (!memory.empty()) asked.memory_bytes = barelink::parse_size(memory.c_str()).value();
        asked.counts = counts;
        std::sort(asked.counts.begin(), asked.counts.end());
        asked.counts.erase(std::unique(asked.counts.begin(), asked.counts.end()), asked.counts.end());
        for (const std::string& each : sizes) asked.sizes.push_back(barelink::parse_size(each.c_str()).value());
        std::sort(asked.sizes.begin(), asked.sizes.end());
        asked.sizes.erase(std::unique(asked.sizes.begin(), asked.sizes.end()), asked.sizes.end());
        for (const std::uint64_t size : asked.sizes)
            if (size == 0 || size % 8 != 0 || size > 32 * barelink::MiB)
                refuse(barelink::errc::invalid_argument, "blocks are multiples of 8 bytes, up to 32MiB");
        return asked;
    }
#if BARELINK_TOOL_CUDA
    static void measure(const barelink::machine& m, blocks_report& report) {
        report.asked.kernel = compiled_block_kernel() != nullptr;
        blocks_bench(m, report.asked, report).run();
    }
#else
    static void measure(const barelink::machine&, blocks_report&) {} // read_with_cuda has refused
#endif
};

} // namespace

void add_bench_blocks(CLI::App& bench) {
    CLI::App* command = bench.add_subcommand(
        "blocks",
        "Thousands of scattered blocks: a loop of copies, the batch copy, a kernel, staging, and barelink, in turn "
        "in one run; bytes verified");
    auto options = std::make_shared<bench_blocks_options>();
    command->add_option("--sizes", options->sizes, "Sizes of one block")
        ->type_name("LIST")
        ->delimiter(',')
        ->capture_default_str();
    command->add_option("--counts", options->counts, "Numbers of blocks")
        ->type_name("LIST")
        ->delimiter(',')
        ->check(CLI::Range(1u, 16777216u))
        ->capture_default_str();
    command->add_option("--directions", options->directions, "Some of h2d, d2h")
        ->type_name("LIST")
        ->delimiter(',')
        ->check(CLI::IsMember({"h2d", "d2h"}))
        ->capture_default_str();
    command
        ->add_option("--ways", options->ways,
                     "Some of loop, batch, kernel, staged, barelink, prepared (barelink, planned before)")
        ->type_name("LIST")
        ->delimiter(',')
        ->check(CLI::IsMember({"loop", "batch", "kernel", "staged", "barelink", "prepared"}))
        ->capture_default_str();
    command
        ->add_option("--memory", options->memory,
                     "Cells of more bytes than this are skipped (default: what fits into free memory)")
        ->type_name("SIZE");
    command->add_option("--gpu", options->gpu, "The GPU")->type_name("N")->capture_default_str();
    command->add_option("--numa", options->numa, "The NUMA node of the host memory (default: the GPU's)")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
    command->add_option("--multiprocessors", options->multiprocessors, "How many the kernels may use")
        ->type_name("N")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    command->add_option("--host-threads", options->host_threads, "How many gather and scatter in the staged way")
        ->type_name("N")
        ->check(CLI::Range(1u, 64u))
        ->capture_default_str();
    command->add_option("--rounds", options->rounds, "Samples of every way, taken in turn")
        ->type_name("N")
        ->check(CLI::Range(1u, 10000u))
        ->capture_default_str();
    command->add_flag("--asynchronous", options->asynchronous,
                      "Barelink may not let host threads move blocks, so that its call never waits");
    command->add_option("--seed", options->seed, "Of the random orders")->type_name("N")->capture_default_str();
    command->add_option("--json", options->json_file, "Everything, samples included, into this file; - for stdout")
        ->type_name("FILE");
    command->add_option("--save", options->machine_file, "A machine file with the costs that explain the figures")
        ->type_name("FILE");
    command->callback([options] { options->run(); });
}

} // namespace tool
