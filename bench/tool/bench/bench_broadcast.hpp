// The benchmark of broadcasts and their kin on live GPUs: memory, the ways in turn, every byte checked.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench_broadcast_result.hpp"
#include "bench_sampler.hpp"
#include "copy/cuda_copy.hpp"
#include "output.hpp"

namespace tool {

/// Runs what `asked` names and fills in the report. One use. Throws what keeps it from going on.
class broadcast_bench {
public:
    broadcast_bench(const barelink::machine& m, barelink::gpu_set relays, broadcast_report& into)
        : report_(into), asked_(into.asked), runtime_(m), mover_(runtime_, movers_options(relays)),
          access_(runtime_, m.all(barelink::node_kind::memory).front()) {
        for (const barelink::node_index gpu : m.all(barelink::node_kind::gpu))
            if (runtime_.device_of(gpu) >= 0) gpus_.push_back(gpu);
        for (const barelink::node_index gpu : gpus_) {
            streams_.push_back(runtime_.make_stream(gpu).value());
            done_.push_back(runtime_.make_event(gpu, false).value());
        }
        main_ = runtime_.make_stream(gpus_.front()).value();
        forked_ = runtime_.make_event(gpus_.front(), false).value();
        loaded_ = runtime_.make_event(gpus_.front(), false).value();
        begin_ = runtime_.make_event(gpus_.front(), true).value();
        end_ = runtime_.make_event(gpus_.front(), true).value();
    }

    void run() {
        const barelink::cuda::detail::device_scope scope(runtime_.device_of(gpus_.front()));
        const auto fitting = what_fits();
        make_memory(fitting);
        for (const auto& [name, bytes] : fitting) {
            try {
                run_cell(name, bytes);
            } catch (
                const barelink::error& failure) { // figures on a lent machine are not to be lost for one that fails
                report_.failures.push_back(
                    fmt::format("{}, {}: {}", name, barelink::format_bytes(bytes), failure.what()));
            }
        }
        if (mover_.counters().fallbacks > 0)
            report_.notes.push_back(
                fmt::format("{} calls of the mover did not go as planned", mover_.counters().fallbacks));
        progress("");
    }

private:
    using cell_list = std::vector<std::pair<std::string, std::uint64_t>>;

    [[nodiscard]] static barelink::mover_options movers_options(barelink::gpu_set relays) {
        barelink::mover_options options;
        options.relays = relays;
        return options;
    }
    /// For people at a terminal alone.
    static void progress(const std::string& said) {
        if (::isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\x1b[K%s", said.c_str());
    }
    static void check(cudaError_t code, const char* doing) { barelink::cuda::check(code, doing).value(); }

    // Memory.

    /// On one GPU. Of an exchange the half that is given and the half that comes.
    [[nodiscard]] std::uint64_t gpu_bytes(const std::string& name, std::uint64_t bytes) const {
        return name == "broadcast" ? bytes : name == "exchange" ? 2 * bytes : bytes / gpus_.size();
    }
    /// Some of all memory stays free, for rings and the driver. Simulated GPUs keep their bytes in the host's.
    [[nodiscard]] std::string why_too_large(const std::string& name, std::uint64_t bytes) const {
        const std::uint64_t on_gpu = gpu_bytes(name, bytes), on_host = name == "exchange" ? 0 : bytes;
        const auto say = [](const std::string& where, std::uint64_t left, std::uint64_t wanted) {
            return fmt::format("{} has {} left, {} are needed", where, barelink::format_bytes(left),
                               barelink::format_bytes(wanted));
        };
        for (const barelink::node_index gpu : gpus_) {
            std::size_t left = 0, all = 0;
            const barelink::cuda::detail::device_scope scope(runtime_.device_of(gpu));
            if (cudaMemGetInfo(&left, &all) != cudaSuccess) (void)cudaGetLastError(), left = ~std::size_t{0};
            if (on_gpu + barelink::GiB > left)
                return say(runtime_.topology().at(gpu).id(), left, on_gpu + barelink::GiB);
        }
        const std::uint64_t left = barelink::detail::fillable_bytes();
        const std::uint64_t wanted = barelink::GiB + on_host + (report_.facts.simulated ? gpus_.size() * on_gpu : 0);
        return wanted > left ? say("the host", left, wanted) : std::string();
    }
    [[nodiscard]] cell_list what_fits() {
        cell_list fitting;
        for (const std::string& name : asked_.cases) {
            if (name == "exchange" && gpus_.size() < 2) {
                report_.notes.push_back("exchange: this machine has one GPU");
                continue;
            }
            for (const std::uint64_t bytes : asked_.sizes)
                if (std::string why = why_too_large(name, bytes); why.empty())
                    fitting.emplace_back(name, bytes);
                else
                    report_.skipped.push_back({name, std::move(why), bytes});
        }
        return fitting;
    }
    /// One buffer a place, as large as the largest cell needs.
    void make_memory(const cell_list& cells) {
        std::uint64_t on_gpu = 8, on_host = 8;
        for (const auto& [name, bytes] : cells) {
            on_gpu = std::max(on_gpu, gpu_bytes(name, bytes));
            if (name != "exchange") on_host = std::max(on_host, bytes);
        }
        progress(fmt::format("making {} of host memory and {} on each of {} GPUs", barelink::format_bytes(on_host),
                             barelink::format_bytes(on_gpu), gpus_.size()));
        host_ = std::make_unique<cuda_end>(runtime_, barelink::endpoint::host_all(), on_host);
        host_->add_notes(report_.notes);
        for (const barelink::node_index gpu : gpus_) on_gpu_.emplace_back(runtime_, gpu, false, on_gpu);
        const barelink::placement& where = host_->memory().where;
        report_.asked.stripe_bytes = where.stripe_bytes > 0 ? where.stripe_bytes : barelink::GiB;
        report_.asked.numa_nodes = runtime_.topology().count(barelink::node_kind::memory);
    }
    [[nodiscard]] std::uint64_t shard_bytes(std::uint64_t bytes) const { return bytes / gpus_.size() / 8 * 8; }

    // A cell.

    struct ends {
        std::string name;
        std::uint64_t bytes = 0, shard = 0;
        barelink::region host;
        std::vector<barelink::region> given, got; ///< on the GPUs: `given` of gather and exchange, `got` of the others
    };

    [[nodiscard]] ends ends_of(const std::string& name, std::uint64_t bytes) const {
        ends e{name, bytes, shard_bytes(bytes), {}, {}, {}};
        const bool parts = name == "scatter" || name == "gather", swaps = name == "exchange";
        if (!swaps) e.host = host_->memory().part(0, parts ? e.shard * gpus_.size() : bytes);
        const std::uint64_t each = parts ? e.shard : swaps ? e.shard * gpus_.size() : bytes;
        for (const bench_memory& gpu : on_gpu_) {
            if (name == "gather" || swaps) e.given.push_back(gpu.memory().part(0, each));
            if (name != "gather") e.got.push_back(gpu.memory().part(swaps ? each : 0, each));
        }
        return e;
    }
    /// What is there before: the pattern, one of its parts on each GPU.
    void fill_sources(const ends& e) const {
        if (e.name == "broadcast" || e.name == "scatter") access_.fill(e.host, content::pattern);
        for (std::size_t i = 0; i < e.given.size(); ++i)
            access_.fill(e.given[i], content::pattern, i * e.given[i].bytes);
    }
    void clear_targets(const ends& e) const {
        if (e.name == "gather") access_.fill(e.host, content::complement);
        for (const barelink::region& each : e.got) access_.fill(each, content::complement);
    }
    [[nodiscard]] bool targets_hold(const ends& e) const {
        if (e.name == "gather") return access_.holds_pattern(e.host);
        bool right = true;
        for (std::size_t i = 0; i < e.got.size(); ++i) {
            if (e.name != "exchange") {
                right = access_.holds_pattern(e.got[i], e.name == "scatter" ? i * e.shard : 0) && right;
                continue;
            }
            for (std::size_t from = 0; from < e.got.size(); ++from)
                if (from != i)
                    right = access_.holds_pattern(e.got[i].part(from * e.shard, e.shard),
                                                  from * e.given[from].bytes + i * e.shard) &&
                            right;
        }
        return right;
    }

    /// What barelink plans for it. Proves and opens paths between GPUs, before any way is timed.
    void plan(const ends& e, broadcast_cell& into) {
        if (e.name == "broadcast") {
            const barelink::broadcast_plan& p = *mover_.plan_for(e.got, e.host).value();
            into.moved = e.bytes;
            into.bound_gb_s = p.bound_gb_s;
            into.predicted_us = p.predicted_us;
            into.copies = p.trees.size();
            return;
        }
        const auto list = e.name == "scatter"  ? barelink::scattered(e.got, e.host)
                          : e.name == "gather" ? barelink::gathered(e.host, e.given)
                                               : barelink::exchanged(e.got, e.given);
        list.value();
        for (const barelink::transfer& each : *list) into.moved += each.src.bytes;
        const auto plans = mover_.plans_for(*list).value();
        for (const barelink::plan& each : plans) {
            into.bound_gb_s += each.bound_gb_s;
            into.predicted_us = std::max(into.predicted_us, each.predicted_us);
            into.copies += each.routes.size();
        }
    }

    void run_cell(const std::string& name, std::uint64_t bytes) {
        progress(fmt::format("{}: {}", name, barelink::format_bytes(bytes)));
        const ends e = ends_of(name, bytes);
        broadcast_cell cell;
        cell.name = name;
        cell.bytes = bytes;
        plan(e, cell);
        std::vector<std::string> ways = {"loop", "barelink"};
        if (name == "broadcast") ways = {"pulls", "fan-out", "barelink"};
        for (const std::string& way : ways) {
            broadcast_cell::way made;
            made.way_result::way = way;
            cell.ways.push_back(std::move(made));
        }
        fill_sources(e);
        broadcast_cell::way warming;
        for (const std::string& way : ways) measure(way, e, warming);
        for (unsigned round = 0; round < asked_.rounds; ++round)
            for (std::size_t i = 0; i < ways.size(); ++i) {
                const std::size_t at = round % 2 == 0 ? i : ways.size() - 1 - i;
                progress(fmt::format("{}: {}, round {} of {}", name, barelink::format_bytes(bytes), round + 1,
                                     asked_.rounds));
                measure(ways[at], e, cell.ways[at]);
            }
        for (broadcast_cell::way& way : cell.ways) {
            clear_targets(e);
            measure(way.way_result::way, e, warming);
            way.verified = targets_hold(e);
        }
        report_.cells.push_back(std::move(cell));
    }

    /// One sample, ordered in one stream like the work of a program.
    void measure(const std::string& way, const ends& e, broadcast_cell::way& into) {
        const double before = wall_us();
        runtime_.record(begin_, main_).value();
        if (way == "barelink") {
            start_barelink(e);
        } else {
            runtime_.record(forked_, main_).value();
            for (const barelink::cuda::stream& each : streams_) runtime_.wait(each, forked_).value();
            start_raw(way, e);
            for (std::size_t i = 0; i < gpus_.size(); ++i) {
                runtime_.record(done_[i], streams_[i]).value();
                runtime_.wait(main_, done_[i]).value();
            }
        }
        runtime_.record(end_, main_).value();
        into.submit.push_back(wall_us() - before);
        runtime_.synchronize(end_).value();
        into.wall_us.push_back(wall_us() - before);
        into.us.push_back(runtime_.elapsed_us(begin_, end_).value());
    }
    void start_barelink(const ends& e) {
        if (e.name == "broadcast")
            (void)mover_.broadcast(e.got, e.host, main_).value();
        else if (e.name == "scatter")
            (void)mover_.scatter(e.got, e.host, main_).value();
        else if (e.name == "gather")
            (void)mover_.gather(e.host, e.given, main_).value();
        else
            (void)mover_.exchange(e.got, e.given, main_).value();
    }
    void start_raw(const std::string& way, const ends& e) {
        if (way == "pulls") return each_stripe(e, [&](std::size_t) { return std::pair(std::uint64_t{0}, e.bytes); });
        if (way == "fan-out") {
            each_stripe(e, [&](std::size_t i) { return std::pair(std::uint64_t{0}, i == 0 ? e.bytes : 0); });
            runtime_.record(loaded_, streams_[0]).value();
            for (std::size_t i = 1; i < gpus_.size(); ++i) {
                runtime_.wait(streams_[i], loaded_).value();
                peer_copy(e.got[i].base, i, e.got[0].base, 0, e.bytes, i);
            }
            return;
        }
        if (e.name != "exchange") return each_stripe(e, [&](std::size_t i) { return std::pair(i * e.shard, e.shard); });
        for (std::size_t round = 1; round < gpus_.size(); ++round)
            for (std::size_t i = 0; i < gpus_.size(); ++i) {
                const std::size_t to = (i + round) % gpus_.size();
                peer_copy(e.got[to].part(i * e.shard, e.shard).base, to, e.given[i].part(to * e.shard, e.shard).base, i,
                          e.shard, i);
            }
    }
    void peer_copy(void* to, std::size_t to_gpu, const void* from, std::size_t from_gpu, std::uint64_t bytes,
                   std::size_t in) const {
        check(cudaMemcpyPeerAsync(to, device(to_gpu), from, device(from_gpu), bytes, streams_[in].handle),
              "cudaMemcpyPeerAsync");
    }
    /// `part(gpu) -> (offset, bytes)` of the host memory to or from that GPU, stripe by stripe: the GPUs in turn, so that all
    /// their links are busy from the beginning, and each from another stripe on, so that they do not all read one NUMA node.
    template <class Part>
    void each_stripe(const ends& e, Part part) const {
        const bool down = e.name == "gather";
        const std::vector<barelink::region>& gpu = down ? e.given : e.got;
        const std::uint64_t stripe = asked_.stripe_bytes;
        bool more = true;
        for (std::uint64_t turn = 0; more; ++turn) {
            more = false;
            for (std::size_t i = 0; i < gpus_.size(); ++i) {
                const auto [offset, bytes] = part(i);
                if (bytes == 0) continue;
                const std::uint64_t first = offset / stripe,
                                    stripes = barelink::divide_up(offset + bytes, stripe) - first;
                if (turn >= stripes) continue;
                more = true;
                const std::uint64_t chosen = first + (turn + i) % stripes;
                const std::uint64_t at = std::max(offset, chosen * stripe);
                const std::uint64_t end = std::min(offset + bytes, (chosen + 1) * stripe);
                char* const on_host = static_cast<char*>(e.host.base) + at;
                char* const on_gpu = static_cast<char*>(gpu[i].base) + (at - offset);
                check(cudaMemcpyAsync(down ? on_host : on_gpu, down ? on_gpu : on_host, end - at,
                                      down ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice, streams_[i].handle),
                      "cudaMemcpyAsync");
            }
        }
    }
    [[nodiscard]] int device(std::size_t i) const { return runtime_.device_of(gpus_[i]); }

    broadcast_report& report_;
    const broadcast_parameters& asked_;
    barelink::cuda::runtime runtime_;
    std::vector<barelink::node_index> gpus_;
    std::vector<barelink::cuda::stream> streams_;
    std::vector<barelink::cuda::event> done_;
    barelink::cuda::stream main_;
    barelink::cuda::event begin_, end_, forked_, loaded_;
    cuda_mover mover_;
    memory_access access_;
    std::unique_ptr<cuda_end> host_;
    std::deque<bench_memory> on_gpu_; // their addresses stay
};

} // namespace tool
