// What doctor's children say that plans must heed: written, read back, and refused when it is anything else.
#include <support/catch.hpp>

#include "tool/doctor/doctor_gpu.hpp"

using namespace barelink;

TEST_CASE("What was learned is read as it was written") {
    using kind = probe_result::kind;
    const probe_result all[] = {{kind::delivery, "gpu:0", "gpu:1", delivery::failed, 0, "P2P-02"},
                                {kind::delivery, "gpu:1", "gpu:0", delivery::proved, 0, "P2P-02"},
                                {kind::path_off, "gpu:0", "gpu:1", delivery::unproved, 0, "ACS-01"},
                                {kind::nearest_node, "gpu:3", "numa:1", delivery::unproved, 0, "NUM-01"},
                                {kind::link_rate, "pcie:root:0-gpu:0", "ab", delivery::unproved, 12.5, "PCI-04"}};
    for (const probe_result& each : all) {
        const auto back = tool::effect_of_json(tool::effect_json(each));
        REQUIRE(back);
        CHECK(*back == each);
    }
}

TEST_CASE("Anything else is refused") {
    const auto refused = [](const char* text) {
        const auto read = tool::effect_of_json(nlohmann::ordered_json::parse(text));
        return !read && read.error().code() == errc::parse;
    };
    CHECK(refused("[]"));
    CHECK(refused("{}"));
    CHECK(refused(R"({"what": "magic", "from": "gpu:0", "to": "gpu:1", "check": "x"})"));
    CHECK(refused(R"({"what": "path_off", "from": 0, "to": "gpu:1", "check": "x"})"));
    CHECK(refused(R"({"what": "path_off", "from": "gpu:0", "check": "x"})"));
    CHECK(refused(R"({"what": "delivery", "from": "gpu:0", "to": "gpu:1", "proof": "assumed", "check": "x"})"));
    CHECK(refused(R"({"what": "link_rate", "from": "a", "to": "ab", "check": "x"})"));
    CHECK(refused(R"({"what": "link_rate", "from": "a", "to": "ab", "gb_s": -1, "check": "x"})"));
    CHECK(refused(R"({"what": "link_rate", "from": "a", "to": "ab", "gb_s": "12", "check": "x"})"));
    CHECK_FALSE(refused(R"({"what": "link_rate", "from": "a", "to": "ab", "gb_s": 12, "check": "x"})"));
}
