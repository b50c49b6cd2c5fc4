// Every wait, record and synchronize of a broadcast in turn is forgotten: each must show, in bytes or in the order of accesses.
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <support/catch.hpp>
#include <support/rehearsals.hpp>

using namespace barelink;
using namespace rehearsals;

namespace {

struct shape {
    const char* name;
    const char* machine;
    endpoint from;
    std::uint64_t bytes;
    std::uint64_t scratch_bytes = 64 * MiB;
    /// Records that one broadcast can do without: the one that tells the pool when its lanes are free; of a ring's last round those
    /// that no next chunk waits for, 4 of each of 7 children, and 6 at the end that say what the last chunk's said.
    std::uint64_t spare_records = 1;
};

const shape shapes[] = {
    {"rows from both nodes", "hgx-h100-8", endpoint::host_all(), 24 * MiB + 4097},
    {"trees over a mesh", "dgx1-v100", places::host(0), 12 * MiB + 5},
    {"through a ring in host memory", "rtx4090-pcie-8", places::gpu(0), 3 * MiB + 9, 1 * MiB, 1 + 7 * 4 + 6},
    {"a copy a GPU", "l40s-pcie-8", places::host(0), 300001},
};

/// One broadcast from a source that a kernel writes just before, to destinations that a kernel reads just after, while the kernel
/// overwrites the source.
rehearsal one_broadcast(const shape& s, forgotten what, std::uint64_t number) {
    using order_type = ordering_runtime<sim::runtime>;
    using forgetful = dropping_runtime<order_type>;
    simulated_stage stage(s.machine);
    order_type order(stage.on);
    forgetful on(order);
    const machine& m = stage.on.topology();
    const auto stream = stage.on.make_stream(m.gpu(gpu_id{1})).value();
    simulated::buffer src(stage.on, s.from, s.bytes, 0, 1 * MiB);
    std::deque<simulated::buffer> dst;
    rehearsal found;
    {
        mover<forgetful> moves(on, {.scratch_bytes = s.scratch_bytes});
        std::vector<region> to;
        for (const node_index gpu : m.all(node_kind::gpu)) {
            const auto here = endpoint::gpu(gpu_id{m.at(gpu).index});
            if (here == s.from) continue;
            dst.emplace_back(stage.on, here, s.bytes);
            dst.back().clear();
            to.push_back(moves.resolve(dst.back().data(), s.bytes).value());
        }
        const region from = moves.resolve(src.data(), s.bytes).value();
        REQUIRE(moves.plan_for(to, from));
        src.fill(1);
        stage.launch(
            stream, 400, [](void* context) { static_cast<simulated::buffer*>(context)->fill(2); }, &src);
        order.kernel_writes(stream, src.data(), src.size());
        for (const auto& each : dst) order.kernel_writes(stream, each.data(), each.size());
        on.drop(what, number);
        const auto started = moves.broadcast(to, from, stream);
        found.notice(started.has_value(), "the broadcast failed");
        for (const auto& each : dst) order.kernel_reads(stream, each.data(), each.size());
        order.kernel_writes(stream, src.data(), src.size());
        if (started) {
            found.notice(bool(started->wait()), "waiting failed");
            for (const auto& each : dst) order.thread_reads(each.data(), each.size());
            const auto us = started->elapsed_us();
            found.notice(us && *us > 0, "the ticket does not know how long it took");
            for (std::size_t r = 0; r < started->routes(); ++r) {
                const auto tree_us = started->route_us(r);
                found.notice(tree_us && *tree_us > 0 && us && *tree_us <= *us + 1e-3, "a tree's time is wrong");
            }
        }
        on.pause(true);
    }
    found.calls = on.seen();
    found.dropped = on.dropped();
    stage.settle(stream);
    for (const auto& each : dst) {
        found.notice(each.holds(2), "wrong bytes");
        found.notice(each.guarded(), "bytes beside a destination changed");
    }
    found.notice(stage.races() == 0, "copies raced");
    found.by_bytes = found.noticed();
    found.notice(order.violations() == 0, order.first());
    return found;
}

} // namespace

TEST_CASE("A broadcast from which nothing is dropped is in order") {
    for (const shape& s : shapes) {
        INFO(s.name);
        CHECK(one_broadcast(s, forgotten::nothing, 0).why == "");
    }
}

TEST_CASE("Forgetting any one wait of a broadcast is noticed") {
    for (const shape& s : shapes) {
        const std::uint64_t waits = one_broadcast(s, forgotten::wait, ~0ull).calls;
        INFO(s.name << ", " << waits << " waits");
        CHECK(waits >= 8);
        std::uint64_t unnoticed = 0;
        std::string where;
        for (std::uint64_t number = 0; number < waits; ++number) {
            const rehearsal r = one_broadcast(s, forgotten::wait, number);
            if (r.noticed()) continue;
            ++unnoticed;
            where += std::to_string(number) + " " + r.dropped + "; ";
        }
        INFO(where);
        CHECK(unnoticed == 0);
    }
}

TEST_CASE("Forgetting any one record of a broadcast is noticed, but for those that the last chunks do not need") {
    for (const shape& s : shapes) {
        const std::uint64_t records = one_broadcast(s, forgotten::record, ~0ull).calls;
        INFO(s.name << ", " << records << " records");
        std::uint64_t unnoticed = 0;
        std::string where;
        for (std::uint64_t number = 0; number < records; ++number) {
            const rehearsal r = one_broadcast(s, forgotten::record, number);
            if (r.noticed()) continue;
            ++unnoticed;
            where += std::to_string(number) + " " + r.dropped + "; ";
        }
        INFO(where);
        CHECK(unnoticed == s.spare_records);
    }
}
