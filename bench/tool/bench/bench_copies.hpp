// The benchmark of copies on live GPUs: its cases, their memory, the sizes that fit.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <barelink/move/pinned_pool.hpp>

#include "bench_sampler.hpp"
#include "output.hpp"

namespace tool {

struct gpu_pair {
    int from = 0, to = 0;
};

/// Runs what `asked` names and fills in the report. One use. Throws what keeps it from going on.
class copies_bench {
public:
    copies_bench(const barelink::machine& m, const copies_parameters& asked, barelink::gpu_set relays,
                 std::vector<gpu_pair> pairs, copies_report& into)
        : asked_(asked), pairs_(std::move(pairs)), report_(into), runtime_(m, in_one_piece()),
          gpu_(m.gpu(barelink::gpu_id{asked.gpu})), host_(m.memory(barelink::numa_id{asked.numa})),
          main_(runtime_.make_stream(gpu_).value()), second_(runtime_.make_stream(gpu_).value()),
          access_(runtime_, host_), mover_(runtime_, movers_options(relays)) {
        barelink::memcpy_options options;
        options.relays = relays;
        barelink::cuda::check(barelink::memcpy_configure(options, m), "setting the drop-in functions up").value();
    }

    void run() {
        const barelink::cuda::detail::device_scope scope(device_of(gpu_)); // so that no other GPU gets a context
        // Before anything opens peer access: it cannot be told apart afterwards.
        std::vector<case_result> closed;
        for (const gpu_pair pair : pairs_) closed.push_back(run_pair(pair, {copy_way::raw_no_peer_access}));
        for (const std::string& name : asked_.cases)
            if (name != "pairs") report_.cases.push_back(run_host(name));
        for (std::size_t i = 0; i < pairs_.size(); ++i)
            report_.cases.push_back(joined(std::move(closed[i]), run_pair(pairs_[i], in_turn())));
        note_fallbacks();
        if (asked_.pool_bytes > 0) guard("pool", [&] { run_pool(); });
        progress("");
    }

private:
    using memories = std::deque<bench_memory>; // their addresses stay

    [[nodiscard]] static barelink::cuda::options in_one_piece() {
        barelink::cuda::options options;
        options.register_bytes = barelink::max_transfer_bytes; // the raw call cannot straddle two registrations
        return options;
    }
    [[nodiscard]] static barelink::mover_options movers_options(barelink::gpu_set relays) {
        barelink::mover_options options;
        options.relays = relays;
        return options;
    }
    [[nodiscard]] static std::vector<copy_way> in_turn() {
        return {copy_way::raw, copy_way::memcpy_async, copy_way::mover};
    }
    /// For people at a terminal alone.
    static void progress(const std::string& said) {
        if (::isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\x1b[K%s", said.c_str());
    }

    /// `pinned-h2d`, `pinned-d2h`, `pageable-h2d`, `pageable-d2h`, `both`.
    [[nodiscard]] case_result run_host(const std::string& name) {
        const bool pageable = name.rfind("pageable", 0) == 0, both = name == "both";
        const bool up = both || name.ends_with("h2d"), down = both || name.ends_with("d2h");
        const std::string host = (pageable ? "pageable:" : "host:") + std::to_string(asked_.numa);
        const std::string gpu = "gpu:" + std::to_string(asked_.gpu);
        case_result found;
        found.name = name;
        found.from = up ? host : gpu;
        found.to = up ? gpu : host;
        found.directions = both ? 2 : 1;
        found.title = (pageable ? "pageable memory, " : "pinned memory, ") + found.from +
                      (both ? " \u2194 " : " \u2192 ") + found.to + (both ? ", both directions together" : "");
        run_sizes(found, in_turn(), {{host_, found.directions}, {gpu_, found.directions}},
                  [&](std::uint64_t bytes, memories& own) {
                      std::vector<copy_way_ends> ends;
                      for (const bool upwards : {true, false}) {
                          if (upwards ? !up : !down) continue;
                          const barelink::region& on_host = own.emplace_back(runtime_, host_, pageable, bytes).memory();
                          const barelink::region& on_gpu = own.emplace_back(runtime_, gpu_, false, bytes).memory();
                          ends.push_back(upwards ? copy_way_ends{on_host, on_gpu, -1, device_of(gpu_), main_}
                                                 : copy_way_ends{on_gpu, on_host, device_of(gpu_), -1, second_});
                      }
                      return ends;
                  });
        return found;
    }

    [[nodiscard]] case_result run_pair(gpu_pair pair, const std::vector<copy_way>& ways) {
        const barelink::machine& m = runtime_.topology();
        const barelink::node_index from = m.gpu(barelink::gpu_id{pair.from}), to = m.gpu(barelink::gpu_id{pair.to});
        case_result found;
        found.from = m.at(from).id();
        found.to = m.at(to).id();
        found.name = found.from + "-" + found.to;
        found.title = found.from + " \u2192 " + found.to;
        const barelink::cuda::stream stream = runtime_.make_stream(from).value();
        run_sizes(found, ways, {{from, 1}, {to, 1}}, [&](std::uint64_t bytes, memories& own) {
            const barelink::region& source = own.emplace_back(runtime_, from, false, bytes).memory();
            const barelink::region& target = own.emplace_back(runtime_, to, false, bytes).memory();
            return std::vector<copy_way_ends>{{source, target, device_of(from), device_of(to), stream}};
        });
        (void)runtime_.destroy(stream);
        if (const barelink::dma_path* path = m.path(from, to))
            found.proof = path->allowed ? to_string(path->proof) : "not allowed";
        return found;
    }
    /// The pair's ways of before its peer access was opened come first.
    [[nodiscard]] static case_result joined(case_result closed, case_result open) {
        for (size_result& size : open.sizes)
            for (size_result& earlier : closed.sizes)
                if (earlier.bytes == size.bytes)
                    size.ways.insert(size.ways.begin(), earlier.ways.begin(), earlier.ways.end());
        return open;
    }

    struct need {
        barelink::node_index where;
        unsigned buffers;
    };
    /// Why buffers of this size do not fit; empty when they do. Some of all memory stays free for rings and the driver.
    [[nodiscard]] std::string too_large(std::uint64_t bytes, const std::vector<need>& needs) const {
        for (const need& each : needs) {
            std::size_t left = 0, all = 0;
            const barelink::node& node = runtime_.topology().at(each.where);
            if (node.kind == barelink::node_kind::memory) {
                left = barelink::detail::fillable_bytes();
            } else {
                const barelink::cuda::detail::device_scope scope(device_of(each.where));
                if (cudaMemGetInfo(&left, &all) != cudaSuccess) (void)cudaGetLastError(), left = ~std::size_t{0};
            }
            const std::uint64_t wanted = each.buffers * bytes + barelink::GiB;
            if (wanted > left)
                return fmt::format("{} has {} left, {} are needed", node.id(), barelink::format_bytes(left),
                                   barelink::format_bytes(wanted));
        }
        return {};
    }
    /// What fails ends its own case: figures on a lent machine are not to be lost for one that comes last.
    template <class Do>
    void guard(const std::string& name, Do work) {
        try {
            work();
        } catch (const barelink::error& failure) {
            report_.failures.push_back(name + ": " + failure.what());
        }
    }
    /// One set of buffers as large as the largest size that fits serves all sizes.
    template <class Make>
    void run_sizes(case_result& into, const std::vector<copy_way>& ways, const std::vector<need>& needs, Make make) {
        std::vector<std::uint64_t> sizes = asked_.sizes;
        memories own;
        const auto skip_largest = [&](const std::string& why) {
            if (ways.front() != copy_way::raw_no_peer_access) // said once
                report_.skipped.push_back({into.name, why, sizes.back()});
            sizes.pop_back();
            own.clear();
        };
        guard(into.name, [&] {
            std::vector<copy_way_ends> ends;
            while (!sizes.empty() && ends.empty()) {
                progress(into.title + ": making " + barelink::format_bytes(sizes.back()) + " of memory");
                if (const std::string why = too_large(sizes.back(), needs); !why.empty()) {
                    skip_largest(why);
                    continue;
                }
                try {
                    ends = make(sizes.back(), own);
                } catch (const barelink::error& failure) {
                    if (failure.code() != barelink::errc::out_of_memory) throw;
                    skip_largest(failure.what());
                }
            }
            for (const copy_way_ends& each : ends) access_.fill(each.from, content::pattern);
            sampler samples(mover_, access_, ends);
            for (const std::uint64_t bytes : sizes) {
                progress(into.title + ": " + barelink::format_bytes(bytes));
                into.sizes.push_back({bytes, samples.run(ways, bytes, asked_.rounds, asked_.least_sample_us)});
            }
        });
    }

    void note_fallbacks() {
        const barelink::memcpy_counters counted = barelink::memcpy_counted();
        if (counted.fallbacks > 0)
            report_.notes.push_back(
                fmt::format("memcpy_async left {} copies to CUDA that it could not plan, the last: {}",
                            counted.fallbacks, barelink::memcpy_why()));
        if (mover_.counters().fallbacks > 0)
            report_.notes.push_back(
                fmt::format("{} copies of the mover did not go as planned", mover_.counters().fallbacks));
    }
    /// Made, pinned, freed: in turn with CUDA's own. A first, small one of each is not counted.
    void run_pool() {
        using pool_type = barelink::pinned_pool<barelink::cuda::runtime>;
        pool_result& found = report_.pool.emplace();
        found.bytes = asked_.pool_bytes;
        const auto pool = [&](std::uint64_t bytes, bool noted) {
            pool_type made = pool_type::on(runtime_, barelink::numa_id{asked_.numa}).value();
            const double before = wall_us();
            (void)made.take(bytes).value();
            const double us = wall_us() - before;
            if (noted) found.notes = made.notes();
            return us * 1e-6;
        };
        const auto raw = [&](std::uint64_t bytes) {
            void* made = nullptr;
            const double before = wall_us();
            barelink::cuda::check(cudaHostAlloc(&made, bytes, cudaHostAllocPortable), "cudaHostAlloc").value();
            const double us = wall_us() - before;
            barelink::cuda::check(cudaFreeHost(made), "freeing pinned memory").value();
            return us * 1e-6;
        };
        (void)pool(barelink::MiB, false);
        (void)raw(barelink::MiB);
        for (int round = 0; round < 3; ++round) {
            progress("pinning " + barelink::format_bytes(found.bytes));
            if (round % 2 == 0) found.pool_s.push_back(pool(found.bytes, true));
            found.raw_s.push_back(raw(found.bytes));
            if (round % 2 == 1) found.pool_s.push_back(pool(found.bytes, true));
        }
    }
    [[nodiscard]] int device_of(barelink::node_index gpu) const noexcept { return runtime_.device_of(gpu); }

    copies_parameters asked_;
    std::vector<gpu_pair> pairs_;
    copies_report& report_;
    barelink::cuda::runtime runtime_;
    barelink::node_index gpu_, host_;
    barelink::cuda::stream main_, second_;
    memory_access access_;
    cuda_mover mover_;
};

} // namespace tool
