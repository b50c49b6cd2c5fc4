// Blocks onto one stream, by single copies, batches, strided copies or the kernel. Private to move.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/move/detail/block_rows.hpp>
#include <barelink/move/detail/list_shelf.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Keeps the memory of the kernel's lists.
template <runtime Runtime>
class block_issue {
public:
    using stream_type = typename Runtime::stream_type;

    explicit block_issue(Runtime& on) : runtime_(on) {}

    /// What the stream belongs to, and what is known about the blocks.
    struct where {
        stream_type stream{};
        node_index gpu = no_node;
        bool captured = false;
        bool offset = false; ///< GPUs reach some blocks by other addresses
        int multiprocessors = 1;
        const extent_table* known = nullptr;
    };

    /// All but `bounce`.
    [[nodiscard]] status issue(block_way way, std::span<const block> list, const where& at) {
        switch (way) {
        case block_way::batch: return batches(list, at);
        case block_way::strided: return rows(list, at);
        case block_way::kernel: return kernels(list, at);
        case block_way::one_by_one:
        case block_way::bounce: break;
        }
        for (const block& each : list)
            if (auto done = runtime_.copy(each.to, each.from, each.bytes, at.stream); !done) return done;
        return {};
    }
    [[nodiscard]] std::uint64_t scratch_bytes() const noexcept { return lists_.bytes(); }

private:
    /// More in one call gains nothing, and bounds what the driver keeps for it.
    static constexpr std::size_t most_in_batch = 65536;

    [[nodiscard]] status batches(std::span<const block> list, const where& at) {
        while (!list.empty()) {
            const std::size_t part = list.size() < most_in_batch ? list.size() : most_in_batch;
            if (auto done = runtime_.copy_many(list.data(), part, at.stream); !done) return done;
            list = list.subspan(part);
        }
        return {};
    }

    [[nodiscard]] status rows(std::span<const block> list, const where& at) {
        for (std::size_t i = 0; i < list.size();) {
            const block_run run = run_at(list, i, *at.known);
            const block& first = list[i];
            auto done = run.rows == 1 ? runtime_.copy(first.to, first.from, first.bytes, at.stream)
                                      : runtime_.copy_2d(first.to, run.to_pitch, first.from, run.from_pitch,
                                                         first.bytes, run.rows, at.stream);
            if (!done) return done;
            i += run.rows;
        }
        return {};
    }

    [[nodiscard]] status kernels(std::span<const block> list, const where& at) {
        if constexpr (has_block_kernels<Runtime>) {
            if (list.empty()) return {};
            const machine& m = runtime_.topology();
            node_index near = m.memory(m.at(at.gpu).numa);
            for (std::uint32_t n = 0; n < m.nodes.size() && near == no_node; ++n)
                if (m.nodes[n].kind == node_kind::memory) near = node_index{n};
            auto taken = lists_.take(near, at.gpu, list.size_bytes(), at.captured);
            if (!taken) return std::move(taken).error();
            auto& memory = **taken;
            const block* written = list.data();
            if (at.offset) {
                seen_by_gpu(list, *at.known);
                written = addressed_.data();
            }
            if (auto done = runtime_.host_copy(memory.base, written, list.size_bytes(), near); !done) return done;
            const auto* read =
                reinterpret_cast<const block*>(static_cast<const char*>(memory.base) + memory.device_offset);
            auto done = runtime_.copy_blocks(read, list.size(), at.multiprocessors, at.stream);
            const status marked = lists_.mark(memory, at.stream);
            return done ? marked : done;
        } else {
            return error(errc::unsupported, "this runtime has no copy kernel");
        }
    }
    /// Registered memory that GPUs reach by another address than the host.
    void seen_by_gpu(std::span<const block> list, const extent_table& known) {
        addressed_.assign(list.begin(), list.end());
        for (block& each : addressed_) {
            if (const memory_extent* to = known.find(address_of(each.to)))
                each.to = static_cast<char*>(each.to) + to->device_offset;
            if (const memory_extent* from = known.find(address_of(each.from)))
                each.from = static_cast<const char*>(each.from) + from->device_offset;
        }
    }

    Runtime& runtime_;
    list_shelf<Runtime> lists_{runtime_};
    std::vector<block> addressed_;
};

} // namespace detail
BARELINK_END_NAMESPACE
