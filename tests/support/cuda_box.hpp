// A simulated server behind the CUDA runtime library, with buffers: as simulated_box.hpp, but all through CUDA calls.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <barelink/machine/builtin.hpp>
#include <barelink/move/cuda.hpp>

#include "patterned_bytes.hpp"
#include "places.hpp"
#include "simcuda/simcuda.hpp"

namespace cuda_box {

inline constexpr std::uint64_t guard_bytes = 4096 + 64;

/// The simulated server of simcuda, new, on a machine; and a runtime on the same machine.
struct server {
    explicit server(const barelink::machine& m, barelink::cuda::options chosen = {}, barelink::sim::options how = {})
        : fresh((simcuda::reset(m, how), true)), on(m, chosen) {}
    explicit server(const char* builtin, barelink::cuda::options chosen = {}, barelink::sim::options how = {})
        : server(barelink::builtin::find(builtin).value(), chosen, how) {}

    [[nodiscard]] barelink::node_index gpu(int index) const { return on.topology().gpu(barelink::gpu_id{index}); }
    [[nodiscard]] barelink::cuda::stream stream(int gpu_index) { return on.make_stream(gpu(gpu_index)).value(); }

    bool fresh;
    barelink::cuda::runtime on;
};

/// Memory wherever an endpoint says, with guard bytes at both ends. Simulated GPUs keep their bytes where tests can see them.
class buffer {
public:
    buffer(barelink::cuda::runtime& on, barelink::endpoint where, std::uint64_t bytes, std::uint64_t lead = 0,
           std::uint64_t stripe_bytes = 32 * barelink::MiB)
        : on_(on), where_(where.where), bytes_(bytes), lead_(lead) {
        using namespace barelink;
        const machine& m = on.topology();
        const std::uint64_t whole = bytes + lead + 2 * guard_bytes;
        if (where_ == endpoint::place::gpu) {
            base_ = static_cast<char*>(on.allocate(m.gpu(gpu_id{where.index}), whole).value());
        } else if (where_ == endpoint::place::host) {
            base_ = static_cast<char*>(on.allocate(m.memory(numa_id{where.index}), whole).value());
        } else {
            host_layout layout;
            if (where_ == endpoint::place::pageable)
                layout.nodes = {numa_id{where.index}};
            else
                for (const node_index n : m.all(node_kind::memory)) layout.nodes.push_back(m.at(n).numa);
            layout.stripe_bytes = stripe_bytes;
            mapping_.emplace(host_mapping::make(whole, layout).value());
            base_ = static_cast<char*>(mapping_->data());
            if (where_ == endpoint::place::striped_host)
                on.pin(base_, mapping_->bytes(),
                       {memory_kind::striped, m.all(node_kind::memory).front(), stripe_bytes, 0})
                    .value();
        }
        patterned::fill_guard(base_, guard_bytes + lead);
        patterned::fill_guard(data() + bytes, guard_bytes);
    }
    buffer(const buffer&) = delete;
    buffer& operator=(const buffer&) = delete;
    ~buffer() {
        if (where_ == barelink::endpoint::place::striped_host) (void)on_.unpin(base_);
        if (!mapping_) (void)on_.release(base_);
    }

    [[nodiscard]] char* data() const noexcept { return base_ + guard_bytes + lead_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return bytes_; }
    void fill(std::uint64_t seed) const noexcept { patterned::fill(data(), bytes_, seed); }
    void clear() const noexcept { patterned::fill_guard(data(), bytes_); }
    [[nodiscard]] bool holds(std::uint64_t seed) const noexcept { return patterned::holds(data(), bytes_, seed); }
    [[nodiscard]] bool guarded() const noexcept {
        return patterned::guarded(base_, guard_bytes + lead_) && patterned::guarded(data() + bytes_, guard_bytes);
    }

private:
    barelink::cuda::runtime& on_;
    barelink::endpoint::place where_;
    std::uint64_t bytes_, lead_;
    std::optional<barelink::host_mapping> mapping_;
    char* base_ = nullptr;
};

} // namespace cuda_box
