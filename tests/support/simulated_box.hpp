// A simulated server with buffers for tests: memory wherever an endpoint says, checked for what must not change.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/move/mover.hpp>
#include <barelink/move/sim_runtime.hpp>

#include "patterned_bytes.hpp"
#include "places.hpp"

namespace simulated {

inline constexpr std::uint64_t guard_bytes = 4096 + 64;
inline constexpr std::uint64_t default_stripe_bytes = 32 * barelink::MiB;

/// Memory of the kind that an endpoint names. Striped memory in stripes of `stripe_bytes`.
[[nodiscard]] inline barelink::result<void*> allocate(barelink::sim::runtime& on, barelink::endpoint where,
                                                      std::uint64_t bytes,
                                                      std::uint64_t stripe_bytes = default_stripe_bytes) {
    using namespace barelink;
    const machine& m = on.topology();
    switch (where.where) {
    case endpoint::place::striped_host: return on.allocate_striped(bytes, stripe_bytes);
    case endpoint::place::pageable: return on.allocate_pageable(m.memory(numa_id{where.index}), bytes);
    case endpoint::place::host: return on.allocate(m.memory(numa_id{where.index}), bytes);
    case endpoint::place::gpu: return on.allocate(m.gpu(gpu_id{where.index}), bytes);
    }
    return error(errc::invalid_argument, "no such place");
}

/// A buffer with guard bytes at both ends, released with its scope.
class buffer {
public:
    /// `lead` bytes lie between the front guard and the data, so that data starts at any address and stripe phase.
    buffer(barelink::sim::runtime& on, barelink::endpoint where, std::uint64_t bytes, std::uint64_t lead = 0,
           std::uint64_t stripe_bytes = default_stripe_bytes)
        : on_(&on), bytes_(bytes), lead_(lead),
          base_(static_cast<char*>(allocate(on, where, bytes + lead + 2 * guard_bytes, stripe_bytes).value())) {
        patterned::fill_guard(base_, guard_bytes + lead);
        patterned::fill_guard(data() + bytes, guard_bytes);
    }
    buffer(const buffer&) = delete;
    buffer& operator=(const buffer&) = delete;
    ~buffer() { (void)on_->release(base_); }

    [[nodiscard]] char* data() const noexcept { return base_ + guard_bytes + lead_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return bytes_; }
    void fill(std::uint64_t seed) const noexcept { patterned::fill(data(), bytes_, seed); }
    void clear() const noexcept { patterned::fill_guard(data(), bytes_); }
    [[nodiscard]] bool holds(std::uint64_t seed) const noexcept { return patterned::holds(data(), bytes_, seed); }
    [[nodiscard]] bool guarded() const noexcept {
        return patterned::guarded(base_, guard_bytes + lead_) && patterned::guarded(data() + bytes_, guard_bytes);
    }

private:
    barelink::sim::runtime* on_;
    std::uint64_t bytes_, lead_;
    char* base_;
};

/// The GPU of an endpoint pair whose stream a user would copy in: the destination's if it has one.
[[nodiscard]] inline barelink::node_index gpu_of(const barelink::machine& m, barelink::endpoint from,
                                                 barelink::endpoint to) {
    return m.gpu(barelink::gpu_id{to.where == barelink::endpoint::place::gpu ? to.index : from.index});
}

} // namespace simulated
