// What is known about a GPU from its model alone: the table that fills in what a machine does not say.
#pragma once

#include <cstdint>
#include <cstring>

#include <barelink/core/config.hpp>
#include <barelink/core/units.hpp>

BARELINK_BEGIN_NAMESPACE

/// How a GPU sits in a server. `module` parts (SXM, OAM-like boards) always train at their full PCIe generation; a `card`
/// may sit in a slower slot; a `superchip` reaches its CPU over C2C.
enum class gpu_form : std::uint8_t { card, module, superchip };

/// One row. Rates are what copies reach, GB/s in one direction.
struct gpu_model {
    std::uint16_t vendor;
    std::uint16_t device; ///< PCI device id
    const char* name;     ///< as CUDA prints it
    gpu_form form;
    int sm;       ///< compute capability, 90 is 9.0
    int pcie_gen; ///< of the GPU itself
    std::uint64_t memory_bytes;
    int nvlinks;           ///< links the chip has enabled in this product, 0 for none
    double nvlink_gb_s;    ///< one link, one direction
    bool pcie_peer_access; ///< the driver grants peer access over PCIe (GeForce from Ampere on: no)
};

inline constexpr std::uint16_t nvidia_vendor = 0x10de;
inline constexpr std::uint16_t amd_vendor = 0x1002;

/// Sources. PCI ids: the PCI ID repository. Links, memory and generations: NVIDIA's data sheets. NVLink per link:
/// published copies between pairs divided by the links between them (V100 145.6/6, A100 274.5/12, H100 395/18,
/// H100 PCIe bridge 257/12, H200 396/18, H800 and H20 as H100); P100, B200 and GB200 have no published pair here and are 0.88
/// of nominal, the share that H100 reaches.
inline constexpr gpu_model gpu_models[] = {
    {nvidia_vendor, 0x15f9, "Tesla P100-SXM2-16GB", gpu_form::module, 60, 3, 16 * GiB, 4, 17.6, true},
    {nvidia_vendor, 0x15f8, "Tesla P100-PCIE-16GB", gpu_form::card, 60, 3, 16 * GiB, 0, 0, true},
    {nvidia_vendor, 0x15f7, "Tesla P100-PCIE-12GB", gpu_form::card, 60, 3, 12 * GiB, 0, 0, true},
    {nvidia_vendor, 0x1db1, "Tesla V100-SXM2-16GB", gpu_form::module, 70, 3, 16 * GiB, 6, 145.6 / 6, true},
    {nvidia_vendor, 0x1db5, "Tesla V100-SXM2-32GB", gpu_form::module, 70, 3, 32 * GiB, 6, 145.6 / 6, true},
    {nvidia_vendor, 0x1db8, "Tesla V100-SXM3-32GB", gpu_form::module, 70, 3, 32 * GiB, 6, 145.6 / 6, true},
    {nvidia_vendor, 0x1df5, "Tesla V100-SXM2-16GB-LS", gpu_form::module, 70, 3, 16 * GiB, 6, 145.6 / 6, true},
    {nvidia_vendor, 0x1db4, "Tesla V100-PCIE-16GB", gpu_form::card, 70, 3, 16 * GiB, 0, 0, true},
    {nvidia_vendor, 0x1db6, "Tesla V100-PCIE-32GB", gpu_form::card, 70, 3, 32 * GiB, 0, 0, true},
    {nvidia_vendor, 0x1df6, "Tesla V100S-PCIE-32GB", gpu_form::card, 70, 3, 32 * GiB, 0, 0, true},
    {nvidia_vendor, 0x1eb8, "Tesla T4", gpu_form::card, 75, 3, 16 * GiB, 0, 0, true},
    {nvidia_vendor, 0x20b0, "NVIDIA A100-SXM4-40GB", gpu_form::module, 80, 4, 40 * GiB, 12, 274.5 / 12, true},
    {nvidia_vendor, 0x20b2, "NVIDIA A100-SXM4-80GB", gpu_form::module, 80, 4, 80 * GiB, 12, 274.5 / 12, true},
    {nvidia_vendor, 0x20b3, "NVIDIA A100-SXM-64GB", gpu_form::module, 80, 4, 64 * GiB, 12, 274.5 / 12, true},
    {nvidia_vendor, 0x20f1, "NVIDIA A100-PCIE-40GB", gpu_form::card, 80, 4, 40 * GiB, 12, 274.5 / 12, true},
    {nvidia_vendor, 0x20b5, "NVIDIA A100 80GB PCIe", gpu_form::card, 80, 4, 80 * GiB, 12, 274.5 / 12, true},
    {nvidia_vendor, 0x20b7, "NVIDIA A30", gpu_form::card, 80, 4, 24 * GiB, 4, 274.5 / 12, true},
    {nvidia_vendor, 0x20f3, "NVIDIA A800-SXM4-80GB", gpu_form::module, 80, 4, 80 * GiB, 8, 274.5 / 12, true},
    {nvidia_vendor, 0x2237, "NVIDIA A10G", gpu_form::card, 86, 4, 24 * GiB, 0, 0, true},
    {nvidia_vendor, 0x2236, "NVIDIA A10", gpu_form::card, 86, 4, 24 * GiB, 0, 0, true},
    {nvidia_vendor, 0x2235, "NVIDIA A40", gpu_form::card, 86, 4, 48 * GiB, 4, 12.4, true},
    {nvidia_vendor, 0x2230, "NVIDIA RTX A6000", gpu_form::card, 86, 4, 48 * GiB, 4, 12.4, true},
    {nvidia_vendor, 0x2204, "NVIDIA GeForce RTX 3090", gpu_form::card, 86, 4, 24 * GiB, 4, 12.4, false},
    {nvidia_vendor, 0x2484, "NVIDIA GeForce RTX 3070", gpu_form::card, 86, 4, 8 * GiB, 0, 0, false},
    {nvidia_vendor, 0x2684, "NVIDIA GeForce RTX 4090", gpu_form::card, 89, 4, 24 * GiB, 0, 0, false},
    {nvidia_vendor, 0x26b9, "NVIDIA L40S", gpu_form::card, 89, 4, 48 * GiB, 0, 0, true},
    {nvidia_vendor, 0x26b5, "NVIDIA L40", gpu_form::card, 89, 4, 48 * GiB, 0, 0, true},
    {nvidia_vendor, 0x27b8, "NVIDIA L4", gpu_form::card, 89, 4, 24 * GiB, 0, 0, true},
    {nvidia_vendor, 0x2330, "NVIDIA H100 80GB HBM3", gpu_form::module, 90, 5, 80 * GiB, 18, 395.0 / 18, true},
    {nvidia_vendor, 0x2336, "NVIDIA H100 80GB HBM3", gpu_form::module, 90, 5, 80 * GiB, 18, 395.0 / 18, true},
    {nvidia_vendor, 0x2331, "NVIDIA H100 PCIe", gpu_form::card, 90, 5, 80 * GiB, 12, 257.0 / 12, true},
    {nvidia_vendor, 0x2321, "NVIDIA H100 NVL", gpu_form::card, 90, 5, 94 * GiB, 12, 257.0 / 12, true},
    {nvidia_vendor, 0x2324, "NVIDIA H800", gpu_form::module, 90, 5, 80 * GiB, 8, 395.0 / 18, true},
    {nvidia_vendor, 0x2329, "NVIDIA H20", gpu_form::module, 90, 5, 96 * GiB, 18, 395.0 / 18, true},
    {nvidia_vendor, 0x2335, "NVIDIA H200", gpu_form::module, 90, 5, 141 * GiB, 18, 396.0 / 18, true},
    {nvidia_vendor, 0x233b, "NVIDIA H200 NVL", gpu_form::card, 90, 5, 141 * GiB, 18, 396.0 / 18, true},
    {nvidia_vendor, 0x2342, "NVIDIA GH200 480GB", gpu_form::superchip, 90, 5, 96 * GiB, 18, 396.0 / 18, true},
    {nvidia_vendor, 0x2901, "NVIDIA B200", gpu_form::module, 100, 5, 180 * GiB, 18, 44.0, true},
    {nvidia_vendor, 0x2941, "NVIDIA GB200", gpu_form::superchip, 100, 6, 186 * GiB, 18, 44.0, true},
    {nvidia_vendor, 0x2bb1, "NVIDIA RTX PRO 6000 Blackwell", gpu_form::card, 120, 5, 96 * GiB, 0, 0, true},
    {nvidia_vendor, 0x2b85, "NVIDIA GeForce RTX 5090", gpu_form::card, 120, 5, 32 * GiB, 0, 0, false},
};

/// What a byte over the links between a GPU and an NVSwitch takes from the other direction, see `link::lost_ab`. Published: 270
/// GB/s both ways together between two V100, 145.6 one way; up to 520 of 2 x 275 between two A100; from Hopper on nothing
/// that shows (742 of 2 x 371 between two H100, 784 of 2 x 396 between two H200), nor over a bridge (509 of 2 x 257, H100 PCIe).
[[nodiscard]] constexpr double nvswitch_lost(const gpu_model& model) noexcept {
    return model.sm < 90 ? 0.077 : 0;
}

/// The row of a PCI device, nullptr for a GPU that is not in the table.
[[nodiscard]] constexpr const gpu_model* find_gpu_model(std::uint16_t vendor, std::uint16_t device) noexcept {
    for (const gpu_model& each : gpu_models)
        if (each.vendor == vendor && each.device == device) return &each;
    return nullptr;
}

/// The row whose name is the longest one contained in `name` (sources differ in prefixes and suffixes), or nullptr.
[[nodiscard]] inline const gpu_model* find_gpu_model(const char* name) noexcept {
    const gpu_model* best = nullptr;
    for (const gpu_model& each : gpu_models)
        if (std::strstr(name, each.name) && (!best || std::strlen(each.name) > std::strlen(best->name))) best = &each;
    return best;
}

BARELINK_END_NAMESPACE
