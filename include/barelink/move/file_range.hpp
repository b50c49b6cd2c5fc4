// What is to be moved between files and memory, how, and how far it got.
#pragma once

#include <cstdint>

#include <barelink/core/units.hpp>
#include <barelink/move/source_file.hpp>

BARELINK_BEGIN_NAMESPACE

/// A shard of columns: of every row of `row_bytes` in the file, the `bytes` from `offset` on. Whole rows are read, and the
/// columns copied out of the ring, so shards of one tensor for several GPUs belong into one job: then it is read once.
struct file_rows {
    std::uint64_t row_bytes = 0; ///< 0: the range is contiguous
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::uint64_t memory_pitch = 0; ///< from row to row in memory; 0: the rows lie close
};

/// A part of a file and the memory that it goes to: of a GPU, or pinned host memory (copied there by host threads).
struct file_range {
    const source_file* file = nullptr;
    std::uint64_t offset = 0; ///< in the file; of any alignment
    std::uint64_t bytes = 0;  ///< in the file; with `rows` a multiple of `row_bytes`
    void* memory = nullptr;
    file_rows rows = {};
};

/// Memory and the part of a file that it becomes.
struct stored_range {
    target_file* file = nullptr;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    const void* memory = nullptr;
};

struct file_options {
    /// Pinned memory for all rings together.
    std::uint64_t ring_bytes = 256 * MiB;
    /// One read or write. Project choice: from 4 MiB on disks and links are at their rate.
    std::uint64_t chunk_bytes = 8 * MiB;
    /// Reads that are under way at once: threads, or entries of io_uring. With at least two chunks of the ring for each.
    /// Project choice: one NVMe disk needs 4 to 8 of this size, a few striped ones more.
    std::uint32_t workers = 8;
    /// Past the page cache. `automatic`: for what is not in it already, where the file system can.
    enum class direct_reads : std::uint8_t { automatic, always, never } direct = direct_reads::automatic;
    /// `automatic`: io_uring for loads where the program is linked to liburing and the system allows it, else threads.
    enum class engine : std::uint8_t { automatic, threads } reads = engine::automatic;
};

/// How far a job got. Bytes of memory count for each range: a part of a file that goes to two GPUs is read once and arrives
/// twice.
struct file_progress {
    std::uint64_t file_bytes = 0;       ///< read or written so far
    std::uint64_t file_bytes_total = 0; ///< to read or write
    std::uint64_t arrived = 0;          ///< in memory, or when storing on the way to the disk
    std::uint64_t total = 0;
    /// What `wait` waited for with nothing else to do, microseconds: the larger one is the limit.
    double storage_us = 0, link_us = 0;
};

BARELINK_END_NAMESPACE
