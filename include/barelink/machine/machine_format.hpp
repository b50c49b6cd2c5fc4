// What kind of file describes a machine.
#pragma once

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// Files that describe a machine.
enum class machine_format : unsigned char {
    hwloc_xml,    ///< `lstopo --of xml`, formats 1 and 2
    machine_file, ///< hwloc XML written by `save_machine`
    nccl_xml,     ///< NCCL_TOPO_DUMP_FILE and the files that clouds ship, RCCL's too
};

[[nodiscard]] constexpr const char* to_string(machine_format format) noexcept {
    switch (format) {
    case machine_format::hwloc_xml: return "hwloc XML";
    case machine_format::machine_file: return "machine file";
    case machine_format::nccl_xml: return "NCCL topology file";
    }
    return "unknown";
}

BARELINK_END_NAMESPACE
