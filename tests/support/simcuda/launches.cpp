// Kernels: what nvcc puts into an object that launches them, and launches themselves. A kernel's place is taken by a function of
// the CPU, which runs when the kernel would end.
#include <algorithm>
#include <cstring>

#include <barelink/move/detail/block_kernel_body.hpp>

#include "captures.hpp"
#include "memory.hpp"
#include "work.hpp"

/// What a kernel handle points at: a kernel that an object registered, by its host function.
struct CUkern_st {
    std::string name; ///< as the device compiler mangled it
    simcuda::kernel_stand_in by;
};

namespace simcuda {
namespace {

/// Kernels are registered before main, and stay through resets like the code of the process.
struct kernel_table {
    std::mutex gate;
    std::map<const void*, std::unique_ptr<CUkern_st>> by_function;
};
kernel_table& kernels() {
    static kernel_table* const only = new kernel_table; // objects unregister at the very end
    return *only;
}

struct launch_configuration {
    dim3 grid, block;
    std::size_t shared_bytes;
    cudaStream_t stream;
};
std::vector<launch_configuration>& pushed_configurations() {
    thread_local std::vector<launch_configuration> mine;
    return mine;
}

// Limits of compute capability 9.0 (CUDA C++ programming guide, technical specifications).
bool valid(const launch_configuration& c) {
    const auto fits = [](const dim3& d, unsigned x, unsigned y, unsigned z) {
        return d.x >= 1 && d.y >= 1 && d.z >= 1 && d.x <= x && d.y <= y && d.z <= z;
    };
    const std::uint64_t threads = std::uint64_t{c.block.x} * c.block.y * c.block.z;
    return fits(c.grid, 0x7fffffff, 65535, 65535) && fits(c.block, 1024, 1024, 64) && threads <= 1024 &&
           c.shared_bytes <= 227 * 1024;
}

/// Arguments belong to the caller until the launch returns, and are copied by it.
struct kept_arguments {
    kept_arguments(void** given, const std::vector<std::size_t>& sizes) {
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            bytes.emplace_back(std::make_unique<char[]>(sizes[i]));
            std::memcpy(bytes.back().get(), given[i], sizes[i]);
            addresses.push_back(bytes.back().get());
        }
    }
    std::vector<std::unique_ptr<char[]>> bytes;
    std::vector<void*> addresses;
};

cudaError_t launch(process& p, const CUkern_st* kernel, const launch_configuration& c, void** arguments) {
    CUstream_st* stream = find_stream(p, c.stream);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (!kernel) return cudaErrorInvalidDeviceFunction;
    if (stream->device != current_device(p)) return cudaErrorInvalidResourceHandle;
    if (!valid(c)) return cudaErrorInvalidConfiguration;
    if (!kernel->by.run) return cudaErrorNoKernelImageForDevice;
    if (!arguments && !kernel->by.argument_bytes.empty()) return cudaErrorInvalidValue;
    const auto kept = std::make_shared<kept_arguments>(arguments, kernel->by.argument_bytes);
    const int device = stream->device;
    return submit(p, *stream, cudaGraphNodeTypeKernel, [=](process& q, sim::stream lane) {
        void** const given = kept->addresses.data();
        const kernel_launch now{device, c.grid, c.block};
        const double us = kernel->by.us ? kernel->by.us(given, now) : 0;
        q.server.launch(lane, us, run_chore, keep(q, [=] {
                            (void)kept; // until the last launch of a graph has run
                            kernel->by.run(given, now);
                        }));
        return cudaSuccess;
    });
}

// The kernel of barelink itself: the same code, run by the CPU, after each address is checked as a GPU would.

/// Memory of the host that is page-locked, and memory of this GPU or of one that it was given access to.
bool reaches(process& p, int device, const void* at, std::uint64_t bytes) {
    const allocation* found = nullptr;
    std::uintptr_t base = 0;
    if (locate(p, at, bytes, found, base) != cudaSuccess || !found) return false;
    if (found->what != allocation::kind::device || found->device == device) return true;
    return p.access[p.pair(device, found->device)] != 0;
}

struct block_list {
    const barelink::block* at;
    std::uint32_t count;
    explicit block_list(void** arguments) {
        std::memcpy(&at, arguments[0], sizeof at);
        std::memcpy(&count, arguments[1], sizeof count);
    }
};

/// As long as the machine's costs say; links that copies use at the same time are not shared.
double block_kernel_us(void** arguments, const kernel_launch& launch) {
    process& p = *the_world().running;
    const barelink::machine& m = p.server.topology();
    const block_list list(arguments);
    double least_us = m.blocks.kernel_us;
    if (!reaches(p, launch.device, list.at, list.count * sizeof(barelink::block))) return least_us;
    std::map<barelink::node_index, std::uint64_t> moved; // by the other end
    const barelink::node_index here = p.gpu(launch.device);
    for (std::uint32_t i = 0; i < list.count; ++i)
        for (const void* end : {list.at[i].from, static_cast<const void*>(list.at[i].to)}) {
            const allocation* found = nullptr;
            std::uintptr_t base = 0;
            if (locate(p, end, list.at[i].bytes, found, base) != cudaSuccess || !found) continue;
            const barelink::node_index there = found->what == allocation::kind::device
                                                   ? p.gpu(found->device)
                                                   : p.host_memory(p.gpu_node(launch.device).numa.value);
            if (there != here) moved[there] += list.at[i].bytes;
        }
    const double most = m.blocks.kernel_multiprocessor_gb_s * launch.grid.x;
    for (const auto& [there, bytes] : moved) {
        double gb_s = most;
        if (const barelink::dma_path* path = m.path(there, here))
            for (const barelink::link_direction hop : m.hops(*path))
                gb_s = std::min(gb_s, m.gb_s(hop) * m.blocks.kernel_link_share);
        least_us = std::max(least_us, m.blocks.kernel_us + barelink::transfer_us(static_cast<double>(bytes), gb_s));
    }
    return least_us + list.count * m.blocks.kernel_block_us;
}

void run_block_kernel(void** arguments, const kernel_launch& launch) {
    process& p = *the_world().running;
    const block_list list(arguments);
    bool valid = reaches(p, launch.device, list.at, list.count * sizeof(barelink::block));
    for (std::uint32_t i = 0; valid && i < list.count; ++i)
        valid = list.at[i].bytes == 0 || (reaches(p, launch.device, list.at[i].to, list.at[i].bytes) &&
                                          reaches(p, launch.device, list.at[i].from, list.at[i].bytes));
    if (!valid) {
        p.sticky = cudaErrorIllegalAddress;
        return;
    }
    const std::uint32_t threads =
        std::min(launch.block.x, 64u); // every thread walks the list: a thousand would take long
    for (std::uint32_t index = 0; index < launch.grid.x; ++index)
        for (std::uint32_t thread = 0; thread < threads; ++thread)
            barelink::detail::block_kernel::run_on_cpu(list.at, list.count, index, launch.grid.x, thread, threads);
}

// The kernel of the tool that waits for a flag of the host's. How long is not known when it is enqueued: it lasts longer than
// submitting does, in the simulation's time, which costs nothing; a flag that is still closed then is one that came too late.

constexpr double spin_kernel_us = 50'000;

void run_spin_kernel(void** arguments, const kernel_launch& launch) {
    const std::uint32_t* open = nullptr;
    std::uint32_t* gave_up = nullptr;
    std::memcpy(&open, arguments[0], sizeof open);
    std::memcpy(&gave_up, arguments[1], sizeof gave_up);
    process& p = *the_world().running;
    if (!reaches(p, launch.device, open, sizeof *open) || !reaches(p, launch.device, gave_up, sizeof *gave_up))
        p.sticky = cudaErrorIllegalAddress;
    else if (__atomic_load_n(open, __ATOMIC_ACQUIRE) == 0)
        __atomic_store_n(gave_up, 1u, __ATOMIC_RELEASE);
}

/// Empty for a kernel that nothing is known about.
kernel_stand_in known_stand_in(const std::string& name) {
    if (name.find("4tool") != std::string::npos && name.find("15spin_until_open") != std::string::npos)
        return {{sizeof(void*), sizeof(void*), sizeof(std::uint64_t)},
                [](void**, const kernel_launch&) { return spin_kernel_us; },
                run_spin_kernel};
    if (name.find("8barelink") == std::string::npos || name.find("11copy_blocks") == std::string::npos) return {};
    return {{sizeof(const barelink::block*), sizeof(std::uint32_t)}, block_kernel_us, run_block_kernel};
}

CUkern_st* find_kernel(const void* function) {
    kernel_table& all = kernels();
    const std::lock_guard held(all.gate);
    const auto found = all.by_function.find(function);
    return found == all.by_function.end() ? nullptr : found->second.get();
}
CUkern_st& kernel_of(const void* function) {
    kernel_table& all = kernels();
    const std::lock_guard held(all.gate);
    auto& kernel = all.by_function[function];
    if (!kernel) kernel = std::make_unique<CUkern_st>();
    return *kernel;
}

} // namespace

void stand_in(const void* kernel, kernel_stand_in by) {
    kernel_of(kernel).by = std::move(by);
}

} // namespace simcuda

using simcuda::call;
using simcuda::process;

extern "C" {

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments, std::size_t shared_bytes,
                             cudaStream_t stream) {
    return call(__func__, [&](process& p) {
        return simcuda::launch(p, simcuda::find_kernel(function), {grid, block, shared_bytes, stream}, arguments);
    });
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* how, const void* function, void** arguments) {
    return call(__func__, [&](process& p) {
        if (!how) return cudaErrorInvalidValue;
        return simcuda::launch(p, simcuda::find_kernel(function),
                               {how->gridDim, how->blockDim, how->dynamicSmemBytes, how->stream}, arguments);
    });
}

// What nvcc's host code calls, undocumented but for the declarations in crt/host_runtime.h and crt/device_functions.h.

SIMCUDA_API void** __cudaRegisterFatBinary(void* binary) {
    return new void*(binary); // the handle; as many as there are objects with kernels
}
SIMCUDA_API void __cudaRegisterFatBinaryEnd(void**) {}
SIMCUDA_API void __cudaUnregisterFatBinary(void** handle) {
    delete handle;
}
SIMCUDA_API char __cudaInitModule(void**) {
    return 1;
}
SIMCUDA_API void __cudaRegisterFunction(void**, const char* function, char*, const char* name, int, uint3*, uint3*,
                                        dim3*, dim3*, int*) {
    CUkern_st& kernel = simcuda::kernel_of(function);
    kernel.name = name;
    if (!kernel.by.run) kernel.by = simcuda::known_stand_in(kernel.name);
}
SIMCUDA_API unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared_bytes, CUstream_st* stream) {
    simcuda::pushed_configurations().push_back({grid, block, shared_bytes, stream});
    return 0;
}
SIMCUDA_API cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared_bytes, void* stream) {
    auto& pushed = simcuda::pushed_configurations();
    if (pushed.empty()) return cudaErrorMissingConfiguration;
    const simcuda::launch_configuration last = pushed.back();
    pushed.pop_back();
    *grid = last.grid;
    *block = last.block;
    *shared_bytes = last.shared_bytes;
    std::memcpy(stream, &last.stream, sizeof last.stream);
    return cudaSuccess;
}
/// Since CUDA 12.8 the host code keeps a handle of each kernel and launches by it; before, it calls cudaLaunchKernel.
SIMCUDA_API cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* function) {
    *kernel = simcuda::find_kernel(function);
    return *kernel ? cudaSuccess : cudaErrorInvalidDeviceFunction;
}
SIMCUDA_API cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                                           std::size_t shared_bytes, cudaStream_t stream) {
    return call("cudaLaunchKernel", [&](process& p) {
        return simcuda::launch(p, kernel, {grid, block, shared_bytes, stream}, arguments);
    });
}

} // extern "C"
