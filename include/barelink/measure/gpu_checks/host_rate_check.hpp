// PCI-04: do large pinned copies reach what the link carries? VRT-08: does the platform encrypt them on the way?
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include <barelink/measure/gpu_checks/check_sheet.hpp>
#include <barelink/measure/gpu_checks/copy_times.hpp>
#include <barelink/measure/gpu_checks/host_rates.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail::probes {

/// The slower direction of a GPU's copies from its own memory, as a share of the link's raw rate.
struct host_share {
    const host_rate* rate = nullptr;
    host_link_limit limit;
    double raw = 0, copies = 0; ///< shares of the two limits
};
[[nodiscard]] inline host_share share_of(const machine& m, std::span<const host_rate> rates, node_index gpu) {
    host_share found;
    found.rate = find_rate(rates, gpu, host_memory_of(m, gpu));
    if (!found.rate || !found.rate->known()) return found;
    for (const bool to_host : {false, true}) {
        const host_link_limit limit = limit_of(m, gpu, found.rate->memory, to_host);
        if (!(limit.raw_gb_s > 0)) return found;
        const double reached = to_host ? found.rate->to_host_gb_s : found.rate->to_gpu_gb_s;
        const double raw = reached / limit.raw_gb_s, copies = reached / limit.copies_gb_s;
        if (!to_host || raw < found.raw) {
            found.raw = raw;
            found.limit = limit;
        }
        found.copies = to_host ? std::min(found.copies, copies) : copies;
    }
    return found;
}

} // namespace detail::probes

/// PCI-04, one for each GPU that falls short. Never ok without a figure and a limit.
[[nodiscard]] inline std::vector<finding> check_host_rates(const machine& m, const gpu_check_setup& setup,
                                                           std::span<const host_rate> rates) {
    constexpr double ok_share = 0.80, fail_share = 0.65, ok_of_published = 0.95;
    detail::probes::check_sheet sheet(
        "PCI-04", "at least 80 % of the link's raw rate is ok, or 95 % of what copies are published to reach over "
                  "its generation; below 65 % fails (project choice)");
    for (const node_index gpu : listed_gpus(m, setup)) {
        const std::string id = m.at(gpu).id();
        const detail::probes::host_share share = detail::probes::share_of(m, rates, gpu);
        if (!share.rate || !share.rate->known()) {
            sheet.unknown(id, share.rate ? "not measured: " + share.rate->why : "no host memory to copy from");
            continue;
        }
        const std::string measured = detail::probes::rate_text(share.rate->to_gpu_gb_s) + " to the GPU, " +
                                     detail::probes::rate_text(share.rate->to_host_gb_s) + " back, " +
                                     std::to_string(setup.host_bytes / MiB) + " MiB pinned on " +
                                     m.at(share.rate->memory).id();
        if (!(share.limit.raw_gb_s > 0)) {
            sheet.unknown(id, measured + "; what its link carries is not known");
            continue;
        }
        const std::string evidence = measured + ": " + detail::probes::share_text(share.raw) + " of the " +
                                     detail::probes::rate_text(share.limit.raw_gb_s) + " of " + share.limit.name;
        if (share.raw >= ok_share || share.copies >= ok_of_published) {
            sheet.ok(id, evidence, share.raw);
            continue;
        }
        finding& slow = sheet.add(share.raw < fail_share ? severity::fail : severity::warn, id, evidence);
        slow.cost = "host copies take " + detail::probes::decimal(1 / share.copies) +
                    " times as long as over a healthy link (published: 54.8 GB/s on bare metal, 51 to 52 in virtual "
                    "machines, of 63)";
        slow.remedy =
            "look at the slot, the link's speed and width under load (PCI-01, PCI-02), the IOMMU's mode (IOM-01) and "
            "other users of the link (GPU-03)";
        slow.reaction = "plans count with the rate that was measured";
    }
    return std::move(sheet).take("no GPU is listed");
}

/// VRT-08 as far as copies tell: registration refused, or rates that only encryption explains. `guest`: the processor says that
/// this is a confidential guest; check VRT-08 of the host's files knows.
[[nodiscard]] inline std::vector<finding> check_encrypted_copies(const machine& m, const gpu_check_setup& setup,
                                                                 std::span<const host_rate> rates,
                                                                 std::span<const double> small_us) {
    constexpr double far_below = 0.35, slow_crossing_us = 150;
    detail::probes::check_sheet sheet(
        "VRT-08", "a pinned rate below 35 % of the link's and small copies above 150 us together, or pinning refused "
                  "(project choice, between the published 0.20 of the rate with about 330 us and healthy links)");
    const double typical_us = small_us.empty() ? 0 : quantile(small_us, 0.5);
    for (const node_index gpu : listed_gpus(m, setup)) {
        const std::string id = m.at(gpu).id();
        const detail::probes::host_share share = detail::probes::share_of(m, rates, gpu);
        if (share.rate && share.rate->refused) {
            finding& refused = sheet.add(severity::warn, id, "no memory could be pinned for it: " + share.rate->why);
            refused.cost = "every copy is staged by the driver; not quantified here";
            refused.remedy =
                "in a confidential guest this is by design; else raise the limit of locked memory (MEM-01)";
            refused.reaction = "copies go through what pinned memory there is";
            continue;
        }
        if (!share.rate || !share.rate->known() || !(share.limit.raw_gb_s > 0) || small_us.empty()) {
            sheet.unknown(id, "without rates of large and times of small copies nothing can be said");
            continue;
        }
        const std::string evidence = "large copies reach " + detail::probes::share_text(share.raw) +
                                     " of the link's raw rate, small ones take " + detail::probes::decimal(typical_us) +
                                     " us";
        if (share.raw >= far_below || typical_us < slow_crossing_us) {
            sheet.ok(id, evidence, share.raw);
            continue;
        }
        finding& slow =
            sheet.add(severity::warn, id, evidence + ": as in a confidential guest, whose copies are encrypted");
        slow.cost = "published for a B300: host copies at 0.20 of their rate, about 330 us for each small crossing, "
                    "serving 13 to "
                    "27 % slower";
        slow.remedy = "if confidential computing is not wanted, start the virtual machine without it";
        slow.reaction = "plans count with the rates that were measured; bundle small copies";
    }
    return std::move(sheet).take("no GPU is listed");
}

BARELINK_END_NAMESPACE
