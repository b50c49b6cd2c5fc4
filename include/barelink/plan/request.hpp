// What the caller wants moved, and what the planner may use for it.
#pragma once

#include <array>
#include <cstdint>

#include <barelink/plan/endpoint.hpp>

BARELINK_BEGIN_NAMESPACE

/// A set of GPUs by number, 0 to 255. Small enough to be part of a cache key.
class gpu_set {
public:
    static constexpr std::int32_t capacity = 256;

    constexpr gpu_set() noexcept = default;
    [[nodiscard]] static constexpr gpu_set none() noexcept { return {}; }
    [[nodiscard]] static constexpr gpu_set all() noexcept {
        gpu_set everything;
        for (std::uint64_t& word : everything.words_) word = ~0ull;
        return everything;
    }
    /// GPUs outside 0 to 255 are ignored.
    constexpr gpu_set& insert(gpu_id id) noexcept {
        if (id.value >= 0 && id.value < capacity) words_[word_of(id)] |= bit_of(id);
        return *this;
    }
    constexpr gpu_set& erase(gpu_id id) noexcept {
        if (id.value >= 0 && id.value < capacity) words_[word_of(id)] &= ~bit_of(id);
        return *this;
    }
    [[nodiscard]] constexpr bool contains(gpu_id id) const noexcept {
        return id.value >= 0 && id.value < capacity && (words_[word_of(id)] & bit_of(id)) != 0;
    }
    [[nodiscard]] constexpr bool empty() const noexcept {
        for (const std::uint64_t word : words_)
            if (word != 0) return false;
        return true;
    }
    [[nodiscard]] constexpr const std::array<std::uint64_t, 4>& words() const noexcept { return words_; }
    friend constexpr bool operator==(const gpu_set&, const gpu_set&) noexcept = default;

private:
    static constexpr std::size_t word_of(gpu_id id) noexcept { return static_cast<std::size_t>(id.value) / 64; }
    static constexpr std::uint64_t bit_of(gpu_id id) noexcept { return 1ull << (static_cast<unsigned>(id.value) % 64); }

    std::array<std::uint64_t, 4> words_{};
};

/// One transfer. A plain value and the key of the plan cache.
struct request {
    endpoint from;
    endpoint to;
    std::uint64_t bytes = 0;
    /// GPUs whose memory and engines may carry other GPUs' bytes. Nobody else's GPU is ever used: none by default.
    gpu_set relays = gpu_set::none();
    /// Pinned host memory may stand in between (GPU -> host -> GPU, and the ring of pageable copies).
    bool stage_in_host = true;
    /// Use GPU pairs that only a query vouches for; see `delivery`.
    bool trust_unproved = false;
    /// Scratch memory that one route may take on one relay, bytes; bounds chunk size times depth.
    std::uint64_t scratch_bytes = 64 * MiB;
    /// How a striped host buffer lies on the NUMA nodes: stripes of this size in turn, the transfer starting
    /// `stripe_phase` bytes into a round of all nodes. 0: spread evenly, whatever the stripes.
    std::uint64_t stripe_bytes = 0;
    std::uint64_t stripe_phase = 0;

    friend constexpr bool operator==(const request&, const request&) noexcept = default;
};

/// Bytes of part `part` of `parts` among the first `bytes` of a striped buffer that starts with part 0.
[[nodiscard]] constexpr std::uint64_t striped_bytes(std::uint64_t bytes, std::uint64_t stripe_bytes,
                                                    std::uint64_t parts, std::uint64_t part) noexcept {
    const std::uint64_t round = stripe_bytes * parts;
    const std::uint64_t rest = bytes % round;
    const std::uint64_t before = part * stripe_bytes;
    const std::uint64_t own = rest < before ? 0 : rest - before < stripe_bytes ? rest - before : stripe_bytes;
    return bytes / round * stripe_bytes + own;
}

/// One memory to one memory: what a request becomes once `host:all` is split by NUMA node. Path families see these.
struct demand {
    node_index from;
    node_index to;
    std::uint64_t bytes = 0;
    /// Position among the request's parts: the NUMA nodes of `host:all`.
    std::uint32_t part = 0;
    /// Stripes that the host end is cut into; 0 when it is contiguous. Every stripe needs a copy of its own.
    std::uint64_t stripe_bytes = 0;
    /// The end is ordinary memory on its node, reached by host threads through a ring of pinned memory.
    bool from_pageable = false;
    bool to_pageable = false;
    gpu_set relays;
    bool stage_in_host = true;
    bool trust_unproved = false;
};

BARELINK_END_NAMESPACE
