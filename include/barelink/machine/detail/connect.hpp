// machine::connect(): from nodes and links to DMA paths. Private to the machine layer.
#pragma once

#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// For every node, the links that leave it.
struct adjacency {
    struct edge {
        node_index to;
        link_direction over;
        link_kind kind;
        double gb_s;
    };
    std::vector<std::vector<edge>> from;

    explicit adjacency(const machine& m) : from(m.nodes.size()) {
        for (std::uint32_t l = 0; l < m.links.size(); ++l) {
            const link& each = m.links[l];
            from[each.a.value].push_back({each.b, {link_index{l}, false}, each.kind, each.gb_s_ab});
            from[each.b.value].push_back({each.a, {link_index{l}, true}, each.kind, each.gb_s_ba});
        }
    }
};

/// Grants by pair of GPUs. The last of several for one pair counts.
class grant_table {
public:
    explicit grant_table(const machine& m) : rank_(m.nodes.size(), 0) {
        for (std::size_t n = 0; n < m.nodes.size(); ++n)
            if (m.nodes[n].kind == node_kind::gpu) rank_[n] = ++gpus_;
        found_.assign((gpus_ + 1) * (gpus_ + 1), nullptr);
        for (const peer_grant& grant : m.grants) found_[slot(grant.from, grant.to)] = &grant;
    }
    [[nodiscard]] const peer_grant* find(node_index from, node_index to) const noexcept {
        return found_[slot(from, to)];
    }

private:
    [[nodiscard]] std::size_t slot(node_index from, node_index to) const noexcept {
        return rank_[from.value] * (gpus_ + 1) + rank_[to.value];
    }
    std::size_t gpus_ = 0;
    std::vector<std::size_t>
        rank_; ///< 1, 2, ... for GPUs; grants between other nodes all share slot 0 and mean nothing
    std::vector<const peer_grant*> found_;
};

/// The way from one memory to all others over the host's fabric: fewest links, and among those the widest. Passes
/// through packages, ports and switches, never through a memory.
class host_fabric_search {
public:
    host_fabric_search(const machine& m, const adjacency& edges, node_index start) : reached_(m.nodes.size()) {
        std::vector<node_index> layer{start}, next;
        reached_[start.value] = {0, 0, {}, no_node};
        for (std::uint32_t hops = 1; !layer.empty(); ++hops, layer.swap(next)) {
            next.clear();
            for (const node_index at : layer) {
                if (at != start && m.at(at).is_memory()) continue;
                for (const adjacency::edge& edge : edges.from[at.value]) {
                    if (edge.kind == link_kind::nvlink) continue;
                    step& there = reached_[edge.to.value];
                    const double width = at == start ? edge.gb_s : smaller(reached_[at.value].width, edge.gb_s);
                    if (there.hops < hops || (there.hops == hops && there.width >= width)) continue;
                    if (there.hops != hops) next.push_back(edge.to);
                    there = {hops, width, edge.over, at};
                }
            }
        }
    }

    [[nodiscard]] bool reaches(node_index n) const noexcept { return reached_[n.value].hops != unreached; }

    void append_hops(node_index to, std::vector<link_direction>& out) const {
        const std::size_t first = out.size();
        for (node_index at = to; reached_[at.value].from != no_node; at = reached_[at.value].from)
            out.push_back(reached_[at.value].over);
        for (std::size_t i = first, j = out.size(); i + 1 < j; ++i, --j) std::swap(out[i], out[j - 1]);
    }

private:
    static constexpr std::uint32_t unreached = 0xffffffffu;
    static double smaller(double a, double b) noexcept { return a < b ? a : b; }

    struct step {
        std::uint32_t hops = unreached;
        double width = 0;
        link_direction over;
        node_index from = no_node;
    };
    std::vector<step> reached_;
};

/// Hops of the NVLink way between two GPUs: a direct link, or up to and down from the NVSwitch.
inline bool append_nvlink_hops(const machine& m, const adjacency& edges, node_index from, node_index to,
                               std::vector<link_direction>& out) {
    for (const adjacency::edge& up : edges.from[from.value]) {
        if (up.kind != link_kind::nvlink) continue;
        if (up.to == to) {
            out.push_back(up.over);
            return true;
        }
    }
    for (const adjacency::edge& up : edges.from[from.value]) {
        if (up.kind != link_kind::nvlink || m.at(up.to).kind != node_kind::nvswitch) continue;
        for (const adjacency::edge& down : edges.from[up.to.value]) {
            if (down.kind != link_kind::nvlink || down.to != to) continue;
            out.push_back(up.over);
            out.push_back(down.over);
            return true;
        }
    }
    return false;
}

} // namespace detail

inline void machine::connect() {
    paths_.clear();
    hops_.clear();
    path_table_.assign(nodes.size() * nodes.size(), -1);
    const detail::adjacency edges(*this);
    const detail::grant_table granted_to(*this);
    for (std::uint32_t f = 0; f < nodes.size(); ++f) {
        if (!nodes[f].is_memory()) continue;
        const node_index from{f};
        const detail::host_fabric_search host(*this, edges, from);
        for (std::uint32_t t = 0; t < nodes.size(); ++t) {
            const node_index to{t};
            const bool peers = nodes[f].kind == node_kind::gpu && nodes[t].kind == node_kind::gpu;
            const bool host_and_gpu = (nodes[f].kind == node_kind::gpu) != (nodes[t].kind == node_kind::gpu);
            if (f == t || !nodes[t].is_memory() || (!peers && !host_and_gpu)) continue;

            dma_path path{from, to, static_cast<std::uint32_t>(hops_.size()), 0, true, delivery::proved, 0, 0, {}};
            if (peers) {
                const bool nvlink = detail::append_nvlink_hops(*this, edges, from, to, hops_);
                const peer_grant* granted = granted_to.find(from, to);
                if (!nvlink && !granted) continue;
                if (!nvlink && host.reaches(to)) host.append_hops(to, hops_);
                path.allowed = granted ? granted->allowed : true;
                path.proof = granted ? granted->proof : delivery::assumed;
            } else if (host.reaches(to)) {
                host.append_hops(to, hops_);
            }
            path.hop_count = static_cast<std::uint32_t>(hops_.size()) - path.first_hop;
            if (path.hop_count == 0) continue;
            for (const link_direction hop : hops(path)) {
                path.gb_s = path.gb_s == 0 || gb_s(hop) < path.gb_s ? gb_s(hop) : path.gb_s;
                path.latency_us += at(hop.link).latency_us;
                path.hop_bits.insert(hop);
            }
            path_table_[f * nodes.size() + t] = static_cast<std::int32_t>(paths_.size());
            paths_.push_back(path);
        }
    }
}

inline void machine::set_delivery(node_index from, node_index to, bool allowed, delivery proof) {
    bool known = false;
    for (peer_grant& grant : grants) {
        if (grant.from != from || grant.to != to) continue;
        grant.allowed = allowed;
        grant.proof = proof;
        known = true;
    }
    if (!known) grants.push_back({from, to, allowed, proof});
    const std::int32_t position = path_table_.empty() ? -1 : path_table_[from.value * nodes.size() + to.value];
    if (position >= 0) {
        paths_[static_cast<std::size_t>(position)].allowed = allowed;
        paths_[static_cast<std::size_t>(position)].proof = proof;
    } else {
        connect();
    }
}

BARELINK_END_NAMESPACE
