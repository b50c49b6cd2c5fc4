// What copies between GPUs reach over their direct paths, and what staging through host memory would.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/gpu_checks/peer_matrix.hpp>
#include <barelink/measure/rate_probe.hpp>

BARELINK_BEGIN_NAMESPACE

struct pair_rate {
    node_index from, to;
    double gb_s = 0; ///< 0: no figure
    /// The slower half of a copy through host memory while both halves run; 0 where it was not measured.
    double staged_gb_s = 0;
    bool nvlink = false;
    bool same_switch = false; ///< PCIe, and never above a switch
    std::string why;
};

namespace detail::probes {

/// A PCIe path that stays below a switch.
[[nodiscard]] inline bool below_switch(const machine& m, const dma_path& path) {
    for (const link_direction hop : m.hops(path))
        for (const node_index end : {m.at(hop.link).a, m.at(hop.link).b})
            if (m.at(end).kind != node_kind::gpu && m.at(end).kind != node_kind::pcie_switch) return false;
    return path.hop_count > 0 && !over_nvlink(m, path);
}

} // namespace detail::probes

/// Every granted pair of listed GPUs in both directions, one after the other; PCIe pairs also through host memory. Precondition:
/// the runtime's machine knows which pairs were proved to deliver: no other one is copied over, because copies may never end.
/// So are those with a GPU in `stuck`, which still has such a copy. Blocks; some 5 ms a pair.
template <runtime Runtime>
[[nodiscard]] std::vector<pair_rate> measure_pairs(Runtime& on, rate_probe<Runtime>& probe,
                                                   const gpu_check_setup& setup,
                                                   const gpu_set& stuck = gpu_set::none()) {
    const machine& m = on.topology();
    const std::vector<node_index> gpus = listed_gpus(m, setup);
    std::vector<pair_rate> all;
    for (const node_index from : gpus)
        for (const node_index to : gpus) {
            const dma_path* path = m.path(from, to);
            if (from == to || !path || (!path->allowed && path->proof != delivery::failed)) continue;
            pair_rate found{
                from, to, 0, 0, detail::probes::over_nvlink(m, *path), detail::probes::below_switch(m, *path), {}};
            const bool held_up = stuck.contains(gpu_id{m.at(from).index}) || stuck.contains(gpu_id{m.at(to).index});
            if (path->proof != delivery::proved || held_up) {
                found.why = held_up ? "an earlier copy of one of the two never ended (P2P-02)"
                                    : "there is no proof that bytes arrive (P2P-02)";
                all.push_back(std::move(found));
                continue;
            }
            const auto direct = probe.measure({from, to, setup.pair_bytes, setup.copies});
            if (!direct)
                found.why = direct.error().what();
            else if (!direct->direct)
                found.why = "peer access could not be opened: the driver staged the copies";
            else
                found.gb_s = direct->gb_s;
            const node_index host = host_memory_of(m, from);
            if (found.gb_s > 0 && !found.nvlink && host != no_node) {
                const copy_load halves[] = {{from, host, setup.pair_bytes, setup.copies},
                                            {host, to, setup.pair_bytes, setup.copies}};
                if (const auto staged = probe.measure(halves))
                    found.staged_gb_s = std::min((*staged)[0].gb_s, (*staged)[1].gb_s);
            }
            all.push_back(std::move(found));
        }
    return all;
}

BARELINK_END_NAMESPACE
