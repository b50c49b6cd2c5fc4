// barelink bench load: a file into a GPU, by the ways that people write today and by barelink's.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <barelink/core/size_text.hpp>
#include <barelink/move/file.hpp>

#include "bench_load_host.hpp"
#include "bench_load_report.hpp"
#include "bench_place.hpp"
#include "commands.hpp"
#include "machine_argument.hpp"
#include "output.hpp"
#include "system_facts.hpp"
#if BARELINK_TOOL_CUDA
#include "bench_load.hpp"
#endif

namespace tool {
namespace {

struct bench_load_options {
    std::string file, make, folder = ".", chunk = "8MiB", ring = "256MiB", plain = "64MiB", json_file;
    std::vector<std::string> ways; ///< none: all that there are
    int gpu = 0, numa = -1;
    unsigned rounds = 5, workers = 8;
    bool threads = false;

    void run() const {
        if (file.empty() == make.empty())
            refuse(barelink::errc::invalid_argument, "name a FILE, or let one be made with --make SIZE");
        const barelink::machine m = machine_argument().read_with_cuda("loading a file into this machine's GPU");
        load_report report;
        load_parameters& asked = report.asked;
        asked.gpu = gpu;
        asked.numa = bench_numa(m, gpu, numa);
        asked.rounds = rounds;
        asked.workers = workers;
        asked.threads_only = threads;
        asked.liburing = barelink::liburing_enabled;
        asked.ways = ways;

        asked.chunk_bytes = barelink::parse_size(chunk.c_str()).value();
        asked.ring_bytes = barelink::parse_size(ring.c_str()).value();
        asked.plain_bytes = barelink::parse_size(plain.c_str()).value();
        if (asked.chunk_bytes == 0 || asked.chunk_bytes % 4096 != 0 || asked.plain_bytes == 0)
            refuse(barelink::errc::invalid_argument,
                   "chunks are multiples of 4 KiB, and nothing is read in pieces of no bytes");
        // As deep as the ring: io_uring has as many reads under way, and the yardstick must not be the weaker one.
        const std::uint64_t chunks = std::clamp<std::uint64_t>(asked.ring_bytes / asked.chunk_bytes, workers, 256);
        asked.storage_reads = static_cast<std::uint32_t>(chunks);
        std::optional<made_file> mine;
        asked.file = file;
        if (!make.empty()) {
            remark("making a file of " + make + " in " + folder);
            mine.emplace(folder, barelink::parse_size(make.c_str()).value());
            asked.file = mine->path();
            asked.made = true;
        }
        asked.bytes = barelink::source_file::open(asked.file.c_str()).value().bytes();
        if (asked.bytes == 0) refuse(barelink::errc::invalid_argument, "an empty file has no rate");
        if (ways.empty()) asked.ways = usual_ways(asked.file);
        report.facts = read_facts(m);
        std::tie(report.file_system, report.block_device) = storage_of(asked.file);
        measure(m, report);
        show(
            json_file, [&] { return load_json(report); },
            [&] { return load_text(report, barelink::text_style{colours()}); });
        if (!report.verified())
            refuse(barelink::errc::not_delivered,
                   "a load reported success and the bytes on the GPU are wrong: see the report");
    }

private:
    [[nodiscard]] static std::vector<std::string> usual_ways(const std::string& of) {
        std::vector<std::string> all = {"mmap", "read", "direct", "barelink", "storage", "link"};
        const auto opened = barelink::source_file::open(of.c_str()).value();
        barelink::detail::file_uring ring;
        if (barelink::liburing_enabled && opened.direct_descriptor() >= 0 && ring.open(1) == 0)
            all.insert(all.end() - 1, "storage-uring");
        return all;
    }
#if BARELINK_TOOL_CUDA
    static void measure(const barelink::machine& m, load_report& report) {
        load_bench(m, report).run();
    }
#else
    static void measure(const barelink::machine&, load_report&) {} // read_with_cuda has refused
#endif
};

} // namespace

void add_bench_load(CLI::App& bench) {
    CLI::App* command = bench.add_subcommand(
        "load", "A file into a GPU from a cold cache: mmap, read, direct reads and Barelink, in turn in "
                "one run; bytes verified, memory counted");
    auto options = std::make_shared<bench_load_options>();
    command->add_option("file", options->file, "The file; nothing is written to it")->type_name("FILE");
    command->add_option("--make", options->make, "Make a file of this size instead, and remove it afterwards")
        ->type_name("SIZE");
    command->add_option("--folder", options->folder, "Where to make it")->type_name("FOLDER")->capture_default_str();
    command
        ->add_option(
            "--ways", options->ways,
            "Some of mmap, read, direct, barelink, and what storage (threads), storage-uring and link do alone")
        ->type_name("LIST")
        ->delimiter(',')
        ->check(CLI::IsMember({"mmap", "read", "direct", "barelink", "storage", "storage-uring", "link"}));
    command->add_option("--gpu", options->gpu, "The GPU")->type_name("N")->capture_default_str();
    command->add_option("--numa", options->numa, "The NUMA node of the memory to check with (default: the GPU's)")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
    command->add_option("--rounds", options->rounds, "Samples of every way, taken in turn")
        ->type_name("N")
        ->check(CLI::Range(1u, 1000u))
        ->capture_default_str();
    command->add_option("--chunk", options->chunk, "Size of a direct read")->type_name("SIZE")->capture_default_str();
    command->add_option("--ring", options->ring, "Pinned memory of Barelink, at most")
        ->type_name("SIZE")
        ->capture_default_str();
    command->add_option("--plain", options->plain, "Size of a plain read and copy")
        ->type_name("SIZE")
        ->capture_default_str();
    command->add_option("--workers", options->workers, "Reads at once of Barelink's threads")
        ->type_name("N")
        ->check(CLI::Range(1u, 256u))
        ->capture_default_str();
    command->add_flag("--threads", options->threads, "Barelink reads with threads, also where io_uring could be used");
    command->add_option("--json", options->json_file, "Everything, samples included, into this file; - for stdout")
        ->type_name("FILE");
    command->callback([options] { options->run(); });
}

} // namespace tool
