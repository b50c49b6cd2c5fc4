// What is known about a CPU from its model alone: memory and socket-to-socket rates that no file says.
#pragma once

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// One row: a CPU generation. Rates are what copies reach, GB/s, of a whole socket with all its memory channels filled.
struct host_model {
    const char* vendor; ///< CPUID vendor, or empty: matched by `name`
    int family;         ///< CPUID display family
    int first_model;    ///< CPUID display models, inclusive
    int last_model;
    const char* name; ///< how CPU model strings contain it; for people otherwise
    double dram_read_gb_s;
    double dram_write_gb_s;
    double cpu_link_gb_s; ///< to the other socket of a two-socket server, all links added up, one direction
    int cores;            ///< the most a socket has
    /// What a root port loses in each direction to a byte going the other way, see `link::lost_ab`.
    double to_device_lost;
    double to_host_lost;
};

/// Sources. Channels, speeds and links: the vendors' data sheets; what copies reach of them is a project prior of 0.75
/// to 0.8 (reading) and 0.6 (writing), as in the built-in machines, but for: Sapphire Rapids writing 178 (published:
/// eight GPUs write 44.5 GB/s each, four to a socket), Grace reading 384 and writing 348 (data sheet; published STREAM
/// triad), Grace to Grace 133 (published copies on a dual GH200), Sapphire Rapids reading 272 (what leaves the published 34 GB/s of
/// reads beside 22.5 of writes for each of four GPUs). Losses of root ports: Sapphire Rapids from published copies both ways at
/// once of an H800 (52.8 and 34.4), older Xeons from Gen3 GPUs (11.5 and 11.33 of 12.40 and 13.20), EPYC from MI210
/// (45 both ways together, 28 one way); later generations after the last known one; POWER and Grace are not known to lose.
inline constexpr host_model host_models[] = {
    {"GenuineIntel", 6, 45, 47, "Westmere-EX, Sandy Bridge-EP", 35, 28, 15, 10, 0.08, 0.16},
    {"GenuineIntel", 6, 62, 63, "Ivy Bridge-EP, Haswell-EP", 50, 40, 18, 18, 0.08, 0.16},
    {"GenuineIntel", 6, 79, 79, "Broadwell-EP", 62, 50, 20, 22, 0.08, 0.16},
    {"GenuineIntel", 6, 85, 85, "Skylake-SP, Cascade Lake", 100, 80, 33, 28, 0.08, 0.16},
    {"GenuineIntel", 6, 106, 106, "Ice Lake-SP", 160, 128, 60, 40, 0.08, 0.16},
    {"GenuineIntel", 6, 143, 143, "Sapphire Rapids", 272, 178, 100, 60, 0.073, 0.394},
    {"GenuineIntel", 6, 207, 207, "Emerald Rapids", 270, 190, 110, 64, 0.073, 0.394},
    {"GenuineIntel", 6, 173, 173, "Granite Rapids", 500, 350, 140, 128, 0.073, 0.394},
    {"AuthenticAMD", 23, 1, 8, "Naples", 120, 96, 38, 32, 0.38, 0.04},
    {"AuthenticAMD", 23, 49, 49, "Rome", 168, 136, 60, 64, 0.38, 0.04},
    {"AuthenticAMD", 25, 1, 1, "Milan", 160, 130, 60, 64, 0.38, 0.04},
    {"AuthenticAMD", 25, 48, 48, "Trento", 160, 130, 60, 64, 0.38, 0.04},
    {"AuthenticAMD", 25, 16, 31, "Genoa", 350, 280, 110, 96, 0.38, 0.04},
    {"AuthenticAMD", 25, 160, 175, "Bergamo", 350, 280, 110, 128, 0.38, 0.04},
    {"AuthenticAMD", 26, 0, 31, "Turin", 440, 350, 130, 192, 0.38, 0.04},
    {"", 0, 0, 0, "POWER8", 130, 65, 38, 12, 0, 0},
    {"", 0, 0, 0, "POWER9", 130, 105, 50, 24, 0, 0},
    {"", 0, 0, 0, "Grace", 384, 348, 133, 72, 0, 0},
};

/// For a CPU that is not in the table: a server of the last ten years without anything special. Project prior.
inline constexpr host_model unknown_host_model = {"", 0, 0, 0, "unknown CPU", 100, 80, 33, 64, 0, 0};

/// The row of a CPU. `vendor`, `family` and `model` as CPUID shows them (NCCL's and Linux's spelling of AMD families
/// are both understood), `name` the model string; any may be empty or 0. Returns `unknown_host_model` when nothing
/// matches.
[[nodiscard]] constexpr const host_model& find_host_model(const char* vendor, int family, int model,
                                                          const char* name) noexcept {
    // NCCL adds the extended family four bits too high: Rome's 0xf + 0x8 reads 0x8f.
    if (family > 0xf && (family & 0xf) == 0xf) family = 0xf + (family >> 4);
    const auto same = [](const char* a, const char* b) {
        for (; *a && *a == *b; ++a, ++b) {
        }
        return *a == *b;
    };
    const auto contains = [](const char* where, const char* what) {
        for (; *where; ++where) {
            const char *a = where, *b = what;
            for (; *b && *a == *b; ++a, ++b) {
            }
            if (!*b) return true;
        }
        return false;
    };
    for (const host_model& each : host_models) {
        if (*each.vendor && same(each.vendor, vendor) && each.family == family && each.first_model <= model &&
            model <= each.last_model)
            return each;
        if (!*each.vendor && contains(name, each.name)) return each;
    }
    return unknown_host_model;
}

BARELINK_END_NAMESPACE
