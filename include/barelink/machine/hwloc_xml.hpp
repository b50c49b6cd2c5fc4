// Machines from hwloc: XML files of formats 1 and 2, and this machine, through one code path.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include <barelink/machine/detail/assemble.hpp>
#include <barelink/machine/detail/file_bytes.hpp>
#include <barelink/machine/detail/hwloc_devices.hpp>
#include <barelink/machine/detail/hwloc_host.hpp>
#include <barelink/machine/detail/hwloc_machine_infos.hpp>
#include <barelink/machine/detail/hwloc_topology.hpp>
#include <barelink/machine/detail/xml_scan.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// What a loaded topology shows. `live`: it is this machine, so nothing about its GPU pairs is taken for granted.
[[nodiscard]] inline machine_sketch sketch_from_hwloc(const hwloc_topology& topology, std::string name, bool live) {
    machine_sketch seen;
    seen.name = std::move(name);
    seen.live = live;
    std::string sign = sign_of_hypervisor(topology.get());
    if (sign.empty() && live && hwloc_topology_is_thissystem(topology.get()) && cpu_says_virtual())
        sign = "the CPU's hypervisor flag";
    seen.virtualized = !sign.empty();
    if (seen.virtualized)
        seen.note("machine",
                  "runs under a hypervisor (" + sign + "): link speeds may be invented, and none is taken as a limit");
    const hwloc_host host(topology.get(), seen);
    const hwloc_devices devices(topology.get(), host, seen);
    return seen;
}

} // namespace detail

/// Reads hwloc XML or a machine file from memory; the bytes are not kept. `name` becomes the machine's name, unless a
/// machine file says otherwise, and is what errors mention. hwloc itself may print to stderr when a file contradicts
/// itself; set HWLOC_HIDE_ERRORS=2 to silence it. Errors: parse (not XML, cut off, hostile, inconsistent, or an NCCL
/// file), unsupported (hwloc's format 3, or larger than any server).
[[nodiscard]] inline result<machine> read_hwloc_xml_buffer(const char* data, std::size_t size, const char* name) {
    const char* const about = name && *name ? name : "the XML";
    result<detail::scanned_xml> scanned = detail::scan_xml(data, size, about);
    if (!scanned) return std::move(scanned).error();
    if (scanned->format == machine_format::nccl_xml)
        return error(errc::parse,
                     text::join({about, " is an NCCL topology file, not hwloc XML: read it with read_nccl_xml"}))
            .about(about);
    const detail::hwloc_topology topology =
        detail::hwloc_topology::from_xml(scanned->text.c_str(), static_cast<int>(scanned->text.size()));
    if (!topology)
        return error(errc::parse,
                     text::join({about, " is XML that hwloc does not accept: export it again with `lstopo --of xml "
                                        "FILE`"}))
            .about(about);
    if (scanned->format == machine_format::machine_file) return detail::machine_from_infos(topology, about);
    return detail::assemble(detail::sketch_from_hwloc(topology, detail::file_stem(about), false));
}

/// Reads an hwloc XML file (formats 1 and 2) or a machine file. The machine is named after the file. Errors: those of
/// `read_hwloc_xml_buffer`, and not_found, io (a directory, unreadable), invalid_argument (no name).
[[nodiscard]] inline result<machine> read_hwloc_xml(const char* path) {
    result<std::string> bytes = detail::read_file(path, detail::max_xml_bytes);
    if (!bytes) return std::move(bytes).error();
    return read_hwloc_xml_buffer(bytes->data(), bytes->size(), path);
}
[[nodiscard]] inline result<machine> read_hwloc_xml(const std::string& path) {
    return read_hwloc_xml(path.c_str());
}

BARELINK_END_NAMESPACE
