// The checks that use GPUs, in the groups that run one after the other, each in a process of its own: what hangs takes only its
// own group with it.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/gpu_checks/host_rate_check.hpp>
#include <barelink/measure/gpu_checks/link_state.hpp>
#include <barelink/measure/gpu_checks/node_check.hpp>
#include <barelink/measure/gpu_checks/page_size.hpp>
#include <barelink/measure/gpu_checks/pageable_copies.hpp>
#include <barelink/measure/gpu_checks/pair_checks.hpp>
#include <barelink/measure/gpu_checks/peer_delivery.hpp>
#include <barelink/measure/gpu_checks/shared_uplinks.hpp>
#include <barelink/measure/gpu_checks/slow_links.hpp>
#include <barelink/measure/gpu_checks/small_copies.hpp>
#include <barelink/measure/gpu_checks/steadiness.hpp>

BARELINK_BEGIN_NAMESPACE

/// What a group of checks found, and what plans must heed of it.
struct gpu_audit {
    std::vector<finding> found;
    std::vector<probe_result> learned;

    void add(std::vector<finding> more) {
        for (finding& each : more) found.push_back(std::move(each));
    }
    void add(std::vector<probe_result> more) {
        for (probe_result& each : more) learned.push_back(std::move(each));
    }
};

inline constexpr const char* host_copy_checks[] = {"PCI-04", "VRT-08", "NUM-01", "NUM-02", "PCI-05", "PCI-06",
                                                   "PCI-01", "PCI-02", "IOM-02", "MEM-03", "GPU-03", "GPU-04"};

/// Copies between host memory and each GPU. `read_link`: as `read_busy_links` takes it. `note_memory`: fills in a
/// `steadiness`'s memory in use, for GPU-03. Blocks; some 2 s for 8 GPUs.
template <runtime Runtime, class ReadLink, class NoteMemory>
[[nodiscard]] gpu_audit audit_host_copies(Runtime& on, const gpu_check_setup& setup, ReadLink read_link,
                                          NoteMemory note_memory) {
    const machine& m = on.topology();
    gpu_audit all;
    std::vector<steadiness> steady = measure_steadiness(on, setup);
    for (steadiness& each : steady) note_memory(each);
    const std::vector<small_copy_times> small = measure_small_copies(on, setup);
    std::vector<host_rate> rates;
    {
        rate_probe_options options;
        options.memory_bytes = setup.memory_bytes;
        rate_probe<Runtime> probe(on, options);
        rates = measure_host_rates(on, probe, setup);
        all.add(check_shared_uplinks(m, setup, measure_shared_rates(on, probe, setup, rates)));
    }
    all.add(check_host_rates(m, setup, rates));
    all.add(check_encrypted_copies(m, setup, rates, smallest_copies(small)));
    all.add(check_nodes(m, setup, rates, all.learned));
    all.add(check_small_copies(m, setup, small));
    all.add(check_busy_links(m, read_busy_links(on, setup, read_link)));
    all.add(check_page_sizes(m, measure_page_sizes(on, setup)));
    all.add(check_pageable(m, measure_pageable(on, setup), rates));
    all.add(check_neighbours(m, steady));
    all.add(check_clocks(m, steady));
    all.add(slow_links(m, path_rates_of(rates, {})));
    return all;
}

inline constexpr const char* delivery_checks[] = {"P2P-01", "P2P-02", "P2P-03"};

/// Whether bytes arrive between GPUs. Blocks; some 200 us a pair, and up to four time-outs for each one that hangs.
template <runtime Runtime>
[[nodiscard]] gpu_audit audit_delivery(Runtime& on, const gpu_check_setup& setup) {
    gpu_audit all;
    all.add(check_peer_matrix(on.topology(), setup)); // before a proof changes what is allowed
    const std::vector<peer_proof> proofs = prove_peers(on, setup);
    all.add(check_delivery(on.topology(), setup, proofs, all.learned));
    all.add(check_delivery_cause(on.topology(), setup, proofs));
    return all;
}

inline constexpr const char* pair_rate_checks[] = {"NVL-01", "ACS-01"};

/// What copies between GPUs reach; proves delivery again first, because nothing else may be copied over. Blocks; some 10 ms a pair.
template <runtime Runtime>
[[nodiscard]] gpu_audit audit_pair_rates(Runtime& on, const gpu_check_setup& setup) {
    const machine& m = on.topology();
    gpu_audit all;
    const gpu_set stuck = stuck_gpus(m, prove_peers(on, setup));
    rate_probe_options options;
    options.memory_bytes = setup.memory_bytes;
    rate_probe<Runtime> probe(on, options);
    const std::vector<pair_rate> rates = measure_pairs(on, probe, setup, stuck);
    all.add(check_nvlink_rates(m, setup, rates));
    all.add(check_redirection(m, setup, rates, all.learned));
    std::vector<pair_rate> nvlinks; // PCIe's links are host copies' to judge
    for (const pair_rate& each : rates)
        if (each.nvlink) nvlinks.push_back(each);
    all.add(slow_links(m, path_rates_of({}, nvlinks)));
    return all;
}

BARELINK_END_NAMESPACE
