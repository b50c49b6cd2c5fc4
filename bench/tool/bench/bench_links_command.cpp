// barelink bench links: every link of this machine as nvbandwidth measures it, and what that leaves out.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <barelink/core/size_text.hpp>

#include "bench_links_report.hpp"
#include "commands.hpp"
#include "machine_argument.hpp"
#include "output.hpp"
#include "system_facts.hpp"
#include "transfer_argument.hpp"
#if BARELINK_TOOL_CUDA
#include "bench_links.hpp"
#endif

namespace tool {
namespace {

struct bench_links_options {
    std::vector<std::string> rows = {"all"};
    std::string gpus = "all", bytes = "512MiB", memory, json_file, svg_file;
    unsigned copies = 16, rounds = 3;
    double seconds = 90;

    void run() const {
        const barelink::machine m = machine_argument().read_with_cuda("measuring the links of this machine's GPUs");
        links_report report;
        report.asked.gpus = wanted_gpus(m);
        report.asked.rows = wanted_rows();
        report.asked.bytes_asked = report.asked.bytes = wanted_bytes();
        report.asked.copies = copies;
        report.asked.rounds = rounds;
        report.asked.seconds = seconds;
        if (!memory.empty()) report.asked.memory_bytes = barelink::parse_size(memory.c_str()).value();
        report.facts = read_facts(m);
        measure(m, report);
        if (!svg_file.empty()) write_file(svg_file, heat_map_svg(links_map(report)));
        show(
            json_file, [&] { return links_json(report); },
            [&] { return links_text(report, barelink::text_style{colours()}); });
        if (!report.failures.empty()) refuse(barelink::errc::device, report.failures.front());
        if (!report.verified())
            refuse(barelink::errc::not_delivered,
                   "copies were reported as done and the bytes that arrived are wrong: see the report");
    }

private:
    [[nodiscard]] std::vector<int> wanted_gpus(const barelink::machine& m) const {
        const barelink::gpu_set listed =
            gpus == "all" ? barelink::gpu_set::all()
                          : detail::parse_gpus(m, gpus, "--gpus ", "write all or GPU numbers such as 0,1,4");
        std::vector<int> found;
        for (const barelink::node_index gpu : m.all(barelink::node_kind::gpu))
            if (listed.contains(barelink::gpu_id{m.at(gpu).index})) found.push_back(m.at(gpu).index);
        std::sort(found.begin(), found.end());
        return found;
    }
    /// All of them in their order, or those named; `nvbandwidth` and `more` name many.
    [[nodiscard]] std::vector<std::string> wanted_rows() const {
        std::vector<std::string> found;
        const auto named = [&](const std::string& row, const char* group) {
            return std::any_of(rows.begin(), rows.end(),
                               [&](const std::string& each) { return each == row || each == group || each == "all"; });
        };
        for (const std::string& row : nvbandwidth_rows)
            if (named(row, "nvbandwidth")) found.push_back(row);
        for (const std::string& row : further_rows)
            if (named(row, "more")) found.push_back(row);
        return found;
    }
    [[nodiscard]] std::uint64_t wanted_bytes() const {
        const std::uint64_t wanted = barelink::parse_size(bytes.c_str()).value();
        if (wanted < 64 * barelink::KiB || wanted % 8 != 0)
            refuse(barelink::errc::invalid_argument, "--bytes must be a multiple of 8 bytes, from 64 KiB on");
        return wanted;
    }
#if BARELINK_TOOL_CUDA
    static void measure(const barelink::machine& m, links_report& report) {
        run_links_bench(m, report);
    }
#else
    static void measure(const barelink::machine&, links_report&) {} // read_with_cuda has refused
#endif
};

[[nodiscard]] std::vector<std::string> row_names() {
    std::vector<std::string> names = {"all", "nvbandwidth", "more"};
    names.insert(names.end(), nvbandwidth_rows.begin(), nvbandwidth_rows.end());
    names.insert(names.end(), further_rows.begin(), further_rows.end());
    return names;
}

} // namespace

void add_bench_links(CLI::App& bench) {
    CLI::App* command = bench.add_subcommand(
        "links", "Every link: nvbandwidth's metrics as it measures them, then pageable and staged copies, other NUMA "
                 "nodes, sizes from 4 B, concurrent totals, many paths; bytes verified");
    auto options = std::make_shared<bench_links_options>();
    command
        ->add_option("--gpus", options->gpus, "The GPUs to use, all or a list such as 0,1,4; no other one is touched")
        ->type_name("LIST")
        ->capture_default_str();
    command
        ->add_option(
            "--rows", options->rows,
            "What to measure: all, nvbandwidth (its metrics), more (what it leaves out), names of metrics such as "
            "host_to_device_memcpy_ce, or pageable, staged, numa, sizes, concurrent, multi_path")
        ->type_name("LIST")
        ->delimiter(',')
        ->check(CLI::IsMember(row_names()).description(""))
        ->capture_default_str();
    command->add_option("--bytes", options->bytes, "Size of a buffer and of a copy; halved until all buffers fit")
        ->type_name("SIZE")
        ->capture_default_str();
    command->add_option("--copies", options->copies, "Copies in a sample, after one to warm up")
        ->type_name("N")
        ->check(CLI::Range(1u, 128u))
        ->capture_default_str();
    command->add_option("--rounds", options->rounds, "Samples of a figure, which is their median")
        ->type_name("N")
        ->check(CLI::Range(1u, 1000u))
        ->capture_default_str();
    command
        ->add_option(
            "--seconds", options->seconds,
            "Time for all of it: figures make do with fewer copies where it is short, and are left out when it is "
            "over; the report says which")
        ->type_name("S")
        ->check(CLI::Range(1.0, 1e6))
        ->capture_default_str();
    command
        ->add_option(
            "--memory", options->memory,
            "Pinned host memory to take at most (default: half of what is free); two buffers for each GPU and one")
        ->type_name("SIZE");
    command->add_option("--json", options->json_file, "Everything, samples included, into this file; - for stdout")
        ->type_name("FILE");
    command->add_option("--svg", options->svg_file, "Draw the matrix of all links as a heat map into this file")
        ->type_name("FILE");
    command->callback([options] { options->run(); });
}

} // namespace tool
