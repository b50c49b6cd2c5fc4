#include <utility>

#include <barelink/core/text.hpp>

#include "../support/catch.hpp"

using barelink::text;

TEST_CASE("a text holds characters and ends them", "[core]") {
    CHECK(text{}.empty());
    CHECK(text{}.c_str()[0] == '\0');
    CHECK(text{static_cast<const char*>(nullptr)}.empty());
    CHECK(text{""} == text{});

    const text whole{"gpu:9 is not here"};
    CHECK(whole.size() == 17);
    CHECK(text{"gpu:9 is not here", 5} == text{"gpu:9"});
    CHECK(text{"gpu:9 is not here", 5}.c_str()[5] == '\0');
    CHECK_FALSE(text{"gpu:9"} == text{"gpu:8"});
    CHECK_FALSE(text{"gpu:9"} == text{"gpu:90"});
}

TEST_CASE("a text is a value", "[core]") {
    text original{"first"};
    text copy = original;
    original = text{"second"};
    CHECK(copy == text{"first"});
    CHECK(original == text{"second"});

    text moved = std::move(copy);
    CHECK(moved == text{"first"});
    CHECK(copy.empty()); // NOLINT(bugprone-use-after-move): a moved-from text is empty
    CHECK(copy.c_str()[0] == '\0');

    const text& same = moved;
    moved = same;
    CHECK(moved == text{"first"});
    moved = std::move(original);
    CHECK(moved == text{"second"});
}

TEST_CASE("a text keeps zero bytes it was given a size for", "[core]") {
    const text bytes{"a\0b", 3};
    CHECK(bytes.size() == 3);
    CHECK(bytes.c_str()[2] == 'b');
    CHECK_FALSE(bytes == text{"a\0c", 3});
}

TEST_CASE("join concatenates, skipping null", "[core]") {
    CHECK(text::join({"gpu:9", " is not on ", nullptr, "gh200"}) == text{"gpu:9 is not on gh200"});
    CHECK(text::join({"", nullptr, ""}).empty());
    CHECK(text::join({"", nullptr, ""}) == text{});
    CHECK(text::join({"alone"}).size() == 5);
}
