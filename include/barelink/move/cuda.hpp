// cuda::runtime: plans on real GPUs, through the CUDA runtime library.
#pragma once

#include <cstdint>
#include <vector>

#include <time.h>

#include <barelink/move/cuda_block_kernel.hpp>
#include <barelink/move/detail/cuda_batch.hpp>
#include <barelink/move/detail/cuda_blocks.hpp>
#include <barelink/move/detail/cuda_classify.hpp>
#include <barelink/move/host_crews.hpp>
#include <barelink/move/mover.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda {

/// A stream of the caller's, or of a runtime. Borrows the handle. Made from a `cudaStream_t` alone it asks CUDA for its GPU
/// each time that matters; `runtime::stream_of` asks once.
struct stream {
    cudaStream_t handle = nullptr;
    node_index gpu = no_node;

    stream() noexcept = default;
    stream(cudaStream_t borrowed, node_index of = no_node) noexcept : handle(borrowed), gpu(of) {}
    friend bool operator==(const stream& a, const stream& b) noexcept { return a.handle == b.handle; }
};

struct event {
    cudaEvent_t handle = nullptr;
    int device = -1; ///< CUDA's number of its GPU
};

struct options {
    /// Threads that copy between pageable and pinned memory, on each NUMA node. 0: what the machine's costs say.
    unsigned host_threads = 0;
    /// Crews to share with other runtimes, borrowed; nullptr: crews of its own.
    host_crews* crews = nullptr;
    /// The GPU whose context serves calls that belong to no GPU (page-locking, asking about addresses) in threads that have no
    /// current one. -1: the first GPU that is used; before that, the thread's current GPU, as CUDA itself does.
    gpu_id home{-1};
    /// Ranges above this are page-locked in pieces: one registration of 512 GiB fails on current drivers, and one piece of
    /// 1 GiB stalls other processes for at most two seconds (published).
    std::uint64_t register_bytes = 1 * GiB;
    /// The kernel that copies scattered blocks, from <barelink/move/kernels.cuh> in a file that nvcc compiles; nullptr: none, the
    /// mover does without.
    cuda::block_kernel block_kernel = nullptr;
};

/// A model of `barelink::runtime`, one CUDA call an operation. GPUs of the machine are found by their PCI address, so its
/// numbers may differ from CUDA's. A context is created only on GPUs that own an end of a copy, its stream, or were listed as relays.
/// What the machine takes for granted about peer access, or was proved at another time (an IOMMU may have been switched on since),
/// is forgotten: pairs are `unproved` until a proof of this runtime. Those that failed stay failed.
/// After a failed call the thread's last CUDA error is cleared. One thread at a time, like the mover that uses it.
class runtime {
public:
    using stream_type = stream;
    using event_type = event;

    /// Asks for PCI addresses only; without a driver every later call says so.
    explicit runtime(machine m, options chosen = {})
        : machine_(std::move(m)), options_(chosen),
          own_crews_(chosen.host_threads > 0 ? chosen.host_threads
                                             : static_cast<unsigned>(machine_.costs.host_threads)) {
        find_devices();
        forget_earlier_deliveries();
    }
    runtime(const runtime&) = delete; // planners refer to the machine
    runtime& operator=(const runtime&) = delete;

    [[nodiscard]] const machine& topology() const noexcept { return machine_; }
    /// CUDA's number of a GPU, -1 for none that CUDA can see.
    [[nodiscard]] int device_of(node_index gpu) const noexcept {
        return gpu.value < devices_.size() ? devices_[gpu.value] : -1;
    }
    [[nodiscard]] node_index gpu_of(int device) const noexcept {
        for (std::uint32_t n = 0; device >= 0 && n < devices_.size(); ++n)
            if (devices_[n] == device) return node_index{n};
        return no_node;
    }
    /// A stream whose GPU need not be asked for again.
    [[nodiscard]] stream stream_of(cudaStream_t handle) const { return {handle, issuer({handle})}; }

    // The operations of the concept, in its order.

    /// Device memory, or pinned memory on a NUMA node: mapped, filled and page-locked, which takes about 0.1 s per GiB.
    [[nodiscard]] result<void*> allocate(node_index where, std::uint64_t bytes);
    [[nodiscard]] status release(void* at);
    [[nodiscard]] status pin(void* at, std::uint64_t bytes, const placement& where);
    [[nodiscard]] status unpin(void* at);
    /// Memory that this runtime pinned costs a look into a table; other memory two calls of CUDA, and page-locked memory of
    /// 1 MiB and more one of the kernel for its node. Errors: invalid_argument (freed, partly registered), unsupported (managed).
    [[nodiscard]] result<placement> classify(const void* at, std::uint64_t bytes);
    /// The same from what CUDA said already.
    [[nodiscard]] result<placement> place(const detail::address_facts& asked, const void* at,
                                          std::uint64_t bytes) const;
    /// Memory that this runtime pinned, and what CUDA and its driver know; of pageable memory only that it is.
    /// Errors: invalid_argument (freed), unsupported (managed).
    [[nodiscard]] result<memory_extent> extent(const void* at);
    [[nodiscard]] status open_peer(node_index from, node_index to);
    void set_delivery(node_index from, node_index to, delivery proof) {
        machine_.set_delivery(from, to, proof != delivery::failed, proof);
    }

    [[nodiscard]] result<stream> make_stream(node_index gpu) {
        const detail::device_scope scope(device_of(gpu));
        const detail::uncaptured_scope relaxed;
        stream made{nullptr, gpu};
        if (auto done = usable(gpu, scope, "making a stream"); !done) return done.error();
        if (auto done = check(cudaStreamCreateWithFlags(&made.handle, cudaStreamNonBlocking), "making a stream",
                              device_of(gpu));
            !done)
            return done.error();
        return made;
    }
    /// Errors of this and all below: what CUDA says, named.
    [[nodiscard]] status destroy(stream s) {
        const detail::thread_scope scope([&] { return device_of(s); });
        const detail::uncaptured_scope relaxed;
        return check(cudaStreamDestroy(s.handle), "destroying a stream");
    }
    [[nodiscard]] node_index issuer(stream s) const {
        return s.gpu != no_node ? s.gpu : gpu_of(detail::device_of_stream(s.handle));
    }
    [[nodiscard]] result<event> make_event(node_index gpu, bool timed) {
        const detail::device_scope scope(device_of(gpu));
        const detail::uncaptured_scope relaxed;
        event made{nullptr, device_of(gpu)};
        if (auto done = usable(gpu, scope, "making an event"); !done) return done.error();
        if (auto done = check(cudaEventCreateWithFlags(&made.handle, timed ? cudaEventDefault : cudaEventDisableTiming),
                              "making an event", device_of(gpu));
            !done)
            return done.error();
        return made;
    }
    [[nodiscard]] status destroy(event e) {
        const detail::thread_scope scope(e.device);
        const detail::uncaptured_scope relaxed;
        return check(cudaEventDestroy(e.handle), "destroying an event");
    }
    [[nodiscard]] status record(event e, stream s) {
        const detail::thread_scope scope(e.device);
        return check(cudaEventRecord(e.handle, s.handle), "recording an event");
    }
    [[nodiscard]] status wait(stream s, event e) {
        const detail::thread_scope scope(e.device);
        return check(cudaStreamWaitEvent(s.handle, e.handle, 0), "waiting for an event in a stream");
    }
    [[nodiscard]] status copy(void* to, const void* from, std::uint64_t bytes, stream s) {
        const detail::thread_scope scope([&] { return device_of(s); });
        return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, s.handle), "copying");
    }
    [[nodiscard]] status copy_2d(void* to, std::uint64_t to_pitch, const void* from, std::uint64_t from_pitch,
                                 std::uint64_t row_bytes, std::uint64_t rows, stream s) {
        const detail::thread_scope scope([&] { return device_of(s); });
        return check(cudaMemcpy2DAsync(to, to_pitch, from, from_pitch, row_bytes, rows, cudaMemcpyDefault, s.handle),
                     "copying rows");
    }
    [[nodiscard]] status copy_many(const block* list, std::size_t count, stream s) {
        const detail::thread_scope scope([&] { return device_of(s); });
        return check(batch_.copy(list, count, s.handle), "copying a batch");
    }
    /// The batch copy exists since CUDA 12.8, in toolkit and driver, and not in the legacy stream.
    [[nodiscard]] bool can_copy_many(stream s) const noexcept {
        return s.handle != nullptr && s.handle != cudaStreamLegacy && detail::driver_copies_batches();
    }
    [[nodiscard]] bool has_block_kernel() const noexcept { return options_.block_kernel != nullptr; }
    [[nodiscard]] status copy_blocks(const block* list, std::size_t count, int multiprocessors, stream s);
    [[nodiscard]] status host_copy(void* to, const void* from, std::uint64_t bytes, node_index near) {
        host_crews& crews = options_.crews ? *options_.crews : own_crews_;
        if (host_threads* crew = crews.near(machine_.at(near).numa))
            crew->copy(to, from, bytes);
        else
            barelink::detail::stream_copy(to, from, bytes);
        return {};
    }
    /// Many blocks at once, shared out among the threads.
    [[nodiscard]] status host_copy_many(const block* list, std::size_t count, node_index near);
    [[nodiscard]] result<bool> is_done(event e) {
        const detail::thread_scope scope(e.device);
        const detail::uncaptured_scope relaxed;
        const cudaError_t code = cudaEventQuery(e.handle);
        if (code == cudaErrorNotReady) {
            (void)cudaGetLastError();
            return false;
        }
        if (auto done = check(code, "asking an event"); !done) return done.error();
        return true;
    }
    [[nodiscard]] status synchronize(event e) {
        const detail::thread_scope scope(e.device);
        const detail::uncaptured_scope relaxed;
        return check(cudaEventSynchronize(e.handle), "waiting for a copy");
    }
    /// Resolution 0.5 us. Both events of one GPU.
    [[nodiscard]] result<double> elapsed_us(event from, event to) {
        const detail::thread_scope scope(from.device);
        float ms = 0;
        const cudaError_t code = cudaEventElapsedTime(&ms, from.handle, to.handle);
        if (code == cudaErrorNotReady) {
            (void)cudaGetLastError();
            return error(errc::invalid_argument, "both events must be done before the time between them is known");
        }
        if (auto done = check(code, "asking for the time between two events"); !done) return done.error();
        return static_cast<double>(ms) * 1e3;
    }
    [[nodiscard]] result<std::uint64_t> capturing(stream s) {
        if (s.handle == nullptr || s.handle == cudaStreamLegacy) return std::uint64_t{0}; // CUDA never captures it
        const detail::thread_scope scope([&] { return device_of(s); });
        cudaStreamCaptureStatus how = cudaStreamCaptureStatusNone;
        unsigned long long number = 0;
        if (auto done = check(cudaStreamGetCaptureInfo(s.handle, &how, &number), "asking for a capture"); !done)
            return done.error();
        if (how == cudaStreamCaptureStatusInvalidated)
            return error(errc::invalid_argument, "the stream's capture was broken by an earlier call: end it first");
        return how == cudaStreamCaptureStatusActive ? static_cast<std::uint64_t>(number) + 1 : std::uint64_t{0};
    }
    [[nodiscard]] double clock_us() const noexcept {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
    }

private:
    void find_devices();
    void forget_earlier_deliveries();
    [[nodiscard]] status usable(node_index gpu, const detail::device_scope& scope, const char* doing);
    [[nodiscard]] result<void*> allocate_host(node_index where, std::uint64_t bytes);
    [[nodiscard]] int home();
    [[nodiscard]] int device_of(stream s) const noexcept {
        return s.gpu != no_node ? device_of(s.gpu) : detail::device_of_stream(s.handle);
    }

    machine machine_;
    options options_;
    std::vector<int> devices_; ///< of every node, CUDA's number or -1
    int home_ = -1;            ///< a GPU that has a context already: page-locking needs one
    host_crews own_crews_;     ///< no thread runs before the first host copy
    detail::pinned_blocks blocks_;
    detail::batch_arrays batch_;
    std::vector<std::uint8_t> opened_; ///< of every pair of nodes
};

} // namespace cuda
BARELINK_END_NAMESPACE

#include <barelink/move/detail/cuda_runtime.hpp>
