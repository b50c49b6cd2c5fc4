// Threads that copy: every byte and no other, from any number of callers.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <time.h>

#include <support/catch.hpp>
#include <support/patterned_bytes.hpp>

#include <barelink/move/host_threads.hpp>

using namespace barelink;

namespace {

std::vector<char> patterned_vector(std::uint64_t bytes, std::uint64_t seed) {
    std::vector<char> made(bytes);
    if (bytes > 0) patterned::fill(made.data(), bytes, seed);
    return made;
}

double cpu_us() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) * 1e-3;
}

} // namespace

TEST_CASE("Streaming copies are exact for sizes 0 to 4096 at every alignment, and touch nothing else") {
    constexpr std::uint64_t guard = 64, most = 4096;
    const auto source = patterned_vector(most + 128, 3);
    std::vector<char> target(most + 2 * guard + 128), clean(target.size());
    patterned::fill_guard(clean.data(), clean.size());
    std::uint64_t wrong = 0, copies = 0;
    for (std::uint64_t to = 0; to < 64; ++to)
        for (std::uint64_t bytes = 0; bytes <= most; bytes += bytes < 300 || bytes > most - 140 ? 1 : 13) {
            const std::uint64_t from = (to * 7 + bytes) % 64; // all 64 x 64 pairs come up
            std::memcpy(target.data(), clean.data(), target.size());
            const auto base = reinterpret_cast<std::uintptr_t>(target.data());
            const std::uint64_t start = guard + (64 - base % 64) % 64 + to;
            detail::stream_copy(target.data() + start, source.data() + from, bytes);
            wrong += bytes > 0 && std::memcmp(target.data() + start, source.data() + from, bytes) != 0;
            wrong += std::memcmp(target.data(), clean.data(), start) != 0;
            wrong += std::memcmp(target.data() + start + bytes, clean.data() + start + bytes,
                                 target.size() - start - bytes) != 0;
            ++copies;
        }
    CHECK(wrong == 0);
    CHECK(copies > 40000);
}

#if defined(__x86_64__)
TEST_CASE("Both kinds of streaming stores write the same bytes") {
    const auto source = patterned_vector(64 * 128 + 64, 4);
    std::vector<char> target(source.size() + 64);
    const std::uint64_t skip = 64 - reinterpret_cast<std::uintptr_t>(target.data()) % 64;
    for (const std::uint64_t blocks : {1u, 2u, 63u, 64u})
        for (const auto stream : {detail::stream_blocks_sse, detail::stream_blocks_avx}) {
            if (stream == detail::stream_blocks_avx && !__builtin_cpu_supports("avx2")) continue;
            std::memset(target.data(), 0, target.size());
            stream(target.data() + skip, source.data() + 5, blocks);
            CHECK(std::memcmp(target.data() + skip, source.data() + 5, blocks * 128) == 0);
            CHECK(target[skip + blocks * 128 - 1] == source[5 + blocks * 128 - 1]);
        }
}
#endif

TEST_CASE("Copies by several threads are exact, whatever the size") {
    for (const unsigned count : {1u, 2u, 5u}) {
        host_threads threads(numa_id{0}, count);
        CHECK(threads.threads() == count);
        for (const std::uint64_t bytes : {0 * KiB, KiB / KiB, KiB / 4 - 1, 256 * KiB, 1 * MiB - 1, 1 * MiB, 1 * MiB + 1,
                                          3 * MiB + 4097, 17 * MiB + 63, 64 * MiB + 1})
            for (const std::uint64_t lead : {0u, 1u, 63u}) {
                const auto source = patterned_vector(bytes + lead, bytes + lead);
                std::vector<char> target(bytes + lead + 128, 'g');
                threads.copy(target.data() + lead, source.data() + lead, bytes);
                CHECK((bytes == 0 || std::memcmp(target.data() + lead, source.data() + lead, bytes) == 0));
                for (std::uint64_t i = 0; i < lead; ++i) REQUIRE(target[i] == 'g');
                for (std::uint64_t i = 0; i < 128; ++i) REQUIRE(target[lead + bytes + i] == 'g');
            }
        CHECK(threads.threads() == count);
    }
}

TEST_CASE("Every slice runs once, and what it wrote is seen") {
    host_threads threads(numa_id{0}, 4);
    for (const std::uint64_t slices : {0u, 1u, 2u, 3u, 4u, 100u, 5000u})
        for (int round = 0; round < 20; ++round) {
            std::vector<std::uint64_t> written(slices, 0); // plain memory: a race shows under a thread sanitizer
            threads.run([](void* at, std::uint64_t i) { (*static_cast<std::vector<std::uint64_t>*>(at))[i] += i + 1; },
                        &written, slices);
            std::uint64_t wrong = 0;
            for (std::uint64_t i = 0; i < slices; ++i) wrong += written[i] != i + 1;
            REQUIRE(wrong == 0);
        }
}

TEST_CASE("A slice may run slices of its own") {
    host_threads threads(numa_id{0}, 3);
    struct nested {
        host_threads& on;
        std::atomic<std::uint64_t> count{0};
    } context{threads};
    threads.run(
        [](void* at, std::uint64_t) {
            static_cast<nested*>(at)->on.run(
                [](void* again, std::uint64_t) { static_cast<nested*>(again)->count.fetch_add(1); }, at, 10);
        },
        &context, 50);
    CHECK(context.count == 500);
}

TEST_CASE("Many callers at once: nobody waits for ever, nobody's bytes are lost") {
    host_threads threads(numa_id{0}, 3);
    std::atomic<std::uint64_t> wrong{0}, sum{0};
    std::vector<std::thread> callers;
    for (std::uint64_t c = 0; c < 6; ++c)
        callers.emplace_back([&, c] {
            const auto source = patterned_vector(2 * MiB + c, c);
            std::vector<char> target(source.size());
            for (int round = 0; round < 30; ++round) {
                std::memset(target.data(), 0, target.size());
                threads.copy(target.data(), source.data(), source.size());
                wrong += target != source;
                threads.run(
                    [](void* at, std::uint64_t i) { static_cast<std::atomic<std::uint64_t>*>(at)->fetch_add(i); }, &sum,
                    100);
            }
        });
    for (std::thread& each : callers) each.join();
    CHECK(wrong == 0);
    CHECK(sum == 6 * 30 * 4950);
}

TEST_CASE("Threads come and go with their owner, used or not") {
    for (int round = 0; round < 50; ++round) {
        host_threads threads(round % 2 == 0 ? numa_id{0} : unknown_numa, 4);
        if (round % 3 == 0) continue;
        std::atomic<std::uint64_t> count{0};
        threads.run([](void* at, std::uint64_t) { ++*static_cast<std::atomic<std::uint64_t>*>(at); }, &count, 8);
        REQUIRE(count == 8);
    }
}

TEST_CASE("An unknown node, or one that is not there, means threads anywhere") {
    for (const numa_id node : {unknown_numa, numa_id{777}}) {
        host_threads threads(node, 2);
        CHECK_FALSE(threads.bound());
        const auto source = patterned_vector(4 * MiB, 1);
        std::vector<char> target(source.size());
        threads.copy(target.data(), source.data(), source.size());
        CHECK(target == source);
        CHECK_FALSE(threads.bound());
        CHECK(threads.threads() == 2);
    }
    CHECK(host_threads(numa_id{0}, 1000).threads() == 64);
    const unsigned usual = host_threads(numa_id{0}).threads();
    CHECK(usual >= 1);
    CHECK(usual <= 8);
}

TEST_CASE("Threads that have nothing to do sleep") {
    host_threads threads(numa_id{0}, 4);
    std::atomic<std::uint64_t> count{0};
    threads.run([](void* at, std::uint64_t) { ++*static_cast<std::atomic<std::uint64_t>*>(at); }, &count, 64);
    timespec pause{0, 20'000'000};
    ::nanosleep(&pause, nullptr); // the 50 us after the job are over
    const double before = cpu_us();
    pause = {0, 200'000'000};
    ::nanosleep(&pause, nullptr);
    CHECK(cpu_us() - before < 20'000); // three spinning threads would use 400,000 on two CPUs
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

#if !SANITIZED // which need addresses of their own
TEST_CASE("Where the system gives no more threads the job is done by those there are") {
    const auto source = patterned_vector(8 * MiB, 9);
    std::vector<char> target(source.size());
    host_threads threads(numa_id{0}, 64);
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_AS, &before) == 0);
    const rlimit none{1, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_AS, &none) == 0); // no room for stacks, but those of threads that ended before
    threads.copy(target.data(), source.data(), source.size());
    REQUIRE(::setrlimit(RLIMIT_AS, &before) == 0);
    CHECK(target == source);
    CHECK(threads.threads() < 64);
    CHECK(threads.threads() >= 1);
    std::memset(target.data(), 0, target.size());
    threads.copy(target.data(), source.data(), source.size());
    CHECK(target == source);
}
#endif
