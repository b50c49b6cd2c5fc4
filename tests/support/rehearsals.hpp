// Copies of every shape with one call of the runtime forgotten, on any stage; and which calls a copy can do without.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "dropping_runtime.hpp"
#include "ordering_runtime.hpp"
#include "simulated_box.hpp"
#include "transfer_scenarios.hpp"

/// A stage is a server of one machine, new for every rehearsal. It has
///   * `runtime`   the runtime below the checks, its handles numbered; `on` is one
///   * `buffer`    memory with guards, made from `memory()`, an endpoint, bytes, lead and stripe bytes
///   * `launch`    a kernel that takes at least `us`, with work of the test's at its end
///   * `slow`      sets link directions to a hundredth of their rate
///   * `races`     copies that ran at the same time over the same bytes
///   * `settle`    runs until nothing is left to run
namespace rehearsals {

struct simulated_stage {
    using runtime = barelink::sim::runtime;
    using buffer = simulated::buffer;

    explicit simulated_stage(const char* machine) : on(barelink::builtin::find(machine).value()) {}

    runtime on;
    [[nodiscard]] runtime& memory() { return on; }
    void launch(runtime::stream_type s, double us, void (*work)(void*) = nullptr, void* context = nullptr) {
        on.launch(s, us, work, context);
    }
    void slow(const std::vector<barelink::link_direction>& links) {
        barelink::sim::faults weather;
        for (const barelink::link_direction where : links)
            weather.links.push_back({where, 0, on.topology().gb_s(where) / 100});
        on.inject(weather);
    }
    [[nodiscard]] std::uint64_t races() const { return on.races(); }
    void settle(runtime::stream_type s) {
        const auto end = on.make_event(on.issuer(s)).value();
        for (const double us : {0.0, 1e6}) {
            on.launch(s, us);
            (void)on.record(end, s);
            (void)on.synchronize(end);
        }
    }
};

struct rehearsal {
    std::uint64_t calls = 0; ///< of the kind that was to be forgotten
    std::string dropped;     ///< where
    std::string why;         ///< how it was noticed; empty when it was not
    bool by_bytes = false;   ///< the simulation itself showed it: wrong bytes or a race

    void notice(bool fine, const std::string& what) {
        if (!fine && why.empty()) why = what;
    }
    [[nodiscard]] bool noticed() const { return !why.empty(); }
};

[[nodiscard]] inline bool pageable(barelink::endpoint e) {
    return e.where == barelink::endpoint::place::pageable;
}

/// Buffers of one copy, and kernels before and after it. Both also write what the copy must not see: the first the
/// destination, the last the source.
template <class Stage>
struct act {
    using order_type = ordering_runtime<typename Stage::runtime>;
    using stream_type = typename Stage::runtime::stream_type;

    act(Stage& stage, const transfer_scenario& s)
        : from_thread(pageable(s.from)), to_thread(pageable(s.to)),
          src(stage.memory(), s.from, s.bytes, 0, s.stripe_bytes),
          dst(stage.memory(), s.to, s.bytes, 0, s.stripe_bytes) {}

    void start(Stage& stage, order_type& order, stream_type stream, double us) {
        src.fill(from_thread ? 2 : 1);
        if (from_thread) order.thread_writes(src.data(), src.size());
        stage.launch(
            stream, us,
            [](void* context) {
                const auto& self = *static_cast<act*>(context);
                if (!self.from_thread) self.src.fill(2);
                if (!self.to_thread) self.dst.fill(4);
            },
            this);
        if (!from_thread) order.kernel_writes(stream, src.data(), src.size());
        if (!to_thread) order.kernel_writes(stream, dst.data(), dst.size());
    }
    void end(Stage& stage, order_type& order, stream_type stream, rehearsal& found) {
        if (to_thread) {
            order.thread_reads(dst.data(), dst.size());
            found.notice(dst.holds(2), "returned before the bytes had arrived");
        }
        if (from_thread) { // the caller may reuse it as soon as `copy` returns
            order.thread_writes(src.data(), src.size());
            src.fill(3);
        }
        stage.launch(
            stream, 0,
            [](void* context) {
                auto& self = *static_cast<act*>(context);
                self.seen_right = self.dst.holds(2);
                if (!self.from_thread) self.src.fill(5);
            },
            this);
        if (!to_thread) order.kernel_reads(stream, dst.data(), dst.size());
        if (!from_thread) order.kernel_writes(stream, src.data(), src.size());
    }
    void check(rehearsal& found) const {
        found.notice(seen_right, "a later kernel saw wrong bytes");
        found.notice(dst.holds(2), "wrong bytes");
        found.notice(dst.guarded(), "bytes beside the destination changed");
    }

    bool from_thread, to_thread, seen_right = false;
    typename Stage::buffer src, dst;
};

/// A caller that waits for the ticket and asks how long it took.
template <class Ticket, class Stage>
void ask(const Ticket& ticket, typename act<Stage>::order_type& order, const act<Stage>& of, rehearsal& found) {
    found.notice(bool(ticket.wait()), "waiting failed");
    order.thread_reads(of.dst.data(), of.dst.size());
    const auto us = ticket.elapsed_us();
    found.notice(us && *us > 0, "the ticket does not know how long it took");
    for (std::size_t r = 0; r < ticket.routes(); ++r) {
        const auto route_us = ticket.route_us(r);
        // CUDA tells times in milliseconds and single precision.
        found.notice(route_us && *route_us > 0 && us && *route_us <= *us + 1e-3, "a route's time is wrong");
    }
}

template <class Stage>
[[nodiscard]] auto stream_for(Stage& stage, const transfer_scenario& s) {
    return stage.on.make_stream(simulated::gpu_of(stage.on.topology(), s.from, s.to)).value();
}

/// Paths between GPUs are proved before anything is forgotten: a proof has no part in the order of a copy.
template <class Mover, class Stage>
void make_paths_ready(Mover& moves, const act<Stage>& of) {
    const std::uint64_t bytes = of.src.size();
    (void)moves.plan_for(moves.resolve(of.dst.data(), bytes).value(), moves.resolve(of.src.data(), bytes).value());
}

/// What is to be forgotten, and under which circumstances.
struct attempt {
    forgotten what = forgotten::nothing;
    std::uint64_t number = 0;
    bool asking = true;                            ///< the ticket is waited for and asked; else the mover goes at once
    std::vector<barelink::link_direction> slow{};  ///< links at a hundredth of their rate
    void (*before_copy)(const attempt&) = nullptr; ///< other ways to forget
};

/// One copy.
template <class Stage>
[[nodiscard]] rehearsal one_copy(const transfer_scenario& s, const attempt& with) {
    using forgetful = dropping_runtime<typename act<Stage>::order_type>;
    Stage stage(s.machine);
    typename act<Stage>::order_type order(stage.on);
    forgetful on(order);
    stage.slow(with.slow);
    const auto stream = stream_for(stage, s);
    act<Stage> only(stage, s);
    rehearsal found;
    {
        barelink::mover<forgetful> moves(on, s.options());
        make_paths_ready(moves, only);
        only.start(stage, order, stream, 400);
        on.drop(with.what, with.number);
        if (with.before_copy) with.before_copy(with);
        const auto started = moves.copy(only.dst.data(), only.src.data(), s.bytes, stream);
        found.notice(started.has_value(), "the copy failed");
        only.end(stage, order, stream, found);
        if (started && with.asking) ask(*started, order, only, found);
        on.pause(true); // what the mover does when it goes is not the copy's
    }
    found.calls = on.seen();
    found.dropped = on.dropped();
    stage.settle(stream);
    only.check(found);
    found.notice(stage.races() == 0, "copies raced");
    found.by_bytes = found.noticed();
    found.notice(order.violations() == 0, order.first());
    return found;
}

/// Nine streams whose copies are all on their way: the last one gets the lanes of the first while they are at work.
template <class Stage>
[[nodiscard]] rehearsal shared_lanes(const transfer_scenario& s, forgotten what, std::uint64_t number) {
    using namespace barelink;
    using forgetful = dropping_runtime<typename act<Stage>::order_type>;
    Stage stage(s.machine);
    typename act<Stage>::order_type order(stage.on);
    forgetful on(order);
    act<Stage> first(stage, s), last(stage, s);
    // A copy to one GPU in a stream of another takes lanes.
    const machine& m = stage.on.topology();
    const node_index elsewhere = m.gpu(gpu_id{m.count(node_kind::gpu) > 1 ? 1 : 0});
    const typename Stage::buffer from(stage.memory(), places::host(0), 4096 * 7),
        to(stage.memory(), places::gpu(0), 4096 * 7);
    rehearsal found;
    const auto stream = stream_for(stage, s), other = stream_for(stage, s);
    {
        mover<forgetful> moves(on, s.options());
        make_paths_ready(moves, first);
        on.drop(what, number);
        first.start(stage, order, stream, 1000);
        const auto one = moves.copy(first.dst.data(), first.src.data(), s.bytes, stream);
        first.end(stage, order, stream, found);
        on.pause(true);
        for (int i = 0; i < 7; ++i) {
            const auto busy = stage.on.make_stream(elsewhere).value();
            stage.launch(busy, 1000);
            found.notice(moves.copy(to.data() + 4096 * i, from.data() + 4096 * i, 4096, busy).has_value(), "failed");
        }
        on.pause(false);
        last.start(stage, order, other, 0);
        const auto two = moves.copy(last.dst.data(), last.src.data(), s.bytes, other);
        last.end(stage, order, other, found);
        found.notice(one && two, "a copy failed");
        if (one) ask(*one, order, first, found);
        if (two) ask(*two, order, last, found);
        on.pause(true);
    }
    found.calls = on.seen();
    found.dropped = on.dropped();
    stage.settle(stream);
    stage.settle(other);
    first.check(found);
    last.check(found);
    found.notice(stage.races() == 0, "copies raced");
    found.notice(order.violations() == 0, order.first());
    return found;
}

[[nodiscard]] inline barelink::plan plan_of(const transfer_scenario& s, const barelink::machine& m) {
    using namespace barelink;
    request asked = places::request(s.from, s.to, s.bytes, s.options().relays);
    asked.scratch_bytes = s.scratch_bytes;
    if (s.from == endpoint::host_all() || s.to == endpoint::host_all()) {
        asked.stripe_bytes = s.stripe_bytes;
        asked.stripe_phase = simulated::guard_bytes;
    }
    return default_planner(m).make(asked).value();
}

[[nodiscard]] inline std::uint64_t chunks_of(const barelink::route& r) {
    barelink::chunk_sequence sizes(r);
    std::uint64_t count = 0;
    while (sizes.next() > 0) ++count;
    return count;
}

[[nodiscard]] inline bool in_user_stream(const transfer_scenario& s, const barelink::machine& m) {
    const barelink::plan p = plan_of(s, m);
    const barelink::route& only = p.routes.front();
    return p.routes.size() == 1 && only.leg_count == 1 &&
           issuer_of(m, only.legs[0]) == simulated::gpu_of(m, s.from, s.to);
}

/// Routes that neither start nor end on the user's GPU, and start on one GPU and end on another: a wait of their own gives
/// them the time of their start. It orders nothing else.
[[nodiscard]] inline std::uint64_t waits_for_time(const transfer_scenario& s, const barelink::machine& m) {
    const barelink::node_index gpu = simulated::gpu_of(m, s.from, s.to);
    std::uint64_t found = 0;
    for (const barelink::route& r : plan_of(s, m).routes) {
        const barelink::node_index first = issuer_of(m, r.legs[r.legs[0].host_copy ? 1 : 0]);
        const std::size_t end = r.leg_count - 1u;
        const barelink::node_index last = issuer_of(m, r.legs[r.legs[end].host_copy ? end - 1 : end]);
        found += last != gpu && first != last ? 1u : 0u;
    }
    return found;
}

/// Calls that one copy alone can do without, by their reasons.
struct spare {
    std::uint64_t waits = 0, records = 0;
};
[[nodiscard]] inline spare spare_calls(const transfer_scenario& s, const barelink::machine& m) {
    const barelink::plan p = plan_of(s, m);
    spare found;
    // That a set of lanes is idle is only a hint of whom to give it to. A copy in the user's own stream needs no lanes.
    if (!in_user_stream(s, m)) found.records += 1;
    for (const barelink::route& r : p.routes) {
        // The last round of each ring is drained for the next copy to come.
        for (std::size_t l = 1; l < r.leg_count; ++l)
            if (!r.legs[l].host_copy) found.records += std::min<std::uint64_t>(r.depth, chunks_of(r));
        // What host threads take out at the end has been waited for, chunk by chunk.
        if (r.leg_count > 1 && r.legs[r.leg_count - 1u].host_copy) {
            found.waits += 2;
            found.records += 2;
        }
    }
    return found;
}

/// Slots that the last round of a copy leaves to be drained, and how many of their waits a later copy can do without: chunks
/// alternate between two streams, so in a ring of even depth a stream that waited for a chunk has waited for those that
/// the other leg's stream took out before.
struct leftovers {
    std::uint64_t slots = 0, implied = 0;
};
[[nodiscard]] inline leftovers last_rounds(const transfer_scenario& s, const barelink::machine& m) {
    leftovers found;
    for (const barelink::route& r : plan_of(s, m).routes)
        for (std::size_t l = 1; l < r.leg_count; ++l) {
            if (r.legs[l].host_copy) continue;
            const std::uint64_t chunks = chunks_of(r), used = std::min<std::uint64_t>(r.depth, chunks);
            const auto last_in = [&](std::uint64_t slot) { return slot + (chunks - 1 - slot) / r.depth * r.depth; };
            found.slots += used;
            for (std::uint64_t slot = 2; slot < used && r.depth % 2 == 0; ++slot)
                found.implied += last_in(slot) < last_in(slot - 2);
        }
    return found;
}

/// Nominal rates; then, for every leg, each of its links that no other leg of its route uses, slow.
[[nodiscard]] inline std::vector<std::vector<barelink::link_direction>> weathers(const transfer_scenario& s,
                                                                                 const barelink::machine& m) {
    using namespace barelink;
    const plan p = plan_of(s, m);
    std::vector<std::vector<link_direction>> all(1);
    for (const route& r : p.routes)
        for (const leg& l : r.path())
            for (const link_direction hop : p.hops_of(l)) {
                bool shared = r.leg_count == 1;
                for (const leg& other : r.path())
                    for (const link_direction used : p.hops_of(other)) shared |= &other != &l && used == hop;
                for (const auto& known : all) shared |= known.size() == 1 && known[0] == hop;
                if (!shared) all.push_back({hop});
            }
    return all;
}

struct count {
    std::uint64_t tried = 0, unnoticed = 0;
    std::string where;
};
template <class Rehearse>
[[nodiscard]] count unnoticed(Rehearse rehearse) {
    count found;
    found.tried = rehearse(~0ull).calls;
    for (std::uint64_t number = 0; number < found.tried; ++number)
        if (const rehearsal with = rehearse(number); !with.noticed()) {
            ++found.unnoticed;
            found.where += std::to_string(number) + " " + with.dropped + "; ";
        }
    return found;
}

/// Each wait, record and synchronize of every scenario is left out in turn, once while the caller asks afterwards and once
/// while he does not; `alone(scenario, attempt)` rehearses one copy.
template <class Alone>
void check_that_every_call_counts(Alone alone) {
    std::uint64_t tried = 0;
    for (const transfer_scenario& s : transfer_scenarios) {
        const spare expected = spare_calls(s, barelink::builtin::find(s.machine).value());
        const auto both = [&](forgotten what) {
            return unnoticed([&](std::uint64_t number) {
                rehearsal with = alone(s, {what, number, false});
                return with.noticed() ? with : alone(s, {what, number, true});
            });
        };
        const count waits = both(forgotten::wait), records = both(forgotten::record);
        const count synchronizes = both(forgotten::synchronize);
        INFO(s.name << ": waits " << waits.where << " records " << records.where << " synchronizes "
                    << synchronizes.where);
        if (expected.waits == 0) CHECK(waits.unnoticed == 0);
        CHECK(waits.unnoticed <= expected.waits);
        CHECK(records.unnoticed == expected.records);
        CHECK(synchronizes.unnoticed == 0);
        tried += waits.tried + records.tried + synchronizes.tried;
    }
    CHECK(tried > 600);
}

} // namespace rehearsals
