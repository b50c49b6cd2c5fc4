// How a job of a file mover goes on: what landed, what is issued, what is waited for. Included by file_transfer.hpp, last.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include <sys/stat.h>

#include <barelink/move/detail/file_transfer.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {
inline namespace BARELINK_FILE_ABI {

/// True when anything moved.
template <runtime Runtime>
bool file_transfer<Runtime>::pump() {
    bool moved = false;
    while (file_task* const task = disk_ > 0 ? pop(false) : nullptr) moved |= landed(*task);
    for (lane& each : links_.lanes())
        while (!each.under_way.empty()) {
            const auto done = runtime_.is_done(each.under_way.front().done);
            if (done && !*done) break;
            if (!done) fail(done.error());
            link_done(each, done.has_value());
            moved = true;
        }
    moved |= issue();
    if (disk_ == 0 && links_.under_way() == 0 && (stopped_ || windows_.exhausted())) end_phase();
    return moved;
}

/// Blocks until something can move.
template <runtime Runtime>
void file_transfer<Runtime>::rest() {
    // While every reader is busy, or there is nothing more to read, the disk is what everybody waits for.
    const bool disk_busy = disk_ >= depth_ || stopped_ || windows_.exhausted();
    if (disk_ > 0 && (links_.under_way() == 0 || disk_busy)) {
        const double before = now_us();
        file_task* const task = pop(true);
        progress_.storage_us += now_us() - before;
        if (task) (void)landed(*task);
        return;
    }
    if (lane* const busy = links_.busiest()) {
        const double before = runtime_.clock_us();
        auto done = runtime_.synchronize(busy->under_way.front().done);
        progress_.link_us += runtime_.clock_us() - before;
        const bool arrived = static_cast<bool>(done);
        if (!arrived) fail(std::move(done));
        link_done(*busy, arrived);
    }
}

template <runtime Runtime>
bool file_transfer<Runtime>::issue() {
    bool any = false;
    file_window w;
    while (!stopped_ && phase_ == phase::moving &&
           windows_.next(w, [&](std::uint32_t l) { return slots_.has_free(links_.at(l).ring); })) {
        const std::uint32_t number = slots_.take(links_.at(windows_.run(w.run).lane).ring);
        slots_.at(number).window = w;
        any = true;
        if (!storing_) {
            begin_disk(number);
            continue;
        }
        auto moved = move_window(number);
        if (!moved) fail(std::move(moved));
        if (slots_.at(number).links > 0) continue;
        // Host memory, or it failed.
        if (stopped_)
            slots_.give_back(number);
        else
            begin_disk(number);
    }
    return any;
}

template <runtime Runtime>
void file_transfer<Runtime>::begin_disk(std::uint32_t number) {
    file_slot& slot = slots_.at(number);
    const open_file& file = files_[windows_.run(slot.window.run).file];
    file_task& task = slot.task;
    task = {};
    task.slot = number;
    task.group = slot.ring;
    task.alignment = file.alignment();
    task.offset = slot.window.begin;
    task.bytes = task.needed = slot.window.end - slot.window.begin;
    task.memory = slot.memory;
    if (storing_) {
        task.what = file_task::kind::write;
        task.buffered = file.target->descriptor();
        if (file.direct) task.direct = file.target->direct_descriptor();
        task.memory += task.offset % task.alignment; // so that what is aligned in the file is in memory
    } else {
        task.buffered = file.source->descriptor();
        if (file.direct) {
            task.direct = file.source->direct_descriptor();
            task.offset -= task.offset % task.alignment; // the aligned block around
            task.bytes = round_up(slot.window.end, task.alignment) - task.offset;
            task.needed = slot.window.end - task.offset;
        }
    }
    ++disk_;
    if (!uses_uring_) return crew_.push(task);
    task.failure = uring_.push(task);
    if (task.failure != 0) (void)landed(task);
}

/// A task is over. True, always: it moved something.
template <runtime Runtime>
bool file_transfer<Runtime>::landed(file_task& task) {
    --disk_;
    if (task.what == file_task::kind::sync || task.what == file_task::kind::commit) {
        if (!task.completed) fail(task.completed);
        return true;
    }
    const file_slot& slot = slots_.at(task.slot);
    open_file& file = files_[windows_.run(slot.window.run).file];
    if (task.direct_refused && file.direct) {
        file.direct = false;
        note(std::string(file.path()) + ": the file system refused a direct access (O_DIRECT); through the page cache");
    }
    const bool failed = task.dropped || task.failure != 0 || task.ended;
    if (!failed) progress_.file_bytes += slot.window.end - slot.window.begin;
    if (failed && !task.dropped) fail(disk_error(task));
    if (!failed && storing_) progress_.arrived += slot.window.end - slot.window.begin;
    if (!failed && !storing_) {
        auto moved = move_window(task.slot);
        if (!moved) fail(std::move(moved));
    }
    if (slot.links == 0) slots_.give_back(task.slot);
    return true;
}

template <runtime Runtime>
void file_transfer<Runtime>::link_done(lane& l, bool arrived) {
    const auto link = links_.pop(l);
    file_slot& slot = slots_.at(link.slot);
    --slot.links;
    if (arrived && !storing_) progress_.arrived += link.bytes;
    if (slot.links > 0) return;
    if (storing_ && !stopped_ && arrived)
        begin_disk(link.slot);
    else
        slots_.give_back(link.slot);
}

/// Enqueues all copies between a slot and the memories of its window. Host memory is copied here and now.
template <runtime Runtime>
status file_transfer<Runtime>::move_window(std::uint32_t number) {
    file_slot& slot = slots_.at(number);
    const file_window w = slot.window;
    const open_file& file = files_[windows_.run(w.run).file];
    char* const at_begin = slot.memory + (storing_ ? w.begin % file.alignment() : w.begin - slot.task.offset);
    status all;
    for (std::uint32_t l = 0; l < links_.lanes().size() && all; ++l) {
        lane& to = links_.at(l);
        std::uint64_t bytes = 0;
        bool begun = false;
        windows_.each_extent(w, [&](const file_extent& e) {
            if (e.lane != l || !all) return;
            if (to.host) all = host_may_touch();
            const part& p = parts_[e.range];
            const std::uint64_t begin = std::max(e.begin, w.begin) - p.offset, end = std::min(e.end, w.end) - p.offset;
            each_block(p.grid, begin, end, [&](const row_block& b) {
                if (!all) return;
                begun = true;
                all = copy_block(to, p, b, at_begin + (p.offset + b.file - w.begin));
                bytes += b.bytes * b.rows;
            });
        });
        if (to.host) {
            if (all && !storing_) progress_.arrived += bytes;
        } else if (begun) {
            // Also when a later copy was refused: what was enqueued must have an end that can be waited for.
            auto marked = links_.mark(to, number, all ? bytes : 0);
            if (marked) ++slot.links;
            all.keep_first(std::move(marked));
        }
    }
    return all;
}

template <runtime Runtime>
status file_transfer<Runtime>::copy_block(lane& l, const part& p, const row_block& b, char* in_slot) {
    char* const in_memory = p.memory + b.row * p.pitch + b.skipped;
    if (l.host) {
        for (std::uint64_t row = 0; row < b.rows; ++row) {
            char *to = in_memory + row * p.pitch, *from = in_slot + row * p.grid.row_bytes;
            if (storing_) std::swap(to, from);
            if (auto done = runtime_.host_copy(to, from, b.bytes, l.node); !done) return done;
        }
        return {};
    }
    if (storing_) return runtime_.copy(in_slot, in_memory, b.bytes, l.stream); // always one block
    if (b.rows == 1) return runtime_.copy(in_memory, in_slot, b.bytes, l.stream);
    return runtime_.copy_2d(in_memory, p.pitch, in_slot, p.grid.row_bytes, b.bytes, b.rows, l.stream);
}

/// Host threads know no streams: the host waits for the work before the job, once.
template <runtime Runtime>
status file_transfer<Runtime>::host_may_touch() {
    if (host_waited_) return {};
    auto done = runtime_.synchronize(started_);
    host_waited_ = static_cast<bool>(done);
    return done;
}

/// Nothing is under way. Files that were written are completed, all of them before the first gets its name.
template <runtime Runtime>
void file_transfer<Runtime>::end_phase() {
    if (storing_ && !stopped_ && phase_ != phase::committing && !files_.empty()) {
        const bool synced = phase_ == phase::syncing;
        phase_ = synced ? phase::committing : phase::syncing;
        for (open_file& each : files_) {
            each.closing = {};
            each.closing.what = synced ? file_task::kind::commit : file_task::kind::sync;
            each.closing.target = each.target;
            each.closing.group = closing_group_;
            ++disk_;
            crew_.push(each.closing);
        }
        return;
    }
    finish();
}

template <runtime Runtime>
void file_transfer<Runtime>::finish() {
    if (cancelled_ && failure_ && (storing_ || progress_.arrived < progress_.total))
        failure_ = error(errc::cancelled, ("cancelled: " + std::to_string(progress_.arrived) + " of " +
                                           std::to_string(progress_.total) + " bytes had arrived")
                                              .c_str())
                       .asking(progress_.total);
    if (!failure_) {
        links_.quiet();
        if (storing_)
            for (open_file& each : files_) each.target->discard();
    }
    over_ = true;
}

template <runtime Runtime>
void file_transfer<Runtime>::fail(status why) {
    failure_.keep_first(std::move(why));
    stopped_ = true;
    crew_.drop_waiting();
}

template <runtime Runtime>
error file_transfer<Runtime>::disk_error(const file_task& task) const {
    const open_file& file = files_[windows_.run(slots_.at(task.slot).window.run).file];
    const std::string at = std::to_string(task.offset + task.done);
    if (task.failure != 0)
        return file_error(file.path(),
                          ((storing_ ? "cannot be written at byte " : "cannot be read at byte ") + at).c_str(),
                          task.failure)
            .asking(task.needed);
    struct stat now {};
    const bool known = ::fstat(file.source->descriptor(), &now) == 0;
    return error(errc::io, (std::string(file.path()) + " became shorter: of " + std::to_string(task.needed) +
                            " bytes from byte " + std::to_string(task.offset) + " only " + std::to_string(task.done) +
                            " are there; it had " + std::to_string(file.source->bytes()) + " bytes when it was opened" +
                            (known ? ", now " + std::to_string(now.st_size) : ""))
                               .c_str())
        .about(file.path())
        .asking(task.needed);
}

} // namespace BARELINK_FILE_ABI
} // namespace detail
BARELINK_END_NAMESPACE
