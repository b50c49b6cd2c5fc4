// What CUDA says of its GPUs, laid over what the PCI tree shows: fabricated answers on fabricated machines.
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/detail/assemble.hpp>
#include <barelink/machine/detail/merge_gpu_facts.hpp>

#include "support/catch.hpp"
#include "support/expected_machine.hpp"

using namespace barelink;
using barelink::cuda::answer;
using barelink::cuda::gpu_inventory;
using barelink::detail::machine_sketch;
using barelink::detail::sketched_device;
using test::find_note;
using test::rate;

namespace {

pci_address bus(unsigned number) {
    return {0, static_cast<std::uint8_t>(number), 0, 0, true};
}

/// Packages with one NUMA node each.
machine_sketch box(int packages) {
    machine_sketch seen;
    seen.name = "box";
    seen.live = true;
    for (int p = 0; p < packages; ++p) {
        seen.packages.push_back({"CPU", "GenuineIntel", 6, 143});
        seen.memories.push_back({p, 64 * GiB, p, 0});
    }
    return seen;
}

int add(machine_sketch& seen, node_kind kind, unsigned number, int parent, int package,
        const gpu_model* model = nullptr) {
    sketched_device added;
    added.kind = kind;
    added.pci = bus(number);
    added.parent = parent;
    added.package = added.numa = package;
    added.cuda = kind == node_kind::gpu;
    if (model) {
        added.vendor = model->vendor;
        added.device = model->device;
        added.name = model->name;
    }
    seen.devices.push_back(added);
    return static_cast<int>(seen.devices.size()) - 1;
}

/// GPUs on buses 0x10, 0x11, ... behind a root port each, half of them on each package.
machine_sketch gpu_box(std::uint16_t device, int gpus, int packages = 2) {
    machine_sketch seen = box(packages);
    const gpu_model* model = find_gpu_model(nvidia_vendor, device);
    for (int g = 0; g < gpus; ++g) {
        const int package = g * packages / gpus;
        const int port = add(seen, node_kind::root_port, 0x80 + static_cast<unsigned>(g), -1, package);
        add(seen, node_kind::gpu, 0x10 + static_cast<unsigned>(g), port, package, model);
    }
    return seen;
}

/// CUDA's answers for GPUs on those buses; no pair may copy directly.
gpu_inventory answers(std::uint16_t device, std::vector<int> buses, std::vector<int> numa = {}) {
    const gpu_model* model = find_gpu_model(nvidia_vendor, device);
    gpu_inventory said;
    for (std::size_t g = 0; g < buses.size(); ++g) {
        cuda::gpu_facts gpu;
        gpu.ordinal = static_cast<int>(g);
        gpu.pci = bus(static_cast<unsigned>(buses[g]));
        gpu.name = model->name;
        gpu.sm = model->sm;
        gpu.memory_bytes = model->memory_bytes - GiB; // what is left to programs
        gpu.host_numa = numa_id{g < numa.size() ? numa[g] : -1};
        gpu.copy_engines = 3;
        gpu.host_atomics = gpu.pageable_access = gpu.host_page_tables = answer::no;
        said.gpus.push_back(gpu);
    }
    cuda::peer_facts none;
    none.access = none.native_atomics = answer::no;
    none.performance_rank = 0; // as drivers answer for pairs without access
    said.peers.assign(buses.size() * buses.size(), none);
    return said;
}

void grant(gpu_inventory& said, std::size_t from, std::size_t to, bool nvlink, int rank = 0) {
    said.peer(from, to).access = answer::yes;
    said.peer(from, to).native_atomics = nvlink ? answer::yes : answer::no;
    said.peer(from, to).performance_rank = rank;
}

void grant_all(gpu_inventory& said, bool nvlink) {
    for (std::size_t a = 0; a < said.gpus.size(); ++a)
        for (std::size_t b = 0; b < said.gpus.size(); ++b)
            if (a != b) grant(said, a, b, nvlink);
}

machine merged(machine_sketch seen, const gpu_inventory& said) {
    detail::merge_gpu_facts(seen, said);
    machine made = detail::assemble(std::move(seen)).value();
    test::check_invariants(made);
    return made;
}

bool allowed(const machine& m, int from, int to) {
    const dma_path* path = m.path(m.gpu(gpu_id{from}), m.gpu(gpu_id{to}));
    return path && path->allowed;
}

} // namespace

TEST_CASE("CUDA's order, memory and grants over the PCI tree", "[machine][cuda]") {
    gpu_inventory said = answers(0x26b9, {0x13, 0x12, 0x11, 0x10}, {1, 1, 0, 0});
    grant_all(said, false);
    const machine m = merged(gpu_box(0x26b9, 4), said);
    CHECK(m.count(node_kind::gpu) == 4);
    for (int g = 0; g < 4; ++g) {
        const node& gpu = m.at(m.gpu(gpu_id{g}));
        CHECK(gpu.pci == bus(0x13 - static_cast<unsigned>(g)));
        CHECK(gpu.bytes == 47 * GiB);
        CHECK(gpu.numa == numa_id{g < 2 ? 1 : 0});
        CHECK(gpu.cuda);
    }
    CHECK(m.count(node_kind::nvswitch) == 0);
    for (const barelink::link& each : m.links) CHECK(each.kind != link_kind::nvlink);
    const dma_path* path = m.path(m.gpu(gpu_id{0}), m.gpu(gpu_id{3}));
    REQUIRE(path);
    CHECK(path->allowed);
    CHECK(path->proof == delivery::unproved);
    CHECK_FALSE(path->usable());
}

TEST_CASE("GPUs that CUDA does not show are drawn and not used", "[machine][cuda]") {
    gpu_inventory said = answers(0x2330, {0x16, 0x11}, {1, 0}); // CUDA_VISIBLE_DEVICES=6,1
    grant_all(said, true);
    const machine m = merged(gpu_box(0x2330, 8), said);
    CHECK(m.count(node_kind::gpu) == 8);
    CHECK(m.at(m.gpu(gpu_id{0})).pci == bus(0x16));
    CHECK(m.at(m.gpu(gpu_id{1})).pci == bus(0x11));
    for (int g = 2; g < 8; ++g) CHECK_FALSE(m.at(m.gpu(gpu_id{g})).cuda);
    CHECK(m.at(m.gpu(gpu_id{2})).pci == bus(0x10));
    CHECK(find_note(m, "0000:10:00.0", "CUDA does not show this GPU"));
    CHECK_FALSE(find_note(m, "0000:16:00.0", "CUDA does not show"));
    // Eight of them stand on NVSwitch, whatever this process sees.
    CHECK(rate(m, link_kind::nvlink, "gpu:0", "nvswitch") == Approx(395));
    CHECK(allowed(m, 0, 1));
}

TEST_CASE("no GPU visible leaves none to plan over", "[machine][cuda]") {
    const machine m = merged(gpu_box(0x2330, 8), {});
    CHECK(m.count(node_kind::gpu) == 8);
    for (const node_index gpu : m.all(node_kind::gpu)) CHECK_FALSE(m.at(gpu).is_memory());
}

TEST_CASE("a flat VM gets its GPUs from CUDA", "[machine][cuda]") {
    machine_sketch seen = box(2);
    seen.virtualized = true;
    gpu_inventory said = answers(0x2330, {1, 2, 3, 4, 5, 6, 7, 8}, {0, 0, 0, 0, 1, 1, 1, 1});
    grant_all(said, true);
    const machine m = merged(seen, said);
    CHECK(m.count(node_kind::gpu) == 8);
    CHECK(m.count(node_kind::root_port) == 8);
    CHECK(m.count(node_kind::nvswitch) == 1);
    CHECK(rate(m, link_kind::nvlink, "gpu:7", "nvswitch") == Approx(395));
    CHECK(m.at(m.gpu(gpu_id{7})).numa == numa_id{1});
    CHECK(m.at(m.find(node_kind::root_port, 7)).numa == numa_id{1});
    CHECK(m.path(m.memory(numa_id{1}), m.gpu(gpu_id{7}))->hop_count == 3); // not over the CPU link
    CHECK(find_note(m, "gpu:3", "hides the PCIe tree"));
    CHECK_FALSE(find_note(m, "gpu:3", "the PCI tree does not"));
    for (const barelink::link& each : m.links)
        if (each.kind == link_kind::nvlink) CHECK(each.source == evidence::assumed);
}

TEST_CASE("ports follow their GPUs to the node that CUDA names", "[machine][cuda]") {
    machine_sketch seen = box(2);
    const gpu_model* model = find_gpu_model(nvidia_vendor, 0x26b9);
    const int port = add(seen, node_kind::root_port, 0x80, -1, -1);
    const int shared = add(seen, node_kind::pcie_switch, 0x81, port, -1);
    add(seen, node_kind::gpu, 0x10, shared, -1, model);
    add(seen, node_kind::gpu, 0x11, shared, -1, model);
    const machine m = merged(seen, answers(0x26b9, {0x10, 0x11}, {1, 1}));
    CHECK(m.at(m.find(node_kind::root_port, 0)).numa == numa_id{1});
    CHECK(m.at(m.find(node_kind::pcie_switch, 0)).numa == numa_id{1});
    CHECK(m.path(m.memory(numa_id{1}), m.gpu(gpu_id{0}))->hop_count == 4);
    CHECK(m.path(m.memory(numa_id{0}), m.gpu(gpu_id{0}))->hop_count == 5);

    SECTION("not when they disagree") {
        const machine split = merged(seen, answers(0x26b9, {0x10, 0x11}, {0, 1}));
        CHECK(split.at(split.find(node_kind::pcie_switch, 0)).numa == unknown_numa);
        CHECK(split.at(split.gpu(gpu_id{1})).numa == numa_id{1});
    }
}

TEST_CASE("where a GPU is: CUDA's node, the tree's where CUDA knows none", "[machine][cuda]") {
    SECTION("CUDA knows none") {
        const machine m = merged(gpu_box(0x26b9, 2), answers(0x26b9, {0x10, 0x11}));
        CHECK(m.at(m.gpu(gpu_id{1})).numa == numa_id{1});
        CHECK(m.notes.empty() == false); // the links' own
        CHECK_FALSE(find_note(m, "gpu:1", "near"));
    }
    SECTION("they contradict each other") {
        const machine m = merged(gpu_box(0x26b9, 2), answers(0x26b9, {0x10, 0x11}, {0, 0}));
        CHECK(m.at(m.gpu(gpu_id{1})).numa == numa_id{0});
        CHECK(m.path(m.memory(numa_id{0}), m.gpu(gpu_id{1}))->hop_count == 3);
        CHECK(find_note(m, "gpu:1", "CUDA is believed"));
        CHECK_FALSE(find_note(m, "gpu:0", "CUDA is believed"));
    }
    SECTION("nobody knows") {
        machine_sketch seen = gpu_box(0x26b9, 2);
        for (sketched_device& each : seen.devices) each.package = each.numa = -1;
        const machine m = merged(seen, answers(0x26b9, {0x10, 0x11}));
        CHECK(m.at(m.gpu(gpu_id{0})).numa == unknown_numa);
        CHECK(find_note(m, "gpu:0", "nothing says which package"));
        CHECK(find_note(m, "gpu:1", "nothing says which package"));
    }
    SECTION("one package of several nodes") {
        machine_sketch seen = gpu_box(0x26b9, 1, 1);
        seen.memories.push_back({1, 64 * GiB, 0, 0});
        for (sketched_device& each : seen.devices) each.numa = -1;
        const machine unknown = merged(seen, answers(0x26b9, {0x10}));
        CHECK(find_note(unknown, "gpu:0", "which NUMA node"));
        const machine known = merged(seen, answers(0x26b9, {0x10}, {1}));
        CHECK(known.at(known.gpu(gpu_id{0})).numa == numa_id{1});
        CHECK_FALSE(find_note(known, "gpu:0", "which NUMA node"));
    }
    SECTION("CUDA names a node that has no memory here") {
        const machine m = merged(gpu_box(0x26b9, 2), answers(0x26b9, {0x10, 0x11}, {0, 5}));
        CHECK(m.at(m.gpu(gpu_id{1})).numa == numa_id{1});
        CHECK(find_note(m, "gpu:1", "numa:5"));
    }
    SECTION("one node only") {
        const machine m = merged(box(1), answers(0x26b9, {0x10}));
        CHECK(find_note(m, "gpu:0", "the PCI tree does not"));
        CHECK(m.at(m.gpu(gpu_id{0})).numa == numa_id{0});
    }
}

TEST_CASE("grants hold in one direction", "[machine][cuda]") {
    gpu_inventory said = answers(0x26b9, {0x10, 0x11, 0x12}, {0, 0, 1});
    grant_all(said, false);
    said.peer(1, 0).access = answer::no;
    said.peer(2, 0).access = answer::unknown;
    const machine m = merged(gpu_box(0x26b9, 3), said);
    CHECK(allowed(m, 0, 1));
    CHECK_FALSE(allowed(m, 1, 0));
    CHECK(find_note(m, "gpu:0-gpu:1", "not back"));
    CHECK_FALSE(find_note(m, "gpu:1-gpu:0", "not back"));
    CHECK(allowed(m, 2, 0)); // by the table
    CHECK(find_note(m, "gpu:2-gpu:0", "did not say"));

    SECTION("on NVSwitch too") {
        gpu_inventory board = answers(0x2330, {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17});
        grant_all(board, true);
        board.peer(3, 4).access = answer::no;
        const machine hgx = merged(gpu_box(0x2330, 8), board);
        CHECK_FALSE(allowed(hgx, 3, 4));
        CHECK(allowed(hgx, 4, 3));
        CHECK(allowed(hgx, 3, 5));
    }
}

TEST_CASE("split GPUs have no peers", "[machine][cuda]") {
    gpu_inventory said = answers(0x20b2, {0x10, 0x10, 0x11}, {0, 0, 1});
    grant_all(said, true);
    for (int g : {0, 1}) {
        said.gpus[static_cast<std::size_t>(g)].mig = true;
        said.gpus[static_cast<std::size_t>(g)].name = "NVIDIA A100-SXM4-80GB MIG 3g.40gb";
        said.gpus[static_cast<std::size_t>(g)].memory_bytes = 40 * GiB;
    }
    const machine m = merged(gpu_box(0x20b2, 2), said);
    CHECK(m.count(node_kind::gpu) == 3);
    CHECK(m.at(m.gpu(gpu_id{1})).pci == m.at(m.gpu(gpu_id{0})).pci);
    CHECK(m.at(m.gpu(gpu_id{1})).bytes == 40 * GiB);
    CHECK(find_note(m, "gpu:0", "MIG"));
    CHECK(find_note(m, "gpu:1", "MIG"));
    for (int a = 0; a < 3; ++a)
        for (int b = 0; b < 3; ++b)
            if (a != b) CHECK_FALSE(allowed(m, a, b));
}

TEST_CASE("GH200: coherent, and its memory is a NUMA node", "[machine][cuda]") {
    machine_sketch seen = box(1);
    seen.packages[0] = {}; // Linux names no Arm CPU
    seen.memories.push_back({1, 96 * GiB, 0, 0});
    add(seen, node_kind::root_port, 0x80, -1, 0);
    add(seen, node_kind::gpu, 0x10, 0, 0, find_gpu_model(nvidia_vendor, 0x2342));
    gpu_inventory said = answers(0x2342, {0x10}, {0});
    cuda::gpu_facts& gpu = said.gpus[0];
    gpu.host_atomics = gpu.pageable_access = gpu.host_page_tables = answer::yes;
    gpu.memory_numa = numa_id{1};
    SECTION("of the table") {}
    SECTION("of another name") {
        seen.devices[1].device = 0x2348;
        seen.devices[1].name = gpu.name = "NVIDIA GH200 144G HBM3e";
    }
    SECTION("of a virtual machine, where it is not in the tree") {
        seen.devices.clear();
        seen.virtualized = true;
    }
    const machine m = merged(seen, said);
    CHECK_FALSE(find_note(m, "gpu:0", "PCI"));
    CHECK(m.count(node_kind::memory) == 1);
    CHECK(m.count(node_kind::root_port) == 0);
    CHECK(rate(m, link_kind::c2c, "package:0", "gpu:0") == Approx(378));
    CHECK(m.at(m.find(node_kind::package, 0)).name == "NVIDIA Grace");
    CHECK(find_note(m, "numa:1", "memory of a GPU"));
}

TEST_CASE("POWER's coherent link is not taken for Grace's", "[machine][cuda]") {
    gpu_inventory said = answers(0x1db1, {0x10}, {0});
    said.gpus[0].host_atomics = said.gpus[0].pageable_access = said.gpus[0].host_page_tables = answer::yes;
    const machine m = merged(gpu_box(0x1db1, 1), said);
    CHECK(rate(m, link_kind::c2c, "package:0", "gpu:0") == 0);
    CHECK(find_note(m, "gpu:0", "coherent"));
}

TEST_CASE("one copy engine is noted", "[machine][cuda]") {
    gpu_inventory said = answers(0x26b9, {0x10, 0x11});
    said.gpus[1].copy_engines = 1;
    const machine m = merged(gpu_box(0x26b9, 2), said);
    CHECK(find_note(m, "gpu:1", "one copy engine"));
    CHECK_FALSE(find_note(m, "gpu:0", "one copy engine"));
}

namespace {

struct wires {
    std::size_t a, b;
    int links;
};
constexpr wires dgx1[] = {{0, 1, 1}, {0, 2, 1}, {0, 3, 2}, {0, 4, 2}, {1, 2, 2}, {1, 3, 1}, {1, 5, 2}, {2, 3, 2},
                          {2, 6, 1}, {3, 7, 1}, {4, 5, 1}, {4, 6, 1}, {4, 7, 2}, {5, 6, 2}, {5, 7, 1}, {6, 7, 2}};

/// The GPUs of a DGX-1 that a process sees, in its order. Ranks as `topologyQuery` prints them on one: 0 for two links.
gpu_inventory mesh(const std::vector<std::size_t>& visible, bool ranked) {
    std::vector<int> buses;
    for (const std::size_t g : visible) buses.push_back(0x10 + static_cast<int>(g));
    gpu_inventory said = answers(0x1db1, buses);
    for (std::size_t a = 0; a < visible.size(); ++a)
        for (std::size_t b = 0; b < visible.size(); ++b)
            for (const wires& each : dgx1)
                if ((each.a == visible[a] && each.b == visible[b]) || (each.b == visible[a] && each.a == visible[b]))
                    grant(said, a, b, true, ranked && each.links == 1 ? 1 : 0);
    return said;
}

double nvlink(const machine& m, std::size_t a, std::size_t b) {
    const std::string one = "gpu:" + std::to_string(a), other = "gpu:" + std::to_string(b);
    return rate(m, link_kind::nvlink, one, other) + rate(m, link_kind::nvlink, other, one);
}

constexpr double v100_link = 145.6 / 6;

} // namespace

TEST_CASE("the hybrid cube mesh of a DGX-1 from peer attributes", "[machine][cuda]") {
    SECTION("all eight, with ranks") {
        const machine m = merged(gpu_box(0x1db1, 8), mesh({0, 1, 2, 3, 4, 5, 6, 7}, true));
        std::size_t pairs = 0;
        for (const barelink::link& each : m.links) pairs += each.kind == link_kind::nvlink;
        CHECK(pairs == std::size(dgx1));
        for (const wires& each : dgx1) {
            INFO(each.a << " " << each.b);
            CHECK(nvlink(m, each.a, each.b) == Approx(each.links * v100_link));
        }
        CHECK_FALSE(allowed(m, 0, 7));
        CHECK(find_note(m, "nvlink", "inferred"));
    }
    SECTION("without ranks every link gets the same") {
        const machine m = merged(gpu_box(0x1db1, 8), mesh({0, 1, 2, 3, 4, 5, 6, 7}, false));
        for (const wires& each : dgx1) CHECK(nvlink(m, each.a, each.b) == Approx(1.5 * v100_link));
    }
    SECTION("some of them visible, in another order") {
        const machine m = merged(gpu_box(0x1db1, 8), mesh({2, 0, 1}, true));
        CHECK(nvlink(m, 0, 1) == Approx(v100_link));     // 2 and 0
        CHECK(nvlink(m, 0, 2) == Approx(2 * v100_link)); // 2 and 1
        CHECK(nvlink(m, 1, 2) == Approx(v100_link));     // 0 and 1
    }
    SECTION("one half of it in a virtual machine") {
        machine_sketch seen = gpu_box(0x1db1, 4);
        seen.virtualized = true;
        const machine m = merged(seen, mesh({0, 1, 2, 3}, true));
        CHECK(m.count(node_kind::nvswitch) == 0);
        for (const wires& each : dgx1)
            if (each.b < 4) CHECK(nvlink(m, each.a, each.b) == Approx(each.links * v100_link));
    }
}

TEST_CASE("modules that are all joined: a switch, or direct links", "[machine][cuda]") {
    SECTION("16 V100 have too few links for anything else") {
        std::vector<int> buses;
        for (int g = 0; g < 16; ++g) buses.push_back(0x10 + g);
        gpu_inventory said = answers(0x1db8, buses);
        grant_all(said, true);
        const machine m = merged(gpu_box(0x1db8, 16), said);
        CHECK(rate(m, link_kind::nvlink, "gpu:15", "nvswitch") == Approx(145.6));
    }
    SECTION("four on bare metal without a switch are a board of direct links") {
        gpu_inventory said = answers(0x20b2, {0x10, 0x11, 0x12, 0x13});
        grant_all(said, true);
        const machine m = merged(gpu_box(0x20b2, 4), said);
        CHECK(m.count(node_kind::nvswitch) == 0);
        CHECK(nvlink(m, 1, 2) == Approx(274.5 / 3));
    }
    SECTION("four in a virtual machine are a part of a switched eight") {
        gpu_inventory said = answers(0x20b2, {0x10, 0x11, 0x12, 0x13});
        grant_all(said, true);
        machine_sketch seen = gpu_box(0x20b2, 4);
        seen.virtualized = true;
        const machine m = merged(seen, said);
        CHECK(rate(m, link_kind::nvlink, "gpu:0", "nvswitch") == Approx(274.5));
    }
    SECTION("a model that is not in the table, by its compute capability") {
        machine_sketch seen = gpu_box(0x2330, 8);
        gpu_inventory said = answers(0x2330, {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17});
        grant_all(said, true);
        for (sketched_device& each : seen.devices)
            if (each.kind == node_kind::gpu) each.device = 0x2fff;
        add(seen, node_kind::nvswitch, 0x90, -1, 0);
        for (cuda::gpu_facts& each : said.gpus) {
            each.name = "NVIDIA B999";
            each.sm = 103;
        }
        const machine m = merged(seen, said);
        CHECK(rate(m, link_kind::nvlink, "gpu:0", "nvswitch") == Approx(18 * 44));
    }
}

TEST_CASE("cards joined by bridges", "[machine][cuda]") {
    gpu_inventory said = answers(0x2331, {0x10, 0x11, 0x12, 0x13});
    grant_all(said, false);
    for (const std::size_t a : {0u, 2u}) {
        grant(said, a, a + 1, true);
        grant(said, a + 1, a, true);
    }
    const machine m = merged(gpu_box(0x2331, 4), said);
    CHECK(nvlink(m, 0, 1) == Approx(257));
    CHECK(nvlink(m, 2, 3) == Approx(257));
    CHECK(nvlink(m, 1, 2) == 0);
    CHECK(allowed(m, 1, 2)); // over PCIe
    CHECK(m.path(m.gpu(gpu_id{1}), m.gpu(gpu_id{2}))->hop_count > 1);

    SECTION("or not") {
        gpu_inventory apart = answers(0x2331, {0x10, 0x11, 0x12, 0x13});
        grant_all(apart, false);
        const machine plain = merged(gpu_box(0x2331, 4), apart);
        CHECK(nvlink(plain, 0, 1) == 0);
        CHECK(find_note(plain, "nvlink", "none assumed"));
    }
    SECTION("atomics over PCIe do not make NVLink of a card that has none") {
        gpu_inventory l40s = answers(0x26b9, {0x10, 0x11});
        grant_all(l40s, true);
        const machine plain = merged(gpu_box(0x26b9, 2), l40s);
        CHECK(nvlink(plain, 0, 1) == 0);
        CHECK(allowed(plain, 0, 1));
    }
}

TEST_CASE("modules without grants: the build still says NVSwitch, and a note asks why", "[machine][cuda]") {
    gpu_inventory said = answers(0x2330, {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17});
    const machine m = merged(gpu_box(0x2330, 8), said);
    CHECK(rate(m, link_kind::nvlink, "gpu:0", "nvswitch") == Approx(395));
    CHECK_FALSE(allowed(m, 0, 1));
    CHECK(find_note(m, "nvlink", "nvidia-fabricmanager"));

    SECTION("granted without NVLink's attributes: NVLink is off") {
        grant_all(said, false);
        const machine off = merged(gpu_box(0x2330, 8), said);
        CHECK(off.count(node_kind::nvswitch) == 0);
        CHECK(allowed(off, 0, 1));
        CHECK(find_note(off, "nvlink", "without the attributes"));
    }
    SECTION("attributes unknown") {
        for (cuda::peer_facts& each : said.peers) each = {};
        const machine unknown = merged(gpu_box(0x2330, 8), said);
        CHECK(unknown.count(node_kind::nvswitch) == 1);
        CHECK(allowed(unknown, 0, 1));
    }
}

TEST_CASE("NVLinks that the tree's source lists stay", "[machine][cuda]") {
    machine_sketch seen = gpu_box(0x20b2, 2);
    seen.nvlinks_told = true;
    for (const int gpu : {1, 3}) {
        detail::sketched_nvlink added;
        added.gpu = gpu;
        added.to = 4 - gpu;
        added.links = 4;
        seen.nvlinks.push_back(added);
    }
    gpu_inventory said = answers(0x20b2, {0x10, 0x11});
    grant_all(said, true);
    const machine m = merged(seen, said);
    CHECK(nvlink(m, 0, 1) == Approx(4 * 274.5 / 12));
    for (const barelink::link& each : m.links)
        if (each.kind == link_kind::nvlink) CHECK(each.source == evidence::read);
}
