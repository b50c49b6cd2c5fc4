// How a job of a file mover starts: its ranges checked, memory and readers found. Included by file_transfer.hpp, last.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include <barelink/move/detail/file_transfer.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {
inline namespace BARELINK_FILE_ABI {

template <runtime Runtime>
template <class CheckAll>
status file_transfer<Runtime>::start(stream_type stream, bool storing, CheckAll check_ranges) {
    if (!over_)
        return error(errc::invalid_argument,
                     "a job is under way on this file mover: wait for it, or use another mover");
    auto capture = runtime_.capturing(stream);
    if (!capture) return std::move(capture).error();
    if (*capture != 0)
        return error(errc::unsupported, "a file cannot be read inside a graph: end the stream's capture first");
    storing_ = storing;
    stopped_ = cancelled_ = uses_uring_ = host_waited_ = false;
    phase_ = phase::moving;
    files_.clear();
    parts_.clear();
    extents_.clear();
    notes_.clear();
    failure_ = {};
    progress_ = {};
    for (lane& each : links_.lanes()) each.used = false;
    if (auto fine = check_ranges(); !fine) return fine;

    std::vector<file_run> runs = join_extents(extents_, {.joins = !storing});
    if (auto room = make_room(runs); !room) return room;
    choose_direct();
    if (auto readers = find_readers(); !readers) return readers;
    if (storing)
        if (auto room = reserve(); !room) return room;

    for (const file_run& each : runs) progress_.file_bytes_total += each.end - each.begin;
    windows_ = file_windows(std::move(extents_), std::move(runs), slots_.slot_bytes());
    extents_ = {};
    events_.rewind();
    auto event = events_.take(runtime_.issuer(stream));
    if (!event) return std::move(event).error();
    started_ = *event;
    if (auto recorded = runtime_.record(started_, stream); !recorded) return recorded;
    for (const lane& each : links_.lanes())
        if (each.used && !each.host)
            if (auto waits = runtime_.wait(each.stream, started_); !waits) return waits;
    over_ = false;
    (void)issue();
    return {};
}

template <runtime Runtime>
std::uint32_t file_transfer<Runtime>::file_number(const source_file* source, target_file* target) {
    for (std::uint32_t f = 0; f < files_.size(); ++f)
        if (files_[f].source == source && files_[f].target == target) return f;
    open_file& made = files_.emplace_back();
    made.source = source;
    made.target = target;
    return static_cast<std::uint32_t>(files_.size() - 1);
}

template <runtime Runtime>
status file_transfer<Runtime>::check_all(std::span<const file_range> ranges) {
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const file_range& r = ranges[i];
        const std::string number = "range " + std::to_string(i);
        if (!r.file) return error(errc::invalid_argument, (number + " names no file").c_str());
        if (r.offset > r.file->bytes() || r.bytes > r.file->bytes() - r.offset)
            return error(errc::io, (std::string(r.file->path()) + " has " + std::to_string(r.file->bytes()) +
                                    " bytes: " + number + " wants " + std::to_string(r.bytes) + " from byte " +
                                    std::to_string(r.offset))
                                       .c_str())
                .about(r.file->path())
                .asking(r.bytes);
        if (auto added = add(i, file_number(r.file, nullptr), r.offset, r.bytes, r.memory, r.rows); !added)
            return added;
    }
    return {};
}

template <runtime Runtime>
status file_transfer<Runtime>::check_all(std::span<const stored_range> ranges) {
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        const stored_range& r = ranges[i];
        const std::string number = "range " + std::to_string(i);
        if (!r.file || !r.file->is_open())
            return error(errc::invalid_argument,
                         (number + " names no file, or one that was committed or discarded before").c_str());
        if (r.bytes > max_transfer_bytes || r.offset > max_transfer_bytes)
            return error(errc::invalid_argument, (number + " ends beyond every file").c_str()).asking(r.bytes);
        const std::uint32_t file = file_number(nullptr, r.file);
        files_[file].size = std::max(files_[file].size, r.offset + r.bytes);
        if (auto added = add(i, file, r.offset, r.bytes, r.memory, {}); !added) return added;
    }
    return {};
}

template <runtime Runtime>
status file_transfer<Runtime>::add(std::size_t number, std::uint32_t file, std::uint64_t offset, std::uint64_t bytes,
                                   const void* memory, const file_rows& rows) {
    const auto refuse = [&](const char* why) {
        return error(errc::invalid_argument, text::join({"range ", std::to_string(number).c_str(), why}))
            .about(files_[file].path())
            .asking(bytes);
    };
    part p{offset, static_cast<char*>(const_cast<void*>(memory)), {bytes, 0, bytes}, bytes};
    if (bytes == 0) {
        parts_.push_back(p);
        return {};
    }
    if (!memory) return refuse(": a null pointer cannot be loaded into or stored");
    std::uint64_t extent = bytes, wanted = bytes;
    if (rows.row_bytes > 0) {
        if (bytes % rows.row_bytes != 0) return refuse(" is no whole number of rows");
        if (rows.bytes == 0 || rows.offset > rows.row_bytes || rows.bytes > rows.row_bytes - rows.offset)
            return refuse(" wants columns that its rows do not have");
        const std::uint64_t count = bytes / rows.row_bytes;
        p.pitch = rows.memory_pitch > 0 ? rows.memory_pitch : rows.bytes;
        if (p.pitch < rows.bytes) return refuse(" has rows that overlap in memory");
        if (p.pitch > max_transfer_bytes / count) return refuse(" is too large in memory");
        p.grid = {rows.row_bytes, rows.offset, rows.bytes};
        extent = (count - 1) * p.pitch + rows.bytes;
        wanted = count * rows.bytes;
    }
    auto where = runtime_.classify(memory, extent);
    if (!where) {
        error failure = std::move(where).error();
        return error(failure.code(), text::join({"range ", std::to_string(number).c_str(), ": ", failure.what()}))
            .about(files_[file].path())
            .asking(extent)
            .natively(failure.native());
    }
    if (where->kind == memory_kind::pageable)
        return refuse(": the memory is pageable, and no GPU's: read the file into it, or pin it");
    const node_index near =
        where->kind == memory_kind::device ? nearest_memory(runtime_.topology(), where->node) : where->node;
    if (near == no_node) return refuse(": no host memory has a path to the GPU");
    auto to = links_.lane_to(*where, slots_.ring_on(near));
    if (!to) return std::move(to).error();
    extents_.push_back({static_cast<std::uint32_t>(number), file, *to, offset, offset + bytes});
    parts_.push_back(p);
    progress_.total += wanted;
    return {};
}

/// Slots for the windows that there will be, within the budget.
template <runtime Runtime>
status file_transfer<Runtime>::make_room(const std::vector<file_run>& runs) {
    std::uint64_t alignment = least_alignment, longest = 0;
    for (const open_file& each : files_) alignment = std::max(alignment, each.alignment());
    for (const file_run& each : runs) longest = std::max(longest, each.end - each.begin);
    std::vector<std::uint64_t> windows(slots_.rings());
    std::uint64_t rings = 0;
    for (const file_run& each : runs) windows[links_.at(each.lane).ring] = 1;
    for (const std::uint64_t each : windows) rings += each;
    if (rings == 0) return slots_.provide(windows, slots_.slot_bytes(), 1, [](const std::string&) {});

    // A job of small files needs no large chunks; two slots a ring is the least that overlaps disk and link.
    const std::uint64_t budget = options_.ring_bytes / rings;
    std::uint64_t slot = std::min({options_.chunk_bytes, round_up(longest, alignment), budget / 2, 1 * GiB});
    slot = std::max(slot / alignment * alignment, alignment);
    if (2 * slot > budget)
        return error(errc::invalid_argument,
                     "file_options::ring_bytes is too small: two chunks of 4 KiB, or of what the "
                     "disk's alignment is, for each NUMA node")
            .asking(options_.ring_bytes);
    if (slots_.slot_bytes() > slot && slots_.slot_bytes() <= budget / 2 && slots_.slot_bytes() % alignment == 0)
        slot = slots_.slot_bytes(); // of the job before: good enough
    else if (slots_.slot_bytes() > slot)
        slots_.forget();
    std::fill(windows.begin(), windows.end(), 0);
    for (const file_run& each : runs) windows[links_.at(each.lane).ring] += windows_of(each, slot);
    for (std::uint64_t& each : windows) each = std::min(each, budget / slot);
    auto enough = slots_.provide(windows, slot, alignment, [&](std::string said) { note(std::move(said)); });
    if (!enough) return enough;
    return {};
}

template <runtime Runtime>
void file_transfer<Runtime>::choose_direct() {
    using choice = file_options::direct_reads;
    for (std::uint32_t f = 0; f < files_.size(); ++f) {
        open_file& each = files_[f];
        if (options_.direct == choice::never) continue;
        const int direct = each.source ? each.source->direct_descriptor() : each.target->direct_descriptor();
        each.direct = direct >= 0;
        if (!each.direct) {
            note(std::string(each.path()) +
                 ": the file system has no direct access (O_DIRECT); through the page cache");
            continue;
        }
        if (!each.source || options_.direct == choice::always) continue;
        std::uint64_t begin = ~0ull, end = 0;
        for (const file_extent& e : extents_) {
            if (e.file != f) continue;
            begin = std::min(begin, e.begin);
            end = std::max(end, e.end);
        }
        if (begin < end && is_cached(each.source->descriptor(), begin, end - begin)) {
            each.direct = false;
            note(std::string(each.path()) + ": read from the page cache, which has it");
        }
    }
}

/// io_uring when every file is read past the page cache (a read through it may keep the caller), else threads.
template <runtime Runtime>
status file_transfer<Runtime>::find_readers() {
    const std::uint32_t slots = slots_.count();
    closing_group_ = 0;
    if (slots == 0) { // files of no bytes have to be completed, too
        if (storing_ && crew_.staff(0, unknown_numa, 1) == 0)
            return error(errc::out_of_memory, "the system gives no thread to write files with");
        return {};
    }
    bool all_direct = !storing_;
    for (const open_file& each : files_) all_direct &= each.direct;
    if (liburing_enabled && all_direct && options_.reads == file_options::engine::automatic) {
        const int refused = uring_.open(slots);
        uses_uring_ = refused == 0;
        depth_ = std::min(slots, std::max(options_.workers, 1u));
        if (uses_uring_) return {};
        note(std::string("io_uring is not to be had, threads read instead: ") + std::strerror(refused));
    }
    std::uint32_t rings = 0;
    for (std::uint32_t r = 0; r < slots_.rings(); ++r) rings += slots_.count(r) > 0 ? 1u : 0u;
    depth_ = 0;
    for (std::uint32_t r = 0; r < slots_.rings(); ++r) {
        if (slots_.count(r) == 0) continue;
        const std::uint32_t share = std::max(options_.workers / rings, 1u);
        const std::uint32_t wanted = std::max(std::min(share, slots_.count(r) / 2), 1u); // two slots for each
        const std::uint32_t got = crew_.staff(r, runtime_.topology().at(slots_.node_of(r)).numa, wanted);
        if (got == 0) return error(errc::out_of_memory, "the system gives no thread to read files with");
        if (got < wanted) note("the system gives fewer threads than were asked for to read files with");
        depth_ += std::min(got, wanted);
        closing_group_ = r;
    }
    return {};
}

template <runtime Runtime>
status file_transfer<Runtime>::reserve() {
    for (open_file& each : files_)
        if (auto room = each.target->reserve(each.size); !room) {
            for (open_file& all : files_) all.target->discard();
            return room;
        }
    return {};
}

} // namespace BARELINK_FILE_ABI
} // namespace detail
BARELINK_END_NAMESPACE
