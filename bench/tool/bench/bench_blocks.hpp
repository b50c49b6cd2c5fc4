// The benchmark of scattered blocks on a live GPU: its cells, their memory, what fits.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <barelink/report/units.hpp>

#include "bench_blocks_ways.hpp"
#include "bench_sampler.hpp"
#include "output.hpp"

namespace tool {

/// Runs what `asked` names and fills in the report. One use. Throws what keeps it from going on.
class blocks_bench {
public:
    blocks_bench(const barelink::machine& m, const blocks_parameters& asked, blocks_report& into)
        : asked_(asked), report_(into), runtime_(m, with_kernel()), gpu_(m.gpu(barelink::gpu_id{asked.gpu})),
          host_(m.memory(barelink::numa_id{asked.numa})), stream_(runtime_.make_stream(gpu_).value()),
          access_(runtime_, host_), crew_(barelink::numa_id{asked.numa}, asked.host_threads), mover_(runtime_),
          ways_(mover_, stream_, crew_, asked) {}

    void run() {
        const barelink::cuda::detail::device_scope scope(runtime_.device_of(gpu_));
        for (const std::string& way : asked_.ways)
            if (const std::string why = ways_.cannot(way); !why.empty())
                report_.skipped.push_back({"", 0, 0, way, why});
        make_memory();
        for (const std::string& direction : asked_.directions) {
            if (blocks_bytes_ == 0) break;
            progress(direction + ": filling " + barelink::format_bytes(blocks_bytes_));
            access_.fill(side(direction == "d2h").part(0, blocks_bytes_), content::pattern);
            for (const std::uint64_t bytes : asked_.sizes)
                for (const std::uint32_t count : asked_.counts)
                    if (bytes * count <= blocks_bytes_) run_cell(direction, bytes, count);
        }
        progress("");
    }

private:
    [[nodiscard]] static barelink::cuda::options with_kernel() {
        barelink::cuda::options options;
        options.register_bytes = barelink::max_transfer_bytes; // the raw calls cannot straddle two registrations
        options.block_kernel = compiled_block_kernel();
        return options;
    }
    /// For people at a terminal alone.
    static void progress(const std::string& said) {
        if (::isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\x1b[K%s", said.c_str());
    }
    [[nodiscard]] const barelink::region& side(bool gpu) const { return (gpu ? on_gpu_ : on_host_)->memory(); }

    /// Of the memory that is free now; some stays so, for rings and the driver.
    [[nodiscard]] std::uint64_t free_bytes() const {
        std::size_t left = 0, all = 0;
        if (cudaMemGetInfo(&left, &all) != cudaSuccess) (void)cudaGetLastError(), left = ~std::size_t{0};
        const std::uint64_t least = std::min<std::uint64_t>(left, barelink::detail::fillable_bytes());
        return least > barelink::GiB ? least - barelink::GiB : 0;
    }
    /// One buffer on each side for the largest cell that fits, and a second one for the staged way.
    void make_memory() {
        const std::uint64_t left = free_bytes();
        const std::uint64_t most = asked_.memory_bytes > 0 ? std::min(left, asked_.memory_bytes) : left;
        std::uint32_t most_blocks = 0;
        for (const std::uint64_t bytes : asked_.sizes)
            for (const std::uint32_t count : asked_.counts) {
                const std::uint64_t all = bytes * count;
                if (all > most) {
                    for (const std::string& direction : asked_.directions)
                        report_.skipped.push_back(
                            {direction, bytes, count, "",
                             fmt::format("{} on each side, {} are {}", barelink::format_bytes(all),
                                         barelink::format_bytes(most), most < left ? "what --memory allows" : "free")});
                    continue;
                }
                blocks_bytes_ = std::max(blocks_bytes_, all);
                most_blocks = std::max(most_blocks, count);
            }
        for (const std::uint64_t bytes : asked_.sizes)
            for (const std::uint32_t count : asked_.counts)
                if (bytes * count <= blocks_bytes_ && bytes * count <= left - blocks_bytes_)
                    stage_bytes_ = std::max(stage_bytes_, bytes * count);
        if (blocks_bytes_ == 0) return;
        progress("making " + barelink::format_bytes(blocks_bytes_ + stage_bytes_) + " of memory on each side");
        on_gpu_ = std::make_unique<bench_memory>(runtime_, gpu_, false, blocks_bytes_);
        on_host_ = std::make_unique<bench_memory>(runtime_, host_, false, blocks_bytes_);
        gpu_stage_ = std::make_unique<bench_memory>(runtime_, gpu_, false, stage_bytes_);
        host_stage_ = std::make_unique<bench_memory>(runtime_, host_, false, stage_bytes_);
        lists_ = std::make_unique<bench_memory>(runtime_, host_, false, 2 * most_blocks * sizeof(barelink::block));
        bounce_ = std::make_unique<bench_memory>(runtime_, host_, false, bounce_bytes);
    }

    [[nodiscard]] std::vector<std::uint32_t> shuffled(std::uint32_t count, std::uint64_t salt) const {
        std::vector<std::uint32_t> slots(count);
        for (std::uint32_t i = 0; i < count; ++i) slots[i] = i;
        std::mt19937_64 random(asked_.seed * 0x9e3779b97f4a7c15u + salt);
        for (std::uint32_t i = count; i > 1; --i) std::swap(slots[i - 1], slots[random() % i]);
        return slots;
    }
    void fill_in(block_cell_memory& cell) const {
        cell.to_slots = shuffled(cell.count, 2 * cell.bytes + (cell.to_gpu ? 1 : 0));
        cell.from_slots = shuffled(cell.count, 2 * cell.bytes + (cell.to_gpu ? 0 : 1) + 0x100000000u);
        cell.to = static_cast<char*>(side(cell.to_gpu).base);
        cell.from = static_cast<char*>(side(!cell.to_gpu).base);
        cell.host_stage = static_cast<char*>(host_stage_->memory().base);
        cell.gpu_stage = static_cast<char*>(gpu_stage_->memory().base);
        cell.pinned_list = static_cast<barelink::block*>(lists_->memory().base);
        cell.pinned_stage_list = cell.pinned_list + cell.count;
        cell.make_lists();
    }

    /// What fails ends its own cell: figures on a lent machine are not to be lost for one that comes last.
    void run_cell(const std::string& direction, std::uint64_t bytes, std::uint32_t count) {
        progress(fmt::format("{}: {} x {}", direction, count, barelink::format_bytes(bytes)));
        blocks_cell found{direction, bytes, count, {}, {}};
        try {
            block_cell_memory cell;
            cell.to_gpu = direction == "h2d";
            cell.bytes = bytes;
            cell.count = count;
            fill_in(cell);
            std::vector<std::string> ways;
            for (const std::string& way : asked_.ways) {
                if (!ways_.cannot(way).empty()) continue;
                if (way == "staged" && cell.all_bytes() > stage_bytes_)
                    report_.skipped.push_back({direction, bytes, count, way, "no memory left for its stages"});
                else
                    ways.push_back(way);
            }
            sample_all(ways, cell, found.ways);
            found.chosen = cell.chosen;
        } catch (const barelink::error& failure) {
            report_.failures.push_back(
                fmt::format("{} {} x {}: {}", direction, count, barelink::format_bytes(bytes), failure.what()));
        }
        if (!found.ways.empty()) report_.cells.push_back(std::move(found));
    }

    static constexpr unsigned most_batch = 512;
    static constexpr std::uint64_t bounce_bytes = 32 * barelink::MiB;

    struct sample {
        double us = 0, submit_us = 0;
    };
    [[nodiscard]] sample measure(const std::string& way, block_cell_memory& cell, unsigned batch) {
        const double before = wall_us();
        for (unsigned i = 0; i < batch; ++i) ways_.start(way, cell);
        const double submitted = wall_us();
        ways_.synchronize();
        return {(wall_us() - before) / batch, (submitted - before) / batch};
    }
    /// The ways in turn, every other round backwards; a first sample of each is not counted.
    void sample_all(const std::vector<std::string>& ways, block_cell_memory& cell, std::vector<way_result>& into) {
        for (const std::string& way : ways) (void)measure(way, cell, 1);
        unsigned batch = 1;
        for (double least = 0; batch < most_batch;) {
            least = 1e300;
            for (const std::string& way : ways) least = std::min(least, batch * measure(way, cell, batch).us);
            if (least >= asked_.least_sample_us) break;
            const double more = std::clamp(1.2 * asked_.least_sample_us / std::max(least, 1.0), 2.0, 64.0);
            batch = std::min(most_batch, static_cast<unsigned>(more * batch));
        }
        std::vector<way_result> taken;
        for (const std::string& way : ways) taken.push_back({way, batch, {}, {}, false});
        for (unsigned round = 0; round < asked_.rounds; ++round)
            for (std::size_t i = 0; i < ways.size(); ++i) {
                const std::size_t at = round % 2 == 0 ? i : ways.size() - 1 - i;
                const sample one = measure(ways[at], cell, batch);
                taken[at].us.push_back(one.us);
                taken[at].submit.push_back(one.submit_us);
            }
        for (std::size_t i = 0; i < ways.size(); ++i) taken[i].verified = verify(ways[i], cell);
        into = std::move(taken);
    }
    /// Every byte of every block, after the destination was made to hold none of them. Also the stages are made to.
    [[nodiscard]] bool verify(const std::string& way, block_cell_memory& cell) {
        const barelink::region target = side(cell.to_gpu).part(0, cell.all_bytes());
        access_.fill(target, content::complement);
        if (way == "staged")
            for (bench_memory* stage : {host_stage_.get(), gpu_stage_.get()})
                access_.fill(stage->memory().part(0, cell.all_bytes()), content::complement);
        (void)measure(way, cell, 1);
        std::vector<std::uint32_t> source_of(cell.count); // by slot of the destination
        for (std::uint32_t i = 0; i < cell.count; ++i) source_of[cell.to_slots[i]] = cell.from_slots[i];
        bool right = true;
        const std::uint64_t piece = cell.to_gpu ? bounce_bytes / cell.bytes : cell.count;
        for (std::uint64_t first = 0; first < cell.count; first += piece) {
            const std::uint64_t slots = std::min<std::uint64_t>(piece, cell.count - first);
            const char* at = static_cast<const char*>(target.base) + first * cell.bytes;
            if (cell.to_gpu) {
                char* const bounce = static_cast<char*>(bounce_->memory().base);
                std::memset(bounce, 0, slots * cell.bytes);
                barelink::cuda::check(cudaMemcpy(bounce, at, slots * cell.bytes, cudaMemcpyDefault),
                                      "copying to check the bytes")
                    .value();
                at = bounce;
            }
            right = holds_blocks(at, cell.bytes, source_of.data() + first, slots) && right;
        }
        return right;
    }

    /// Blocks one after the other, each the part of the pattern where its source lies.
    [[nodiscard]] bool holds_blocks(const char* at, std::uint64_t bytes, const std::uint32_t* sources,
                                    std::uint64_t count) {
        struct job {
            const char* at;
            std::uint64_t bytes;
            const std::uint32_t* sources;
            std::atomic<bool> wrong{false};
        } all{at, bytes, sources};
        crew_.run(
            [](void* context, std::uint64_t i) {
                job& j = *static_cast<job*>(context);
                if (!holds_pattern(j.at + i * j.bytes, j.bytes, j.sources[i] * j.bytes)) j.wrong.store(true);
            },
            &all, count);
        return !all.wrong.load();
    }

    blocks_parameters asked_;
    blocks_report& report_;
    barelink::cuda::runtime runtime_;
    barelink::node_index gpu_, host_;
    barelink::cuda::stream stream_;
    memory_access access_;
    barelink::host_threads crew_;
    cuda_mover mover_;
    block_ways ways_;
    std::uint64_t blocks_bytes_ = 0, stage_bytes_ = 0;
    std::unique_ptr<bench_memory> on_gpu_, on_host_, gpu_stage_, host_stage_, lists_, bounce_;
};

} // namespace tool
