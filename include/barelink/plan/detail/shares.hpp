// From rates to shares: how many bytes each route carries, so that all end together. Private to the plan layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/plan/chunking.hpp>
#include <barelink/plan/route_sink.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// A route on its way into a plan.
struct share {
    std::uint32_t way = 0; ///< into candidate_list::routes
    std::uint32_t part = 0;
    std::uint8_t legs = 1;
    double gb_s = 0;
    double latency_us = 0;  ///< of all legs
    double leg_gb_s = 0;    ///< the slowest leg alone
    double full_legs = 0;   ///< hand-overs between two legs whose links are both full
    double weight = 1;      ///< of its flow where links are shared
    bool host_copy = false; ///< host threads carry one of the legs
    bool in_turn = false;   ///< shares a copy engine with another route, one of them of several legs
    double overhead_us = 0; ///< time besides bytes / gb_s
    double bytes = 0;
    chunking cut;
};

/// Time of every demand for these routes, and the shares that reach it: solves sum of gb_s * (T - overhead) = bytes over the
/// routes that begin to pay before T. Overheads depend on chunk sizes, and those on shares: two rounds settle that. A route
/// that does not pay in the first stays out: priced without bytes it would look as if it cost nothing.
class share_solver {
public:
    share_solver(std::span<const demand> demands, std::uint64_t scratch_bytes, const copy_costs& costs)
        : demands_(demands), scratch_bytes_(scratch_bytes), costs_(costs) {}

    /// Fills in overhead, chunks and bytes of every share; returns the time of the slowest demand, microseconds.
    double solve(std::span<share> shares) const {
        for (share& s : shares) {
            double rate = 0;
            for (const share& other : shares) rate += other.part == s.part ? other.gb_s : 0;
            s.bytes = static_cast<double>(demands_[s.part].bytes) * (rate > 0 ? s.gb_s / rate : 0);
        }
        double slowest = 0;
        for (int round = 0; round < 2; ++round) {
            price(shares);
            slowest = 0;
            for (std::uint32_t part = 0; part < demands_.size(); ++part) {
                const double us = divide(shares, part);
                if (us > slowest) slowest = us;
            }
        }
        const double submitted = submission_us(shares);
        return submitted > slowest ? submitted : slowest;
    }

    /// What the submitting thread needs for all of it.
    [[nodiscard]] double submission_us(std::span<const share> shares) const noexcept {
        double us = 0;
        for (const share& s : shares)
            if (s.bytes > 0) us += s.cut.chunks * s.cut.submit_us_per_chunk;
        return us;
    }

private:
    /// Chunks and overhead of each route. A route starts when the thread has submitted the first chunk of those before it; a
    /// forked route waits for an event at both ends; each hand-over between legs costs an event and the chunk that is in
    /// between: the largest where both legs are full, the first or last where one has slack; and a leg without slack pays
    /// for every command.
    void price(std::span<share> shares) const noexcept {
        std::size_t rings = 0, active = 0;
        for (const share& s : shares) {
            if (s.bytes > 0) ++active;
            if (s.bytes > 0 && s.legs > 1) ++rings;
        }
        double launched_us = 0;
        for (share& s : shares) {
            s.cut = choose_chunks(input(s, rings), costs_);
            if (s.in_turn) take_turns(s, shares, rings);
            const bool forked = active > 1 || s.legs > 1;
            const double launch_us = costs_.submit_us + (forked ? 2 * costs_.event_us : 0);
            const double loose_legs = s.legs - 1.0 - s.full_legs;
            const bool tight = s.host_copy || s.gb_s > 0.97 * s.leg_gb_s;
            s.overhead_us = launched_us + launch_us + s.latency_us + (forked ? 2 * costs_.wake_us : 0) +
                            (s.legs - 1.0) * (costs_.wake_us + costs_.engine_us) +
                            s.full_legs * rate_us(static_cast<double>(s.cut.chunk_bytes), s.gb_s) +
                            loose_legs * rate_us(static_cast<double>(s.cut.first_chunk_bytes), s.gb_s) +
                            (tight ? s.cut.chunks : 1.0) * s.cut.each_us;
            if (s.bytes > 0) launched_us += launch_us;
        }
    }
    [[nodiscard]] chunking_input input(const share& s, std::size_t routes) const noexcept {
        return {s.bytes,       s.gb_s, s.legs, routes, s.host_copy, s.latency_us, demands_[s.part].stripe_bytes,
                scratch_bytes_};
    }

    /// Routes that take turns on an engine divide it by the size of their chunks, and a long command keeps it from the others
    /// until its end. So all of them get chunks of the same time: that of the fastest one of several legs.
    void take_turns(share& s, std::span<const share> shares, std::size_t rings) const noexcept {
        const share* fastest = nullptr;
        for (const share& other : shares)
            if (other.in_turn && other.legs > 1 && other.bytes > 0 && (!fastest || other.gb_s > fastest->gb_s))
                fastest = &other;
        if (!fastest || fastest == &s) return;
        const chunking pace = choose_chunks(input(*fastest, rings), costs_);
        const auto scaled = [&](std::uint64_t chunk) {
            const auto bytes = static_cast<std::uint64_t>(static_cast<double>(chunk) * s.gb_s / fastest->gb_s);
            return bytes < 16 * KiB ? 16 * KiB : round_up(bytes, 4 * KiB);
        };
        const double commands = s.cut.chunks;
        s.cut.chunk_bytes = scaled(pace.chunk_bytes);
        s.cut.first_chunk_bytes = s.legs > 1 ? scaled(pace.first_chunk_bytes) : s.cut.chunk_bytes;
        s.cut.chunks = s.bytes / static_cast<double>(s.cut.chunk_bytes) + (s.legs > 1 ? 2 : commands);
    }

    [[nodiscard]] static double rate_us(double bytes, double gb_s) noexcept {
        return gb_s > 0 ? transfer_us(bytes, gb_s) : 0;
    }

    double divide(std::span<share> shares, std::uint32_t part) const noexcept {
        const double bytes = static_cast<double>(demands_[part].bytes);
        double us = 0;
        for (bool settled = false; !settled;) {
            double rate = 0, head_start = 0;
            for (const share& s : shares) {
                if (s.part != part || s.bytes <= 0) continue;
                rate += s.gb_s;
                head_start += s.gb_s * 1e3 * s.overhead_us;
            }
            if (rate <= 0) return never; // dead links only: any other set of routes is better
            us = (bytes + head_start) / (rate * 1e3);
            settled = true;
            for (share& s : shares)
                if (s.part == part && s.bytes > 0 && s.overhead_us >= us) {
                    s.bytes = 0;
                    settled = false;
                }
        }
        for (share& s : shares)
            if (s.part == part && s.bytes > 0) s.bytes = s.gb_s * 1e3 * (us - s.overhead_us);
        return us;
    }

    static constexpr double never = 1e300;

    std::span<const demand> demands_;
    std::uint64_t scratch_bytes_;
    const copy_costs& costs_;
};

} // namespace detail
BARELINK_END_NAMESPACE
