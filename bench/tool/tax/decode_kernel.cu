// Kernels that keep memory busy as decoding does: weights streamed, KV read by pages, tiny kernels between.
#include <type_traits>

#include <cuda_runtime.h>

#define BARELINK_TOOL_KERNEL 1
#include "decode_kernels.hpp"
#include "decode_layout.hpp"

namespace tool {
namespace {

constexpr std::uint32_t threads = 256;
/// Loads of 16 bytes that a thread has in flight. An H100 needs 3.35 TB/s times about 0.7 us over 132 multiprocessors, 18 KiB each;
/// one thread block has 32 KiB in flight, and several fit on a multiprocessor.
constexpr std::uint32_t deep = 8;
constexpr std::uint32_t vector_bytes = sizeof(uint4);
constexpr std::uint32_t tile_vectors = threads * deep;
/// Loads in flight for a page: a thread block's 256 threads read 16 KiB in four loads each.
constexpr std::uint32_t page_deep = 4;
constexpr std::uint32_t granule_vectors = decode_granule_bytes / vector_bytes;

static_assert(decode_kernels::tile_bytes % (tile_vectors * vector_bytes) == 0);
static_assert(decode_unit_bytes % decode_kernels::tile_bytes == 0);
static_assert(threads * page_deep == granule_vectors);
static_assert(decode_token_words % threads == 0);

__device__ std::uint32_t sum_of(uint4 v) {
    return v.x + v.y + v.z + v.w;
}

/// Of all threads of the block; thread 0 has it.
__device__ std::uint32_t block_sum(std::uint32_t mine) {
    __shared__ std::uint32_t of_warp[threads / 32];
    for (int step = 16; step > 0; step /= 2) mine += __shfl_xor_sync(0xffffffffu, mine, step);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = mine;
    __syncthreads();
    std::uint32_t sum = 0;
    if (threadIdx.x == 0)
        for (const std::uint32_t each : of_warp) sum += each;
    return sum;
}

/// One tile a thread block: the GPU hands tiles out as blocks end, so none waits for a slow one.
__global__ void __launch_bounds__(threads) read_tiles(const uint4* from, decode_state* state) {
    const uint4* const mine = from + std::uint64_t{blockIdx.x} * tile_vectors + threadIdx.x;
    uint4 loaded[deep];
#pragma unroll
    for (std::uint32_t i = 0; i < deep; ++i) loaded[i] = __ldcs(mine + i * threads);
    const std::uint32_t activation = state->activation;
    std::uint32_t sum = 0;
#pragma unroll
    for (std::uint32_t i = 0; i < deep; ++i) sum += activation * sum_of(loaded[i]);
    sum = block_sum(sum);
    if (threadIdx.x == 0) atomicAdd(&state->sum, sum); // what was loaded is used: no compiler may leave it out
}

/// One page a thread block, 16 KiB at a time.
__global__ void __launch_bounds__(threads)
    read_pages(const uint4* from, std::uint32_t granules, const std::uint32_t* table, decode_state* state) {
    const std::uint64_t page = table[blockIdx.x];
    const uint4* const mine = from + page * granules * granule_vectors + threadIdx.x;
    const std::uint32_t activation = state->activation;
    std::uint32_t sum = 0;
    for (std::uint32_t granule = 0; granule < granules; ++granule) {
        uint4 loaded[page_deep];
#pragma unroll
        for (std::uint32_t i = 0; i < page_deep; ++i)
            loaded[i] = __ldcs(mine + granule * granule_vectors + i * threads);
#pragma unroll
        for (std::uint32_t i = 0; i < page_deep; ++i) sum += activation * sum_of(loaded[i]);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) atomicAdd(&state->sum, sum);
}

__global__ void __launch_bounds__(threads) copy_tiles(uint4* to, const uint4* from) {
    const std::uint64_t at = std::uint64_t{blockIdx.x} * tile_vectors + threadIdx.x;
    uint4 loaded[deep];
#pragma unroll
    for (std::uint32_t i = 0; i < deep; ++i) loaded[i] = __ldcs(from + at + i * threads);
#pragma unroll
    for (std::uint32_t i = 0; i < deep; ++i) __stcs(to + at + i * threads, loaded[i]);
}

__global__ void __launch_bounds__(threads) fill_tiles(uint4* to, std::uint32_t first) {
    const std::uint64_t at = std::uint64_t{blockIdx.x} * tile_vectors + threadIdx.x;
#pragma unroll
    for (std::uint32_t i = 0; i < deep; ++i) {
        const std::uint64_t vector = at + i * threads;
        const std::uint32_t word = decode_word(first + static_cast<std::uint32_t>(vector / granule_vectors));
        to[vector] = make_uint4(word, word, word, word);
    }
}

__global__ void __launch_bounds__(threads) open_layer(decode_state* state, const std::uint32_t* token) {
    std::uint32_t sum = 0;
    if (token) {
        for (std::uint32_t word = threadIdx.x; word < decode_token_words; word += threads) sum += token[word];
        sum = block_sum(sum);
    }
    if (threadIdx.x != 0) return;
    state->activation = token ? next_activation(0, sum) : next_activation(state->activation, state->sum);
    state->sum = 0;
}

__global__ void __launch_bounds__(threads)
    close_layer(const decode_state* state, std::uint32_t* trace, std::uint32_t layer) {
    if (threadIdx.x == 0) trace[layer] = state->sum;
}

template <class... Parameters, class... Arguments>
cudaError_t launch(void (*kernel)(Parameters...), std::uint64_t blocks, cudaStream_t stream, Arguments... given) {
    if (blocks == 0) return cudaSuccess;
    if (blocks > 0x7fffffffu) return cudaErrorInvalidValue;
    static_assert((std::is_same_v<Parameters, Arguments> && ...), "a kernel reads its arguments as they lie there");
    void* arguments[] = {&given...};
    return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(static_cast<unsigned>(blocks)), dim3(threads),
                            arguments, 0, stream);
}

/// A multiple of what one kernel's blocks take, at an address that vectors may have.
bool fits(const void* at, std::uint64_t bytes, std::uint64_t multiple) {
    return at && bytes % multiple == 0 && reinterpret_cast<std::uintptr_t>(at) % vector_bytes == 0;
}

constexpr std::uint64_t one_block_bytes = std::uint64_t{tile_vectors} * vector_bytes;

cudaError_t enqueue_fill(void* to, std::uint64_t bytes, std::uint32_t first, cudaStream_t stream) {
    if (!fits(to, bytes, decode_kernels::tile_bytes)) return cudaErrorInvalidValue;
    return launch(fill_tiles, bytes / one_block_bytes, stream, static_cast<uint4*>(to), first);
}
cudaError_t enqueue_read(const void* from, std::uint64_t bytes, decode_state* state, cudaStream_t stream) {
    if (!state || !fits(from, bytes, decode_kernels::tile_bytes)) return cudaErrorInvalidValue;
    return launch(read_tiles, bytes / one_block_bytes, stream, static_cast<const uint4*>(from), state);
}
cudaError_t enqueue_copy(void* to, const void* from, std::uint64_t bytes, cudaStream_t stream) {
    if (!fits(to, bytes, decode_kernels::tile_bytes) || !fits(from, bytes, decode_kernels::tile_bytes))
        return cudaErrorInvalidValue;
    return launch(copy_tiles, bytes / one_block_bytes, stream, static_cast<uint4*>(to),
                  static_cast<const uint4*>(from));
}
cudaError_t enqueue_read_blocks(const void* from, std::uint32_t block_bytes, const std::uint32_t* table,
                                std::uint32_t count, decode_state* state, cudaStream_t stream) {
    if (!state || !table || block_bytes == 0 || !fits(from, block_bytes, decode_granule_bytes))
        return cudaErrorInvalidValue;
    const auto granules = static_cast<std::uint32_t>(block_bytes / decode_granule_bytes);
    return launch(read_pages, count, stream, static_cast<const uint4*>(from), granules, table, state);
}
cudaError_t enqueue_open(decode_state* state, const std::uint32_t* token, cudaStream_t stream) {
    return state ? launch(open_layer, 1, stream, state, token) : cudaErrorInvalidValue;
}
cudaError_t enqueue_close(const decode_state* state, std::uint32_t* trace, std::uint32_t layer, cudaStream_t stream) {
    if (!state || !trace || layer >= decode_token_words) return cudaErrorInvalidValue;
    return launch(close_layer, 1, stream, state, trace, layer);
}

} // namespace

decode_kernels compiled_decode_kernels() {
    decode_kernels kernels;
    kernels.fill = enqueue_fill;
    kernels.read = enqueue_read;
    kernels.copy = enqueue_copy;
    kernels.read_blocks = enqueue_read_blocks;
    kernels.open_layer = enqueue_open;
    kernels.close_layer = enqueue_close;
    return kernels;
}

} // namespace tool
