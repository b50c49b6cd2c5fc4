// What a test says about a whole machine in one row.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include <barelink/machine/machine.hpp>

#include "catch.hpp"

namespace test {

struct expected_machine {
    const char* file;
    std::size_t packages, memories, switches, gpus, cuda_gpus;
    std::size_t nvlink_pairs, nvswitch_links, c2c_links;
    double gpu_gb_s;    ///< of the slowest PCIe link into a GPU
    double nvlink_gb_s; ///< of the slowest NVLink
    bool virtualized;
};

struct counted_machine {
    std::size_t pairs = 0, hub = 0, c2c = 0, cuda = 0;
    double gpu_gb_s = 0, nvlink_gb_s = 0;

    explicit counted_machine(const barelink::machine& m) {
        using namespace barelink;
        const auto slowest = [](double& kept, double gb_s) { kept = kept == 0 || gb_s < kept ? gb_s : kept; };
        for (const node& each : m.nodes) cuda += each.cuda;
        for (const barelink::link& each : m.links) {
            if (each.kind == link_kind::nvlink) {
                ++(m.at(each.b).kind == node_kind::nvswitch ? hub : pairs);
                slowest(nvlink_gb_s, each.gb_s_ab);
            }
            c2c += each.kind == link_kind::c2c;
            if (each.kind == link_kind::pcie && m.at(each.b).kind == node_kind::gpu) slowest(gpu_gb_s, each.gb_s_ab);
        }
    }
};

inline void check(const barelink::machine& m, const expected_machine& row) {
    using namespace barelink;
    INFO(row.file);
    const counted_machine counted(m);
    CHECK(m.count(node_kind::package) == row.packages);
    CHECK(m.count(node_kind::memory) == row.memories);
    CHECK(m.count(node_kind::pcie_switch) == row.switches);
    CHECK(m.count(node_kind::gpu) == row.gpus);
    CHECK(counted.cuda == row.cuda_gpus);
    CHECK(counted.pairs == row.nvlink_pairs);
    CHECK(counted.hub == row.nvswitch_links);
    CHECK(counted.c2c == row.c2c_links);
    CHECK(m.count(node_kind::nvswitch) == (row.nvswitch_links > 0 ? 1u : 0u));
    CHECK(counted.gpu_gb_s == Approx(row.gpu_gb_s).epsilon(0.002));
    CHECK(counted.nvlink_gb_s == Approx(row.nvlink_gb_s).epsilon(0.002));
    CHECK(m.virtualized == row.virtualized);
}

/// What holds for every machine that a reader makes.
inline void check_invariants(const barelink::machine& m) {
    using namespace barelink;
    INFO(m.name);
    std::vector<std::string> ids;
    for (const node& each : m.nodes) ids.push_back(each.id());
    for (std::uint32_t l = 0; l < m.links.size(); ++l) {
        ids.push_back(m.id(link_index{l}));
        INFO(ids.back());
        CHECK(m.links[l].gb_s_ab > 0);
        CHECK(m.links[l].gb_s_ba > 0);
        CHECK(m.links[l].latency_us > 0);
    }
    const std::size_t all = ids.size();
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    CHECK(ids.size() == all);
    for (const node_index gpu : m.all(node_kind::gpu)) {
        if (!m.at(gpu).cuda) continue;
        for (const node_index memory : m.all(node_kind::memory)) {
            INFO(m.at(memory).id() << " " << m.at(gpu).id());
            REQUIRE(m.path(memory, gpu) != nullptr);
            REQUIRE(m.path(gpu, memory) != nullptr);
            CHECK(m.path(memory, gpu)->usable());
        }
    }
    for (const node& each : m.nodes)
        if (each.numa != unknown_numa) CHECK(m.memory(each.numa) != no_node);
    machine again = m;
    again.connect();
    CHECK(again == m);
}

/// The note whose object holds `object` (whole, between commas) and whose text holds `said`; nullptr when there is
/// none.
inline const barelink::machine_note* find_note(const barelink::machine& m, const std::string& object,
                                               const std::string& said) {
    for (const barelink::machine_note& each : m.notes)
        if (("," + each.object + ",").find("," + object + ",") != std::string::npos &&
            each.said.find(said) != std::string::npos)
            return &each;
    return nullptr;
}

/// GB/s from a node to another over a link of one kind; 0 when none joins them.
inline double rate(const barelink::machine& m, barelink::link_kind kind, const std::string& a, const std::string& b) {
    for (const barelink::link& each : m.links)
        if (each.kind == kind && m.at(each.a).id() == a && m.at(each.b).id() == b) return each.gb_s_ab;
    return 0;
}

} // namespace test
