// IOM-02: are host copies slower from memory in pages of 4 KiB than from memory in pages of 2 MiB? An IOMMU makes them so.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/gpu_checks/check_sheet.hpp>
#include <barelink/measure/gpu_checks/copy_times.hpp>
#include <barelink/measure/gpu_checks/setup.hpp>
#include <barelink/move/host_mapping.hpp>

BARELINK_BEGIN_NAMESPACE

struct page_size_rates {
    node_index gpu;
    double small_gb_s = 0, huge_gb_s = 0; ///< 0: no figure
    bool reserved = false;                ///< huge pages that were set aside: sure to be huge
    std::string why;
};

namespace detail::probes {

/// Median rate of copies to the GPU from memory of the caller's that is pinned for as long as that takes, GB/s.
template <runtime Runtime>
[[nodiscard]] result<double> rate_from(Runtime& on, node_index gpu, node_index memory, void* at, std::uint64_t bytes,
                                       const gpu_check_setup& setup) {
    auto device = lent_memory<Runtime>::make(on, gpu, bytes);
    if (!device) return device.error();
    if (auto pinned = on.pin(at, bytes, {memory_kind::pinned, memory, 0, 0}); !pinned) return pinned.error();
    const auto us = copy_times(on, gpu, device->at(), at, bytes, setup.copies, setup.timeout_us);
    const status unpinned = on.unpin(at);
    if (!us) return us.error();
    if (!unpinned) return unpinned.error();
    return rate_gb_s(static_cast<double>(bytes), quantile(*us, 0.5));
}

} // namespace detail::probes

/// Each listed GPU, memory of its own node. Blocks: two mappings of `host_bytes`, one after the other.
template <runtime Runtime>
[[nodiscard]] std::vector<page_size_rates> measure_page_sizes(Runtime& on, const gpu_check_setup& setup) {
    const machine& m = on.topology();
    std::vector<page_size_rates> all;
    for (const node_index gpu : listed_gpus(m, setup)) {
        page_size_rates found{gpu, 0, 0, false, {}};
        const node_index memory = host_memory_of(m, gpu);
        for (const bool huge : {false, true}) {
            using pages = host_mapping_options::huge_pages;
            host_layout where;
            if (setup.places_memory && memory != no_node) where.nodes = {m.at(memory).numa};
            if (huge && detail::free_huge_pages() == 0 && !detail::may_advise_huge_pages()) {
                found.why = "this system has no huge pages to compare with (MEM-04)";
                break;
            }
            auto mapped =
                host_mapping::make(setup.host_bytes, where, {0, huge ? pages::reserved_or_transparent : pages::never});
            auto rate = mapped ? detail::probes::rate_from(on, gpu, memory, mapped->data(), setup.host_bytes, setup)
                               : result<double>(mapped.error());
            if (!rate) {
                found.why = rate.error().what();
                if (mapped) mapped->abandon(); // a copy may still read it
                break;
            }
            (huge ? found.huge_gb_s : found.small_gb_s) = *rate;
            found.reserved = huge && mapped->page_bytes() >= detail::huge_page_bytes;
        }
        all.push_back(std::move(found));
    }
    return all;
}

[[nodiscard]] inline std::vector<finding> check_page_sizes(const machine& m, const std::vector<page_size_rates>& all) {
    constexpr double alike = 0.95;
    detail::probes::check_sheet sheet("IOM-02", "95 % of the rate from 2 MiB pages (project choice)");
    for (const page_size_rates& each : all) {
        const std::string id = m.at(each.gpu).id();
        if (!(each.small_gb_s > 0) || !(each.huge_gb_s > 0)) {
            sheet.unknown(id, each.why.empty() ? "not measured" : each.why);
            continue;
        }
        const double share = each.small_gb_s / each.huge_gb_s;
        const std::string evidence =
            detail::probes::rate_text(each.small_gb_s) + " from 4 KiB pages, " +
            detail::probes::rate_text(each.huge_gb_s) + " from " +
            (each.reserved ? "reserved huge pages" : "memory that asked for transparent huge pages");
        if (share >= alike) {
            sheet.ok(id, evidence, share);
            continue;
        }
        finding& slow = sheet.add(severity::warn, id, evidence);
        slow.cost = "copies from small pages are " + detail::probes::share_text(1 - share) +
                    " slower (published for a translating IOMMU: up to 20 % at 200 Gb/s, recovered with huge pages)";
        slow.remedy = "pass-through for the IOMMU (iommu=pt), or reserve huge pages (vm.nr_hugepages)";
        slow.reaction = "pinned pools take huge pages where there are any";
    }
    return std::move(sheet).take("no GPU is listed");
}

BARELINK_END_NAMESPACE
