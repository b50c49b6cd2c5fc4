// PCI-01 and PCI-02 as they count: generation and width of each GPU's link, read while it copies. Idle links slow down by themselves.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/checks/pci.hpp>
#include <barelink/measure/gpu_checks/check_sheet.hpp>
#include <barelink/measure/gpu_checks/copy_times.hpp>
#include <barelink/measure/gpu_checks/setup.hpp>

BARELINK_BEGIN_NAMESPACE

/// One GPU's link, read while copies were running over it.
struct busy_link {
    node_index gpu;
    pcie_reading link;
    bool busy = false; ///< copies were still running after it was read
    std::string why;   ///< why there is no reading
};

/// `read`: from a GPU's node to `result<pcie_reading>`, such as `read_pcie_link` of a system. Blocks; some 30 ms a GPU. Nothing is
/// read in a virtual machine.
template <runtime Runtime, class Read>
[[nodiscard]] std::vector<busy_link> read_busy_links(Runtime& on, const gpu_check_setup& setup, Read read) {
    const machine& m = on.topology();
    std::vector<busy_link> all;
    for (const node_index gpu : listed_gpus(m, setup)) {
        busy_link found{gpu, {}, false, {}};
        const auto look = [&]() -> status {
            auto host = detail::probes::lent_memory<Runtime>::make(on, host_memory_of(m, gpu), setup.host_bytes);
            if (!host) return host.error();
            auto device = detail::probes::lent_memory<Runtime>::make(on, gpu, setup.host_bytes);
            if (!device) return device.error();
            auto lane = detail::probes::timed_stream<Runtime>::make(on, gpu, 2, setup.timeout_us);
            if (!lane) return lane.error();
            status done;
            for (int i = 0; done && i < 2 * setup.copies; ++i) {
                done = on.copy(device->at(), host->at(), setup.host_bytes, lane->stream());
                if (done && i == 0) done = lane->mark(0);
            }
            if (done) done = lane->mark(1);
            if (done) done = lane->finish(0); // the first is through: the link is awake
            if (!done) return done;
            auto link = read(m.at(gpu));
            const auto over = lane->is_done(1);
            found.busy = over && !*over;
            if (link)
                found.link = *std::move(link);
            else
                found.why = link.error().what();
            return lane->finish(1);
        };
        if (!setup.bare_metal || m.virtualized)
            found.why = "this is not known to be bare metal, and a hypervisor may invent link speeds in /sys: judge by "
                        "PCI-04's copies";
        else if (const status looked = look(); !looked)
            found.why = looked.error().what();
        all.push_back(std::move(found));
    }
    return all;
}

[[nodiscard]] inline std::vector<finding> check_busy_links(const machine& m, const std::vector<busy_link>& all) {
    std::vector<finding> found;
    const auto judge_all = [&](const char* id, auto judge, const char* limit) {
        detail::probes::check_sheet alike(id, limit);
        for (const busy_link& each : all) {
            const std::string gpu = m.at(each.gpu).id();
            if (!each.why.empty()) {
                alike.unknown(gpu, each.why);
                continue;
            }
            finding one = judge(each.link, gpu, each.busy);
            if (one.level == severity::ok)
                alike.ok(gpu, one.evidence);
            else
                found.push_back(std::move(one));
        }
        if (!alike.empty() || all.empty())
            for (finding& each : std::move(alike).take("no GPU is listed")) found.push_back(std::move(each));
    };
    judge_all("PCI-01", judge_pcie_generation, "the slower of what the GPU and the port above it can, while copying");
    judge_all("PCI-02", judge_pcie_width, "the narrower of what the GPU and the port above it can, while copying");
    return found;
}

BARELINK_END_NAMESPACE
