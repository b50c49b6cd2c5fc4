// Batches of scattered blocks on the simulated server: every way, byte for byte, with guards around everything.
#include <support/catch.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <support/dropping_runtime.hpp>
#include <support/numbered_runtime.hpp>
#include <support/ordering_runtime.hpp>
#include <support/simulated_box.hpp>

using namespace barelink;
using simulated::buffer;

namespace {

constexpr block_way all_ways[] = {block_way::one_by_one, block_way::batch, block_way::strided, block_way::bounce,
                                  block_way::kernel};

struct box {
    sim::runtime on;
    mover<sim::runtime> moves;

    explicit box(const char* name = "hgx-h100-8", sim::options chosen = {})
        : on(builtin::find(name).value(), chosen), moves(on) {}
    [[nodiscard]] node_index gpu(int index) const { return on.topology().gpu(gpu_id{index}); }
    [[nodiscard]] sim::stream stream(int index) { return on.make_stream(gpu(index)).value(); }
};

/// What a list should do, worked out on a copy of the memory by the calling thread.
class expectation {
public:
    explicit expectation(const buffer& watched) : at_(watched.data()), bytes_(at_, at_ + watched.size()) {}
    /// The sources must not change while the list runs.
    void apply(const std::vector<block>& list) {
        for (const block& each : list) {
            const auto* to = static_cast<char*>(each.to);
            if (each.bytes == 0 || to < at_ || to >= at_ + bytes_.size()) continue;
            std::memcpy(bytes_.data() + (to - at_), each.from, each.bytes);
        }
    }
    [[nodiscard]] bool met() const { return std::memcmp(at_, bytes_.data(), bytes_.size()) == 0; }

private:
    char* at_;
    std::vector<char> bytes_;
};

/// `count` blocks of sizes up to `most`, none overlapping another at the destination, in any order and at any alignment.
std::vector<block> scattered_blocks(const buffer& to, const buffer& from, std::size_t count, std::uint64_t most,
                                    std::mt19937& random) {
    std::vector<block> list;
    const std::uint64_t room = to.size() / count;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t bytes = std::min(room, random() % (most + 1));
        const std::uint64_t slack = room - bytes;
        list.push_back({to.data() + i * room + (slack > 0 ? random() % slack : 0),
                        from.data() + random() % (from.size() - bytes + 1), bytes});
    }
    std::shuffle(list.begin(), list.end(), random);
    return list;
}

} // namespace

TEST_CASE("every way moves every byte and no other, between every two places", "[move][blocks]") {
    box on;
    std::mt19937 random(1);
    const std::pair<endpoint, endpoint> pairs[] = {
        {places::host(0), places::gpu(0)},      {places::gpu(0), places::host(1)},
        {endpoint::host_all(), places::gpu(3)}, {places::gpu(3), endpoint::host_all()},
        {places::gpu(0), places::gpu(5)},       {places::gpu(2), places::gpu(2)},
        {places::pageable(0), places::gpu(1)},  {places::gpu(1), places::pageable(1)},
    };
    std::size_t ran = 0;
    for (const auto& [from, to] : pairs)
        for (const std::uint64_t most : {1u, 700u, 70000u}) {
            buffer source(on.on, from, 3 * MiB, 17), target(on.on, to, 4 * MiB, 5);
            source.fill(most);
            auto list = scattered_blocks(target, source, 53, most, random);
            list.push_back({nullptr, nullptr, 0});
            const auto stream = on.stream(to.on_host() ? from.index : to.index);
            std::vector<batch_options> options = {{}};
            for (const block_way way : all_ways) options.push_back(batch_options::by(way));
            for (const batch_options& chosen : options) {
                target.clear();
                expectation expected(target);
                expected.apply(list);
                const auto done = on.moves.copy_batch(list, stream, chosen);
                if (!done) {
                    // Only what the plan rules out may be refused.
                    REQUIRE(chosen.choose == batch_options::choice::named);
                    CHECK(done.error().code() == errc::unsupported);
                    continue;
                }
                REQUIRE(done->wait());
                INFO(to_string(from) << " to " << to_string(to) << ", up to " << most << " bytes, "
                                     << (chosen.choose == batch_options::choice::named ? to_string(chosen.way)
                                                                                       : "auto"));
                CHECK(expected.met());
                CHECK(target.guarded());
                CHECK(source.holds(most));
                ++ran;
            }
        }
    CHECK(on.on.races() == 0);
    CHECK(ran >= 100);
}

TEST_CASE("a batch over many GPUs, both directions and several registrations is one ticket", "[move][blocks]") {
    box on;
    std::mt19937 random(2);
    std::vector<std::unique_ptr<buffer>> hosts, gpus;
    for (int i = 0; i < 4; ++i) hosts.push_back(std::make_unique<buffer>(on.on, places::host(i % 2), 1 * MiB, 1));
    for (int g = 0; g < 8; ++g) gpus.push_back(std::make_unique<buffer>(on.on, places::gpu(g), 1 * MiB, 3));
    // The upper half of each buffer is written, the lower half read.
    std::vector<block> list;
    for (int i = 0; i < 600; ++i) {
        buffer& from = random() % 3 == 0 ? *hosts[random() % 4] : *gpus[random() % 8];
        const bool from_host = std::any_of(hosts.begin(), hosts.end(), [&](auto& h) { return h.get() == &from; });
        const std::uint64_t lane = 512 * KiB + static_cast<std::uint64_t>(i) * 800;
        buffer& to = from_host || random() % 2 == 0 ? *gpus[random() % 8] : *hosts[random() % 4];
        list.push_back({to.data() + lane, from.data() + random() % (500 * KiB), random() % 800});
    }
    std::vector<expectation> expected;
    for (auto& each : hosts) each->fill(7);
    for (auto& each : gpus) each->fill(8);
    for (auto& each : hosts) expected.emplace_back(*each);
    for (auto& each : gpus) expected.emplace_back(*each);
    for (expectation& each : expected) each.apply(list);
    const auto stream = on.stream(0);
    const auto done = on.moves.copy_batch(list, stream);
    REQUIRE(done);
    REQUIRE(done->wait());
    CHECK(done->routes() >= 8 + 8 + 40); // down, up, and most pairs of GPUs
    std::uint64_t bytes = 0, in_routes = 0;
    for (const block& each : list) bytes += each.bytes;
    for (std::size_t r = 0; r < done->routes(); ++r) in_routes += done->route_bytes(r);
    CHECK(done->bytes() == bytes);
    CHECK(in_routes == bytes);
    for (const expectation& each : expected) CHECK(each.met());
    for (auto& each : hosts) CHECK(each->guarded());
    for (auto& each : gpus) CHECK(each->guarded());
    CHECK(on.on.races() == 0);
}

TEST_CASE("neighbours are merged, and never over the end of an allocation", "[move][blocks]") {
    box on("hgx-h100-8", {.trace = true});
    buffer source(on.on, places::host(0), 1 * MiB), target(on.on, places::gpu(0), 1 * MiB);
    const auto stream = on.stream(0);
    source.fill(3);
    std::vector<block> list;
    for (std::uint64_t at = 0; at < 1 * MiB; at += 4 * KiB)
        list.push_back({target.data() + at, source.data() + at, 4 * KiB});
    const auto prepared = on.moves.prepare(list, stream).value();
    REQUIRE(prepared.plans().size() == 1);
    CHECK(prepared.plans()[0].asked.blocks == 1);
    CHECK(prepared.plans()[0].asked.bytes == 1 * MiB);
    REQUIRE(on.moves.copy_batch(list, stream).value().wait());
    CHECK(target.holds(3));
    CHECK(on.on.trace().size() == 1);

    // Two pieces of page-locked memory that follow one another.
    std::vector<char> mine(64 * KiB);
    const placement there{memory_kind::pinned, on.on.topology().memory(numa_id{0}), 0, 0};
    on.on.pin(mine.data(), 24 * KiB, there).value();
    on.on.pin(mine.data() + 24 * KiB, 40 * KiB, there).value();
    patterned::fill(mine.data(), mine.size(), 9);
    list = {{target.data(), mine.data(), 20 * KiB},
            {target.data() + 20 * KiB, mine.data() + 20 * KiB, 30 * KiB}, // over the boundary
            {target.data() + 50 * KiB, mine.data() + 50 * KiB, 14 * KiB}};
    CHECK(on.moves.prepare(list, stream).value().plans()[0].asked.blocks == 2);
    for (const block_way way : all_ways) {
        if (way == block_way::strided) continue; // two blocks of two sizes
        target.clear();
        REQUIRE(on.moves.copy_batch(list, stream, batch_options::by(way)).value().wait());
        CHECK(patterned::holds(target.data(), 64 * KiB, 9));
    }
    // Rows at equal distances on both sides, in both pieces: a strided copy would have to cross.
    list.clear();
    for (std::uint64_t at = 0; at < 48 * KiB; at += 2 * KiB)
        list.push_back({target.data() + at, mine.data() + at, KiB});
    const auto rows = on.moves.prepare(list, stream, batch_options::by(block_way::strided)).value();
    CHECK(rows.plans()[0].asked.runs == 2);
    target.clear();
    expectation expected(target);
    expected.apply(list);
    REQUIRE(on.moves.copy_batch(list, stream, batch_options::by(block_way::strided)).value().wait());
    CHECK(expected.met());
    on.on.unpin(mine.data()).value();
    on.on.unpin(mine.data() + 24 * KiB).value();
}

TEST_CASE("memory page-locked in pieces is cut where they meet", "[move][blocks]") {
    box on;
    buffer target(on.on, places::gpu(0), 256 * KiB);
    std::vector<char> mine(256 * KiB);
    on.on.pin(mine.data(), mine.size(), {memory_kind::pinned, on.on.topology().memory(numa_id{0}), 64 * KiB, 10 * KiB})
        .value();
    patterned::fill(mine.data(), mine.size(), 4);
    const block all{target.data(), mine.data(), mine.size()};
    const auto stream = on.stream(0);
    // 54, 64, 64, 64 and 10 KiB.
    CHECK(on.moves.prepare({&all, 1}, stream).value().plans()[0].asked.blocks == 5);
    REQUIRE(on.moves.copy_batch({&all, 1}, stream).value().wait());
    CHECK(target.holds(4));
    on.on.unpin(mine.data()).value();
}

TEST_CASE("flat arrays and block numbers say the same as structs", "[move][blocks]") {
    box on;
    constexpr std::uint64_t size = 24 * KiB;
    constexpr std::uint32_t layers = 3, pages = 40;
    buffer cache(on.on, places::gpu(1), layers * pages * size), pool(on.on, places::host(0), layers * pages * size);
    const auto stream = on.stream(1);
    std::mt19937 random(5);
    std::vector<std::int64_t> to(17);
    std::vector<std::int32_t> from(17);
    std::vector<std::int64_t> all(pages);
    for (std::uint32_t i = 0; i < pages; ++i) all[i] = i;
    std::shuffle(all.begin(), all.end(), random);
    std::copy_n(all.begin(), to.size(), to.begin());
    for (auto& each : from) each = static_cast<std::int32_t>(random() % pages);
    std::vector<block> list;
    std::vector<std::uint64_t> to_addresses, from_addresses, sizes;
    for (std::uint32_t layer = 0; layer < layers; ++layer)
        for (std::size_t i = 0; i < to.size(); ++i) {
            list.push_back({cache.data() + (layer * pages + static_cast<std::uint64_t>(to[i])) * size,
                            pool.data() + (static_cast<std::uint64_t>(from[i]) * layers + layer) * size, size});
            to_addresses.push_back(reinterpret_cast<std::uint64_t>(list.back().to));
            from_addresses.push_back(reinterpret_cast<std::uint64_t>(list.back().from));
            sizes.push_back(size);
        }
    pool.fill(11);
    expectation expected(cache);
    cache.clear();
    expected = expectation(cache);
    expected.apply(list);
    REQUIRE(on.moves.copy_batch(block_arrays{to_addresses, from_addresses, sizes}, stream).value().wait());
    CHECK(expected.met());

    // The cache keeps a layer's blocks together, the pool a block's layers.
    paged_blocks paged;
    paged.block_bytes = size;
    paged.layers = layers;
    paged.to = {cache.data(), 0, pages * size, pages};
    paged.from = {pool.data(), layers * size, size, 0};
    paged.to_numbers = to;
    paged.from_numbers = from;
    cache.clear();
    REQUIRE(on.moves.copy_batch(paged, stream).value().wait());
    CHECK(expected.met());
    CHECK(cache.guarded());

    SECTION("prepared once, run with other numbers") {
        auto prepared = on.moves.prepare(paged, stream).value();
        for (int turn = 0; turn < 4; ++turn) {
            std::shuffle(all.begin(), all.end(), random);
            const std::vector<std::int64_t> into(all.begin(), all.begin() + 9 + turn);
            std::vector<std::uint32_t> out_of(into.size());
            for (auto& each : out_of) each = static_cast<std::uint32_t>(random()) % pages;
            std::vector<block> same;
            for (std::uint32_t layer = 0; layer < layers; ++layer)
                for (std::size_t i = 0; i < into.size(); ++i)
                    same.push_back({cache.data() + (layer * pages + static_cast<std::uint64_t>(into[i])) * size,
                                    pool.data() + (out_of[i] * layers + layer) * size, size});
            cache.clear();
            expectation next(cache);
            next.apply(same);
            REQUIRE(on.moves.run(prepared, into, out_of, stream).value().wait());
            CHECK(next.met());
            CHECK(cache.guarded());
        }
        REQUIRE(prepared.plans().size() == 1);
        // There is room for more in the pool's allocation than the caches were said to have.
        const std::vector<std::int32_t> none = {0, 1, -1}, beyond = {0, static_cast<std::int32_t>(pages), 2},
                                        fine = {0, 1, 2};
        for (const auto& [into, out_of, entry] :
             {std::tuple(none, fine, "entry 2"), {beyond, fine, "entry 1"}, {fine, none, "entry 2"}}) {
            const auto refused = on.moves.run(prepared, into, out_of, stream);
            REQUIRE_FALSE(refused);
            CHECK(refused.error().code() == errc::invalid_argument);
            CHECK(std::string(refused.error().what()).find(entry) == 0);
        }
        paged_blocks fewer = paged;
        fewer.to.blocks = fewer.from.blocks = 10;
        const std::vector<std::int32_t> low = {9, 3};
        fewer.to_numbers = fewer.from_numbers = low;
        auto first_ten = on.moves.prepare(fewer, stream).value();
        const std::vector<std::int32_t> high = {3, 10};
        CHECK(on.moves.run(first_ten, low, low, stream));
        CHECK_FALSE(on.moves.run(first_ten, high, low, stream));
        CHECK_FALSE(on.moves.run(first_ten, low, high, stream));
        const std::vector<std::int32_t> short_list = {1, 2};
        CHECK_FALSE(on.moves.run(prepared, fine, short_list, stream));
    }
    SECTION("layers within a block are one larger block") {
        paged.to = {cache.data(), layers * size, size, 0};
        const auto prepared = on.moves.prepare(paged, stream).value();
        CHECK(prepared.plans()[0].asked.blocks <= to.size());
    }
    SECTION("geometry that cannot be") {
        paged_blocks wrong = paged;
        wrong.block_bytes = 0;
        CHECK_FALSE(on.moves.prepare(wrong, stream));
        wrong = paged;
        wrong.layers = 0;
        CHECK_FALSE(on.moves.prepare(wrong, stream));
        wrong = paged;
        wrong.from.base = nullptr;
        CHECK_FALSE(on.moves.prepare(wrong, stream));
        wrong = paged;
        wrong.from.layer_stride = ~0ull / 2;
        CHECK_FALSE(on.moves.prepare(wrong, stream));
        wrong = paged;
        wrong.from.layer_stride = 1 * GiB; // larger than the allocation
        CHECK_FALSE(on.moves.prepare(wrong, stream));
    }
}

TEST_CASE("a bad entry is named, and nothing has been enqueued", "[move][blocks]") {
    box on("hgx-h100-8", {.trace = true});
    buffer source(on.on, places::host(0), 64 * KiB), target(on.on, places::gpu(0), 64 * KiB);
    buffer other(on.on, places::host(1), 64 * KiB);
    const auto stream = on.stream(0);
    source.fill(1);
    target.clear();
    const std::uint64_t beyond = 1 * MiB;
    std::vector<block> list(100, block{target.data(), source.data(), 100});
    for (std::size_t i = 0; i < list.size(); ++i) list[i].to = target.data() + i * 200;
    struct wrong {
        block entry;
        errc code;
    };
    const wrong entries[] = {
        {{nullptr, source.data(), 1}, errc::invalid_argument},
        {{target.data(), nullptr, 1}, errc::invalid_argument},
        {{target.data(), source.data(), beyond}, errc::invalid_argument}, // past the end of both
        {{target.data(), source.data(), ~0ull}, errc::invalid_argument},  // past the end of everything
        {{target.data() + 32 * KiB, source.data(), 60 * KiB}, errc::invalid_argument},
        {{target.data(), source.data() + 32 * KiB, 60 * KiB}, errc::invalid_argument}, // into nothing
        {{other.data(), source.data(), 16}, errc::unsupported},                        // both on the host
    };
    for (const wrong& each : entries)
        for (const std::size_t at : {0u, 42u, 99u}) {
            auto bad = list;
            bad[at] = each.entry;
            const auto refused = on.moves.copy_batch(bad, stream);
            REQUIRE_FALSE(refused);
            CHECK(refused.error().code() == each.code);
            CHECK(std::string(refused.error().what()).find("entry " + std::to_string(at) + ": ") == 0);
            CHECK_FALSE(on.moves.prepare(bad, stream));
        }
    CHECK(on.on.trace().empty());
    CHECK(on.moves.counters().copies == 0);
    batch_options without;
    without.multiprocessors = 0;
    CHECK_FALSE(on.moves.copy_batch(list, stream, without));
    const std::uint64_t one = 1;
    CHECK_FALSE(on.moves.copy_batch(block_arrays{{&one, 1}, {}, {}}, stream));
    // And after all that it still works.
    REQUIRE(on.moves.copy_batch(list, stream).value().wait());
    CHECK(patterned::holds(target.data(), 100, 1));
}

TEST_CASE("lists of nothing are done at once", "[move][blocks]") {
    box on;
    const auto stream = on.stream(0);
    const std::vector<block> empties(3);
    for (const auto& list : {std::vector<block>{}, empties})
        for (int turn = 0; turn < 2; ++turn) {
            const auto done = on.moves.copy_batch(list, stream);
            REQUIRE(done);
            CHECK(done->bytes() == 0);
            CHECK(done->wait());
        }
    CHECK(on.moves.prepare(empties, stream).value().plans().empty());
}

TEST_CASE("a million blocks", "[move][blocks]") {
    box on;
    constexpr std::uint64_t count = 1'000'000, size = 8;
    buffer source(on.on, places::host(0), count * size), target(on.on, places::gpu(0), 2 * count * size);
    const auto stream = on.stream(0);
    source.fill(6);
    std::vector<block> list(count);
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t at = i * 999'983 % count; // a permutation: the number is prime
        list[i] = {target.data() + 2 * at * size, source.data() + i * size, size};
    }
    target.clear();
    expectation expected(target);
    expected.apply(list);
    REQUIRE(on.moves.copy_batch(list, stream).value().wait());
    CHECK(expected.met());
    CHECK(target.guarded());
}

TEST_CASE("what was predicted is what the simulated server takes", "[move][blocks]") {
    box on;
    std::mt19937 random(3);
    constexpr std::uint64_t most = 64 * MiB;
    buffer source(on.on, places::host(0), most), target(on.on, places::gpu(0), 2 * most);
    for (const bool down : {false, true})
        for (const std::uint64_t size : {1 * KiB, 16 * KiB, 256 * KiB})
            for (const std::uint64_t count : {16u, 200u})
                for (const block_way way : all_ways) {
                    std::vector<block> list;
                    std::vector<std::uint64_t> order(count);
                    for (std::uint64_t i = 0; i < count; ++i) order[i] = i;
                    if (way != block_way::strided) std::shuffle(order.begin(), order.end(), random);
                    for (std::uint64_t i = 0; i < count; ++i) {
                        char *at_gpu = target.data() + 2 * order[i] * size, *at_host = source.data() + i * size;
                        list.push_back(down ? block{at_host, at_gpu, size} : block{at_gpu, at_host, size});
                    }
                    const auto stream = on.stream(0);
                    const auto prepared = on.moves.prepare(list, stream, batch_options::by(way)).value();
                    const double before = on.on.now_us();
                    REQUIRE(on.moves.copy_batch(list, stream, batch_options::by(way)).value().wait());
                    const double took = on.on.now_us() - before, said = prepared.plans()[0].predicted_us();
                    INFO(to_string(way) << ", " << count << " blocks of " << size << (down ? " down" : " up"));
                    // A bounce is forked, joined and waited for besides.
                    CHECK(took < said * 1.15 + (way == block_way::bounce ? 20 : 3));
                    CHECK(took > said * (way == block_way::bounce ? 0.7 : 0.95));
                }
}

TEST_CASE("without kernel and batch copy there is still a way", "[move][blocks]") {
    box on("hgx-h100-8", {.block_kernel = false, .batch_copies = false});
    buffer source(on.on, places::host(0), 64 * KiB), target(on.on, places::gpu(0), 64 * KiB);
    const auto stream = on.stream(0);
    source.fill(1);
    std::vector<block> list;
    for (std::uint64_t i = 0; i < 64; ++i)
        list.push_back({target.data() + i * KiB, source.data() + (63 - i) * KiB, KiB});
    auto prepared = on.moves.prepare(list, stream).value();
    CHECK(prepared.plans()[0].way == block_way::one_by_one);
    expectation expected(target);
    expected.apply(list);
    REQUIRE(on.moves.run(prepared, list, stream).value().wait());
    CHECK(expected.met());
    for (const block_way way : {block_way::kernel, block_way::batch}) {
        const auto refused = on.moves.copy_batch(list, stream, batch_options::by(way));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code() == errc::unsupported);
    }
}

TEST_CASE("two GPUs whose path does not deliver pass blocks on through host memory", "[move][blocks]") {
    box on;
    sim::faults faults;
    faults.peers.push_back({on.gpu(0), on.gpu(1), sim::peer_fault::kind::delivers_zeros});
    on.on.inject(faults);
    on.on.set_delivery(on.gpu(0), on.gpu(1), delivery::unproved);
    buffer source(on.on, places::gpu(0), 1 * MiB), target(on.on, places::gpu(1), 1 * MiB);
    source.fill(5);
    target.clear();
    std::mt19937 random(9);
    const auto list = scattered_blocks(target, source, 100, 9000, random);
    expectation expected(target);
    expected.apply(list);
    const auto stream = on.stream(1);
    const auto done = on.moves.copy_batch(list, stream);
    REQUIRE(done);
    REQUIRE(done->wait());
    CHECK(expected.met());
    CHECK(done->fallbacks().size() == 1);
    CHECK(on.moves.prepare(list, stream).value().plans()[0].way == block_way::bounce);
}

TEST_CASE("batches keep the order of streams whatever the timing", "[move][blocks][order]") {
    sim::runtime inner(builtin::hgx_h100_8());
    using ordered = ordering_runtime<sim::runtime>;
    ordered on(inner);
    mover<ordered> moves(on);
    const auto gpu = [&](int index) { return on.topology().gpu(gpu_id{index}); };
    buffer host(inner, places::host(0), 256 * KiB), near(inner, places::gpu(0), 256 * KiB),
        far(inner, places::gpu(1), 256 * KiB), pageable(inner, places::pageable(0), 256 * KiB);
    const auto first = on.make_stream(gpu(0)).value(), second = on.make_stream(gpu(1)).value();
    std::mt19937 random(4);
    std::size_t ran = 0;
    for (const block_way way : all_ways)
        for (const auto& [to, from] : {std::pair(&near, &host),
                                       {&host, &near},
                                       {&far, &near},
                                       {&near, &pageable},
                                       {&pageable, &near},
                                       {&far, &host}}) {
            const auto list = scattered_blocks(*to, *from, 20, 5000, random);
            for (const auto& stream : {first, second}) {
                const auto end = on.make_event(on.issuer(stream), false).value();
                // Work of the user's before and after, on both ends.
                if (from != &pageable) on.kernel_writes(stream, from->data(), from->size());
                if (to != &pageable) on.kernel_writes(stream, to->data(), to->size());
                const auto done = moves.copy_batch(list, stream, batch_options::by(way));
                if (done) {
                    ++ran;
                    if (to != &pageable) on.kernel_writes(stream, to->data(), to->size());
                    if (from != &pageable) on.kernel_writes(stream, from->data(), from->size());
                    if (from == &pageable) on.thread_writes(from->data(), from->size());
                    if (to == &pageable) on.thread_reads(to->data(), to->size());
                } else {
                    CHECK(done.error().code() == errc::unsupported);
                }
                on.record(end, stream).value(); // the next turn's work of the user's own is in another stream
                on.synchronize(end).value();
            }
        }
    INFO(on.first());
    CHECK(on.violations() == 0);
    CHECK(ran > 40);
}

TEST_CASE("rings and lists are used again when they are through, and not before", "[move][blocks][order]") {
    sim::runtime inner(builtin::hgx_h100_8());
    using ordered = ordering_runtime<sim::runtime>;
    ordered on(inner);
    mover<ordered> moves(on);
    const auto gpu = [&](int index) { return on.topology().gpu(gpu_id{index}); };
    constexpr std::uint64_t bytes = 16 * MiB; // more than the ring has
    buffer pageable(inner, places::pageable(0), bytes), host(inner, places::host(0), bytes),
        near(inner, places::gpu(0), bytes), far(inner, places::gpu(1), bytes);
    const auto stream = on.make_stream(gpu(0)).value();
    std::mt19937 random(6);
    for (const auto& [to, from, way] : {std::tuple(&near, &pageable, block_way::bounce),
                                        {&pageable, &near, block_way::bounce},
                                        {&far, &near, block_way::bounce},
                                        {&near, &host, block_way::kernel}}) {
        pageable.fill(1);
        host.fill(2);
        near.fill(3);
        far.fill(4);
        expectation expected(*to);
        for (int turn = 0; turn < 12; ++turn) {
            const std::uint64_t most = turn % 3 == 0 ? 1 * MiB : 4000;
            auto list = scattered_blocks(*to, *from, 16, most, random);
            if (turn % 3 == 0) { // all of it: the ring goes round within one batch
                list.clear();
                for (std::uint64_t i = 0; i < 16; ++i)
                    list.push_back({to->data() + i * MiB, from->data() + (i * 7 % 16) * MiB, 1 * MiB});
            }
            expected.apply(list);
            REQUIRE(moves.copy_batch(list, stream, batch_options::by(way)));
        }
        const auto end = on.make_event(gpu(0), false).value();
        on.record(end, stream).value();
        on.synchronize(end).value();
        CHECK(expected.met());
    }
    INFO(on.first());
    CHECK(on.violations() == 0);
}

namespace {

/// A system on which GPUs reach registered host memory by other addresses than the host does.
class shifted_runtime : public forwarding_runtime<sim::runtime> {
public:
    using forwarding_runtime::forwarding_runtime;
    static constexpr std::uint64_t shift = std::uint64_t{1} << 50;

    [[nodiscard]] result<memory_extent> extent(const void* at) {
        auto found = forwarding_runtime::extent(at);
        if (found && found->where.kind == memory_kind::pinned) found->device_offset = shift;
        return found;
    }
    /// The list, and every host address in it, must be the GPU's.
    [[nodiscard]] status copy_blocks(const block* list, std::size_t count, int multiprocessors, stream_type s) {
        const auto shifted = [](const void* at) { return reinterpret_cast<std::uintptr_t>(at) >= shift; };
        const auto seen_by_host = [&](const void* at) {
            return reinterpret_cast<char*>(reinterpret_cast<std::uintptr_t>(at) - (shifted(at) ? shift : 0));
        };
        auto* const mine = reinterpret_cast<block*>(seen_by_host(list));
        right_ = right_ && shifted(list);
        for (std::size_t i = 0; i < count; ++i) {
            right_ = right_ && shifted(mine[i].to) != shifted(mine[i].from);
            mine[i].to = seen_by_host(mine[i].to);
            mine[i].from = seen_by_host(mine[i].from);
        }
        ++launches_;
        return forwarding_runtime::copy_blocks(mine, count, multiprocessors, s);
    }
    bool right_ = true;
    int launches_ = 0;
};

} // namespace

TEST_CASE("a kernel gets the addresses that its GPU knows", "[move][blocks]") {
    sim::runtime inner(builtin::hgx_h100_8());
    shifted_runtime on(inner);
    mover<shifted_runtime> moves(on);
    buffer host(inner, places::host(0), 256 * KiB), near(inner, places::gpu(0), 256 * KiB);
    const auto stream = on.make_stream(on.topology().gpu(gpu_id{0})).value();
    std::mt19937 random(8);
    host.fill(1);
    for (const auto& [to, from] : {std::pair(&near, &host), {&host, &near}})
        for (const block_way way : {block_way::kernel, block_way::batch, block_way::bounce}) {
            const auto list = scattered_blocks(*to, *from, 40, 5000, random);
            expectation expected(*to);
            expected.apply(list);
            REQUIRE(moves.copy_batch(list, stream, batch_options::by(way)).value().wait());
            CHECK(expected.met());
        }
    CHECK(on.right_);
    CHECK(on.launches_ == 2); // the ring's blocks go without the kernel there
}

TEST_CASE("every call that fails is reported and leaves the mover usable", "[move][blocks][faults]") {
    std::uint64_t failed = 0;
    for (const block_way way : {block_way::batch, block_way::kernel, block_way::bounce})
        for (std::uint64_t number = 0;; ++number) {
            box on;
            buffer source(on.on, places::host(0), 64 * KiB), target(on.on, places::gpu(0), 64 * KiB),
                other(on.on, places::gpu(1), 64 * KiB);
            const auto stream = on.stream(0);
            source.fill(2);
            std::vector<block> list;
            for (std::uint64_t i = 0; i < 16; ++i)
                list.push_back({(i % 2 == 0 ? target : other).data() + i * KiB, source.data() + i * 3 * KiB, KiB});
            sim::faults faults;
            faults.failing_call = on.on.calls() + number;
            on.on.inject(faults);
            const auto first = on.moves.copy_batch(list, stream, batch_options::by(way));
            const std::uint64_t calls = on.on.calls();
            on.on.inject(sim::faults{});
            const bool was_first = first.has_value();
            if (!was_first) {
                ++failed;
                CHECK(std::string(first.error().what()).find("injected fault") != std::string::npos);
            }
            target.clear();
            other.clear();
            const auto again = on.moves.copy_batch(list, stream, batch_options::by(way));
            REQUIRE(again);
            REQUIRE(again->wait());
            expectation expected(target);
            expected.apply(list);
            CHECK(expected.met());
            if (was_first && number > calls) break;
            if (number > 200) break;
        }
    CHECK(failed > 60);
}
