// The memory of a benchmark of links: how much fits, where its pages lie, and spots of it that are checked after every figure.
#pragma once

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include <barelink/move/detail/host_pages.hpp>

#include "bench_links_result.hpp"
#include "bench_ways.hpp"
#include "cuda_gpus.hpp"

namespace tool {

/// Where memory really lies, whatever it was asked to: at most 512 pages of it.
[[nodiscard]] inline links_placement placement_of(const std::string& what, int asked, const void* at,
                                                  std::uint64_t bytes) {
    constexpr std::uint64_t most = 512;
    const std::uint64_t page = barelink::detail::system_page_bytes();
    const std::uint64_t pages = std::max<std::uint64_t>(bytes / page, 1), count = std::min(pages, most);
    std::vector<void*> addresses(count);
    std::vector<int> nodes(count, -1);
    for (std::uint64_t i = 0; i < count; ++i)
        addresses[i] = static_cast<char*>(const_cast<void*>(at)) + i * pages / count * page;
    links_placement found{what, asked, 0, 0};
    if (barelink::detail::nodes_of_pages(addresses.data(), count, nodes.data()) != 0) return found;
    for (const int node : nodes) {
        if (node < 0) continue;
        ++found.pages_checked;
        found.pages_elsewhere += node != asked;
    }
    return found;
}

/// All buffers hold one pattern at the same spots, all the time, but for targets that were wiped and that a copy has to fill again.
class link_spots {
public:
    link_spots(barelink::cuda::runtime& on, barelink::node_index host) : access_(on, host) {}

    void fill(const barelink::region& buffer) const {
        for (const part spot : spots(buffer.bytes, buffer.bytes))
            access_.fill(buffer.part(spot.offset, spot.bytes), content::pattern, spot.offset);
    }
    /// The spots within the first `written` bytes, which copies are about to write.
    void wipe(const barelink::region& target, std::uint64_t written) const {
        for (const part spot : spots(target.bytes, written))
            access_.fill(target.part(spot.offset, spot.bytes), content::complement, spot.offset);
    }
    [[nodiscard]] bool hold(const barelink::region& target, std::uint64_t written) const {
        for (const part spot : spots(target.bytes, written))
            if (!access_.holds_pattern(target.part(spot.offset, spot.bytes), spot.offset)) return false;
        return true;
    }

private:
    static constexpr std::uint64_t spot_bytes = 64 * barelink::KiB, spots_each = 4;

    struct part {
        std::uint64_t offset, bytes;
    };
    /// Evenly spread over a buffer, the last ends with it; of small ones everything.
    [[nodiscard]] static std::vector<part> spots(std::uint64_t buffer, std::uint64_t written) {
        std::vector<part> found;
        if (buffer <= spots_each * spot_bytes) return {{0, written}};
        for (std::uint64_t i = 0; i < spots_each; ++i) {
            const std::uint64_t offset = (buffer - spot_bytes) / (spots_each - 1) * i / 8 * 8;
            const std::uint64_t end = std::min(i + 1 < spots_each ? offset + spot_bytes : buffer, written);
            if (offset < end) found.push_back({offset, end - offset});
        }
        return found;
    }

    memory_access access_;
};

/// Two buffers on every GPU, two pinned ones beside it: one for each direction.
class links_memory {
public:
    /// `bytes` halved until all of it fits: on the host `pinned_limit` (0: half of what is free), on each GPU what is free but
    /// for 1 GiB. Simulated GPUs keep their bytes in the host's memory. Errors: out_of_memory when not even 64 KiB do.
    [[nodiscard]] static std::uint64_t fitting(const barelink::cuda::runtime& on,
                                               const std::vector<barelink::node_index>& gpus, std::uint64_t bytes,
                                               std::uint64_t pinned_limit, bool simulated) {
        std::uint64_t on_gpu = ~std::uint64_t{0};
        for (const barelink::node_index gpu : gpus) {
            std::size_t left = 0, all = 0;
            const barelink::cuda::detail::device_scope scope(on.device_of(gpu));
            barelink::cuda::check(cudaMemGetInfo(&left, &all), "asking for free GPU memory", on.device_of(gpu)).value();
            on_gpu = std::min<std::uint64_t>(on_gpu, left > barelink::GiB ? left - barelink::GiB : 0);
        }
        const std::uint64_t free = barelink::detail::fillable_bytes() / 2;
        const std::uint64_t on_host = pinned_limit > 0 ? std::min(pinned_limit, free) : free;
        // One more on the host for pageable memory, or that of another NUMA node.
        const std::uint64_t buffers = 2 * gpus.size() + 1;
        const auto fits = [&](std::uint64_t size) {
            return buffers * size <= on_host && 2 * size <= on_gpu && (!simulated || 2 * buffers * size <= free);
        };
        std::uint64_t size = bytes;
        while (size > 64 * barelink::KiB && !fits(size)) size = size / 2 / 8 * 8;
        if (!fits(size))
            barelink::detail::raise(
                barelink::error(barelink::errc::out_of_memory,
                                "not even buffers of 64 KiB fit beside each GPU: free host or GPU memory"));
        return size;
    }

    /// Throws when memory cannot be had; says where it lies.
    links_memory(barelink::cuda::runtime& on, const std::vector<barelink::node_index>& gpus, std::uint64_t bytes,
                 const link_spots& spots, std::vector<links_placement>& where) {
        const barelink::machine& m = on.topology();
        for (const barelink::node_index gpu : gpus) {
            for (bench_memory* made :
                 {&on_gpus_.emplace_back(on, gpu, false, bytes), &on_gpus_.emplace_back(on, gpu, false, bytes),
                  &on_host_.emplace_back(on, near(m, gpu), false, bytes),
                  &on_host_.emplace_back(on, near(m, gpu), false, bytes)})
                spots.fill(made->memory());
            where.push_back(placement_of("pinned beside " + m.at(gpu).id(), m.at(near(m, gpu)).index,
                                         on_host_.back().memory().base, bytes));
        }
    }
    /// `gpu` by its position in the list; of two.
    [[nodiscard]] const barelink::region& on_gpu(std::size_t gpu, std::size_t which) const {
        return on_gpus_[2 * gpu + which].memory();
    }
    [[nodiscard]] const barelink::region& on_host(std::size_t gpu, std::size_t which) const {
        return on_host_[2 * gpu + which].memory();
    }
    /// The host memory beside a GPU; the first there is where nobody knows.
    [[nodiscard]] static barelink::node_index near(const barelink::machine& m, barelink::node_index gpu) {
        const barelink::node_index there = m.memory(m.at(gpu).numa);
        return there != barelink::no_node ? there : m.all(barelink::node_kind::memory).front();
    }

private:
    std::deque<bench_memory> on_gpus_, on_host_; // their addresses stay
};

} // namespace tool
