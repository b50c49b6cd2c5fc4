// A model that sleeps in host memory wakes on a GPU over all links of the server, and goes back to sleep.
//
//   wake_model [MiB] [GPU]
//
// Other GPUs lend their links and some scratch memory; their own work goes on. See mover_options::relays and relay_bytes.
#include <barelink/machine/cuda.hpp>
#include <barelink/move/cuda.hpp>
#include <barelink/move/pinned_pool.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <unistd.h>

namespace {

using mover = barelink::mover<barelink::cuda::runtime>;
using barelink::MiB;

void check(cudaError_t code, const char* doing) {
    if (code != cudaSuccess)
        barelink::status(
            barelink::error(barelink::errc::device, (std::string(doing) + ": " + cudaGetErrorString(code)).c_str()))
            .value();
}

/// Times what lies between two points of a stream.
class stopwatch {
public:
    explicit stopwatch(cudaStream_t stream) : stream_(stream) {
        for (cudaEvent_t* each : {&begin_, &end_}) check(cudaEventCreate(each), "making an event");
        check(cudaEventRecord(begin_, stream_), "recording an event");
    }
    [[nodiscard]] double stop_us() {
        float ms = 0;
        check(cudaEventRecord(end_, stream_), "recording an event");
        check(cudaEventSynchronize(end_), "waiting");
        check(cudaEventElapsedTime(&ms, begin_, end_), "asking for a time");
        return 1e3 * static_cast<double>(ms);
    }

private:
    cudaStream_t stream_;
    cudaEvent_t begin_{}, end_{};
};

std::uint64_t hash_of(const void* data, std::uint64_t bytes) {
    std::uint64_t hash = 0xcbf29ce484222325u; // FNV-1a by words
    for (std::uint64_t at = 0; at + 8 <= bytes; at += 8) {
        std::uint64_t word;
        std::memcpy(&word, static_cast<const char*>(data) + at, 8);
        hash = (hash ^ word) * 0x100000001b3u;
    }
    return hash;
}

/// Feeds a job until it is done, with a bar on a terminal.
void run(mover::job& job, const char* doing) {
    const bool terminal = isatty(STDERR_FILENO) != 0;
    for (std::uint64_t shown = ~0ull; !job.poll().value();) {
        const std::uint64_t percent = job.bytes_arrived() * 100 / job.bytes();
        if (!terminal || percent == shown) continue;
        shown = percent;
        std::fprintf(stderr, "\r%s [%-50s] %3d %%", doing, std::string(percent / 2, '#').c_str(),
                     static_cast<int>(percent));
    }
    if (terminal) std::fprintf(stderr, "\r%70s\r", "");
}

void show(const barelink::machine& m, const mover::job& job, const char* doing, double us, double plain_us) {
    std::printf("%s: %.2f ms, %.1f GB/s, the wires allow %.1f; cudaMemcpyAsync takes %.2f ms: %.2f times faster\n",
                doing, us / 1e3, barelink::rate_gb_s(static_cast<double>(job.bytes()), us), job.planned().bound_gb_s,
                plain_us / 1e3, plain_us / us);
    for (std::size_t i = 0; i < job.routes(); ++i) {
        if (job.route_bytes(i) == 0) continue;
        const barelink::route& way = job.planned().routes[i];
        std::string path = m.at(way.from()).id();
        for (const barelink::leg& each : way.path()) path += " -> " + m.at(each.to).id();
        std::printf("  %-32s %8.1f MiB %7.1f GB/s\n", path.c_str(), static_cast<double>(job.route_bytes(i)) / MiB,
                    barelink::rate_gb_s(static_cast<double>(job.route_bytes(i)), job.route_us(i).value()));
    }
    for (const std::string& note : job.fallbacks()) std::printf("  note: %s\n", note.c_str());
}

} // namespace

int main(int count, char** arguments) try {
    const std::uint64_t bytes = (count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 256) * MiB;
    const barelink::gpu_id gpu{count > 2 ? std::atoi(arguments[2]) : 0};
    barelink::cuda::runtime cuda(barelink::cuda::discover().value());
    const barelink::node_index there = cuda.topology().gpu(gpu);
    if (there == barelink::no_node || bytes == 0) return std::fprintf(stderr, "usage: wake_model [MiB] [GPU]\n"), 2;
    mover moves(cuda, {.relays = barelink::gpu_set::all()});

    // Asleep: striped over the NUMA nodes, so that every node's links carry a part. In one registration, for the plain copy.
    barelink::pinned_pool_options in_one;
    in_one.register_bytes = bytes;
    auto pool = barelink::pinned_pool<barelink::cuda::runtime>::striped(cuda, in_one).value();
    const barelink::region asleep = pool.take(bytes).value();
    for (std::uint64_t i = 0; i < bytes / 8; ++i) static_cast<std::uint64_t*>(asleep.base)[i] = i * 0x9e3779b97f4a7c15u;
    const std::uint64_t hash = hash_of(asleep.base, bytes);
    const barelink::region awake = moves.resolve(cuda.allocate(there, bytes).value(), bytes).value();
    const auto stream = cuda.make_stream(there).value();
    bool same = true;

    for (const bool waking : {true, false}) {
        const char* doing = waking ? "to wake" : "to sleep";
        const barelink::region &to = waking ? awake : asleep, &from = waking ? asleep : awake;
        // Peer paths are proved, streams and rings made once; a server that wakes models often has them.
        moves.start(to, from, stream.handle).value().wait().value();
        stopwatch plain(stream.handle);
        check(cudaMemcpyAsync(to.base, from.base, bytes, cudaMemcpyDefault, stream.handle), "copying plainly");
        const double plain_us = plain.stop_us();

        // What is there must not be what makes the hash right.
        check(cudaMemset(awake.base, 0, waking ? bytes : 0), "clearing");
        check(cudaDeviceSynchronize(), "clearing");
        if (!waking) std::memset(asleep.base, 0, bytes);
        stopwatch own(stream.handle);
        mover::job job = moves.start(to, from, stream.handle).value();
        run(job, doing);
        const double us = own.stop_us();
        show(cuda.topology(), job, doing, us, plain_us);

        std::vector<char> answer(waking ? bytes : 0);
        if (waking) check(cudaMemcpy(answer.data(), awake.base, bytes, cudaMemcpyDeviceToHost), "reading back");
        same = same && hash_of(waking ? answer.data() : asleep.base, bytes) == hash;
    }
    std::printf("%s\n", same ? "hash is the same after waking and after sleeping" : "the hash is wrong");
    cuda.destroy(stream).value();
    cuda.release(awake.base).value();
    return same ? 0 : 1;
} catch (const barelink::error& failed) {
    std::fprintf(stderr, "wake_model: %s\n", failed.what());
    return 1;
}
