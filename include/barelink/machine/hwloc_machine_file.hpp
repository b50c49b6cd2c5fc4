// Machine files: a machine saved as hwloc XML, which `lstopo` opens and `read_hwloc_xml` reads back unchanged.
#pragma once

#include <string>

#include <barelink/machine/detail/file_bytes.hpp>
#include <barelink/machine/detail/hwloc_machine_xml.hpp>
#include <barelink/machine/hwloc_xml.hpp>

BARELINK_BEGIN_NAMESPACE

/// The text of a machine file, read back and compared. Errors: invalid_argument, as for `save_machine`. `name`: for errors.
[[nodiscard]] inline result<std::string> machine_file_text(const machine& m, const char* name) {
    const auto refuse = [&](const char* why) {
        return error(errc::invalid_argument, text::join({"the machine ", m.name.c_str(), " cannot be saved: ", why}))
            .about(name);
    };
    for (const link& each : m.links)
        if (each.a.value >= m.nodes.size() || each.b.value >= m.nodes.size()) return refuse("a link joins no node");
    std::string xml = detail::machine_xml(m);
    result<machine> back = read_hwloc_xml_buffer(xml.data(), xml.size(), name);
    if (!back) return refuse(back.error().what());
    if (!(*back == m))
        return refuse("it reads back different; call connect() after the last change, and check its rates");
    return xml;
}

/// Saves any machine, whatever made it. The file appears whole or not at all: it is written under another name, read
/// back, compared, and renamed. Rates also stand in it as distance matrices over NUMA nodes and GPUs,
/// `BarelinkBandwidth` (MB/s) and `BarelinkLatency` (ns), for hwloc's own users. Errors: io (it cannot be written),
/// invalid_argument (no path, or a machine that a file cannot hold: infinite or negative rates, links to nodes that are
/// not there, one that was not connected).
[[nodiscard]] inline status save_machine(const machine& m, const char* path) {
    if (!path || !*path) return error(errc::invalid_argument, "a file name is needed to save a machine");
    auto xml = machine_file_text(m, path);
    if (!xml) return xml.error();
    return detail::write_file(path, *xml);
}
[[nodiscard]] inline status save_machine(const machine& m, const std::string& path) {
    return save_machine(m, path.c_str());
}

BARELINK_END_NAMESPACE
