// --gpu and --numa of the benchmarks: which GPU, and which host memory beside it.
#pragma once

#include <string>

#include <fmt/format.h>

#include <barelink/machine/machine.hpp>

namespace tool {

/// The number of the memory for copies to and from a GPU: `numa`'s, or, when that is negative, the GPU's own, or the first.
/// Errors: not_found when there is no such GPU, or no memory on that node.
[[nodiscard]] inline int bench_numa(const barelink::machine& m, int gpu, int numa) {
    const auto refuse = [](const std::string& why) {
        barelink::detail::raise(barelink::error(barelink::errc::not_found, why.c_str()));
    };
    const barelink::node_index there = m.gpu(barelink::gpu_id{gpu});
    if (there == barelink::no_node)
        refuse(fmt::format("--gpu {}: this machine has gpu:0 to gpu:{}", gpu, m.count(barelink::node_kind::gpu) - 1));
    barelink::node_index host = m.memory(numa >= 0 ? barelink::numa_id{numa} : m.at(there).numa);
    if (host == barelink::no_node && numa < 0) host = m.all(barelink::node_kind::memory).front();
    if (host == barelink::no_node) refuse(fmt::format("--numa {}: this machine has no memory there", numa));
    return m.at(host).index;
}

} // namespace tool
