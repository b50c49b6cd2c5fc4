// Doctor's checks that use GPUs, on simulated servers with faults: ok, warn, fail and unknown of each, and what plans make of it.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/measure/gpu_checks/audit.hpp>
#include <barelink/measure/gpu_checks/device_checks.hpp>
#include <barelink/measure/gpu_checks/waiting.hpp>
#include <barelink/move/sim_runtime.hpp>
#include <barelink/plan/planner.hpp>

#include <support/catch.hpp>
#include <support/forwarding_runtime.hpp>

using namespace barelink;

namespace gpu_checks_test {

/// A server whose driver and platform misbehave as asked.
class warped_runtime : public forwarding_runtime<sim::runtime> {
public:
    using forwarding_runtime::forwarding_runtime;

    node_index refused = no_node; ///< no memory there
    errc refusal = errc::not_permitted;
    double call_us = 0;                                   ///< more for every copy call
    std::vector<double> host_delays_us, inside_delays_us; ///< added to every copy, in turn
    double small_page_delay_us = 0;                       ///< added to copies from memory that was pinned first of two
    double pageable_gb_s = 0;                             ///< 0: the driver refuses pageable memory
    std::uint64_t host_copies = 0, inside_copies = 0;

    [[nodiscard]] result<void*> allocate(node_index where, std::uint64_t bytes) {
        if (where == refused) return error(refusal, "no memory for you");
        return forwarding_runtime::allocate(where, bytes);
    }
    bool loses_stores = false; ///< kernels run, and what they store is gone
    [[nodiscard]] status copy_blocks(const block* list, std::size_t count, int multiprocessors, sim::stream s) {
        if (!loses_stores) return forwarding_runtime::copy_blocks(list, count, multiprocessors, s);
        on_.launch(s, 5);
        return {};
    }
    [[nodiscard]] status pin(void* at, std::uint64_t bytes, const placement& where) {
        ++pins_;
        pinned_ = reinterpret_cast<std::uintptr_t>(at);
        pinned_bytes_ = bytes;
        return forwarding_runtime::pin(at, bytes, where);
    }
    [[nodiscard]] status unpin(void* at) {
        pinned_bytes_ = 0;
        return forwarding_runtime::unpin(at);
    }
    [[nodiscard]] status copy(void* to, const void* from, std::uint64_t bytes, sim::stream s) {
        on_.spend(call_us);
        const auto source = on_.classify(from, 1), target = on_.classify(to, 1);
        if (!source || !target) return error(errc::invalid_argument, "no memory");
        if (source->kind == memory_kind::pageable && pageable_gb_s > 0) {
            on_.spend(transfer_us(static_cast<double>(bytes), pageable_gb_s));
            return {};
        }
        const bool inside = source->node == target->node;
        const std::vector<double>& delays = inside ? inside_delays_us : host_delays_us;
        std::uint64_t& count = inside ? inside_copies : host_copies;
        if (!delays.empty()) on_.launch(s, delays[count++ % delays.size()]);
        if (reinterpret_cast<std::uintptr_t>(from) - pinned_ < pinned_bytes_ && pins_ % 2 == 1)
            on_.launch(s, small_page_delay_us);
        return forwarding_runtime::copy(to, from, bytes, s);
    }

private:
    std::uintptr_t pinned_ = 0;
    std::uint64_t pinned_bytes_ = 0, pins_ = 0;
};

struct box {
    sim::runtime server;
    warped_runtime on{server};
    gpu_check_setup setup;

    explicit box(machine m, int gpus = 2, bool timing_only = true)
        : server(std::move(m), {.timing_only = timing_only}) {
        setup.gpus = gpu_set::none();
        for (int g = 0; g < gpus; ++g) setup.gpus.insert(gpu_id{g});
        setup.host_bytes = 8 * MiB;
        setup.pair_bytes = timing_only ? 64 * MiB : 8 * MiB;
        setup.copies = 2;
        setup.small_copies = 368;
        setup.proof.timeout_us = 3000;
        setup.bare_metal = true;
    }
    [[nodiscard]] const machine& m() const { return server.topology(); }
    [[nodiscard]] node_index gpu(int g) const { return m().gpu(gpu_id{g}); }
    [[nodiscard]] node_index memory(int n) const { return m().memory(numa_id{n}); }
    [[nodiscard]] std::vector<host_rate> host_rates() {
        rate_probe<warped_runtime> probe(on);
        return measure_host_rates(on, probe, setup);
    }
    [[nodiscard]] std::vector<pair_rate> pair_rates() {
        (void)prove_peers(on, setup);
        rate_probe<warped_runtime> probe(on);
        return measure_pairs(on, probe, setup);
    }
    void trust_all() {
        for (int a = 0; a < 8; ++a)
            for (int b = 0; b < 8; ++b)
                if (a != b && gpu(a) != no_node && gpu(b) != no_node && m().path(gpu(a), gpu(b)))
                    server.set_delivery(gpu(a), gpu(b), delivery::proved);
    }
    /// A link direction from now on.
    void slow(link_direction where, double gb_s) {
        sim::faults planned;
        planned.links.push_back({where, server.now_us(), gb_s});
        server.inject(planned);
    }
    /// Both directions of the link between two nodes.
    void slow(node_index a, node_index b, double gb_s) {
        for (std::uint32_t l = 0; l < m().links.size(); ++l)
            if ((m().links[l].a == a && m().links[l].b == b) || (m().links[l].a == b && m().links[l].b == a))
                for (const bool reverse : {false, true}) slow(link_direction{link_index{l}, reverse}, gb_s);
    }
    /// The link that hangs a GPU from what is above it.
    [[nodiscard]] link_direction slot_of(int g) const {
        for (std::uint32_t l = 0; l < m().links.size(); ++l)
            if (m().links[l].kind == link_kind::pcie && m().links[l].b == gpu(g)) return {link_index{l}, false};
        return {};
    }
    void break_peer(int from, int to, sim::peer_fault::kind how) {
        sim::faults planned;
        planned.peers.push_back({gpu(from), gpu(to), how});
        server.inject(planned);
    }
};

/// The only finding of a level; nullptr when there is none or there are several.
const finding* only(const std::vector<finding>& all, severity level) {
    const finding* found = nullptr;
    for (const finding& each : all) {
        if (each.level != level) continue;
        if (found) return nullptr;
        found = &each;
    }
    return found;
}
bool all_are(const std::vector<finding>& all, severity level) {
    return !all.empty() && std::all_of(all.begin(), all.end(), [&](const finding& f) { return f.level == level; });
}
bool says(const finding* one, const char* part) {
    return one && one->evidence.find(part) != std::string::npos;
}

result<pcie_reading> healthy_link(const node&) {
    return pcie_reading{5, 16, 5, 16, "there"};
}
void quiet_memory(steadiness& of) {
    of.all_bytes = 80 * GiB;
}

double rate_of(const machine& m, endpoint from, endpoint to, gpu_set relays = {}) {
    request asked{from, to, 256 * MiB};
    asked.relays = relays;
    return default_planner(m).make(asked).value().predicted_gb_s();
}

TEST_CASE("A healthy server has nothing that costs: ok findings are folded, one for each check") {
    box hgx(builtin::hgx_h100_8(), 3);
    hgx.on.pageable_gb_s = 10;
    const gpu_audit all = audit_host_copies(hgx.on, hgx.setup, healthy_link, quiet_memory);
    CHECK(all.learned.empty());
    for (const finding& each : all.found) {
        INFO(each.id << " " << to_string(each.level) << " " << each.object << " " << each.evidence);
        const bool fact = each.id == "PCI-05" || each.id == "MEM-03";
        const bool no_huge_pages = each.id == "IOM-02" && each.level == severity::unknown;
        CHECK((each.level == (fact ? severity::info : severity::ok) || no_huge_pages));
        CHECK(check_place(each.id) < std::size(check_names));
        CHECK_FALSE(each.limit.empty());
    }
    for (const char* id : host_copy_checks) // each once; nobody's node is unknown here
        CHECK(std::count_if(all.found.begin(), all.found.end(), [&](const finding& f) { return f.id == id; }) ==
              (std::string(id) == "NUM-02" ? 0 : 1));
    const auto rate =
        std::find_if(all.found.begin(), all.found.end(), [](const finding& f) { return f.id == "PCI-04"; });
    CHECK(rate->object == "gpu:0, gpu:1, gpu:2");
    CHECK(says(&*rate, "of the 63.0 GB/s"));
    CHECK(all_are(all.found, severity::ok) == false); // facts are facts
}

TEST_CASE("PCI-04: the share of the link decides, and without a figure nothing is ok") {
    const auto judged = [](double gb_s, const machine& m = builtin::hgx_h100_8()) {
        box one(m, 1);
        if (gb_s > 0) one.slow(one.slot_of(0), gb_s);
        return check_host_rates(one.m(), one.setup, one.host_rates());
    };
    CHECK(all_are(judged(0), severity::ok));
    const auto warned = judged(45), failed = judged(25);
    CHECK(says(only(warned, severity::warn), "71 % of the 63.0 GB/s"));
    CHECK(says(only(failed, severity::fail), "39 % of the 63.0 GB/s"));
    CHECK_FALSE(failed[0].cost.empty());
    CHECK_FALSE(failed[0].remedy.empty());
    // Gen3 never gives 80 % of its raw rate; what copies are published to reach over it is enough.
    CHECK(all_are(judged(0, builtin::dgx1_v100()), severity::ok));

    box none(builtin::hgx_h100_8(), 1);
    none.on.refused = none.memory(0);
    const auto rates = none.host_rates();
    CHECK(says(only(check_host_rates(none.m(), none.setup, rates), severity::unknown), "no memory for you"));
    CHECK(all_are(check_host_rates(none.m(), none.setup, {}), severity::unknown));
    CHECK(all_are(check_host_rates(machine{}, none.setup, {}), severity::unknown));
    // What was calibrated before does not lower what the link should do.
    machine calibrated = builtin::hgx_h100_8();
    const std::vector<probe_result> learned{
        {probe_result::kind::link_rate, calibrated.id(none.slot_of(0).link), "ab", {}, 25, "x"}};
    apply_effects(learned, calibrated);
    CHECK(only(judged(25, calibrated), severity::fail));
}

TEST_CASE("VRT-08: encryption shows in large and small copies together, or in pinning refused") {
    const auto judged = [](double gb_s, double call_us, bool refuse) {
        box one(builtin::hgx_h100_8(), 1);
        if (gb_s > 0) one.slow(one.slot_of(0), gb_s);
        if (refuse) one.on.refused = one.memory(0);
        one.on.call_us = 0;
        const auto rates = one.host_rates();
        one.on.call_us = call_us;
        return check_encrypted_copies(one.m(), one.setup, rates,
                                      smallest_copies(measure_small_copies(one.on, one.setup)));
    };
    CHECK(all_are(judged(0, 0, false), severity::ok));
    CHECK(all_are(judged(11, 0, false), severity::ok)); // slow, but small copies are not: something else
    CHECK(only(judged(11, 330, false), severity::warn));
    CHECK(says(only(judged(0, 0, true), severity::warn), "pinned"));
    box one(builtin::hgx_h100_8(), 1);
    CHECK(all_are(check_encrypted_copies(one.m(), one.setup, one.host_rates(), {}), severity::unknown));
}

TEST_CASE("NUM-01 and NUM-02: copies from every node say where a GPU is, and plans follow") {
    SECTION("as it is said to be") {
        box one(builtin::hgx_h100_8(), 1);
        std::vector<probe_result> learned;
        const auto found = check_nodes(one.m(), one.setup, one.host_rates(), learned);
        CHECK(all_are(found, severity::ok));
        CHECK(learned.empty());
    }
    SECTION("a wrong node, and a slow way between the CPUs") {
        machine wrong = builtin::hgx_h100_8();
        wrong.nodes[wrong.gpu(gpu_id{0}).value].numa = numa_id{1}; // it hangs from package 0
        box one(wrong, 1);
        one.slow(one.m().find(node_kind::package, 0), one.m().find(node_kind::package, 1), 10);
        std::vector<probe_result> learned;
        const auto found = check_nodes(one.m(), one.setup, one.host_rates(), learned);
        CHECK(says(only(found, severity::warn), "said to be near to numa:1"));
        REQUIRE(learned.size() == 1);
        CHECK(learned[0] == probe_result{probe_result::kind::nearest_node, "gpu:0", "numa:0", {}, 0, "NUM-01"});
    }
    SECTION("no memory of its own node can be had") {
        box one(builtin::hgx_h100_8(), 1);
        one.on.refused = one.memory(0);
        std::vector<probe_result> learned;
        const auto found = check_nodes(one.m(), one.setup, one.host_rates(), learned);
        CHECK(says(only(found, severity::fail), "only that of other ones"));
        REQUIRE(learned.size() == 1);
        CHECK(learned[0].to == "numa:1");
    }
    SECTION("node -1, placed by probe") {
        machine flat = builtin::hgx_h100_8();
        flat.nodes[flat.gpu(gpu_id{5}).value].numa = unknown_numa; // it hangs from package 1
        box one(flat, 0);
        one.setup.gpus.insert(gpu_id{5});
        std::vector<probe_result> learned;
        auto found = check_nodes(one.m(), one.setup, one.host_rates(), learned);
        CHECK(says(only(found, severity::info), "makes no difference"));
        CHECK(found[0].id == std::string("NUM-02"));
        CHECK(learned.empty());
        one.slow(one.m().find(node_kind::package, 0), one.m().find(node_kind::package, 1), 10);
        found = check_nodes(one.m(), one.setup, one.host_rates(), learned);
        CHECK(only(found, severity::warn));
        REQUIRE(learned.size() == 1);
        CHECK(learned[0].to == "numa:1");
    }
    SECTION("nobody can tell") {
        box one(builtin::hgx_h100_8(), 1);
        one.setup.places_memory = false;
        std::vector<probe_result> learned;
        CHECK(all_are(check_nodes(one.m(), one.setup, one.host_rates(), learned), severity::unknown));
        one.setup.places_memory = true;
        CHECK(all_are(check_nodes(one.m(), one.setup, {}, learned), severity::unknown));
    }
}

TEST_CASE("PCI-05: small copies are facts until they are slow") {
    box one(builtin::hgx_h100_8(), 1);
    const auto quick = check_small_copies(one.m(), one.setup, measure_small_copies(one.on, one.setup));
    CHECK(says(only(quick, severity::info), "65536 B to the host"));
    CHECK_FALSE(says(&quick[0], "too few"));
    one.on.call_us = 330;
    one.setup.small_copies = 20;
    const auto slow = check_small_copies(one.m(), one.setup, measure_small_copies(one.on, one.setup));
    CHECK(says(only(slow, severity::warn), "too few samples"));
    one.on.refused = one.memory(0);
    CHECK(all_are(check_small_copies(one.m(), one.setup, measure_small_copies(one.on, one.setup)), severity::unknown));
}

TEST_CASE("PCI-06: a shared uplink is a fact when the machine knows it, and a warning when it does not") {
    const auto judged = [](box& b) {
        rate_probe<warped_runtime> probe(b.on);
        return check_shared_uplinks(b.m(), b.setup, measure_shared_rates(b.on, probe, b.setup, b.host_rates()));
    };
    box independent(builtin::hgx_h100_8());
    CHECK(all_are(judged(independent), severity::ok));
    box known(builtin::a100_pcie_4_switch());
    CHECK(says(only(judged(known), severity::info), "as the machine says"));
    box hidden(builtin::hgx_h100_8());
    hidden.slow(hidden.memory(0), hidden.m().find(node_kind::package, 0), 60); // each alone still has its 55
    const auto found = judged(hidden);
    CHECK(std::count_if(found.begin(), found.end(), [](const finding& f) { return f.level == severity::warn; }) == 2);
    box one(builtin::hgx_h100_8(), 1);
    CHECK(all_are(judged(one), severity::info));
    box none(builtin::hgx_h100_8());
    none.on.refused = none.memory(0);
    CHECK(all_are(judged(none), severity::unknown));
}

TEST_CASE("PCI-01 and PCI-02: the link is read while it copies, and only on bare metal") {
    box one(builtin::hgx_h100_8(), 1);
    const auto judged = [&](pcie_reading link) {
        return check_busy_links(one.m(), read_busy_links(one.on, one.setup, [&](const node& gpu) {
                                    CHECK(gpu.id() == "gpu:0");
                                    return result<pcie_reading>(link);
                                }));
    };
    CHECK(all_are(judged({5, 16, 5, 16, "there"}), severity::ok));
    const auto slow = judged({2, 8, 5, 16, "there"});
    REQUIRE(all_are(slow, severity::fail));
    CHECK(slow.size() == 2);
    CHECK(says(&slow[0], "Gen2 of Gen5 while copying"));
    CHECK(says(&slow[1], "x8 of x16 while copying"));
    CHECK(all_are(judged({}), severity::unknown));
    // The copies were over before it was read: the link may have been idle.
    CHECK(only(check_busy_links(one.m(), {{one.gpu(0), {1, 16, 5, 16, {}}, false, {}}}), severity::unknown));
    one.setup.bare_metal = false;
    CHECK(all_are(judged({2, 8, 5, 16, {}}), severity::unknown));
    one.setup.bare_metal = true;
    one.on.refused = one.memory(0);
    CHECK(all_are(judged({5, 16, 5, 16, {}}), severity::unknown));
    CHECK(all_are(check_busy_links(one.m(), {}), severity::unknown));
}

TEST_CASE("IOM-02: small pages are held against huge ones") {
    box one(builtin::hgx_h100_8(), 1);
    if (detail::free_huge_pages() > 0 || detail::may_advise_huge_pages()) {
        CHECK(all_are(check_page_sizes(one.m(), measure_page_sizes(one.on, one.setup)), severity::ok));
        one.on.small_page_delay_us = 40;
        CHECK(only(check_page_sizes(one.m(), measure_page_sizes(one.on, one.setup)), severity::warn));
    } else {
        CHECK(all_are(check_page_sizes(one.m(), measure_page_sizes(one.on, one.setup)), severity::unknown));
    }
    CHECK(only(check_page_sizes(one.m(), {{one.gpu(0), 45, 55, true, {}}}), severity::warn));
    CHECK(all_are(check_page_sizes(one.m(), {{one.gpu(0), 55, 55, true, {}}}), severity::ok));
    CHECK(all_are(check_page_sizes(one.m(), {{one.gpu(0), 55, 0, false, "none"}}), severity::unknown));
}

TEST_CASE("P2P-01: grants both ways, one way, and none") {
    box nvlink(builtin::hgx_h100_8(), 4);
    CHECK(all_are(check_peer_matrix(nvlink.m(), nvlink.setup), severity::ok));
    machine lost = builtin::hgx_h100_8();
    lost.set_delivery(lost.gpu(gpu_id{1}), lost.gpu(gpu_id{0}), false, delivery::unproved);
    const auto one_way = check_peer_matrix(lost, nvlink.setup);
    CHECK(says(only(one_way, severity::warn), "gpu:0 -> gpu:1 and not back"));
    lost.set_delivery(lost.gpu(gpu_id{0}), lost.gpu(gpu_id{1}), false, delivery::unproved);
    CHECK(only(check_peer_matrix(lost, nvlink.setup), severity::fail));
    const box geforce(builtin::rtx4090_pcie_8());
    CHECK(all_are(check_peer_matrix(geforce.m(), geforce.setup), severity::info));
    machine cards = builtin::a100_pcie_4_switch();
    for (const int g : {0, 1})
        cards.set_delivery(cards.gpu(gpu_id{g}), cards.gpu(gpu_id{1 - g}), false, delivery::unproved);
    CHECK(only(check_peer_matrix(cards, geforce.setup), severity::warn));
    CHECK(all_are(check_peer_matrix(builtin::gh200(), nvlink.setup), severity::info));
    nvlink.setup.gpus = gpu_set::all(); // a mesh does not join every pair
    const auto mesh = check_peer_matrix(builtin::dgx1_v100(), nvlink.setup);
    CHECK(says(only(mesh, severity::info), "join other pairs"));
    CHECK(only(mesh, severity::ok));
    CHECK(mesh.size() == 2);
    CHECK(all_are(check_peer_matrix(machine{}, nvlink.setup), severity::unknown));
}

TEST_CASE("P2P-02 and P2P-03: what was sent must be there, in time, and plans heed it") {
    using outcome = peer_proof::outcome;
    box hgx(builtin::hgx_h100_8(), 3, false);
    hgx.setup.iommu = dma_translation::on;
    gpu_audit all;
    std::vector<peer_proof> proofs;
    const auto prove = [&] {
        proofs = prove_peers(hgx.on, hgx.setup);
        all = {};
        all.add(check_delivery(hgx.m(), hgx.setup, proofs, all.learned));
    };
    const auto proof_of = [&](int from, int to) -> const peer_proof& {
        return *std::find_if(proofs.begin(), proofs.end(),
                             [&](const peer_proof& p) { return p.from == hgx.gpu(from) && p.to == hgx.gpu(to); });
    };
    machine planned = builtin::hgx_h100_8();
    const double direct = rate_of(planned, endpoint::gpu(gpu_id{0}), endpoint::gpu(gpu_id{1}));

    SECTION("it arrives") {
        prove();
        CHECK(all_are(all.found, severity::ok));
        CHECK(says(&all.found[0], "stores of a kernel, arrived"));
        CHECK(all.learned.size() == 6);
        CHECK(all_are(check_delivery_cause(hgx.m(), hgx.setup, proofs), severity::ok));
        apply_effects(all.learned, planned);
        CHECK(planned.path(planned.gpu(gpu_id{0}), planned.gpu(gpu_id{1}))->proof == delivery::proved);
    }
    SECTION("zeros arrive") {
        hgx.break_peer(0, 1, sim::peer_fault::kind::delivers_zeros);
        prove();
        CHECK(says(only(all.found, severity::fail), "not those that were sent"));
        CHECK(proof_of(0, 1).copy == outcome::wrong_bytes);
        CHECK(proof_of(1, 0).proved());
        apply_effects(all.learned, planned);
        const auto& path = *planned.path(planned.gpu(gpu_id{0}), planned.gpu(gpu_id{1}));
        CHECK(path.proof == delivery::failed);
        CHECK_FALSE(path.usable(true));
        CHECK(rate_of(planned, endpoint::gpu(gpu_id{0}), endpoint::gpu(gpu_id{1})) < 0.3 * direct);
        CHECK(rate_of(planned, endpoint::gpu(gpu_id{1}), endpoint::gpu(gpu_id{0})) == direct);
        CHECK(std::any_of(planned.notes.begin(), planned.notes.end(),
                          [](const machine_note& n) { return n.object == "gpu:0-gpu:1"; }));
        // NVLink does not go through an IOMMU.
        CHECK(all_are(check_delivery_cause(hgx.m(), hgx.setup, proofs), severity::ok));
    }
    SECTION("it never ends, and the others go on without these two") {
        hgx.break_peer(0, 1, sim::peer_fault::kind::hangs);
        const double before_us = hgx.server.now_us();
        prove();
        CHECK(says(only(all.found, severity::fail), "did not end in time"));
        CHECK(hgx.server.now_us() - before_us < 10 * hgx.setup.proof.timeout_us);
        CHECK(proof_of(0, 2).copy == outcome::not_made);
        CHECK(only(all.found, severity::unknown));
        CHECK(stuck_gpus(hgx.m(), proofs).contains(gpu_id{1}));
        rate_probe<warped_runtime> probe(hgx.on);
        const auto rates = measure_pairs(hgx.on, probe, hgx.setup, stuck_gpus(hgx.m(), proofs));
        CHECK(all_are(check_nvlink_rates(hgx.m(), hgx.setup, rates), severity::unknown));
    }
    SECTION("it is refused when opened") {
        hgx.break_peer(0, 1, sim::peer_fault::kind::refused);
        prove();
        CHECK(says(only(all.found, severity::fail), "refused when opened"));
        CHECK(proof_of(0, 1).copy == outcome::refused);
    }
    SECTION("the proof cannot be made") {
        hgx.on.refused = hgx.memory(0);
        prove();
        CHECK(all_are(all.found, severity::unknown));
        CHECK(all.learned.empty());
        CHECK(all_are(check_delivery_cause(hgx.m(), hgx.setup, proofs), severity::unknown));
    }
    SECTION("stores are lost where copies are not") {
        hgx.on.loses_stores = true;
        prove();
        CHECK(proof_of(0, 1).copy == outcome::arrived);
        CHECK(proof_of(0, 1).store == outcome::wrong_bytes);
        CHECK(all_are(all.found, severity::fail));
        CHECK(says(&all.found[0], "stores of a kernel reported success"));
        CHECK(hgx.m().path(hgx.gpu(0), hgx.gpu(1))->proof == delivery::failed);
        CHECK(all.learned[0].proof == delivery::failed);
    }
}

TEST_CASE("P2P-03: a translating IOMMU is named where PCIe pairs lose bytes") {
    box cards(builtin::a100_pcie_4_switch(), 2, false);
    cards.break_peer(0, 1, sim::peer_fault::kind::delivers_zeros);
    const auto proofs = prove_peers(cards.on, cards.setup);
    cards.setup.iommu = dma_translation::on;
    CHECK(only(check_delivery_cause(cards.m(), cards.setup, proofs), severity::fail));
    cards.setup.iommu = dma_translation::off;
    CHECK(only(check_delivery_cause(cards.m(), cards.setup, proofs), severity::info));
    cards.setup.iommu = dma_translation::unknown;
    CHECK(only(check_delivery_cause(cards.m(), cards.setup, proofs), severity::unknown));
}

TEST_CASE("NVL-01: pairs are held against what copies reach, and a slow link is priced at its rate") {
    box hgx(builtin::hgx_h100_8(), 3);
    hgx.trust_all();
    const auto measured = [&] {
        rate_probe<warped_runtime> probe(hgx.on);
        return measure_pairs(hgx.on, probe, hgx.setup);
    };
    CHECK(all_are(check_nvlink_rates(hgx.m(), hgx.setup, measured()), severity::ok));
    const node_index hub = hgx.m().find(node_kind::nvswitch, 0);
    hgx.slow(hgx.gpu(0), hub, 300);
    const auto warned = check_nvlink_rates(hgx.m(), hgx.setup, measured());
    CHECK(std::count_if(warned.begin(), warned.end(), [](const finding& f) { return f.level == severity::warn; }) == 4);
    hgx.slow(hgx.gpu(0), hub, 100);
    const auto rates = measured();
    const auto failed = check_nvlink_rates(hgx.m(), hgx.setup, rates);
    CHECK(std::count_if(failed.begin(), failed.end(), [](const finding& f) { return f.level == severity::fail; }) == 4);

    machine planned = hgx.m();
    const auto learned = slow_links(planned, path_rates_of({}, rates));
    REQUIRE(learned.size() == 2); // both directions of one link; gpu:1 and gpu:2 are known to be well
    CHECK(learned[0].from == "nvlink:gpu:0-nvswitch");
    apply_effects(learned, planned);
    const double slow = rate_of(planned, endpoint::gpu(gpu_id{1}), endpoint::gpu(gpu_id{0}));
    CHECK(slow > 90);
    CHECK(slow < 160); // what NVLink has left, and the way through host memory beside it
    CHECK(rate_of(planned, endpoint::gpu(gpu_id{1}), endpoint::gpu(gpu_id{2})) > 350);
    CHECK(planned.at(link_index{0}).source == hgx.m().at(link_index{0}).source);

    box unproved(builtin::hgx_h100_8(), 2);
    rate_probe<warped_runtime> probe(unproved.on);
    CHECK(all_are(check_nvlink_rates(unproved.m(), unproved.setup, measure_pairs(unproved.on, probe, unproved.setup)),
                  severity::unknown));
    CHECK(all_are(check_nvlink_rates(builtin::l40s_pcie_8(), unproved.setup, {}), severity::info));
}

TEST_CASE("ACS-01: pairs below one switch must not go around, and what staging beats is given up") {
    box cards(builtin::a100_pcie_4_switch(), 4);
    cards.trust_all();
    const auto measured = [&] {
        rate_probe<warped_runtime> probe(cards.on);
        return measure_pairs(cards.on, probe, cards.setup);
    };
    std::vector<probe_result> learned;
    CHECK(all_are(check_redirection(cards.m(), cards.setup, measured(), learned), severity::ok));
    CHECK(learned.empty());
    auto rates = measured();
    for (pair_rate& each : rates)
        if (each.from == cards.gpu(0) && each.to == cards.gpu(1)) each.gb_s = 9.9; // as a root complex does it
    const auto found = check_redirection(cards.m(), cards.setup, rates, learned);
    CHECK(says(only(found, severity::fail), "9.9 GB/s below one switch"));
    REQUIRE(learned.size() == 1);
    CHECK(learned[0].what == probe_result::kind::path_off);
    machine planned = cards.m();
    apply_effects(learned, planned);
    CHECK_FALSE(planned.path(planned.gpu(gpu_id{0}), planned.gpu(gpu_id{1}))->usable(true));
    const endpoint from = endpoint::gpu(gpu_id{0}), to = endpoint::gpu(gpu_id{1});
    CHECK(default_planner(cards.m()).make({from, to, 256 * MiB}).value().routes[0].family == "peer_path");
    CHECK(default_planner(planned).make({from, to, 256 * MiB}).value().routes[0].family == "staged_path");
    CHECK(all_are(check_redirection(builtin::hgx_h100_8(), cards.setup, {}, learned), severity::info));
    for (pair_rate& each : rates) each = {each.from, each.to, 0, 0, false, false, "x"};
    CHECK(all_are(check_redirection(cards.m(), cards.setup, rates, learned), severity::unknown));
}

TEST_CASE("MEM-03, GPU-03, GPU-04, VRT-07") {
    box one(builtin::hgx_h100_8(), 1);
    const auto rates = one.host_rates();
    CHECK(all_are(check_pageable(one.m(), measure_pageable(one.on, one.setup), rates), severity::unknown));
    one.on.pageable_gb_s = 10;
    CHECK(says(only(check_pageable(one.m(), measure_pageable(one.on, one.setup), rates), severity::info),
               "pinned: 18 %"));

    auto steady = measure_steadiness(one.on, one.setup);
    CHECK(says(only(check_neighbours(one.m(), steady), severity::ok), "is not known"));
    CHECK(all_are(check_clocks(one.m(), steady), severity::ok));
    steady[0].all_bytes = 80 * GiB;
    steady[0].used_bytes = 20 * GiB;
    CHECK(says(only(check_neighbours(one.m(), steady), severity::warn), "20480 MiB"));
    one.on.host_delays_us = {0, 0, 0, 60};
    CHECK(only(check_neighbours(one.m(), measure_steadiness(one.on, one.setup)), severity::warn));
    one.on.inside_delays_us.clear();
    for (int i = 0; i < 65; ++i) one.on.inside_delays_us.push_back(0.1 * i);
    steady = measure_steadiness(one.on, one.setup);
    CHECK(says(only(check_clocks(one.m(), steady), severity::warn), "longer at the end"));
    one.on.refused = one.memory(0);
    CHECK(all_are(check_neighbours(one.m(), measure_steadiness(one.on, one.setup)), severity::unknown));
    CHECK(all_are(check_clocks(one.m(), measure_steadiness(one.on, one.setup)), severity::unknown));

    CHECK(all_are(check_waiting({{"gpu:0", {20, 21, 22}, {10, 10, 11}, {}}}), severity::ok));
    CHECK(only(check_waiting({{"gpu:0", {200, 210, 220}, {10, 10, 11}, {}}}), severity::warn));
    CHECK(all_are(check_waiting({{"gpu:0", {}, {10}, "no event"}}), severity::unknown));
}

TEST_CASE("NVL-02, DRV-04, GPU-02, GPU-01: what the driver says of a GPU") {
    const machine hgx = builtin::hgx_h100_8();
    const device_report well{"gpu:0", 250e3, false, {}, 1, 0, 0, 0};
    for (const auto& found :
         {check_fabric(hgx, {well}), check_cold_start({well}), check_ecc({well}), check_sharing({well})})
        CHECK(all_are(found, severity::ok));
    const device_report down{"gpu:1", 1e3, true, "not yet initialized", -1, -1, -1, -1};
    const auto fabric = check_fabric(hgx, {well, down});
    CHECK(says(only(fabric, severity::fail), "error 802"));
    CHECK(only(fabric, severity::ok));
    device_report dead = down;
    dead.fabric_down = false;
    for (const auto& found :
         {check_fabric(hgx, {dead}), check_cold_start({dead}), check_ecc({dead}), check_sharing({dead})})
        CHECK(all_are(found, severity::unknown));
    for (const auto& found : {check_fabric(hgx, {}), check_cold_start({}), check_ecc({}), check_sharing({})})
        CHECK(all_are(found, severity::unknown));
    const device_report slow{"gpu:0", 9e6, false, {}, 0, 3, 0, 0};
    CHECK(says(only(check_cold_start({well, slow}), severity::warn), "9000.0 ms for the slowest of 2"));
    CHECK(all_are(check_ecc({slow}), severity::info));
    CHECK(all_are(check_sharing({slow}), severity::info)); // one process: this one
    const device_report split{"gpu:0", 1, false, {}, 1, 0, 0, 1}, served{"gpu:0", 1, false, {}, 1, 0, 1, 0};
    CHECK(says(only(check_sharing({split}), severity::warn), "MIG"));
    CHECK(says(only(check_sharing({served}), severity::warn), "MPS"));
}

TEST_CASE("A GPU that is nearest to another node moves there with its port, and pinned memory with it") {
    machine wrong = builtin::hgx_h100_8();
    const node_index gpu = wrong.gpu(gpu_id{0});
    for (barelink::link& each : wrong.links) // between the CPUs there is little
        if (each.kind == link_kind::cpu) each.gb_s_ab = each.gb_s_ba = 10;
    wrong.connect();
    CHECK(rate_of(wrong, endpoint::host(numa_id{1}), endpoint::gpu(gpu_id{0})) < 11);
    const std::vector<probe_result> learned{{probe_result::kind::nearest_node, "gpu:0", "numa:1", {}, 0, "NUM-01"}};
    machine right = wrong;
    apply_effects(learned, right);
    CHECK(right.at(gpu).numa == numa_id{1});
    CHECK(rate_of(right, endpoint::host(numa_id{1}), endpoint::gpu(gpu_id{0})) > 50);
    CHECK(host_memory_of(right, gpu) == right.memory(numa_id{1}));
    const machine once = right;
    apply_effects(learned, right);
    CHECK(right == once); // notes are not repeated

    // Two GPUs below one switch: one of them cannot take it along.
    machine shared = builtin::a100_pcie_4_switch();
    const machine before = shared;
    apply_effects(std::vector<probe_result>{{probe_result::kind::nearest_node, "gpu:0", "numa:7", {}, 0, "x"},
                                            {probe_result::kind::link_rate, "pcie:no-such", "ab", {}, 1, "x"},
                                            {probe_result::kind::delivery, "gpu:0", "gpu:0", delivery::failed, 0, "x"}},
                  shared);
    CHECK(shared.notes.size() == before.notes.size() + 3); // said, and nothing changed
    shared.notes = before.notes;
    CHECK(shared == before);
}

TEST_CASE("A slow slot is priced at its rate, and memory is not blamed for it") {
    box one(builtin::hgx_h100_8(), 1);
    one.slow(one.slot_of(0), 25);
    machine planned = one.m();
    const auto learned = slow_links(planned, path_rates_of(one.host_rates(), {}));
    for (const probe_result& each : learned) CHECK(each.from.starts_with("pcie:"));
    apply_effects(learned, planned);
    const double rate = rate_of(planned, endpoint::host(numa_id{0}), endpoint::gpu(gpu_id{0}));
    CHECK(rate > 22);
    CHECK(rate < 26);
    CHECK(rate_of(planned, endpoint::gpu(gpu_id{0}), endpoint::host(numa_id{0})) > 50); // that way it is well
}

} // namespace gpu_checks_test
