// A path family of one's own: relay only through GPUs that sit on the same NUMA node as the destination, because the other
// socket's GPUs belong to another tenant. The planner is put together at compile time; nothing is virtual.
#include <barelink/barelink.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>

struct same_socket_relay {
    static constexpr std::string_view name = "same_socket_relay";

    static void propose(const barelink::machine& m, const barelink::demand& wanted, barelink::route_sink& sink) {
        bool any = false;
        for (const barelink::node_index gpu : m.all(barelink::node_kind::gpu))
            if (m.at(gpu).numa == m.at(wanted.to).numa) any |= sink.add({gpu}); // the sink checks paths and permissions
        if (!any) sink.decline("no other GPU on this socket may relay");
    }
};

using my_planner = barelink::planner<barelink::pinned_path, barelink::peer_path, same_socket_relay>;

int main() try {
    const char* name = std::getenv("BARELINK_SIM_MACHINE") ? std::getenv("BARELINK_SIM_MACHINE") : "hgx-h100-8";
    std::printf("No GPU is used: this runs on a simulated %s.\n", name);
    barelink::sim::runtime server(barelink::builtin::find(name).value());
    const barelink::machine& m = server.topology();

    constexpr std::uint64_t bytes = 128 * barelink::MiB;
    const barelink::node_index gpu = m.gpu(barelink::gpu_id{0});
    const barelink::node_index memory = m.all(barelink::node_kind::memory).front();
    char* source = static_cast<char*>(server.allocate(memory, bytes).value());
    void* target = server.allocate(gpu, bytes).value();
    for (std::uint64_t i = 0; i < bytes; ++i) source[i] = static_cast<char>(i * 7 + i / 4096);

    barelink::mover<barelink::sim::runtime, my_planner> mover(server, {.relays = barelink::gpu_set::all()});
    const auto to = mover.resolve(target, bytes).value(), from = mover.resolve(source, bytes).value();
    const barelink::plan planned = *mover.plan_for(to, from).value();
    for (const barelink::route& route : planned.routes) {
        std::printf("  %-18s", std::string(route.family).c_str());
        for (const barelink::leg& leg : route.path()) std::printf(" %s ->", m.at(leg.from).id().c_str());
        std::printf(" %s: %.1f MB at %.1f GB/s\n", m.at(route.to()).id().c_str(),
                    static_cast<double>(route.bytes) / 1e6, route.gb_s);
    }
    for (const barelink::rejection& lost : planned.rejected)
        std::printf("  %-18s not used: %s\n", std::string(lost.family).c_str(), lost.why.c_str());

    const auto copy = mover.copy(to, from, server.make_stream(gpu).value()).value();
    copy.wait().value();
    const bool arrived = std::memcmp(target, source, bytes) == 0;
    std::printf("predicted %.0f us, took %.0f us; the wires would allow %.1f GB/s: %s\n", planned.predicted_us,
                copy.elapsed_us().value(), planned.bound_gb_s, arrived ? "all bytes arrived" : "wrong bytes");
    return arrived ? 0 : 1;
} catch (const barelink::error& failed) {
    std::fprintf(stderr, "custom_path: %s\n", failed.what());
    return 1;
}
