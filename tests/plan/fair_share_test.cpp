// Max-min fairness: textbook cases, and the definition checked on random ones.
#include <algorithm>
#include <cstdint>
#include <vector>

#include <barelink/plan/fair_share.hpp>

#include <support/catch.hpp>
#include <support/generated_machines.hpp>

using barelink::fair_share;
using slots = std::vector<std::uint32_t>;

TEST_CASE("One link is shared equally") {
    fair_share fair({12});
    for (int i = 0; i < 3; ++i) fair.add(slots{0});
    fair.solve();
    for (std::size_t i = 0; i < 3; ++i) CHECK(fair.rate(i) == Approx(4));
}

TEST_CASE("A line of links: who crosses all of them gets the least, the others the rest") {
    // Bertsekas and Gallager, Data Networks, example 6.5: three unit links, one of them crowded.
    fair_share fair({1, 1, 1});
    fair.add(slots{0, 1, 2});
    fair.add(slots{0});
    fair.add(slots{1});
    fair.add(slots{1});
    fair.add(slots{2});
    fair.solve();
    CHECK(fair.rate(0) == Approx(1.0 / 3));
    CHECK(fair.rate(1) == Approx(2.0 / 3));
    CHECK(fair.rate(2) == Approx(1.0 / 3));
    CHECK(fair.rate(3) == Approx(1.0 / 3));
    CHECK(fair.rate(4) == Approx(2.0 / 3));
}

TEST_CASE("A flow that wants less leaves the rest to others") {
    fair_share fair({10});
    fair.add(slots{0}, 2);
    fair.add(slots{0});
    fair.add(slots{0}, 100);
    fair.solve();
    CHECK(fair.rate(0) == Approx(2));
    CHECK(fair.rate(1) == Approx(4));
    CHECK(fair.rate(2) == Approx(4));
}

TEST_CASE("Weights divide a link in their proportion, up to their limits") {
    fair_share fair({12});
    fair.add(slots{0}, fair_share::unlimited, 1);
    fair.add(slots{0}, fair_share::unlimited, 2);
    fair.add(slots{0}, 1, 3);
    fair.solve();
    CHECK(fair.rate(2) == Approx(1));
    CHECK(fair.rate(0) == Approx(11.0 / 3));
    CHECK(fair.rate(1) == Approx(22.0 / 3));
}

TEST_CASE("A link that is named twice is used twice") {
    fair_share fair({12});
    fair.add(slots{0, 0});
    fair.add(slots{0});
    fair.solve();
    CHECK(fair.rate(0) == Approx(4));
    CHECK(fair.rate(1) == Approx(4));
}

TEST_CASE("Amounts count: an engine that a slow path occupies longer") {
    fair_share fair({100, 1});
    fair.add(slots{0});
    fair.use(1, 1.0 / 50); // 50 GB/s keep the engine busy
    fair.add(slots{0});
    fair.use(1, 1.0 / 25);
    fair.solve();
    CHECK(fair.rate(0) == Approx(50.0 / 3));
    CHECK(fair.rate(1) == Approx(50.0 / 3));
}

TEST_CASE("A dead link carries nothing and holds up nobody else") {
    fair_share fair({0, 8});
    fair.add(slots{0, 1});
    fair.add(slots{1});
    fair.solve();
    CHECK(fair.rate(0) == 0);
    CHECK(fair.rate(1) == Approx(8));
}

TEST_CASE("A flow over no link runs at its own limit") {
    fair_share fair({1});
    fair.add(slots{}, 7);
    fair.add(slots{0});
    fair.solve();
    CHECK(fair.rate(0) == Approx(7));
    CHECK(fair.rate(1) == Approx(1));
}

TEST_CASE("A solver can be filled again, with other capacities, and remembers nothing") {
    fair_share fair({4, 6});
    fair.add(slots{0});
    fair.solve();
    fair.clear();
    CHECK(fair.size() == 0);
    fair.set_capacity(0, 10);
    CHECK(fair.capacity(0) == 10);
    fair.add(slots{0, 1});
    fair.add(slots{0});
    fair.solve();
    CHECK(fair.rate(0) == Approx(5));
    CHECK(fair.rate(1) == Approx(5));
    fair.solve();
    CHECK(fair.rate(1) == Approx(5));
    fair.reset({3});
    fair.clear();
    fair.add(slots{0});
    fair.solve();
    CHECK(fair.rate(0) == Approx(3));
}

TEST_CASE("On random networks no flow can have more without taking from one that has no more") {
    generated::random_source random(7);
    for (int round = 0; round < 1000; ++round) {
        const std::size_t links = static_cast<std::size_t>(random.between(1, 12));
        std::vector<double> capacity;
        for (std::size_t l = 0; l < links; ++l) capacity.push_back(random.chance(5) ? 0 : random.near(40));
        fair_share fair(capacity);
        struct flow {
            slots uses;
            double most, weight;
        };
        std::vector<flow> flows;
        for (int f = random.between(1, 15); f > 0; --f) {
            flow each{{},
                      random.chance(30) ? random.near(8) : fair_share::unlimited,
                      random.chance(50) ? 1.0 : random.between(1, 8) / 4.0};
            for (int u = random.between(1, 5); u > 0; --u)
                each.uses.push_back(static_cast<std::uint32_t>(random.next() % links));
            fair.add(each.uses, each.most, each.weight);
            flows.push_back(each);
        }
        fair.solve();
        std::vector<double> load(links, 0), level(links, 0);
        for (std::size_t f = 0; f < flows.size(); ++f)
            for (const std::uint32_t l : flows[f].uses) {
                load[l] += fair.rate(f);
                level[l] = std::max(level[l], fair.rate(f) / flows[f].weight);
            }
        for (std::size_t l = 0; l < links; ++l) REQUIRE(load[l] <= capacity[l] * (1 + 1e-6) + 1e-9);
        for (std::size_t f = 0; f < flows.size(); ++f) {
            // Held by its own limit, or by a full link on which nobody has more for its weight.
            bool held = fair.rate(f) >= flows[f].most * (1 - 1e-6);
            for (const std::uint32_t l : flows[f].uses)
                held |= load[l] >= capacity[l] * (1 - 1e-6) - 1e-9 &&
                        fair.rate(f) / flows[f].weight >= level[l] * (1 - 1e-6) - 1e-9;
            INFO("round " << round << " flow " << f);
            REQUIRE(fair.rate(f) <= flows[f].most * (1 + 1e-9));
            REQUIRE(held);
        }
    }
}
