// Pinned pools: where memory lies, that no two allocations meet, that nothing is left pinned when a registration fails.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory_resource>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <support/catch.hpp>
#include <support/forwarding_runtime.hpp>
#include <support/patterned_bytes.hpp>

#include <barelink/machine/builtin.hpp>
#include <barelink/move/mover.hpp>
#include <barelink/move/pinned_pool.hpp>
#include <barelink/move/sim_runtime.hpp>

using namespace barelink;

namespace {

const std::uint64_t page = detail::system_page_bytes();

/// Fails one pin call, the `failing`-th from now; remembers what is pinned, and in which placement.
class failing_runtime : public forwarding_runtime<sim::runtime> {
public:
    using forwarding_runtime::forwarding_runtime;
    struct piece {
        std::uint64_t bytes;
        placement where;
    };
    std::uint64_t failing = ~std::uint64_t{0}, calls = 0, unpin_failures = 0;
    std::map<std::uintptr_t, piece> pieces;

    [[nodiscard]] status pin(void* at, std::uint64_t bytes, const placement& where) {
        if (calls++ == failing) return error(errc::device, "injected").natively(2);
        auto done = on_.pin(at, bytes, where);
        if (done) pieces[reinterpret_cast<std::uintptr_t>(at)] = {bytes, where};
        return done;
    }
    [[nodiscard]] status unpin(void* at) {
        if (pieces.erase(reinterpret_cast<std::uintptr_t>(at)) != 1) ++unpin_failures;
        return on_.unpin(at);
    }
    [[nodiscard]] std::uint64_t pinned() const {
        std::uint64_t sum = 0;
        for (const auto& [base, one] : pieces) sum += one.bytes;
        return sum;
    }
};

using pool_type = pinned_pool<failing_runtime>;

struct box {
    sim::runtime server;
    failing_runtime on{server};

    explicit box(machine m = builtin::hgx_h100_8()) : server(std::move(m)) {}
};

/// Ordinary pages, so that sizes are the same on every host.
pinned_pool_options small_pool() {
    pinned_pool_options options;
    options.slab_bytes = 16 * page;
    options.mapping.pages = host_mapping_options::huge_pages::never;
    return options;
}

/// A machine whose GPU does not say where it is.
machine placeless(machine m) {
    for (node& each : m.nodes)
        if (each.kind == node_kind::gpu) each.numa = unknown_numa;
    return m;
}

} // namespace

TEST_CASE("A pool is on the node that was asked for, or near the GPU, or striped over all") {
    box on;
    const machine& m = on.server.topology();
    REQUIRE(m.count(node_kind::memory) == 2);
    auto first = pool_type::on(on.on, numa_id{0});
    REQUIRE(first);
    CHECK(first->take(100)->where.node == m.memory(numa_id{0}));
    CHECK(first->take(100)->where.kind == memory_kind::pinned);
    CHECK(first->notes().empty());
    CHECK(pool_type::on(on.on, numa_id{7}).error().code() == errc::not_found);
    CHECK(std::string(pool_type::on(on.on, numa_id{7}).error().object()) == "numa:7");

    for (const int gpu : {0, 7}) {
        auto near = pool_type::near(on.on, gpu_id{gpu});
        REQUIRE(near);
        CHECK(near->take(100)->where.node == m.memory(m.at(m.gpu(gpu_id{gpu})).numa));
    }
    CHECK(pool_type::near(on.on, gpu_id{8}).error().code() == errc::not_found);

    auto options = small_pool();
    options.stripe_bytes = 2 * page;
    auto striped = pool_type::striped(on.on, options);
    REQUIRE(striped);
    CHECK(striped->layout().nodes == std::vector<numa_id>{numa_id{0}, numa_id{1}});
    const auto large = striped->take(20 * page);
    REQUIRE(large);
    CHECK(large->where.kind == memory_kind::striped);
    CHECK(large->where.node == m.memory(numa_id{0}));
    CHECK(large->where.stripe_bytes == 2 * page);
    CHECK(large->where.stripe_phase == 0);
    options.stripe_bytes = page + 1;
    CHECK(pool_type::striped(on.on, options).error().code() == errc::invalid_argument);
}

TEST_CASE("A GPU that does not say where it is gets the only node or an error that names it") {
    box several(placeless(builtin::hgx_h100_8()));
    const auto refused = pool_type::near(several.on, gpu_id{3});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == errc::not_found);
    CHECK(std::string(refused.error().object()) == "gpu:3");
    box one(placeless(builtin::gh200()));
    if (one.server.topology().count(node_kind::memory) == 1) {
        auto pool = pool_type::near(one.on, gpu_id{0});
        REQUIRE(pool);
        CHECK(pool->take(100));
        auto striped = pool_type::striped(one.on);
        REQUIRE(striped);
        CHECK(striped->take(100)->where.kind == memory_kind::pinned);
    }
}

TEST_CASE("Small requests share a slab, larger ones have exactly their size") {
    box on;
    auto pool = *pool_type::on(on.on, numa_id{0}, small_pool());
    const auto a = *pool.take(1), b = *pool.take(2 * page), c = *pool.take(300);
    CHECK(pool.bytes_pinned() == 16 * page);
    CHECK(pool.bytes_in_use() == 1 + 2 * page + 300);
    CHECK(static_cast<char*>(b.base) - static_cast<char*>(a.base) == 256);
    CHECK(static_cast<char*>(c.base) - static_cast<char*>(b.base) == static_cast<std::ptrdiff_t>(2 * page));
    const auto d = *pool.take(5 * page + 1), e = *pool.take(33 * page);
    CHECK(pool.bytes_pinned() == (16 + 6 + 33) * page);
    CHECK(d.bytes == 5 * page + 1);
    CHECK(on.on.pinned() == pool.bytes_pinned());
    for (const region& each : {a, b, c, d, e}) {
        const auto found = pool.owns(static_cast<char*>(each.base) + each.bytes - 1);
        REQUIRE(found);
        CHECK(found->base == each.base);
        CHECK(found->bytes == each.bytes);
        REQUIRE(pool.give_back(each));
        CHECK(pool.owns(each.base).error().code() == errc::not_found);
    }
    CHECK(pool.bytes_in_use() == 0);
    CHECK(pool.bytes_pinned() == (16 + 6 + 33) * page);
    CHECK(pool.trim() == (16 + 6 + 33) * page);
    CHECK(pool.bytes_pinned() == 0);
    CHECK(on.on.pieces.empty());
    CHECK(on.on.unpin_failures == 0);
}

TEST_CASE("What was not taken like that cannot be given back") {
    box on;
    auto pool = *pool_type::on(on.on, numa_id{0}, small_pool());
    const auto small = *pool.take(1000), large = *pool.take(10 * page);
    int elsewhere = 0;
    for (const region& wrong : {small.part(256, 744), small.part(0, 999), large.part(page, 9 * page),
                                large.part(0, 9 * page), region{}, region{&elsewhere, 4, {}}})
        CHECK(pool.give_back(wrong).error().code() == errc::invalid_argument);
    CHECK(pool.bytes_in_use() == 1000 + 10 * page);
    REQUIRE(pool.give_back(small));
    REQUIRE(pool.give_back(large));
    CHECK_FALSE(pool.give_back(small));
    CHECK_FALSE(pool.give_back(large));
    CHECK(pool.bytes_in_use() == 0);
    CHECK(pool.take(0).error().code() == errc::invalid_argument);
    CHECK(pool.take(100, 3).error().code() == errc::invalid_argument);
    CHECK(pool.take(100, 0).error().code() == errc::invalid_argument);
    CHECK(pool.take(~std::uint64_t{0}).error().code() == errc::invalid_argument);
    CHECK(pool.take(std::uint64_t{1} << 50).error().code() == errc::out_of_memory);
    CHECK(pool.bytes_pinned() == 0); // what was kept idle went for it
}

TEST_CASE("Addresses are aligned as asked, in slabs and in ranges of their own, and such ranges are reused") {
    box on;
    auto pool = *pool_type::on(on.on, numa_id{0}, small_pool());
    for (int round = 0; round < 3; ++round) {
        std::vector<region> taken;
        for (std::uint64_t alignment = 1; alignment <= 4 * MiB; alignment *= 2)
            for (const std::uint64_t bytes : {std::uint64_t{1}, page, 3 * page, 20 * page}) {
                const auto one = pool.take(bytes, alignment);
                REQUIRE(one);
                CHECK(reinterpret_cast<std::uintptr_t>(one->base) % std::max<std::uint64_t>(alignment, 256) == 0);
                std::memset(one->base, 1, bytes);
                taken.push_back(*one);
            }
        static std::uint64_t pinned = 0;
        if (round == 0) pinned = pool.bytes_pinned();
        CHECK(pool.bytes_pinned() == pinned);
        for (const region& each : taken) REQUIRE(pool.give_back(each));
    }
}

TEST_CASE("A freed range serves the next request that wastes no more than an eighth of it") {
    box on;
    auto pool = *pool_type::on(on.on, numa_id{0}, small_pool());
    const auto first = *pool.take(80 * page), second = *pool.take(88 * page);
    REQUIRE(pool.give_back(first));
    REQUIRE(pool.give_back(second));
    CHECK(pool.take(79 * page)->base == first.base);  // the smallest that fits
    CHECK(pool.take(79 * page)->base == second.base); // 88 <= 79 + 79 / 8
    CHECK(pool.bytes_pinned() == 168 * page);
    CHECK(pool.take(79 * page)->base != nullptr);
    CHECK(pool.bytes_pinned() == 247 * page);
    REQUIRE(pool.give_back(*pool.owns(second.base)));
    CHECK(pool.take(70 * page)->base != second.base); // 88 > 70 + 70 / 8
    CHECK(pool.bytes_pinned() == 317 * page);
}

TEST_CASE("The budget holds: kept ranges go first, then requests are refused with the way out") {
    box on;
    auto options = small_pool();
    options.most_bytes = 100 * page;
    auto pool = *pool_type::on(on.on, numa_id{0}, options);
    const auto kept = *pool.take(60 * page), held = *pool.take(30 * page);
    CHECK(pool.bytes_pinned() == 90 * page);
    const auto refused = pool.take(20 * page);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == errc::out_of_memory);
    CHECK(refused.error().bytes() == 20 * page);
    CHECK(std::strstr(refused.error().what(), std::to_string(90 * page).c_str()));
    CHECK(std::strstr(refused.error().what(), "most_bytes"));
    const auto small = pool.take(page); // a slab of 10 pages is what the budget leaves
    REQUIRE(small);
    CHECK(pool.bytes_pinned() == 100 * page);
    CHECK(pool.take(8 * page)); // no longer small, but the slab has it
    REQUIRE(pool.give_back(kept));
    CHECK(pool.bytes_pinned() == 100 * page);
    CHECK(pool.take(20 * page)); // the kept range made room
    CHECK(pool.bytes_pinned() == 60 * page);
    CHECK(on.on.pinned() == 60 * page);
    REQUIRE(pool.give_back(held));
    CHECK(pool.trim() == 30 * page);
    CHECK(pool.bytes_in_use() == 29 * page);

    options.most_bytes = page - 1;
    auto none = *pool_type::on(on.on, numa_id{0}, options);
    CHECK(none.take(1).error().code() == errc::out_of_memory);
    CHECK(none.bytes_pinned() == 0);
}

TEST_CASE("A range is registered in pieces that say where they meet") {
    box on;
    auto options = small_pool();
    options.register_bytes = 4 * page + 100; // cut down to 4 pages
    auto pool = *pool_type::on(on.on, numa_id{0}, options);
    const auto large = *pool.take(18 * page);
    CHECK(on.on.pieces.size() == 5);
    CHECK(large.where.stripe_bytes == 4 * page);
    CHECK(large.where.stripe_phase == 0);
    CHECK(pool.owns(static_cast<char*>(large.base) + 17 * page)->base == large.base);
    for (const auto& [base, piece] : on.on.pieces) {
        const std::uint64_t offset = base - reinterpret_cast<std::uintptr_t>(large.base);
        CHECK(offset % (4 * page) == 0);
        CHECK(piece.bytes == std::min(4 * page, 18 * page - offset));
        CHECK(piece.where.stripe_phase == offset);
        CHECK(piece.where.stripe_bytes == 4 * page);
        CHECK(piece.where.kind == memory_kind::pinned);
        const auto seen = on.on.classify(reinterpret_cast<void*>(base + 10), 100);
        REQUIRE(seen);
        CHECK(seen->stripe_phase == large.part(offset + 10, 100).where.stripe_phase);
    }
    const auto small = *pool.take(page / 2); // slabs are one piece
    CHECK(small.where.stripe_bytes == 0);
    CHECK(pool.bytes_pinned() == (18 + 4) * page);

    options.register_bytes = 7 * page;
    options.stripe_bytes = 2 * page;
    box other;
    auto striped = *pool_type::striped(other.on, options);
    const auto wide = *striped.take(21 * page);
    CHECK(other.on.pieces.size() == 4); // 6 pages each: whole stripes
    for (const auto& [base, piece] : other.on.pieces) {
        CHECK(piece.where.kind == memory_kind::striped);
        CHECK(piece.where.stripe_bytes == 2 * page);
        CHECK(piece.where.stripe_phase == base - reinterpret_cast<std::uintptr_t>(wide.base));
        CHECK(piece.where.stripe_phase % (6 * page) == 0);
    }
}

TEST_CASE("When any registration fails nothing stays pinned, and the error names the piece") {
    auto options = small_pool();
    options.register_bytes = 4 * page;
    for (std::uint64_t n = 0; n < 5; ++n) {
        box on;
        auto pool = *pool_type::on(on.on, numa_id{0}, options);
        on.on.failing = n;
        const auto refused = pool.take(18 * page);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code() == errc::device);
        CHECK(refused.error().native() == 2);
        CHECK(refused.error().bytes() == (n < 4 ? 4 : 2) * page);
        CHECK(std::strstr(refused.error().what(), ("piece " + std::to_string(n + 1) + " of 5").c_str()));
        CHECK(std::strstr(refused.error().what(), "injected"));
        CHECK(on.on.pieces.empty());
        CHECK(on.on.unpin_failures == 0);
        CHECK(on.server.allocations() == 0);
        CHECK(pool.bytes_pinned() == 0);
        CHECK(pool.bytes_in_use() == 0);
        on.on.failing = ~std::uint64_t{0};
        CHECK(pool.take(18 * page));
        CHECK(on.on.pieces.size() == 5);
    }
}

TEST_CASE("When the machine has no more, what the pool keeps idle goes before a request is refused") {
    box on;
    auto pool = *pool_type::on(on.on, numa_id{0}, small_pool());
    REQUIRE(pool.give_back(*pool.take(50 * page)));
    on.on.failing = on.on.calls; // the next one
    const auto taken = pool.take(70 * page);
    REQUIRE(taken);
    CHECK(pool.bytes_pinned() == 70 * page);
    CHECK(on.on.pinned() == 70 * page);
}

TEST_CASE("Blocks of neighbouring slabs are not joined, and those of one slab are") {
    detail::slab_book book;
    book.add(0x10000, 4096);
    book.add(0x11000, 4096);
    CHECK(book.take(8192, 256) == 0);
    CHECK(book.take(5000, 256) == 0);
    std::vector<std::uintptr_t> blocks;
    for (int i = 0; i < 32; ++i) blocks.push_back(book.take(200, 256));
    CHECK(book.take(1, 1) == 0);
    CHECK(book.free_blocks() == 0);
    std::sort(blocks.begin(), blocks.end());
    CHECK(std::unique(blocks.begin(), blocks.end()) == blocks.end());
    for (std::size_t i = 0; i < 32; i += 2) book.give_back(blocks[i]);
    CHECK(book.free_blocks() == 16);
    for (std::size_t i = 1; i < 32; i += 2) book.give_back(blocks[i]);
    CHECK(book.free_blocks() == 2);
    CHECK(book.idle(0x10000, 4096));
    CHECK(book.idle(0x11000, 4096));
    CHECK(book.find(0x10000).bytes == 0);
    book.remove(0x10000);
    CHECK(book.take(4096, 4096) == 0x11000);
    CHECK_FALSE(book.idle(0x11000, 4096));
    CHECK(book.find(0x11fff).base == 0x11000);
}

TEST_CASE("Twenty thousand random operations: no two allocations meet, all of it comes back") {
    for (const std::uint64_t budget : {std::uint64_t{6} * MiB, ~std::uint64_t{0}}) {
        box on;
        auto options = small_pool();
        options.slab_bytes = 512 * KiB;
        options.most_bytes = budget;
        options.register_bytes = 256 * KiB; // so slabs are smaller, too
        auto pool = *pool_type::on(on.on, numa_id{0}, options);
        std::mt19937_64 random(7);
        struct owned {
            region memory;
            std::uint64_t tag;
        };
        std::map<std::uintptr_t, owned> live;
        std::uint64_t in_use = 0, refused = 0, overlaps = 0, damaged = 0;
        const auto free_one = [&](auto which) {
            const owned& gone = which->second;
            std::uint64_t head = 0, tail = 0;
            std::memcpy(&head, gone.memory.base, std::min<std::uint64_t>(8, gone.memory.bytes));
            if (gone.memory.bytes >= 16) {
                std::memcpy(&tail, static_cast<char*>(gone.memory.base) + gone.memory.bytes - 8, 8);
                damaged += head != gone.tag || tail != gone.tag;
            }
            in_use -= gone.memory.bytes;
            REQUIRE(pool.give_back(gone.memory));
            live.erase(which);
        };
        for (std::uint64_t i = 0; i < 20000; ++i) {
            if (live.size() > 150 || (!live.empty() && random() % 2 == 0)) {
                auto which = live.lower_bound(reinterpret_cast<std::uintptr_t>(live.begin()->second.memory.base) +
                                              random() % (64 * MiB));
                free_one(which == live.end() ? live.begin() : which);
                continue;
            }
            const std::uint64_t shape = random() % 100;
            const std::uint64_t bytes = 1 + random() % (shape < 70 ? 2 * KiB : shape < 98 ? 24 * KiB : 700 * KiB);
            const std::uint64_t alignment = std::uint64_t{1} << random() % 14;
            const auto taken = pool.take(bytes, alignment);
            if (!taken) {
                REQUIRE(taken.error().code() == errc::out_of_memory);
                REQUIRE(budget != ~std::uint64_t{0});
                ++refused;
                continue;
            }
            const auto base = reinterpret_cast<std::uintptr_t>(taken->base);
            const auto after = live.lower_bound(base);
            overlaps += after != live.end() && after->first < base + bytes;
            if (after != live.begin()) {
                const auto& before = std::prev(after)->second.memory;
                overlaps += reinterpret_cast<std::uintptr_t>(before.base) + before.bytes > base;
            }
            if (base % alignment != 0) ++overlaps;
            const std::uint64_t tag = random();
            std::memcpy(taken->base, &tag, std::min<std::uint64_t>(8, bytes));
            if (bytes >= 16) std::memcpy(static_cast<char*>(taken->base) + bytes - 8, &tag, 8);
            live[base] = {*taken, tag};
            in_use += bytes;
            if (i % 512 == 0) {
                REQUIRE(pool.bytes_in_use() == in_use);
                REQUIRE(pool.bytes_pinned() == on.on.pinned());
                REQUIRE(pool.bytes_pinned() <= budget);
                (void)pool.trim();
            }
        }
        CHECK(overlaps == 0);
        CHECK(damaged == 0);
        INFO(refused << " refused");
        while (!live.empty()) free_one(live.begin());
        CHECK(pool.bytes_in_use() == 0);
        const std::uint64_t pinned = pool.bytes_pinned();
        CHECK(pool.trim() == pinned);
        CHECK(pool.bytes_pinned() == 0);
        CHECK(on.on.pieces.empty());
        CHECK(on.on.unpin_failures == 0);
        CHECK(on.server.allocations() == 0);
    }
}

TEST_CASE("Containers live in a pool, and copy engines reach them") {
    box on;
    {
        auto pool = *pool_type::on(on.on, numa_id{0}, small_pool());
        std::pmr::vector<std::uint64_t> numbers(&pool);
        for (std::uint64_t i = 0; i < 100000; ++i) numbers.push_back(i * i);
        std::pmr::vector<std::pmr::string> words(&pool);
        for (int i = 0; i < 500; ++i) words.emplace_back(std::string(static_cast<std::size_t>(i % 97), 'x'));
        for (std::uint64_t i = 0; i < numbers.size(); ++i) REQUIRE(numbers[i] == i * i);
        CHECK(on.on.classify(numbers.data(), numbers.size() * 8)->kind == memory_kind::pinned);
        CHECK(pool.owns(words.data())->bytes == words.capacity() * sizeof(std::pmr::string));
        void* const nothing = pool.allocate(0);
        CHECK(nothing != nullptr);
        pool.deallocate(nothing, 0);
        CHECK(pool.is_equal(pool));
        words = std::pmr::vector<std::pmr::string>(&pool);
        words.shrink_to_fit();
        numbers.clear();
        numbers.shrink_to_fit();
        CHECK(pool.bytes_in_use() == 0);
    }
    CHECK(on.on.pieces.empty());
}

TEST_CASE("A pool that goes takes everything with it, given back or not") {
    box on;
    {
        auto pool = *pool_type::on(on.on, numa_id{0}, small_pool());
        CHECK(pool.take(1));
        CHECK(pool.take(40 * page));
        pool_type moved = std::move(pool);
        CHECK(moved.bytes_in_use() == 1 + 40 * page);
        CHECK(on.on.pieces.size() == 2);
    }
    CHECK(on.on.pieces.empty());
    CHECK(on.server.allocations() == 0);
}

TEST_CASE("Many threads take and give back at once") {
    box on;
    auto options = small_pool();
    options.most_bytes = 4 * MiB;
    auto pool = *pool_type::on(on.on, numa_id{0}, options);
    std::vector<std::thread> users;
    std::atomic<std::uint64_t> damaged{0}, taken{0};
    for (std::uint64_t u = 0; u < 4; ++u)
        users.emplace_back([&, u] {
            std::mt19937_64 random(u);
            for (int i = 0; i < 1500; ++i) {
                const std::uint64_t bytes = 16 + random() % (i % 20 == 0 ? 200 * KiB : 4 * KiB);
                const auto mine = pool.take(bytes);
                if (!mine) continue;
                ++taken;
                std::memset(mine->base, static_cast<int>(u + 1), bytes);
                std::this_thread::yield();
                const char* at = static_cast<const char*>(mine->base);
                damaged += at[0] != static_cast<char>(u + 1) || std::memcmp(at, at + 1, bytes - 1) != 0;
                damaged += !pool.give_back(*mine);
                if (i % 100 == 0) (void)pool.trim();
            }
        });
    for (std::thread& each : users) each.join();
    CHECK(damaged == 0);
    CHECK(taken > 5000);
    CHECK(pool.bytes_in_use() == 0);
    (void)pool.trim();
    CHECK(on.on.pieces.empty());
    CHECK(on.on.unpin_failures == 0);
}

TEST_CASE("Memory of the caller's is pinned where it lies, in pieces that share no page, all or none") {
    box on;
    std::vector<char> owned(40 * page, 'c');
    const auto offset = page - reinterpret_cast<std::uintptr_t>(owned.data()) % page;
    for (const std::uint64_t lead : {std::uint64_t{0}, std::uint64_t{100}, page - 1})
        for (const std::uint64_t bytes : {std::uint64_t{1}, 3 * page, 17 * page + 5}) {
            char* const base = owned.data() + offset + lead;
            std::uint64_t count = 0;
            {
                auto held = adopt(on.on, base, bytes, numa_id{1}, 4 * page);
                REQUIRE(held);
                count = on.on.pieces.size();
                CHECK(count == divide_up(lead + bytes, 4 * page));
                CHECK(on.on.pinned() == bytes);
                CHECK(held->memory().base == base);
                CHECK(held->memory().bytes == bytes);
                CHECK(held->memory().where.node == on.server.topology().memory(numa_id{1}));
                CHECK(held->memory().where.stripe_bytes == (count > 1 ? 4 * page : 0));
                for (const auto& [at, piece] : on.on.pieces) {
                    const std::uint64_t from = at - reinterpret_cast<std::uintptr_t>(base);
                    if (from > 0) CHECK(at % page == 0);
                    if (count == 1) continue;
                    CHECK(piece.where.stripe_phase == held->memory().part(from, 1).where.stripe_phase);
                    CHECK(piece.where.stripe_phase % (4 * page) == (from > 0 ? 0 : lead));
                }
                auto moved = *std::move(held);
                CHECK(on.on.pinned() == bytes);
                REQUIRE(moved.release());
                CHECK(on.on.pieces.empty());
                REQUIRE(moved.release());
            }
            CHECK(on.on.unpin_failures == 0);
            for (std::uint64_t n = 0; n < count; ++n) {
                on.on.failing = on.on.calls + n;
                const auto refused = adopt(on.on, base, bytes, numa_id{1}, 4 * page);
                REQUIRE_FALSE(refused);
                CHECK(std::strstr(refused.error().what(), ("piece " + std::to_string(n + 1) + " of").c_str()));
                CHECK(on.on.pieces.empty());
            }
            on.on.failing = ~std::uint64_t{0};
        }
    CHECK(std::count(owned.begin(), owned.end(), 'c') == static_cast<std::ptrdiff_t>(owned.size()));
    CHECK(adopt(on.on, nullptr, 4).error().code() == errc::invalid_argument);
    CHECK(adopt(on.on, owned.data(), 0).error().code() == errc::invalid_argument);
    CHECK(adopt(on.on, owned.data(), 4, numa_id{9}).error().code() == errc::not_found);
    if (const auto lies = node_of(owned.data()); lies && lies->value < 2) {
        const auto asked = adopt(on.on, owned.data(), owned.size());
        REQUIRE(asked);
        CHECK(asked->memory().where.node == on.server.topology().memory(*lies));
    }
}

TEST_CASE("What a pool hands out is copied to a GPU and back, pinned and striped") {
    for (const bool striped : {false, true}) {
        sim::runtime server(builtin::hgx_h100_8());
        pinned_pool_options options;
        options.stripe_bytes = 256 * KiB;
        auto pool = striped ? *pinned_pool<sim::runtime>::striped(server, options)
                            : *pinned_pool<sim::runtime>::on(server, numa_id{0}, options);
        const machine& m = server.topology();
        for (const std::uint64_t bytes : {std::uint64_t{1000}, 9 * MiB + 77}) {
            (void)pool.take(5000); // so that the next one starts somewhere inside a slab
            const auto there = *pool.take(bytes), back = *pool.take(bytes);
            patterned::fill(there.base, bytes, 5);
            void* const gpu = *server.allocate(m.gpu(gpu_id{2}), bytes);
            const auto stream = *server.make_stream(m.gpu(gpu_id{2}));
            mover<sim::runtime> moves(server);
            const region on_gpu{gpu, bytes, {memory_kind::device, m.gpu(gpu_id{2}), 0, 0}};
            const auto out = moves.copy(on_gpu, there, stream);
            REQUIRE(out);
            const auto in = moves.copy(back, on_gpu, stream);
            REQUIRE(in);
            REQUIRE(in->wait());
            CHECK(patterned::holds(gpu, bytes, 5));
            CHECK(patterned::holds(back.base, bytes, 5));
            const auto seen = server.classify(there.base, bytes);
            REQUIRE(seen);
            CHECK(seen->kind == there.where.kind);
            if (striped) CHECK(seen->stripe_phase % (2 * 256 * KiB) == there.where.stripe_phase % (2 * 256 * KiB));
            REQUIRE(pool.give_back(there));
            REQUIRE(pool.give_back(back));
            REQUIRE(server.release(gpu));
        }
        CHECK(server.races() == 0);
    }
}
