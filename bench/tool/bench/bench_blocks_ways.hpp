// The ways of moving scattered blocks that are compared: four that users write today, and barelink's.
#pragma once

#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <barelink/move/cuda.hpp>

#include "bench_blocks_result.hpp"
#include "bench_ways.hpp"

namespace tool {

#if BARELINK_TOOL_KERNEL
/// Defined in block_kernel.cu, which nvcc compiles.
[[nodiscard]] barelink::cuda::block_kernel compiled_block_kernel();
#else
[[nodiscard]] inline barelink::cuda::block_kernel compiled_block_kernel() {
    return nullptr;
}
#endif

/// A list of blocks in every form that a way takes, made before anything is timed: nobody pays for another's form. Memory is
/// borrowed; the blocks are `count` slots of `bytes` on either side, each side in a random order of its own.
struct block_cell_memory {
    bool to_gpu = true;
    std::uint64_t bytes = 0;
    std::uint32_t count = 0;
    std::vector<std::uint32_t> to_slots, from_slots;
    char *to = nullptr, *from = nullptr; ///< slot 0
    char* host_stage = nullptr;          ///< pinned, one block after the other
    char* gpu_stage = nullptr;
    std::vector<barelink::block> list; ///< from -> to
    std::vector<void*> tos;            ///< the same, as arrays
    std::vector<const void*> froms;
    std::vector<std::size_t> sizes;
    barelink::block* pinned_list = nullptr;       ///< the same, where a kernel reads it
    barelink::block* pinned_stage_list = nullptr; ///< between the GPU's blocks and its stage
    std::optional<barelink::prepared_batch> prepared;
    std::string chosen; ///< the way barelink went, and what did not go as planned

    void make_lists() {
        list.resize(count);
        tos.resize(count), froms.resize(count), sizes.assign(count, bytes);
        for (std::uint32_t i = 0; i < count; ++i) {
            list[i] = {to + to_slots[i] * bytes, from + from_slots[i] * bytes, bytes};
            tos[i] = list[i].to;
            froms[i] = list[i].from;
            pinned_list[i] = list[i];
            char* const staged = gpu_stage + i * bytes;
            pinned_stage_list[i] =
                to_gpu ? barelink::block{list[i].to, staged, bytes} : barelink::block{staged, list[i].from, bytes};
        }
    }
    [[nodiscard]] std::uint64_t all_bytes() const noexcept { return bytes * count; }
};

/// Runs the lists. `start` enqueues; when it returned, and the stream was synchronised, the bytes have arrived.
class block_ways {
public:
    block_ways(cuda_mover& mover, barelink::cuda::stream stream, barelink::host_threads& crew,
               const blocks_parameters& asked)
        : mover_(mover), stream_(stream), crew_(crew), multiprocessors_(asked.multiprocessors) {
        options_.multiprocessors = asked.multiprocessors;
        options_.may_block = asked.may_block;
    }

    void start(const std::string& way, block_cell_memory& cell) {
        if (way == "loop")
            loop(cell.list, cell.to_gpu ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost);
        else if (way == "batch")
            batch(cell.tos.data(), cell.froms.data(), cell.sizes.data(), cell.count);
        else if (way == "kernel")
            check(compiled_block_kernel()(cell.pinned_list, cell.count, multiprocessors_, stream_.handle), way);
        else if (way == "staged")
            cell.to_gpu ? staged_up(cell) : staged_down(cell);
        else if (way == "barelink")
            own(cell);
        else if (way == "prepared")
            prepared(cell);
    }
    /// Why a way cannot run here; empty when it can.
    [[nodiscard]] std::string cannot(const std::string& way) const {
        if (way == "kernel" && !compiled_block_kernel()) return "this barelink was built without nvcc";
        if (way == "batch" && !mover_.on().can_copy_many(stream_))
            return "the batch copy needs CUDA 12.8, in toolkit and driver";
        return {};
    }
    void synchronize() const { check(cudaStreamSynchronize(stream_.handle), "waiting for the blocks"); }

private:
    static void check(cudaError_t code, const std::string& doing) {
        if (code != cudaSuccess) barelink::cuda::check(code, doing.c_str()).value();
    }
    void loop(const std::vector<barelink::block>& list, cudaMemcpyKind kind) const {
        for (const barelink::block& each : list)
            check(cudaMemcpyAsync(each.to, each.from, each.bytes, kind, stream_.handle), "loop");
    }
    void batch([[maybe_unused]] void* const* to, [[maybe_unused]] const void* const* from,
               [[maybe_unused]] const std::size_t* bytes, [[maybe_unused]] std::size_t count) const {
#if CUDART_VERSION >= 12080
        cudaMemcpyAttributes attributes{};
        attributes.srcAccessOrder = cudaMemcpySrcAccessOrderStream;
        std::size_t failed = 0;
        check(barelink::cuda::detail::copy_batch(to, from, bytes, count, &attributes, stream_.handle, &failed),
              "batch");
#endif
    }

    /// Host threads put the blocks one after the other into pinned memory, one large copy, and the GPU spreads them: with the
    /// kernel where there is one, else by the batch copy, else one by one.
    void staged_up(block_cell_memory& cell) {
        synchronize(); // the stage may still be read by the sample's list before
        each_block(cell, [](const block_cell_memory& c, std::uint64_t i) {
            std::memcpy(c.host_stage + i * c.bytes, c.list[i].from, c.bytes);
        });
        check(
            cudaMemcpyAsync(cell.gpu_stage, cell.host_stage, cell.all_bytes(), cudaMemcpyHostToDevice, stream_.handle),
            "staged");
        inside_gpu(cell);
    }
    void staged_down(block_cell_memory& cell) {
        inside_gpu(cell);
        check(
            cudaMemcpyAsync(cell.host_stage, cell.gpu_stage, cell.all_bytes(), cudaMemcpyDeviceToHost, stream_.handle),
            "staged");
        synchronize();
        each_block(cell, [](const block_cell_memory& c, std::uint64_t i) {
            std::memcpy(c.list[i].to, c.host_stage + i * c.bytes, c.bytes);
        });
    }
    void inside_gpu(block_cell_memory& cell) {
        if (const barelink::cuda::block_kernel kernel = compiled_block_kernel())
            return check(kernel(cell.pinned_stage_list, cell.count, gpu_multiprocessors_, stream_.handle), "staged");
        stage_.assign(cell.pinned_stage_list, cell.pinned_stage_list + cell.count);
        if (!cannot("batch").empty()) return loop(stage_, cudaMemcpyDeviceToDevice);
        stage_tos_.clear(), stage_froms_.clear();
        for (const barelink::block& each : stage_) stage_tos_.push_back(each.to), stage_froms_.push_back(each.from);
        batch(stage_tos_.data(), stage_froms_.data(), cell.sizes.data(), cell.count);
    }
    /// Handed to the threads in runs of about 256 KiB.
    template <class Do>
    void each_block(block_cell_memory& cell, Do) {
        struct job {
            const block_cell_memory* cell;
            std::uint64_t run;
        } all{&cell, std::max<std::uint64_t>(1, 256 * barelink::KiB / cell.bytes)};
        const auto slice = [](void* context, std::uint64_t index) {
            const job& j = *static_cast<job*>(context);
            const std::uint64_t end = std::min<std::uint64_t>(j.cell->count, (index + 1) * j.run);
            for (std::uint64_t i = index * j.run; i < end; ++i) Do{}(*j.cell, i);
        };
        crew_.run(slice, &all, barelink::divide_up(cell.count, all.run));
    }

    /// Classified and planned anew each time.
    void own(block_cell_memory& cell) {
        const auto ticket = mover_.copy_batch(std::span<const barelink::block>(cell.list), stream_, options_).value();
        if (!cell.chosen.empty()) return;
        describe(cell);
        for (const std::string& said : ticket.fallbacks()) cell.chosen += "; " + said;
    }
    /// Classified and planned at the first, uncounted, time.
    void prepared(block_cell_memory& cell) {
        if (!cell.prepared) prepare(cell);
        (void)mover_.run(*cell.prepared, std::span<const barelink::block>(cell.list), stream_).value();
    }
    void prepare(block_cell_memory& cell) {
        cell.prepared = mover_.prepare(std::span<const barelink::block>(cell.list), stream_, options_).value();
    }
    void describe(block_cell_memory& cell) {
        if (!cell.prepared) prepare(cell);
        for (const barelink::block_plan& each : cell.prepared->plans()) {
            if (!cell.chosen.empty()) cell.chosen += ", ";
            cell.chosen += to_string(each.way);
            if (each.way == barelink::block_way::bounce) cell.chosen += std::string(" by ") + to_string(each.ring_way);
        }
    }

    cuda_mover& mover_;
    barelink::cuda::stream stream_;
    barelink::host_threads& crew_;
    int multiprocessors_;
    static constexpr int gpu_multiprocessors_ = 64; ///< inside a GPU's memory there is no link to save them for
    std::vector<barelink::block> stage_;
    std::vector<void*> stage_tos_;
    std::vector<const void*> stage_froms_;
    barelink::batch_options options_;
};

} // namespace tool
