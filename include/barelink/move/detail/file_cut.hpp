// Ranges of files cut into windows, each one read or write of a slot. Pure. Private to move.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <barelink/core/units.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// A part of a file that one range of the caller's needs.
struct file_extent {
    std::uint32_t range = 0; ///< the caller's number
    std::uint32_t file = 0;
    std::uint32_t lane = 0; ///< the memory that it goes to or comes from
    std::uint64_t begin = 0, end = 0;
};

/// Extents that are read in one go: they overlap or lie close. `next` moves from `begin` to `end`.
struct file_run {
    std::uint32_t file = 0, lane = 0;
    std::size_t first = 0, count = 0; ///< of the sorted extents
    std::uint64_t begin = 0, end = 0, next = 0;
    std::size_t low = 0; ///< no extent before it reaches `next`
};

/// A part of a run that fits into a slot wherever the alignment puts it.
struct file_window {
    std::size_t run = 0;
    std::uint64_t begin = 0, end = 0;
    std::size_t first = 0; ///< no extent before it reaches the window
};

/// Small neighbours are read together, also the few bytes between them. For writes nothing is joined.
struct file_joining {
    bool joins = true;
    std::uint64_t most_gap_bytes = 128 * KiB; ///< a disk's time to start is worth about as much
    std::uint64_t small_bytes = 1 * MiB;      ///< such extents join neighbours of other GPUs, too
};

/// Windows that a run is cut into.
[[nodiscard]] inline std::uint64_t windows_of(const file_run& r, std::uint64_t slot_bytes) noexcept {
    return divide_up(r.end, slot_bytes) - r.begin / slot_bytes;
}

/// Sorts the extents; runs are in the order of their files.
[[nodiscard]] inline std::vector<file_run> join_extents(std::vector<file_extent>& extents, file_joining how) {
    std::sort(extents.begin(), extents.end(), [](const file_extent& a, const file_extent& b) {
        if (a.file != b.file) return a.file < b.file;
        return a.begin != b.begin ? a.begin < b.begin : a.range < b.range;
    });
    std::vector<file_run> runs;
    for (std::size_t i = 0; i < extents.size(); ++i) {
        const file_extent& e = extents[i];
        if (e.begin == e.end) continue;
        if (!runs.empty() && how.joins && runs.back().file == e.file) {
            file_run& last = runs.back();
            const bool overlaps = e.begin < last.end;
            const bool close = !overlaps && e.begin - last.end <= how.most_gap_bytes;
            const bool small = e.end - e.begin < how.small_bytes || last.end - last.begin < how.small_bytes;
            if (overlaps || (close && (e.lane == last.lane || small))) {
                last.count = i + 1 - last.first;
                last.end = std::max(last.end, e.end);
                continue;
            }
        }
        runs.push_back({e.file, e.lane, i, 1, e.begin, e.end, e.begin, i});
    }
    return runs;
}

/// Windows of all runs in turn: every file and every GPU gets one before any gets a second, in its file's order.
class file_windows {
public:
    /// `slot_bytes` is a multiple of every file's alignment; extents and runs are those of `join_extents`.
    file_windows(std::vector<file_extent> extents, std::vector<file_run> runs, std::uint64_t slot_bytes)
        : extents_(std::move(extents)), runs_(std::move(runs)), slot_(slot_bytes) {
        for (std::size_t r = 0; r < runs_.size(); ++r) {
            queue* mine = nullptr;
            for (queue& each : queues_)
                if (each.file == runs_[r].file && each.lane == runs_[r].lane) mine = &each;
            if (!mine) mine = &queues_.emplace_back(queue{runs_[r].file, runs_[r].lane, 0, {}});
            mine->runs.push_back(r);
        }
    }

    [[nodiscard]] const file_run& run(std::size_t r) const noexcept { return runs_[r]; }
    /// The next window whose lane `may` take one; false when there is none now.
    template <class May>
    [[nodiscard]] bool next(file_window& found, May may) {
        for (std::size_t tried = 0; tried < queues_.size(); ++tried) {
            queue& q = queues_[turn_];
            turn_ = (turn_ + 1) % queues_.size();
            if (q.at == q.runs.size() || !may(q.lane)) continue;
            file_run& r = runs_[q.runs[q.at]];
            const std::uint64_t boundary = (r.next / slot_ + 1) * slot_;
            while (extents_[r.low].end <= r.next) ++r.low;
            found = {q.runs[q.at], r.next, std::min(boundary, r.end), r.low};
            r.next = found.end;
            if (r.next == r.end) ++q.at;
            return true;
        }
        return false;
    }
    [[nodiscard]] bool exhausted() const noexcept {
        return std::all_of(queues_.begin(), queues_.end(), [](const queue& q) { return q.at == q.runs.size(); });
    }
    /// Calls `visit` with every extent that a window touches.
    template <class Visit>
    void each_extent(const file_window& w, Visit visit) const {
        const file_run& r = runs_[w.run];
        for (std::size_t i = w.first; i < r.first + r.count && extents_[i].begin < w.end; ++i)
            if (extents_[i].end > w.begin) visit(extents_[i]);
    }

private:
    struct queue {
        std::uint32_t file, lane;
        std::size_t at;
        std::vector<std::size_t> runs;
    };
    std::vector<file_extent> extents_;
    std::vector<file_run> runs_;
    std::vector<queue> queues_;
    std::uint64_t slot_;
    std::size_t turn_ = 0;
};

/// Every row of `row_bytes` of a file, of which `bytes` from `offset` on are wanted.
struct row_grid {
    std::uint64_t row_bytes = 0, offset = 0, bytes = 0;
};

/// Equal pieces at equal distances: from a file's bytes that start at `file` to the place `memory` rows deep in the range.
struct row_block {
    std::uint64_t file = 0;    ///< of its first byte, from the beginning of the range in the file
    std::uint64_t row = 0;     ///< its first row
    std::uint64_t skipped = 0; ///< of that row's slice, bytes that belong to the window before
    std::uint64_t bytes = 0;   ///< of each row
    std::uint64_t rows = 0;
};

/// The wanted parts of a window that is [begin, end) from the range's beginning: at most three blocks, because the first and
/// the last row may be cut.
template <class Visit>
void each_block(const row_grid& grid, std::uint64_t begin, std::uint64_t end, Visit visit) {
    const auto cut_row = [&](std::uint64_t row) {
        const std::uint64_t from = row * grid.row_bytes + grid.offset, to = from + grid.bytes;
        const std::uint64_t first = std::max(from, begin), last = std::min(to, end);
        if (first < last) visit(row_block{first, row, first - from, last - first, 1});
    };
    std::uint64_t row = begin / grid.row_bytes, last = divide_up(end, grid.row_bytes);
    if (row < last && row * grid.row_bytes + grid.offset < begin) cut_row(row++);
    const bool cut_last = row < last && (last - 1) * grid.row_bytes + grid.offset + grid.bytes > end;
    const std::uint64_t whole = last - row - (cut_last ? 1 : 0);
    if (row < last && whole > 0) visit(row_block{row * grid.row_bytes + grid.offset, row, 0, grid.bytes, whole});
    if (cut_last) cut_row(last - 1);
}

} // namespace detail
BARELINK_END_NAMESPACE
