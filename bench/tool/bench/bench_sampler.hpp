// Times a case: batches of copies by every way in turn, then each way's bytes checked.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <time.h>

#include "bench_result.hpp"
#include "bench_ways.hpp"
#include "cuda_gpus.hpp"

namespace tool {

[[nodiscard]] inline double wall_us() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

/// Copies between the same ends again and again. Copies of a batch go through different parts of the buffers, so that small
/// ones do not come out of a cache all the time. Borrows everything.
class sampler {
public:
    sampler(cuda_mover& mover, const memory_access& access, const std::vector<copy_way_ends>& ends)
        : mover_(mover), access_(access), ends_(ends) {}

    /// `rounds` samples of every way, in turn, every other round backwards; a first sample of each is not counted.
    [[nodiscard]] std::vector<way_result> run(const std::vector<copy_way>& ways, std::uint64_t bytes, unsigned rounds,
                                              double least_sample_us) {
        bytes_ = bytes;
        const unsigned batch = find_batch(ways, least_sample_us);
        std::vector<way_result> found;
        for (const copy_way way : ways) found.push_back({to_string(way), batch, {}, {}, false});
        for (unsigned round = 0; round < rounds; ++round)
            for (std::size_t i = 0; i < ways.size(); ++i) {
                const std::size_t at = round % 2 == 0 ? i : ways.size() - 1 - i;
                const sample taken = measure(ways[at], batch);
                found[at].us.push_back(taken.us / batch);
                found[at].submit.push_back(taken.submit_us / (batch * static_cast<double>(ends_.size())));
            }
        for (std::size_t i = 0; i < ways.size(); ++i) found[i].verified = verify(ways[i], batch);
        return found;
    }

private:
    static constexpr unsigned most_batch = 512; ///< fewer than a stream takes before a call waits for room

    struct sample {
        double us = 0, submit_us = 0;
    };

    /// Parts of the buffers that a batch goes through.
    [[nodiscard]] std::uint64_t parts(unsigned batch) const noexcept {
        return std::min<std::uint64_t>(batch, ends_.front().from.bytes / bytes_);
    }
    [[nodiscard]] sample measure(copy_way way, unsigned batch) {
        const std::uint64_t different = parts(batch);
        const double before = wall_us();
        for (unsigned i = 0; i < batch; ++i)
            for (const copy_way_ends& each : ends_) start(way, mover_, each, i % different * bytes_, bytes_);
        const double submitted = wall_us();
        synchronize();
        return {wall_us() - before, submitted - before};
    }
    void synchronize() const {
        for (const copy_way_ends& each : ends_)
            barelink::cuda::check(cudaStreamSynchronize(each.stream.handle), "waiting for the copies").value();
    }
    /// So many copies that a sample of the fastest way lasts long enough. Warms every way up.
    [[nodiscard]] unsigned find_batch(const std::vector<copy_way>& ways, double least_sample_us) {
        for (const copy_way way : ways) (void)measure(way, 1); // first touch, plans, proofs, rings
        for (unsigned batch = 1;;) {
            double least = 1e300;
            for (const copy_way way : ways) least = std::min(least, measure(way, batch).us);
            if (least >= least_sample_us || batch == most_batch) return batch;
            const double more = std::clamp(1.2 * least_sample_us / std::max(least, 1.0), 2.0, 64.0);
            batch = std::min(most_batch, static_cast<unsigned>(more * batch));
        }
    }
    [[nodiscard]] bool verify(copy_way way, unsigned batch) {
        const std::uint64_t bytes = parts(batch) * bytes_;
        for (const copy_way_ends& each : ends_) access_.fill(each.to.part(0, bytes), content::complement);
        (void)measure(way, batch);
        bool right = true;
        for (const copy_way_ends& each : ends_) right = access_.holds_pattern(each.to.part(0, bytes)) && right;
        return right;
    }

    cuda_mover& mover_;
    const memory_access& access_;
    const std::vector<copy_way_ends>& ends_;
    std::uint64_t bytes_ = 0;
};

} // namespace tool
