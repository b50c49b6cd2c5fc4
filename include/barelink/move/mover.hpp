// mover<Runtime>: runs plans. Everything is enqueued by the calling thread and ordered by events.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <barelink/move/detail/submission.hpp>
#include <barelink/plan/plan_cache.hpp>

BARELINK_BEGIN_NAMESPACE

/// What a mover may use, for all its copies; see `request`.
struct mover_options {
    gpu_set relays = gpu_set::none();
    bool stage_in_host = true;
    bool trust_unproved = false;
    std::uint64_t scratch_bytes = 64 * MiB;
};

/// Copies between any two memories of a machine, at least one of them a GPU's. Borrows the runtime, which must outlive it and
/// its tickets. One thread at a time. Owns streams, events and scratch memory, made on first use and kept.
template <runtime Runtime, class Planner = default_planner>
class mover {
public:
    using stream_type = typename Runtime::stream_type;
    using event_type = typename Runtime::event_type;

    explicit mover(Runtime& on, mover_options options = {})
        : runtime_(on), options_(options), cache_(Planner(on.topology())) {}
    mover(const mover&) = delete;
    mover& operator=(const mover&) = delete;

    /// A copy on its way. Small, copyable; valid as long as its mover. It knows times and routes until 64 later copies were
    /// started, and only that it is done after that.
    class ticket {
    public:
        /// True when the bytes have arrived. Does not block. Errors: device when the copy failed.
        [[nodiscard]] result<bool> poll() const {
            if (!late()) return owner_->runtime_.is_done(flight().finished);
            if (number_ <= owner_->last_lost_) return lost();
            return true;
        }
        /// Blocks the calling thread until the bytes have arrived. Errors: device when the copy failed.
        [[nodiscard]] status wait() const {
            if (!late()) return owner_->runtime_.synchronize(flight().finished);
            if (number_ <= owner_->last_lost_) return lost();
            return {};
        }
        /// From the moment that the stream let the copy start to its end, microseconds. Errors: invalid_argument before.
        [[nodiscard]] result<double> elapsed_us() const {
            if (late()) return stale();
            return owner_->runtime_.elapsed_us(flight().started, flight().finished);
        }
        /// The same for one route of the plan.
        [[nodiscard]] result<double> route_us(std::size_t route) const {
            if (late()) return stale();
            if (route >= flight().route_bytes.size())
                return error(errc::invalid_argument, "the plan of this ticket has fewer routes");
            return owner_->runtime_.elapsed_us(flight().started, flight().route_done[route]);
        }
        [[nodiscard]] std::uint64_t route_bytes(std::size_t route) const {
            return late() || route >= flight().route_bytes.size() ? 0 : flight().route_bytes[route];
        }
        [[nodiscard]] std::size_t routes() const { return late() ? 0 : flight().route_bytes.size(); }
        [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
        /// What did not go as planned, one sentence each; empty when everything did.
        [[nodiscard]] std::vector<std::string> fallbacks() const {
            return late() ? std::vector<std::string>{} : flight().fallbacks;
        }

    private:
        friend class mover;
        ticket(mover* owner, std::uint32_t slot, std::uint64_t number, std::uint64_t bytes) noexcept
            : owner_(owner), slot_(slot), number_(number), bytes_(bytes) {}
        [[nodiscard]] bool late() const noexcept { return flight().number != number_; }
        [[nodiscard]] const auto& flight() const noexcept { return owner_->flights_[slot_]; }
        [[nodiscard]] static error stale() {
            return {errc::invalid_argument, "this ticket is too old: 64 later copies were started since"};
        }
        [[nodiscard]] static error lost() {
            return {errc::device, "this ticket is too old to be sure, and a copy of its time or later failed"};
        }

        mover* owner_;
        std::uint32_t slot_;
        std::uint64_t number_;
        std::uint64_t bytes_;
    };

    /// Classifies a range once. Errors: what the runtime says (freed, straddling two allocations, null).
    [[nodiscard]] result<region> resolve(void* base, std::uint64_t bytes) {
        if (!base) return error(errc::invalid_argument, "a null pointer cannot be copied to or from");
        auto where = runtime_.classify(base, bytes);
        if (!where) return std::move(where).error();
        return region{base, bytes, *where};
    }

    /// Copies `bytes` from `src` to `dst` after the work in `stream`; later work in `stream` sees the bytes. Does not block,
    /// except for pageable memory: host to device returns when the source has been read, device to host when the bytes have
    /// arrived. Allocates nothing once streams, rings and the plan exist. Both ranges must stay until the copy is done.
    /// Errors: invalid_argument (null, overlapping, straddling), those of planning, those of the runtime.
    [[nodiscard]] result<ticket> copy(void* dst, const void* src, std::uint64_t bytes, stream_type stream) {
        auto to = resolve(dst, bytes);
        if (!to) return std::move(to).error();
        auto from = resolve(const_cast<void*>(src), bytes);
        if (!from) return std::move(from).error();
        return copy(*to, *from, stream);
    }
    /// The same with ranges that were resolved before, for hot paths.
    [[nodiscard]] result<ticket> copy(const region& dst, const region& src, stream_type stream) {
        auto planned = plan_for(dst, src);
        if (!planned) return std::move(planned).error();
        return run(**planned, dst, src, stream);
    }

    /// The plan that `copy` would run. Valid until the next call of this mover that has to plan.
    [[nodiscard]] result<const plan*> plan_for(const region& dst, const region& src) {
        if (src.bytes != dst.bytes)
            return error(errc::invalid_argument, "source and destination differ in size").asking(src.bytes);
        const auto a = reinterpret_cast<std::uintptr_t>(src.base), b = reinterpret_cast<std::uintptr_t>(dst.base);
        if (a < b + dst.bytes && b < a + src.bytes && src.bytes > 0)
            return error(errc::invalid_argument,
                         "source and destination overlap: copy through a buffer, or in an order that is safe")
                .asking(src.bytes);
        return cache_.find(request_for(dst, src));
    }
    [[nodiscard]] request request_for(const region& dst, const region& src) const noexcept {
        request asked;
        asked.from = endpoint_of(runtime_.topology(), src.where);
        asked.to = endpoint_of(runtime_.topology(), dst.where);
        asked.bytes = src.bytes;
        asked.relays = options_.relays;
        asked.stage_in_host = options_.stage_in_host;
        asked.trust_unproved = options_.trust_unproved;
        asked.scratch_bytes = options_.scratch_bytes;
        const placement& striped = src.where.kind == memory_kind::striped ? src.where : dst.where;
        if (striped.kind == memory_kind::striped) {
            asked.stripe_bytes = striped.stripe_bytes;
            asked.stripe_phase = striped.stripe_phase % (striped.stripe_bytes * nodes());
        }
        return asked;
    }

    /// Runs a plan on two ranges of its size and kind. Stream, blocking, ownership and errors as for `copy`.
    [[nodiscard]] result<ticket> run(const plan& p, const region& dst, const region& src, stream_type stream) {
        if (p.asked.bytes != src.bytes || src.bytes != dst.bytes)
            return error(errc::invalid_argument, "the plan is for another number of bytes").asking(src.bytes);
        auto slot = take_flight();
        if (!slot) return std::move(slot).error();
        detail::flight<Runtime>& f = flights_[*slot];
        auto lanes = take_lanes(stream, runtime_.issuer(stream));
        if (!lanes) return std::move(lanes).error();
        const status submitted = submission_.run(p, dst, src, stream, **lanes, f, nodes());
        if (!submitted) return submitted.error();
        return ticket(this, *slot, f.number, src.bytes);
    }

    [[nodiscard]] Runtime& on() noexcept { return runtime_; }
    /// After the machine changed: plans are made anew.
    void forget_plans() noexcept { cache_.clear(); }

private:
    static constexpr std::uint32_t most_flights = 64;
    static constexpr std::size_t most_lane_sets = 8;

    [[nodiscard]] std::uint64_t nodes() const noexcept { return runtime_.topology().count(node_kind::memory); }

    [[nodiscard]] result<std::uint32_t> take_flight() {
        std::uint32_t slot = next_flight_;
        // A flight is used again when it has landed: before that its ticket has to know.
        bool landed = flights_.size() >= most_flights;
        if (landed && flights_[slot].under_way) {
            const auto done = runtime_.is_done(flights_[slot].finished);
            if (!done) last_lost_ = flights_[slot].number;
            landed = !done || *done;
        }
        if (landed) {
            next_flight_ = (next_flight_ + 1) % static_cast<std::uint32_t>(flights_.size());
        } else {
            slot = static_cast<std::uint32_t>(flights_.size());
            flights_.emplace_back(runtime_);
        }
        flights_[slot].number = ++flight_number_;
        return slot;
    }

    /// The set that serves this stream already, an idle one, a new one, or the one used longest ago.
    [[nodiscard]] result<detail::lane_set<Runtime>*> take_lanes(stream_type stream, node_index gpu) {
        detail::lane_set<Runtime>* chosen = nullptr;
        for (auto& set : lane_sets_)
            if (set.used && set.user == stream) chosen = &set;
        for (auto& set : lane_sets_) {
            if (chosen) break;
            const auto idle = set.used ? runtime_.is_done(set.finished) : result<bool>(true);
            if (idle && *idle) chosen = &set; // one whose copy failed is left to its own stream
        }
        if (!chosen && lane_sets_.size() < most_lane_sets) chosen = &lane_sets_.emplace_back(runtime_);
        if (!chosen) chosen = &lane_sets_[next_lane_set_++ % most_lane_sets];
        if (auto made = chosen->make_events(gpu); !made) return made.error();
        chosen->user = stream;
        chosen->rewind();
        return chosen;
    }

    Runtime& runtime_;
    mover_options options_;
    plan_cache<Planner> cache_;
    detail::submission<Runtime> submission_{runtime_};
    std::deque<detail::lane_set<Runtime>> lane_sets_;
    std::deque<detail::flight<Runtime>> flights_;
    std::uint32_t next_flight_ = 0;
    std::size_t next_lane_set_ = 0;
    std::uint64_t flight_number_ = 0;
    std::uint64_t last_lost_ = 0; ///< the latest flight that was found to have failed when it was used again
};

BARELINK_END_NAMESPACE
