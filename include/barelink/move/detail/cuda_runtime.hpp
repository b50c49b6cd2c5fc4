// The longer operations of cuda::runtime. Private to move/cuda.hpp, which includes it last.
#pragma once

#include <string>
#include <utility>

#include <barelink/move/cuda.hpp>

BARELINK_BEGIN_NAMESPACE
namespace cuda {

inline void runtime::find_devices() {
    devices_.assign(machine_.nodes.size(), -1);
    opened_.assign(machine_.nodes.size() * machine_.nodes.size(), 0);
    for (std::size_t n = 0; n < devices_.size(); ++n) {
        const node& each = machine_.nodes[n];
        if (each.kind != node_kind::gpu || !each.cuda) continue;
        int device = each.index;
        if (each.pci.known && cudaDeviceGetByPCIBusId(&device, to_string(each.pci).c_str()) != cudaSuccess) {
            (void)cudaGetLastError();
            device = -1; // hidden from this process, or not of this machine
        }
        devices_[n] = device;
    }
    home_ = device_of(machine_.gpu(options_.home));
}

inline void runtime::forget_earlier_deliveries() {
    for (const dma_path& path : std::vector<dma_path>(machine_.paths().begin(), machine_.paths().end()))
        if (path.proof != delivery::failed && machine_.at(path.from).kind == node_kind::gpu &&
            machine_.at(path.to).kind == node_kind::gpu)
            machine_.set_delivery(path.from, path.to, path.allowed, delivery::unproved);
}

inline status runtime::usable(node_index gpu, const detail::device_scope& scope, const char* doing) {
    const int device = device_of(gpu);
    if (device < 0) {
        int count = 0;
        if (auto asked = check(cudaGetDeviceCount(&count), "counting GPUs"); !asked) return asked;
        const std::string name = gpu == no_node ? std::string("the GPU of this stream") : machine_.at(gpu).id();
        return error(errc::not_found,
                     text::join({name.c_str(), " of the machine is none of the GPUs that CUDA shows this "
                                               "process: look at CUDA_VISIBLE_DEVICES"}))
            .about(name.c_str());
    }
    if (home_ < 0) home_ = device;
    return check(scope.code(), doing, device);
}

/// Page-locking needs a GPU's context: one that is there already, else that of the caller's current GPU.
inline int runtime::home() {
    if (home_ < 0 && cudaGetDevice(&home_) != cudaSuccess) {
        (void)cudaGetLastError();
        home_ = 0;
    }
    return home_;
}

inline result<void*> runtime::allocate(node_index where, std::uint64_t bytes) {
    if (machine_.at(where).kind == node_kind::memory) return allocate_host(where, bytes);
    const detail::device_scope scope(device_of(where));
    if (auto done = usable(where, scope, "allocating on a GPU"); !done) return done.error();
    const detail::uncaptured_scope relaxed;
    void* made = nullptr;
    const cudaError_t code = cudaMalloc(&made, bytes);
    if (code == cudaSuccess) return made;
    return to_error(code, text::join({"allocating on ", machine_.at(where).id().c_str()}).c_str(), device_of(where))
        .about(machine_.at(where).id().c_str())
        .asking(bytes);
}

inline result<void*> runtime::allocate_host(node_index where, std::uint64_t bytes) {
    host_layout layout;
    layout.nodes = {machine_.at(where).numa};
    auto mapped = host_mapping::make(bytes, layout);
    if (!mapped) return std::move(mapped).error();
    auto* base = static_cast<char*>(mapped->data());
    const detail::device_scope scope(home());
    const detail::uncaptured_scope relaxed;
    placement there{memory_kind::pinned, where, 0, 0};
    if (bytes > options_.register_bytes) there.stripe_bytes = options_.register_bytes;
    for (std::uint64_t done = 0; done < mapped->bytes(); done += options_.register_bytes) {
        const std::uint64_t left = mapped->bytes() - done;
        const std::uint64_t piece = left < options_.register_bytes ? left : options_.register_bytes;
        const cudaError_t code = cudaHostRegister(base + done, piece, cudaHostRegisterPortable);
        if (code == cudaSuccess) continue;
        bool stuck = false;
        for (std::uint64_t back = 0; back < done; back += options_.register_bytes)
            stuck |= cudaHostUnregister(base + back) != cudaSuccess;
        if (stuck) mapped->abandon();
        return to_error(code, text::join({"page-locking memory of ", machine_.at(where).id().c_str()}).c_str())
            .about(machine_.at(where).id().c_str())
            .asking(bytes);
    }
    detail::pinned_block block;
    block.base = reinterpret_cast<std::uintptr_t>(base);
    block.bytes = mapped->bytes();
    block.where = there;
    block.mapping.push_back(std::move(*mapped));
    blocks_.insert(std::move(block));
    return static_cast<void*>(base);
}

inline status runtime::release(void* at) {
    const detail::thread_scope scope([&] { return home(); });
    const detail::uncaptured_scope relaxed;
    detail::pinned_block* block = blocks_.find(at);
    if (!block || block->mapping.empty()) return check(cudaFree(at), "freeing GPU memory");
    if (block->base != reinterpret_cast<std::uintptr_t>(at))
        return error(errc::invalid_argument, "this address is inside an allocation and not its beginning");
    status first_failure;
    for (std::uint64_t done = 0; done < block->bytes; done += options_.register_bytes) {
        first_failure.keep_first(check(cudaHostUnregister(static_cast<char*>(at) + done), "unlocking memory"));
    }
    // Memory that the driver may still write must not go back to the system.
    if (first_failure) blocks_.erase(block);
    return first_failure;
}

inline status runtime::pin(void* at, std::uint64_t bytes, const placement& where) {
    const detail::device_scope scope(home());
    const detail::uncaptured_scope relaxed;
    const cudaError_t code = cudaHostRegister(at, bytes, cudaHostRegisterPortable);
    if (code != cudaSuccess) return to_error(code, "page-locking memory").asking(bytes);
    detail::pinned_block block;
    block.base = reinterpret_cast<std::uintptr_t>(at);
    block.bytes = bytes;
    block.where = where;
    blocks_.insert(std::move(block));
    return {};
}

inline status runtime::unpin(void* at) {
    const detail::thread_scope scope([&] { return home(); });
    const detail::uncaptured_scope relaxed;
    detail::pinned_block* block = blocks_.find(at);
    if (!block || block->base != reinterpret_cast<std::uintptr_t>(at) || !block->mapping.empty())
        return error(errc::invalid_argument, "this address was not pinned here, or was unpinned already");
    auto done = check(cudaHostUnregister(at), "unlocking memory");
    if (done) blocks_.erase(block);
    return done;
}

inline result<placement> runtime::classify(const void* at, std::uint64_t bytes) {
    placement known;
    if (blocks_.place(at, bytes, known)) return known;
    const detail::thread_scope scope([&] { return home(); });
    auto asked = detail::ask_cuda(at, bytes);
    if (!asked) return std::move(asked).error();
    return place(*asked, at, bytes);
}

inline result<placement> runtime::place(const detail::address_facts& asked, const void* at, std::uint64_t bytes) const {
    placement where = asked.where;
    if (where.kind == memory_kind::device) {
        where.node = gpu_of(asked.device);
        if (where.node == no_node)
            return error(errc::not_found,
                         text::join({"the address is on CUDA's GPU ", std::to_string(asked.device).c_str(),
                                     ", which the machine of this runtime does not have"}))
                .on_device(asked.device);
        return where;
    }
    // Where small copies start makes no difference.
    constexpr std::uint64_t worth_asking_bytes = 1 * MiB;
    const auto node = bytes >= worth_asking_bytes ? node_of(at) : result<numa_id>(unknown_numa);
    if (node) where.node = machine_.memory(*node);
    for (std::uint32_t n = 0; n < machine_.nodes.size() && where.node == no_node; ++n)
        if (machine_.nodes[n].kind == node_kind::memory) where.node = node_index{n};
    return where;
}

inline result<memory_extent> runtime::extent(const void* at) {
    const detail::thread_scope scope([&] { return home(); });
    auto found = detail::ask_extent(at);
    if (!found) return std::move(found).error();
    memory_extent known;
    if (blocks_.extent(at, known)) {
        known.device_offset = found->device_offset;
        return known;
    }
    memory_extent made{found->base, found->bytes, {}, found->device_offset};
    auto where = place(found->facts, at, 1);
    if (!where) return std::move(where).error();
    made.where = *where;
    return made;
}

inline status runtime::host_copy_many(const block* list, std::size_t count, node_index near) {
    host_crews& crews = options_.crews ? *options_.crews : own_crews_;
    host_threads* crew = crews.near(machine_.at(near).numa);
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < count; ++i) bytes += list[i].bytes;
    // Large blocks the threads share one by one, many small ones by turns of a list. Little work is not worth waking anyone.
    constexpr std::uint64_t large_bytes = 1 * MiB, shared_from_bytes = 256 * KiB;
    if (!crew || bytes < shared_from_bytes || bytes / count >= large_bytes) {
        for (std::size_t i = 0; i < count; ++i)
            if (auto done = host_copy(list[i].to, list[i].from, list[i].bytes, near); !done) return done;
        return {};
    }
    struct turns {
        const block* list;
        std::size_t count, parts;
    } job{list, count, bytes / (shared_from_bytes / 2)};
    if (job.parts > count) job.parts = count;
    crew->run(
        [](void* context, std::uint64_t index) {
            const turns& all = *static_cast<const turns*>(context);
            for (std::size_t i = index * all.count / all.parts; i < (index + 1) * all.count / all.parts; ++i)
                barelink::detail::copy_bytes(all.list[i].to, all.list[i].from, all.list[i].bytes);
        },
        &job, job.parts);
    return {};
}

inline status runtime::copy_blocks(const block* list, std::size_t count, int multiprocessors, stream s) {
    if (!options_.block_kernel)
        return error(errc::unsupported, "this runtime was made without a copy kernel: see cuda::options::block_kernel");
    // A kernel is launched on the thread's current GPU: it must be the stream's.
    const detail::device_scope scope(device_of(s));
    for (constexpr std::size_t most = 1u << 31; count > 0;) {
        const std::size_t part = count < most ? count : most;
        if (auto done = check(options_.block_kernel(list, static_cast<std::uint32_t>(part), multiprocessors, s.handle),
                              "launching the copy kernel", device_of(s));
            !done)
            return done;
        list += part;
        count -= part;
    }
    return {};
}

inline status runtime::open_peer(node_index from, node_index to) {
    std::uint8_t& known = opened_[from.value * machine_.nodes.size() + to.value];
    if (known) return {};
    const auto enable = [&](node_index of, node_index peer) -> status {
        const detail::device_scope scope(device_of(of));
        if (auto done = usable(of, scope, "opening peer access"); !done) return done;
        const detail::uncaptured_scope relaxed;
        const cudaError_t code = cudaDeviceEnablePeerAccess(device_of(peer), 0);
        if (code != cudaErrorPeerAccessAlreadyEnabled) return check(code, "opening peer access", device_of(of));
        (void)cudaGetLastError();
        return {};
    };
    if (device_of(to) < 0) return error(errc::not_found, "the peer is not among the GPUs that CUDA shows this process");
    if (auto opened = enable(from, to); !opened) return opened;
    // The other GPU's engine may be the one that copies; where only one direction is granted it is not asked to.
    if (enable(to, from)) opened_[to.value * machine_.nodes.size() + from.value] = 1;
    known = 1;
    return {};
}

} // namespace cuda

static_assert(has_block_kernels<cuda::runtime>);
static_assert(runtime<cuda::runtime>, "cuda::runtime must model barelink::runtime");

BARELINK_END_NAMESPACE
