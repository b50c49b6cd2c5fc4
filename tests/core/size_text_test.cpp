#include <cstdint>
#include <string>

#include <barelink/core/size_text.hpp>

#include "../support/catch.hpp"

using namespace barelink;

TEST_CASE("sizes are read in bytes, powers of ten and powers of two", "[core]") {
    const struct {
        const char* written;
        std::uint64_t bytes;
    } sizes[] = {{"0", 0},
                 {"4096", 4096},
                 {"17B", 17},
                 {"4KB", 4000},
                 {"4K", 4096},
                 {"4KiB", 4096},
                 {"4kib", 4096},
                 {"4KIB", 4096},
                 {"512MiB", 512 * MiB},
                 {"512MB", 512'000'000},
                 {"4GiB", 4 * GiB},
                 {"4G", 4 * GiB},
                 {"4gb", 4'000'000'000},
                 {"2TiB", 2048 * GiB},
                 {"3TB", 3'000'000'000'000},
                 {"1.5GiB", GiB + 512 * MiB},
                 {"0.25KiB", 256},
                 {"0007", 7},
                 {"4611686018427387904", max_transfer_bytes}};
    for (const auto& size : sizes) {
        INFO(size.written);
        const result<std::uint64_t> parsed = parse_size(size.written);
        REQUIRE(parsed);
        CHECK(*parsed == size.bytes);
    }
}

TEST_CASE("what is not a size is refused with the text and what to write", "[core]") {
    const struct {
        const char* written;
        const char* why;
    } refused[] = {{"", "write a number and a unit"},
                   {"GiB", "write a number and a unit"},
                   {"-1", "write a number and a unit"},
                   {"+1", "write a number and a unit"},
                   {" 1", "write a number and a unit"},
                   {".5GiB", "write a number and a unit"},
                   {"0x10", "the units are"},
                   {"1 GiB", "the units are"},
                   {"1GiB ", "the units are"},
                   {"1e9", "the units are"},
                   {"4GiBs", "the units are"},
                   {"4Gi", "the units are"},
                   {"4EiB", "the units are"},
                   {"1.GiB", "digits must follow the point"},
                   {"1.", "digits must follow the point"},
                   {"4611686018427387905", "2^62"},
                   {"18446744073709551616", "2^62"},
                   {"99999999999999999999999999999999999999999999", "2^62"},
                   {"4194305TiB", "2^62"}};
    for (const auto& size : refused) {
        INFO("'" << size.written << "'");
        const result<std::uint64_t> parsed = parse_size(size.written);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code() == errc::invalid_argument);
        CHECK(parsed.error().object() == std::string(size.written));
        const std::string what = parsed.error().what();
        CHECK(what.find("'" + std::string(size.written) + "' is not a size") == 0);
        CHECK(what.find(size.why) != std::string::npos);
    }
    const result<std::uint64_t> null = parse_size(nullptr);
    REQUIRE_FALSE(null);
    CHECK(null.error().code() == errc::invalid_argument);
}

TEST_CASE("a size of very many digits is refused, not wrapped", "[core]") {
    CHECK_FALSE(parse_size(std::string(10'000, '9').c_str()));
    const result<std::uint64_t> long_fraction = parse_size(("1." + std::string(10'000, '0') + "KiB").c_str());
    REQUIRE(long_fraction);
    CHECK(*long_fraction == 1024);
}
