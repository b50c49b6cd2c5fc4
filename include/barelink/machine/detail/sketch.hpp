// What a reader saw of a machine, before anybody judged it. All readers fill this, and one assembler turns it into a
// machine, so that the same rules hold for hwloc, NCCL files and live machines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <barelink/machine/gpu_model.hpp>
#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// One end's word on a PCIe link: what it signals now, not what it can. Either the raw rate or generation and lanes.
struct link_reading {
    double raw_gb_s = 0; ///< whole link, one direction; 0 is unknown
    int generation = 0;  ///< 0 is not said
    int lanes = 0;       ///< 0 is not said, and is not a link of no lanes

    [[nodiscard]] bool known() const noexcept { return raw_gb_s > 0 || generation > 0; }
};

struct sketched_package {
    std::string name;
    std::string vendor;
    int family = 0;
    int model = 0;
};

struct sketched_memory {
    std::int32_t index = 0;
    std::uint64_t bytes = 0;
    int package = 0;
    double nominal_gb_s = 0; ///< what the firmware says of it, 0 when it says nothing
};

/// A root port, a whole switch (its ports are not listed one by one), or a device at the end of the tree.
struct sketched_device {
    node_kind kind = node_kind::nic;
    pci_address pci;
    std::uint16_t vendor = 0;
    std::uint16_t device = 0;
    std::string name;
    std::uint64_t bytes = 0;
    int parent = -1;    ///< device above; -1 is the CPU, with a root port that is not shown unless this is one
    int package = -1;   ///< -1 is unknown
    int numa = -1;      ///< OS number, -1 is unknown
    link_reading above; ///< what this end says of the link towards the CPU
    link_reading port;  ///< what the other end of that link says
    int order = 0;      ///< GPUs are numbered by this, then by PCI address
    int sm = 0;         ///< compute capability, 0 when not said
    bool cuda = false;
    bool coherent = false; ///< CUDA says that it shares page tables and atomics with the CPU: C2C
};

enum class nvlink_target : std::uint8_t { gpu, nvswitch, package };

struct sketched_nvlink {
    int gpu = 0; ///< device
    nvlink_target target = nvlink_target::gpu;
    int to = -1;               ///< device or package; not used for an NVSwitch
    double links = 0;          ///< wires, when the source counts them
    double nominal_gb_s = 0;   ///< their sum, when the source adds them up
    bool coherent_c2c = false; ///< NVLink-C2C of a superchip
    evidence source = evidence::read;
};

/// What CUDA says of copies from one GPU to another.
struct sketched_pair {
    int from = 0, to = 0; ///< devices
    int allowed = -1;     ///< peer access in this direction: 1, 0, -1 is not said
    int atomics = -1;     ///< all native atomics over the way between them: 1, 0, -1 is not said
    int rank = -1;        ///< of its speed among the pairs that have access, 0 is fastest; -1 is not said
};

/// Order matters: packages, memories and devices become nodes in this order, parents before children.
struct machine_sketch {
    std::string name;
    std::string platform; ///< the maker's model of the server, may be empty
    std::vector<sketched_package> packages;
    std::vector<sketched_memory> memories;
    std::vector<sketched_device> devices;
    std::vector<sketched_nvlink> nvlinks;
    std::vector<sketched_pair> pairs; ///< none when CUDA was not asked
    bool nvlinks_told = false;        ///< the source lists NVLinks, so what it does not list is not there
    bool live = false;
    bool virtualized = false;
    std::vector<machine_note> notes;

    void note(std::string object, std::string said) { notes.push_back({std::move(object), std::move(said)}); }
};

/// Limits on what a file may ask for, far above any server: above them it is an error, not a long wait.
inline constexpr std::size_t max_nodes = 4096, max_gpus = 144, max_memories = 1024, max_packages = 256;

[[nodiscard]] inline const gpu_model* model_of(const sketched_device& gpu) noexcept {
    const gpu_model* by_id = find_gpu_model(gpu.vendor, gpu.device);
    return by_id ? by_id : gpu.vendor == 0 || gpu.vendor == nvidia_vendor ? find_gpu_model(gpu.name.c_str()) : nullptr;
}

/// Whether a GPU reaches its CPU over C2C instead of PCIe.
[[nodiscard]] inline bool on_c2c(const sketched_device& device) noexcept {
    if (device.kind != node_kind::gpu) return false;
    const gpu_model* model = model_of(device);
    return device.coherent || (model && model->form == gpu_form::superchip);
}

} // namespace detail
BARELINK_END_NAMESPACE
