// Every wait, record and synchronize of the mover in turn is forgotten; each time something must go visibly wrong.
// What can be left out without anybody noticing is useless, or the tests cannot see.
#include <cstdint>

#include <support/catch.hpp>
#include <support/rehearsals.hpp>

using namespace barelink;
using namespace rehearsals;

namespace {

rehearsal alone(const transfer_scenario& s, const attempt& with) {
    return one_copy<simulated_stage>(s, with);
}
rehearsal shared(const transfer_scenario& s, forgotten what, std::uint64_t number) {
    return shared_lanes<simulated_stage>(s, what, number);
}

} // namespace

TEST_CASE("Nothing is wrong while nothing is forgotten") {
    for (const transfer_scenario& s : transfer_scenarios) {
        INFO(s.name);
        CHECK(alone(s, {.asking = false}).why == "");
        CHECK(alone(s, {}).why == "");
        CHECK(shared(s, forgotten::nothing, 0).why == "");
    }
}

TEST_CASE("Forgetting any one call of a copy is noticed, but for those that a single copy does not need") {
    check_that_every_call_counts(alone);
}

TEST_CASE("Where two streams share lanes, the waits for the last round of a ring are needed too") {
    for (const transfer_scenario& s : transfer_scenarios) {
        if (pageable(s.from) || pageable(s.to)) continue; // done when they return
        const machine m = builtin::find(s.machine).value();
        const count waits = unnoticed([&](std::uint64_t number) { return shared(s, forgotten::wait, number); });
        const count records = unnoticed([&](std::uint64_t number) { return shared(s, forgotten::record, number); });
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
        const std::uint64_t waits = alone(s, {forgotten::wait, ~0ull}).calls;
        for (std::uint64_t number = 0; number < waits; number += 3) {
            ++tried;
            for (const auto& sky : skies)
                if (alone(s, {forgotten::wait, number, true, sky}).by_bytes) {
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
