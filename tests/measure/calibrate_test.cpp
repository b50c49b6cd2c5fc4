// Calibration on simulated servers whose links are not what is assumed of them.
#include <barelink/measure/calibrate.hpp>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/measure/random.hpp>
#include <barelink/move/sim_runtime.hpp>
#include <barelink/plan/planner.hpp>

#include "support/catch.hpp"

namespace calibrate_test {

using namespace barelink;

[[nodiscard]] inline sim::options without_bytes() {
    sim::options chosen;
    chosen.timing_only = true;
    return chosen;
}

/// Every time between two events is off by up to `noise`, as a share, as on real GPUs. One type for all tests: each type of
/// runtime compiles all of calibration anew.
struct unsteady : sim::runtime {
    using sim::runtime::runtime;
    [[nodiscard]] result<double> elapsed_us(sim::event from, sim::event to) {
        auto us = sim::runtime::elapsed_us(from, to);
        if (us && noise > 0) *us *= 1 - noise + 2 * noise * random.uniform();
        return us;
    }
    double noise = 0;
    random_numbers random{11};
};

/// The server that stands there, of what is assumed: every link a little different, packages' links a lot slower, memory
/// slow enough to be seen.
[[nodiscard]] inline machine standing(const machine& assumed, std::uint64_t seed) {
    machine real = assumed;
    random_numbers random(seed);
    const auto between = [&](double low, double high) { return low + (high - low) * random.uniform(); };
    for (barelink::link& each : real.links) {
        const double least = each.kind == link_kind::cpu || each.kind == link_kind::dram ? 0.3 : 0.75;
        each.gb_s_ab *= between(least, 1.1);
        each.gb_s_ba *= between(least, 1.1);
    }
    real.connect();
    return real;
}

/// What a direction carries as far as anybody can tell: the least of all that the same paths cross.
[[nodiscard]] inline double observable_gb_s(const machine& m, link_direction where) {
    const auto crossing = [&](link_direction d) {
        std::vector<const dma_path*> paths;
        for (const dma_path& path : m.paths())
            for (const link_direction hop : m.hops(path))
                if (hop == d) paths.push_back(&path);
        return paths;
    };
    const auto wanted = crossing(where);
    double least = m.gb_s(where);
    if (m.at(where.link).kind == link_kind::dram || m.at(where.link).kind == link_kind::cpu) return least;
    for (std::uint32_t slot = 0; slot < 2 * m.links.size(); ++slot) {
        const link_direction other = link_direction::from_slot(slot);
        if (m.at(other.link).kind != link_kind::dram && m.at(other.link).kind != link_kind::cpu &&
            crossing(other) == wanted)
            least = std::min(least, m.gb_s(other));
    }
    return least;
}

[[nodiscard]] inline double planned_us(const machine& m, const char* from, const char* to, bool relays) {
    request asked;
    asked.from = parse_endpoint(from).value();
    asked.to = parse_endpoint(to).value();
    asked.bytes = 4 * GiB;
    if (relays) asked.relays = gpu_set::all();
    return default_planner(m).make(asked).value().predicted_us;
}

[[nodiscard]] inline int known(const calibration& found, link_knowledge how) {
    int count = 0;
    for (const calibrated_link& each : found.links) count += each.known == how ? 1 : 0;
    return count;
}

[[nodiscard]] inline std::string notes_of(const calibration& found) {
    std::string all;
    for (const machine_note& each : found.notes) all += each.object + ": " + each.said + "\n";
    return all;
}

} // namespace calibrate_test

using namespace calibrate_test;

TEST_CASE("calibration finds the rates of a server that is not as assumed") {
    const char* const names[] = {"hgx-h100-8",         "l40s-pcie-8",    "dgx1-v100", "dgx-a100",
                                 "a100-pcie-4-switch", "rtx4090-pcie-8", "gh200"};
    for (const char* const name : names)
        for (const std::uint64_t seed : {1u, 2u}) {
            const machine assumed = builtin::find(name).value();
            const machine real = standing(assumed, seed);
            unsteady server(real, without_bytes());
            const auto found = calibrate(server, assumed);
            INFO(name << " seed " << seed);
            REQUIRE(found.has_value());
            INFO(notes_of(*found));
            for (const calibrated_link& each : found->links) {
                INFO(real.id(each.where.link) << (each.where.reverse ? " back" : " forth") << ": " << each.before_gb_s
                                              << " -> " << each.gb_s << ", really " << real.gb_s(each.where));
                CHECK(each.known != link_knowledge::unseen);
                CHECK(each.seen_gb_s <= real.gb_s(each.where) * 1.01);
                if (each.known == link_knowledge::measured && !each.chosen)
                    CHECK(each.gb_s == Approx(observable_gb_s(real, each.where)).epsilon(0.02));
            }
            for (const dma_path& path : real.paths()) {
                INFO(real.at(path.from).id() << " -> " << real.at(path.to).id());
                CHECK(found->calibrated.path(path.from, path.to)->gb_s == Approx(path.gb_s).epsilon(0.02));
            }
            CHECK(server.allocations() == 0);
            CHECK(found->complete);
            CHECK(found->took_us < 30e6);
        }
}

TEST_CASE("plans on the calibrated machine take the time that they take on the real one") {
    for (const char* const name : {"hgx-h100-8", "l40s-pcie-8", "dgx1-v100"}) {
        const machine assumed = builtin::find(name).value(), real = standing(assumed, 7);
        unsteady server(real, without_bytes());
        const machine found = calibrate(server, assumed).value().calibrated;
        double worst_before = 0;
        for (const auto& [from, to] : {std::pair{"host:0", "gpu:0"},
                                       {"host:1", "gpu:0"},
                                       {"host:all", "gpu:3"},
                                       {"gpu:5", "host:all"},
                                       {"gpu:0", "gpu:4"},
                                       {"pageable:0", "gpu:6"}})
            for (const bool relays : {false, true}) {
                INFO(name << ": " << from << " -> " << to << (relays ? " over relays" : ""));
                const double really = planned_us(real, from, to, relays);
                CHECK(planned_us(found, from, to, relays) == Approx(really).epsilon(0.03));
                worst_before = std::max(worst_before, std::abs(planned_us(assumed, from, to, relays) / really - 1));
            }
        CHECK(worst_before > 0.15); // or the test would say nothing
    }
}

TEST_CASE("calibration finds what copies cost besides their bytes, and what directions take from each other") {
    const machine assumed = builtin::hgx_h100_8();
    machine real = assumed;
    real.costs.submit_us = 3.1;
    real.costs.engine_us = 0.6;
    real.costs.chain_read_us = 1.1;
    real.costs.chain_posted_us = 0.7;
    real.costs.chain_nvlink_us = 3.2;
    real.costs.event_us = 0.4;
    real.costs.wake_us = 2.2;
    real.costs.host_copy_gb_s = 6.5;
    real.costs.driver_staging_us = 9;
    real.blocks.batch_us = 7;
    real.blocks.batch_block_us = 0.8;
    real.blocks.row_us = 0.12;
    real.blocks.device_gb_s = 1400;
    for (barelink::link& each : real.links) {
        if (each.lost_ab > 0) each.lost_ab = 0.2;
        if (each.lost_ba > 0) each.lost_ba = 0.3;
    }
    real.connect();
    unsteady server(real, without_bytes());
    server.require_access(); // nobody has it: the driver stages
    calibrate_options options;
    options.peers_closed = true;
    options.gpus = {real.gpu(gpu_id{0}), real.gpu(gpu_id{1})};
    const calibration found = calibrate(server, assumed, options).value();
    const copy_costs& costs = found.calibrated.costs;
    CHECK(costs.submit_us == Approx(3.1).epsilon(0.01));
    CHECK(costs.engine_us == Approx(0.6).epsilon(0.02));
    CHECK(costs.chain_read_us == Approx(1.1).epsilon(0.03));
    CHECK(costs.chain_posted_us == Approx(0.7).epsilon(0.03));
    CHECK(costs.event_us == Approx(0.4).epsilon(0.01));
    CHECK(costs.wake_us == Approx(2.2).epsilon(0.02));
    CHECK(costs.host_copy_gb_s == Approx(6.5).epsilon(0.02));
    CHECK(costs.driver_staging_us == Approx(9).epsilon(0.05));
    CHECK(costs.source == evidence::measured);
    const block_costs& blocks = found.calibrated.blocks;
    CHECK(blocks.batch_us == Approx(7).epsilon(0.01));
    CHECK(blocks.batch_block_us == Approx(0.8).epsilon(0.02));
    CHECK(blocks.row_us == Approx(0.12).epsilon(0.02));
    CHECK(blocks.device_gb_s == Approx(1400).epsilon(0.02));
    CHECK(blocks.of(block_cost::row_us) == evidence::measured);
    CHECK(blocks.of(block_cost::kernel_us) == evidence::assumed); // no bytes, no kernel
    CHECK(blocks.kernel_us == assumed.blocks.kernel_us);
    for (std::uint32_t l = 0; l < real.links.size(); ++l) {
        const bool used = real.links[l].b == real.find(node_kind::root_port, 0) ||
                          real.links[l].b == real.find(node_kind::root_port, 1);
        if (!used) continue;
        INFO(real.id(link_index{l}));
        CHECK(found.calibrated.links[l].lost_ab == Approx(real.links[l].lost_ab).margin(0.02));
        CHECK(found.calibrated.links[l].lost_ba == Approx(real.links[l].lost_ba).margin(0.02));
    }
}

TEST_CASE("only the GPUs listed are used, and time is bounded") {
    const machine assumed = builtin::hgx_h100_8();
    sim::options traced = without_bytes();
    traced.trace = true;
    unsteady server(assumed, traced);
    calibrate_options options;
    options.gpus = {assumed.gpu(gpu_id{2}), assumed.gpu(gpu_id{5})};
    options.memory_bytes = 512 * MiB;
    const calibration found = calibrate(server, assumed, options).value();
    for (const copy_record& each : server.trace())
        for (const node_index end : {each.from, each.to})
            CHECK((assumed.at(end).kind != node_kind::gpu || end == options.gpus[0] || end == options.gpus[1]));
    CHECK(known(found, link_knowledge::measured) > 8);
    CHECK(known(found, link_knowledge::unseen) == 6 * 2 * 4); // three PCIe links and an NVLink of six GPUs
    CHECK(found.complete);

    options.gpus.clear();
    options.time_limit_us = 100e3;
    unsteady other(assumed, without_bytes());
    const calibration hasty = calibrate(other, assumed, options).value();
    CHECK_FALSE(hasty.complete);
    CHECK(hasty.took_us < 200e3);
    CHECK(known(hasty, link_knowledge::measured) < known(calibrate(other, assumed).value(), link_knowledge::measured));
    CHECK(notes_of(hasty).find("time limit") != std::string::npos);
}

TEST_CASE("what the machine's links cannot explain is said") {
    // It stands there as two GPUs at one switch; it is taken for two at one each.
    const machine real = builtin::a100_pcie_4_switch();
    machine assumed = real;
    for (barelink::link& each : assumed.links)
        if (each.b == real.gpu(gpu_id{1})) each.a = real.find(node_kind::pcie_switch, 1);
    assumed.connect();
    unsteady server(real, without_bytes());
    const calibration found = calibrate(server, assumed).value();
    const std::string notes = notes_of(found);
    INFO(notes);
    CHECK(notes.find("numa:0 -> gpu:0, numa:0 -> gpu:1: share something that the machine does not show") !=
          std::string::npos);
    CHECK(found.calibrated.notes.size() > assumed.notes.size());

    CHECK(notes_of(calibrate(server, real).value()).find("share something") == std::string::npos);
    CHECK(server.allocations() == 0);

    sim::faults dying; // in the middle of it
    dying.links.push_back({server.topology().hops(*real.path(real.memory(numa_id{0}), real.gpu(gpu_id{2}))).back(),
                           server.now_us() + 20e3, 0});
    server.inject(dying);
    CHECK(calibrate(server, real).error().code() == errc::device);
    CHECK(server.allocations() == 0);
    CHECK(calibrate(server, builtin::gh200()).error().code() == errc::invalid_argument);
}

TEST_CASE("calibration bears with times that are not exact") {
    for (const char* const name : {"hgx-h100-8", "l40s-pcie-8", "dgx-a100"}) {
        const machine assumed = builtin::find(name).value(), real = standing(assumed, 3);
        unsteady server(real, without_bytes());
        server.noise = 0.01;
        const calibration found = calibrate(server, assumed).value();
        INFO(name << "\n" << notes_of(found));
        for (const dma_path& path : real.paths()) {
            INFO(real.at(path.from).id() << " -> " << real.at(path.to).id());
            CHECK(found.calibrated.path(path.from, path.to)->gb_s == Approx(path.gb_s).epsilon(0.04));
        }
        for (const calibrated_link& each : found.links) {
            INFO(real.id(each.where.link) << (each.where.reverse ? " back" : " forth"));
            if (each.known == link_knowledge::measured && !each.chosen)
                CHECK(each.gb_s == Approx(observable_gb_s(real, each.where)).epsilon(0.04));
        }
        CHECK(notes_of(found).find("share something") == std::string::npos);
    }
}
