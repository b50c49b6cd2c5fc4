// The block kernel's own code, run thread by thread on a CPU: every byte once and in its place, whatever the shape.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include <barelink/move/detail/block_kernel_body.hpp>

#include <support/catch.hpp>
#include <support/patterned_bytes.hpp>

using namespace barelink;
namespace kernel = barelink::detail::block_kernel;

namespace {

struct shape {
    std::uint32_t blocks, threads;
};
constexpr shape shapes[] = {{1, 32}, {1, 64}, {1, 1024}, {2, 32}, {3, 96}, {7, 64}, {16, 128}, {5, 1024}, {132, 32}};

template <class Do>
void each_thread(shape s, Do what) {
    for (std::uint32_t index = 0; index < s.blocks; ++index)
        for (std::uint32_t thread = 0; thread < s.threads; ++thread) what(index, thread);
}

/// Where each entry starts, in a source and a destination of the same layout but for their phases; gaps are guard bytes.
struct layout {
    explicit layout(const std::vector<std::uint64_t>& sizes_wanted, std::uint64_t to_phase = 0,
                    std::uint64_t from_phase = 0)
        : sizes(sizes_wanted) {
        std::uint64_t at = 0;
        for (const std::uint64_t bytes : sizes) {
            starts.push_back(at);
            at = (at + bytes + 31) / 16 * 16;
        }
        source.resize(at + 256);
        target.assign(at + 256, patterned::guard);
        patterned::fill(source.data(), source.size(), 7);
        to = aligned(target) + to_phase;
        from = aligned(source) + from_phase;
        for (std::size_t i = 0; i < sizes.size(); ++i) list.push_back({to + starts[i], from + starts[i], sizes[i]});
    }
    [[nodiscard]] bool right() const {
        std::vector<unsigned char> expected(target.size(), patterned::guard);
        const auto shift = static_cast<std::size_t>(to - target.data());
        for (const block& each : list)
            if (each.bytes > 0)
                std::memcpy(expected.data() + shift + (static_cast<const unsigned char*>(each.to) - to), each.from,
                            each.bytes);
        return expected == target;
    }

    std::vector<std::uint64_t> sizes, starts;
    std::vector<unsigned char> source, target;
    unsigned char *to = nullptr, *from = nullptr;
    std::vector<block> list;

private:
    static unsigned char* aligned(std::vector<unsigned char>& bytes) {
        const auto past = reinterpret_cast<std::uintptr_t>(bytes.data()) % 128;
        return bytes.data() + (past == 0 ? 0 : 128 - past);
    }
};

void run(layout& l, shape s) {
    each_thread(s, [&](std::uint32_t index, std::uint32_t thread) {
        kernel::run_on_cpu(l.list.data(), static_cast<std::uint32_t>(l.list.size()), index, s.blocks, thread,
                           s.threads);
    });
}

/// Counts how often each byte is written, and by whom.
struct counting_memory {
    unsigned char* base;
    std::vector<std::uint32_t>& written;
    std::uint64_t& bytes;
    std::uint64_t& widest;

    template <class Word>
    [[nodiscard]] Word load(const Word* from) const noexcept {
        return kernel::plain_memory{}.load(from);
    }
    template <class Word>
    void store(Word* to, Word value) const noexcept {
        const auto at = static_cast<std::size_t>(reinterpret_cast<unsigned char*>(to) - base);
        for (std::size_t i = 0; i < sizeof(Word); ++i) ++written[at + i];
        bytes += sizeof(Word);
        widest = std::max<std::uint64_t>(widest, sizeof(Word));
        misaligned |= reinterpret_cast<std::uintptr_t>(to) % sizeof(Word) != 0;
        kernel::plain_memory{}.store(to, value);
    }
    static inline bool misaligned = false;
};

/// What a thread block of a GPU needs: all its threads ask for the same windows in the same order.
struct noted_windows {
    std::vector<std::pair<const block*, std::uint32_t>> fetched;
    std::size_t opened = 0;
    bool out_of_step = false;

    void fetch(const block* from, std::uint32_t entries, std::uint32_t, std::uint32_t) {
        fetched.emplace_back(from, entries);
    }
    const block* open(std::uint32_t entries, std::uint32_t, std::uint32_t) {
        out_of_step |= opened + 1 != fetched.size() || fetched.back().second != entries ||
                       entries > kernel::window_entries || entries == 0;
        ++opened;
        return fetched.back().first;
    }
};

/// Bytes that each thread block moves.
std::vector<std::uint64_t> loads(layout& l, shape s, std::vector<std::uint64_t>* by_warp = nullptr) {
    std::vector<std::uint64_t> of(s.blocks, 0);
    std::vector<std::uint32_t> written(l.target.size(), 0);
    if (by_warp) by_warp->assign(static_cast<std::size_t>(s.blocks) * s.threads / 32, 0);
    each_thread(s, [&](std::uint32_t index, std::uint32_t thread) {
        std::uint64_t bytes = 0, widest = 0;
        kernel::plain_windows windows;
        kernel::run(l.list.data(), static_cast<std::uint32_t>(l.list.size()), index, s.blocks, thread, s.threads,
                    windows, counting_memory{l.target.data(), written, bytes, widest});
        of[index] += bytes;
        if (by_warp) (*by_warp)[(static_cast<std::size_t>(index) * s.threads + thread) / 32] += bytes;
    });
    return of;
}

std::vector<std::uint64_t> uneven(std::size_t count, std::uint64_t seed) {
    std::vector<std::uint64_t> sizes;
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t drawn = patterned::word_at(seed, i) >> 40;
        switch (drawn % 5) {
        case 0: sizes.push_back(drawn % 4); break;
        case 1: sizes.push_back(1 + drawn % 300); break;
        case 2: sizes.push_back(1024); break;
        case 3: sizes.push_back(1 + drawn % 9000); break;
        default: sizes.push_back(i % 37 == 0 ? 70000 + drawn % 1000 : 16 * (drawn % 100)); break;
        }
    }
    return sizes;
}

} // namespace

TEST_CASE("block kernel: every layout arrives, whatever the number of threads and thread blocks") {
    for (const shape s : shapes) {
        CAPTURE(s.blocks, s.threads);
        for (const std::size_t count : {1u, 2u, 5u, 15u, 16u, 17u, 64u, 65u, 300u}) {
            CAPTURE(count);
            layout l(uneven(count, count));
            run(l, s);
            CHECK(l.right());
        }
    }
}

TEST_CASE("block kernel: any alignment of either side, any small size") {
    for (std::uint64_t to_phase = 0; to_phase < 17; ++to_phase)
        for (std::uint64_t from_phase = 0; from_phase < 17; ++from_phase) {
            std::vector<std::uint64_t> sizes;
            for (std::uint64_t bytes = 0; bytes < 40; ++bytes) sizes.push_back(bytes);
            for (const std::uint64_t bytes : {127u, 128u, 129u, 2047u, 2048u, 2049u, 4095u, 4097u, 6161u})
                sizes.push_back(bytes);
            layout l(sizes, to_phase, from_phase);
            run(l, {2, 64});
            CAPTURE(to_phase, from_phase);
            REQUIRE(l.right());
        }
}

TEST_CASE("block kernel: entries are read where they are, in any order, also twice") {
    layout l(uneven(200, 3));
    std::vector<block> shuffled = l.list;
    for (std::size_t i = shuffled.size() - 1; i > 0; --i)
        std::swap(shuffled[i], shuffled[patterned::word_at(5, i) % (i + 1)]);
    for (block& each : shuffled)
        if (each.bytes == 1024) each.from = l.from; // all the same source
    l.list = shuffled;
    run(l, {16, 128});
    CHECK(l.right());
}

TEST_CASE("block kernel: nothing to do is nothing done") {
    kernel::run_on_cpu(nullptr, 0, 0, 16, 0, 1024);
    layout l({0, 0, 0});
    for (block& each : l.list) each.to = nullptr, each.from = nullptr;
    run(l, {16, 64});
    CHECK(std::all_of(l.target.begin(), l.target.end(), [](unsigned char b) { return b == patterned::guard; }));
}

TEST_CASE("block kernel: every byte is written once, in the widest words that fit both sides") {
    const struct {
        std::uint64_t to, from, widest;
    } phases[] = {{0, 0, 16}, {3, 3, 16}, {8, 0, 8}, {1, 9, 8}, {4, 0, 4}, {2, 0, 1}, {1, 0, 1}};
    for (const auto& p : phases) {
        CAPTURE(p.to, p.from);
        layout l(uneven(150, 11), p.to, p.from);
        std::vector<std::uint32_t> written(l.target.size(), 0);
        std::uint64_t bytes = 0, widest = 0;
        counting_memory::misaligned = false;
        each_thread({7, 96}, [&](std::uint32_t index, std::uint32_t thread) {
            kernel::plain_windows windows;
            kernel::run(l.list.data(), 150, index, 7, thread, 96, windows,
                        counting_memory{l.target.data(), written, bytes, widest});
        });
        CHECK(l.right());
        CHECK(widest == p.widest);
        CHECK_FALSE(counting_memory::misaligned);
        const auto shift = static_cast<std::size_t>(l.to - l.target.data());
        std::uint64_t wanted = 0;
        for (std::size_t i = 0; i < l.sizes.size(); ++i) wanted += l.sizes[i];
        CHECK(bytes == wanted);
        for (std::size_t i = 0; i < l.sizes.size(); ++i)
            for (std::uint64_t b = 0; b < l.sizes[i]; ++b) REQUIRE(written[shift + l.starts[i] + b] == 1);
    }
}

TEST_CASE("block kernel: all threads of a thread block go through the same windows") {
    for (const std::uint32_t count : {1u, 3u, 16u, 40u, 64u, 1000u, 5000u})
        for (const shape s : {shape{16, 64}, shape{5, 96}, shape{1, 32}}) {
            layout l(std::vector<std::uint64_t>(count, 48));
            std::uint64_t entries = 0;
            for (std::uint32_t index = 0; index < s.blocks; ++index) {
                noted_windows first;
                for (std::uint32_t thread = 0; thread < s.threads; ++thread) {
                    noted_windows windows;
                    kernel::run(l.list.data(), count, index, s.blocks, thread, s.threads, windows,
                                kernel::plain_memory{});
                    CAPTURE(count, s.blocks, index, thread);
                    REQUIRE_FALSE(windows.out_of_step);
                    REQUIRE(windows.opened == windows.fetched.size());
                    if (thread == 0) first = windows;
                    REQUIRE(windows.fetched == first.fetched);
                }
                for (const auto& each : first.fetched) entries += each.second;
            }
            CHECK(l.right());
            // Each entry is looked at by one thread block, or shared by as many as there are for it.
            CHECK(entries == (count < s.blocks ? std::uint64_t{count} * (s.blocks / count) : count));
        }
}

TEST_CASE("block kernel: work is split by bytes") {
    const auto spread = [](const std::vector<std::uint64_t>& of) {
        const auto [least, most] = std::minmax_element(of.begin(), of.end());
        return std::pair{*least, *most};
    };
    constexpr shape s{16, 1024};
    std::vector<std::uint64_t> warps;
    { // one entry: all thread blocks and all their warps
        layout l({4 * 1024 * 1024});
        const auto [least, most] = spread(loads(l, s, &warps));
        CHECK(least == most);
        CHECK(spread(warps) == std::pair<std::uint64_t, std::uint64_t>(8192, 8192));
    }
    { // one for each thread block: all its warps
        layout l(std::vector<std::uint64_t>(16, 64 * 1024));
        (void)loads(l, s, &warps);
        CHECK(spread(warps) == std::pair<std::uint64_t, std::uint64_t>(2048, 2048));
    }
    { // many small ones: a warp each, the same number for all
        layout l(std::vector<std::uint64_t>(4096, 1024));
        const auto [least, most] = spread(loads(l, s, &warps));
        CHECK(least == most);
        CHECK(spread(warps).second <= 2 * 8192);
    }
    { // one large one among small ones: no warp has more to do than its neighbours
        std::vector<std::uint64_t> sizes(2000, 100);
        sizes[777] = 1024 * 1024;
        layout l(sizes);
        const std::vector<std::uint64_t> of = loads(l, s, &warps);
        const auto busiest = std::max_element(of.begin(), of.end()) - of.begin();
        const std::vector<std::uint64_t> there(warps.begin() + busiest * 32, warps.begin() + (busiest + 1) * 32);
        CHECK(spread(there).first >= 30 * 1024);
        CHECK(spread(there).second <= 40 * 1024);
    }
}

TEST_CASE("block kernel: a million entries") {
    layout l(std::vector<std::uint64_t>(1000000, 9));
    run(l, {2, 32});
    CHECK(l.right());
}
