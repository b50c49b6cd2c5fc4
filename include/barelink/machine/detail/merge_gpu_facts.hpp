// Lays what CUDA says of its GPUs over what hwloc or sysfs saw of the machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/detail/gpu_facts.hpp>
#include <barelink/machine/detail/infer_nvlinks.hpp>
#include <barelink/machine/detail/sketch.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// `merge_gpu_facts`, step by step.
class gpu_facts_merger {
public:
    gpu_facts_merger(machine_sketch& seen, const cuda::gpu_inventory& facts)
        : seen_(seen), facts_(facts), flat_(facts.gpus.size(), 0), device_of_(facts.gpus.size(), -1) {}

    void run() {
        drop_gpu_memories();
        match();
        hide_the_others();
        for (std::size_t g = 0; g < device_of_.size(); ++g) describe(g);
        for (std::size_t g = 0; g < device_of_.size(); ++g) place(g);
        place_ports();
        join_cpus();
        add_pairs();
        infer_nvlinks(seen_);
    }

private:
    [[nodiscard]] sketched_device& device(std::size_t g) {
        return seen_.devices[static_cast<std::size_t>(device_of_[g])];
    }
    [[nodiscard]] static std::string id(const cuda::gpu_facts& gpu) { return "gpu:" + std::to_string(gpu.ordinal); }
    [[nodiscard]] const sketched_memory* memory(int numa) const {
        for (const sketched_memory& each : seen_.memories)
            if (each.index == numa) return &each;
        return nullptr;
    }

    void drop_gpu_memories();
    void match();
    void hide_the_others();
    void describe(std::size_t g);
    void place(std::size_t g);
    void place_ports();
    void join_cpus();
    void add_pairs();

    machine_sketch& seen_;
    const cuda::gpu_inventory& facts_;
    std::vector<char> flat_;     ///< of every GPU of CUDA's: the sketch did not have it
    std::vector<int> device_of_; ///< of every GPU of CUDA's, its device
    std::vector<int> moved_;     ///< devices whose place CUDA decided
};

/// Makes the GPUs of a sketch those that CUDA shows: matched by PCI address and nothing else, numbered in CUDA's order.
/// GPUs that only the sketch has stay in it and are not used; those that only CUDA shows hang from a package of their
/// NUMA node. Memory sizes, names and peer access are CUDA's; so is a GPU's NUMA node, unless CUDA does not know it.
/// NVLinks are inferred where the sketch's source lists none. Contradictions and gaps become notes.
inline void merge_gpu_facts(machine_sketch& seen, const cuda::gpu_inventory& facts) {
    gpu_facts_merger(seen, facts).run();
}

/// GPU memory that is a NUMA node (Grace) is not host memory.
inline void gpu_facts_merger::drop_gpu_memories() {
    for (const cuda::gpu_facts& gpu : facts_.gpus) {
        const int own = gpu.memory_numa.value;
        if (own < 0 || !memory(own) || seen_.memories.size() < 2) continue;
        std::vector<sketched_memory> kept;
        for (const sketched_memory& each : seen_.memories)
            if (each.index != own) kept.push_back(each);
        seen_.memories = std::move(kept);
        seen_.note("numa:" + std::to_string(own), "is the memory of a GPU: not host memory");
        for (sketched_device& each : seen_.devices)
            if (each.numa == own) each.numa = -1;
    }
}

inline void gpu_facts_merger::match() {
    std::vector<char> taken(seen_.devices.size(), 0);
    for (std::size_t g = 0; g < device_of_.size(); ++g) {
        const cuda::gpu_facts& gpu = facts_.gpus[g];
        int twin = -1; // another part of the same split GPU
        for (std::size_t d = 0; d < seen_.devices.size(); ++d) {
            const sketched_device& each = seen_.devices[d];
            if (each.kind != node_kind::gpu || !gpu.pci.known || !(each.pci == gpu.pci)) continue;
            if (!taken[d]) device_of_[g] = static_cast<int>(d);
            twin = static_cast<int>(d);
            break;
        }
        if (device_of_[g] < 0) {
            sketched_device added;
            if (twin >= 0) added = seen_.devices[static_cast<std::size_t>(twin)];
            added.kind = node_kind::gpu;
            added.pci = gpu.pci;
            device_of_[g] = static_cast<int>(seen_.devices.size());
            seen_.devices.push_back(std::move(added));
            taken.push_back(0);
            if (twin < 0) flat_[g] = 1;
        }
        taken[static_cast<std::size_t>(device_of_[g])] = 1;
    }
}

inline void gpu_facts_merger::hide_the_others() {
    for (std::size_t d = 0; d < seen_.devices.size(); ++d) {
        sketched_device& each = seen_.devices[d];
        if (each.kind != node_kind::gpu) continue;
        bool shown = false;
        for (const int used : device_of_) shown = shown || used == static_cast<int>(d);
        if (!shown && each.cuda)
            seen_.note(to_string(each.pci), "CUDA does not show this GPU (CUDA_VISIBLE_DEVICES, or another driver has "
                                            "it): drawn, not used");
        each.cuda = shown;
    }
}

inline void gpu_facts_merger::describe(std::size_t g) {
    const cuda::gpu_facts& gpu = facts_.gpus[g];
    sketched_device& here = device(g);
    here.order = gpu.ordinal;
    if (!gpu.name.empty()) here.name = gpu.name;
    if (gpu.memory_bytes > 0) here.bytes = gpu.memory_bytes;
    if (here.vendor == 0) {
        here.vendor = gpu.vendor ? gpu.vendor : nvidia_vendor;
        here.device = gpu.device;
    }
    here.sm = gpu.sm;
    const bool shares_tables = gpu.host_atomics == cuda::answer::yes && gpu.pageable_access == cuda::answer::yes &&
                               gpu.host_page_tables == cuda::answer::yes;
    // Before Hopper that was POWER's NVLink, whose number of links differs between servers.
    here.coherent = shares_tables && gpu.sm >= 90;
    if (shares_tables && !here.coherent)
        seen_.note(id(gpu),
                   "its link to the CPU is coherent, so it is NVLink: its rate is not known here, PCIe's is used");
    // In a virtual machine the assembler says so of every GPU without a port.
    if (flat_[g] && !seen_.virtualized && !on_c2c(here))
        seen_.note(id(gpu), "CUDA shows it and the PCI tree does not: a root port of its own is assumed; merge a "
                            "topology file");
    if (gpu.copy_engines == 1) seen_.note(id(gpu), "has one copy engine: copies to it and from it take turns");
    if (gpu.mig)
        seen_.note(id(gpu), "is a MIG instance: it has no peer access, and shares its link with the GPU's other ones");
}

inline void gpu_facts_merger::place(std::size_t g) {
    const cuda::gpu_facts& gpu = facts_.gpus[g];
    sketched_device& here = device(g);
    const sketched_memory* told = memory(gpu.host_numa.value);
    if (!told && gpu.host_numa != unknown_numa)
        seen_.note(id(gpu), "CUDA says it is near to numa:" + std::to_string(gpu.host_numa.value) +
                                ", which has no memory here");
    if (!told && here.numa < 0 && seen_.memories.size() == 1) told = &seen_.memories.front();
    if (told && here.numa != told->index) {
        if (here.numa >= 0)
            seen_.note(id(gpu), "is near to numa:" + std::to_string(here.numa) + " by the PCI tree and to numa:" +
                                    std::to_string(told->index) + " by CUDA: CUDA is believed");
        here.numa = told->index;
        here.package = told->package;
        moved_.push_back(device_of_[g]);
    } else if (!told && here.numa < 0 && seen_.packages.size() == 1) {
        seen_.note(id(gpu), "nothing says which NUMA node it is near to");
    }
}

/// A port is where its GPUs are, when CUDA moved one of them and all agree.
inline void gpu_facts_merger::place_ports() {
    constexpr int none = -1, several = -2;
    const std::size_t count = seen_.devices.size();
    std::vector<int> agreed(count, none);
    std::vector<char> moved(count, 0);
    for (const int each : moved_) moved[static_cast<std::size_t>(each)] = 1;
    for (std::size_t d = count; d-- > 0;) {
        sketched_device& each = seen_.devices[d];
        const bool port = each.kind == node_kind::root_port || each.kind == node_kind::pcie_switch;
        if (port && moved[d] && agreed[d] >= 0) {
            each.numa = agreed[d];
            each.package = memory(agreed[d])->package;
        }
        const int numa = each.kind == node_kind::gpu ? each.numa : port ? agreed[d] : none;
        if (each.parent < 0 || numa == none) continue;
        const auto above = static_cast<std::size_t>(each.parent);
        agreed[above] = agreed[above] == none || agreed[above] == numa ? numa : several;
        if (moved[d]) moved[above] = 1;
    }
}

/// Grace is the only CPU with C2C, and its Linux often gives it no name.
inline void gpu_facts_merger::join_cpus() {
    for (const sketched_device& each : seen_.devices) {
        const std::size_t package = each.package < 0 ? 0 : static_cast<std::size_t>(each.package);
        if (each.coherent && package < seen_.packages.size() && seen_.packages[package].name.empty())
            seen_.packages[package].name = "NVIDIA Grace";
    }
}

inline void gpu_facts_merger::add_pairs() {
    const std::size_t count = device_of_.size();
    if (facts_.peers.size() != count * count) return;
    for (std::size_t from = 0; from < count; ++from) {
        for (std::size_t to = 0; to < count; ++to) {
            if (from == to) continue;
            const cuda::gpu_facts &a = facts_.gpus[from], &b = facts_.gpus[to];
            const cuda::peer_facts& said = facts_.peer(from, to);
            const bool split = a.mig || b.mig;
            sketched_pair added;
            added.from = device_of_[from];
            added.to = device_of_[to];
            added.allowed = split ? 0 : static_cast<int>(said.access);
            added.rank = said.performance_rank;
            added.atomics = static_cast<int>(said.native_atomics);
            // Some atomics: neither NVLink's answer nor PCIe's.
            if (said.native_atomics == cuda::answer::no && said.partial_atomics == cuda::answer::yes)
                added.atomics = -1;
            seen_.pairs.push_back(added);
            if (added.allowed < 0)
                seen_.note(id(a) + "-" + id(b), "CUDA did not say whether it may copy directly: by the model table");
            if (!split && said.access == cuda::answer::yes && facts_.peer(to, from).access == cuda::answer::no)
                seen_.note(id(a) + "-" + id(b), "CUDA grants direct copies this way and not back");
        }
    }
}

} // namespace detail
BARELINK_END_NAMESPACE
