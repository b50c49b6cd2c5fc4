// A copy that the calling thread feeds chunk by chunk: adaptive, in the background, with progress, to be cancelled.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <barelink/move/detail/job_board.hpp>
#include <barelink/move/detail/stream_copy.hpp>

BARELINK_BEGIN_NAMESPACE

template <runtime Runtime, class Planner>
class mover;

/// A copy under way in chunks, made by `mover::start`. It moves on when the mover's thread calls `poll`, `wait` or
/// `mover::progress`, each of which feeds all jobs of the mover: call one of them every few dozen microseconds to keep the
/// links busy. It starts after the work that was in the stream, and once `wait` has returned or `poll` has said so,
/// work given to the stream from then on sees the bytes. Both ranges must stay until it is over.
///
/// One owner, movable. A job that is dropped before it is over is cancelled: the destructor blocks until the chunks in flight
/// have arrived, and the mover goes on with everything else. The mover must outlive it.
template <runtime Runtime>
class job {
public:
    job(job&& other) noexcept : board_(other.board_), entry_(std::exchange(other.entry_, nullptr)) {}
    job& operator=(job&& other) noexcept {
        if (this != &other) {
            drop();
            board_ = other.board_;
            entry_ = std::exchange(other.entry_, nullptr);
        }
        return *this;
    }
    ~job() { drop(); }

    /// Feeds the jobs; true when this one's bytes have arrived. Does not block. Errors: device and what the runtime says when
    /// it failed, cancelled when it was cancelled before all had arrived.
    [[nodiscard]] result<bool> poll() {
        board_->progress();
        if (!work().over()) return false;
        if (auto done = outcome(); !done) return done.error();
        return true;
    }
    /// Feeds the jobs until this one is over; keeps the calling thread busy. A job in the background also waits for the copies and
    /// jobs that go before it. Errors: as for `poll`.
    [[nodiscard]] status wait() {
        finish();
        return outcome();
    }
    /// Starts no more chunks and blocks until those in flight have arrived. Returns the bytes that arrived: `each_arrived`
    /// tells which; all others are as they were. A job that was over already just says so. Errors: those of `poll`
    /// when the job failed; nothing is known about its bytes then.
    [[nodiscard]] result<std::uint64_t> cancel() {
        if (!work().over()) work().cut_off();
        finish();
        if (!work().failure()) return work().failure().error();
        return work().arrived();
    }

    /// Over: arrived, cancelled or failed.
    [[nodiscard]] bool over() const noexcept { return work().over(); }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return work().bytes(); }
    /// Bytes that were seen to have arrived, in no particular order while it is under way.
    [[nodiscard]] std::uint64_t bytes_arrived() const noexcept { return work().arrived(); }
    /// Calls `found(offset, bytes)` for the stretches of both ranges that arrived; of rows without what lies between them.
    /// Precondition: it is over and has not failed.
    template <class Found>
    void each_arrived(Found found) const {
        work().each_taken(found);
    }

    /// What it was planned to be. A route's bytes are those it was meant to carry; `route_bytes` says what it did carry.
    [[nodiscard]] const plan& planned() const noexcept { return work().planned(); }
    [[nodiscard]] std::size_t routes() const noexcept { return work().routes().size(); }
    [[nodiscard]] std::uint64_t route_bytes(std::size_t route) const noexcept {
        return route < routes() ? work().routes()[route].arrived_bytes : 0;
    }
    /// From the moment that the stream let the route start to its end, microseconds; 0 for a route that carried nothing.
    /// Errors: invalid_argument before the job is over.
    [[nodiscard]] result<double> route_us(std::size_t route) const {
        if (!over() || route >= routes())
            return error(errc::invalid_argument, "the job is not over, or its plan has fewer routes");
        if (route_bytes(route) == 0) return 0.0;
        const auto& times = entry_->work.log().routes[route];
        return board_->on().elapsed_us(times.started, times.done);
    }
    /// What did not go as planned, one sentence each; empty when everything did.
    [[nodiscard]] std::vector<std::string> fallbacks() const {
        std::vector<std::string> all = entry_->work.log().fallbacks;
        for (const std::string* note : entry_->work.log().path_notes) all.push_back(*note);
        return all;
    }

private:
    template <runtime, class>
    friend class mover;
    using board = detail::job_board<Runtime>;

    job(board& on, typename board::entry& of) noexcept : board_(&on), entry_(&of) {}
    [[nodiscard]] auto& work() noexcept { return entry_->work; }
    [[nodiscard]] const auto& work() const noexcept { return entry_->work; }

    void finish() {
        while (!work().over()) {
            board_->progress();
            detail::pause();
        }
    }
    [[nodiscard]] status outcome() const {
        if (!work().failure()) return work().failure();
        if (work().was_cut_off() && work().arrived() < work().bytes())
            return error(errc::cancelled, "the copy was cancelled before all bytes had arrived")
                .asking(work().bytes() - work().arrived());
        return {};
    }
    void drop() {
        if (!entry_) return;
        work().cut_off();
        finish();
        board_->let_go(*entry_);
        entry_ = nullptr;
    }

    board* board_;
    typename board::entry* entry_;
};

BARELINK_END_NAMESPACE
