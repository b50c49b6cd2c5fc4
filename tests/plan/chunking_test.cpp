// Chunks: they add up to the byte, keep to their sizes, and cost what the model says.
#include <cstdint>
#include <vector>

#include <barelink/plan/chunking.hpp>

#include <support/catch.hpp>
#include <support/generated_machines.hpp>

using namespace barelink;

namespace {

std::vector<std::uint64_t> sizes(std::uint64_t bytes, std::uint64_t first, std::uint64_t most) {
    chunk_sequence chunks(bytes, first, most);
    std::vector<std::uint64_t> all;
    while (const std::uint64_t size = chunks.next()) all.push_back(size);
    CHECK(chunks.next() == 0); // and stays at the end
    return all;
}

std::uint64_t sum(const std::vector<std::uint64_t>& all) {
    std::uint64_t bytes = 0;
    for (const std::uint64_t each : all) bytes += each;
    return bytes;
}

} // namespace

TEST_CASE("Chunks double, stay, and shrink at the end") {
    const auto all = sizes(8 * MiB, 64 * KiB, MiB);
    REQUIRE(all.size() > 10);
    CHECK(all[0] == 64 * KiB);
    CHECK(all[1] == 128 * KiB);
    CHECK(all[2] == 256 * KiB);
    CHECK(all[3] == 512 * KiB);
    CHECK(all[4] == MiB);
    CHECK(all[5] == MiB);
    CHECK(all.back() <= 128 * KiB);
    for (std::size_t i = 1; i < all.size(); ++i) {
        CHECK(all[i] <= 2 * all[i - 1]);
        CHECK(all[i] <= MiB);
    }
    CHECK(sum(all) == 8 * MiB);
}

TEST_CASE("Few bytes are one chunk, no bytes are none") {
    CHECK(sizes(0, 64 * KiB, MiB).empty());
    CHECK(sizes(1, 64 * KiB, MiB) == std::vector<std::uint64_t>{1});
    CHECK(sizes(4095, 64 * KiB, MiB) == std::vector<std::uint64_t>{4095});
    CHECK(sizes(64 * KiB, 64 * KiB, MiB) == std::vector<std::uint64_t>{64 * KiB});
    // What would be less than half of a smallest chunk goes with the one before it.
    CHECK(sizes(64 * KiB + 1, 64 * KiB, MiB) == std::vector<std::uint64_t>{64 * KiB + 1});
}

TEST_CASE("Without a size there is one chunk") {
    CHECK(sizes(12345, 0, 0) == std::vector<std::uint64_t>{12345});
    CHECK(sizes(max_transfer_bytes, 0, 0) == std::vector<std::uint64_t>{max_transfer_bytes});
}

TEST_CASE("Whatever the sizes, chunks add up to the byte and none is larger than the largest") {
    generated::random_source random(3);
    for (int round = 0; round < 20000; ++round) {
        const std::uint64_t most = std::uint64_t{1} << random.between(0, 24);
        const std::uint64_t first = most >> random.between(0, 8);
        const std::uint64_t used_first = first == 0 ? 1 : first;
        std::uint64_t bytes = random.next() % (most * 40 + 1);
        if (random.chance(20)) bytes = used_first * static_cast<std::uint64_t>(random.between(1, 9));
        if (random.chance(5)) bytes = static_cast<std::uint64_t>(random.between(0, 4));
        chunk_sequence chunks(bytes, used_first, most);
        std::uint64_t given = 0, count = 0, largest = 0;
        while (const std::uint64_t size = chunks.next()) {
            given += size;
            largest = size > largest ? size : largest;
            REQUIRE(++count < 10000);
            REQUIRE((given == bytes || size >= used_first)); // only the last may be less than the first
        }
        INFO("bytes " << bytes << " first " << used_first << " most " << most);
        REQUIRE(given == bytes);
        REQUIRE(largest <= most);
    }
}

TEST_CASE("Chunk sizes are as large as scratch memory allows, and no larger") {
    const copy_costs costs;
    for (const std::uint64_t scratch : {192 * KiB, 256 * KiB, MiB, 16 * MiB, 64 * MiB})
        for (const std::size_t legs : {std::size_t{2}, std::size_t{3}})
            for (const double gb_s : {5.0, 50.0, 400.0})
                for (const double bytes : {1e5, 1e7, 1e10}) {
                    chunking_input in;
                    in.bytes = bytes;
                    in.gb_s = gb_s;
                    in.legs = legs;
                    in.routes = 3;
                    in.scratch_bytes = scratch;
                    const chunking c = choose_chunks(in, costs);
                    INFO(scratch << " " << legs << " " << gb_s << " " << bytes);
                    CHECK(c.depth >= 2);
                    CHECK(c.chunk_bytes >= 64 * KiB);
                    CHECK((c.chunk_bytes * c.depth <= scratch || c.chunk_bytes == 64 * KiB));
                    CHECK(c.first_chunk_bytes <= c.chunk_bytes);
                    CHECK(c.first_chunk_bytes >= 64 * KiB);
                    CHECK((c.chunk_bytes & (c.chunk_bytes - 1)) == 0);
                    CHECK(c.chunks >= 1);
                    CHECK(c.submit_us_per_chunk > static_cast<double>(legs) * costs.submit_us);
                }
}

TEST_CASE("Faster routes get larger chunks, longer transfers too") {
    const copy_costs costs;
    const auto chunk = [&](double bytes, double gb_s, std::size_t routes) {
        chunking_input in;
        in.bytes = bytes;
        in.gb_s = gb_s;
        in.legs = 2;
        in.routes = routes;
        return choose_chunks(in, costs).chunk_bytes;
    };
    CHECK(chunk(1e9, 400, 1) > chunk(1e9, 12, 1));
    CHECK(chunk(1e11, 50, 1) > chunk(1e8, 50, 1));
    CHECK(chunk(1e8, 50, 8) > chunk(1e8, 50, 1)); // one thread submits for all of them
    // T = bytes/rate + n * engine + chunk/rate has its minimum where the model puts it: neither half nor double is better.
    const double bytes = 1e10, gb_s = 50;
    const auto us = [&](double size) { return bytes / size * costs.engine_us + transfer_us(size, gb_s); };
    const double chosen = static_cast<double>(chunk(bytes, gb_s, 1));
    CHECK(us(chosen) <= us(chosen / 2));
    CHECK(us(chosen) <= us(chosen * 2));
}

TEST_CASE("A direct route is one command") {
    chunking_input in;
    in.bytes = 1e9;
    in.gb_s = 50;
    const chunking c = choose_chunks(in, copy_costs{});
    CHECK(c.chunks == 1);
    CHECK(c.chunk_bytes == 0); // all of it
    CHECK(c.depth == 1);
}

TEST_CASE("Square roots are square roots") {
    for (const double value : {0.0, 1e-6, 0.25, 1.0, 2.0, 144.0, 1e12, 1e18}) {
        const double root = barelink::detail::square_root(value);
        CHECK(root * root == Approx(value).epsilon(1e-9).margin(1e-15));
    }
    CHECK(barelink::detail::square_root(-1) == 0);
    CHECK(barelink::detail::power_of_two_near(1) == 1);
    CHECK(barelink::detail::power_of_two_near(5) == 4);
    CHECK(barelink::detail::power_of_two_near(7) == 8);
    CHECK(barelink::detail::power_of_two_near(1e30) == 1ull << 60);
}
