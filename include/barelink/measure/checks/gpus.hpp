// The GPUs that checks of files look at, and where the system keeps what it knows of them.
#pragma once

#include <string>
#include <vector>

#include <barelink/machine/gpu_model.hpp>
#include <barelink/machine/machine.hpp>
#include <barelink/measure/system_view.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail::host {

inline constexpr const char* no_gpu = "this machine shows no GPU to look at";

/// GPUs that CUDA drives or could drive, in order.
[[nodiscard]] inline std::vector<const node*> gpus_of(const machine& m) {
    std::vector<const node*> found;
    for (const node& each : m.nodes)
        if (each.kind == node_kind::gpu && (each.cuda || each.vendor == nvidia_vendor)) found.push_back(&each);
    return found;
}

/// `/sys/bus/pci/devices/0000:1b:00.0`; empty when the GPU's address is not known.
[[nodiscard]] inline std::string pci_folder(const node& gpu) {
    return gpu.pci.known ? "/sys/bus/pci/devices/" + to_string(gpu.pci) : std::string();
}

/// The name after the last slash.
[[nodiscard]] inline std::string last_part(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
}

/// `0000:1b:00.0`: how the kernel names a PCI function.
[[nodiscard]] inline bool is_pci_name(const std::string& name) noexcept {
    return name.size() >= 12 && name[name.size() - 2] == '.' && name[name.size() - 5] == ':' &&
           name[name.size() - 8] == ':';
}

/// The ports above a device, the root port first; none for a device on a root bus. Errors: those of `resolve`.
[[nodiscard]] inline result<std::vector<std::string>> bridges_above(const system_view& system,
                                                                    const std::string& folder) {
    const result<std::string> real = system.resolve(folder);
    if (!real) return real.error();
    std::vector<std::string> found;
    std::string path = real->substr(0, real->rfind('/'));
    while (!path.empty() && is_pci_name(last_part(path))) {
        found.insert(found.begin(), path);
        path.resize(path.rfind('/'));
    }
    return found;
}

} // namespace detail::host
BARELINK_END_NAMESPACE
