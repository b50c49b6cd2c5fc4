// What stands behind the drop-in copies: movers for all threads of the process. Private to memcpy.hpp.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include <barelink/machine/cuda.hpp>
#include <barelink/move/cuda.hpp>
#include <barelink/move/memcpy_options.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// One mover, with a runtime of its own, so that movers of different threads share nothing but copying threads.
struct drop_in_mover {
    cuda::runtime on;
    mover<cuda::runtime> moves;

    drop_in_mover(const machine& m, const cuda::options& how, const mover_options& what)
        : on(m, how), moves(on, what) {}
};

/// Never destroyed: at the end of a process the driver may be gone before any destructor runs.
class drop_in {
public:
    [[nodiscard]] static drop_in& get() {
        static drop_in& only = *new drop_in;
        return only;
    }
    [[nodiscard]] static text& why() noexcept {
        thread_local text said;
        return said;
    }

    cudaError_t configure(const memcpy_options& options) noexcept {
        const std::lock_guard lock(shape_);
        if (planned_on_) return cudaErrorInvalidValue;
        options_ = options;
        least_bytes_.store(options.plan_from_bytes < options.pageable_from_bytes ? options.plan_from_bytes
                                                                                 : options.pageable_from_bytes);
        return cudaSuccess;
    }
    cudaError_t configure(machine planned_on) {
        const std::lock_guard lock(shape_);
        if (planned_on_) return cudaErrorInvalidValue;
        planned_on_ = new machine(std::move(planned_on));
        return cudaSuccess;
    }

    /// Below this no copy is looked at.
    [[nodiscard]] std::uint64_t least_bytes() const noexcept { return least_bytes_.load(std::memory_order_relaxed); }
    /// Counts a copy that is CUDA's.
    cudaError_t leave(cudaError_t code) noexcept {
        left_.fetch_add(1, std::memory_order_relaxed);
        return code;
    }

    /// Plans it or calls `raw`.
    template <class Raw>
    [[nodiscard]] cudaError_t copy(void* dst, const void* src, std::size_t count, cudaStream_t stream, Raw raw) {
        const auto to = cuda::detail::ask_cuda(dst, count), from = cuda::detail::ask_cuda(src, count);
        if (!to || !from) return leave(raw()); // CUDA names the error, or knows what to do with it
        if (!worth_planning(*to, *from, count)) return leave(raw());
        const bool staged = to->where.kind == memory_kind::pageable || from->where.kind == memory_kind::pageable;
        const ends between{dst, src, count, stream, *to, *from};
        bool started = false;
        const status done = staged ? stage(between, started) : enqueue(between, started);
        if (done) {
            (staged ? staged_ : planned_).fetch_add(1, std::memory_order_relaxed);
            return cudaSuccess;
        }
        const error failed = done.error();
        why() = text(failed.what());
        if (!started) {
            fallbacks_.fetch_add(1, std::memory_order_relaxed);
            return raw();
        }
        return failed.native() != 0 ? static_cast<cudaError_t>(failed.native()) : cudaErrorUnknown;
    }

    [[nodiscard]] memcpy_counters counted() const noexcept {
        const std::uint64_t staged = staged_.load();
        return {left_.load(), planned_.load() + staged, staged, fallbacks_.load()};
    }

private:
    drop_in() = default;

    [[nodiscard]] bool worth_planning(const cuda::detail::address_facts& to, const cuda::detail::address_facts& from,
                                      std::uint64_t bytes) const noexcept {
        const bool to_gpu = to.where.kind == memory_kind::device, from_gpu = from.where.kind == memory_kind::device;
        if (to_gpu && from_gpu) return to.device != from.device && bytes >= options_.plan_from_bytes;
        if (!to_gpu && !from_gpu) return false;
        const memory_kind host = to_gpu ? from.where.kind : to.where.kind;
        if (host == memory_kind::pageable)
            return bytes >= options_.pageable_from_bytes && !reads_page_tables(to_gpu ? to.device : from.device);
        const std::uint64_t pieces = to_gpu ? from.where.stripe_bytes : to.where.stripe_bytes;
        return pieces > 0 || (!options_.relays.empty() && bytes >= options_.plan_from_bytes);
    }

    /// A GPU on a coherent link reads ordinary memory through the CPU's page tables, and CUDA's own copies of it are nearly as
    /// fast as pinned ones (published, GH200, 1 GiB: 93 and 97 GiB/s): threads and a ring would only slow them down.
    [[nodiscard]] static bool reads_page_tables(int device) noexcept {
        int answer = 0;
        if (cudaDeviceGetAttribute(&answer, cudaDevAttrPageableMemoryAccessUsesHostPageTables, device) != cudaSuccess)
            (void)cudaGetLastError();
        return answer != 0;
    }

    /// Reads the machine at the first call. Errors: those of `cuda::discover`.
    [[nodiscard]] status know_machine() {
        const std::lock_guard lock(shape_);
        if (planned_on_) return {};
        auto seen = cuda::discover();
        if (!seen) return std::move(seen).error();
        planned_on_ = new machine(std::move(*seen));
        return {};
    }
    [[nodiscard]] drop_in_mover* make_mover() const {
        cuda::options how;
        how.host_threads = options_.host_threads;
        how.crews = &crews_;
        mover_options what;
        what.relays = options_.relays;
        what.scratch_bytes = options_.scratch_bytes;
        return new drop_in_mover(*planned_on_, how, what);
    }

    struct ends {
        void* dst;
        const void* src;
        std::uint64_t bytes;
        cudaStream_t stream;
        const cuda::detail::address_facts &to, &from;
    };

    /// Pinned memory and GPUs: never blocks for long, so one mover serves all threads in turn.
    [[nodiscard]] status enqueue(const ends& between, bool& started) {
        if (auto known = know_machine(); !known) return known;
        const std::lock_guard lock(enqueuing_);
        if (!enqueuer_) enqueuer_ = make_mover();
        return start(*enqueuer_, between, started);
    }
    /// Pageable memory keeps its thread busy: every thread that stages at the same time has a mover.
    [[nodiscard]] status stage(const ends& between, bool& started) {
        if (auto known = know_machine(); !known) return known;
        drop_in_mover* mine = nullptr;
        {
            const std::lock_guard lock(shape_);
            if (!idle_stagers_.empty()) {
                mine = idle_stagers_.back();
                idle_stagers_.pop_back();
            }
        }
        if (!mine) mine = make_mover();
        status done = start(*mine, between, started);
        const std::lock_guard lock(shape_);
        idle_stagers_.push_back(mine);
        return done;
    }
    /// `started`: something may have been enqueued.
    [[nodiscard]] static status start(drop_in_mover& with, const ends& between, bool& started) {
        const cuda::stream in = with.on.stream_of(between.stream);
        auto capture = with.on.capturing(in);
        if (!capture) return std::move(capture).error();
        auto to = with.on.place(between.to, between.dst, between.bytes);
        if (!to) return std::move(to).error();
        auto from = with.on.place(between.from, between.src, between.bytes);
        if (!from) return std::move(from).error();
        if (*capture != 0 && (to->kind == memory_kind::pageable || from->kind == memory_kind::pageable))
            return error(errc::unsupported, "pageable memory cannot be captured into a graph: pin it");
        const region dst{between.dst, between.bytes, *to}, src{const_cast<void*>(between.src), between.bytes, *from};
        if (*capture == 0)
            if (auto planned = with.moves.plan_for(dst, src); !planned) return std::move(planned).error();
        started = true;
        return with.moves.enqueue(dst, src, in);
    }

    memcpy_options options_;
    std::atomic<std::uint64_t> least_bytes_{256 * KiB};
    std::atomic<std::uint64_t> left_{0}, planned_{0}, staged_{0}, fallbacks_{0};
    std::mutex shape_, enqueuing_;
    machine* planned_on_ = nullptr;
    drop_in_mover* enqueuer_ = nullptr;
    std::vector<drop_in_mover*> idle_stagers_;
    mutable host_crews crews_;
};

} // namespace detail
BARELINK_END_NAMESPACE
