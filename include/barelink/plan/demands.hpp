// From a request in the user's words to demands between memories, with every mistake named.
#pragma once

#include <string>
#include <vector>

#include <barelink/plan/request.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

[[nodiscard]] inline std::string known_ids(const machine& m, node_kind kind) {
    const auto found = m.all(kind);
    if (found.empty()) return "none";
    if (found.size() == 1) return m.at(found[0]).id();
    bool in_order = true;
    for (std::size_t i = 0; i < found.size(); ++i) in_order &= m.at(found[i]).index == static_cast<std::int32_t>(i);
    if (in_order) return m.at(found.front()).id() + " to " + m.at(found.back()).id();
    std::string text;
    for (const node_index n : found) text += (text.empty() ? "" : ", ") + m.at(n).id();
    return text;
}

/// The memory that an endpoint names. Errors: not_found with what there is instead, unsupported for GPUs without CUDA.
[[nodiscard]] inline result<node_index> resolve(const machine& m, endpoint e) {
    const bool gpu = e.where == endpoint::place::gpu;
    const node_kind kind = gpu ? node_kind::gpu : node_kind::memory;
    const node_index found = m.find(kind, e.index);
    const std::string id = to_string(e);
    if (found == no_node) {
        const std::string said = m.count(kind) == 0
                                     ? id + " does not exist: " + m.name + " has no " + (gpu ? "GPU" : "host memory")
                                     : id + " does not exist: " + m.name + " has " + known_ids(m, kind);
        return error(errc::not_found, said.c_str()).about(id.c_str()).on_device(gpu ? e.index : -1);
    }
    if (gpu && !m.at(found).cuda) {
        const std::string said = id + " (" + m.at(found).name + ") is not a GPU that CUDA can drive";
        return error(errc::unsupported, said.c_str()).about(id.c_str()).on_device(e.index);
    }
    return found;
}

} // namespace detail

/// Splits a request. `host:all` becomes one demand per NUMA node, with the bytes that lie there; parts without bytes are left
/// out of the result but keep their number.
/// Errors: invalid_argument (no bytes, too many bytes, no GPU at either end, the same GPU at both), not_found, unsupported.
[[nodiscard]] inline result<std::vector<demand>> split(const machine& m, const request& asked) {
    const auto refuse = [](errc code, const std::string& said) { return error(code, said.c_str()); };
    const std::string both = to_string(asked.from) + " -> " + to_string(asked.to);
    if (asked.bytes == 0) return refuse(errc::invalid_argument, both + ": zero bytes; there is nothing to move");
    if (asked.bytes > max_transfer_bytes)
        return refuse(errc::invalid_argument, both + ": more than 2^62 bytes; split the transfer");
    if (asked.from.on_host() && asked.to.on_host())
        return refuse(errc::invalid_argument, both + ": neither end is a GPU; use memcpy");

    const auto memories_of = [&](endpoint e) -> result<std::vector<node_index>> {
        if (e.where == endpoint::place::striped_host) {
            auto all = m.all(node_kind::memory);
            if (all.empty()) return refuse(errc::not_found, m.name + " has no host memory");
            return all;
        }
        auto one = detail::resolve(m, e);
        if (!one) return std::move(one).error();
        return std::vector<node_index>{*one};
    };
    auto from = memories_of(asked.from);
    if (!from) return std::move(from).error();
    auto to = memories_of(asked.to);
    if (!to) return std::move(to).error();
    if (from->front() == to->front())
        return refuse(errc::invalid_argument,
                      both + ": both ends are one GPU; no link is involved, use cudaMemcpyAsync");

    const std::size_t parts = from->size() * to->size();
    if (asked.stripe_bytes > max_transfer_bytes / parts || asked.stripe_phase > max_transfer_bytes)
        return refuse(errc::invalid_argument, both + ": the stripes are larger than any transfer");
    std::vector<demand> demands;
    for (std::size_t part = 0; part < parts; ++part) {
        demand d;
        d.from = (*from)[from->size() > 1 ? part : 0];
        d.to = (*to)[to->size() > 1 ? part : 0];
        d.bytes = asked.stripe_bytes == 0
                      ? asked.bytes / parts + (part < asked.bytes % parts ? 1 : 0)
                      : striped_bytes(asked.stripe_phase + asked.bytes, asked.stripe_bytes, parts, part) -
                            striped_bytes(asked.stripe_phase, asked.stripe_bytes, parts, part);
        d.from_pageable = asked.from.where == endpoint::place::pageable;
        d.to_pageable = asked.to.where == endpoint::place::pageable;
        d.relays = asked.relays;
        d.stage_in_host = asked.stage_in_host;
        d.trust_unproved = asked.trust_unproved;
        d.part = static_cast<std::uint32_t>(part);
        d.stripe_bytes = parts > 1 ? asked.stripe_bytes : 0;
        if (d.bytes > 0) demands.push_back(d);
    }
    return demands;
}

BARELINK_END_NAMESPACE
