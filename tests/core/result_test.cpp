#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <barelink/core/result.hpp>

#include "../support/catch.hpp"

using namespace barelink;

namespace {

/// Counts what lives, so that a leak or a double destruction shows.
struct counted {
    static inline int alive = 0;
    int number;
    explicit counted(int n) : number(n) { ++alive; }
    counted(const counted& other) : number(other.number) { ++alive; }
    counted(counted&& other) noexcept : number(std::exchange(other.number, -1)) { ++alive; }
    counted& operator=(const counted&) = delete;
    ~counted() { --alive; }
};

result<int> half_of(int n) {
    if (n % 2) return error(errc::invalid_argument, text::join({"odd", " number"})).about("n").asking(7);
    return n / 2;
}

status check(int n) {
    if (n < 0) return error(errc::device, "negative").on_device(3).natively(-n);
    return {};
}

} // namespace

static_assert(std::is_same_v<result<int>::value_type, int>);
static_assert(std::is_nothrow_move_constructible_v<result<int>>);
static_assert(!std::is_convertible_v<result<int>, bool> && !std::is_convertible_v<status, bool>);

TEST_CASE("a result holds a value or an error", "[core]") {
    const result<int> good = half_of(8);
    REQUIRE(good);
    CHECK(good.has_value());
    CHECK(*good == 4);
    CHECK(good.value() == 4);
    CHECK(good.value_or(1) == 4);

    const result<int> bad = half_of(7);
    REQUIRE_FALSE(bad);
    CHECK_FALSE(bad.has_value());
    CHECK(bad.value_or(1) == 1);
    CHECK(bad.error().code() == errc::invalid_argument);
    CHECK(bad.error().what() == std::string("odd number"));
    CHECK(bad.error().object() == std::string("n"));
    CHECK(bad.error().bytes() == 7);
    CHECK(bad.error().device() == -1);
    CHECK(bad.error().native() == 0);
}

TEST_CASE("value() throws the error it holds", "[core]") {
    try {
        (void)half_of(7).value();
        FAIL("nothing was thrown");
    } catch (const error& thrown) {
        CHECK(thrown.code() == errc::invalid_argument);
        CHECK(thrown.what() == std::string("odd number"));
        CHECK(thrown.object() == std::string("n"));
    }
    CHECK_THROWS_AS(check(-1).value(), std::exception);
    CHECK_NOTHROW(check(1).value());
}

TEST_CASE("results copy, move and assign across both states without leaking", "[core]") {
    REQUIRE(counted::alive == 0);
    {
        result<counted> one = counted{1};
        result<counted> two = counted{2};
        const result<counted> failed = error(errc::io, "no disk");

        result<counted> copy = one;
        CHECK(copy->number == 1);
        CHECK(one->number == 1);

        one = two;
        CHECK(one->number == 2);
        one = failed;
        REQUIRE_FALSE(one);
        CHECK(one.error().what() == std::string("no disk"));
        one = std::move(two);
        REQUIRE(one);
        CHECK(one->number == 2);
        const result<counted>& self = one;
        one = self;
        REQUIRE(one);
        CHECK(one->number == 2);

        CHECK((*std::move(copy)).number == 1);
        CHECK(counted::alive == 3); // one, two and copy; failed has none
    }
    CHECK(counted::alive == 0);
}

TEST_CASE("a result carries what only moves", "[core]") {
    result<std::unique_ptr<int>> owner = std::make_unique<int>(5);
    const std::unique_ptr<int> taken = std::move(owner).value();
    CHECK(*taken == 5);
}

TEST_CASE("a status is success or an error, and a value", "[core]") {
    CHECK(status{});
    CHECK(check(1));
    status failed = check(-2);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().device() == 3);
    CHECK(failed.error().native() == 2);

    const status copy = failed;
    const status moved = std::move(failed);
    CHECK(failed); // NOLINT(bugprone-use-after-move): a moved-from status is success
    CHECK(copy.error().code() == errc::device);
    CHECK(moved.error().what() == std::string("negative"));
    failed = copy;
    CHECK_FALSE(failed);
    failed = status{};
    CHECK(failed);
}

TEST_CASE("every error code has a name of its own", "[core]") {
    for (int a = 0; a <= static_cast<int>(errc::cancelled); ++a) {
        const std::string name = to_string(static_cast<errc>(a));
        CHECK(name != "unknown");
        for (int b = 0; b < a; ++b) CHECK(name != to_string(static_cast<errc>(b)));
    }
}
