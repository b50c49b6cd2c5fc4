// What stands between the application and the wires, without root: runs the checks that read files, CPUID, limits and clocks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <barelink/measure/checks/clock.hpp>
#include <barelink/measure/checks/cpu.hpp>
#include <barelink/measure/checks/driver.hpp>
#include <barelink/measure/checks/environment.hpp>
#include <barelink/measure/checks/gpu_sharing.hpp>
#include <barelink/measure/checks/iommu.hpp>
#include <barelink/measure/checks/memory.hpp>
#include <barelink/measure/checks/numa.hpp>
#include <barelink/measure/checks/pci.hpp>
#include <barelink/measure/checks/timing.hpp>
#include <barelink/measure/checks/topology.hpp>
#include <barelink/measure/checks/virtualization.hpp>

BARELINK_BEGIN_NAMESPACE

/// Which checks to run, by id (`VRT-05`) or by the part before the dash (`VRT`).
struct doctor_options {
    std::vector<std::string> only; ///< empty: all
    std::vector<std::string> skip;

    [[nodiscard]] bool wants(std::string_view id) const {
        const auto named = [&](const std::vector<std::string>& list) {
            return std::any_of(list.begin(), list.end(), [&](const std::string& each) {
                return each == id || (id.size() > each.size() && id.starts_with(each) && id[each.size()] == '-');
            });
        };
        return (only.empty() || named(only)) && !named(skip);
    }
};

struct host_check {
    const char* id;
    check_function run;
};

/// The checks of the host, in the order in which they run: the clock first, because the others read it, and what is counted
/// over the whole run last. An id may be shared with a check of GPUs (PCI-01, VRT-07), which then says more.
inline constexpr host_check host_checks[] = {
    {"VRT-05", check_clock},          {"VRT-01", check_hypervisor},  {"VRT-02", check_hidden_hypervisor},
    {"VRT-08", check_confidential},   {"VRT-09", check_virtual_gpu}, {"VRT-10", check_gvisor},
    {"PCI-01", check_pci_generation}, {"PCI-02", check_pci_width},   {"PCI-03", check_pci_idle},
    {"PCI-07", check_bar1},           {"IOM-01", check_iommu},       {"TOP-01", check_topology},
    {"NUM-01", check_near_cpus},      {"NUM-02", check_gpu_node},    {"NUM-03", check_numa_balancing},
    {"CPU-01", check_governor},       {"CPU-02", check_idle_states}, {"MEM-01", check_locked_memory},
    {"MEM-02", check_shared_memory},  {"MEM-04", check_huge_pages},  {"MEM-05", check_numa_calls},
    {"DRV-01", check_module},         {"DRV-02", check_parameters},  {"DRV-03", check_gpudirect},
    {"DRV-05", check_driver_library}, {"GPU-01", check_gpu_sharing}, {"ENV-01", check_device_order},
    {"ENV-02", check_debugging},      {"VRT-04", check_exits},       {"VRT-07", check_wake_ups},
    {"VRT-06", check_jitter},         {"VRT-03", check_stolen_time}, {"CPU-03", check_cpu_quota},
};

/// Runs one check. Whatever it throws becomes an `unknown` finding with the reason; so does finding nothing at all.
[[nodiscard]] inline findings run_check(const char* id, check_function run, const doctor_scene& scene) {
    findings found;
#if BARELINK_EXCEPTIONS
    try {
        found = run(scene);
    } catch (const std::exception& failure) {
        found = {unknown_finding(id, std::string("the check failed: ") + failure.what())};
    }
#else
    found = run(scene);
#endif
    if (found.empty()) found.push_back(unknown_finding(id, "the check had nothing to look at"));
    return found;
}

/// Worst first; what is equally bad in the order of `check_names`, then by object.
inline void sort_findings(findings& all) {
    std::stable_sort(all.begin(), all.end(), [](const finding& a, const finding& b) {
        if (a.level != b.level) return a.level > b.level;
        const std::size_t first = check_place(a.id), second = check_place(b.id);
        return first != second ? first < second : a.object < b.object;
    });
}

namespace detail::host {

/// Whether a finding's object names `one`: itself, or in a list (`gpu:0, gpu:2`), or in a run (`gpu:0, ..., gpu:7 (8)`).
[[nodiscard]] inline bool names_object(const std::string& object, const std::string& one) {
    if (object == one) return true;
    const auto number_of = [](std::string_view id) {
        const std::size_t colon = id.find(':');
        return colon == std::string_view::npos ? -1l
                                               : std::strtol(std::string(id.substr(colon + 1)).c_str(), nullptr, 10);
    };
    bool named = false, run = false;
    long before = -1;
    for_words(object, [&](std::string_view each) {
        while (!each.empty() && each.back() == ',') each.remove_suffix(1);
        if (each == "...") {
            run = true;
            return;
        }
        if (each.empty() || each.front() == '(') return;
        const long number = number_of(each), wanted = number_of(one);
        named = named || each == one || (run && wanted > before && wanted < number);
        run = false;
        before = number;
    });
    return named;
}

} // namespace detail::host

/// Joins what two runs found, such as the host's and the GPUs': one after the other, sorted. An `unknown` of a check and an
/// object is dropped when another finding judged them, or says as much of them and others.
[[nodiscard]] inline findings join_findings(findings host, const findings& gpus) {
    host.insert(host.end(), gpus.begin(), gpus.end());
    const auto superseded = [&](std::size_t place) {
        const finding& one = host[place];
        if (one.level != severity::unknown) return false;
        for (std::size_t i = 0; i < host.size(); ++i) {
            const finding& other = host[i];
            if (i == place || other.id != one.id) continue;
            if (other.level == severity::info || !detail::host::names_object(other.object, one.object)) continue;
            if (other.level != severity::unknown || other.object != one.object || i < place) return true;
        }
        return false;
    };
    findings kept;
    for (std::size_t i = 0; i < host.size(); ++i)
        if (!superseded(i)) kept.push_back(host[i]);
    sort_findings(kept);
    return kept;
}

/// Looks at the host: every check of `host_checks` that is wanted, each guarded. Blocks for about 3 s, of which the timing
/// probes (VRT-03 to VRT-07) take nearly all. Threads: pins the calling thread for a while and puts it back.
[[nodiscard]] inline findings run_doctor(const system_view& system, const machine& m,
                                         const doctor_options& options = {}) {
    const doctor_scene scene(system, m);
    findings all;
    for (const host_check& each : host_checks) {
        if (!options.wants(each.id)) continue;
        for (finding& found : run_check(each.id, each.run, scene)) all.push_back(std::move(found));
    }
    sort_findings(all);
    return all;
}

/// Exit status of a tool: 0 nothing wrong was found, 3 warnings, 4 failures. What is unknown does not count.
[[nodiscard]] inline int exit_status(const findings& all) noexcept {
    int status = 0;
    for (const finding& each : all)
        status = std::max(status, each.level == severity::fail ? 4 : each.level == severity::warn ? 3 : 0);
    return status;
}

BARELINK_END_NAMESPACE
