// Broadcast plans: trees that reach everybody, links that are not over their rate, and a bound that independent solutions confirm.
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/plan/broadcast.hpp>

#include <support/catch.hpp>
#include <support/generated_machines.hpp>
#include <support/reference_bound.hpp>

using namespace barelink;

namespace {

broadcast_request to_all(endpoint from, std::uint64_t bytes) {
    broadcast_request asked;
    asked.from = from;
    asked.to = gpu_set::all();
    asked.bytes = bytes;
    return asked;
}

endpoint first_host(const machine& m) {
    return endpoint::host(numa_id{m.at(m.all(node_kind::memory).front()).index});
}

std::vector<node_index> destinations_of(const machine& m, const broadcast_request& asked) {
    std::vector<node_index> to;
    for (const node_index n : m.all(node_kind::gpu))
        if (m.at(n).cuda && asked.to.contains(gpu_id{m.at(n).index}) &&
            asked.from != endpoint::gpu(gpu_id{m.at(n).index}))
            to.push_back(n);
    return to;
}

/// What is wrong with a plan; empty when nothing is.
std::string fault_of(const machine& m, const broadcast_plan& p) {
    const auto to = destinations_of(m, p.asked);
    std::vector<double> load(2 * m.links.size(), 0);
    std::uint64_t covered = 0;
    for (const tree& t : p.trees) {
        if (t.offset != covered) return "trees do not lie one after the other";
        covered += t.bytes;
        std::map<std::uint32_t, int> reached;
        const auto arcs = p.arcs_of(t);
        for (std::size_t i = 0; i < arcs.size(); ++i) {
            const tree_arc& a = arcs[i];
            const dma_path* path = m.path(a.from, a.to);
            if (!path || !path->usable()) return "an arc without a usable path";
            if (a.parent >= static_cast<std::int32_t>(i)) return "a child before its parent";
            if (a.parent >= 0 && arcs[static_cast<std::size_t>(a.parent)].to != a.from) return "a child of another";
            if (a.parent < 0 && m.at(a.from).kind == node_kind::gpu &&
                p.asked.from != endpoint::gpu(gpu_id{m.at(a.from).index}))
                return "a GPU that is not the source sends what it never got";
            ++reached[a.to.value];
            for (const link_direction hop : p.hops_of(a)) load[hop.slot()] += t.gb_s;
        }
        for (const node_index n : to)
            if (reached[n.value] != 1)
                return m.at(n).id() + " is reached " + std::to_string(reached[n.value]) + " times";
        if (t.levels > 1 && t.chunk_bytes == 0) return "no chunk size";
    }
    if (covered != p.asked.bytes) return "covers " + std::to_string(covered) + " bytes";
    for (std::uint32_t slot = 0; slot < load.size(); ++slot)
        if (load[slot] > m.gb_s(link_direction::from_slot(slot)) * (1 + 1e-6))
            return m.id(link_direction::from_slot(slot).link) + " carries " + std::to_string(load[slot]);
    if (p.predicted_gb_s() > p.bound_gb_s * (1 + 1e-6)) return "faster than its bound";
    return "";
}

/// The program over every spanning tree there is, one by one: no column generation, another solver.
reference::bracket reference_broadcast(const machine& m, const broadcast_request& asked) {
    reference::flow_program program;
    for (std::uint32_t slot = 0; slot < 2 * m.links.size(); ++slot)
        program.capacity.push_back(m.gb_s(link_direction::from_slot(slot)));
    request first;
    first.from = asked.from;
    const auto to = destinations_of(m, asked);
    first.to = endpoint::gpu(gpu_id{m.at(to.front()).index});
    first.bytes = asked.bytes;
    const auto parts = split(m, first).value();
    for (std::size_t part = 0; part < parts.size(); ++part) {
        program.share.push_back(static_cast<double>(parts[part].bytes) / static_cast<double>(asked.bytes));
        // Every destination picks a parent: the source (0) or another destination; what has a cycle is no tree.
        std::vector<std::size_t> parent(to.size(), 0);
        for (bool more = true; more;) {
            std::vector<reference::flow_program::use> rows;
            bool tree = true;
            for (std::size_t d = 0; d < to.size() && tree; ++d) {
                const node_index from = parent[d] == 0 ? parts[part].from : to[parent[d] - 1];
                const dma_path* path = from == to[d] ? nullptr : m.path(from, to[d]);
                tree = path && path->usable();
                std::size_t at = d, steps = 0;
                while (tree && parent[at] != 0 && steps <= to.size()) {
                    at = parent[at] - 1;
                    ++steps;
                }
                tree &= steps <= to.size();
                if (tree)
                    reference::each_use(m, *path, false, true, [&](link_direction hop, double bytes) {
                        rows.emplace_back(hop.slot(), bytes);
                    });
            }
            if (tree) {
                program.routes.push_back(rows);
                program.part.push_back(part);
            }
            std::size_t digit = 0;
            while (digit < to.size() && ++parent[digit] > to.size()) parent[digit++] = 0;
            more = digit < to.size();
        }
    }
    // Rows that nothing uses have no price.
    std::vector<bool> used(program.capacity.size(), false);
    for (const auto& rows : program.routes)
        for (const auto& use : rows) used[use.row] = true;
    std::vector<std::size_t> number(used.size(), 0);
    std::vector<double> kept;
    for (std::size_t row = 0; row < used.size(); ++row)
        if (used[row]) {
            number[row] = kept.size();
            kept.push_back(program.capacity[row]);
        }
    program.capacity = kept;
    for (auto& rows : program.routes)
        for (auto& use : rows) use.row = number[use.row];
    return reference::solve(program);
}

/// By trying every choice of one arc into each vertex.
double cheapest_by_force(std::uint32_t vertices, const std::vector<barelink::detail::arborescence::arc>& arcs) {
    double best = 1e300;
    std::vector<std::vector<std::size_t>> into(vertices);
    for (std::size_t a = 0; a < arcs.size(); ++a)
        if (arcs[a].to != 0) into[arcs[a].to].push_back(a);
    std::vector<std::size_t> pick(vertices, 0);
    for (std::uint32_t v = 1; v < vertices; ++v)
        if (into[v].empty()) return best;
    for (bool more = true; more;) {
        double cost = 0;
        bool tree = true;
        for (std::uint32_t v = 1; v < vertices; ++v) {
            cost += arcs[into[v][pick[v]]].cost;
            std::uint32_t at = v, steps = 0;
            while (at != 0 && steps++ <= vertices) at = arcs[into[at][pick[at]]].from;
            tree &= at == 0;
        }
        if (tree && cost < best) best = cost;
        std::uint32_t digit = 1;
        while (digit < vertices && ++pick[digit] == into[digit].size()) pick[digit++] = 0;
        more = digit < vertices;
    }
    return best;
}

} // namespace

TEST_CASE("The cheapest arborescence of random graphs is the one that trying all of them finds") {
    std::mt19937 random(7);
    for (int round = 0; round < 400; ++round) {
        const std::uint32_t vertices = 2 + random() % 4;
        std::vector<barelink::detail::arborescence::arc> arcs;
        for (std::uint32_t from = 0; from < vertices; ++from)
            for (std::uint32_t to = 0; to < vertices; ++to)
                if (from != to && random() % 4 != 0) arcs.push_back({from, to, static_cast<double>(random() % 9)});
        const double best = cheapest_by_force(vertices, arcs);
        const auto chosen = barelink::detail::arborescence::cheapest(vertices, 0, arcs);
        if (best >= 1e300) {
            CHECK(chosen.empty());
            continue;
        }
        REQUIRE(chosen.size() == vertices - 1);
        double cost = 0;
        std::set<std::uint32_t> reached;
        for (const std::uint32_t a : chosen) {
            cost += arcs[a].cost;
            reached.insert(arcs[a].to);
        }
        CHECK(reached.size() == vertices - 1);
        CHECK(cost == Approx(best));
    }
}

TEST_CASE("A broadcast from host memory is planned at the bound on every built-in machine") {
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        for (const endpoint from : {endpoint::host_all(), first_host(m)}) {
            INFO(m.name << " from " << to_string(from));
            const auto p = plan_broadcast(m, to_all(from, 8 * GiB));
            REQUIRE(p);
            CHECK(fault_of(m, *p) == "");
            CHECK(p->predicted_gb_s() >= 0.97 * p->bound_gb_s);
            CHECK(p->predicted_gb_s() <= p->bound_gb_s);
            CHECK_FALSE(p->limits.empty());
        }
    }
}

TEST_CASE("A GPU broadcasts to the others over trees that reach all of them, also where host memory stands between") {
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        if (m.count(node_kind::gpu) < 2) continue;
        INFO(m.name);
        const auto p = plan_broadcast(m, to_all(endpoint::gpu(gpu_id{0}), 8 * GiB));
        REQUIRE(p);
        CHECK(fault_of(m, *p) == "");
        CHECK(p->predicted_gb_s() >= 0.88 * p->bound_gb_s);
    }
}

TEST_CASE("The bound of a broadcast is the optimum over all trees, found by listing them") {
    std::size_t compared = 0;
    const auto compare = [&](const machine& m, broadcast_request asked) {
        asked.stage_in_host = false; // the list has no trees with a rest
        const auto known = reference_broadcast(m, asked);
        const auto p = plan_broadcast(m, asked);
        INFO(m.name << " from " << to_string(asked.from));
        if (known.reached <= 0) {
            CHECK_FALSE(p);
            return;
        }
        REQUIRE(p);
        REQUIRE(known.proved < known.reached * (1 + 1e-6));
        CHECK(p->bound_gb_s >= known.reached * (1 - 1e-5));
        CHECK(p->bound_gb_s <= known.proved * (1 + 1e-5));
        ++compared;
    };
    for (const builtin::entry& each : builtin::names()) {
        const machine m = each.make();
        broadcast_request asked = to_all(endpoint::host_all(), GiB);
        asked.to = gpu_set::none();
        for (const std::int32_t id : {0, 1, 3, 4}) asked.to.insert(gpu_id{id});
        if (destinations_of(m, asked).empty()) continue;
        if (m.count(node_kind::memory) <= 2) compare(m, asked);
        asked.from = first_host(m);
        compare(m, asked);
        asked.from = endpoint::gpu(gpu_id{2});
        if (m.count(node_kind::gpu) > 2) compare(m, asked);
    }
    CHECK(compared >= 25);
}

TEST_CASE("Bounds that can be counted by hand") {
    const machine hgx = builtin::find("hgx-h100-8").value();
    // Eight host links of 55.3; what arrives over NVLink is less than its ports carry.
    CHECK(plan_broadcast(hgx, to_all(endpoint::host_all(), GiB))->bound_gb_s == Approx(8 * 55.3).epsilon(1e-6));
    // No peer access: every GPU pulls everything over its own link.
    const machine box = builtin::find("rtx4090-pcie-8").value();
    const double link = box.path(box.all(node_kind::memory)[0], box.gpu(gpu_id{0}))->gb_s;
    CHECK(plan_broadcast(box, to_all(first_host(box), GiB))->bound_gb_s == Approx(link).epsilon(1e-6));
}

TEST_CASE("A small broadcast starts few copies") {
    for (const char* name : {"hgx-h100-8", "dgx1-v100", "gb200-4", "dgx2-v100"}) {
        const machine m = builtin::find(name).value();
        const auto p = plan_broadcast(m, to_all(first_host(m), 4 * KiB));
        INFO(name);
        REQUIRE(p);
        CHECK(fault_of(m, *p) == "");
        CHECK(p->trees.size() == 1);
        CHECK(p->trees[0].levels <= 2);
    }
}

TEST_CASE("A broadcast that cannot be is refused with a reason") {
    const machine m = builtin::find("hgx-h100-8").value();
    const auto refused = [&](broadcast_request asked, errc code) {
        const auto p = plan_broadcast(m, asked);
        REQUIRE_FALSE(p);
        CHECK(p.error().code() == code);
        CHECK(std::string(p.error().what()).size() > 20);
    };
    refused(to_all(endpoint::host_all(), 0), errc::invalid_argument);
    refused(to_all(endpoint::pageable(numa_id{0}), GiB), errc::unsupported);
    refused(to_all(endpoint::host(numa_id{7}), GiB), errc::not_found);
    broadcast_request nobody = to_all(endpoint::host_all(), GiB);
    nobody.to = gpu_set::none();
    refused(nobody, errc::invalid_argument);
    nobody.to.insert(gpu_id{2});
    nobody.from = endpoint::gpu(gpu_id{2});
    refused(nobody, errc::invalid_argument);
    // GPUs without peer access and without host memory in between.
    const machine box = builtin::find("rtx4090-pcie-8").value();
    broadcast_request apart = to_all(endpoint::gpu(gpu_id{0}), GiB);
    apart.stage_in_host = false;
    const auto p = plan_broadcast(box, apart);
    REQUIRE_FALSE(p);
    CHECK(p.error().code() == errc::unsupported);
}

TEST_CASE("Broadcasts on machines nobody built are sound") {
    std::size_t made = 0;
    for (std::uint32_t seed = 0; seed < 60; ++seed) {
        const machine m = generated::random_machine(seed);
        const auto p = plan_broadcast(m, to_all(endpoint::host_all(), 64 * MiB));
        if (!p) continue;
        INFO("machine " << seed);
        CHECK(fault_of(m, *p) == "");
        ++made;
    }
    CHECK(made > 20);
}
