// Lays a topology file over a machine whose hypervisor hides the PCIe tree.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/link_latency.hpp>
#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class machine_merger {
public:
    machine_merger(machine live, const machine& file) : live_(std::move(live)), file_(file) {}

    [[nodiscard]] result<machine> run();

private:
    /// A node's way towards the CPU: the PCIe link above it.
    struct way {
        std::uint32_t above = no_node.value;
        link wire;
    };

    [[nodiscard]] static bool is_device(const node& n) {
        return n.kind == node_kind::gpu || n.kind == node_kind::nic || n.kind == node_kind::disk;
    }
    [[nodiscard]] static bool is_port(const node& n) {
        return n.kind == node_kind::root_port || n.kind == node_kind::pcie_switch;
    }
    [[nodiscard]] static std::vector<way> ways_of(const machine& m) {
        std::vector<way> ways(m.nodes.size());
        for (const link& each : m.links)
            if (each.kind == link_kind::pcie) ways[each.b.value] = {each.a.value, each};
        return ways;
    }
    status match();
    [[nodiscard]] std::uint32_t package_near(numa_id numa) const;
    [[nodiscard]] std::uint32_t carry_over(std::uint32_t file_node, std::uint32_t device);
    void move_devices();
    void widen_uplinks();
    void lay_nvlinks();
    void note_differences();
    [[nodiscard]] machine rebuild();

    machine live_; ///< grows the file's ports at its end
    const machine& file_;
    std::vector<way> live_ways_, file_ways_;
    std::vector<std::uint32_t> match_;   ///< of every live device, its node in the file
    std::vector<std::uint32_t> carried_; ///< of every node of the file, its node here
    std::size_t first_new_ = 0;
    std::size_t matched_gpus_ = 0;
};

inline status machine_merger::match() {
    const std::uint32_t none = no_node.value;
    match_.assign(live_.nodes.size(), none);
    carried_.assign(file_.nodes.size(), none);
    std::size_t matched = 0, file_gpus = 0;
    for (std::uint32_t f = 0; f < file_.nodes.size(); ++f) {
        file_gpus += file_.nodes[f].kind == node_kind::gpu;
        if (!is_device(file_.nodes[f]) || !file_.nodes[f].pci.known) continue;
        for (std::uint32_t n = 0; n < live_.nodes.size(); ++n) {
            if (!is_device(live_.nodes[n]) || !(live_.nodes[n].pci == file_.nodes[f].pci)) continue;
            match_[n] = f;
            carried_[f] = n;
            ++matched;
            matched_gpus_ += live_.nodes[n].kind == node_kind::gpu;
        }
    }
    // A hint file may leave the GPUs out and place only the NICs. One that lists GPUs must list one of ours.
    if (matched == 0 || (file_gpus > 0 && matched_gpus_ == 0))
        return error(errc::not_found,
                     text::join({file_.name.c_str(), " is about another machine: none of its ",
                                 file_gpus ? "GPUs" : "devices",
                                 " has the PCI bus id of one here; take the file of this instance type"}))
            .about(file_.name.c_str());
    return {};
}

inline std::uint32_t machine_merger::package_near(numa_id numa) const {
    const node_index memory = numa == unknown_numa ? no_node : live_.memory(numa);
    for (const link& each : live_.links)
        if (memory != no_node && each.kind == link_kind::dram && each.a == memory) return each.b.value;
    return no_node.value;
}

/// The node here that stands for a port of the file: one with the same PCI id, else a new one, its own ports above
/// included.
inline std::uint32_t machine_merger::carry_over(std::uint32_t file_node, std::uint32_t device) {
    const std::uint32_t none = no_node.value;
    if (carried_[file_node] != none) return carried_[file_node];
    const node& port = file_.nodes[file_node];
    for (std::uint32_t n = 0; n < first_new_ && port.pci.known; ++n)
        if (is_port(live_.nodes[n]) && live_.nodes[n].pci == port.pci) return carried_[file_node] = n;

    const std::uint32_t above = file_ways_[file_node].above;
    way up = file_ways_[file_node];
    if (above != none && is_port(file_.nodes[above])) {
        up.above = carry_over(above, device);
    } else {
        const numa_id numa = port.numa == unknown_numa ? file_.nodes[match_[device]].numa : port.numa;
        up.above = package_near(numa);
        for (std::uint32_t n = device; up.above == none && n != none; n = live_ways_[n].above)
            if (live_.nodes[n].kind == node_kind::package) up.above = n;
    }
    const std::uint32_t added = live_.add(port).value;
    live_ways_.push_back(up);
    return carried_[file_node] = added;
}

inline void machine_merger::move_devices() {
    first_new_ = live_.nodes.size();
    std::string differing;
    for (std::uint32_t n = 0; n < first_new_; ++n) {
        const std::uint32_t f = match_[n];
        if (f == no_node.value) continue;
        if (const std::uint32_t above = file_ways_[f].above; above != no_node.value && is_port(file_.nodes[above]))
            live_ways_[n].above = carry_over(above, n);
        const numa_id told = file_.nodes[f].numa;
        if (told == unknown_numa || live_.memory(told) == no_node) continue;
        if (live_.nodes[n].numa != unknown_numa && live_.nodes[n].numa != told)
            differing += (differing.empty() ? "" : ",") + live_.nodes[n].id();
        live_.nodes[n].numa = told;
    }
    if (!differing.empty())
        live_.note(differing, "are near to another NUMA node in " + file_.name + ": the file is believed");
}

/// The file's ports carry at least what their devices are known to do here: hint files name any speed.
inline void machine_merger::widen_uplinks() {
    std::string raised;
    for (std::size_t n = live_.nodes.size(); n-- > first_new_;) {
        double ab = 0, ba = 0;
        for (std::size_t below = 0; below < live_ways_.size(); ++below) {
            if (live_ways_[below].above != n) continue;
            ab = live_ways_[below].wire.gb_s_ab > ab ? live_ways_[below].wire.gb_s_ab : ab;
            ba = live_ways_[below].wire.gb_s_ba > ba ? live_ways_[below].wire.gb_s_ba : ba;
        }
        link& up = live_ways_[n].wire;
        const bool root = live_.nodes[n].kind == node_kind::root_port;
        const bool trusted = !file_.virtualized && !live_.virtualized && up.source != evidence::assumed;
        if (!root && (trusted || (up.gb_s_ab >= ab && up.gb_s_ba >= ba))) continue;
        if (root && up.gb_s_ab == ab && up.gb_s_ba == ba) continue;
        up.gb_s_ab = root || ab > up.gb_s_ab ? ab : up.gb_s_ab;
        up.gb_s_ba = root || ba > up.gb_s_ba ? ba : up.gb_s_ba;
        up.source = evidence::assumed;
        if (!root) {
            if (!raised.empty()) raised += ',';
            raised += to_string(live_.nodes[n].pci);
        }
    }
    if (!raised.empty() && raised.find(':') != std::string::npos)
        live_.note(raised, "are slower in " + file_.name + " than what is below them here: raised");
}

/// The file's NVLinks, where this machine has none or only assumes them. What they join is not proved here.
inline void machine_merger::lay_nvlinks() {
    const auto nvlink = [](const link& each) { return each.kind == link_kind::nvlink || each.kind == link_kind::c2c; };
    bool own = false, better = false;
    for (const link& each : live_.links) own = own || (nvlink(each) && each.source != evidence::assumed);
    for (const link& each : file_.links) better = better || (nvlink(each) && each.source != evidence::assumed);
    if (own || !better) return;
    std::vector<link> kept;
    for (const link& each : live_.links)
        if (!nvlink(each)) kept.push_back(each);
    for (const link& each : file_.links) {
        if (!nvlink(each)) continue;
        link here = each;
        for (node_index* end : {&here.a, &here.b}) {
            const node& there = file_.at(*end);
            if (there.kind == node_kind::nvswitch) {
                *end = live_.find(node_kind::nvswitch, there.index);
                if (*end == no_node) {
                    *end = live_.add(there);
                    live_ways_.emplace_back();
                }
            } else if (there.kind == node_kind::package) {
                const std::uint32_t near = package_near(there.numa);
                *end = node_index{near};
            } else {
                *end = node_index{carried_[end->value]};
            }
        }
        if (here.a != no_node && here.b != no_node) kept.push_back(here);
    }
    live_.links = std::move(kept);
    live_.note("nvlink", "taken from " + file_.name);
    for (std::uint32_t a = 0; a < live_.nodes.size(); ++a) {
        for (std::uint32_t b = 0; b < live_.nodes.size(); ++b) {
            if (a == b || !live_.nodes[a].is_memory() || live_.nodes[a].kind != node_kind::gpu ||
                !live_.nodes[b].is_memory() || live_.nodes[b].kind != node_kind::gpu)
                continue;
            bool granted = false;
            for (const peer_grant& each : live_.grants)
                granted = granted || (each.from.value == a && each.to.value == b);
            bool direct = false, up = false, down = false;
            for (const link& each : live_.links) {
                if (each.kind != link_kind::nvlink) continue;
                const std::uint32_t p = each.a.value, q = each.b.value;
                direct = direct || (p == a && q == b) || (p == b && q == a);
                up = up || (p == a && live_.nodes[q].kind == node_kind::nvswitch);
                down = down || (p == b && live_.nodes[q].kind == node_kind::nvswitch);
            }
            if (!granted && (direct || (up && down)))
                live_.grants.push_back({node_index{a}, node_index{b}, true, delivery::unproved});
        }
    }
}

inline void machine_merger::note_differences() {
    std::string here, there;
    for (std::uint32_t n = 0; n < first_new_; ++n)
        if (live_.nodes[n].kind == node_kind::gpu && match_[n] == no_node.value)
            here += (here.empty() ? "" : ",") + live_.nodes[n].id();
    for (std::uint32_t f = 0; f < file_.nodes.size(); ++f)
        if (file_.nodes[f].kind == node_kind::gpu && carried_[f] == no_node.value)
            there += (there.empty() ? "" : ",") + to_string(file_.nodes[f].pci);
    if (here.empty()) {
        // What the reader advised has been done.
        std::vector<machine_note> kept;
        for (machine_note& each : live_.notes)
            if (!each.said.ends_with("merge a topology file")) kept.push_back(std::move(each));
        live_.notes = std::move(kept);
    }
    if (!here.empty()) live_.note(here, "are not in " + file_.name + ": they stay where this machine shows them");
    if (!there.empty()) live_.note(there, "are GPUs of " + file_.name + " that are not here: left out");
    live_.note("machine", "the PCIe tree of " + file_.name + " was laid over it");
}

/// The nodes that are still of use, numbered again, with their links.
inline machine machine_merger::rebuild() {
    std::vector<char> used(live_.nodes.size(), 1);
    for (bool again = true; again;) {
        again = false;
        for (std::size_t n = 0; n < used.size(); ++n) {
            if (!used[n] || !is_port(live_.nodes[n])) continue;
            bool holds = false;
            for (std::size_t below = 0; below < used.size(); ++below)
                holds = holds || (used[below] && live_ways_[below].above == n);
            if (!holds) {
                used[n] = 0;
                again = true;
            }
        }
    }
    machine made;
    made.name = live_.name;
    made.notes = std::move(live_.notes);
    made.costs = live_.costs;
    made.blocks = live_.blocks;
    made.virtualized = live_.virtualized;
    std::vector<node_index> moved(used.size(), no_node);
    std::int32_t roots = 0, switches = 0;
    for (std::size_t n = 0; n < used.size(); ++n) {
        if (!used[n]) continue;
        node& kept = live_.nodes[n];
        if (kept.kind == node_kind::root_port) kept.index = roots++;
        if (kept.kind == node_kind::pcie_switch) kept.index = switches++;
        moved[n] = made.add(std::move(kept));
    }
    for (const link& each : live_.links) {
        if (each.kind == link_kind::pcie) continue;
        link kept = each;
        kept.a = moved[each.a.value];
        kept.b = moved[each.b.value];
        made.add(kept);
    }
    for (std::size_t n = 0; n < used.size(); ++n) {
        if (!used[n] || live_ways_[n].above == no_node.value) continue;
        link kept = live_ways_[n].wire;
        kept.a = moved[live_ways_[n].above];
        kept.b = moved[n];
        if (kept.a != no_node) made.add(kept);
    }
    for (const peer_grant& each : live_.grants)
        made.grants.push_back({moved[each.from.value], moved[each.to.value], each.allowed, each.proof});
    made.connect();
    return made;
}

inline result<machine> machine_merger::run() {
    live_ways_ = ways_of(live_);
    file_ways_ = ways_of(file_);
    if (status matched = match(); !matched) return matched.error();
    move_devices();
    widen_uplinks();
    lay_nvlinks();
    note_differences();
    return rebuild();
}

} // namespace detail

/// Lays the PCI tree of a topology file (switches, NUMA nodes, NVLinks) over a machine, device by device, by PCI bus
/// id. For virtual machines, whose hypervisor hides the tree; clouds ship such files. Rates of the devices' own links,
/// peer grants and costs stay the machine's; a port that both know stays too. Devices on one side only stay where they
/// are or are left out, with a note. NVLinks come from the file when the machine has none or assumes them, and are
/// `unproved`. Errors: not_found, when no GPU of the file (no device, when it lists no GPU) is in the machine.
[[nodiscard]] inline result<machine> merge(machine live, const machine& topology_file) {
    return detail::machine_merger(std::move(live), topology_file).run();
}

BARELINK_END_NAMESPACE
