// Tells files that describe a machine apart: by their content, never by their name.
#pragma once

#include <cstddef>
#include <utility>

#include <barelink/machine/detail/xml_scan.hpp>
#include <barelink/machine/machine_format.hpp>

BARELINK_BEGIN_NAMESPACE

/// Tells hwloc XML, a machine file (hwloc XML that barelink wrote) and NCCL or RCCL topology files apart. `name` is for
/// messages. Errors: parse, when it is none of them, damaged or hostile; unsupported, for hwloc's format 3.
[[nodiscard]] inline result<machine_format> sniff_machine_format(const char* data, std::size_t size, const char* name) {
    result<detail::scanned_xml> scanned = detail::scan_xml(data, size, name);
    if (!scanned) return std::move(scanned).error();
    return scanned->format;
}

BARELINK_END_NAMESPACE
