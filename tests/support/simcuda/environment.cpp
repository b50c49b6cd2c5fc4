#include "environment.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include <barelink/machine/builtin.hpp>
#include <barelink/machine/detail/hwloc_machine_xml.hpp>

#include "numa.hpp"

namespace simcuda {
namespace {

constexpr const char* variable = "BARELINK_SIM_MACHINE";
constexpr const char* our_files = "/proc/self/fd/";
constinit std::atomic<bool> published{false};

/// The file behind HWLOC_XMLFILE; -1 where the variable is the user's.
int xml_file() {
    static int made = -1;
    const char* named = std::getenv("HWLOC_XMLFILE");
    if (named && std::strncmp(named, our_files, std::strlen(our_files)) != 0) return -1;
    if (made < 0) made = memfd_create("machine.xml", 0); // children inherit it together with the variable
    return made;
}

/// hwloc may be loaded before the first CUDA call.
[[gnu::constructor]] void publish_at_load() {
    if (!std::getenv(variable)) return;
    cudaError_t why = cudaSuccess;
    if (const auto m = machine_of_environment(why)) publish(*m);
}

} // namespace

bool simulated_system() {
    return published;
}

std::optional<barelink::machine> machine_of_environment(cudaError_t& why) {
    const char* named = std::getenv(variable);
    const std::string name = named ? named : "hgx-h100-8";
    why = cudaErrorNoDevice;
    if (name == "none") return {};
    if (name == "no-driver") {
        why = cudaErrorInsufficientDriver;
        return {};
    }
    auto found = barelink::builtin::find(name.c_str());
    if (!found) {
        static bool said = false; // once at load, not again at the first call
        if (!said) std::fprintf(stderr, "%s: %s\n", variable, found.error().what());
        said = true;
        return {};
    }
    why = cudaSuccess;
    address_devices(*found);
    return std::move(*found);
}

void address_devices(barelink::machine& m) {
    using barelink::node_kind;
    std::uint8_t next_bus = 0x80;
    bool changed = false;
    for (barelink::node& each : m.nodes) {
        const bool on_pci = each.kind != node_kind::memory && each.kind != node_kind::package;
        if (!on_pci || each.pci.known) continue;
        const bool gpu = each.kind == node_kind::gpu;
        each.pci = {0, gpu ? static_cast<std::uint8_t>(0x1a + each.index) : next_bus++, 0, 0, true};
        changed = true;
    }
    if (changed) m.connect();
}

void slow_links(barelink::machine& m) {
    const char* asked = std::getenv("BARELINK_SIM_SLOW");
    if (!asked || !*asked) return;
    for (const char* at = asked; *at;) {
        const char* const equals = std::strchr(at, '=');
        char* end = nullptr;
        const double factor = equals ? std::strtod(equals + 1, &end) : 0;
        bool known = false;
        if (factor > 0 && (*end == ',' || *end == '\0'))
            for (barelink::link& each : m.links) {
                const std::string kind = to_string(each.kind);
                if (kind.compare(0, kind.size(), at, static_cast<std::size_t>(equals - at)) != 0) continue;
                each.gb_s_ab *= factor;
                each.gb_s_ba *= factor;
                known = true;
            }
        if (!known) {
            std::fprintf(stderr,
                         "BARELINK_SIM_SLOW=%s: kinds of links that this machine has, such as pcie=0.88,nvlink=0.5\n",
                         asked);
            std::abort();
        }
        at = *end == ',' ? end + 1 : end;
    }
    m.connect();
}

barelink::sim::faults broken_peers(const barelink::machine& m) {
    barelink::sim::faults planned;
    const char* asked = std::getenv("BARELINK_SIM_BREAK");
    for (const char* at = asked ? asked : ""; *at;) {
        char how[8] = {};
        int from = -1, to = -1, used = 0;
        using kind = barelink::sim::peer_fault::kind;
        const bool read = std::sscanf(at, "%7[a-z]:%d:%d%n", how, &from, &to, &used) == 3;
        const std::string named = how;
        const barelink::node_index a = m.gpu(barelink::gpu_id{from}), b = m.gpu(barelink::gpu_id{to});
        const bool known = named == "zeros" || named == "hangs" || named == "refused";
        if (!read || !known || a == barelink::no_node || b == barelink::no_node || a == b ||
            (at[used] != ',' && at[used] != '\0')) {
            std::fprintf(stderr,
                         "BARELINK_SIM_BREAK=%s: write zeros, hangs or refused and two GPUs, such as zeros:0:1\n",
                         asked);
            std::abort();
        }
        planned.peers.push_back({a, b,
                                 named == "zeros"   ? kind::delivers_zeros
                                 : named == "hangs" ? kind::hangs
                                                    : kind::refused});
        at += used + (at[used] == ',' ? 1 : 0);
    }
    return planned;
}

void publish(const barelink::machine& m) {
    numa::set_nodes(m);
    published = true;
    const int file = xml_file();
    if (file < 0) return;
    const std::string xml = barelink::detail::machine_xml(m);
    if (ftruncate(file, 0) != 0 || pwrite(file, xml.data(), xml.size(), 0) != static_cast<ssize_t>(xml.size())) return;
    (void)setenv("HWLOC_XMLFILE", (our_files + std::to_string(file)).c_str(), 1);
}

} // namespace simcuda
