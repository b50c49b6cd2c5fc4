// Where tests copy from and to: every pair of places of a machine with a GPU at one end, at least.
#pragma once

#include <utility>
#include <vector>

#include <barelink/plan/request.hpp>

namespace places {

using pair = std::pair<barelink::endpoint, barelink::endpoint>;

/// Each NUMA node, all of them striped, and each GPU that CUDA can drive.
[[nodiscard]] inline std::vector<barelink::endpoint> all(const barelink::machine& m) {
    using namespace barelink;
    std::vector<endpoint> found;
    for (const node_index n : m.all(node_kind::memory)) found.push_back(endpoint::host(numa_id{m.at(n).index}));
    if (!found.empty()) found.push_back(endpoint::host_all());
    for (const node_index n : m.all(node_kind::gpu))
        if (m.at(n).cuda) found.push_back(endpoint::gpu(gpu_id{m.at(n).index}));
    return found;
}

/// Ordered pairs of different places, a GPU at one end.
[[nodiscard]] inline std::vector<pair> pairs(const barelink::machine& m) {
    std::vector<pair> found;
    const auto ends = all(m);
    for (const barelink::endpoint from : ends)
        for (const barelink::endpoint to : ends)
            if (from != to && !(from.on_host() && to.on_host())) found.emplace_back(from, to);
    return found;
}

[[nodiscard]] inline barelink::endpoint gpu(int index) {
    return barelink::endpoint::gpu(barelink::gpu_id{index});
}
[[nodiscard]] inline barelink::endpoint host(int index) {
    return barelink::endpoint::host(barelink::numa_id{index});
}
[[nodiscard]] inline barelink::endpoint pageable(int index) {
    return barelink::endpoint::pageable(barelink::numa_id{index});
}

[[nodiscard]] inline barelink::request request(barelink::endpoint from, barelink::endpoint to, std::uint64_t bytes,
                                               barelink::gpu_set relays = barelink::gpu_set::none()) {
    barelink::request asked;
    asked.from = from;
    asked.to = to;
    asked.bytes = bytes;
    asked.relays = relays;
    return asked;
}

} // namespace places
