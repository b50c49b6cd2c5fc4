// Which way scattered blocks go: computed from the machine's costs, and from nothing else.
#include <support/catch.hpp>

#include <limits>
#include <string>

#include <barelink/machine/builtin.hpp>
#include <barelink/plan/block_plan.hpp>

using namespace barelink;

namespace {

struct box {
    machine m = builtin::hgx_h100_8();
    block_summary asked;
    block_means with;

    box() {
        asked.from = m.memory(numa_id{0});
        asked.to = m.gpu(gpu_id{0});
        with.batch = with.kernel = true;
    }
    block_plan plan(std::uint64_t blocks, std::uint64_t bytes_each) {
        asked.blocks = asked.runs = asked.gpu_stretches = blocks;
        asked.bytes = blocks * bytes_each;
        return plan_blocks(m, asked, with);
    }
    /// The first number of blocks from which on this way is chosen.
    std::uint64_t first(block_way way, std::uint64_t bytes_each) {
        for (std::uint64_t n = 1; n < 4096; ++n)
            if (plan(n, bytes_each).way == way) return n;
        return std::numeric_limits<std::uint64_t>::max();
    }
};

double us(const block_plan& p, block_way way) {
    return p.us[static_cast<std::size_t>(way)];
}
double gb_s(const block_plan& p, block_way way) {
    return rate_gb_s(static_cast<double>(p.asked.bytes), us(p, way));
}

} // namespace

TEST_CASE("the priors give the published figures of an H100", "[plan][blocks]") {
    box on;
    const block_plan p = on.plan(4096, 32 * KiB);
    CHECK(gb_s(p, block_way::batch) >= 30);
    CHECK(gb_s(p, block_way::batch) <= 33);
    // 1 to 24 KiB, 256 blocks and more: the kernel is 2 to 4.5 times faster than the batch; the model is within a quarter of it.
    for (const std::uint64_t blocks : {256u, 4096u}) {
        const block_plan small = on.plan(blocks, 1 * KiB), large = on.plan(blocks, 24 * KiB);
        CHECK(us(small, block_way::batch) / us(small, block_way::kernel) > 4.5 * 0.75);
        CHECK(us(large, block_way::batch) / us(large, block_way::kernel) > 2 * 0.75);
        CHECK(small.way == block_way::kernel);
        CHECK(large.way == block_way::kernel);
    }
    // Below about 32 blocks the batch wins.
    const std::uint64_t turn = on.first(block_way::kernel, 1 * KiB);
    CHECK(turn >= 24);
    CHECK(turn <= 40);
    CHECK(p.rests_on == evidence::assumed);
}

TEST_CASE("every choice is the fastest of what can be taken", "[plan][blocks]") {
    box on;
    for (const bool batch : {false, true})
        for (const bool kernel : {false, true})
            for (const bool block : {false, true})
                for (const std::uint64_t blocks : {1u, 2u, 16u, 31u, 256u, 65536u})
                    for (const std::uint64_t bytes : {1u, 1024u, 32768u, 262144u}) {
                        on.with.batch = batch;
                        on.with.kernel = kernel;
                        on.with.may_block = block;
                        const block_plan p = on.plan(blocks, bytes);
                        REQUIRE(p.possible(p.way));
                        REQUIRE(p.predicted_us() > 0);
                        CHECK(p.possible(block_way::batch) == batch);
                        CHECK(p.possible(block_way::kernel) == kernel);
                        CHECK(p.possible(block_way::bounce) == block);
                        CHECK_FALSE(p.possible(block_way::strided));
                        for (std::size_t w = 0; w < block_way_count; ++w) {
                            const auto each = static_cast<block_way>(w);
                            if (p.possible(each)) CHECK(p.us[w] >= p.predicted_us());
                            if (!p.possible(each)) CHECK(p.us[w] == 0);
                        }
                    }
}

TEST_CASE("crossovers follow the costs", "[plan][blocks]") {
    box on;
    const std::uint64_t before = on.first(block_way::kernel, 4 * KiB);
    on.m.blocks.kernel_us *= 10;
    CHECK(on.first(block_way::kernel, 4 * KiB) > 5 * before);
    on.m.blocks.batch_block_us = 0;
    on.m.blocks.batch_us = 0;
    CHECK(on.first(block_way::kernel, 4 * KiB) == std::numeric_limits<std::uint64_t>::max());
    on.m.blocks.source = evidence::measured;
    CHECK(on.plan(16, 4096).rests_on == evidence::assumed); // copy_costs still is
    on.m.costs.source = evidence::read;
    CHECK(on.plan(16, 4096).rests_on == evidence::read);
}

TEST_CASE("a bound on multiprocessors slows the kernel and nothing else", "[plan][blocks]") {
    box on;
    const block_plan many = on.plan(4096, 32 * KiB);
    on.with.multiprocessors = 2;
    const block_plan few = on.plan(4096, 32 * KiB);
    CHECK(gb_s(few, block_way::kernel) <= 2 * on.m.blocks.kernel_multiprocessor_gb_s);
    CHECK(us(few, block_way::kernel) > 2 * us(many, block_way::kernel));
    CHECK(us(few, block_way::batch) == us(many, block_way::batch));
    CHECK(few.way == block_way::batch);
}

TEST_CASE("equal blocks at equal distances go as rows where that is faster", "[plan][blocks]") {
    box on;
    on.plan(4096, 32 * KiB);
    on.asked.runs = 1;
    const block_plan p = plan_blocks(on.m, on.asked, on.with);
    CHECK(p.way == block_way::strided);
    CHECK(gb_s(p, block_way::strided) > 50);
}

TEST_CASE("what cannot be, and why", "[plan][blocks]") {
    box on;
    const auto why = [](const block_plan& p, block_way way) { return p.obstacles[static_cast<std::size_t>(way)]; };
    SECTION("pageable memory goes through the ring") {
        on.asked.pageable = true;
        const block_plan p = on.plan(256, 4096);
        CHECK(p.way == block_way::bounce);
        CHECK(p.ring_way == block_way::kernel);
        for (const block_way each : {block_way::one_by_one, block_way::batch, block_way::strided, block_way::kernel})
            CHECK(why(p, each) == block_obstacle::pageable);
        on.with.captured = true;
        CHECK_FALSE(on.plan(256, 4096).possible(block_way::bounce));
    }
    SECTION("a contiguous GPU side makes the ring's copies few") {
        on.asked.pageable = true;
        on.plan(256, 4096);
        on.asked.gpu_stretches = 1;
        CHECK(plan_blocks(on.m, on.asked, on.with).ring_way == block_way::one_by_one);
    }
    SECTION("a capture takes no batch") {
        on.with.kernel = false;
        CHECK(on.plan(256, 4096).way == block_way::batch);
        on.with.captured = true;
        const block_plan p = on.plan(256, 4096);
        CHECK(p.way == block_way::one_by_one);
        CHECK(why(p, block_way::batch) == block_obstacle::in_capture);
    }
    SECTION("two GPUs") {
        on.asked.from = on.m.gpu(gpu_id{1});
        const block_plan direct = on.plan(256, 4096);
        CHECK(direct.way == block_way::kernel);
        CHECK(us(direct, block_way::bounce) > 1.5 * us(direct, block_way::kernel));
        on.with.direct = false;
        const block_plan staged = on.plan(256, 4096);
        CHECK(staged.way == block_way::bounce);
        CHECK(why(staged, block_way::batch) == block_obstacle::no_path);
        on.with.captured = true;
        CHECK(on.plan(256, 4096).possible(block_way::bounce));
    }
    SECTION("within one GPU") {
        on.asked.from = on.asked.to;
        on.with.may_block = true;
        CHECK(why(on.plan(256, 4096), block_way::bounce) == block_obstacle::one_gpu);
    }
    SECTION("every loser has a reason in words") {
        on.with.kernel = false;
        const block_plan p = on.plan(256, 4096);
        REQUIRE(p.rejected().size() == block_way_count - 1);
        for (const rejection& each : p.rejected()) {
            CHECK(each.family != to_string(p.way));
            CHECK_FALSE(each.why.empty());
        }
    }
}
