// Copies of many blocks on the simulated server. Private to sim_runtime.hpp, which includes it last.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <barelink/move/sim_runtime.hpp>

BARELINK_BEGIN_NAMESPACE
namespace sim {

inline status runtime::copy_2d(void* to, std::uint64_t to_pitch, const void* from, std::uint64_t from_pitch,
                               std::uint64_t row_bytes, std::uint64_t rows, stream s) {
    if (auto called = call(); !called) return called;
    host_us_ += call_cost_ * machine_.costs.submit_us;
    if (row_bytes == 0 || rows == 0) return {};
    if (row_bytes > to_pitch || row_bytes > from_pitch)
        return error(errc::invalid_argument, "the rows of a strided copy overlap: a pitch is shorter than a row");
    // Both ends from the first byte to the last must lie in one allocation.
    if (auto end = memory_.classify(from, (rows - 1) * from_pitch + row_bytes); !end) return end.error();
    if (auto end = memory_.classify(to, (rows - 1) * to_pitch + row_bytes); !end) return end.error();
    auto op = copy_between(to, from, row_bytes, s);
    if (!op) return std::move(op).error();
    scratch_.clear();
    for (std::uint64_t row = 0; row < rows; ++row)
        scratch_.push_back(
            {static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, row_bytes});
    op->bytes = row_bytes * rows;
    op->us += static_cast<double>(rows) * machine_.blocks.row_us;
    op->list = engine_.lists.add(scratch_.data(), scratch_.size());
    enqueue(s, *op);
    return {};
}

inline status runtime::copy_many(const block* list, std::size_t count, stream s) {
    if (auto called = call(); !called) return called;
    if (!options_.batch_copies) return error(errc::unsupported, "this simulated server has no batch copy");
    host_us_ += call_cost_ * machine_.blocks.batch_us;
    std::vector<detail::operation> parts; // nothing is enqueued before all of it is known to be right
    std::vector<std::size_t> first;
    for (std::size_t i = 0; i < count; ++i) {
        auto op = copy_between(list[i].to, list[i].from, list[i].bytes, s);
        if (!op) return std::move(op).error();
        op->us = 0;
        if (parts.empty() || parts.back().target != op->target) {
            parts.push_back(*op);
            first.push_back(i);
        } else {
            parts.back().bytes += op->bytes;
        }
        parts.back().us += machine_.blocks.batch_block_us;
    }
    first.push_back(count);
    for (std::size_t p = 0; p < parts.size(); ++p) {
        parts[p].list = engine_.lists.add(list + first[p], first[p + 1] - first[p]);
        enqueue(s, parts[p]);
    }
    return {};
}

inline status runtime::host_copy_many(const block* list, std::size_t count, node_index near) {
    if (auto called = call(); !called) return called;
    if (count == 0) return {};
    // One block costs its bytes and nothing else, as it always did.
    if (count > 1) host_us_ += static_cast<double>(count) * machine_.blocks.host_block_us / machine_.costs.host_threads;
    engine_.run_to(host_us_);
    copy_record tag = tag_;
    tag.host_copy = true;
    for (std::size_t i = count; i-- > 0;) {
        // The checks of `classify`, without counting as calls of it.
        const auto source = memory_.classify(list[i].from, list[i].bytes),
                   target = memory_.classify(list[i].to, list[i].bytes);
        if (!source) return source.error();
        if (!target) return target.error();
        tag.from = source->node == no_node ? first_memory() : node_at(*source);
        tag.to = target->node == no_node ? first_memory() : node_at(*target);
    }
    if (!engine_.host_copy(host_way(tag.from, tag.to), list, count, tag))
        return error(errc::device,
                     text::join({"a link of ", machine_.at(near).id().c_str(), " died during a host copy"}));
    host_us_ = engine_.now_us();
    return {};
}

inline status runtime::copy_blocks(const block* list, std::size_t count, int multiprocessors, stream s) {
    if (auto called = call(); !called) return called;
    if (!has_block_kernel()) return error(errc::unsupported, "this simulated server has no copy kernel");
    host_us_ += call_cost_ * machine_.costs.submit_us;
    const auto there = memory_.classify(list, count * sizeof *list);
    if (!there) return there.error();
    if (there->kind != memory_kind::pinned)
        return error(errc::invalid_argument, "the kernel's list must lie in pinned memory");
    if (multiprocessors < 1) return error(errc::invalid_argument, "a kernel needs a multiprocessor");
    if (count == 0) return {};
    auto op = operation_of(detail::operation::kind::blocks, detail::nothing);
    std::vector<std::uint32_t> ways;
    for (std::size_t i = 0; i < count; ++i) {
        if (list[i].bytes == 0) continue;
        const auto one = copy_between(list[i].to, list[i].from, list[i].bytes, s);
        if (!one) return one.error();
        op.bytes += one->bytes;
        op.tag = one->tag;
        if (std::find(ways.begin(), ways.end(), one->target) == ways.end()) ways.push_back(one->target);
    }
    if (ways.empty()) return {};
    op.target = kernel_way(ways, multiprocessors);
    op.from = list;
    op.count = count;
    op.us = machine_.blocks.kernel_us + static_cast<double>(count) * machine_.blocks.kernel_block_us;
    enqueue(s, op);
    return {};
}

/// Over all the links of these ways, without an engine.
inline std::uint32_t runtime::kernel_way(const std::vector<std::uint32_t>& ways, int multiprocessors) {
    detail::way all;
    double slowest_gb_s = barelink::fair_share::unlimited;
    for (const std::uint32_t each : ways) {
        const detail::way& one = engine_.ways[each];
        if (one.most_gb_s < all.most_gb_s) all.most_gb_s = one.most_gb_s;
        all.refused |= one.refused;
        all.zeros |= one.zeros;
        all.hangs |= one.hangs;
        if (one.latency_us > all.latency_us) all.latency_us = one.latency_us;
        const auto join = [](std::vector<detail::toll>& into, const std::vector<detail::toll>& from) {
            for (const detail::toll& toll : from)
                if (std::find(into.begin(), into.end(), toll) == into.end()) into.push_back(toll);
        };
        join(all.shared, one.shared);
        join(all.lost, one.lost);
        for (const std::uint32_t slot : one.slots) {
            if (std::find(all.slots.begin(), all.slots.end(), slot) == all.slots.end()) all.slots.push_back(slot);
            const link_direction hop = link_direction{link_index{slot / 2}, slot % 2 != 0};
            if (machine_.gb_s(hop) < slowest_gb_s) slowest_gb_s = machine_.gb_s(hop);
        }
    }
    const double computed_gb_s = multiprocessors * machine_.blocks.kernel_multiprocessor_gb_s;
    if (computed_gb_s < all.most_gb_s) all.most_gb_s = computed_gb_s;
    if (slowest_gb_s * machine_.blocks.kernel_link_share < all.most_gb_s)
        all.most_gb_s = slowest_gb_s * machine_.blocks.kernel_link_share;
    // The same ways with the same bound go the same way: there are few, and none is forgotten.
    for (const std::uint32_t known : kernel_ways_)
        if (engine_.ways[known] == all) return known;
    kernel_ways_.push_back(static_cast<std::uint32_t>(engine_.ways.size()));
    engine_.ways.push_back(std::move(all));
    return kernel_ways_.back();
}

} // namespace sim
BARELINK_END_NAMESPACE
