// The benchmark of loading a file into a GPU: every way in turn, from a cold cache.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <barelink/move/file.hpp>

#include "bench_load_host.hpp"
#include "bench_load_report.hpp"
#include "bench_sampler.hpp"

namespace tool {

/// Runs what `asked` names and fills in the report. One use. Throws what keeps it from going on.
class load_bench {
public:
    load_bench(const barelink::machine& m, load_report& into)
        : asked_(into.asked), report_(into), runtime_(m), gpu_(m.gpu(barelink::gpu_id{asked_.gpu})),
          host_(m.memory(barelink::numa_id{asked_.numa})), stream_(runtime_.make_stream(gpu_).value()),
          on_gpu_(runtime_, gpu_, false, asked_.bytes), bounce_(runtime_, host_, false, piece_bytes) {}

    void run() {
        const barelink::cuda::detail::device_scope scope(
            runtime_.device_of(gpu_)); // so that no other GPU gets a context
        warm_up();
        const std::vector<std::pair<const char*, std::function<void(load_way&)>>> known = {
            {"mmap", [&](load_way&) { by_mmap(); }},
            {"read", [&](load_way&) { by_read(); }},
            {"direct", [&](load_way& way) { by_direct(way); }},
            {"barelink", [&](load_way& way) { by_barelink(way); }},
            {"storage", [&](load_way&) { read_alone(open(), asked_.chunk_bytes, asked_.storage_reads); }},
            {"storage-uring",
             [&](load_way&) {
                 if (!read_alone_by_uring(open(), asked_.chunk_bytes, asked_.storage_reads))
                     barelink::detail::raise(barelink::error(barelink::errc::unsupported,
                                                             "no io_uring for this file: leave out "
                                                             "storage-uring in --ways"));
             }},
            {"link", [&](load_way& way) { link_alone(way); }}};
        std::vector<std::function<void(load_way&)>> calls;
        for (const auto& [name, call] : known)
            if (std::find(asked_.ways.begin(), asked_.ways.end(), name) != asked_.ways.end()) {
                load_way made;
                made.way = name;
                made.moves = made.way != "storage" && made.way != "storage-uring" && made.way != "link";
                report_.ways.push_back(std::move(made));
                calls.push_back(call);
            }
        for (unsigned round = 0; round < asked_.rounds; ++round)
            for (std::size_t i = 0; i < calls.size(); ++i) {
                const std::size_t at = round % 2 == 0 ? i : calls.size() - 1 - i;
                sample(report_.ways[at], calls[at], round);
            }
        for (const load_way& way : report_.ways)
            if (*std::max_element(way.cached.begin(), way.cached.end()) > 0.01)
                report_.notes.push_back(way.way + ": the cache could not be emptied before every sample; its rates are "
                                                  "too good");
        progress("");
    }

private:
    static constexpr std::uint64_t piece_bytes = 32 * barelink::MiB;

    static void progress(const std::string& said) {
        if (::isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\x1b[K%s", said.c_str());
    }
    [[nodiscard]] barelink::source_file open() const {
        return barelink::source_file::open(asked_.file.c_str()).value();
    }
    static void check(cudaError_t code, const char* doing) { barelink::cuda::check(code, doing).value(); }
    void synchronize() const { check(cudaStreamSynchronize(stream_.handle), "waiting for the copies"); }
    [[nodiscard]] char* target() const noexcept { return static_cast<char*>(on_gpu_.memory().base); }

    /// The GPU's memory is there, and so is what the driver keeps.
    void warm_up() {
        check(cudaMemset(target(), 0, asked_.bytes), "clearing the GPU's memory");
        check(cudaDeviceSynchronize(), "clearing the GPU's memory");
    }
    void sample(load_way& way, const std::function<void(load_way&)>& call, unsigned round) {
        progress(fmt::format("round {} of {}: {}", round + 1, asked_.rounds, way.way));
        const bool verifies = way.moves && round == 0;
        if (verifies) warm_up();
        way.cached.push_back(make_cold(open()));
        forget_peak();
        const double memory_before = memory_line("VmRSS:"), before = wall_us();
        call(way);
        way.s.push_back((wall_us() - before) * 1e-6 - tidying_s_);
        way.peak.push_back(std::max(0.0, memory_line("VmHWM:") - memory_before));
        tidying_s_ = 0;
        if (verifies) way.verified = holds_the_file();
    }
    /// Against an ordinary reading of the file.
    [[nodiscard]] bool holds_the_file() {
        const barelink::source_file file = open();
        const mapped_file content(file);
        for (std::uint64_t at = 0; at < asked_.bytes; at += piece_bytes) {
            const std::uint64_t bytes = std::min(piece_bytes, asked_.bytes - at);
            check(cudaMemcpy(bounce_.memory().base, target() + at, bytes, cudaMemcpyDeviceToHost), "reading back");
            if (std::memcmp(bounce_.memory().base, content.data() + at, bytes) != 0) return false;
        }
        return true;
    }

    void by_mmap() {
        const barelink::source_file file = open();
        const mapped_file content(file);
        for (std::uint64_t at = 0; at < asked_.bytes; at += asked_.plain_bytes)
            check(cudaMemcpy(target() + at, content.data() + at, std::min(asked_.plain_bytes, asked_.bytes - at),
                             cudaMemcpyHostToDevice),
                  "copying a mapped file");
        check(cudaDeviceSynchronize(), "copying a mapped file");
    }
    void by_read() {
        const barelink::source_file file = open();
        std::vector<char> memory(std::min(asked_.plain_bytes, asked_.bytes));
        for (std::uint64_t at = 0; at < asked_.bytes;) {
            const ssize_t got =
                ::read(file.descriptor(), memory.data(), std::min<std::uint64_t>(memory.size(), asked_.bytes - at));
            if (got <= 0) barelink::detail::raise(barelink::detail::file_error(file.path(), "cannot be read", errno));
            check(cudaMemcpy(target() + at, memory.data(), static_cast<std::size_t>(got), cudaMemcpyHostToDevice),
                  "copying what was read");
            at += static_cast<std::uint64_t>(got);
        }
        check(cudaDeviceSynchronize(), "copying what was read");
    }
    /// One thread, two pinned buffers: while one is copied the other is read.
    void by_direct(load_way& way) {
        const barelink::source_file file = open();
        const bool direct = file.direct_descriptor() >= 0;
        if (!direct && way.notes.empty())
            way.notes.emplace_back("no direct access (O_DIRECT); read through the page cache");
        void* memory[2] = {};
        cudaEvent_t copied[2] = {};
        for (int b = 0; b < 2; ++b) {
            check(cudaHostAlloc(&memory[b], asked_.chunk_bytes, cudaHostAllocDefault), "pinning a buffer");
            check(cudaEventCreateWithFlags(&copied[b], cudaEventDisableTiming), "making an event");
        }
        way.pinned = 2 * asked_.chunk_bytes;
        for (std::uint64_t at = 0, turn = 0; at < asked_.bytes; ++turn) {
            const std::uint64_t b = turn % 2;
            check(cudaEventSynchronize(copied[b]), "waiting for a buffer");
            const ssize_t got = ::pread(direct ? file.direct_descriptor() : file.descriptor(), memory[b],
                                        asked_.chunk_bytes, static_cast<off_t>(at));
            if (got <= 0) barelink::detail::raise(barelink::detail::file_error(file.path(), "cannot be read", errno));
            check(cudaMemcpyAsync(target() + at, memory[b], static_cast<std::size_t>(got), cudaMemcpyHostToDevice,
                                  stream_.handle),
                  "copying a buffer");
            check(cudaEventRecord(copied[b], stream_.handle), "recording an event");
            at += static_cast<std::uint64_t>(got);
        }
        synchronize();
        tidy([&] {
            for (int b = 0; b < 2; ++b) {
                (void)cudaFreeHost(memory[b]);
                (void)cudaEventDestroy(copied[b]);
            }
        });
    }
    void by_barelink(load_way& way) {
        const barelink::source_file file = open();
        barelink::file_options options;
        options.chunk_bytes = asked_.chunk_bytes;
        options.ring_bytes = asked_.ring_bytes;
        options.workers = asked_.workers;
        if (asked_.threads_only) options.reads = barelink::file_options::engine::threads;
        auto mover = std::make_unique<barelink::file_mover<barelink::cuda::runtime>>(runtime_, options);
        const barelink::file_range range{&file, 0, asked_.bytes, target()};
        const auto job = mover->load({&range, 1}, stream_).value();
        job.wait().value();
        tidy([&] {
            way.pinned = mover->ring_bytes();
            way.notes = job.notes();
            mover.reset();
        });
    }
    /// The same bytes from pinned memory that is there already.
    void link_alone(load_way& way) {
        way.pinned = piece_bytes;
        for (std::uint64_t at = 0; at < asked_.bytes; at += piece_bytes)
            check(cudaMemcpyAsync(target() + at, bounce_.memory().base, std::min(piece_bytes, asked_.bytes - at),
                                  cudaMemcpyHostToDevice, stream_.handle),
                  "copying pinned memory");
        synchronize();
    }
    /// Giving memory back is not part of a load: what it takes is left out of the sample.
    template <class Do>
    void tidy(Do what) {
        const double before = wall_us();
        what();
        tidying_s_ += (wall_us() - before) * 1e-6;
    }

    const load_parameters& asked_;
    load_report& report_;
    barelink::cuda::runtime runtime_;
    barelink::node_index gpu_, host_;
    barelink::cuda::stream stream_;
    bench_memory on_gpu_, bounce_;
    double tidying_s_ = 0;
};

} // namespace tool
