// barelink bench: figures of this machine, next to those of the calls that people use without the library.
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "bench_place.hpp"
#include "bench_report.hpp"
#include "commands.hpp"
#include "machine_argument.hpp"
#include "output.hpp"
#include "system_facts.hpp"
#include "transfer_argument.hpp"
#if BARELINK_TOOL_CUDA
#include "bench_copies.hpp"
#endif

namespace tool {
namespace {

const std::vector<std::string> all_cases = {"pinned-h2d",   "pinned-d2h", "pageable-h2d",
                                            "pageable-d2h", "both",       "pairs"};

struct bench_copies_options {
    std::vector<std::string> sizes, cases = all_cases;
    std::string from = "4KiB", to = "4GiB", pairs = "all", relays = "none", pool_bytes = "8GiB", json_file, svg_file;
    int gpu = 0, numa = -1;
    unsigned rounds = 11;
    bool pool = false;

    void run() const {
        const barelink::machine m = machine_argument().read_with_cuda("measuring copies on this machine's GPUs");
        copies_report report;
        report.asked = parameters(m);
        report.facts = read_facts(m);
        const barelink::gpu_set allowed = detail::parse_relays(m, relays);
        measure(m, allowed, report);
        if (!svg_file.empty()) write_file(svg_file, size_plot_svg(copies_plot(report)));
        show(
            json_file, [&] { return copies_json(report); },
            [&] { return copies_text(report, barelink::text_style{colours()}); });
        if (!report.failures.empty()) refuse(barelink::errc::device, report.failures.front());
        if (!report.verified())
            barelink::detail::raise(
                barelink::error(barelink::errc::not_delivered,
                                "a copy reported success and the bytes that arrived are wrong: see the report"));
    }

private:
    [[nodiscard]] copies_parameters parameters(const barelink::machine& m) const {
        copies_parameters asked;
        asked.gpu = gpu;
        asked.rounds = rounds;
        asked.sizes = wanted_sizes();
        asked.pairs = pairs;
        asked.relays = relays;
        for (const std::string& each : cases)
            if (each != "none") asked.cases.push_back(each);
        if (pool) asked.pool_bytes = barelink::parse_size(pool_bytes.c_str()).value();
        asked.numa = bench_numa(m, gpu, numa);
        return asked;
    }
    /// In ascending order: those listed, or every fourth power of two and the last.
    [[nodiscard]] std::vector<std::uint64_t> wanted_sizes() const {
        std::vector<std::uint64_t> wanted;
        for (const std::string& each : sizes) wanted.push_back(barelink::parse_size(each.c_str()).value());
        if (sizes.empty()) {
            const std::uint64_t first = barelink::parse_size(from.c_str()).value();
            const std::uint64_t last = barelink::parse_size(to.c_str()).value();
            if (first > last) refuse(barelink::errc::invalid_argument, "--from is larger than --to");
            for (std::uint64_t size = first; size > 0 && size < last; size *= 4) wanted.push_back(size);
            wanted.push_back(last);
        }
        std::sort(wanted.begin(), wanted.end());
        wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
        if (wanted.front() == 0) refuse(barelink::errc::invalid_argument, "a copy of no bytes has no rate");
        for (const std::uint64_t size : wanted)
            if (size % 8 != 0) refuse(barelink::errc::invalid_argument, "sizes must be multiples of 8 bytes");
        return wanted;
    }
#if BARELINK_TOOL_CUDA
    /// `none`, `all` (each pair one way, the lower number first), or a list such as 0-1,3-2.
    [[nodiscard]] std::vector<gpu_pair> wanted_pairs(const barelink::machine& m) const {
        std::vector<gpu_pair> wanted;
        const int count = static_cast<int>(m.count(barelink::node_kind::gpu));
        if (pairs == "none" || std::find(cases.begin(), cases.end(), "pairs") == cases.end()) return wanted;
        if (pairs == "all") {
            for (int a = 0; a < count; ++a)
                for (int b = a + 1; b < count; ++b) wanted.push_back({a, b});
            return wanted;
        }
        std::istringstream list(pairs);
        for (std::string one; std::getline(list, one, ',');) {
            gpu_pair pair;
            char dash = 0;
            std::istringstream text(one);
            if (!(text >> pair.from >> dash >> pair.to) || dash != '-' || !text.eof() || pair.from == pair.to)
                refuse(barelink::errc::invalid_argument,
                       fmt::format("--pairs {}: write none, all or pairs of GPUs such as 0-1,2-3", pairs));
            for (const int each : {pair.from, pair.to})
                if (m.gpu(barelink::gpu_id{each}) == barelink::no_node)
                    refuse(barelink::errc::not_found, fmt::format("--pairs {}: there is no gpu:{}", pairs, each));
            wanted.push_back(pair);
        }
        return wanted;
    }
    void measure(const barelink::machine& m, barelink::gpu_set allowed, copies_report& report) const {
        copies_bench(m, report.asked, allowed, wanted_pairs(m), report).run();
    }
#else
    void measure(const barelink::machine&, barelink::gpu_set, copies_report&) const {} // read_with_cuda has refused
#endif
};

void add_bench_copies(CLI::App& bench) {
    CLI::App* command = bench.add_subcommand(
        "copies", "Barelink's copies and CUDA's own calls, in turn in one run, on this machine's GPUs; bytes verified");
    auto options = std::make_shared<bench_copies_options>();
    command->add_option("--from", options->from, "Smallest size; from there on every fourth power of two")
        ->type_name("SIZE")
        ->capture_default_str();
    command->add_option("--to", options->to, "Largest size; sizes that do not fit into free memory are skipped")
        ->type_name("SIZE")
        ->capture_default_str();
    command->add_option("--sizes", options->sizes, "These sizes instead, such as 4KiB,1MiB,1GiB")
        ->type_name("LIST")
        ->delimiter(',');
    command
        ->add_option("--cases", options->cases,
                     "Some of pinned-h2d, pinned-d2h, pageable-h2d, pageable-d2h, both, pairs; or none")
        ->type_name("LIST")
        ->delimiter(',')
        ->check(CLI::IsMember({"pinned-h2d", "pinned-d2h", "pageable-h2d", "pageable-d2h", "both", "pairs", "none"}));
    command->add_option("--gpu", options->gpu, "The GPU of the copies to and from host memory")
        ->type_name("N")
        ->capture_default_str();
    command->add_option("--numa", options->numa, "The NUMA node of the host memory (default: the GPU's)")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
    command
        ->add_option("--pairs", options->pairs,
                     "Copies between GPUs: none, all (each pair one way) or a list such as 0-1,2-3")
        ->type_name("PAIRS")
        ->capture_default_str();
    command
        ->add_option("--allow-relay,--gpus", options->relays,
                     "GPUs whose memory and links may carry Barelink's copies: all, none or a list such as 1,2,5")
        ->type_name("GPUS")
        ->capture_default_str();
    command->add_option("--rounds", options->rounds, "Samples of every way, taken in turn")
        ->type_name("N")
        ->check(CLI::Range(1u, 10000u))
        ->capture_default_str();
    command->add_flag("--pool", options->pool, "Also the time to make pinned memory: pinned_pool and cudaHostAlloc");
    command->add_option("--pool-bytes", options->pool_bytes, "How much pinned memory")
        ->type_name("SIZE")
        ->capture_default_str();
    command->add_option("--json", options->json_file, "Everything, samples included, into this file; - for stdout")
        ->type_name("FILE");
    command->add_option("--svg", options->svg_file, "Draw rates over sizes into this file")->type_name("FILE");
    command->callback([options] { options->run(); });
}

} // namespace

void add_bench_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand("bench", "Measure this machine's GPUs: Barelink next to CUDA's own calls");
    command->require_subcommand(1);
    add_bench_copies(*command);
    add_bench_blocks(*command);
    add_bench_load(*command);
    add_bench_broadcast(*command);
    add_bench_links(*command);
}

} // namespace tool
