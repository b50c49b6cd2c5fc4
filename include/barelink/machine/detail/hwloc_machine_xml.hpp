// A machine as hwloc XML: packages, NUMA nodes and the PCI tree as lstopo draws them, barelink's own figures in info
// attributes and distance matrices. Written by hand in hwloc's format 2, because hwloc cannot build a PCI tree that it
// did not discover.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <barelink/machine/detail/hwloc_machine_infos.hpp>
#include <barelink/machine/detail/machine_text.hpp>
#include <barelink/machine/pcie.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

class machine_xml_writer {
public:
    explicit machine_xml_writer(const machine& m)
        : machine_(m), parent_(m.nodes.size(), no_node), number_(m.nodes.size(), 0) {
        for (const link& each : m.links) {
            const node_kind below = m.at(each.b).kind;
            const bool fabric = each.kind == link_kind::pcie || each.kind == link_kind::c2c;
            if (each.kind == link_kind::dram && m.at(each.a).kind == node_kind::memory &&
                is(each.b, node_kind::package))
                parent_[each.a.value] = each.b;
            else if (fabric && below != node_kind::memory && below != node_kind::package &&
                     parent_[each.b.value] == no_node)
                parent_[each.b.value] = each.a;
        }
        for (std::uint32_t n = 0; n < m.nodes.size(); ++n)
            if (!reaches_package(node_index{n})) parent_[n] = no_node;
        number_memories();
    }

    [[nodiscard]] std::string write();

private:
    [[nodiscard]] bool is(node_index n, node_kind kind) const { return machine_.at(n).kind == kind; }
    /// Also cuts circles, which no reader makes but a caller might.
    [[nodiscard]] bool reaches_package(node_index n) const {
        for (int steps = 0; steps < 200 && n != no_node; ++steps, n = parent_[n.value])
            if (is(n, node_kind::package)) return true;
        return false;
    }
    void number_memories();
    void open_object(const char* type) {
        xml_ += "<object";
        attribute("type", type);
        attribute("gp_index", std::to_string(++objects_));
    }
    void attribute(const char* name, std::string_view value) {
        xml_.append(" ").append(name).append("=\"").append(value).append("\"");
    }
    void info(const char* name, std::string_view value) {
        xml_.append("<info name=\"").append(name).append("\" value=\"");
        for (const char c : value) {
            if (c == '&')
                xml_ += "&amp;";
            else if (c == '<')
                xml_ += "&lt;";
            else if (c == '>')
                xml_ += "&gt;";
            else if (c == '"')
                xml_ += "&quot;";
            else
                xml_ += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e ? '?' : c;
        }
        xml_ += "\"/>\n";
    }
    void sets(const std::string& cpus, const std::string& nodes, bool root = false);
    void write_root_infos();
    void write_package(node_index package);
    void write_memory(node_index memory, const std::string& cpus);
    void write_pu(unsigned number, const std::string& nodes);
    void write_tree(node_index top);
    void write_pci(node_index n, unsigned depth);
    void write_matrix(const char* name, const char* kind, bool latency);
    [[nodiscard]] std::string memory_set(node_index package) const;
    /// hwloc's notation: 32 bits at a time, the highest first.
    [[nodiscard]] static std::string set_of(const std::vector<unsigned>& numbers);
    [[nodiscard]] pci_address shown(node_index n);

    const machine& machine_;
    std::vector<node_index> parent_;
    std::vector<unsigned> number_;     ///< memories: number in the XML; memories and GPUs also have an object
    std::vector<unsigned> objects_of_; ///< gp_index of memories and PCI devices, 0 for none
    std::vector<node_index> packages_;
    unsigned objects_ = 0;
    unsigned invented_ = 0;
    std::string xml_;
};

/// The text of a machine file.
[[nodiscard]] inline std::string machine_xml(const machine& m) {
    return machine_xml_writer(m).write();
}

inline void machine_xml_writer::number_memories() {
    std::vector<unsigned> taken;
    const auto is_free = [&](unsigned number) {
        for (const unsigned each : taken)
            if (each == number) return false;
        return true;
    };
    for (std::uint32_t n = 0; n < machine_.nodes.size(); ++n) {
        if (machine_.nodes[n].kind != node_kind::memory) continue;
        const std::int32_t index = machine_.nodes[n].index;
        unsigned number = index >= 0 && index < 4096 ? static_cast<unsigned>(index) : 0;
        while (!is_free(number)) ++number;
        number_[n] = number;
        taken.push_back(number);
    }
    packages_ = machine_.all(node_kind::package);
    objects_of_.assign(machine_.nodes.size(), 0);
}

inline std::string machine_xml_writer::set_of(const std::vector<unsigned>& numbers) {
    unsigned highest = 0;
    for (const unsigned each : numbers) highest = each > highest ? each : highest;
    std::vector<std::uint32_t> words(highest / 32 + 1, 0);
    for (const unsigned each : numbers) words[each / 32] |= 1u << (each % 32);
    std::string text;
    for (std::size_t w = words.size(); w-- > 0;) {
        char digits[9];
        const std::to_chars_result end = std::to_chars(digits, digits + 8, words[w], 16);
        text += text.empty() ? "0x" : ",0x";
        text.append(8 - static_cast<std::size_t>(end.ptr - digits), '0').append(digits, end.ptr);
    }
    return text;
}

inline std::string machine_xml_writer::memory_set(node_index package) const {
    std::vector<unsigned> numbers;
    for (std::uint32_t n = 0; n < machine_.nodes.size(); ++n)
        if (machine_.nodes[n].kind == node_kind::memory && (package == no_node || parent_[n] == package))
            numbers.push_back(number_[n]);
    return numbers.empty() ? "0x0" : set_of(numbers);
}

inline void machine_xml_writer::sets(const std::string& cpus, const std::string& nodes, bool root) {
    attribute("cpuset", cpus);
    attribute("complete_cpuset", cpus);
    if (root) attribute("allowed_cpuset", cpus);
    attribute("nodeset", nodes);
    attribute("complete_nodeset", nodes);
    if (root) attribute("allowed_nodeset", nodes);
    xml_ += ">\n";
}

inline std::string machine_xml_writer::write() {
    std::vector<unsigned> cpus(packages_.empty() ? 1 : packages_.size());
    for (unsigned c = 0; c < cpus.size(); ++c) cpus[c] = c;
    const bool without_memory = machine_.count(node_kind::memory) == 0; // hwloc wants one
    xml_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n<topology "
           "version=\"2.0\">\n";
    open_object("Machine");
    attribute("os_index", "0");
    sets(set_of(cpus), without_memory ? "0x1" : memory_set(no_node), true);
    write_root_infos();
    if (without_memory) {
        open_object("NUMANode");
        attribute("os_index", "0");
        sets(set_of(cpus), "0x1");
        xml_ += "</object>\n";
    }
    for (std::uint32_t n = 0; n < machine_.nodes.size(); ++n)
        if (machine_.nodes[n].kind == node_kind::memory && parent_[n] == no_node)
            write_memory(node_index{n}, set_of(cpus));
    for (const node_index package : packages_) write_package(package);
    if (packages_.empty()) write_pu(0, without_memory ? "0x1" : memory_set(no_node));
    for (std::uint32_t n = 0; n < machine_.nodes.size(); ++n) {
        const node_kind kind = machine_.nodes[n].kind;
        const bool pci = kind != node_kind::memory && kind != node_kind::package && kind != node_kind::nvswitch;
        if (pci && parent_[n] == no_node) write_tree(node_index{n});
    }
    xml_ += "</object>\n";
    write_matrix("BarelinkBandwidth", "26", false); // MB/s: from the user, heterogeneous, bandwidth
    write_matrix("BarelinkLatency", "22", true);    // ns
    xml_ += "</topology>\n";
    return std::move(xml_);
}

inline void machine_xml_writer::write_root_infos() {
    const machine& m = machine_;
    word_writer head;
    head.number(machine_file_version).number(m.nodes.size()).number(m.links.size()).number(m.grants.size());
    head.number(m.notes.size()).number(int{m.virtualized});
    info(machine_file_mark, std::move(head).take());
    info(name_info, std::move(word_writer().coded(m.name)).take());
    info(cost_info, cost_words(m.costs));
    info(block_cost_info, cost_words(m.blocks));
    if (!m.measured_on.empty()) info(hardware_info, std::move(word_writer().coded(m.measured_on)).take());
    for (const link& each : m.links) info(link_info, link_words(each));
    for (const peer_grant& each : m.grants) info(grant_info, grant_words(each));
    for (const machine_note& each : m.notes) info(note_info, note_words(each));
    for (std::size_t n = 0; n < m.nodes.size(); ++n)
        if (m.nodes[n].kind == node_kind::nvswitch) info(node_info, node_words(n, m.nodes[n]));
}

inline void machine_xml_writer::write_package(node_index package) {
    unsigned number = 0;
    while (packages_[number] != package) ++number;
    const std::string cpus = set_of({number}), nodes = memory_set(package);
    open_object("Package");
    attribute("os_index", std::to_string(number));
    sets(cpus, nodes);
    info("CPUModel", machine_.at(package).name);
    info(node_info, node_words(package.value, machine_.at(package)));
    for (std::uint32_t n = 0; n < machine_.nodes.size(); ++n)
        if (machine_.nodes[n].kind == node_kind::memory && parent_[n] == package) write_memory(node_index{n}, cpus);
    write_pu(number, nodes);
    for (std::uint32_t n = 0; n < machine_.nodes.size(); ++n)
        if (machine_.nodes[n].kind != node_kind::memory && parent_[n] == package) write_tree(node_index{n});
    xml_ += "</object>\n";
}

inline void machine_xml_writer::write_memory(node_index memory, const std::string& cpus) {
    open_object("NUMANode");
    objects_of_[memory.value] = objects_;
    attribute("os_index", std::to_string(number_[memory.value]));
    attribute("local_memory", std::to_string(machine_.at(memory).bytes));
    sets(cpus, set_of({number_[memory.value]}));
    info(node_info, node_words(memory.value, machine_.at(memory)));
    xml_ += "</object>\n";
}

inline void machine_xml_writer::write_pu(unsigned number, const std::string& nodes) {
    open_object("PU");
    attribute("os_index", std::to_string(number));
    sets(set_of({number}), nodes);
    xml_ += "</object>\n";
}

/// The address that the XML shows: the node's own, or an invented one in a domain that no machine has. hwloc's are 16
/// bits.
inline pci_address machine_xml_writer::shown(node_index n) {
    const pci_address& own = machine_.at(n).pci;
    if (own.known && own.domain < 0xfffe) return own;
    const unsigned number = invented_++;
    return {0xfffe, static_cast<std::uint8_t>(number >> 5 & 0xff), static_cast<std::uint8_t>(number & 0x1f), 0, true};
}

/// One tree below a package, under a host bridge of its own.
inline void machine_xml_writer::write_tree(node_index top) {
    open_object("Bridge");
    attribute("bridge_type", "0-1");
    attribute("depth", "0");
    pci_address first = machine_.at(top).pci;
    if (!first.known || first.domain >= 0xfffe) first = {0xfffe, 0, 0, 0, true};
    std::string buses = to_string(first);
    attribute("bridge_pci", buses.substr(0, 5) + "[" + buses.substr(5, 2) + "-ff]");
    xml_ += ">\n";
    write_pci(top, 1);
    xml_ += "</object>\n";
}

inline void machine_xml_writer::write_pci(node_index n, unsigned depth) {
    const node& shown_node = machine_.at(n);
    const bool bridge = shown_node.kind == node_kind::root_port || shown_node.kind == node_kind::pcie_switch;
    const std::string busid = to_string(shown(n));
    open_object(bridge ? "Bridge" : "PCIDev");
    objects_of_[n.value] = objects_;
    if (bridge) {
        attribute("bridge_type", "1-1");
        attribute("depth", std::to_string(depth));
        attribute("bridge_pci", busid.substr(0, 5) + "[" + busid.substr(5, 2) + "-ff]");
    }
    const auto hex = [](unsigned value) {
        std::string digits = "0000";
        for (std::size_t d = 4; d-- > 0; value >>= 4) digits[d] = "0123456789abcdef"[value & 0xf];
        return digits;
    };
    const char* const pci_class = bridge                              ? "0604"
                                  : shown_node.kind == node_kind::gpu ? "0302"
                                  : shown_node.kind == node_kind::nic ? "0200"
                                                                      : "0108";
    attribute("pci_busid", busid);
    attribute("pci_type", std::string(pci_class) + " [" + hex(shown_node.vendor) + ":" + hex(shown_node.device) +
                              "] [0000:0000] 00");
    double gb_s = 0; // hwloc's is the raw rate of the link above; what copies reach is in the infos
    for (const link& each : machine_.links)
        if (each.b == n && each.a == parent_[n.value]) gb_s = pcie_raw_gb_s_of_copy(each.gb_s_ab);
    attribute("pci_link_speed",
              std::to_string(gb_s < 1e6 ? static_cast<long>(gb_s) : 0) + "." +
                  std::to_string(1000 + (gb_s < 1e6 ? static_cast<long>(gb_s * 1000) % 1000 : 0)).substr(1));
    xml_ += ">\n";
    if (!shown_node.name.empty()) info("PCIDevice", shown_node.name);
    info(node_info, node_words(n.value, shown_node));
    for (std::uint32_t child = 0; child < machine_.nodes.size(); ++child)
        if (parent_[child] == n) write_pci(node_index{child}, depth + 1);
    xml_ += "</object>\n";
}

/// What DMA paths reach between the memories, for other readers; barelink itself derives them from the links.
inline void machine_xml_writer::write_matrix(const char* name, const char* kind, bool latency) {
    std::vector<node_index> memories;
    for (std::uint32_t n = 0; n < machine_.nodes.size(); ++n)
        if (machine_.nodes[n].is_memory() && objects_of_[n] && memories.size() < max_xml_matrix)
            memories.push_back(node_index{n});
    if (memories.size() < 2) return;
    std::vector<std::string> indexes, values;
    for (const node_index from : memories) {
        indexes.push_back((is(from, node_kind::memory) ? "NUMANode:" : "PCIDev:") +
                          std::to_string(objects_of_[from.value]));
        for (const node_index to : memories) {
            const dma_path* path = machine_.path(from, to);
            const double value = !path || !path->usable(true) ? 0 : latency ? path->latency_us * 1e3 : path->gb_s * 1e3;
            values.push_back(std::to_string(static_cast<unsigned long long>(value < 1e15 ? value + 0.5 : 0)));
        }
    }
    xml_.append("<distances2hetero nbobjs=\"").append(std::to_string(memories.size()));
    xml_.append("\" kind=\"").append(kind).append("\" name=\"").append(name).append("\">\n");
    const auto list = [&](const char* tag, const std::vector<std::string>& all) {
        for (std::size_t first = 0; first < all.size(); first += 10) {
            std::string line;
            for (std::size_t i = first; i < all.size() && i < first + 10; ++i) line += all[i] + " ";
            xml_.append("<")
                .append(tag)
                .append(" length=\"")
                .append(std::to_string(line.size()))
                .append("\">")
                .append(line);
            xml_.append("</").append(tag).append(">\n");
        }
    };
    list("indexes", indexes);
    list("u64values", values);
    xml_ += "</distances2hetero>\n";
}

} // namespace detail
BARELINK_END_NAMESPACE
