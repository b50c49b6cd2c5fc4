// Any file that describes a machine, told apart by its content. Needs hwloc and pugixml, so no umbrella includes it.
#pragma once

#include <string>

#include <barelink/machine/hwloc_xml.hpp>
#include <barelink/machine/nccl.hpp>
#include <barelink/machine/sniff.hpp>

BARELINK_BEGIN_NAMESPACE

/// Reads hwloc XML, a machine file or an NCCL topology file; the file's name does not matter. Errors: those of
/// `read_hwloc_xml` and `read_nccl_xml`.
[[nodiscard]] inline result<machine> read_machine_file(const char* path) {
    result<std::string> bytes = detail::read_file(path, detail::max_xml_bytes);
    if (!bytes) return std::move(bytes).error();
    const result<machine_format> format = sniff_machine_format(bytes->data(), bytes->size(), path);
    if (!format) return format.error();
    return *format == machine_format::nccl_xml ? read_nccl_xml_buffer(bytes->data(), bytes->size(), path)
                                               : read_hwloc_xml_buffer(bytes->data(), bytes->size(), path);
}
[[nodiscard]] inline result<machine> read_machine_file(const std::string& path) {
    return read_machine_file(path.c_str());
}

BARELINK_END_NAMESPACE
