// Every wait, record and synchronize of the mover in turn is forgotten; each time something must go visibly wrong.
// What can be left out without anybody noticing is useless, or the tests cannot see.
#include <cstdint>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/dropping_runtime.hpp>
#include <support/ordering_runtime.hpp>
#include <support/simulated_box.hpp>
#include <support/transfer_scenarios.hpp>

using namespace barelink;

namespace {

using checked_runtime = ordering_runtime<sim::runtime>;
using forgetful_runtime = dropping_runtime<checked_runtime>;

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

bool pageable(endpoint e) {
    return e.where == endpoint::place::pageable;
}

/// Buffers of one copy, and kernels before and after it. Both also write what the copy must not see: the first the
/// destination, the last the source.
struct act {
    act(sim::runtime& server, const transfer_scenario& s)
        : from_thread(pageable(s.from)), to_thread(pageable(s.to)), src(server, s.from, s.bytes, 0, s.stripe_bytes),
          dst(server, s.to, s.bytes, 0, s.stripe_bytes) {}

    void start(sim::runtime& server, checked_runtime& order, sim::stream stream, double us) {
        src.fill(from_thread ? 2 : 1);
        if (from_thread) order.thread_writes(src.data(), src.size());
        server.launch(
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
    void end(sim::runtime& server, checked_runtime& order, sim::stream stream, rehearsal& found) {
        if (to_thread) {
            order.thread_reads(dst.data(), dst.size());
            found.notice(dst.holds(2), "returned before the bytes had arrived");
        }
        if (from_thread) { // the caller may reuse it as soon as `copy` returns
            order.thread_writes(src.data(), src.size());
            src.fill(3);
        }
        server.launch(
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
    simulated::buffer src, dst;
};

/// A caller that waits for the ticket and asks how long it took.
template <class Ticket>
void ask(const Ticket& ticket, checked_runtime& order, const act& of, rehearsal& found) {
    found.notice(bool(ticket.wait()), "waiting failed");
    order.thread_reads(of.dst.data(), of.dst.size());
    const auto us = ticket.elapsed_us();
    found.notice(us && *us > 0, "the ticket does not know how long it took");
    for (std::size_t r = 0; r < ticket.routes(); ++r) {
        const auto route_us = ticket.route_us(r);
        found.notice(route_us && *route_us > 0 && us && *route_us <= *us, "a route's time is wrong");
    }
}

/// Waits until nothing is left to run.
void settle(sim::runtime& server, checked_runtime& order, sim::stream stream) {
    const auto end = server.make_event(server.issuer(stream)).value();
    for (const double us : {0.0, 1e6}) {
        server.launch(stream, us);
        (void)order.record(end, stream);
        (void)order.synchronize(end);
    }
}

sim::stream stream_for(sim::runtime& server, const transfer_scenario& s) {
    return server.make_stream(simulated::gpu_of(server.topology(), s.from, s.to)).value();
}

/// One copy. `asking`: its ticket is waited for and asked; else the mover goes while the copy is on its way.
/// `slow`: link directions at a hundredth of their rate.
rehearsal one_copy(const transfer_scenario& s, forgotten what, std::uint64_t number, bool asking,
                   const std::vector<link_direction>& slow = {}) {
    sim::runtime server(builtin::find(s.machine).value());
    checked_runtime order(server);
    forgetful_runtime on(order);
    sim::faults weather;
    for (const link_direction where : slow) weather.links.push_back({where, 0, server.topology().gb_s(where) / 100});
    server.inject(weather);
    const auto stream = stream_for(server, s);
    act only(server, s);
    rehearsal found;
    {
        mover<forgetful_runtime> moves(on, s.options());
        only.start(server, order, stream, 400);
        on.drop(what, number);
        const auto started = moves.copy(only.dst.data(), only.src.data(), s.bytes, stream);
        found.notice(started.has_value(), "the copy failed");
        only.end(server, order, stream, found);
        if (started && asking) ask(*started, order, only, found);
        on.pause(true); // what the mover does when it goes is not the copy's
    }
    found.calls = on.seen();
    found.dropped = on.dropped();
    settle(server, order, stream);
    only.check(found);
    found.notice(server.races() == 0, "copies raced");
    found.by_bytes = found.noticed();
    found.notice(order.violations() == 0, order.first());
    return found;
}

/// Nine streams whose copies are all on their way: the last one gets the lanes of the first while they are at work.
rehearsal shared_lanes(const transfer_scenario& s, forgotten what, std::uint64_t number) {
    sim::runtime server(builtin::find(s.machine).value());
    checked_runtime order(server);
    forgetful_runtime on(order);
    act first(server, s), last(server, s);
    // A copy to one GPU in a stream of another takes lanes.
    const node_index elsewhere = server.topology().gpu(gpu_id{1});
    const simulated::buffer from(server, places::host(0), 4096 * 7), to(server, places::gpu(0), 4096 * 7);
    rehearsal found;
    const auto stream = stream_for(server, s), other = stream_for(server, s);
    {
        mover<forgetful_runtime> moves(on, s.options());
        on.drop(what, number);
        first.start(server, order, stream, 1000);
        const auto one = moves.copy(first.dst.data(), first.src.data(), s.bytes, stream);
        first.end(server, order, stream, found);
        on.pause(true);
        for (int i = 0; i < 7; ++i) {
            const auto busy = server.make_stream(elsewhere).value();
            server.launch(busy, 1000);
            found.notice(moves.copy(to.data() + 4096 * i, from.data() + 4096 * i, 4096, busy).has_value(), "failed");
        }
        on.pause(false);
        last.start(server, order, other, 0);
        const auto two = moves.copy(last.dst.data(), last.src.data(), s.bytes, other);
        last.end(server, order, other, found);
        found.notice(one && two, "a copy failed");
        if (one) ask(*one, order, first, found);
        if (two) ask(*two, order, last, found);
        on.pause(true);
    }
    found.calls = on.seen();
    found.dropped = on.dropped();
    settle(server, order, stream);
    settle(server, order, other);
    first.check(found);
    last.check(found);
    found.notice(server.races() == 0, "copies raced");
    found.notice(order.violations() == 0, order.first());
    return found;
}

plan plan_of(const transfer_scenario& s, const machine& m) {
    request asked = places::request(s.from, s.to, s.bytes, s.options().relays);
    asked.scratch_bytes = s.scratch_bytes;
    if (s.from == endpoint::host_all() || s.to == endpoint::host_all()) {
        asked.stripe_bytes = s.stripe_bytes;
        asked.stripe_phase = simulated::guard_bytes;
    }
    return default_planner(m).make(asked).value();
}

std::uint64_t chunks_of(const route& r) {
    chunk_sequence sizes(r);
    std::uint64_t count = 0;
    while (sizes.next() > 0) ++count;
    return count;
}

bool in_user_stream(const transfer_scenario& s, const machine& m) {
    const plan p = plan_of(s, m);
    const route& only = p.routes.front();
    return p.routes.size() == 1 && only.leg_count == 1 &&
           issuer_of(m, only.legs[0]) == simulated::gpu_of(m, s.from, s.to);
}

/// Routes that neither start nor end on the user's GPU, and start on one GPU and end on another: a wait of their own gives
/// them the time of their start. It orders nothing else.
std::uint64_t waits_for_time(const transfer_scenario& s, const machine& m) {
    const node_index gpu = simulated::gpu_of(m, s.from, s.to);
    std::uint64_t found = 0;
    for (const route& r : plan_of(s, m).routes) {
        const node_index first = issuer_of(m, r.legs[r.legs[0].host_copy ? 1 : 0]);
        const std::size_t end = r.leg_count - 1u;
        const node_index last = issuer_of(m, r.legs[r.legs[end].host_copy ? end - 1 : end]);
        found += last != gpu && first != last ? 1 : 0;
    }
    return found;
}

/// Calls that one copy alone can do without, by their reasons.
struct spare {
    std::uint64_t waits = 0, records = 0;
};
spare spare_calls(const transfer_scenario& s, const machine& m) {
    const plan p = plan_of(s, m);
    spare found;
    // That a set of lanes is idle is only a hint of whom to give it to. A copy in the user's own stream needs no lanes.
    if (!in_user_stream(s, m)) found.records += 1;
    for (const route& r : p.routes) {
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
leftovers last_rounds(const transfer_scenario& s, const machine& m) {
    leftovers found;
    for (const route& r : plan_of(s, m).routes)
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
std::vector<std::vector<link_direction>> weathers(const transfer_scenario& s, const machine& m) {
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
count unnoticed(Rehearse rehearse) {
    count found;
    found.tried = rehearse(~0ull).calls;
    for (std::uint64_t number = 0; number < found.tried; ++number)
        if (const rehearsal with = rehearse(number); !with.noticed()) {
            ++found.unnoticed;
            found.where += std::to_string(number) + " " + with.dropped + "; ";
        }
    return found;
}

} // namespace

TEST_CASE("Nothing is wrong while nothing is forgotten") {
    for (const transfer_scenario& s : transfer_scenarios) {
        INFO(s.name);
        CHECK(one_copy(s, forgotten::nothing, 0, false).why == "");
        CHECK(one_copy(s, forgotten::nothing, 0, true).why == "");
        CHECK(shared_lanes(s, forgotten::nothing, 0).why == "");
    }
}

TEST_CASE("Forgetting any one call of a copy is noticed, but for those that a single copy does not need") {
    std::uint64_t tried = 0;
    for (const transfer_scenario& s : transfer_scenarios) {
        const spare expected = spare_calls(s, builtin::find(s.machine).value());
        const auto both = [&](forgotten what) {
            return unnoticed([&](std::uint64_t number) {
                rehearsal with = one_copy(s, what, number, false);
                return with.noticed() ? with : one_copy(s, what, number, true);
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

TEST_CASE("Where two streams share lanes, the waits for the last round of a ring are needed too") {
    for (const transfer_scenario& s : transfer_scenarios) {
        if (pageable(s.from) || pageable(s.to)) continue; // done when they return
        const machine m = builtin::find(s.machine).value();
        const count waits = unnoticed([&](std::uint64_t number) { return shared_lanes(s, forgotten::wait, number); });
        const count records =
            unnoticed([&](std::uint64_t number) { return shared_lanes(s, forgotten::record, number); });
        INFO(s.name << ": waits " << waits.where << " records " << records.where);
        const leftovers left = last_rounds(s, m);
        // The second copy's streams are busy with the first: when it may start shows only in the first.
        CHECK(waits.unnoticed == left.implied + waits_for_time(s, m));
        CHECK(records.unnoticed == (in_user_stream(s, m) ? 0 : 2) + left.slots + left.implied);
    }
}

TEST_CASE("The simulator itself shows a forgotten wait once the right link is slow") {
    std::uint64_t tried = 0, shown = 0;
    for (const transfer_scenario& s : transfer_scenarios) {
        const auto skies = weathers(s, builtin::find(s.machine).value());
        const std::uint64_t waits = one_copy(s, forgotten::wait, ~0ull, true).calls;
        for (std::uint64_t number = 0; number < waits; number += 3) {
            ++tried;
            for (const auto& sky : skies)
                if (one_copy(s, forgotten::wait, number, true, sky).by_bytes) {
                    ++shown;
                    break;
                }
        }
    }
    // The rest are waits that one copy engine's order stands in for, and those at the end of pageable stores.
    INFO(shown << " of " << tried);
    CHECK(tried > 80);
    CHECK(shown >= tried * 85 / 100);
}
