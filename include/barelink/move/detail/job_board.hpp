// The jobs of a mover: who may start chunks, and who is over. Private to move.
#pragma once

#include <cstdint>
#include <deque>
#include <span>

#include <barelink/move/detail/lane_pool.hpp>
#include <barelink/move/detail/paced_submission.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

template <runtime Runtime>
class job_board {
public:
    using stream_type = typename Runtime::stream_type;

    job_board(Runtime& on, lane_pool<Runtime>& lanes, flight_log<Runtime>& flights)
        : runtime_(on), lanes_(lanes), flights_(flights) {}
    job_board(const job_board&) = delete;
    job_board& operator=(const job_board&) = delete;
    /// Rings and streams go after it, when they are empty.
    ~job_board() {
        for (entry& e : entries_) e.work.cut_off();
    }

    /// A job, or the copy that it is.
    struct entry {
        explicit entry(Runtime& on) : work(on) {}
        paced_submission<Runtime> work;
        bool held = false; ///< somebody has its handle
    };

    /// Starts a job: its first chunks, when it may. The handle is the caller's to give back.
    [[nodiscard]] result<entry*> start(const plan& p, std::span<const spared_plan::reason> reasons, const region& dst,
                                       const region& src, stream_type stream, node_index gpu,
                                       const job_options& chosen) {
        auto lanes = lanes_.take_for_job(stream, gpu);
        if (!lanes) return std::move(lanes).error();
        entry& e = free_entry();
        without_room_ = no_node;
        if (auto done = e.work.begin(p, reasons, dst, src, stream, gpu, **lanes, chosen); !done) {
            without_room_ = e.work.without_room();
            lanes_.give_back(**lanes, without_room_ == no_node);
            return done.error();
        }
        e.held = true;
        ++active_;
        progress();
        return &e;
    }
    void let_go(entry& e) noexcept { e.held = false; }

    /// Looks at every job and feeds it. Those in the background come last.
    void progress() {
        if (active_ == 0) return;
        bool crowded = false;
        for (entry& e : entries_)
            if (!e.work.over() && !e.work.background()) {
                advance(e, true);
                // When it has just ended its owner hears of it before the thread works for others again.
                crowded |= e.work.over() || e.work.moving();
            }
        if (!any_background()) return;
        crowded = crowded || flights_.any_moving();
        for (entry& e : entries_)
            if (!e.work.over() && e.work.background()) advance(e, !crowded);
    }
    /// Copies that leave no trace would go unnoticed by them.
    [[nodiscard]] bool any_background() const noexcept {
        if (active_ == 0) return false;
        for (const entry& e : entries_)
            if (!e.work.over() && e.work.background()) return true;
        return false;
    }

    [[nodiscard]] Runtime& on() const noexcept { return runtime_; }
    /// The memory that had no room for a ring of the last job that failed to start; none when it failed otherwise.
    [[nodiscard]] node_index without_room() const noexcept { return without_room_; }

private:
    void advance(entry& e, bool may_start) {
        e.work.step(may_start);
        if (!e.work.over()) return;
        --active_;
        lanes_.give_back(*e.work.lanes(), !e.work.failure());
    }
    [[nodiscard]] entry& free_entry() {
        for (entry& e : entries_)
            if (!e.held && e.work.over()) return e;
        return entries_.emplace_back(runtime_);
    }

    Runtime& runtime_;
    lane_pool<Runtime>& lanes_;
    flight_log<Runtime>& flights_;
    std::deque<entry> entries_; ///< addresses stay
    std::size_t active_ = 0;
    node_index without_room_ = no_node;
};

} // namespace detail
BARELINK_END_NAMESPACE
