// Describes a machine in a few calls: packages, ports, switches, GPUs. The built-in machines are written with it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <barelink/machine/gpu_model.hpp>
#include <barelink/machine/link_latency.hpp>
#include <barelink/machine/machine.hpp>
#include <barelink/machine/pcie.hpp>

BARELINK_BEGIN_NAMESPACE

/// What copies reach between the host's side and a device, GB/s in each direction, and what each direction loses to a byte
/// that goes the other way at the same time, in bytes. Losses belong to root ports: elsewhere they are not looked at.
struct host_rates {
    double to_device = 0;
    double to_host = 0;
    double to_device_lost = 0;
    double to_host_lost = 0;
};

/// Both directions at what copies reach over a PCIe link (generation 1 to 6, width in lanes).
[[nodiscard]] constexpr host_rates pcie_rates(int generation, int lanes = 16) noexcept {
    return {pcie_copy_gb_s(generation, lanes), pcie_copy_gb_s(generation, lanes)};
}

/// A CPU package and the memory behind it. The rates are one NUMA node's, GB/s.
struct package_spec {
    const char* name = "";
    int numa_nodes = 1;
    double read_gb_s = 0;
    double write_gb_s = 0;
    std::uint64_t bytes_per_node = 0;
};

/// Which GPU pairs without NVLink may copy directly over PCIe.
enum class peer_scope : std::uint8_t { none, same_package, all };

/// Builds a `machine` step by step; a plain value. Every call returns the node it added, to hang further nodes from.
/// Nodes are numbered and PCI buses handed out in call order, so build depth first, as the kernel scans. Every node
/// passed in must come from this builder and be of the kind that the parameter names. All figures are `assumed`,
/// latencies those of `default_latency_us`.
///
///     machine_builder box("two-l4");
///     const node_index cpu = box.package({.name = "EPYC", .read_gb_s = 150, .write_gb_s = 120});
///     box.gpu(box.root_port(cpu, pcie_rates(4)), *find_gpu_model("NVIDIA L4"), pcie_rates(4, 8));
///     box.gpu(box.root_port(cpu, pcie_rates(4)), *find_gpu_model("NVIDIA L4"), pcie_rates(4, 8));
///     const machine mine = std::move(box.peers(peer_scope::all)).finish();
class machine_builder {
public:
    explicit machine_builder(const char* name) { made_.name = name; }

    /// A CPU package with its NUMA nodes, each on a DRAM link of its own.
    node_index package(const package_spec& spec);
    /// Joins two packages at `gb_s` in each direction.
    machine_builder& cpu_link(node_index a, node_index b, double gb_s);

    /// A root port below a package. `numa` is the node it is near to; unknown takes the package's first.
    node_index root_port(node_index package, host_rates rates, numa_id numa = unknown_numa);
    /// A host bridge with a PCI domain of its own and no address, as hypervisors show a passed-through device.
    node_index host_bridge(node_index package, host_rates rates, numa_id numa = unknown_numa);
    /// A switch below a port or another switch; `uplink` is what everything below it shares.
    node_index pcie_switch(node_index parent, host_rates uplink);
    /// A GPU below a port or switch. The model need not be in the library's table.
    node_index gpu(node_index parent, const gpu_model& model, host_rates rates);
    /// A GPU that reaches its package over C2C.
    node_index gpu_over_c2c(node_index package, const gpu_model& model, host_rates rates);

    /// Joins two GPUs by `links` NVLinks, each at the rate of the slower model's. Calls for one pair add up.
    machine_builder& nvlink(node_index a, node_index b, int links);
    /// Joins every GPU added so far to the machine's NVSwitch by all the NVLinks that its model has, if any.
    machine_builder& nvswitch();
    /// Grants direct copies over PCIe between the GPUs added so far. Pairs that NVLink joins need no grant and keep
    /// NVLink.
    machine_builder& peers(peer_scope scope);

    machine_builder& costs(const copy_costs& costs) {
        made_.costs = costs;
        return *this;
    }
    machine_builder& costs(const block_costs& costs) {
        made_.blocks = costs;
        return *this;
    }
    machine_builder& virtualized() {
        made_.virtualized = true;
        return *this;
    }

    /// The machine, its paths derived.
    [[nodiscard]] machine finish() const& {
        machine connected = made_;
        connected.connect();
        return connected;
    }
    [[nodiscard]] machine finish() && {
        made_.connect();
        return std::move(made_);
    }

private:
    /// A domain's root complexes start here, and its last one starts below the second figure, so that a whole tree
    /// fits.
    static constexpr std::uint32_t first_root_bus = 0x10, last_root_bus = 0xc0;

    struct seat {
        node_index gpu = no_node;
        int nvlinks = 0;
        double nvlink_gb_s = 0;
        double nvswitch_lost = 0;
    };

    node_index add(node_kind kind, const char* name, node_index above, pci_address pci);
    node_index add_port(node_index package, host_rates rates, numa_id numa, pci_address pci);
    node_index add_gpu(const gpu_model& model, node_index above);
    link* find_link(link_kind kind, node_index a, node_index b);
    void join(link_kind kind, node_index a, node_index b, double gb_s_ab, double gb_s_ba);
    [[nodiscard]] node& at(node_index n) { return made_.nodes[n.value]; }
    [[nodiscard]] seat seat_of(node_index gpu) const;
    void open_domain(std::uint32_t first_bus) {
        ++domain_;
        bus_ = first_bus;
    }
    pci_address next_bus(std::uint8_t device);

    machine made_;
    std::vector<node_index> packages_; ///< of every node, the package it is below
    std::vector<seat> seats_;
    std::uint32_t domain_ = 0;
    std::uint32_t bus_ = first_root_bus; ///< the next one to hand out
};

inline node_index machine_builder::package(const package_spec& spec) {
    const node_index package = add(node_kind::package, spec.name, no_node, {});
    for (int n = 0; n < spec.numa_nodes; ++n) {
        const node_index memory = add(node_kind::memory, "", package, {});
        at(memory).numa = numa_id{at(memory).index};
        at(memory).bytes = spec.bytes_per_node;
        if (n == 0) at(package).numa = at(memory).numa;
        join(link_kind::dram, memory, package, spec.read_gb_s, spec.write_gb_s);
    }
    return package;
}

inline machine_builder& machine_builder::cpu_link(node_index a, node_index b, double gb_s) {
    join(link_kind::cpu, a, b, gb_s, gb_s);
    return *this;
}

inline node_index machine_builder::add_port(node_index package, host_rates rates, numa_id numa, pci_address pci) {
    const node_index port = add(node_kind::root_port, "", package, pci);
    if (numa != unknown_numa) at(port).numa = numa;
    join(link_kind::pcie, package, port, rates.to_device, rates.to_host);
    made_.links.back().lost_ab = rates.to_device_lost;
    made_.links.back().lost_ba = rates.to_host_lost;
    return port;
}

inline node_index machine_builder::root_port(node_index package, host_rates rates, numa_id numa) {
    if (bus_ > last_root_bus) open_domain(first_root_bus);
    return add_port(package, rates, numa, next_bus(1));
}

inline node_index machine_builder::host_bridge(node_index package, host_rates rates, numa_id numa) {
    open_domain(0);
    return add_port(package, rates, numa, {});
}

inline node_index machine_builder::pcie_switch(node_index parent, host_rates uplink) {
    const node_index added = add(node_kind::pcie_switch, "", parent, next_bus(0));
    ++bus_; // the bus between the upstream port and the downstream ports
    join(link_kind::pcie, parent, added, uplink.to_device, uplink.to_host);
    return added;
}

inline node_index machine_builder::gpu(node_index parent, const gpu_model& model, host_rates rates) {
    const node_index added = add_gpu(model, parent);
    join(link_kind::pcie, parent, added, rates.to_device, rates.to_host);
    return added;
}

inline node_index machine_builder::gpu_over_c2c(node_index package, const gpu_model& model, host_rates rates) {
    open_domain(1); // superchips show every GPU in a PCI domain of its own, at bus 1
    const node_index added = add_gpu(model, package);
    join(link_kind::c2c, package, added, rates.to_device, rates.to_host);
    return added;
}

inline machine_builder& machine_builder::nvlink(node_index a, node_index b, int links) {
    const double one = seat_of(a).nvlink_gb_s, other = seat_of(b).nvlink_gb_s;
    const double gb_s = links * (one < other ? one : other);
    join(link_kind::nvlink, a, b, gb_s, gb_s);
    return *this;
}

inline machine_builder& machine_builder::nvswitch() {
    node_index hub = made_.find(node_kind::nvswitch, 0);
    for (const seat& each : seats_) {
        const double gb_s = each.nvlinks * each.nvlink_gb_s;
        if (gb_s <= 0) continue;
        if (hub == no_node) hub = add(node_kind::nvswitch, "", no_node, {});
        if (find_link(link_kind::nvlink, each.gpu, hub)) continue;
        join(link_kind::nvlink, each.gpu, hub, gb_s, gb_s);
        made_.links.back().lost_ab = made_.links.back().lost_ba = each.nvswitch_lost;
    }
    return *this;
}

inline machine_builder& machine_builder::peers(peer_scope scope) {
    if (scope == peer_scope::none) return *this;
    for (const seat& from : seats_) {
        for (const seat& to : seats_) {
            const bool near = packages_[from.gpu.value] == packages_[to.gpu.value];
            if (from.gpu != to.gpu && (near || scope == peer_scope::all))
                made_.grants.push_back({from.gpu, to.gpu, true, delivery::assumed});
        }
    }
    return *this;
}

inline node_index machine_builder::add(node_kind kind, const char* name, node_index above, pci_address pci) {
    node added;
    added.kind = kind;
    added.index = static_cast<std::int32_t>(made_.count(kind));
    added.name = name;
    added.pci = pci;
    if (above != no_node) added.numa = at(above).numa;
    const node_index position = made_.add(std::move(added));
    packages_.push_back(above == no_node ? position : packages_[above.value]);
    return position;
}

inline node_index machine_builder::add_gpu(const gpu_model& model, node_index above) {
    const node_index added = add(node_kind::gpu, model.name, above, next_bus(0));
    at(added).bytes = model.memory_bytes;
    at(added).vendor = model.vendor;
    at(added).device = model.device;
    at(added).cuda = model.vendor == nvidia_vendor;
    seats_.push_back({added, model.nvlinks, model.nvlink_gb_s, nvswitch_lost(model)});
    return added;
}

inline link* machine_builder::find_link(link_kind kind, node_index a, node_index b) {
    for (link& each : made_.links)
        if (each.kind == kind && ((each.a == a && each.b == b) || (each.a == b && each.b == a))) return &each;
    return nullptr;
}

inline void machine_builder::join(link_kind kind, node_index a, node_index b, double gb_s_ab, double gb_s_ba) {
    if (link* parallel = find_link(kind, a, b)) {
        parallel->gb_s_ab += parallel->a == a ? gb_s_ab : gb_s_ba;
        parallel->gb_s_ba += parallel->a == a ? gb_s_ba : gb_s_ab;
        return;
    }
    made_.add(link{kind, a, b, gb_s_ab, gb_s_ba, default_latency_us(kind), evidence::assumed});
}

inline machine_builder::seat machine_builder::seat_of(node_index gpu) const {
    for (const seat& each : seats_)
        if (each.gpu == gpu) return each;
    return {};
}

inline pci_address machine_builder::next_bus(std::uint8_t device) {
    if (bus_ > 0xff) open_domain(0);
    return {domain_, static_cast<std::uint8_t>(bus_++), device, 0, true};
}

BARELINK_END_NAMESPACE
