// A server, a plan, a copy: 256 MiB from host memory on all NUMA nodes into one GPU, over every link there is.
#include <barelink/barelink.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main() try {
    const char* name = std::getenv("BARELINK_SIM_MACHINE") ? std::getenv("BARELINK_SIM_MACHINE") : "hgx-h100-8";
    std::printf("No GPU is used: this runs on a simulated %s.\n", name);
    barelink::sim::runtime server(barelink::builtin::find(name).value());
    const barelink::machine& m = server.topology();

    constexpr std::uint64_t bytes = 256 * barelink::MiB;
    void* weights = server.allocate_striped(bytes, 32 * barelink::MiB).value(); // pinned, on every NUMA node in turn
    void* on_gpu = server.allocate(m.gpu(barelink::gpu_id{0}), bytes).value();
    std::memset(weights, 42, bytes);

    barelink::mover mover(server, {.relays = barelink::gpu_set::all()});
    const auto stream = server.make_stream(m.gpu(barelink::gpu_id{0})).value();
    const auto copy =
        mover.copy(on_gpu, weights, bytes, stream).value(); // returns at once; later work in stream sees it
    copy.wait().value();

    const double us = copy.elapsed_us().value();
    const bool arrived = std::memcmp(on_gpu, weights, bytes) == 0;
    std::printf("%.0f us, %.1f GB/s over %zu routes: %s\n", us, barelink::rate_gb_s(bytes, us), copy.routes(),
                arrived ? "all bytes arrived" : "wrong bytes");
    return arrived ? 0 : 1;
} catch (const barelink::error& failed) {
    std::fprintf(stderr, "quickstart: %s\n", failed.what());
    return 1;
}
