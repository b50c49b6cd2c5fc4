// The machine as a value: nodes, links, and the DMA paths between its memories.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <barelink/core/result.hpp>
#include <barelink/machine/block_costs.hpp>
#include <barelink/machine/costs.hpp>
#include <barelink/machine/link.hpp>
#include <barelink/machine/node.hpp>

BARELINK_BEGIN_NAMESPACE

/// One bit for each hop, by its slot modulo 256: whether one path's links are among others' in four words. Exact on machines
/// of up to 128 links, a first test on larger ones.
struct hop_set {
    std::array<std::uint64_t, 4> words{};

    constexpr void insert(link_direction hop) noexcept { words[hop.slot() / 64 % 4] |= 1ull << (hop.slot() % 64); }
    constexpr void insert(const hop_set& other) noexcept {
        for (std::size_t w = 0; w < words.size(); ++w) words[w] |= other.words[w];
    }
    [[nodiscard]] constexpr bool covers(const hop_set& other) const noexcept {
        std::uint64_t missing = 0;
        for (std::size_t w = 0; w < words.size(); ++w) missing |= other.words[w] & ~words[w];
        return missing == 0;
    }
    static constexpr std::size_t exact_links = 128;
    friend bool operator==(const hop_set&, const hop_set&) noexcept = default;
};

/// What one copy engine command uses: the directed links between two memories with no memory in between. Host memory and
/// a GPU always have one. Two GPUs have one when the hardware joins them; `allowed` and `proof` say whether it may be used.
struct dma_path {
    node_index from;
    node_index to;
    std::uint32_t first_hop = 0; ///< into the machine's hop table; use `machine::hops`
    std::uint32_t hop_count = 0;
    bool allowed = false;
    delivery proof = delivery::unproved;
    /// The slowest link on it, GB/s, and the latencies added up, microseconds.
    double gb_s = 0;
    double latency_us = 0;
    hop_set hop_bits;

    /// May a plan use it? `trust_unproved` is the caller's word for paths that only a query vouches for.
    [[nodiscard]] bool usable(bool trust_unproved = false) const noexcept {
        return allowed && (proof == delivery::proved || proof == delivery::assumed ||
                           (trust_unproved && proof == delivery::unproved));
    }
    friend bool operator==(const dma_path&, const dma_path&) noexcept = default;
};

/// Something a reader corrected or could not know, in one sentence.
struct machine_note {
    std::string object; ///< node id, link id or file attribute
    std::string said;

    friend bool operator==(const machine_note&, const machine_note&) = default;
};

/// Whether one GPU may copy directly to another. NVLink pairs are allowed without one; PCIe pairs need one.
struct peer_grant {
    node_index from;
    node_index to;
    bool allowed = false;
    delivery proof = delivery::unproved;

    friend bool operator==(const peer_grant&, const peer_grant&) noexcept = default;
};

/// A plain value; readers fill it and then call `connect()`. Reads are thread-safe.
class machine {
public:
    std::string name;
    std::vector<node> nodes;
    std::vector<link> links;
    /// Peer access where it is known pair by pair. Without an entry a pair is joined when NVLink joins it, and not otherwise.
    std::vector<peer_grant> grants;
    std::vector<machine_note> notes;
    copy_costs costs;
    block_costs blocks;
    /// The hardware and driver that rates were measured on, as `hardware_key` writes it; empty: none were.
    std::string measured_on;
    /// A hypervisor stands between: speeds along a path may be invented, so no reader takes a minimum there.
    bool virtualized = false;

    /// Adds a node and returns its position. Does not check for duplicates.
    node_index add(node added) {
        nodes.push_back(std::move(added));
        return node_index{static_cast<std::uint32_t>(nodes.size() - 1)};
    }
    link_index add(link added) {
        links.push_back(added);
        return link_index{static_cast<std::uint32_t>(links.size() - 1)};
    }
    void note(std::string object, std::string said) { notes.push_back({std::move(object), std::move(said)}); }

    /// Derives every DMA path from nodes, links and grants. Call after the last change to them.
    void connect();

    [[nodiscard]] const node& at(node_index n) const noexcept { return nodes[n.value]; }
    [[nodiscard]] const link& at(link_index l) const noexcept { return links[l.value]; }
    [[nodiscard]] double gb_s(link_direction d) const noexcept { return at(d.link).gb_s(d.reverse); }

    /// `nvlink:gpu:0-nvswitch`: unique, stable, readable.
    [[nodiscard]] std::string id(link_index l) const {
        return std::string(to_string(at(l).kind)) + ':' + at(at(l).a).id() + '-' + at(at(l).b).id();
    }

    [[nodiscard]] std::span<const dma_path> paths() const noexcept { return paths_; }
    [[nodiscard]] std::span<const link_direction> hops(const dma_path& path) const noexcept {
        return {hops_.data() + path.first_hop, path.hop_count};
    }
    /// The path between two memories, nullptr when the hardware has none.
    [[nodiscard]] const dma_path* path(node_index from, node_index to) const noexcept {
        const std::int32_t position = path_table_.empty() ? -1 : path_table_[from.value * nodes.size() + to.value];
        return position < 0 ? nullptr : &paths_[static_cast<std::size_t>(position)];
    }
    /// Sets allowed and proof of a pair, after a query or a delivery proof.
    void set_delivery(node_index from, node_index to, bool allowed, delivery proof);

    /// Position of `gpu:N`, `numa:N`; `no_node` when there is none.
    [[nodiscard]] node_index find(node_kind kind, std::int32_t index) const noexcept {
        for (std::uint32_t n = 0; n < nodes.size(); ++n)
            if (nodes[n].kind == kind && nodes[n].index == index) return node_index{n};
        return no_node;
    }
    [[nodiscard]] node_index gpu(gpu_id id) const noexcept { return find(node_kind::gpu, id.value); }
    [[nodiscard]] node_index memory(numa_id id) const noexcept { return find(node_kind::memory, id.value); }
    [[nodiscard]] node_index find(const pci_address& pci) const noexcept {
        for (std::uint32_t n = 0; n < nodes.size(); ++n)
            if (pci.known && nodes[n].pci == pci) return node_index{n};
        return no_node;
    }
    [[nodiscard]] std::vector<node_index> all(node_kind kind) const {
        std::vector<node_index> found;
        for (std::uint32_t n = 0; n < nodes.size(); ++n)
            if (nodes[n].kind == kind) found.push_back(node_index{n});
        return found;
    }
    [[nodiscard]] std::size_t count(node_kind kind) const noexcept {
        std::size_t found = 0;
        for (const node& each : nodes) found += each.kind == kind;
        return found;
    }

    friend bool operator==(const machine&, const machine&) = default;

private:
    std::vector<dma_path> paths_;
    std::vector<link_direction> hops_;
    std::vector<std::int32_t> path_table_; ///< nodes x nodes, position in paths_ or -1
};

BARELINK_END_NAMESPACE

#include <barelink/machine/detail/connect.hpp>
