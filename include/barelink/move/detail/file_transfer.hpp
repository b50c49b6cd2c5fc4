// One job of a file mover: windows of files through slots to GPUs, or the other way. Private to move/file.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <time.h>

#include <barelink/move/detail/event_shelf.hpp>
#include <barelink/move/detail/file_crew.hpp>
#include <barelink/move/detail/file_links.hpp>
#include <barelink/move/detail/file_slots.hpp>
#include <barelink/move/detail/file_uring.hpp>
#include <barelink/move/file_range.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {
inline namespace BARELINK_FILE_ABI {

/// A slot goes free -> disk -> link -> free for a load, free -> link -> disk -> free for a store. `pump` moves every slot
/// that can move; `rest` waits for the one that holds the others up.
template <runtime Runtime>
class file_transfer {
public:
    using stream_type = typename Runtime::stream_type;
    using event_type = typename Runtime::event_type;
    using lane = file_lane<Runtime>;

    file_transfer(Runtime& on, const file_options& options) : runtime_(on), options_(options) {}
    file_transfer(const file_transfer&) = delete;
    file_transfer& operator=(const file_transfer&) = delete;
    ~file_transfer() {
        cancel();
        (void)wait();
    }

    [[nodiscard]] status start_load(std::span<const file_range> ranges, stream_type stream) {
        return start(stream, false, [&] { return check_all(ranges); });
    }
    [[nodiscard]] status start_store(std::span<const stored_range> ranges, stream_type stream) {
        return start(stream, true, [&] { return check_all(ranges); });
    }
    [[nodiscard]] result<bool> turn() {
        if (!over_) (void)pump();
        if (!over_) return false;
        if (!failure_) return failure_.error();
        return true;
    }
    [[nodiscard]] status wait() {
        while (!over_)
            if (!pump() && !over_) rest();
        return failure_;
    }
    void cancel() noexcept {
        if (over_ || stopped_) return;
        cancelled_ = stopped_ = true;
        crew_.drop_waiting();
    }
    [[nodiscard]] const file_progress& progress() const noexcept { return progress_; }
    [[nodiscard]] const std::vector<std::string>& notes() const noexcept { return notes_; }
    [[nodiscard]] std::uint64_t ring_bytes() const noexcept { return slots_.bytes(); }

private:
    /// A file of the job: of either kind.
    struct open_file {
        const source_file* source = nullptr;
        target_file* target = nullptr;
        bool direct = false;
        std::uint64_t size = 0; ///< of a target, in the end
        file_task closing;

        [[nodiscard]] const char* path() const noexcept { return source ? source->path() : target->path(); }
        [[nodiscard]] std::uint64_t alignment() const noexcept {
            return source ? source->alignment() : target->alignment();
        }
    };
    /// A range that was checked.
    struct part {
        std::uint64_t offset = 0; ///< in the file
        char* memory = nullptr;
        row_grid grid; ///< of one row, if it is contiguous
        std::uint64_t pitch = 0;
    };
    enum class phase : std::uint8_t { moving, syncing, committing };

    // Starting.
    template <class CheckAll>
    [[nodiscard]] status start(stream_type stream, bool storing, CheckAll check_ranges);
    [[nodiscard]] status check_all(std::span<const file_range> ranges);
    [[nodiscard]] status check_all(std::span<const stored_range> ranges);
    [[nodiscard]] status add(std::size_t number, std::uint32_t file, std::uint64_t offset, std::uint64_t bytes,
                             const void* memory, const file_rows& rows);
    [[nodiscard]] std::uint32_t file_number(const source_file* source, target_file* target);
    [[nodiscard]] status make_room(const std::vector<file_run>& runs);
    [[nodiscard]] status find_readers();
    void choose_direct();
    [[nodiscard]] status reserve();

    // Moving.
    bool pump();
    void rest();
    bool issue();
    void begin_disk(std::uint32_t number);
    bool landed(file_task& task);
    void link_done(lane& l, bool arrived);
    [[nodiscard]] status move_window(std::uint32_t number);
    [[nodiscard]] status copy_block(lane& l, const part& p, const row_block& b, char* in_slot);
    void end_phase();
    void finish();
    void fail(status why);
    [[nodiscard]] status host_may_touch();
    [[nodiscard]] error disk_error(const file_task& task) const;

    [[nodiscard]] file_task* pop(bool wait) { return uses_uring_ ? uring_.pop(wait) : crew_.pop(wait); }
    void note(std::string said) {
        if (std::find(notes_.begin(), notes_.end(), said) == notes_.end()) notes_.push_back(std::move(said));
    }
    [[nodiscard]] static double now_us() noexcept {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
    }

    Runtime& runtime_;
    file_options options_;
    event_shelf<Runtime> events_{runtime_, false};
    file_links<Runtime> links_{runtime_};
    file_slots<Runtime> slots_{runtime_};
    file_uring uring_;
    file_crew crew_; ///< before the slots and tasks are gone, its threads are

    // The job.
    event_type
        started_{}; ///< the caller's stream; its later work sees the bytes, because the host has seen every copy end
    bool storing_ = false, over_ = true, stopped_ = false, cancelled_ = false, uses_uring_ = false;
    bool host_waited_ = false; ///< the host has waited for `started_`
    phase phase_ = phase::moving;
    std::uint32_t closing_group_ = 0; ///< whose threads complete files
    std::deque<open_file> files_;
    std::vector<part> parts_;
    std::vector<file_extent> extents_; ///< until the windows take them
    file_windows windows_{{}, {}, 1};
    std::uint64_t disk_ = 0, depth_ = 1; ///< tasks under way, and how many keep the readers busy
    status failure_;
    file_progress progress_;
    std::vector<std::string> notes_;
};

} // namespace BARELINK_FILE_ABI
} // namespace detail
BARELINK_END_NAMESPACE

#include <barelink/move/detail/file_moving.hpp>
#include <barelink/move/detail/file_starting.hpp>
