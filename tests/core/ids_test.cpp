#include <cstdint>
#include <set>
#include <type_traits>

#include <barelink/core/ids.hpp>

#include "../support/catch.hpp"

using namespace barelink;

// Ids of different kinds neither convert nor compare: the point of having them.
static_assert(!std::is_convertible_v<int, gpu_id> && std::is_constructible_v<gpu_id, int>);
static_assert(!std::is_convertible_v<gpu_id, int>);
static_assert(!std::is_constructible_v<gpu_id, numa_id> && !std::is_constructible_v<node_index, link_index>);
template <class A, class B>
concept comparable = requires(A a, B b) {
    a == b;
};
static_assert(comparable<gpu_id, gpu_id> && !comparable<gpu_id, numa_id> && !comparable<node_index, link_index>);
static_assert(sizeof(gpu_id) == 4 && sizeof(node_index) == 4 && std::is_trivially_copyable_v<gpu_id>);

TEST_CASE("ids order and compare by value", "[core]") {
    CHECK(gpu_id{2} == gpu_id{2});
    CHECK(gpu_id{2} != gpu_id{3});
    CHECK(gpu_id{2} < gpu_id{3});
    CHECK(unknown_numa.value == -1);
    CHECK(no_node > node_index{0xfffffffeu});
    CHECK(std::set<node_index>{node_index{2}, node_index{1}, node_index{2}}.size() == 2);
}

TEST_CASE("every direction of every link has a slot of its own, and back", "[core]") {
    std::set<std::uint32_t> slots;
    for (std::uint32_t l = 0; l < 100; ++l) {
        for (const bool reverse : {false, true}) {
            const link_direction direction{link_index{l}, reverse};
            CHECK(link_direction::from_slot(direction.slot()) == direction);
            slots.insert(direction.slot());
        }
    }
    CHECK(slots.size() == 200);
    CHECK(*slots.rbegin() == 199);
    CHECK(link_direction{link_index{7}, false}.slot() == 14);
    CHECK(link_direction{link_index{7}, true}.slot() == 15);
}
