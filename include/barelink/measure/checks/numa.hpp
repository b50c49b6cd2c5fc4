// NUM-01, NUM-02, NUM-03: threads near the GPU, GPUs without a node, pages that move by themselves.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <barelink/machine/detail/number_list.hpp>
#include <barelink/measure/checks/gpus.hpp>
#include <barelink/measure/doctor_scene.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail::host {

/// The machine's word for a GPU's node, else the system's; -1 when neither knows.
[[nodiscard]] inline long long node_of(const doctor_scene& scene, const node& gpu) {
    if (gpu.numa != unknown_numa) return gpu.numa.value;
    long long number = -1;
    const result<std::string> text = scene.system.read(pci_folder(gpu) + "/numa_node");
    return text && parse(*text, number) ? number : -1;
}
[[nodiscard]] inline result<std::vector<int>> nodes_online(const system_view& system) {
    const char* file = "/sys/devices/system/node/online";
    const result<std::string> text = system.read(file);
    if (!text) return text.error();
    std::vector<int> nodes = detail::numbers_in(*text);
    if (nodes.empty()) return error(errc::parse, text::join({file, " is no list of nodes"}));
    return nodes;
}

} // namespace detail::host

/// NUM-01, by affinity; rates from each node are a check of GPUs.
[[nodiscard]] inline findings check_near_cpus(const doctor_scene& scene) {
    findings all;
    const result<std::vector<int>> allowed = scene.system.allowed_cpus();
    for (const node* gpu : detail::host::gpus_of(*scene.on)) {
        const long long number = detail::host::node_of(scene, *gpu);
        if (!allowed || number < 0) {
            all.push_back(unknown_finding("NUM-01", !allowed ? allowed.error().what() : "the GPU's node is not known",
                                          gpu->id()));
            continue;
        }
        const std::string file = "/sys/devices/system/node/node" + std::to_string(number) + "/cpulist";
        const result<std::string> list = scene.system.read(file);
        const std::vector<int> near = list ? detail::numbers_in(*list) : std::vector<int>();
        if (near.empty()) {
            all.push_back(
                unknown_finding("NUM-01", list ? file + " lists no CPU" : std::string(list.error().what()), gpu->id()));
            continue;
        }
        const auto mine = std::count_if(near.begin(), near.end(), [&](int cpu) {
            return std::find(allowed->begin(), allowed->end(), cpu) != allowed->end();
        });
        finding f = finding_of("NUM-01", gpu->id());
        f.evidence = "this process may run on " + std::to_string(mine) + " of the " + std::to_string(near.size()) +
                     " CPUs of node " + std::to_string(number) + " (" + file + ')';
        f.limit = "at least one";
        f.level = mine > 0 ? severity::ok : severity::fail;
        if (f.level == severity::fail) {
            f.cost =
                "memory from the far node: no loss on several Gen4 servers, 377 to 133 GB/s on dual GH200, 12.2 to "
                "3.8 on an old P100 box (published)";
            f.remedy =
                "give the process CPUs of that node (taskset, the container's cpuset, the scheduler's GPU binding)";
            f.reaction =
                "pinned memory is bound to the GPU's node where that is allowed, whatever the threads' CPUs are";
        }
        all.push_back(std::move(f));
    }
    if (all.empty()) all.push_back(unknown_finding("NUM-01", detail::host::no_gpu));
    return all;
}

/// NUM-02. -1 with several nodes is "unknown", not "near to all".
[[nodiscard]] inline findings check_gpu_node(const doctor_scene& scene) {
    findings all;
    const result<std::vector<int>> nodes = detail::host::nodes_online(scene.system);
    for (const node* gpu : detail::host::gpus_of(*scene.on)) {
        if (!nodes) {
            all.push_back(unknown_finding("NUM-02", nodes.error().what(), gpu->id()));
            continue;
        }
        const long long number = detail::host::node_of(scene, *gpu);
        finding f = finding_of("NUM-02", gpu->id());
        f.evidence = (number < 0 ? std::string("node -1") : "node " + std::to_string(number)) + " on a machine of " +
                     detail::host::counted(nodes->size(), "node", "nodes");
        f.limit = "a node, where there are several";
        f.level = number >= 0 || nodes->size() == 1 ? severity::ok : severity::warn;
        if (f.level == severity::warn) {
            f.cost = "half of all guesses are the far node: no loss on several Gen4 servers, 377 to 133 GB/s on dual "
                     "GH200 (published)";
            f.remedy = "let the hypervisor tell the GPU's node (QEMU: pxb-pcie with numa_node), or the firmware";
            f.reaction = "calibrate places the GPU by copies from each node";
        }
        all.push_back(std::move(f));
    }
    if (all.empty()) all.push_back(unknown_finding("NUM-02", detail::host::no_gpu));
    return all;
}

/// NUM-03. The kernel unmaps pages to see who touches them, and moves them.
[[nodiscard]] inline findings check_numa_balancing(const doctor_scene& scene) {
    const std::string file = "/proc/sys/kernel/numa_balancing";
    const result<std::string> text = scene.system.read(file);
    finding f = finding_of("NUM-03");
    f.limit = "0";
    long long on = 0;
    if (text && detail::host::parse(*text, on)) {
        f.evidence = file + " is " + *text;
        const result<std::vector<int>> nodes = detail::host::nodes_online(scene.system);
        const bool one = nodes && nodes->size() == 1;
        if (one) f.evidence += ", on a machine of one node";
        f.level = on == 0 || one ? severity::ok : severity::warn;
    } else if (!text && text.error().code() == errc::not_found && scene.system.read("/proc/sys/kernel/osrelease")) {
        f.level = severity::ok;
        f.evidence = "the kernel has no automatic balancing: no " + file + " beside the others there";
    } else {
        return {unknown_finding("NUM-03", text ? file + " is no number" : std::string(text.error().what()))};
    }
    if (f.level == severity::warn) {
        f.cost = "page faults and moves in host buffers that are not pinned; not quantified";
        f.remedy = "sysctl kernel.numa_balancing=0 on machines that serve models";
        f.reaction = "pinned memory is not touched by it";
    }
    return {f};
}

BARELINK_END_NAMESPACE
