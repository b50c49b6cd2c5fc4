// How a list of scattered blocks goes best: by single copies, a batch, strided copies, a bounce buffer or a kernel.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <barelink/plan/engines.hpp>
#include <barelink/plan/plan.hpp>

BARELINK_BEGIN_NAMESPACE

enum class block_way : std::uint8_t {
    one_by_one, ///< an ordinary copy for each block
    batch,      ///< the batch copy
    strided,    ///< a 2D copy for each run of blocks that are equally long and equally spaced on both sides
    bounce,     ///< through a ring of pinned memory, which host threads fill or empty
    kernel,     ///< by multiprocessors, which read and write both sides
};
inline constexpr std::size_t block_way_count = 5;

[[nodiscard]] constexpr const char* to_string(block_way way) noexcept {
    switch (way) {
    case block_way::one_by_one: return "one by one";
    case block_way::batch: return "batch";
    case block_way::strided: return "strided";
    case block_way::bounce: return "bounce";
    case block_way::kernel: return "kernel";
    }
    return "unknown";
}

/// Slots of the bounce ring. Published for one relay over PCIe: chunks of 4 MiB are best, of 64 MiB 6 % slower.
inline constexpr std::uint64_t block_slot_bytes = 4 * MiB;

/// The blocks of a list that go between the same two places, after neighbours were merged.
struct block_summary {
    node_index from; ///< GPU, or the NUMA node that the first block is on
    node_index to;
    std::uint64_t blocks = 0;
    std::uint64_t bytes = 0;
    /// Runs of blocks that a 2D copy can take as one; as many as blocks when no two neighbours are alike.
    std::uint64_t runs = 0;
    /// Stretches in which the GPU's side is contiguous. Between GPUs the sender's.
    std::uint64_t gpu_stretches = 0;
    bool pageable = false; ///< the host's side

    friend bool operator==(const block_summary&, const block_summary&) noexcept = default;
};

/// What the caller's stream, program and options allow.
struct block_means {
    bool batch = false;     ///< there is a batch copy, and the stream takes it
    bool kernel = false;    ///< the program has a copy kernel
    bool captured = false;  ///< into a graph
    bool may_block = false; ///< host threads may move pinned memory, too: the calling thread waits for the stream
    bool direct = true;     ///< two GPUs: their direct path may be used
    int multiprocessors = 16;

    friend bool operator==(const block_means&, const block_means&) noexcept = default;
};

/// Why a way cannot be taken.
enum class block_obstacle : std::uint8_t {
    none,
    no_batch,    ///< toolkit or driver older than CUDA 12.8, or the legacy stream
    in_capture,  ///< cannot be captured
    no_kernel,   ///< no kernel in the program
    no_runs,     ///< no two neighbours are alike
    would_block, ///< host threads would have to wait for the stream
    pageable,    ///< only host threads reach the memory
    no_path,     ///< two GPUs without a direct path that is known to deliver
    one_gpu,     ///< nothing to bounce off within a GPU
};

[[nodiscard]] constexpr const char* to_string(block_obstacle why) noexcept {
    switch (why) {
    case block_obstacle::none: return "";
    case block_obstacle::no_batch:
        return "there is no batch copy: it needs CUDA 12.8, in driver and toolkit, and a stream that is not the legacy "
               "one";
    case block_obstacle::in_capture: return "it cannot be captured into a graph";
    case block_obstacle::no_kernel: return "the program has no copy kernel: give cuda::options::block_kernel one";
    case block_obstacle::no_runs: return "no two neighbours are equally long and equally spaced";
    case block_obstacle::would_block:
        return "host threads would have to wait for the stream: set batch_options::may_block";
    case block_obstacle::pageable: return "it does not reach pageable memory: pin it";
    case block_obstacle::no_path: return "the two GPUs have no direct path that is known to deliver";
    case block_obstacle::one_gpu: return "both sides are the same GPU's memory";
    }
    return "";
}

/// The choice for one group of blocks, with what it was chosen from. A value.
struct block_plan {
    block_summary asked;
    block_means with;
    block_way way = block_way::one_by_one;
    /// `bounce` only: how the blocks go between ring and GPU. One of one_by_one, batch, kernel.
    block_way ring_way = block_way::one_by_one;
    /// Microseconds that each way would take, by `block_way`; 0 where there is an obstacle.
    std::array<double, block_way_count> us{};
    std::array<block_obstacle, block_way_count> obstacles{};
    /// The weakest evidence among the costs.
    evidence rests_on = evidence::assumed;

    [[nodiscard]] double predicted_us() const noexcept { return us[static_cast<std::size_t>(way)]; }
    [[nodiscard]] bool possible(block_way each) const noexcept {
        return obstacles[static_cast<std::size_t>(each)] == block_obstacle::none;
    }
    /// Every other way, and what speaks against it.
    [[nodiscard]] std::vector<rejection> rejected() const {
        std::vector<rejection> all;
        for (std::size_t w = 0; w < block_way_count; ++w) {
            const auto each = static_cast<block_way>(w);
            if (each == way) continue;
            all.push_back({to_string(each), possible(each)
                                                ? std::to_string(us[w]) + " us against " +
                                                      std::to_string(predicted_us()) + " us " + to_string(way)
                                                : std::string(to_string(obstacles[w]))});
        }
        return all;
    }

    friend bool operator==(const block_plan&, const block_plan&) noexcept = default;
};

namespace detail {

/// What single copies, batch and kernel take for a number of blocks over one path.
class block_times {
public:
    block_times(const machine& m, node_index from, node_index to, std::uint64_t bytes, int multiprocessors) noexcept
        : costs_(m.costs), blocks_(m.blocks), bytes_(static_cast<double>(bytes)) {
        const dma_path* path = m.path(from, to);
        gb_s_ = path ? path->gb_s : m.blocks.device_gb_s;
        latency_us_ = path ? path->latency_us : 0;
        chain_us_ = path ? chain_us(m, *path, false) : 0;
        const double computed_gb_s = multiprocessors * m.blocks.kernel_multiprocessor_gb_s;
        kernel_gb_s_ = path ? gb_s_ * m.blocks.kernel_link_share : gb_s_;
        if (computed_gb_s < kernel_gb_s_) kernel_gb_s_ = computed_gb_s;
        moved_us_ = transfer_us(bytes_, gb_s_);
    }

    /// Copies of one stream wait for one another; the thread may be slower still.
    [[nodiscard]] double commands(double count) const noexcept {
        const double engine_us = moved_us_ + count * (costs_.engine_us + latency_us_) + (count - 1) * chain_us_;
        const double thread_us = (count - 1) * costs_.submit_us + moved_us_ / count + costs_.engine_us + latency_us_;
        return costs_.submit_us + (engine_us > thread_us ? engine_us : thread_us);
    }
    [[nodiscard]] double strided(double runs, double rows) const noexcept {
        return commands(runs) + rows * blocks_.row_us;
    }
    /// In so many calls.
    [[nodiscard]] double batch(double count, double calls = 1) const noexcept {
        return calls * blocks_.batch_us + count * blocks_.batch_block_us + moved_us_ + latency_us_;
    }
    [[nodiscard]] double kernel(double count, double calls = 1) const noexcept {
        return calls * (costs_.submit_us + blocks_.kernel_us) + count * blocks_.kernel_block_us +
               transfer_us(bytes_, kernel_gb_s_) + latency_us_;
    }
    /// By all host threads.
    [[nodiscard]] double host(double count) const noexcept {
        return count * blocks_.host_block_us / costs_.host_threads +
               transfer_us(bytes_, costs_.host_copy_gb_s * costs_.host_threads);
    }

private:
    const copy_costs& costs_;
    const block_costs& blocks_;
    double bytes_, gb_s_ = 0, latency_us_ = 0, chain_us_ = 0, kernel_gb_s_ = 0, moved_us_ = 0;
};

/// Where the ring of `bounce` is: where the host's memory is, else near the sending GPU.
[[nodiscard]] inline node_index block_ring_node(const machine& m, const block_summary& asked) noexcept {
    for (const node_index end : {asked.from, asked.to})
        if (m.at(end).kind != node_kind::gpu) return end;
    node_index near = m.memory(m.at(asked.from).numa);
    for (std::uint32_t n = 0; n < m.nodes.size() && near == no_node; ++n)
        if (m.nodes[n].kind == node_kind::memory) near = node_index{n};
    return near;
}

} // namespace detail

/// The fastest way by the machine's costs, of those that can be taken. Of equal ones the first in `block_way`. Precondition: a
/// block at least, and a GPU at one end at least.
[[nodiscard]] inline block_plan plan_blocks(const machine& m, const block_summary& asked, const block_means& with) {
    block_plan made;
    made.asked = asked;
    made.with = with;
    made.rests_on = m.blocks.source < m.costs.source ? m.blocks.source : m.costs.source;
    const bool from_gpu = m.at(asked.from).kind == node_kind::gpu, to_gpu = m.at(asked.to).kind == node_kind::gpu;
    const bool two_gpus = from_gpu && to_gpu && asked.from != asked.to;
    const detail::block_times times(m, asked.from, asked.to, asked.bytes, with.multiprocessors);
    const auto blocks = static_cast<double>(asked.blocks), runs = static_cast<double>(asked.runs),
               stretches = static_cast<double>(asked.gpu_stretches);
    const auto us = [&](block_way way) -> double& { return made.us[static_cast<std::size_t>(way)]; };
    const auto obstacle = [&](block_way way, bool stands, block_obstacle why) {
        auto& known = made.obstacles[static_cast<std::size_t>(way)];
        if (stands && known == block_obstacle::none) known = why;
    };
    for (const block_way each : {block_way::one_by_one, block_way::batch, block_way::strided, block_way::kernel}) {
        obstacle(each, asked.pageable, block_obstacle::pageable);
        obstacle(each, two_gpus && !with.direct, block_obstacle::no_path);
    }
    obstacle(block_way::batch, !with.batch, block_obstacle::no_batch);
    obstacle(block_way::batch, with.captured, block_obstacle::in_capture);
    obstacle(block_way::strided, asked.runs >= asked.blocks && asked.blocks > 1, block_obstacle::no_runs);
    obstacle(block_way::strided, asked.blocks == 1, block_obstacle::no_runs);
    obstacle(block_way::kernel, !with.kernel, block_obstacle::no_kernel);
    obstacle(block_way::bounce, asked.from == asked.to, block_obstacle::one_gpu);
    obstacle(block_way::bounce, !two_gpus && with.captured, block_obstacle::in_capture);
    obstacle(block_way::bounce, !two_gpus && !asked.pageable && !with.may_block, block_obstacle::would_block);

    us(block_way::one_by_one) = times.commands(blocks);
    us(block_way::batch) = times.batch(blocks);
    us(block_way::strided) = times.strided(runs, blocks);
    us(block_way::kernel) = times.kernel(blocks);
    // Between ring and GPU the blocks are those of the GPU's side. Two GPUs have such a leg each, and take alike what the
    // first one does best.
    const node_index ring = detail::block_ring_node(m, asked);
    const detail::block_times leg(m, from_gpu ? asked.from : ring, from_gpu ? ring : asked.to, asked.bytes,
                                  with.multiprocessors);
    const std::uint64_t full_slots = asked.bytes / block_slot_bytes;
    const double slots = 1 + static_cast<double>(full_slots);
    double ring_us = leg.commands(stretches);
    if (with.batch && !with.captured && leg.batch(stretches, slots) < ring_us) {
        ring_us = leg.batch(stretches, slots);
        made.ring_way = block_way::batch;
    }
    if (with.kernel && leg.kernel(stretches, slots) < ring_us) {
        ring_us = leg.kernel(stretches, slots);
        made.ring_way = block_way::kernel;
    }
    // The ring's two sides work on different slots at the same time.
    const double filled_us = two_gpus ? ring_us : times.host(blocks);
    const double longer = filled_us > ring_us ? filled_us : ring_us,
                 shorter = filled_us > ring_us ? ring_us : filled_us;
    us(block_way::bounce) = longer + shorter / slots;

    bool found = false;
    for (std::size_t w = 0; w < block_way_count; ++w) {
        const auto each = static_cast<block_way>(w);
        if (!made.possible(each)) {
            made.us[w] = 0;
        } else if (!found || made.us[w] < made.predicted_us()) {
            made.way = each;
            found = true;
        }
    }
    return made;
}

BARELINK_END_NAMESPACE
