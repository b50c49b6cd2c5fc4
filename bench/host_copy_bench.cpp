// What copies between host memories: std::memcpy, stores past the caches, and several threads.
//
//     host_copy_bench [--threads N]
//
// The four are timed in turn, in bursts of a fixed number of bytes, so that a busy machine slows all of them and each
// still finds the caches as it left them; medians, GB/s. `hot` copies the same bytes again and again; `ring` walks through
// 512 MiB and copies into 16 MiB (or two copies' worth) in turn, as a staged load does; `new` walks through both.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <barelink/move/host_mapping.hpp>
#include <barelink/move/host_threads.hpp>

#include "timing.hpp"

namespace {

using namespace barelink;
enum class reuse { hot, ring, fresh };
enum class way { memcpy, stream, one_thread, all_threads };

} // namespace

int main(int argc, char** argv) {
    unsigned count = 2;
    if (argc == 3 && std::strcmp(argv[1], "--threads") == 0) {
        count = static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10));
    } else if (argc > 1) {
        std::fprintf(stderr, "host_copy_bench: usage: host_copy_bench [--threads N]\n");
        return 2;
    }
    constexpr std::uint64_t room = 512 * MiB, burst_bytes = 256 * MiB;
    const auto from = host_mapping::make(room, {{numa_id{0}}}), to = host_mapping::make(room, {{numa_id{0}}});
    if (!from || !to) {
        std::fprintf(stderr, "host_copy_bench: %s\n", (from ? to : from).error().what());
        return 1;
    }
    std::memset(from->data(), 1, room);
    host_threads alone(numa_id{0}, 1), together(numa_id{0}, count);
    std::vector<char> first(4 * MiB), second(first.size());
    together.copy(second.data(), first.data(), first.size()); // starts them

    std::printf("GB/s            std::memcpy  stream_copy  1 thread  %u threads\n", together.threads());
    for (const reuse what : {reuse::hot, reuse::ring, reuse::fresh})
        for (std::uint64_t bytes = 64 * KiB; bytes <= 256 * MiB; bytes *= 4) {
            std::vector<double> us[4];
            const std::uint64_t ring = what == reuse::ring ? std::max(16 * MiB, 2 * bytes) : room;
            std::uint64_t at = 0;
            for (int round = 0; round < 11; ++round)
                for (const way how : {way::memcpy, way::stream, way::one_thread, way::all_threads}) {
                    const std::uint64_t copies = burst_bytes / bytes;
                    const auto start = clock_type::now();
                    for (std::uint64_t i = 0; i < copies; ++i) {
                        if (what != reuse::hot) at = at + 2 * bytes > room ? 0 : at + bytes;
                        char* const target = static_cast<char*>(to->data()) + at % ring;
                        const char* const source = static_cast<const char*>(from->data()) + at;
                        switch (how) {
                        case way::memcpy: std::memcpy(target, source, bytes); break;
                        case way::stream: detail::stream_copy(target, source, bytes); break;
                        case way::one_thread: alone.copy(target, source, bytes); break;
                        case way::all_threads: together.copy(target, source, bytes); break;
                        }
                    }
                    us[static_cast<int>(how)].push_back(us_since(start) / static_cast<double>(copies));
                }
            std::printf("%7llu KiB %s  %11.1f  %11.1f  %8.1f  %9.1f\n", static_cast<unsigned long long>(bytes / KiB),
                        what == reuse::hot    ? "hot "
                        : what == reuse::ring ? "ring"
                                              : "new ",
                        rate_gb_s(static_cast<double>(bytes), median(us[0])),
                        rate_gb_s(static_cast<double>(bytes), median(us[1])),
                        rate_gb_s(static_cast<double>(bytes), median(us[2])),
                        rate_gb_s(static_cast<double>(bytes), median(us[3])));
            std::fflush(stdout);
        }
    return 0;
}
