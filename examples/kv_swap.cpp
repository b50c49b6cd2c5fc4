// A paged KV cache under a running decode loop: finished sequences leave for pinned host memory, parked ones come back, on a
// stream of their own, ordered against the decoding by events. Once with barelink, once with a loop of cudaMemcpyAsync.
#include <barelink/machine/cuda.hpp>
#include <barelink/move/cuda.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

namespace {
constexpr std::uint64_t block_bytes = 32 * barelink::KiB; // 16 tokens of one layer
constexpr std::uint32_t layers = 8;
constexpr std::int32_t gpu_blocks = 512, pool_blocks = 512, sequence_blocks = 64;
constexpr int steps = 24;

void need(cudaError_t code, const char* doing) {
    if (code == cudaSuccess) return;
    std::fprintf(stderr, "kv_swap: %s: %s\n", doing, cudaGetErrorString(code));
    std::exit(1);
}

/// `numbers` of its blocks are those of the GPU's cache, or of the pool while it is parked.
struct sequence {
    std::vector<std::int32_t> numbers;
    unsigned name = 0;
    /// What every byte of its `k`-th block is, for the check at the end.
    unsigned char byte(std::size_t k, std::uint32_t layer) const {
        return static_cast<unsigned char>(name * 37 + k * 11 + layer);
    }
};

char* at(const barelink::paged_side& side, std::int32_t number, std::uint32_t layer) {
    return static_cast<char*>(side.base) + static_cast<std::uint64_t>(number) * side.block_stride +
           layer * side.layer_stride;
}

} // namespace

int main() try {
    barelink::cuda::runtime cuda(barelink::cuda::discover().value());
    const barelink::node_index gpu = cuda.gpu_of(0);
    barelink::node_index host = cuda.topology().memory(cuda.topology().at(gpu).numa);
    if (host == barelink::no_node) host = cuda.topology().all(barelink::node_kind::memory).front();
    // One layer behind the other on the GPU; in the pool the layers of a block lie together.
    const barelink::paged_side on_gpu{cuda.allocate(gpu, gpu_blocks * layers * block_bytes).value(), block_bytes,
                                      gpu_blocks * block_bytes, gpu_blocks};
    const barelink::paged_side in_pool{cuda.allocate(host, pool_blocks * layers * block_bytes).value(),
                                       layers * block_bytes, block_bytes, pool_blocks};
    char* const activations = static_cast<char*>(cuda.allocate(gpu, 64 * barelink::MiB).value());
    barelink::mover mover(cuda);
    const auto decode = cuda.make_stream(gpu).value(), swap = cuda.make_stream(gpu).value();
    const auto stepped = cuda.make_event(gpu, false).value();
    const auto before = cuda.make_event(gpu, true).value(), ready = cuda.make_event(gpu, true).value();

    // Eight sequences with scattered blocks run, seven are parked: one set of the pool's blocks stays free to swap into.
    std::mt19937 random(1);
    std::vector<std::int32_t> free_gpu(gpu_blocks), free_pool(pool_blocks);
    std::iota(free_gpu.begin(), free_gpu.end(), 0), std::iota(free_pool.begin(), free_pool.end(), 0);
    std::shuffle(free_gpu.begin(), free_gpu.end(), random), std::shuffle(free_pool.begin(), free_pool.end(), random);
    const auto take = [](std::vector<std::int32_t>& from) {
        std::vector<std::int32_t> taken(from.end() - sequence_blocks, from.end());
        from.resize(from.size() - sequence_blocks);
        return taken;
    };
    std::vector<sequence> running, parked;
    for (unsigned name = 0; name < 15; ++name)
        (name < 8 ? running : parked).push_back({take(name < 8 ? free_gpu : free_pool), name});
    const auto each_block = [&](auto what) {
        for (const bool runs : {true, false})
            for (const sequence& each : runs ? running : parked)
                for (std::size_t k = 0; k < each.numbers.size(); ++k)
                    for (std::uint32_t layer = 0; layer < layers; ++layer)
                        what(at(runs ? on_gpu : in_pool, each.numbers[k], layer), each.byte(k, layer));
    };
    std::vector<unsigned char> block(block_bytes);
    each_block([&](char* there, unsigned char byte) {
        block.assign(block_bytes, byte);
        need(cudaMemcpy(there, block.data(), block_bytes, cudaMemcpyDefault), "filling");
    });

    // Planned once; from then on a swap is a list of block numbers.
    const auto &some = running[0].numbers, &others = free_pool;
    auto out = mover.prepare({in_pool, on_gpu, block_bytes, layers, others, some}, swap).value();
    auto in = mover.prepare({on_gpu, in_pool, block_bytes, layers, some, others}, swap).value();
    const auto loop = [&](const barelink::paged_side& to, const std::vector<std::int32_t>& to_numbers,
                          const barelink::paged_side& from, const std::vector<std::int32_t>& from_numbers) {
        for (std::size_t i = 0; i < to_numbers.size(); ++i)
            for (std::uint32_t layer = 0; layer < layers; ++layer)
                need(cudaMemcpyAsync(at(to, to_numbers[i], layer), at(from, from_numbers[i], layer), block_bytes,
                                     cudaMemcpyDefault, swap.handle),
                     "copying a block");
    };

    double us[2] = {}; // loop, barelink
    for (int step = 0; step < steps; ++step) {
        // One step of decoding: it reads the cache and writes activations; kernels in a real engine.
        for (const sequence& each : running)
            cuda.copy(activations, at(on_gpu, each.numbers[0], 0), block_bytes, decode).value();
        need(cudaMemsetAsync(activations, step, 64 * barelink::MiB, decode.handle), "decoding");
        cuda.record(stepped, decode).value();

        // The oldest sequence is finished with this step. Its blocks leave after it, and go to one that comes back.
        const bool by_barelink = step % 2 == 1; // in turn: neither gets the warmer machine
        const sequence finished = running.front();
        sequence parking{take(free_pool), finished.name}, coming = parked.front();
        cuda.wait(swap, stepped).value();
        cuda.record(before, swap).value();
        if (by_barelink) {
            (void)mover.run(out, parking.numbers, finished.numbers, swap).value();
            (void)mover.run(in, finished.numbers, coming.numbers, swap).value();
        } else {
            loop(in_pool, parking.numbers, on_gpu, finished.numbers);
            loop(on_gpu, finished.numbers, in_pool, coming.numbers);
        }
        cuda.record(ready, swap).value();

        // Decoding goes on with the other seven meanwhile, and takes the eighth in when it is there.
        need(cudaMemsetAsync(activations, step, 64 * barelink::MiB, decode.handle), "decoding");
        cuda.wait(decode, ready).value();
        free_pool.insert(free_pool.end(), coming.numbers.begin(), coming.numbers.end());
        coming.numbers = finished.numbers;
        running.erase(running.begin()), parked.erase(parked.begin());
        running.push_back(coming), parked.push_back(parking);
        cuda.synchronize(ready).value(); // only to read the clock: nothing else here waits
        if (step >= 2) us[by_barelink ? 1 : 0] += cuda.elapsed_us(before, ready).value();
    }

    need(cudaStreamSynchronize(decode.handle), "waiting");
    bool right = true;
    each_block([&](const char* there, unsigned char byte) {
        need(cudaMemcpy(block.data(), there, block_bytes, cudaMemcpyDefault), "reading back");
        for (const unsigned char found : block) right = right && found == byte;
    });
    constexpr int swaps = steps / 2 - 1;
    const double blocks = 2.0 * swaps * sequence_blocks * layers; // out and in
    for (const int way : {0, 1})
        std::printf("%-23s %8.0f blocks/s  %5.1f GB/s  %6.0f us a swap\n",
                    way == 0 ? "loop of cudaMemcpyAsync" : "barelink", blocks / us[way] * 1e6,
                    barelink::rate_gb_s(blocks * block_bytes, us[way]), us[way] / swaps);
    std::printf("out by %s, in by %s, %.2f times the loop: %s\n", to_string(out.plans().front().way),
                to_string(in.plans().front().way), us[0] / us[1], right ? "all bytes arrived" : "wrong bytes");
    return right ? 0 : 1;
} catch (const barelink::error& failed) {
    std::fprintf(stderr, "kv_swap: %s\n", failed.what());
    return 1;
}
