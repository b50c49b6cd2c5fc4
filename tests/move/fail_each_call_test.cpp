// Each call to the runtime in turn fails once. The mover says so or carries on; it never claims bytes that did not
// arrive, gives everything back, and works again afterwards.
#include <cstdint>
#include <string>

#include <support/catch.hpp>
#include <support/ordering_runtime.hpp>
#include <support/simulated_box.hpp>
#include <support/transfer_scenarios.hpp>

using namespace barelink;

namespace {

using checked_runtime = ordering_runtime<sim::runtime>;

struct outcome {
    std::uint64_t calls = 0; ///< of the whole run
    bool refused = false;    ///< the first copy failed
    std::string wrong;       ///< empty when all is well
};

/// One copy while call `number` fails, and two more after it: one the same, one in another stream. `wait_in_between`: the
/// caller waits for the first; else it goes on at once.
outcome run(const transfer_scenario& s, std::uint64_t number, bool wait_in_between) {
    sim::runtime server(builtin::find(s.machine).value());
    checked_runtime on(server);
    const simulated::buffer src(server, s.from, s.bytes, 0, s.stripe_bytes);
    const simulated::buffer dst(server, s.to, s.bytes, 0, s.stripe_bytes);
    const auto stream = server.make_stream(simulated::gpu_of(server.topology(), s.from, s.to)).value();
    const auto other = server.make_stream(simulated::gpu_of(server.topology(), s.from, s.to)).value();
    const auto end = server.make_event(server.issuer(stream)).value();
    const std::size_t before = server.allocations();
    const bool to_pageable = s.to.where == endpoint::place::pageable;
    outcome found;
    const auto check = [&](bool fine, const char* what) {
        if (!fine && found.wrong.empty()) found.wrong = what;
    };
    const std::uint64_t first_call = server.calls();
    sim::faults planned;
    planned.failing_call = number == ~0ull ? number : first_call + number;
    server.inject(planned);
    {
        mover<checked_runtime> moves(on, s.options());
        src.fill(1);
        const auto first = moves.copy(dst.data(), src.data(), s.bytes, stream);
        found.refused = !first;
        if (first && to_pageable) check(dst.holds(1), "a copy to pageable memory returned without its bytes");
        if (first && wait_in_between) {
            const status arrived = first->wait();
            if (arrived) {
                check(dst.holds(1), "waited for, and the bytes are not there");
                on.thread_reads(dst.data(), s.bytes);
                on.thread_writes(src.data(), s.bytes);
                src.fill(2);
                dst.clear();
                on.thread_writes(dst.data(), s.bytes);
            }
        }
        if (first && wait_in_between)
            if (const auto polled = first->poll(); polled && *polled)
                check(!on.violations(), "polled as done, and it was not");
        // A caller whose copy failed waits for his stream, and then owns his buffers again.
        const auto settle = [&](sim::stream waited_for) {
            for (int tries = 0; tries < 2; ++tries)
                if (on.record(end, waited_for) && on.synchronize(end)) return;
        };
        if (!first) {
            settle(stream);
            on.thread_writes(src.data(), s.bytes);
            on.thread_writes(dst.data(), s.bytes);
            src.fill(3);
            dst.clear();
        }
        const std::uint64_t seed = !src.holds(1) ? (src.holds(2) ? 2u : 3u) : 1u;
        const auto second = moves.copy(dst.data(), src.data(), s.bytes, stream);
        if (server.calls() > first_call + number + 1 && number != ~0ull && found.refused)
            check(second.has_value(), "the next copy failed, though nothing is broken any more");
        const auto third = moves.copy(dst.data(), src.data(), s.bytes, stream);
        if (third && third->wait()) {
            on.thread_reads(dst.data(), s.bytes);
            check(dst.holds(seed), "a later copy did not deliver");
        }
        settle(stream);
        on.thread_writes(dst.data(), s.bytes);
        dst.clear();
        const auto elsewhere = moves.copy(dst.data(), src.data(), s.bytes, other);
        if (elsewhere && elsewhere->wait()) {
            on.thread_reads(dst.data(), s.bytes);
            check(dst.holds(seed), "a later copy in another stream did not deliver");
        }
        settle(other);
        // Destroyed with one more copy on its way.
        (void)moves.copy(dst.data(), src.data(), s.bytes, stream);
    }
    found.calls = server.calls() - first_call;
    check(server.races() == 0, "copies raced");
    check(on.violations() == 0, on.first().c_str());
    check(src.guarded() && dst.guarded(), "bytes beside the buffers changed");
    check(server.allocations() == before, "scratch memory was not given back");
    return found;
}

} // namespace

TEST_CASE("Whichever call fails, no byte is claimed that did not arrive, and the mover goes on") {
    for (const transfer_scenario& s : transfer_scenarios)
        for (const bool wait_in_between : {true, false}) {
            const outcome clean = run(s, ~0ull, wait_in_between);
            INFO(s.name);
            CHECK(clean.wrong == "");
            CHECK_FALSE(clean.refused);
            for (std::uint64_t number = 0; number < clean.calls; ++number) {
                const outcome found = run(s, number, wait_in_between);
                if (!found.wrong.empty())
                    FAIL_CHECK("call " << number << " of " << clean.calls << (wait_in_between ? " (waiting)" : "")
                                       << ": " << found.wrong);
            }
        }
}
