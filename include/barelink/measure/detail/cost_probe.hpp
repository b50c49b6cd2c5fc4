// What copies and lists of blocks cost besides their bytes. Private to measure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <barelink/measure/detail/probe_memory.hpp>
#include <barelink/move/detail/event_shelf.hpp>
#include <barelink/move/runtime.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Small measurements on one GPU and the host memory nearest to it, in two streams of its own. Each is the median of a few. Times
/// in microseconds; 0 where it could not be measured in a few tries. Blocks until done. Errors: the runtime's.
template <runtime Runtime>
class cost_probe {
public:
    using stream_type = typename Runtime::stream_type;
    using event_type = typename Runtime::event_type;
    static constexpr std::uint64_t block_bytes = 4 * KiB;

    cost_probe(Runtime& on, node_index gpu, node_index host, std::uint64_t most_bytes)
        : runtime_(on), gpu_(gpu), memory_(on, most_bytes), events_(on, true), host_(host) {}
    cost_probe(const cost_probe&) = delete;
    cost_probe& operator=(const cost_probe&) = delete;
    ~cost_probe() {
        for (std::size_t s = 0; s < made_; ++s) (void)runtime_.destroy(streams_[s]);
    }

    /// Streams and memory. Call first, once.
    [[nodiscard]] status make() {
        for (; made_ < 2; ++made_) {
            auto stream = runtime_.make_stream(gpu_);
            if (!stream) return stream.error();
            streams_[made_] = *stream;
        }
        auto from = memory_.take(host_, list_bytes);
        if (!from) return from.error();
        auto to = memory_.take(gpu_, list_bytes);
        if (!to) return to.error();
        from_ = static_cast<char*>(*from);
        to_ = static_cast<char*>(*to);
        return {};
    }

    /// Of the calling thread, for one asynchronous copy.
    [[nodiscard]] result<double> submit_us() {
        return called_us([&] { return runtime_.copy(to_, from_, block_bytes, streams_[0]); });
    }
    /// Of the calling thread, for recording an event.
    [[nodiscard]] result<double> event_us() {
        events_.rewind();
        auto event = events_.take(gpu_);
        if (!event) return event.error();
        return called_us([&] { return runtime_.record(*event, streams_[0]); });
    }
    /// Of the calling thread, for a batch of a few blocks.
    [[nodiscard]] result<double> batch_us() {
        const std::vector<block> list = blocks(16, block_bytes);
        return called_us([&] { return runtime_.copy_many(list.data(), list.size(), streams_[0]); });
    }
    [[nodiscard]] bool can_batch() const noexcept { return runtime_.can_copy_many(streams_[0]); }

    /// One small copy after another, each in the stream in which the one before was not.
    [[nodiscard]] result<double> hop_us() {
        constexpr int hops = 64;
        auto us = timed_us([&]() -> status {
            for (int hop = 0; hop < hops; ++hop) {
                const stream_type in = streams_[hop % 2], next = streams_[(hop + 1) % 2];
                if (auto done = runtime_.copy(to_, from_, block_bytes, in); !done) return done;
                auto event = events_.take(gpu_);
                if (!event) return event.error();
                if (auto done = runtime_.record(*event, in); !done) return done;
                if (auto done = runtime_.wait(next, *event); !done) return done;
            }
            return {};
        });
        if (!us) return us;
        return *us / hops;
    }
    /// On the GPU, of one batch of so many blocks.
    [[nodiscard]] result<double> list_us(std::size_t count) {
        const std::vector<block> list = blocks(count, block_bytes);
        return timed_us([&] { return runtime_.copy_many(list.data(), list.size(), streams_[0]); });
    }
    /// On the GPU, of one strided copy of so many rows.
    [[nodiscard]] result<double> rows_us(std::uint64_t rows) {
        return timed_us([&] {
            return runtime_.copy_2d(to_, 2 * block_bytes, from_, 2 * block_bytes, block_bytes, rows, streams_[0]);
        });
    }
    /// On the GPU, of one kernel that copies so many blocks of `bytes`. Precondition: the runtime has one.
    [[nodiscard]] result<double> kernel_us(std::size_t count, std::uint64_t bytes, int multiprocessors) {
        if constexpr (has_block_kernels<Runtime>) {
            const std::vector<block> list = blocks(count, bytes);
            memory_.rewind(); // the list's memory is taken from what is left
            for (const node_index where : {host_, gpu_})
                if (auto again = memory_.take(where, list_bytes); !again) return again.error();
            auto pinned = memory_.take(host_, 1 * MiB);
            if (!pinned) return pinned.error();
            std::memcpy(*pinned, list.data(), list.size() * sizeof(block));
            return timed_us([&] {
                return runtime_.copy_blocks(static_cast<const block*>(*pinned), count, multiprocessors, streams_[0]);
            });
        } else {
            return 0.0;
        }
    }
    [[nodiscard]] bool has_kernel() const noexcept {
        if constexpr (has_block_kernels<Runtime>) return runtime_.has_block_kernel();
        return false;
    }
    /// Host threads copy within one NUMA node, GB/s.
    [[nodiscard]] result<double> host_gb_s() {
        auto to = memory_.take(host_, list_bytes);
        if (!to) return to.error();
        double best = 0;
        for (int round = 0; round < 4; ++round) { // the first one wakes the threads
            const double before_us = runtime_.clock_us();
            if (auto done = runtime_.host_copy(*to, from_, list_bytes, host_); !done) return done.error();
            best = std::max(best, rate_gb_s(static_cast<double>(list_bytes), runtime_.clock_us() - before_us));
        }
        return best;
    }

private:
    static constexpr std::uint64_t list_bytes = 32 * MiB;
    static constexpr int repeats = 5;

    /// Every second block of the memory, so that no two are neighbours.
    [[nodiscard]] std::vector<block> blocks(std::size_t count, std::uint64_t bytes) const {
        std::vector<block> list;
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint64_t at = 2 * i * bytes % list_bytes;
            list.push_back({to_ + at, from_ + at, bytes});
        }
        return list;
    }
    [[nodiscard]] static double median_of(std::vector<double>& seen) {
        std::sort(seen.begin(), seen.end());
        return seen[seen.size() / 2];
    }
    [[nodiscard]] status drain() {
        for (const stream_type stream : streams_) {
            auto event = events_.take(gpu_);
            if (!event) return event.error();
            if (auto done = runtime_.record(*event, stream); !done) return done;
            if (auto done = runtime_.synchronize(*event); !done) return done;
        }
        return {};
    }
    template <class Call>
    [[nodiscard]] result<double> called_us(Call call) {
        constexpr int calls = 32;
        std::vector<double> seen;
        for (int round = 0; round < repeats; ++round) {
            const double before_us = runtime_.clock_us();
            for (int i = 0; i < calls; ++i)
                if (auto done = call(); !done) {
                    (void)drain();
                    return done.error();
                }
            seen.push_back((runtime_.clock_us() - before_us) / calls);
            if (auto done = drain(); !done) return done.error();
        }
        return median_of(seen);
    }
    /// Between two events of the GPU around what `submit` enqueues, which waits behind a plug until all of it is there.
    template <class Submit>
    [[nodiscard]] result<double> timed_us(Submit submit) {
        std::vector<double> seen;
        for (int round = 0, tries = 0; round < repeats && tries < 3 * repeats; ++tries) {
            auto us = once_us(submit);
            if (!us) return us.error();
            if (*us > 0) {
                seen.push_back(*us);
                ++round;
            } else {
                plugs_ = std::min(2 * plugs_, 512);
            }
        }
        if (seen.empty()) return 0.0;
        return median_of(seen);
    }
    template <class Submit>
    [[nodiscard]] result<double> once_us(Submit submit) {
        events_.rewind();
        auto first = events_.take(gpu_);
        if (!first) return first.error();
        auto last = events_.take(gpu_);
        if (!last) return last.error();
        status done;
        for (int plug = 0; done && plug < plugs_; ++plug) done = runtime_.copy(to_, from_, list_bytes, streams_[0]);
        if (done) done = runtime_.record(*first, streams_[0]);
        if (done) done = submit();
        if (done) done = runtime_.record(*last, streams_[0]);
        bool early = true;
        if (done) {
            auto asked = runtime_.is_done(*first);
            early = !asked || *asked;
        }
        status ended = drain();
        if (!done) return done.error();
        if (!ended) return ended.error();
        if (early) return 0.0;
        return runtime_.elapsed_us(*first, *last);
    }

    Runtime& runtime_;
    node_index gpu_;
    probe_memory<Runtime> memory_;
    event_shelf<Runtime> events_;
    node_index host_;
    stream_type streams_[2]{};
    std::size_t made_ = 0;
    char *from_ = nullptr, *to_ = nullptr;
    int plugs_ = 1;
};

} // namespace detail
BARELINK_END_NAMESPACE
