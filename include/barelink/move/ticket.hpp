// What a copy gives back: whether it is there, how long it took, and what did not go as planned.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <barelink/move/detail/flight.hpp>

BARELINK_BEGIN_NAMESPACE

template <runtime Runtime, class Planner>
class mover;

/// A copy on its way. Small, copyable; valid as long as its mover, and used by the mover's thread. It knows times and
/// routes until 64 later copies were started, and only that it is done after that. A copy that was captured into a graph
/// has neither an end nor a time: its graph's launches have.
template <runtime Runtime>
class ticket {
public:
    /// True when the bytes have arrived. Does not block. Errors: device when the copy failed; invalid_argument when it was
    /// captured.
    [[nodiscard]] result<bool> poll() const {
        if (captured_) return in_graph();
        if (!late()) return log_->on().is_done(flight().finished);
        if (number_ <= log_->last_lost()) return lost();
        return true;
    }
    /// Blocks the calling thread until the bytes have arrived. Errors: as for `poll`.
    [[nodiscard]] status wait() const {
        if (captured_) return in_graph();
        if (!late()) return log_->on().synchronize(flight().finished);
        if (number_ <= log_->last_lost()) return lost();
        return {};
    }
    /// From the moment that the stream let the copy start to its end, microseconds. Errors: invalid_argument before.
    [[nodiscard]] result<double> elapsed_us() const {
        if (captured_) return in_graph();
        if (late()) return stale();
        return log_->on().elapsed_us(flight().started, flight().finished);
    }
    /// The same for one route of the plan.
    [[nodiscard]] result<double> route_us(std::size_t route) const {
        if (captured_) return in_graph();
        if (late()) return stale();
        if (route >= flight().routes.size())
            return error(errc::invalid_argument, "the plan of this ticket has fewer routes");
        return log_->on().elapsed_us(flight().routes[route].started, flight().routes[route].done);
    }
    [[nodiscard]] std::uint64_t route_bytes(std::size_t route) const {
        return late() || route >= flight().routes.size() ? 0 : flight().routes[route].bytes;
    }
    [[nodiscard]] std::size_t routes() const { return late() ? 0 : flight().routes.size(); }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    /// Captured into a graph instead of started.
    [[nodiscard]] bool captured() const noexcept { return captured_; }
    /// What did not go as planned, one sentence each; empty when everything did.
    [[nodiscard]] std::vector<std::string> fallbacks() const {
        if (late()) return {};
        std::vector<std::string> all = flight().fallbacks;
        for (const std::string* note : flight().path_notes) all.push_back(*note);
        return all;
    }

private:
    template <runtime, class>
    friend class mover;
    ticket(const detail::flight_log<Runtime>& log, std::uint32_t slot, std::uint64_t bytes) noexcept
        : log_(&log), slot_(slot), captured_(log.at(slot).captured), number_(log.at(slot).number), bytes_(bytes) {}
    [[nodiscard]] const auto& flight() const noexcept { return log_->at(slot_); }
    [[nodiscard]] bool late() const noexcept { return flight().number != number_; }
    [[nodiscard]] static error stale() {
        return {errc::invalid_argument, "this ticket is too old: 64 later copies were started since"};
    }
    [[nodiscard]] static error lost() {
        return {errc::device, "this ticket is too old to be sure, and a copy of its time or later failed"};
    }
    [[nodiscard]] static error in_graph() {
        return {errc::invalid_argument, "this copy was captured into a graph: wait for the launch of the graph"};
    }

    const detail::flight_log<Runtime>* log_;
    std::uint32_t slot_;
    bool captured_;
    std::uint64_t number_;
    std::uint64_t bytes_;
};

BARELINK_END_NAMESPACE
