// Fills a fresh mapping by threads on the CPUs of the nodes that its parts belong to. Private to move.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include <pthread.h>

#include <barelink/move/detail/host_cpus.hpp>
#include <barelink/move/detail/host_pages.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Bytes dealt out in stripes to a number of parts in turn; cut into slices that end where a stripe or the range does.
class slice_deal {
public:
    slice_deal(std::uint64_t bytes, std::uint64_t stripe_bytes, std::uint64_t parts) noexcept
        : bytes_(bytes), stripe_bytes_(parts > 1 ? stripe_bytes : bytes), parts_(parts),
          slices_per_stripe_(divide_up(stripe_bytes_, most_slice_bytes)) {}

    struct slice {
        std::uint64_t offset = 0, bytes = 0; ///< no bytes: the part has no more
    };
    /// The slice number `index` of a part.
    [[nodiscard]] slice at(std::uint64_t part, std::uint64_t index) const noexcept {
        const std::uint64_t stripe = (index / slices_per_stripe_ * parts_ + part) * stripe_bytes_;
        const std::uint64_t within = index % slices_per_stripe_ * most_slice_bytes, offset = stripe + within;
        if (offset >= bytes_) return {};
        std::uint64_t size = stripe_bytes_ - within;
        if (size > most_slice_bytes) size = most_slice_bytes;
        return {offset, size < bytes_ - offset ? size : bytes_ - offset};
    }

private:
    /// 2,048 faults of 4 KiB: some milliseconds, so that threads of one node end together.
    static constexpr std::uint64_t most_slice_bytes = 8 * MiB;

    std::uint64_t bytes_, stripe_bytes_, parts_, slices_per_stripe_;
};

/// One node's share of the work.
struct prefault_part {
    cpu_mask cpus;        ///< where its threads run; none: anywhere
    unsigned threads = 0; ///< besides the caller; 0: the caller fills it
};

struct prefault_job {
    char* base;
    const slice_deal& deal;
    std::uint64_t page_bytes;
    fill_mode how;
    std::vector<std::atomic<std::uint64_t>> next; ///< slice, per part
    std::atomic<int> failed{0};

    void run(std::uint64_t part) noexcept {
        while (failed.load(std::memory_order_relaxed) == 0) {
            const auto slice = deal.at(part, next[part].fetch_add(1, std::memory_order_relaxed));
            if (slice.bytes == 0) return;
            const int code = fill(base + slice.offset, slice.bytes, page_bytes, how);
            int none = 0;
            if (code != 0) failed.compare_exchange_strong(none, code, std::memory_order_relaxed);
        }
    }
};

/// Blocks until every page is there. Parts whose threads could not be made are filled by the caller. Returns 0 or the
/// errno of the first slice that failed; the others stop then.
[[nodiscard]] inline int prefault(char* base, const slice_deal& deal, const std::vector<prefault_part>& parts,
                                  std::uint64_t page_bytes, fill_mode how) {
    struct helper {
        prefault_job* job;
        std::uint64_t part;
        pthread_t thread;
    };
    prefault_job job{base, deal, page_bytes, how, std::vector<std::atomic<std::uint64_t>>(parts.size())};
    std::vector<helper> helpers;
    std::uint64_t most = 0;
    for (const prefault_part& part : parts) most += part.threads;
    helpers.reserve(most); // they stay where they are: threads refer to them
    std::vector<bool> served(parts.size(), false);
    for (std::uint64_t part = 0; part < parts.size(); ++part)
        for (unsigned t = 0; t < parts[part].threads; ++t) {
            const auto body = [](void* of) -> void* {
                const helper& self = *static_cast<helper*>(of);
                self.job->run(self.part);
                return nullptr;
            };
            helper& added = helpers.emplace_back(helper{&job, part, {}});
            if (make_thread(added.thread, parts[part].cpus, body, &added) == thread_made::no) {
                helpers.pop_back();
                break;
            }
            served[part] = true;
        }
    for (std::uint64_t part = 0; part < parts.size(); ++part)
        if (!served[part]) job.run(part);
    for (const helper& each : helpers) ::pthread_join(each.thread, nullptr);
    return job.failed.load(std::memory_order_relaxed);
}

} // namespace detail
BARELINK_END_NAMESPACE
