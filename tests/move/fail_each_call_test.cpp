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

/// A copy, the same again, one in another stream, and one that is still on its way when the mover goes; call `number`
/// fails. `waiting`: the caller waits for the first before the second, else he goes on at once.
outcome run(const transfer_scenario& s, std::uint64_t number, bool waiting) {
    sim::runtime server(builtin::find(s.machine).value());
    checked_runtime on(server);
    const simulated::buffer src(server, s.from, s.bytes, 0, s.stripe_bytes);
    const simulated::buffer dst(server, s.to, s.bytes, 0, s.stripe_bytes);
    const node_index gpu = simulated::gpu_of(server.topology(), s.from, s.to);
    const auto stream = server.make_stream(gpu).value(), other = server.make_stream(gpu).value();
    const auto end = server.make_event(gpu).value();
    const std::size_t before = server.allocations();

    outcome found;
    const auto check = [&](bool fine, const char* what) {
        if (!fine && found.wrong.empty()) found.wrong = what;
    };
    // The caller's own work is ordered by his stream; his calls may fail, too.
    const auto settle = [&](sim::stream waited_for) {
        for (int tries = 0; tries < 2; ++tries)
            if (on.record(end, waited_for) && on.synchronize(end)) return;
    };
    const auto refill = [&](std::uint64_t seed) {
        on.thread_writes(src.data(), s.bytes);
        on.thread_writes(dst.data(), s.bytes);
        src.fill(seed);
        dst.clear();
    };
    const auto check_arrived = [&](std::uint64_t seed, const char* what) {
        on.thread_reads(dst.data(), s.bytes);
        check(dst.holds(seed), what);
    };

    const std::uint64_t first_call = server.calls();
    sim::faults planned;
    planned.failing_call = number == ~0ull ? number : first_call + number;
    server.inject(planned);
    {
        mover<checked_runtime> moves(on, s.options());
        std::uint64_t seed = 1;
        src.fill(seed);
        const auto first = moves.copy(dst.data(), src.data(), s.bytes, stream);
        found.refused = !first;
        if (first && s.to.where == endpoint::place::pageable)
            check_arrived(seed, "a copy to pageable memory returned without its bytes");
        if (first && waiting && first->wait()) {
            check_arrived(seed, "waited for, and the bytes are not there");
            refill(++seed);
        } else if (!first) {
            settle(stream); // after an error his stream is all that the caller has to wait for
            refill(++seed);
        }
        const auto second = moves.copy(dst.data(), src.data(), s.bytes, stream);
        if (found.refused && server.calls() > planned.failing_call + 1)
            check(second.has_value(), "the next copy failed, though nothing is broken any more");
        if (second && second->wait()) check_arrived(seed, "a later copy did not deliver");
        settle(stream);
        refill(++seed);
        const auto elsewhere = moves.copy(dst.data(), src.data(), s.bytes, other);
        if (elsewhere && elsewhere->wait()) check_arrived(seed, "a later copy in another stream did not deliver");
        settle(other);
        (void)moves.copy(dst.data(), src.data(), s.bytes, stream);
    }
    found.calls = server.calls() - first_call;
    check(server.races() == 0, "copies raced");
    check(on.violations() == 0, on.first().c_str());
    check(src.guarded() && dst.guarded(), "bytes beside the buffers changed");
    check(server.allocations() == before + on.failed_releases(), "scratch memory was not given back");
    return found;
}

} // namespace

TEST_CASE("Whichever call fails, no byte is claimed that did not arrive, and the mover goes on") {
    std::uint64_t rehearsed = 0;
    for (const transfer_scenario& s : transfer_scenarios)
        for (const bool waiting : {true, false}) {
            INFO(s.name);
            const outcome clean = run(s, ~0ull, waiting);
            CHECK(clean.wrong == "");
            CHECK_FALSE(clean.refused);
            // Without waiting the calls are the same, in another order of events: every third of them.
            for (std::uint64_t number = 0; number < clean.calls; number += waiting ? 1 : 3) {
                const outcome found = run(s, number, waiting);
                ++rehearsed;
                if (!found.wrong.empty())
                    FAIL_CHECK("call " << number << " of " << clean.calls << (waiting ? ", waiting" : "") << ": "
                                       << found.wrong);
            }
        }
    CHECK(rehearsed > 4000);
}
