// The built-in machines: shape, sharing, and rates against published copies.
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/builtin.hpp>

#include "../support/catch.hpp"

using namespace barelink;

namespace {

node_index gpu(const machine& m, int index) {
    return m.gpu(gpu_id{index});
}
node_index numa(const machine& m, int index) {
    return m.memory(numa_id{index});
}
double path_rate(const machine& m, node_index from, node_index to) {
    const dma_path* path = m.path(from, to);
    return path ? path->gb_s : 0;
}

/// Links that both paths cross in the same direction.
std::vector<std::string> shared_links(const machine& m, const dma_path& one, const dma_path& other) {
    std::vector<std::string> shared;
    for (const link_direction a : m.hops(one))
        for (const link_direction b : m.hops(other))
            if (a == b) shared.push_back(m.id(a.link));
    return shared;
}

struct shape {
    const char* name;
    std::size_t gpus, numa_nodes, packages, root_ports, switches, nvswitches, gpu_pairs;
};

/// Ordered GPU pairs with a direct path: all of them under an NVSwitch or with peer access; on a DGX-1 the sixteen NVLink
/// pairs, both ways; none on GeForce.
constexpr shape shapes[] = {
    {"dgx1-v100", 8, 2, 2, 4, 4, 0, 32},
    {"dgx2-v100", 16, 2, 2, 4, 12, 1, 240},
    {"dgx-a100", 8, 8, 2, 4, 12, 1, 56},
    {"hgx-h100-8", 8, 2, 2, 8, 8, 1, 56},
    {"hgx-h200-8", 8, 2, 2, 8, 8, 1, 56},
    {"hgx-b200-8", 8, 2, 2, 8, 8, 1, 56},
    {"gh200", 1, 1, 1, 0, 0, 0, 0},
    {"gb200-4", 4, 2, 2, 0, 0, 1, 12},
    {"l40s-pcie-8", 8, 2, 2, 4, 4, 0, 56},
    {"rtx4090-pcie-8", 8, 2, 2, 8, 0, 0, 0},
    {"a100-pcie-4-switch", 4, 1, 1, 2, 2, 0, 12},
    {"azure-nd-h100-v5-vm", 8, 2, 2, 8, 0, 1, 56},
};

} // namespace

TEST_CASE("the built-in machines are the documented ones", "[machine][builtin]") {
    REQUIRE(builtin::names().size() == std::size(shapes));
    for (std::size_t i = 0; i < std::size(shapes); ++i) {
        CHECK(builtin::names()[i].name == std::string(shapes[i].name));
        CHECK(std::string(builtin::names()[i].description).size() > 20);
    }
}

TEST_CASE("every built-in machine has the shape of its original", "[machine][builtin]") {
    for (const shape& expected : shapes) {
        INFO(expected.name);
        const result<machine> found = builtin::find(expected.name);
        REQUIRE(found);
        const machine& m = *found;
        CHECK(m.name == expected.name);
        CHECK(m.count(node_kind::gpu) == expected.gpus);
        CHECK(m.count(node_kind::memory) == expected.numa_nodes);
        CHECK(m.count(node_kind::package) == expected.packages);
        CHECK(m.count(node_kind::root_port) == expected.root_ports);
        CHECK(m.count(node_kind::pcie_switch) == expected.switches);
        CHECK(m.count(node_kind::nvswitch) == expected.nvswitches);
        CHECK(m.paths().size() == 2 * expected.gpus * expected.numa_nodes + expected.gpu_pairs);
        CHECK(m.virtualized == (m.name == "azure-nd-h100-v5-vm"));
    }
}

TEST_CASE("every built-in machine is complete and consistent", "[machine][builtin]") {
    for (const builtin::entry& each : builtin::names()) {
        INFO(each.name);
        const machine m = each.make();
        REQUIRE(m == each.make());

        std::set<std::string> ids, addresses;
        for (const node& n : m.nodes) {
            INFO(n.id());
            CHECK(ids.insert(n.id()).second);
            if (n.pci.known) CHECK(addresses.insert(to_string(n.pci)).second);
            if (n.kind == node_kind::memory) CHECK(n.bytes > 0);
            if (n.kind != node_kind::gpu) continue;
            const gpu_model* model = find_gpu_model(n.vendor, n.device);
            REQUIRE(model != nullptr);
            CHECK(n.name == model->name);
            CHECK(n.bytes == model->memory_bytes);
            CHECK(n.pci.known);
            CHECK(n.cuda);
            CHECK(m.memory(n.numa) != no_node); // near to a node that exists
        }
        for (std::uint32_t l = 0; l < m.links.size(); ++l) {
            const barelink::link& wire = m.links[l];
            INFO(m.id(link_index{l}));
            CHECK(ids.insert(m.id(link_index{l})).second);
            CHECK(wire.gb_s_ab > 0);
            CHECK(wire.gb_s_ba > 0);
            CHECK(wire.latency_us == default_latency_us(wire.kind));
            CHECK(wire.source == evidence::assumed);
        }
        for (const dma_path& path : m.paths()) CHECK(path.usable());
        // A GPU's own node is never farther than another one.
        for (const node_index g : m.all(node_kind::gpu))
            for (const node_index memory : m.all(node_kind::memory))
                CHECK(m.path(m.memory(m.at(g).numa), g)->hop_count <= m.path(memory, g)->hop_count);
    }
}

TEST_CASE("single paths carry what was published", "[machine][builtin]") {
    // GB/s; sources beside the machines. 0 is not published or not there.
    const struct {
        const char* name;
        double to_device, to_host, pair;
    } published[] = {
        {"dgx1-v100", 12.4, 13.1, 0},      {"dgx2-v100", 12.4, 13.1, 145.6},      {"dgx-a100", 25.7, 25.8, 270},
        {"hgx-h100-8", 55.3, 55.2, 395},   {"hgx-h200-8", 55.4, 55.1, 396},       {"gh200", 378, 297, 0},
        {"rtx4090-pcie-8", 25.9, 26.8, 0}, {"a100-pcie-4-switch", 25.7, 25.8, 0}, {"azure-nd-h100-v5-vm", 51, 52, 395}};
    for (const auto& figure : published) {
        INFO(figure.name);
        const machine m = builtin::find(figure.name).value();
        for (const node_index g : m.all(node_kind::gpu)) {
            const node_index near = m.memory(m.at(g).numa);
            CHECK(path_rate(m, near, g) == Approx(figure.to_device).epsilon(0.02));
            CHECK(path_rate(m, g, near) == Approx(figure.to_host).epsilon(0.02));
            if (figure.pair == 0) continue;
            for (const node_index other : m.all(node_kind::gpu))
                if (other != g) CHECK(path_rate(m, g, other) == Approx(figure.pair).epsilon(0.02));
        }
    }
}

TEST_CASE("eight Hopper GPUs read the host at once without sharing more than DRAM", "[machine][builtin]") {
    for (const char* name : {"hgx-h100-8", "hgx-h200-8", "hgx-b200-8"}) {
        INFO(name);
        const machine m = builtin::find(name).value();
        const dma_path& one = *m.path(numa(m, 0), gpu(m, 0));
        CHECK(shared_links(m, one, *m.path(numa(m, 0), gpu(m, 1))) ==
              std::vector<std::string>{"dram:numa:0-package:0"});
        // Published, all eight at once: 55.2 each to the devices, 44 to 45 each to the host.
        CHECK(m.at(m.hops(one)[0].link).gb_s_ab > 4 * 55.3);
        CHECK(m.at(m.hops(one)[0].link).gb_s_ba == Approx(4 * 44.5).epsilon(0.02));
        CHECK(m.at(gpu(m, 3)).numa == numa_id{0});
        CHECK(m.at(gpu(m, 4)).numa == numa_id{1});
    }
}

TEST_CASE("dgx1-v100 is a hybrid cube mesh", "[machine][builtin]") {
    const machine m = builtin::dgx1_v100();
    const double one = 145.6 / 6;
    // `nvidia-smi topo -m` of a DGX-1V, NV1 and NV2.
    const int links[8][8] = {{0, 1, 1, 2, 2, 0, 0, 0}, {1, 0, 2, 1, 0, 2, 0, 0}, {1, 2, 0, 2, 0, 0, 1, 0},
                             {2, 1, 2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 1, 1, 2}, {0, 2, 0, 0, 1, 0, 2, 1},
                             {0, 0, 1, 0, 1, 2, 0, 2}, {0, 0, 0, 1, 2, 1, 2, 0}};
    for (int a = 0; a < 8; ++a) {
        int total = 0;
        for (int b = 0; b < 8; ++b) {
            INFO("gpu:" << a << " gpu:" << b);
            CHECK(path_rate(m, gpu(m, a), gpu(m, b)) == Approx(links[a][b] * one));
            total += links[a][b];
        }
        CHECK(total == 6);
    }
    // Two GPUs share a switch's uplink.
    const auto shared = shared_links(m, *m.path(numa(m, 0), gpu(m, 2)), *m.path(numa(m, 0), gpu(m, 3)));
    CHECK(shared == std::vector<std::string>{"dram:numa:0-package:0", "pcie:package:0-root:1", "pcie:root:1-switch:1"});
}

TEST_CASE("dgx2-v100 shares a root port among four GPUs", "[machine][builtin]") {
    const machine m = builtin::dgx2_v100();
    const dma_path& first = *m.path(numa(m, 0), gpu(m, 0));
    CHECK(first.hop_count == 5); // dram, root port, two switches, GPU
    CHECK(shared_links(m, first, *m.path(numa(m, 0), gpu(m, 1))).size() == 4);
    CHECK(shared_links(m, first, *m.path(numa(m, 0), gpu(m, 3))).size() == 3);
    CHECK(shared_links(m, first, *m.path(numa(m, 0), gpu(m, 4))).size() == 1);
    CHECK(m.at(gpu(m, 7)).numa == numa_id{0});
    CHECK(m.at(gpu(m, 8)).numa == numa_id{1});
}

TEST_CASE("dgx-a100 keeps its NPS4 locality", "[machine][builtin]") {
    const machine m = builtin::dgx_a100();
    const int near[] = {3, 3, 1, 1, 7, 7, 5, 5};
    for (int g = 0; g < 8; ++g) CHECK(m.at(gpu(m, g)).numa == numa_id{near[g]});
    // One node's DRAM feeds the pair that shares an uplink.
    CHECK(shared_links(m, *m.path(numa(m, 3), gpu(m, 0)), *m.path(numa(m, 3), gpu(m, 1))).size() == 3);
    CHECK(path_rate(m, numa(m, 7), gpu(m, 0)) == Approx(25.7));
}

TEST_CASE("Grace machines have no PCIe to their GPUs", "[machine][builtin]") {
    for (const machine& m : {builtin::gh200(), builtin::gb200_4()}) {
        INFO(m.name);
        for (const barelink::link& wire : m.links) CHECK(wire.kind != link_kind::pcie);
        for (const node_index g : m.all(node_kind::gpu)) {
            const dma_path& path = *m.path(m.memory(m.at(g).numa), g);
            CHECK(path.hop_count == 2);
            CHECK(m.at(m.hops(path)[0].link).gb_s_ab >= path.gb_s); // memory is not what limits
        }
    }
    const machine tray = builtin::gb200_4();
    CHECK(path_rate(tray, gpu(tray, 0), gpu(tray, 3)) == Approx(792));
    CHECK(path_rate(tray, numa(tray, 1), gpu(tray, 0)) == 133);
    CHECK(tray.at(gpu(tray, 1)).numa == numa_id{0});
    CHECK(tray.at(gpu(tray, 2)).numa == numa_id{1});
}

TEST_CASE("card servers differ in peer access and in what they share", "[machine][builtin]") {
    const machine geforce = builtin::rtx4090_pcie_8();
    CHECK(geforce.grants.empty());
    CHECK(geforce.path(gpu(geforce, 0), gpu(geforce, 1)) == nullptr);

    const machine l40s = builtin::l40s_pcie_8();
    CHECK(l40s.grants.size() == 56);
    CHECK(l40s.path(gpu(l40s, 0), gpu(l40s, 1))->hop_count == 2); // below their switch
    CHECK(l40s.path(gpu(l40s, 0), gpu(l40s, 2))->hop_count == 6); // over the package
    CHECK(l40s.path(gpu(l40s, 0), gpu(l40s, 4))->hop_count == 7); // over both
    const dma_path& near = *l40s.path(numa(l40s, 0), gpu(l40s, 0));
    CHECK(l40s.gb_s(l40s.hops(near)[2]) >= 2 * near.gb_s); // the uplink carries both GPUs

    const machine a100 = builtin::a100_pcie_4_switch();
    CHECK(a100.grants.size() == 12);
    const dma_path& path = *a100.path(numa(a100, 0), gpu(a100, 0));
    CHECK(a100.gb_s(a100.hops(path)[2]) == path.gb_s); // the uplink carries one
    CHECK(shared_links(a100, path, *a100.path(numa(a100, 0), gpu(a100, 1))).size() == 3);
    CHECK(shared_links(a100, path, *a100.path(numa(a100, 0), gpu(a100, 2))).size() == 1);
    CHECK(path_rate(a100, gpu(a100, 0), gpu(a100, 1)) == Approx(25.7));
    CHECK(path_rate(a100, gpu(a100, 0), gpu(a100, 3)) == Approx(25.7));
}

TEST_CASE("azure-nd-h100-v5-vm is flat, one PCI domain to a GPU", "[machine][builtin]") {
    const machine m = builtin::azure_nd_h100_v5_vm();
    std::set<std::uint32_t> domains;
    for (const node_index g : m.all(node_kind::gpu)) {
        CHECK(m.at(g).pci.bus == 0);
        CHECK(domains.insert(m.at(g).pci.domain).second);
        CHECK(m.path(m.memory(m.at(g).numa), g)->hop_count == 3);
    }
    for (const node_index port : m.all(node_kind::root_port)) CHECK_FALSE(m.at(port).pci.known);
}

TEST_CASE("find knows every name and helps with the others", "[machine][builtin]") {
    for (const builtin::entry& each : builtin::names()) {
        const result<machine> found = builtin::find(each.name);
        REQUIRE(found);
        CHECK(*found == each.make());
    }
    const struct {
        const char* asked;
        const char* offered; // empty: nothing is near
    } misspelt[] = {{"hgx-h100", "hgx-h100-8"},
                    {"dgx1v100", "dgx1-v100"},
                    {"dgx-a1oo", "dgx-a100"},
                    {"HGX-h100-8", "hgx-h100-8"},
                    {"gh100", "gh200"},
                    {"4090", "rtx4090-pcie-8"},
                    {"azure", "azure-nd-h100-v5-vm"},
                    {"h100", "hgx-h100-8"},
                    {"zzz", ""},
                    {"", ""}};
    for (const auto& each : misspelt) {
        INFO("'" << each.asked << "'");
        const result<machine> missing = builtin::find(each.asked);
        REQUIRE_FALSE(missing);
        CHECK(missing.error().code() == errc::not_found);
        CHECK(missing.error().object() == std::string(each.asked));
        const std::string what = missing.error().what();
        CHECK(what.find('\n') == std::string::npos);
        for (const builtin::entry& known : builtin::names()) CHECK(what.find(known.name) != std::string::npos);
        const std::string offer = std::string("did you mean '") + each.offered + "'?";
        CHECK((what.find("did you mean") != std::string::npos) == (*each.offered != '\0'));
        if (*each.offered) CHECK(what.find(offer) != std::string::npos);
    }
    CHECK_FALSE(builtin::find(nullptr));
}

TEST_CASE("edit distance counts insertions, deletions and replacements", "[machine][builtin]") {
    CHECK(builtin::detail::edit_distance("", "") == 0);
    CHECK(builtin::detail::edit_distance("gh200", "gh200") == 0);
    CHECK(builtin::detail::edit_distance("", "abc") == 3);
    CHECK(builtin::detail::edit_distance("abc", "") == 3);
    CHECK(builtin::detail::edit_distance("kitten", "sitting") == 3);
    CHECK(builtin::detail::edit_distance("ab", "ba") == 2);
    CHECK(builtin::detail::edit_distance("dgx1v100", "dgx1-v100") == 1);
}
