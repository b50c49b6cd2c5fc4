// What planning costs: cold for servers of 8 GPUs with relays, cached, and cold for a rack of 72 GPUs.
#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/benchmark/catch_benchmark.hpp>
#include <catch2/catch_test_macros.hpp>
#else
#define CATCH_CONFIG_MAIN
#define CATCH_CONFIG_ENABLE_BENCHMARKING
#include <catch2/catch.hpp>
#endif

#include <string>

#include <barelink/machine/builtin.hpp>
#include <barelink/plan/plan_cache.hpp>

#include "../tests/support/generated_machines.hpp"

namespace {

barelink::request wanted(const char* from, const char* to) {
    barelink::request asked;
    asked.from = barelink::parse_endpoint(from).value();
    asked.to = barelink::parse_endpoint(to).value();
    asked.bytes = barelink::GiB;
    asked.relays = barelink::gpu_set::all();
    return asked;
}

std::string named(const char* machine, const char* from, const char* to) {
    return std::string(machine) + " " + from + " -> " + to;
}

} // namespace

TEST_CASE("cold plans for 8 GPUs with relays: at most 100 us") {
    const struct {
        const char *machine, *from, *to;
    } cases[] = {{"hgx-h100-8", "host:all", "gpu:0"}, {"hgx-h100-8", "host:0", "gpu:0"},
                 {"hgx-h100-8", "gpu:0", "gpu:1"},    {"dgx1-v100", "gpu:0", "gpu:5"},
                 {"dgx1-v100", "gpu:0", "gpu:4"},     {"dgx-a100", "host:all", "gpu:3"},
                 {"dgx-a100", "gpu:1", "gpu:3"},      {"l40s-pcie-8", "gpu:0", "gpu:7"}};
    for (const auto& each : cases) {
        const barelink::machine m = barelink::builtin::find(each.machine).value();
        const barelink::default_planner plans(m);
        const barelink::request asked = wanted(each.from, each.to);
        BENCHMARK(named(each.machine, each.from, each.to)) {
            return plans.make(asked);
        };
    }
}

TEST_CASE("a cached plan: at most 200 ns") {
    const barelink::machine m = barelink::builtin::hgx_h100_8();
    barelink::plan_cache<> cache{barelink::default_planner(m)};
    const barelink::request asked = wanted("host:all", "gpu:0");
    REQUIRE(cache.find(asked));
    BENCHMARK("hgx-h100-8 host:all -> gpu:0, cached") {
        return cache.find(asked);
    };
}

TEST_CASE("cold plans for 72 GPUs: at most 10 ms") {
    const barelink::machine m = generated::nvl72();
    const barelink::default_planner plans(m);
    for (const auto& [from, to] : {std::pair{"host:0", "gpu:0"}, std::pair{"host:all", "gpu:0"},
                                   std::pair{"gpu:0", "gpu:70"}, std::pair{"gpu:3", "host:all"}}) {
        const barelink::request asked = wanted(from, to);
        BENCHMARK(named("nvl72", from, to)) {
            return plans.make(asked);
        };
    }
}
