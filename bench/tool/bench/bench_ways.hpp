// The ways of making one copy that are compared: CUDA's call, the drop-in function, the mover.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <barelink/memcpy.hpp>

namespace tool {

/// One direction of a case: its memory, and the stream that it is enqueued in.
struct copy_way_ends {
    barelink::region from, to;
    int from_device = -1, to_device = -1; ///< CUDA's numbers, -1 for host memory
    barelink::cuda::stream stream;

    [[nodiscard]] bool is_pair() const noexcept { return from_device >= 0 && to_device >= 0; }
    [[nodiscard]] cudaMemcpyKind kind() const noexcept {
        return from_device < 0 ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost;
    }
};

enum class copy_way : std::uint8_t { raw_no_peer_access, raw, memcpy_async, mover };

[[nodiscard]] constexpr const char* to_string(copy_way way) noexcept {
    switch (way) {
    case copy_way::raw_no_peer_access: return "raw (no peer access)";
    case copy_way::raw: return "raw";
    case copy_way::memcpy_async: return "memcpy_async";
    case copy_way::mover: return "mover";
    }
    return "";
}

using cuda_mover = barelink::mover<barelink::cuda::runtime>;

/// Enqueues it once. Throws what CUDA or the mover answers.
inline void start(copy_way way, cuda_mover& mover, const copy_way_ends& ends, std::uint64_t offset,
                  std::uint64_t bytes) {
    if (way == copy_way::mover)
        return mover.enqueue(ends.to.part(offset, bytes), ends.from.part(offset, bytes), ends.stream).value();
    void* const to = static_cast<char*>(ends.to.base) + offset;
    const void* const from = static_cast<const char*>(ends.from.base) + offset;
    cudaError_t code = cudaSuccess;
    if (way == copy_way::memcpy_async)
        code = ends.is_pair()
                   ? barelink::memcpy_peer_async(to, ends.to_device, from, ends.from_device, bytes, ends.stream.handle)
                   : barelink::memcpy_async(to, from, bytes, ends.kind(), ends.stream.handle);
    else
        code = ends.is_pair()
                   ? cudaMemcpyPeerAsync(to, ends.to_device, from, ends.from_device, bytes, ends.stream.handle)
                   : cudaMemcpyAsync(to, from, bytes, ends.kind(), ends.stream.handle);
    if (code != cudaSuccess) barelink::cuda::check(code, to_string(way)).value();
}

/// Memory of one end; freed with it. Pinned memory is registered in one piece, as the raw call needs it.
class bench_memory {
public:
    bench_memory(barelink::cuda::runtime& on, barelink::node_index node, bool pageable, std::uint64_t bytes) : on_(on) {
        const barelink::machine& m = on.topology();
        memory_.bytes = bytes;
        memory_.where.node = node;
        if (pageable) {
            barelink::host_layout layout;
            layout.nodes = {m.at(node).numa};
            barelink::host_mapping_options options; // what malloc gives where nobody asks for more
            options.pages = barelink::host_mapping_options::huge_pages::never;
            mapping_.emplace(barelink::host_mapping::make(bytes, layout, options).value());
            memory_.base = mapping_->data();
            return;
        }
        const bool gpu = m.at(node).kind == barelink::node_kind::gpu;
        memory_.where.kind = gpu ? barelink::memory_kind::device : barelink::memory_kind::pinned;
        memory_.base = on.allocate(node, bytes).value();
    }
    bench_memory(const bench_memory&) = delete;
    bench_memory& operator=(const bench_memory&) = delete;
    ~bench_memory() {
        if (!mapping_) (void)on_.release(memory_.base);
    }
    [[nodiscard]] const barelink::region& memory() const noexcept { return memory_; }

private:
    barelink::cuda::runtime& on_;
    std::optional<barelink::host_mapping> mapping_;
    barelink::region memory_;
};

} // namespace tool
