// P2P-02: do bytes that one GPU sends arrive at the other? P2P-03: if not, is the IOMMU in the way?
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/doctor_effects.hpp>
#include <barelink/measure/gpu_checks/peer_matrix.hpp>
#include <barelink/measure/gpu_checks/remote_store.hpp>

BARELINK_BEGIN_NAMESPACE

/// One ordered pair that CUDA grants.
struct peer_proof {
    enum class outcome : std::uint8_t { arrived, refused, wrong_bytes, never_ended, not_made };
    node_index from, to;
    outcome copy = outcome::not_made;
    outcome store = outcome::not_made; ///< by a kernel of `from`
    bool kernels = false;              ///< there was one
    std::string why;                   ///< of not_made

    [[nodiscard]] static bool bad(outcome what) noexcept {
        return what == outcome::refused || what == outcome::wrong_bytes || what == outcome::never_ended;
    }
    [[nodiscard]] bool failed() const noexcept { return bad(copy) || bad(store); }
    /// Copies, and stores where there are kernels, arrived.
    [[nodiscard]] bool proved() const noexcept {
        return copy == outcome::arrived && (!kernels || store == outcome::arrived);
    }
};

/// Proves every granted pair of listed GPUs, in both directions; some 200 us a pair. A pair that fails is `failed` in the runtime's
/// machine from then on. GPUs with a copy that never ended are not used again: further pairs with them are not made.
template <runtime Runtime>
[[nodiscard]] std::vector<peer_proof> prove_peers(Runtime& on, const gpu_check_setup& setup) {
    using outcome = peer_proof::outcome;
    const machine& m = on.topology();
    const std::vector<node_index> gpus = listed_gpus(m, setup);
    std::vector<peer_proof> all;
    std::vector<node_index> stuck;
    const auto is_stuck = [&](node_index gpu) { return std::find(stuck.begin(), stuck.end(), gpu) != stuck.end(); };
    for (const node_index from : gpus)
        for (const node_index to : gpus) {
            if (from == to || !detail::probes::grants(m, from, to)) continue;
            peer_proof made{from, to, outcome::not_made, outcome::not_made, false, {}};
            const auto judged = [&](const result<delivery>& found, double before_us) {
                if (!found) {
                    made.why = found.error().what();
                    return outcome::not_made;
                }
                if (*found == delivery::proved) return outcome::arrived;
                return on.clock_us() - before_us >= setup.proof.timeout_us ? outcome::never_ended
                                                                           : outcome::wrong_bytes;
            };
            if (is_stuck(from) || is_stuck(to)) {
                made.why = "not tried: an earlier copy of one of the two never ended";
                all.push_back(std::move(made));
                continue;
            }
            if (const status opened = on.open_peer(from, to); !opened && opened.error().code() == errc::not_permitted) {
                on.set_delivery(from, to, delivery::failed);
                made.copy = outcome::refused;
                made.why = opened.error().what();
            } else if (!opened) {
                made.why = opened.error().what();
            } else {
                double before_us = on.clock_us();
                made.copy = judged(prove_delivery(on, from, to, setup.proof), before_us);
                if constexpr (has_block_kernels<Runtime>) made.kernels = on.has_block_kernel();
                if (made.copy == outcome::arrived && made.kernels) {
                    before_us = on.clock_us();
                    made.store = judged(prove_store(on, from, to, setup.proof), before_us);
                    if (peer_proof::bad(made.store)) on.set_delivery(from, to, delivery::failed);
                }
            }
            if (made.copy == outcome::never_ended || made.store == outcome::never_ended) {
                stuck.push_back(from);
                stuck.push_back(to);
            }
            all.push_back(std::move(made));
        }
    return all;
}

/// GPUs with a copy that never ended: nothing more can be asked of them in this process.
[[nodiscard]] inline gpu_set stuck_gpus(const machine& m, const std::vector<peer_proof>& all) {
    gpu_set stuck;
    for (const peer_proof& each : all)
        if (each.copy == peer_proof::outcome::never_ended || each.store == peer_proof::outcome::never_ended)
            stuck.insert(gpu_id{m.at(each.from).index}).insert(gpu_id{m.at(each.to).index});
    return stuck;
}

/// `learned` gets what became of every pair: failed ones lose their direct path, proved ones may be used.
[[nodiscard]] inline std::vector<finding> check_delivery(const machine& m, const gpu_check_setup& setup,
                                                         const std::vector<peer_proof>& all,
                                                         std::vector<probe_result>& learned) {
    using outcome = peer_proof::outcome;
    detail::probes::check_sheet sheet(
        "P2P-02", "every byte of a pattern that no other copy used, checked by the GPU that owns the memory, "
                  "in time");
    if (listed_gpus(m, setup).size() == 1) sheet.info("", "there is one GPU and no pair");
    if (listed_gpus(m, setup).size() > 1 && all.empty())
        sheet.info("", "CUDA grants no pair (P2P-01): nothing to prove");
    for (const peer_proof& each : all) {
        const std::string pair = detail::probes::pair_text(m, each.from, each.to);
        const auto learn = [&](delivery proof) {
            learned.push_back(
                {probe_result::kind::delivery, m.at(each.from).id(), m.at(each.to).id(), proof, 0, "P2P-02"});
        };
        if (each.failed()) {
            const bool stored = !peer_proof::bad(each.copy);
            const outcome what = stored ? each.store : each.copy;
            std::string evidence = stored ? "stores of a kernel" : "a copy";
            if (what == outcome::refused)
                evidence = "granted by the query and refused when opened: " + each.why;
            else if (what == outcome::never_ended)
                evidence += " did not end in time";
            else
                evidence += " reported success and the bytes at the other GPU are not those that were sent";
            finding& lost = sheet.add(severity::fail, pair, evidence);
            lost.cost = what == outcome::refused ? detail::probes::staged_cost
                                                 : "wrong results or hangs in every program that trusts the grant";
            lost.remedy = "switch off what redirects peer copies: ACS on the switches, a translating IOMMU (iommu=pt); "
                          "in a virtual "
                          "machine the host does that. Until then NCCL_P2P_DISABLE=1 for NCCL";
            lost.reaction = "the direct path is not used: copies are staged through pinned host memory";
            learn(delivery::failed);
        } else if (each.proved()) {
            sheet.ok(pair, each.kernels ? "copies pushed and pulled, and stores of a kernel, arrived"
                                        : "copies pushed and pulled arrived; no kernel was there to store with");
            learn(delivery::proved);
        } else {
            sheet.unknown(pair, each.why);
        }
    }
    return std::move(sheet).take("no GPU is listed");
}

/// P2P-03: names the cause of a failed P2P-02.
[[nodiscard]] inline std::vector<finding> check_delivery_cause(const machine& m, const gpu_check_setup& setup,
                                                               const std::vector<peer_proof>& all) {
    detail::probes::check_sheet sheet("P2P-03", "bytes arrive, or no IOMMU translates (IOM-01)");
    std::vector<std::string> wrong;
    bool tried = false;
    for (const peer_proof& each : all) {
        tried = tried || each.failed() || each.proved();
        const bool lost = each.failed() && each.copy != peer_proof::outcome::refused;
        const dma_path* path = m.path(each.from, each.to);
        if (lost && !(path && detail::probes::over_nvlink(m, *path)))
            wrong.push_back(detail::probes::pair_text(m, each.from, each.to));
    }
    if (wrong.empty()) {
        if (tried)
            sheet.ok("", "no PCIe pair lost bytes");
        else if (all.empty() && !listed_gpus(m, setup).empty())
            sheet.info("", "there is no granted pair");
        else
            sheet.unknown("", "no pair could be proved");
    } else if (setup.iommu == dma_translation::on) {
        finding& cause = sheet.add(severity::fail, detail::probes::check_sheet::names(wrong),
                                   "bytes between GPUs are lost, and an IOMMU translates the addresses of devices");
        cause.cost = "wrong results or hangs in every program that trusts the grant";
        cause.remedy = "pass-through: intel_iommu=on iommu=pt or amd_iommu=on iommu=pt on the kernel's command line, "
                       "or the IOMMU off in "
                       "the firmware";
        cause.reaction = "the direct paths are not used";
    } else if (setup.iommu == dma_translation::off) {
        sheet.info(detail::probes::check_sheet::names(wrong),
                   "bytes are lost, and no IOMMU translates: look at ACS and the hypervisor");
    } else {
        sheet.unknown(detail::probes::check_sheet::names(wrong),
                      "bytes are lost, and nothing says whether an IOMMU translates");
    }
    return std::move(sheet).take("no GPU is listed");
}

BARELINK_END_NAMESPACE
