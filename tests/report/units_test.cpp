#include <barelink/report/text_table.hpp>
#include <barelink/report/units.hpp>

#include "../support/catch.hpp"

using namespace barelink;

TEST_CASE("sizes for people", "[report]") {
    CHECK(format_bytes(0) == "0 B");
    CHECK(format_bytes(1023) == "1023 B");
    CHECK(format_bytes(4 * KiB) == "4 KiB");
    CHECK(format_bytes(1536) == "1.5 KiB");
    CHECK(format_bytes(512 * MiB) == "512 MiB");
    CHECK(format_bytes(1 * GiB) == "1 GiB");
    CHECK(format_bytes(GiB - 1) == "1 GiB");
    CHECK(format_bytes(1000 * MiB) == "1000 MiB");
    CHECK(format_bytes(1536 * GiB) == "1.5 TiB");
    CHECK(format_bytes(~0ull) == "16 EiB");
}

TEST_CASE("rates and times for people", "[report]") {
    CHECK(format_rate(55.3) == "55.3");
    CHECK(format_rate(395.04) == "395");
    CHECK(format_rate(99.96) == "100");
    CHECK(format_rate(8) == "8");
    CHECK(format_rate(0.4249) == "0.42");
    CHECK(format_gb_s(25.7) == "25.7 GB/s");
    CHECK(format_us(2.314) == "2.31 us");
    CHECK(format_us(999.9) == "1 ms");
    CHECK(format_us(19420) == "19.4 ms");
    CHECK(format_us(1.5e6) == "1.5 s");
}

TEST_CASE("a percentage says 100 only for 100", "[report]") {
    CHECK(format_percent(0.976) == "97.6 %");
    CHECK(format_percent(1) == "100 %");
    CHECK(format_percent(0.9998) == "99.9 %");
    CHECK(format_percent(0) == "0.0 %");
    CHECK(format_percent(1.25) == "125.0 %");
}

TEST_CASE("tables line up, in columns of characters, not bytes", "[report]") {
    text_table table("<>");
    table.row({"name", "GB/s"});
    table.row({"\u2514\u2500 a", "55.3"});
    table.row({"longer", "8"});
    CHECK(table.str("") == "name    GB/s\n\u2514\u2500 a    55.3\nlonger     8\n");
    CHECK(table.str("", {true}) == "\x1b[1mname    GB/s\x1b[0m\n\u2514\u2500 a    55.3\nlonger     8\n");
}
