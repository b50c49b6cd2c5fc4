// One copy of a model's weights in host memory to every GPU, for data-parallel replicas:
//
//   broadcast_weights [MIB]
//
// The weights lie in pinned memory, striped over the NUMA nodes. Once every GPU pulls all of them over its own link, and once
// barelink broadcasts them: each host link carries its part once, and the links between the GPUs do the rest. A hash of
// every GPU's copy is compared with that of the weights.
#include <barelink/machine/live.hpp>
#include <barelink/move/cuda.hpp>
#include <barelink/move/pinned_pool.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr std::uint64_t stripe = 8 * barelink::MiB;

std::uint64_t hash(const void* at, std::uint64_t bytes, std::uint64_t sum) {
    for (std::uint64_t i = 0; i < bytes; i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, static_cast<const char*>(at) + i, 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 32;
    }
    return sum;
}

void need(cudaError_t code, const char* doing) {
    if (code == cudaSuccess) return;
    std::fprintf(stderr, "broadcast_weights: %s: %s\n", doing, cudaGetErrorString(code));
    std::exit(1);
}

/// `numa:0 -> gpu:0 -> gpu:1 ...`: each memory after the one that it gets the bytes from.
std::string text(const barelink::machine& m, std::span<const barelink::tree_arc> arcs) {
    std::string said;
    for (const barelink::tree_arc& each : arcs) {
        const bool goes_on = &each != &arcs.front() && each.from == (&each - 1)->to;
        if (!goes_on) said += (said.empty() ? "" : ", ") + m.at(each.from).id();
        said += " -> " + m.at(each.to).id();
    }
    return said;
}

} // namespace

int main(int argc, char** argv) try {
    const std::uint64_t mib = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 128;
    if (mib == 0 || mib > (1u << 20)) return std::fprintf(stderr, "broadcast_weights: how many MiB?\n"), 2;
    const std::uint64_t bytes = mib * barelink::MiB;

    barelink::cuda::runtime cuda(barelink::live_machine().value());
    const barelink::machine& m = cuda.topology();
    std::vector<barelink::node_index> gpus;
    for (const barelink::node_index each : m.all(barelink::node_kind::gpu))
        if (cuda.device_of(each) >= 0) gpus.push_back(each);
    if (gpus.empty()) return std::fprintf(stderr, "broadcast_weights: no GPU that CUDA can drive\n"), 1;
    barelink::pinned_pool_options options;
    options.stripe_bytes = stripe;
    auto pool = barelink::pinned_pool<barelink::cuda::runtime>::striped(cuda, options).value();
    const barelink::region weights = pool.take(bytes).value();
    for (std::uint64_t i = 0; i < bytes; i += 8) {
        const std::uint64_t word = (i + 1) * 0xbf58476d1ce4e5b9u;
        std::memcpy(static_cast<char*>(weights.base) + i, &word, 8);
    }
    const std::uint64_t right = hash(weights.base, bytes, 0);

    barelink::mover mover(cuda);
    std::vector<barelink::region> copies;
    std::vector<barelink::cuda::stream> streams;
    std::vector<barelink::cuda::event> ends;
    for (const barelink::node_index each : gpus) {
        copies.push_back(mover.resolve(cuda.allocate(each, bytes).value(), bytes).value());
        streams.push_back(cuda.make_stream(each).value());
        ends.push_back(cuda.make_event(each, false).value());
    }
    const auto stream = cuda.make_stream(gpus.front()).value();
    const auto begin = cuda.make_event(gpus.front(), true).value(), end = cuda.make_event(gpus.front(), true).value();

    const auto time_us = [&](bool by_barelink) {
        cuda.record(begin, stream).value();
        if (by_barelink) {
            (void)mover.broadcast(copies, weights, stream)
                .value(); // later work in `stream` sees the bytes on every GPU
        } else {
            for (const auto& each : streams) cuda.wait(each, begin).value();
            const std::uint64_t stripes = (bytes + stripe - 1) / stripe;
            for (std::uint64_t k = 0; k < stripes; ++k)
                for (std::size_t i = 0; i < gpus.size(); ++i) {
                    const std::uint64_t at = (k + i) % stripes * stripe; // not all at the same NUMA node
                    need(cudaMemcpyAsync(static_cast<char*>(copies[i].base) + at, static_cast<char*>(weights.base) + at,
                                         std::min(stripe, bytes - at), cudaMemcpyHostToDevice, streams[i].handle),
                         "copying");
                }
            for (std::size_t i = 0; i < gpus.size(); ++i) {
                cuda.record(ends[i], streams[i]).value();
                cuda.wait(stream, ends[i]).value();
            }
        }
        cuda.record(end, stream).value();
        cuda.synchronize(end).value();
        return cuda.elapsed_us(begin, end).value();
    };
    /// After each GPU's memory was cleared; the bytes come back through ordinary memory.
    const auto arrived = [&](bool by_barelink) {
        std::vector<char> back(stripe);
        for (const barelink::region& each : copies) need(cudaMemset(each.base, 0, bytes), "clearing");
        for (std::size_t i = 0; i < gpus.size(); ++i) {
            need(cudaSetDevice(cuda.device_of(gpus[i])), "choosing a GPU");
            need(cudaDeviceSynchronize(), "clearing");
        }
        (void)time_us(by_barelink);
        for (const barelink::region& each : copies) {
            std::uint64_t sum = 0;
            for (std::uint64_t at = 0; at < bytes; at += stripe) {
                const std::uint64_t piece = std::min(stripe, bytes - at);
                need(cudaMemcpy(back.data(), static_cast<char*>(each.base) + at, piece, cudaMemcpyDefault), "reading");
                sum = hash(back.data(), piece, sum);
            }
            if (sum != right) return false;
        }
        return true;
    };

    const barelink::broadcast_plan plan = *mover.plan_for(copies, weights).value();
    for (const barelink::tree& each : plan.trees)
        std::printf("%5.1f MiB at %5.1f GB/s: %s\n", static_cast<double>(each.bytes) / barelink::MiB, each.gb_s,
                    text(m, plan.arcs_of(each)).c_str());
    std::vector<double> us[2];
    for (int round = 0; round < 6; ++round) // in turn; the first of each warms up
        for (const int way : {round % 2, 1 - round % 2})
            if (const double took = time_us(way == 1); round > 0) us[way].push_back(took);
    for (auto& each : us) std::sort(each.begin(), each.end());
    const double pulls = us[0][us[0].size() / 2], broadcast = us[1][us[1].size() / 2];
    std::printf("every GPU pulls      %8.0f us  %6.1f GB/s to each of %zu GPUs\n", pulls,
                barelink::rate_gb_s(static_cast<double>(bytes), pulls), gpus.size());
    std::printf("barelink broadcasts  %8.0f us  %6.1f GB/s, %.2f times as fast; the wires allow %.1f\n", broadcast,
                barelink::rate_gb_s(static_cast<double>(bytes), broadcast), pulls / broadcast, plan.bound_gb_s);
    const bool agree = arrived(false) && arrived(true);
    return std::printf("%s\n", agree ? "all hashes agree" : "wrong bytes"), agree ? 0 : 1;
} catch (const barelink::error& failed) {
    std::fprintf(stderr, "broadcast_weights: %s\n", failed.what());
    return 1;
}
