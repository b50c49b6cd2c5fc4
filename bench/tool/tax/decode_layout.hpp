// The decode proxy's memory: layers of weights and of paged KV, what lies in them, and what reading all of it once adds up to.
#pragma once

#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <barelink/core/units.hpp>

#if defined(__CUDACC__)
#define TOOL_HOST_DEVICE __host__ __device__
#else
#define TOOL_HOST_DEVICE
#endif

namespace tool {

/// Bytes that hold the same word again and again: granule `g` holds `decode_word(g)`. No KV block is smaller.
inline constexpr std::uint64_t decode_granule_bytes = 16 * barelink::KiB;
/// Every part begins and ends at a multiple of this: the largest KV block, and two tiles of the kernel that streams.
inline constexpr std::uint64_t decode_unit_bytes = 64 * barelink::KiB;
/// Of the small copies to and from the GPU in each step.
inline constexpr std::uint32_t decode_token_words = 1024;

/// A bijection of 32-bit words without a pattern that memory or reader could exploit: the finalizer of MurmurHash3 (Appleby, 2011,
/// public domain).
TOOL_HOST_DEVICE constexpr std::uint32_t decode_mix(std::uint32_t word) noexcept {
    word = (word ^ (word >> 16)) * 0x85ebca6bu;
    word = (word ^ (word >> 13)) * 0xc2b2ae35u;
    return word ^ (word >> 16);
}
TOOL_HOST_DEVICE constexpr std::uint32_t decode_word(std::uint32_t granule) noexcept {
    return decode_mix(granule + 1);
}
/// What a layer multiplies its words with, from what came before: odd, so that no word is lost to a factor of two.
TOOL_HOST_DEVICE constexpr std::uint32_t next_activation(std::uint32_t activation, std::uint32_t sum) noexcept {
    return decode_mix(activation + sum) | 1u;
}

/// All words from one granule to another added up, modulo 2^32.
[[nodiscard]] constexpr std::uint32_t decode_sum(std::uint64_t first_granule, std::uint64_t granules) noexcept {
    std::uint32_t sum = 0;
    for (std::uint64_t g = first_granule; g < first_granule + granules; ++g)
        sum += decode_word(static_cast<std::uint32_t>(g));
    return sum * static_cast<std::uint32_t>(decode_granule_bytes / sizeof(std::uint32_t));
}

/// One layer, as offsets into the proxy's memory.
struct decode_layer {
    std::uint64_t weights_at = 0, weights_bytes = 0;
    std::uint64_t kv_at = 0, kv_bytes = 0;
    std::uint32_t kv_block_bytes = 0; ///< 16, 32, 64 KiB by turns
    std::uint32_t table_at = 0;       ///< of its first block in the table of block numbers

    [[nodiscard]] std::uint32_t kv_blocks() const noexcept {
        return static_cast<std::uint32_t>(kv_bytes / kv_block_bytes);
    }
};

/// A size of decode proxy. Layers as Llama 3 has them at 1, 8 and 70 billion parameters: 16, 32, 80 (model cards).
struct decode_preset {
    std::string name; ///< in ids: `1GiB`, `14GB`, `60pct`
    std::uint64_t bytes = 0;
    unsigned layers = 0;
};

struct decode_layout {
    std::vector<decode_layer> layers;
    std::vector<std::uint32_t> table; ///< of all layers: each layer's blocks once each, permuted
    std::uint64_t bytes = 0;          ///< that one step reads, each byte once

    /// `kv_percent` of each layer are KV, to the nearest unit. Rounds down to whole units of each layer; no layer when there is not
    /// even one unit for each.
    [[nodiscard]] static decode_layout make(std::uint64_t bytes, unsigned layers, unsigned kv_percent);

    /// What a step must give back for each layer, from the sum of the token's words.
    [[nodiscard]] std::vector<std::uint32_t> expected(std::uint32_t token_sum) const {
        std::vector<std::uint32_t> sums;
        std::uint32_t activation = next_activation(0, token_sum), sum = 0;
        for (std::size_t l = 0; l < layers.size(); ++l) {
            if (l > 0) activation = next_activation(activation, sum);
            sum = activation * layer_sums[l];
            sums.push_back(sum);
        }
        return sums;
    }

    std::vector<std::uint32_t> layer_sums; ///< of the words in each layer
};

inline decode_layout decode_layout::make(std::uint64_t bytes, unsigned layers, unsigned kv_percent) {
    decode_layout made;
    const std::uint64_t units = layers > 0 ? bytes / layers / decode_unit_bytes : 0;
    if (units == 0) return made;
    const std::uint64_t layer_bytes = units * decode_unit_bytes;
    std::uint64_t random = 0x9e3779b97f4a7c15; // the same permutation in every run: reports are to be comparable
    for (unsigned l = 0; l < layers; ++l) {
        decode_layer layer;
        layer.kv_bytes = (units * kv_percent + 50) / 100 * decode_unit_bytes;
        layer.weights_at = l * layer_bytes;
        layer.weights_bytes = layer_bytes - layer.kv_bytes;
        layer.kv_at = layer.weights_at + layer.weights_bytes;
        layer.kv_block_bytes = static_cast<std::uint32_t>(decode_granule_bytes << (l % 3));
        layer.table_at = static_cast<std::uint32_t>(made.table.size());
        const std::uint32_t blocks = layer.kv_blocks();
        made.table.resize(made.table.size() + blocks);
        std::uint32_t* const own = made.table.data() + layer.table_at;
        std::iota(own, own + blocks, 0u);
        for (std::uint32_t left = blocks; left > 1;
             --left) { // Fisher and Yates' shuffle; the generator is Knuth's MMIX LCG
            random = random * 6364136223846793005u + 1442695040888963407u;
            std::swap(own[left - 1], own[(random >> 33) % left]);
        }
        made.layer_sums.push_back(
            decode_sum(layer.weights_at / decode_granule_bytes, layer_bytes / decode_granule_bytes));
        made.layers.push_back(layer);
    }
    made.bytes = layers * layer_bytes;
    return made;
}

} // namespace tool
