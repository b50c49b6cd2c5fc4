// Machines made by rule: one rack for tests of scale, and random ones for properties that must hold on any machine.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/machine_builder.hpp>

namespace generated {

/// A GB200 NVL72 as one machine: 36 packages with one NUMA node and two GPUs over C2C each, one NVSwitch over all 72
/// GPUs. CPU links join only the two packages of a compute tray, so host memory of one tray does not reach another's
/// GPUs.
[[nodiscard]] inline barelink::machine nvl72() {
    using namespace barelink;
    const gpu_model model = *find_gpu_model(nvidia_vendor, 0x2941);
    machine_builder rack("nvl72");
    for (int tray = 0; tray < 18; ++tray) {
        node_index graces[2];
        for (node_index& grace : graces) {
            grace = rack.package({"NVIDIA Grace", 1, 500, 460, 480 * GiB});
            for (int g = 0; g < 2; ++g) rack.gpu_over_c2c(grace, model, {189, 148.5});
        }
        rack.cpu_link(graces[0], graces[1], 133);
    }
    return std::move(rack.nvswitch()).finish();
}

/// SplitMix64: the same numbers on every platform and standard library.
class random_source {
public:
    explicit random_source(std::uint64_t seed) : state_(seed) {}

    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    /// A number from `low` to `high`, both included.
    int between(int low, int high) {
        return low + static_cast<int>(next() % static_cast<std::uint64_t>(high - low + 1));
    }
    bool chance(int percent) { return between(1, 100) <= percent; }
    /// A rate within 30 % of `typical`, in steps of 0.1 GB/s.
    double near(double typical) {
        return between(static_cast<int>(typical * 7), static_cast<int>(typical * 13)) / 10.0;
    }

private:
    std::uint64_t state_;
};

/// A random valid machine, the same for the same seed: 1 to 4 packages (all joined, or in a ring), 1 to 4 NUMA nodes
/// each, 0 to 8 GPUs below 0 to 3 levels of switches or on host bridges of a VM or over C2C; NVSwitch, random NVLink
/// pairs or none; peer access for all pairs, a package's pairs, some pairs in one direction, or none.
[[nodiscard]] inline barelink::machine random_machine(std::uint64_t seed) {
    using namespace barelink;
    random_source random(seed);
    machine_builder box(("random-" + std::to_string(seed)).c_str());

    std::vector<node_index> packages;
    const int package_count = random.between(1, 4);
    const int numa_per_package = random.between(1, 4);
    for (int p = 0; p < package_count; ++p) {
        const double read = random.near(120);
        packages.push_back(box.package({"CPU", numa_per_package, read, read * 0.75, 64 * GiB}));
    }
    const bool ring = random.chance(30);
    for (std::size_t a = 0; a < packages.size(); ++a)
        for (std::size_t b = a + 1; b < packages.size(); ++b)
            if (!ring || b == a + 1 || (a == 0 && b + 1 == packages.size()))
                box.cpu_link(packages[a], packages[b], random.near(50));

    constexpr std::array<std::uint16_t, 6> models = {0x1db1, 0x20b2, 0x2330, 0x2684, 0x26b9, 0x2901};
    const gpu_model model = *find_gpu_model(nvidia_vendor, models[random.next() % models.size()]);
    const int levels = random.between(0, 3);
    const bool flat = random.chance(20), over_c2c = random.chance(10);
    const int gpu_count = random.between(0, 8);
    const auto rates = [&] {
        const double x16 = random.near(pcie_copy_gb_s(model.pcie_gen));
        return host_rates{x16, random.near(x16)};
    };

    std::vector<node_index> gpus, parents; // parents: where a GPU or another switch may hang
    for (int g = 0; g < gpu_count; ++g) {
        const int p = random.between(0, package_count - 1);
        const node_index package = packages[static_cast<std::size_t>(p)];
        const numa_id near{p * numa_per_package + random.between(0, numa_per_package - 1)};
        if (over_c2c) {
            gpus.push_back(box.gpu_over_c2c(package, model, {random.near(300), random.near(250)}));
        } else if (flat) {
            gpus.push_back(box.gpu(box.host_bridge(package, rates(), near), model, rates()));
        } else {
            if (parents.empty() || random.chance(50)) {
                parents.push_back(box.root_port(package, rates(), near));
                for (int level = random.between(0, levels); level > 0; --level)
                    parents.push_back(box.pcie_switch(parents.back(), rates()));
            }
            // The end of the last tree, so that siblings share its uplinks.
            gpus.push_back(box.gpu(parents.back(), model, rates()));
        }
    }

    if (random.chance(35)) {
        box.nvswitch();
    } else if (model.nvlinks > 0 && random.chance(50)) {
        for (std::size_t a = 0; a < gpus.size(); ++a)
            for (std::size_t b = a + 1; b < gpus.size(); ++b)
                if (random.chance(40)) box.nvlink(gpus[a], gpus[b], random.between(1, 2));
    }
    constexpr std::array scopes = {peer_scope::none, peer_scope::same_package, peer_scope::all};
    box.peers(scopes[random.next() % scopes.size()]);
    if (flat || random.chance(10)) box.virtualized();

    machine made = std::move(box).finish();
    if (random.chance(25))
        for (const node_index from : gpus)
            for (const node_index to : gpus)
                if (from != to && random.chance(20)) made.set_delivery(from, to, random.chance(50), delivery::unproved);
    return made;
}

} // namespace generated
