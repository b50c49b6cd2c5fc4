// One of several copies that are planned and run together, and what scatter, gather and exchange make of their arguments.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <barelink/move/placement.hpp>

BARELINK_BEGIN_NAMESPACE

/// Borrows both ranges; equally many bytes.
struct transfer {
    region dst, src;
};

/// One source to many destinations, each the next `dst[i].bytes` of it. Errors: invalid_argument when they do not add up.
[[nodiscard]] inline result<std::vector<transfer>> scattered(std::span<const region> dst, const region& src) {
    std::vector<transfer> all;
    std::uint64_t at = 0;
    bool fits = true;
    for (const region& each : dst) {
        fits &= each.bytes <= src.bytes - at && (!src.strided() || each.bytes % src.row_bytes == 0);
        if (!fits) break;
        if (each.bytes > 0) all.push_back({each, src.part(at, each.bytes)});
        at += each.bytes;
    }
    if (!fits || at != src.bytes)
        return error(errc::invalid_argument, "the destinations' bytes do not add up to the source's").asking(src.bytes);
    return all;
}

/// Many sources to one destination, one after the other. Errors: as for `scattered`.
[[nodiscard]] inline result<std::vector<transfer>> gathered(const region& dst, std::span<const region> src) {
    auto all = scattered(src, dst);
    if (!all)
        return error(errc::invalid_argument, "the sources' bytes do not add up to the destination's").asking(dst.bytes);
    for (transfer& each : *all) std::swap(each.dst, each.src);
    return all;
}

/// The columns of a matrix, rows of `pitch` bytes, in equal shards to all destinations: row-parallel weights of a tensor-parallel
/// model. Errors: invalid_argument when a row is no whole number of shards, or a destination has another size.
[[nodiscard]] inline result<std::vector<transfer>> scattered_columns(std::span<const region> dst, const region& matrix,
                                                                     std::uint64_t pitch) {
    if (dst.empty() || pitch % dst.size() != 0)
        return error(errc::invalid_argument, "a row of the matrix is no whole number of shards").asking(pitch);
    std::vector<transfer> all;
    const std::uint64_t shard = pitch / dst.size();
    for (std::size_t i = 0; i < dst.size(); ++i) {
        auto columns = matrix.columns(pitch, i * shard, shard);
        if (!columns) return std::move(columns).error();
        if (columns->bytes != dst[i].bytes)
            return error(errc::invalid_argument, "a destination is not as large as its shard of the matrix")
                .asking(columns->bytes);
        all.push_back({dst[i], *columns});
    }
    return all;
}

/// Everybody to everybody else: shard j of source i to shard i of destination j, all shards equally large. Shard i of source i
/// stays where it is. In rounds in which every memory sends to one other and receives from one other, because engines
/// serve copies in the order in which they are submitted. Errors: invalid_argument when sizes differ or are no multiples.
[[nodiscard]] inline result<std::vector<transfer>> exchanged(std::span<const region> dst, std::span<const region> src) {
    const std::size_t n = src.size();
    std::vector<transfer> all;
    if (n < 2 || dst.size() != n)
        return error(errc::invalid_argument, "an exchange needs as many sources as destinations, two or more");
    const std::uint64_t shard = src[0].bytes / n;
    for (std::size_t i = 0; i < n; ++i)
        if (src[i].bytes != shard * n || dst[i].bytes != shard * n || src[i].strided() || dst[i].strided())
            return error(errc::invalid_argument,
                         "an exchange needs contiguous ranges of one size, a whole number of shards each")
                .asking(src[i].bytes);
    if (shard == 0) return all;
    for (std::size_t round = 1; round < n; ++round)
        for (std::size_t i = 0; i < n; ++i) {
            const std::size_t j = (i + round) % n;
            all.push_back({dst[j].part(i * shard, shard), src[i].part(j * shard, shard)});
        }
    return all;
}

BARELINK_END_NAMESPACE
