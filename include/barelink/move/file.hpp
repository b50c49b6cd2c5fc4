// Files straight into GPU memory and back, through a bounded ring of pinned memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <barelink/move/detail/file_transfer.hpp>
#include <barelink/move/file_range.hpp>

BARELINK_BEGIN_NAMESPACE
inline namespace BARELINK_FILE_ABI {

template <runtime Runtime>
class file_mover;

/// A load or a store on its way. Small, copyable; good until its mover starts the next one. Used by the mover's thread: what
/// moves bytes between the ring and the GPUs are its own calls, so whoever waits for nothing else should call `wait`.
template <runtime Runtime>
class file_job {
public:
    /// Does what can be done at once; true when the job is over and all bytes are where they belong. Does not block.
    /// Errors, once what was under way has ended: io (with file, offset and what was there; `native` is the errno), those of
    /// the runtime, cancelled. Nothing of a failed job may be used; `progress` says how much of it arrived.
    [[nodiscard]] result<bool> poll() const {
        if (auto fine = current(); !fine) return fine.error();
        return mover_->transfer_.turn();
    }
    /// Blocks until the job is over. Later work in its stream sees the bytes. Errors: as for `poll`.
    [[nodiscard]] status wait() const {
        if (auto fine = current(); !fine) return fine;
        return mover_->transfer_.wait();
    }
    /// Stops it after the chunks in flight; `wait` and `poll` then answer `cancelled`, unless everything had arrived.
    void cancel() const {
        if (current()) mover_->transfer_.cancel();
    }
    /// Where it stands, as of the last `poll` or `wait`. Zeros when a later job was started.
    [[nodiscard]] file_progress progress() const { return current() ? mover_->transfer_.progress() : file_progress{}; }
    /// What did not go as asked, one sentence each: no direct reads, no io_uring, a smaller ring.
    [[nodiscard]] std::vector<std::string> notes() const {
        return current() ? mover_->transfer_.notes() : std::vector<std::string>{};
    }

private:
    friend class file_mover<Runtime>;
    file_job(file_mover<Runtime>& mover, std::uint64_t number) noexcept : mover_(&mover), number_(number) {}
    [[nodiscard]] status current() const {
        if (number_ == mover_->started_) return {};
        return error(errc::invalid_argument, "a later load or store was started on this mover: this job is over");
    }

    file_mover<Runtime>* mover_;
    std::uint64_t number_;
};

/// Loads ranges of files into the memory of GPUs, and stores it into files. Borrows the runtime, which must outlive it. Owns a
/// ring of pinned memory on the NUMA node nearest to each GPU in use, streams, events and reading threads, made on first use
/// and kept. Peak host memory is the ring, whatever the files' size. One thread at a time, one job at a time; a job takes any
/// number of files and GPUs. Calls of the runtime are made by the caller's thread alone. The destructor ends a job that is
/// under way and waits for its chunks in flight.
template <runtime Runtime>
class file_mover {
public:
    using stream_type = typename Runtime::stream_type;
    using job = file_job<Runtime>;

    explicit file_mover(Runtime& on, file_options options = {}) : transfer_(on, options) {}
    file_mover(const file_mover&) = delete;
    file_mover& operator=(const file_mover&) = delete;

    /// Starts to read `ranges` and returns; `wait` or `poll` of the job do the rest. Memory is written after the work in
    /// `stream`. Neighbouring ranges are read in one go, and a part that several ranges want is read once. Files and memory
    /// are borrowed until the job is over; the span until this returns. Ranges must not overlap in memory.
    /// Errors, before anything is read: invalid_argument (no file, no memory, pageable memory, rows that do not fit: with the
    /// number of the range; a job is under way), io (the file is shorter than the range), unsupported (the stream is
    /// captured), out_of_memory (not even the smallest ring), those of the runtime.
    [[nodiscard]] result<job> load(std::span<const file_range> ranges, stream_type stream) {
        if (auto begun = transfer_.start_load(ranges, stream); !begun) return begun.error();
        return job(*this, ++started_);
    }
    /// Starts to write `ranges`, after the work in `stream`. When the job is over without an error every file is complete, on
    /// the disk and under its name; otherwise all of them are removed. Ranges must not overlap in a file; what lies between
    /// them is zeros. Errors: as for `load`, and io when a file system has no room.
    [[nodiscard]] result<job> store(std::span<const stored_range> ranges, stream_type stream) {
        if (auto begun = transfer_.start_store(ranges, stream); !begun) return begun.error();
        return job(*this, ++started_);
    }
    /// Pinned memory that it holds, bytes.
    [[nodiscard]] std::uint64_t ring_bytes() const noexcept { return transfer_.ring_bytes(); }

private:
    friend class file_job<Runtime>;
    detail::file_transfer<Runtime> transfer_;
    std::uint64_t started_ = 0;
};

} // namespace BARELINK_FILE_ABI
BARELINK_END_NAMESPACE
