// Every CUDA call of a mover's life in turn fails once. The mover says so or carries on another way; it never claims bytes
// that did not arrive, gives everything back, leaves no error behind for others, and works again afterwards.
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include <barelink/move/cuda.hpp>
#include <barelink/move/pinned_pool.hpp>

#include <support/catch.hpp>
#include <support/cuda_box.hpp>
#include <support/transfer_scenarios.hpp>

using namespace barelink;

namespace {

struct outcome {
    std::uint64_t calls = 0;   ///< of the whole run
    std::uint64_t giving = 0;  ///< of those, calls that give something back
    std::uint64_t refused = 0; ///< copies that were errors
    std::uint64_t fallbacks = 0;
    std::uint64_t left = 0; ///< objects that were not given back
    std::string wrong;      ///< empty when all is well

    void check(bool fine, const char* what) {
        if (!fine && wrong.empty()) wrong = what;
    }
};

constexpr const char* giving_functions[] = {
    "cudaFree",          "cudaFreeHost",     "cudaHostUnregister",  "cudaEventDestroy",
    "cudaStreamDestroy", "cudaGraphDestroy", "cudaGraphExecDestroy"};

std::uint64_t giving_calls() {
    std::uint64_t sum = 0;
    for (const char* each : giving_functions) sum += simcuda::calls(each);
    return sum;
}
std::uint64_t objects() {
    const simcuda::live_counts now = simcuda::live();
    return now.streams + now.events + now.graphs + now.registrations + now.device_allocations + now.host_allocations;
}

/// The caller's own calls may be the ones that fail: he tries again.
template <class Call>
bool again(Call call) {
    for (int i = 0; i < 2; ++i) {
        if (call() == cudaSuccess) return true;
        (void)cudaGetLastError();
    }
    return false;
}
bool settled(cuda::stream in) {
    return again([&] { return cudaStreamSynchronize(in.handle); });
}

/// The codes in turn, so that every call meets each of them in one of three rounds.
cudaError_t code_for(std::uint64_t number, std::uint64_t round) {
    constexpr cudaError_t codes[] = {cudaErrorMemoryAllocation, cudaErrorInvalidValue, cudaErrorUnknown};
    return codes[(number + round) % 3];
}

struct failure {
    std::uint64_t number = ~0ull;
    std::uint64_t round = 0;
    void plan() const {
        if (number != ~0ull) simcuda::fail_any(number, code_for(number, round));
    }
    /// It has happened by now.
    [[nodiscard]] bool over(std::uint64_t first_call) const {
        return number != ~0ull && simcuda::calls() > first_call + number;
    }
};

/// The relays that a scenario's plan uses, and no others: each pair that might be used has to be proved.
mover_options options_of(const transfer_scenario& s) {
    mover_options chosen = s.options();
    request asked = places::request(s.from, s.to, s.bytes, chosen.relays);
    asked.scratch_bytes = chosen.scratch_bytes;
    asked.stripe_bytes = s.from == endpoint::host_all() ? s.stripe_bytes : 0;
    const machine m = builtin::find(s.machine).value();
    chosen.relays = gpu_set::none();
    const plan p = default_planner(m).make(asked).value();
    for (const route& r : p.routes)
        for (std::size_t l = 0; l + 1 < r.leg_count; ++l)
            if (m.at(r.legs[l].to).kind == node_kind::gpu) chosen.relays.insert(gpu_id{m.at(r.legs[l].to).index});
    return chosen;
}

/// What a scenario's runs have in common: buffers and streams that are there before and after.
struct whole_program {
    explicit whole_program(const transfer_scenario& s)
        : box(s.machine), src(box.on, s.from, s.bytes, 0, s.stripe_bytes),
          dst(box.on, s.to, s.bytes, 0, s.stripe_bytes), in(box.stream(gpu_of(s))), other(box.stream(gpu_of(s))),
          options(options_of(s)) {
        // Proofs are calls of the scenario "peer"; the others have them before.
        if (s.relays)
            (void)mover<cuda::runtime>(box.on, options)
                .plan_for({dst.data(), s.bytes, box.on.classify(dst.data(), s.bytes).value()},
                          {src.data(), s.bytes, box.on.classify(src.data(), s.bytes).value()});
        before = objects();
        giving = giving_calls();
        first_call = simcuda::calls();
    }
    static int gpu_of(const transfer_scenario& s) {
        return s.to.where == endpoint::place::gpu ? s.to.index : s.from.index;
    }

    cuda_box::server box;
    cuda_box::buffer src, dst;
    cuda::stream in, other;
    mover_options options;
    std::uint64_t before = 0, giving = 0, first_call = 0;
    outcome found;

    void refill(std::uint64_t seed) const {
        src.fill(seed);
        dst.clear();
    }
    /// One copy. True when it claims to have arrived, which it then has.
    template <class Mover>
    bool copies(Mover& moves, std::uint64_t seed, cuda::stream stream) {
        refill(seed);
        const auto started = moves.copy(dst.data(), src.data(), src.size(), stream);
        found.check(simcuda::pending_error() == cudaSuccess, "an error was left behind");
        if (!started) found.check(*started.error().what() != '\0', "an error without words");
        found.refused += !started;
        bool arrived = false;
        if (started) {
            found.fallbacks += started->fallbacks().size();
            arrived = static_cast<bool>(started->wait());
            if (arrived) found.check(dst.holds(seed), "waited for, and the bytes are not there");
        }
        (void)settled(stream);
        return arrived;
    }
    outcome end() {
        found.calls = simcuda::calls() - first_call;
        found.giving = giving_calls() - giving;
        found.left = objects() - before;
        found.check(simcuda::server().races() == 0, "copies raced");
        found.check(src.guarded() && dst.guarded(), "bytes beside the buffers changed");
        found.check(simcuda::pending_error() == cudaSuccess, "an error was left behind at the end");
        found.check(found.left <= 1, "more is left than one failed call keeps");
        return found;
    }
};

outcome copies(const transfer_scenario& s, const failure& planned) {
    whole_program run(s);
    planned.plan();
    {
        mover<cuda::runtime> moves(run.box.on, run.options);
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            const bool over = planned.over(run.first_call);
            const bool arrived = run.copies(moves, seed, seed == 2 ? run.other : run.in);
            run.found.check(arrived || !over, "a copy failed, though nothing is broken any more");
        }
        run.refill(9);
        (void)moves.copy(run.dst.data(), run.src.data(), s.bytes, run.in); // on its way when the mover goes
    }
    return run.end();
}

/// Captured, launched twice, and a copy outside.
outcome captures(const transfer_scenario& s, const failure& planned) {
    whole_program run(s);
    planned.plan();
    {
        mover<cuda::runtime> moves(run.box.on, run.options);
        run.copies(moves, 1, run.in);
        for (int tries = 0; tries < 2; ++tries) {
            const bool over = planned.over(run.first_call);
            if (!again([&] { return cudaStreamBeginCapture(run.in.handle, cudaStreamCaptureModeGlobal); })) break;
            const auto captured = moves.copy(run.dst.data(), run.src.data(), s.bytes, run.in);
            run.found.refused += !captured;
            run.found.check(captured || !over, "a capture failed, though nothing is broken any more");
            cudaGraph_t graph = nullptr;
            const bool ended = again([&] { return cudaStreamEndCapture(run.in.handle, &graph); });
            (void)cudaGetLastError();
            run.found.check(ended || !captured, "the capture was spoilt by a copy that succeeded");
            cudaGraphExec_t ready = nullptr;
            if (ended && captured && again([&] { return cudaGraphInstantiate(&ready, graph, 0); })) {
                for (std::uint64_t seed = 2; seed <= 3; ++seed) {
                    run.refill(seed);
                    const bool went = again([&] { return cudaGraphLaunch(ready, run.other.handle); });
                    if (went && settled(run.other))
                        run.found.check(run.dst.holds(seed), "launched, and the bytes are not there");
                }
                (void)again([&] { return cudaGraphExecDestroy(ready); });
            }
            if (graph) (void)again([&] { return cudaGraphDestroy(graph); });
        }
        const bool over = planned.over(run.first_call);
        run.found.check(run.copies(moves, 4, run.in) || !over, "a copy failed, though nothing is broken any more");
    }
    return run.end();
}

/// Memory of a pool to a GPU.
outcome pools(const transfer_scenario& s, const failure& planned) {
    whole_program run(s);
    planned.plan();
    {
        mover<cuda::runtime> moves(run.box.on, run.options);
        pinned_pool_options small;
        small.slab_bytes = 4 * MiB;
        auto pool = pinned_pool<cuda::runtime>::on(run.box.on, numa_id{0}, small);
        for (std::uint64_t seed = 1; pool && seed <= 3; ++seed) {
            const bool over = planned.over(run.first_call);
            const auto taken = pool->take(s.bytes * (seed == 2 ? 4 : 1)); // the second is a range of its own
            run.found.check(simcuda::pending_error() == cudaSuccess, "the pool left an error behind");
            run.found.check(taken || !over, "the pool failed, though nothing is broken any more");
            run.found.refused += !taken;
            if (!taken) continue;
            patterned::fill(taken->base, s.bytes, seed);
            run.dst.clear();
            const auto started = moves.copy(run.dst.data(), taken->base, s.bytes, run.in);
            run.found.refused += !started;
            if (started && started->wait())
                run.found.check(run.dst.holds(seed), "waited for, and the bytes are not there");
            (void)settled(run.in);
            run.found.check(static_cast<bool>(pool->give_back(*taken)), "the pool does not know its own");
            if (seed == 2) (void)pool->trim();
        }
        const bool over = planned.over(run.first_call);
        run.found.check(run.copies(moves, 4, run.in) || !over, "a copy failed, though nothing is broken any more");
    }
    return run.end();
}

struct totals {
    std::uint64_t injected = 0, refused = 0, fallbacks = 0;
};

template <class Run>
totals every_call(const char* name, const transfer_scenario& s, Run run, std::uint64_t rounds) {
    totals sum;
    const outcome clean = run(s, failure{});
    INFO(name << ", " << s.name);
    CHECK(clean.wrong == "");
    CHECK((clean.refused == 0 && clean.left == 0 && clean.fallbacks == 0));
    std::uint64_t kept = 0;
    for (std::uint64_t round = 0; round < rounds; ++round)
        for (std::uint64_t number = 0; number < clean.calls; ++number) {
            const outcome found = run(s, failure{number, round});
            ++sum.injected;
            sum.refused += found.refused;
            sum.fallbacks += found.fallbacks > 0;
            kept += found.left;
            if (!found.wrong.empty())
                FAIL_CHECK("call " << number << " of " << clean.calls << " with code "
                                   << cudaGetErrorName(code_for(number, round)) << ": " << found.wrong);
        }
    // Only what could not be given back is kept.
    CHECK(kept <= clean.giving * rounds);
    return sum;
}

const transfer_scenario& scenario(const std::string& name) {
    for (const transfer_scenario& each : transfer_scenarios)
        if (name == each.name) return each;
    FAIL("no such scenario: " << name);
    return transfer_scenarios[0];
}

} // namespace

TEST_CASE("Whichever CUDA call fails, no byte is claimed that did not arrive, nothing is lost, and the mover goes on") {
    totals all;
    const auto add = [&](const char* name, const char* which, outcome (*run)(const transfer_scenario&, const failure&),
                         std::uint64_t rounds) {
        const totals found = every_call(name, scenario(which), run, rounds);
        std::printf("  %-8s %-32s %5llu faults, %5llu errors, %4llu fallbacks\n", name, which,
                    static_cast<unsigned long long>(found.injected), static_cast<unsigned long long>(found.refused),
                    static_cast<unsigned long long>(found.fallbacks));
        CHECK(found.refused + found.fallbacks > 0);
        all.injected += found.injected;
        all.refused += found.refused;
        all.fallbacks += found.fallbacks;
    };
    add("copies", "pinned", copies, 3);
    add("copies", "pageable load", copies, 1);
    add("copies", "pageable store", copies, 1);
    add("copies", "peer", copies, 1);
    add("copies", "two detours", copies, 1);
    add("copies", "staged pair", copies, 1);
    add("copies", "striped load", copies, 1);
    add("captures", "pinned", captures, 3);
    add("captures", "two detours", captures, 1);
    add("pools", "pinned", pools, 3);
    std::printf("  %llu faults injected, %llu errors with names, %llu copies by another way\n",
                static_cast<unsigned long long>(all.injected), static_cast<unsigned long long>(all.refused),
                static_cast<unsigned long long>(all.fallbacks));
    CHECK(all.injected > 5000);
}
