// From a sketch to a machine: nodes, the host's links, the PCIe tree, then NVLinks and peer grants.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/detail/nvlink_policy.hpp>
#include <barelink/machine/detail/pcie_policy.hpp>
#include <barelink/machine/detail/peer_policy.hpp>
#include <barelink/machine/detail/sketch.hpp>
#include <barelink/machine/host_model.hpp>
#include <barelink/machine/link_latency.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Turns what a reader saw into a connected machine. Errors: unsupported, when the sketch is larger than any server.
class machine_assembler {
public:
    explicit machine_assembler(machine_sketch seen) : seen_(std::move(seen)) {}

    [[nodiscard]] result<machine> run();

private:
    [[nodiscard]] bool too_large() const;
    void add_hosts();
    void add_cpu_links();
    void number_gpus();
    void add_devices();
    void add_device(std::size_t d);
    void judge_links();
    void add_pcie_links();
    void note_unknown_places();
    [[nodiscard]] host_model host_of(const sketched_package& package) const;
    void fold_notes();
    [[nodiscard]] int package_of(const sketched_device& device) const {
        return device.package >= 0 && device.package < static_cast<int>(packages_.size()) ? device.package : 0;
    }
    [[nodiscard]] bool on_c2c(std::size_t d) const { return detail::on_c2c(seen_.devices[d]); }
    node_index add_node(node_kind kind, const sketched_device& from);
    void join(link_kind kind, node_index a, node_index b, double ab, double ba, evidence source) {
        made_.add(link{kind, a, b, ab, ba, default_latency_us(kind), source});
    }
    /// A root port to its package: where the CPU mixes reads and writes.
    void join_root(const sketched_device& device, node_index package, node_index port, const judged_link& as) {
        const host_model host = host_of(seen_.packages[static_cast<std::size_t>(package_of(device))]);
        join(link_kind::pcie, package, port, as.gb_s, as.gb_s, as.source);
        made_.links.back().lost_ab = host.to_device_lost;
        made_.links.back().lost_ba = host.to_host_lost;
    }

    machine_sketch seen_;
    machine made_;
    std::vector<node_index> packages_;
    std::vector<node_index> nodes_;         ///< of every device; no_node when it was left out
    std::vector<node_index> hidden_roots_;  ///< of devices whose root port is not shown
    std::vector<judged_link> judged_;       ///< of the link above every device
    std::vector<std::int32_t> gpu_numbers_; ///< of every device that is a GPU
    std::int32_t counted_[8] = {};          ///< nodes of each kind so far
};

/// `machine_assembler` in one call.
[[nodiscard]] inline result<machine> assemble(machine_sketch seen) {
    return machine_assembler(std::move(seen)).run();
}

inline bool machine_assembler::too_large() const {
    std::size_t gpus = 0;
    for (const sketched_device& each : seen_.devices) gpus += each.kind == node_kind::gpu;
    return seen_.packages.size() > max_packages || seen_.memories.size() > max_memories || gpus > max_gpus ||
           seen_.packages.size() + seen_.memories.size() + 2 * seen_.devices.size() > max_nodes ||
           seen_.nvlinks.size() > 65536;
}

inline result<machine> machine_assembler::run() {
    if (too_large())
        return error(errc::unsupported,
                     text::join({seen_.name.c_str(), " describes more than one server can have (at most "
                                                     "256 packages, 1024 NUMA nodes, 144 GPUs and about "
                                                     "2000 PCI devices are read)"}))
            .about(seen_.name.c_str());
    if (seen_.packages.empty()) seen_.packages.emplace_back();
    made_.name = seen_.name;
    made_.virtualized = seen_.virtualized;
    made_.notes = std::move(seen_.notes);
    add_hosts();
    add_cpu_links();
    number_gpus();
    add_devices();
    judge_links();
    add_pcie_links();
    note_unknown_places();
    nvlink_assembler(made_, seen_, nodes_, packages_).run();
    grant_peers(made_, seen_, nodes_);
    fold_notes();
    made_.connect();
    return std::move(made_);
}

inline node_index machine_assembler::add_node(node_kind kind, const sketched_device& from) {
    node added;
    added.kind = kind;
    added.index = counted_[static_cast<std::size_t>(kind)]++;
    added.numa = numa_id{from.numa};
    return made_.add(std::move(added));
}

/// A CPU that is not in the table is at least what its GPUs' PCIe generation asks for: Gen4 came with Ice Lake and
/// Rome, Gen5 with Sapphire Rapids and Genoa. The lesser of each two.
inline host_model machine_assembler::host_of(const sketched_package& package) const {
    host_model cpu = find_host_model(package.vendor.c_str(), package.family, package.model, package.name.c_str());
    if (&find_host_model(package.vendor.c_str(), package.family, package.model, package.name.c_str()) !=
        &unknown_host_model)
        return cpu;
    int generation = 0;
    for (std::size_t d = 0; d < seen_.devices.size(); ++d)
        if (const gpu_model* model = seen_.devices[d].kind == node_kind::gpu ? model_of(seen_.devices[d]) : nullptr)
            generation = model->pcie_gen > generation ? model->pcie_gen : generation;
    if (generation >= 4) {
        const host_model& least =
            generation == 4 ? find_host_model("GenuineIntel", 6, 106, "") : find_host_model("GenuineIntel", 6, 143, "");
        cpu = least;
        cpu.name = unknown_host_model.name;
    }
    return cpu;
}

inline void machine_assembler::add_hosts() {
    for (std::size_t p = 0; p < seen_.packages.size(); ++p) {
        const sketched_package& package = seen_.packages[p];
        const host_model cpu = host_of(package);
        node added;
        added.kind = node_kind::package;
        added.index = static_cast<std::int32_t>(p);
        added.name = package.name;
        const node_index at = made_.add(std::move(added));
        packages_.push_back(at);

        int sharing = 0;
        for (const sketched_memory& each : seen_.memories) sharing += each.package == static_cast<int>(p);
        for (const sketched_memory& each : seen_.memories) {
            if (each.package != static_cast<int>(p)) continue;
            node memory;
            memory.kind = node_kind::memory;
            memory.index = each.index;
            memory.numa = numa_id{each.index};
            memory.bytes = each.bytes;
            const node_index there = made_.add(std::move(memory));
            if (made_.nodes[at.value].numa == unknown_numa) made_.nodes[at.value].numa = numa_id{each.index};
            // Firmware tells the nominal rate; copies reach the share of it that the table's rows assume.
            double read = cpu.dram_read_gb_s / sharing, write = cpu.dram_write_gb_s / sharing;
            if (each.nominal_gb_s > 0) {
                write = 0.75 * each.nominal_gb_s * write / read;
                read = 0.75 * each.nominal_gb_s;
            }
            join(link_kind::dram, there, at, read, write, each.nominal_gb_s > 0 ? evidence::read : evidence::assumed);
        }
    }
}

inline void machine_assembler::add_cpu_links() {
    for (std::size_t a = 0; a < packages_.size(); ++a) {
        for (std::size_t b = a + 1; b < packages_.size(); ++b) {
            const double gb_s = host_of(seen_.packages[a]).cpu_link_gb_s / static_cast<double>(packages_.size() - 1);
            join(link_kind::cpu, packages_[a], packages_[b], gb_s, gb_s, evidence::assumed);
        }
    }
}

/// GPUs that CUDA can drive come first, so that their numbers are CUDA's; then by the source's order, then by PCI
/// address.
inline void machine_assembler::number_gpus() {
    const auto before = [&](std::size_t a, std::size_t b) {
        const sketched_device &one = seen_.devices[a], &other = seen_.devices[b];
        if (one.cuda != other.cuda) return one.cuda;
        if (one.order != other.order) return one.order < other.order;
        const pci_address &p = one.pci, &q = other.pci;
        if (p.domain != q.domain) return p.domain < q.domain;
        if (p.bus != q.bus) return p.bus < q.bus;
        if (p.device != q.device) return p.device < q.device;
        return p.function != q.function ? p.function < q.function : a < b;
    };
    gpu_numbers_.assign(seen_.devices.size(), 0);
    for (std::size_t d = 0; d < seen_.devices.size(); ++d)
        for (std::size_t other = 0; other < seen_.devices.size(); ++other)
            if (seen_.devices[d].kind == node_kind::gpu && seen_.devices[other].kind == node_kind::gpu)
                gpu_numbers_[d] += other != d && before(other, d);
}

inline void machine_assembler::add_devices() {
    const std::size_t count = seen_.devices.size();
    std::vector<char> holds(count, 0);
    for (std::size_t d = count; d-- > 0;) {
        const sketched_device& each = seen_.devices[d];
        const bool counts =
            holds[d] || (each.kind != node_kind::root_port && each.kind != node_kind::nvswitch && !on_c2c(d));
        if (counts && each.parent >= 0) holds[static_cast<std::size_t>(each.parent)] = 1;
    }
    nodes_.assign(count, no_node);
    hidden_roots_.assign(count, no_node);
    for (std::size_t d = 0; d < count; ++d) {
        const sketched_device& each = seen_.devices[d];
        if (each.kind == node_kind::nvswitch || (each.kind == node_kind::root_port && !holds[d])) continue;
        if (each.kind != node_kind::root_port && each.parent < 0 && !on_c2c(d))
            hidden_roots_[d] = add_node(node_kind::root_port, each);
        add_device(d);
    }
}

inline void machine_assembler::add_device(std::size_t d) {
    const sketched_device& seen = seen_.devices[d];
    nodes_[d] = add_node(seen.kind, seen);
    node& added = made_.nodes[nodes_[d].value];
    added.pci = seen.pci;
    added.vendor = seen.vendor;
    added.device = seen.device;
    added.name = seen.name;
    added.bytes = seen.bytes;
    if (seen.kind != node_kind::gpu) return;
    added.index = gpu_numbers_[d];
    added.cuda = seen.cuda;
    const gpu_model* model = model_of(seen);
    if (!model) return;
    if (added.name.empty()) added.name = model->name;
    if (added.bytes == 0) added.bytes = model->memory_bytes;
}

/// Devices first, then switches from the leaves up: a switch's link is judged by the fastest below it.
inline void machine_assembler::judge_links() {
    const std::size_t count = seen_.devices.size();
    judged_.assign(count, {});
    std::vector<double> fastest(count, 0);
    std::vector<evidence> sources(count, evidence::assumed);
    std::vector<machine_note> notes;
    for (std::size_t d = count; d-- > 0;) {
        const sketched_device& each = seen_.devices[d];
        if (nodes_[d] == no_node || on_c2c(d)) continue;
        if (each.kind == node_kind::gpu)
            judged_[d] = judge_gpu_link(model_of(each), each.above, each.port, seen_.virtualized);
        else if (each.kind == node_kind::pcie_switch)
            judged_[d] = judge_uplink(each.above, each.port, fastest[d], seen_.virtualized);
        else if (each.kind == node_kind::root_port)
            judged_[d] = {fastest[d], sources[d], {}}; // its way into the CPU is as wide as the link below it
        else
            judged_[d] = judge_device_link(each.above, each.port);
        if (!judged_[d].why.empty()) notes.push_back({made_.at(nodes_[d]).id(), judged_[d].why});
        if (each.parent < 0) continue;
        const auto above = static_cast<std::size_t>(each.parent);
        if (judged_[d].gb_s > fastest[above]) fastest[above] = judged_[d].gb_s;
        if (judged_[d].gb_s >= fastest[above]) sources[above] = judged_[d].source;
    }
    for (std::size_t i = 0, j = notes.size(); i + 1 < j; ++i, --j) std::swap(notes[i], notes[j - 1]);
    for (machine_note& each : notes) made_.notes.push_back(std::move(each));
}

/// Eight objects with one story are one note about `gpu:0,gpu:1,...`.
inline void machine_assembler::fold_notes() {
    std::vector<machine_note> folded;
    for (machine_note& each : made_.notes) {
        std::size_t same = 0;
        while (same < folded.size() && folded[same].said != each.said) ++same;
        if (same < folded.size())
            folded[same].object += ',' + each.object;
        else
            folded.push_back(std::move(each));
    }
    made_.notes = std::move(folded);
}

inline void machine_assembler::add_pcie_links() {
    for (std::size_t d = 0; d < seen_.devices.size(); ++d) {
        const sketched_device& each = seen_.devices[d];
        if (nodes_[d] == no_node || on_c2c(d)) continue;
        const double gb_s = judged_[d].gb_s;
        const node_index package = packages_[static_cast<std::size_t>(package_of(each))];
        if (each.kind == node_kind::root_port) {
            join_root(each, package, nodes_[d], judged_[d]);
        } else if (each.parent >= 0) {
            join(link_kind::pcie, nodes_[static_cast<std::size_t>(each.parent)], nodes_[d], gb_s, gb_s,
                 judged_[d].source);
        } else {
            join_root(each, package, hidden_roots_[d], judged_[d]);
            join(link_kind::pcie, hidden_roots_[d], nodes_[d], gb_s, gb_s, judged_[d].source);
        }
    }
}

inline void machine_assembler::note_unknown_places() {
    std::string placeless, flat;
    std::size_t lost = 0;
    for (std::size_t d = 0; d < seen_.devices.size(); ++d) {
        const sketched_device& each = seen_.devices[d];
        if (each.kind != node_kind::gpu) continue;
        const std::string id = made_.at(nodes_[d]).id();
        if (each.package < 0 && packages_.size() > 1) {
            placeless += (placeless.empty() ? "" : ",") + id;
            ++lost;
        }
        if (each.parent < 0 && seen_.virtualized && !on_c2c(d)) flat += (flat.empty() ? "" : ",") + id;
    }
    if (lost)
        made_.note(placeless,
                   "nothing says which package they are near to: drawn at package:0, NUMA node unknown; merge a "
                   "topology file");
    if (!flat.empty())
        made_.note(flat,
                   "the hypervisor hides the PCIe tree above them: a root port each is assumed, so links they share do "
                   "not show; merge a topology file");
}

} // namespace detail
BARELINK_END_NAMESPACE
