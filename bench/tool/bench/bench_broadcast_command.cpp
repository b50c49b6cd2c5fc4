// barelink bench broadcast: the same bytes to every GPU, parts to each, parts back, parts to each other; by barelink and by hand.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <barelink/core/size_text.hpp>

#include "bench_broadcast_report.hpp"
#include "commands.hpp"
#include "machine_argument.hpp"
#include "output.hpp"
#include "system_facts.hpp"
#include "transfer_argument.hpp"
#if BARELINK_TOOL_CUDA
#include "bench_broadcast.hpp"
#endif

namespace tool {
namespace {

struct bench_broadcast_options {
    std::vector<std::string> sizes = {"64MiB", "1GiB", "8GiB"};
    std::vector<std::string> cases = {"broadcast", "scatter", "gather", "exchange"};
    std::string relays = "none", json_file;
    unsigned rounds = 11;

    void run() const {
        const barelink::machine m = machine_argument().read_with_cuda("broadcasting to this machine's GPUs");
        broadcast_report report;
        report.asked.rounds = rounds;
        report.asked.cases = cases;
        report.asked.relays = relays;
        report.asked.sizes = wanted_sizes();
        report.facts = read_facts(m);
        measure(m, detail::parse_relays(m, relays), report);
        show(
            json_file, [&] { return broadcast_json(report); },
            [&] { return broadcast_text(report, barelink::text_style{colours()}); });
        if (!report.failures.empty()) refuse(barelink::errc::device, report.failures.front());
        if (!report.verified())
            refuse(barelink::errc::not_delivered,
                   "copies were reported as done and the bytes that arrived are wrong: see the report");
    }

private:
    [[nodiscard]] std::vector<std::uint64_t> wanted_sizes() const {
        std::vector<std::uint64_t> wanted;
        for (const std::string& each : sizes) {
            wanted.push_back(barelink::parse_size(each.c_str()).value());
            // A part of it for each GPU, each a multiple of 8 bytes.
            if (wanted.back() < 64 * barelink::KiB || wanted.back() % 8 != 0)
                refuse(barelink::errc::invalid_argument, "sizes must be multiples of 8 bytes, from 64 KiB on");
        }
        std::sort(wanted.begin(), wanted.end());
        wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
        return wanted;
    }
#if BARELINK_TOOL_CUDA
    static void measure(const barelink::machine& m, barelink::gpu_set relays, broadcast_report& report) {
        broadcast_bench(m, relays, report).run();
    }
#else
    static void measure(const barelink::machine&, barelink::gpu_set, broadcast_report&) {} // read_with_cuda has refused
#endif
};

} // namespace

void add_bench_broadcast(CLI::App& bench) {
    CLI::App* command = bench.add_subcommand(
        "broadcast",
        "Broadcast, scatter, gather and exchange over all GPUs: Barelink and the loops that programs have, "
        "in turn in one run; bytes verified");
    auto options = std::make_shared<bench_broadcast_options>();
    command
        ->add_option(
            "--sizes", options->sizes,
            "Bytes in host memory, and on each GPU of an exchange; what does not fit into free memory is skipped")
        ->type_name("LIST")
        ->delimiter(',')
        ->capture_default_str();
    command->add_option("--cases", options->cases, "Some of broadcast, scatter, gather, exchange")
        ->type_name("LIST")
        ->delimiter(',')
        ->check(CLI::IsMember({"broadcast", "scatter", "gather", "exchange"}))
        ->capture_default_str();
    command
        ->add_option(
            "--allow-relay", options->relays,
            "GPUs that may carry parts of others' scatter, gather and exchange: all, none or a list such as 1,2,5")
        ->type_name("GPUS")
        ->capture_default_str();
    command->add_option("--rounds", options->rounds, "Samples of every way, taken in turn")
        ->type_name("N")
        ->check(CLI::Range(1u, 10000u))
        ->capture_default_str();
    command->add_option("--json", options->json_file, "Everything, samples included, into this file; - for stdout")
        ->type_name("FILE");
    command->callback([options] { options->run(); });
}

} // namespace tool
