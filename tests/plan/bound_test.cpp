// plan::bound_gb_s against an independent solution of the same program.
#include <cstdint>
#include <string>
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/plan/planner.hpp>

#include <support/catch.hpp>
#include <support/generated_machines.hpp>
#include <support/places.hpp>
#include <support/reference_bound.hpp>

using namespace barelink;

namespace {

std::string name_of(const machine& m, const request& r) {
    return m.name + ": " + to_string(r.from) + " -> " + to_string(r.to) + (r.relays.empty() ? "" : ", relays") +
           (r.stage_in_host ? "" : ", not staged") + (r.trust_unproved ? ", trusting" : "");
}

/// Plans a request and holds its bound against the reference: empty when they agree, else what is wrong.
std::string disagreement(const machine& m, const request& r) {
    const reference::bracket known = reference::bound_gb_s(m, r);
    const auto made = default_planner(m).make(r);
    if (known.reached <= 0)
        return made ? name_of(m, r) + ": planned at a bound of " + std::to_string(made->bound_gb_s) + ", no way exists"
                    : "";
    if (known.proved > known.reached * (1 + 2e-7)) return name_of(m, r) + ": the reference did not converge";
    if (!made) return name_of(m, r) + ": " + made.error().what();
    if (made->bound_gb_s < known.reached * (1 - 1e-6) || made->bound_gb_s > known.proved * (1 + 1e-6))
        return name_of(m, r) + ": bound " + std::to_string(made->bound_gb_s) + ", reference " +
               std::to_string(known.reached) + " to " + std::to_string(known.proved);
    if (made->predicted_gb_s() > known.proved * (1 + 1e-6))
        return name_of(m, r) + ": predicts " + std::to_string(made->predicted_gb_s()) + " of " +
               std::to_string(known.proved);
    return "";
}

} // namespace

TEST_CASE("The reference solves programs whose optimum is known") {
    // Two routes share a link of 3 and have links of 2 each: 3 in all.
    reference::flow_program shared{{3, 2, 2}, {1}, {{0, 1}, {0, 2}}, {0, 0}};
    const auto one = reference::solve(shared);
    CHECK(one.reached == Approx(3).epsilon(1e-7));
    CHECK(one.proved == Approx(3).epsilon(1e-7));
    // Two parts of equal size on links of 1 and 5: the slower decides.
    reference::flow_program uneven{{1, 5}, {0.5, 0.5}, {{0}, {1}}, {0, 1}};
    const auto two = reference::solve(uneven);
    CHECK(two.reached == Approx(2).epsilon(1e-7));
    CHECK(two.proved == Approx(2).epsilon(1e-7));
    // A route that crosses a link twice gets half of it.
    reference::flow_program twice{{4}, {1}, {{0, 0}}, {0}};
    CHECK(reference::solve(twice).proved == Approx(2).epsilon(1e-7));
}

TEST_CASE("The bound of every pair of places on every built-in machine is the optimum over all routes") {
    std::size_t compared = 0;
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        for (const auto& [from, to] : places::pairs(m))
            for (const gpu_set relays : {gpu_set::none(), gpu_set::all()}) {
                const std::string wrong = disagreement(m, places::request(from, to, GiB, relays));
                ++compared;
                if (!wrong.empty()) FAIL_CHECK(wrong);
            }
    }
    CHECK(compared == 2 * 1332);
}

TEST_CASE("The bound on random machines is the optimum over all routes, whatever the caller allows") {
    std::size_t compared = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        const machine m = generated::random_machine(seed);
        generated::random_source random(seed * 7919);
        const auto pairs = places::pairs(m);
        if (pairs.empty()) continue;
        for (int sample = 0; sample < 12; ++sample) {
            const auto& [from, to] = pairs[random.next() % pairs.size()];
            request r = places::request(from, to, GiB + random.next() % GiB);
            if (sample % 3 == 1) r.relays = gpu_set::all();
            if (sample % 3 == 2)
                for (int g = 0; g < 8; ++g)
                    if (random.chance(50)) r.relays.insert(gpu_id{g});
            r.stage_in_host = random.chance(75);
            r.trust_unproved = random.chance(25);
            const std::string wrong = disagreement(m, r);
            ++compared;
            if (!wrong.empty()) FAIL_CHECK("seed " << seed << ": " << wrong);
        }
    }
    CHECK(compared > 3500);
}

TEST_CASE("The bound holds on a rack of 72 GPUs") {
    const machine m = generated::nvl72();
    for (const auto& [from, to] : {places::pair{places::host(0), places::gpu(1)}, {places::gpu(3), places::gpu(70)}})
        CHECK(disagreement(m, places::request(from, to, GiB, gpu_set::all())) == "");
}

TEST_CASE("Requests that run together share one optimum, each by its bytes") {
    std::size_t compared = 0;
    const auto compare = [&](const machine& m, const std::vector<request>& together) {
        const reference::bracket known = reference::bound_gb_s(m, together);
        const auto made = default_planner(m).make(together);
        INFO(m.name << ", " << together.size() << " requests, first " << name_of(m, together[0]));
        REQUIRE(known.proved <= known.reached * (1 + 2e-7));
        if (known.reached <= 0) {
            CHECK_FALSE(made);
            return;
        }
        REQUIRE(made);
        double bound = 0, bytes = 0;
        for (const plan& p : *made) {
            bound += p.bound_gb_s;
            bytes += static_cast<double>(p.asked.bytes);
        }
        CHECK(bound == Approx(known.reached).epsilon(1e-6));
        for (const plan& p : *made)
            CHECK(p.bound_gb_s / bound == Approx(static_cast<double>(p.asked.bytes) / bytes).epsilon(1e-9));
        ++compared;
    };
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        const auto gpus = static_cast<int>(m.count(node_kind::gpu));
        for (const gpu_set relays : {gpu_set::none(), gpu_set::all()}) {
            std::vector<request> loading, storing, swapping;
            for (int g = 0; g < gpus; ++g) {
                loading.push_back(places::request(places::host(0), places::gpu(g), GiB, relays));
                storing.push_back(
                    places::request(places::gpu(g), places::host(0), GiB + 4096u * static_cast<unsigned>(g), relays));
                if (gpus > 1 && g < 4)
                    swapping.push_back(places::request(places::gpu(g), places::gpu((g + 1) % gpus), GiB, relays));
            }
            compare(m, loading);
            compare(m, storing);
            if (!swapping.empty()) compare(m, swapping);
        }
    }
    for (std::uint64_t seed = 1000; seed < 1060; ++seed) {
        const machine m = generated::random_machine(seed);
        generated::random_source random(seed);
        const auto pairs = places::pairs(m);
        if (pairs.empty()) continue;
        std::vector<request> together;
        for (int i = random.between(2, 4); i > 0; --i) {
            const auto& [from, to] = pairs[random.next() % pairs.size()];
            together.push_back(places::request(from, to, MiB * static_cast<std::uint64_t>(random.between(64, 4096)),
                                               random.chance(50) ? gpu_set::all() : gpu_set::none()));
        }
        compare(m, together);
    }
    CHECK(compared > 90);
}

TEST_CASE("Leaving families out at compile time lowers what is planned, not the bound") {
    using direct_only = planner<pinned_path, peer_path>;
    std::size_t slower = 0;
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        for (const auto& [from, to] : places::pairs(m)) {
            const request r = places::request(from, to, GiB, gpu_set::all());
            const auto direct = direct_only(m).make(r);
            if (!direct) continue;
            const auto full = default_planner(m).make(r);
            REQUIRE(full);
            INFO(name_of(m, r));
            CHECK(direct->bound_gb_s == Approx(full->bound_gb_s).epsilon(1e-9));
            CHECK(direct->predicted_us >= full->predicted_us * (1 - 1e-9));
            slower += direct->predicted_us > full->predicted_us * 1.01;
        }
    }
    CHECK(slower > 300);
}
