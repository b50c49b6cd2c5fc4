// Machines from NCCL and RCCL topology files: what NCCL_TOPO_DUMP_FILE writes and what clouds ship for their virtual
// machines. Needs pugixml, so no umbrella includes it.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include <pugixml.hpp>

#include <barelink/machine/detail/assemble.hpp>
#include <barelink/machine/detail/file_bytes.hpp>
#include <barelink/machine/detail/nccl_devices.hpp>
#include <barelink/machine/detail/xml_scan.hpp>

BARELINK_BEGIN_NAMESPACE

/// Reads an NCCL or RCCL topology file from memory; the bytes are not kept. `name` becomes the machine's name and is
/// what errors mention. GPUs are numbered by their `dev`, else by PCI address. Only NUMA nodes that have a device are
/// in such a file. Hint files without GPUs read too, to be merged. Errors: parse (not XML, cut off, hostile, no `<cpu>`
/// in it, or an hwloc file), unsupported (larger than any server).
[[nodiscard]] inline result<machine> read_nccl_xml_buffer(const char* data, std::size_t size, const char* name) {
    const char* const about = name && *name ? name : "the XML";
    result<detail::scanned_xml> scanned = detail::scan_xml(data, size, about);
    if (!scanned) return std::move(scanned).error();
    const auto refuse = [&](const char* what) {
        return error(errc::parse, text::join({about, " ", what})).about(about);
    };
    if (scanned->format != machine_format::nccl_xml)
        return refuse("is hwloc XML, not an NCCL topology file: read it with read_hwloc_xml");
    pugi::xml_document document;
    const pugi::xml_parse_result parsed = document.load_buffer_inplace(scanned->text.data(), scanned->text.size(),
                                                                       pugi::parse_default, pugi::encoding_utf8);
    if (!parsed) return refuse(parsed.description());
    const pugi::xml_node system = document.child("system");
    if (!system.child("cpu"))
        return refuse("has no <cpu> element: it describes no machine; dump it again with NCCL_TOPO_DUMP_FILE");
    detail::machine_sketch seen;
    seen.name = detail::file_stem(about);
    const detail::nccl_devices devices(system, seen);
    return detail::assemble(std::move(seen));
}

/// Reads an NCCL or RCCL topology file. The machine is named after it. Errors: those of `read_nccl_xml_buffer`, and
/// not_found, io (a directory, unreadable), invalid_argument (no name).
[[nodiscard]] inline result<machine> read_nccl_xml(const char* path) {
    result<std::string> bytes = detail::read_file(path, detail::max_xml_bytes);
    if (!bytes) return std::move(bytes).error();
    return read_nccl_xml_buffer(bytes->data(), bytes->size(), path);
}
[[nodiscard]] inline result<machine> read_nccl_xml(const std::string& path) {
    return read_nccl_xml(path.c_str());
}

BARELINK_END_NAMESPACE
