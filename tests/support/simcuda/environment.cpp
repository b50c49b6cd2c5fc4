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
