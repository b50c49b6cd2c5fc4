// One process's samples, sorted once; a resample counts how often each of its blocks was drawn and finds quantiles by that.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <barelink/measure/order_statistics.hpp>
#include <barelink/measure/random.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

class resampled_run {
public:
    static constexpr std::size_t most_blocks = 250;

    /// `samples`: not empty, in the order they happened. The last block may be shorter than `block`.
    resampled_run(std::span<const double> samples, std::size_t block) {
        const std::size_t n = samples.size();
        block = std::max({block, std::size_t{1}, (n + most_blocks - 1) / most_blocks});
        block = std::min(block, n);
        const std::size_t blocks = (n + block - 1) / block;
        std::vector<std::uint32_t> order(n);
        for (std::size_t i = 0; i < n; ++i) order[i] = static_cast<std::uint32_t>(i);
        std::sort(order.begin(), order.end(),
                  [&](std::uint32_t x, std::uint32_t y) { return samples[x] < samples[y]; });
        sorted_.reserve(n);
        block_of_.reserve(n);
        size_.assign(blocks, static_cast<std::uint32_t>(block));
        size_.back() = static_cast<std::uint32_t>(n - (blocks - 1) * block);
        times_.resize(blocks);
        // A checkpoint knows how many of the samples before it are of each block.
        stride_ = std::max<std::size_t>(32, n / 64);
        std::vector<std::uint32_t> before(blocks);
        for (std::size_t i = 0; i < n; ++i) {
            if (i % stride_ == 0) before_.insert(before_.end(), before.begin(), before.end());
            sorted_.push_back(samples[order[i]]);
            block_of_.push_back(static_cast<std::uint32_t>(order[i] / block));
            ++before[block_of_.back()];
        }
    }

    [[nodiscard]] double quantile(double p) const noexcept { return quantile_of_sorted(sorted_, p); }

    /// Draws as many blocks as there are, with replacement.
    void draw(random_numbers& random) noexcept {
        std::fill(times_.begin(), times_.end(), 0u);
        weight_ = 0;
        for (std::size_t i = 0; i < times_.size(); ++i) {
            const std::uint32_t block = random.below(static_cast<std::uint32_t>(times_.size()));
            ++times_[block];
            weight_ += size_[block];
        }
    }

    /// `quantile_of_sorted` of the samples of the blocks drawn.
    [[nodiscard]] double drawn_quantile(double p) const noexcept {
        const double rank = p * static_cast<double>(weight_);
        const double whole = std::round(rank);
        const bool on_a_sample = std::fabs(rank - whole) <= 1e-9 * rank;
        const auto wanted =
            std::clamp<std::uint64_t>(static_cast<std::uint64_t>(on_a_sample ? whole : std::ceil(rank)), 1, weight_);
        // The last checkpoint with fewer samples before it than are wanted, from where it is without resampling.
        const std::size_t checkpoints = before_.size() / times_.size();
        std::size_t at =
            std::min(static_cast<std::size_t>(p * static_cast<double>(sorted_.size())) / stride_, checkpoints - 1);
        std::uint64_t count = count_before(at);
        while (count >= wanted) count = count_before(--at); // ends: nothing is before the first
        while (at + 1 < checkpoints) {
            const std::uint64_t next = count_before(at + 1);
            if (next >= wanted) break;
            count = next;
            ++at;
        }
        std::size_t i = at * stride_;
        while ((count += times_[block_of_[i]]) < wanted) ++i;
        if (!on_a_sample || count > wanted) return sorted_[i];
        std::size_t next = i + 1;
        while (next < sorted_.size() && times_[block_of_[next]] == 0) ++next;
        return next < sorted_.size() ? 0.5 * (sorted_[i] + sorted_[next]) : sorted_[i];
    }

private:
    [[nodiscard]] std::uint64_t count_before(std::size_t checkpoint) const noexcept {
        const std::uint32_t* before = before_.data() + checkpoint * times_.size();
        std::uint64_t count = 0;
        for (std::size_t b = 0; b < times_.size(); ++b) count += std::uint64_t{before[b]} * times_[b];
        return count;
    }

    std::vector<double> sorted_;
    std::vector<std::uint32_t> block_of_; ///< of each sorted sample
    std::vector<std::uint32_t> size_;     ///< of each block, in samples
    std::vector<std::uint32_t> times_;    ///< that each block was drawn
    std::vector<std::uint32_t> before_;   ///< checkpoint by checkpoint, for each block
    std::size_t stride_ = 1;
    std::uint64_t weight_ = 0; ///< samples drawn
};

} // namespace detail

BARELINK_END_NAMESPACE
