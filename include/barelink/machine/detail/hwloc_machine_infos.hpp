// A machine file's info attributes back into the machine they were written from.
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <barelink/machine/detail/hwloc_topology.hpp>
#include <barelink/machine/detail/machine_text.hpp>
#include <barelink/machine/detail/sketch.hpp>
#include <barelink/machine/detail/xml_scan.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Names of the info attributes. The node's own is on the object that stands for it, the others on the root.
inline constexpr const char *node_info = "BarelinkNode", *link_info = "BarelinkLink", *grant_info = "BarelinkGrant",
                            *note_info = "BarelinkNote", *cost_info = "BarelinkCosts",
                            *block_cost_info = "BarelinkBlockCosts", *name_info = "BarelinkName",
                            *hardware_info = "BarelinkHardware";
/// What `machine_file_mark` says: the version of these words, then numbers of nodes, links, grants and notes, and
/// whether virtual.
inline constexpr int machine_file_version = 1;

class machine_infos {
public:
    [[nodiscard]] result<machine> read(const hwloc_topology& topology, const char* name) {
        name_ = name;
        const hwloc_obj_t root = hwloc_get_root_obj(topology.get());
        word_reader head(info_of(root, machine_file_mark));
        if (head.number<int>() != machine_file_version)
            return refuse(
                "was written by another version of barelink: read it with that one, or calibrate and save again");
        const auto nodes = head.number<std::size_t>(), links = head.number<std::size_t>(),
                   grants = head.number<std::size_t>(), notes = head.number<std::size_t>();
        made_.virtualized = head.flag();
        if (!head.done() || nodes > max_nodes || links > 65536 || grants > max_gpus * max_gpus || notes > 65536)
            return refuse("claims more than a server can have, or nothing: it is damaged");
        made_.nodes.resize(nodes);
        written_.assign(nodes, 0);
        // The nodes first, wherever they are: links and grants refer to them.
        visit(root);
        if (damaged_ || seen_ != nodes)
            return refuse("has lost or doubled objects since barelink wrote it: save it again");
        read_root(root);
        if (damaged_ || made_.links.size() != links || made_.grants.size() != grants || made_.notes.size() != notes)
            return refuse("has info attributes that barelink did not write so: it is damaged; save it again");
        if (!sane()) return refuse("describes more than one server can have: it is damaged");
        made_.connect();
        return std::move(made_);
    }

private:
    [[nodiscard]] error refuse(const char* what) const {
        return error(errc::parse, text::join({name_, " is a machine file and ", what})).about(name_);
    }

    void visit(hwloc_obj_t object) {
        for (unsigned i = 0; i < object->infos_count; ++i) {
            if (std::strcmp(object->infos[i].name, node_info) != 0) continue;
            std::size_t position = 0;
            node read;
            if (!read_node(object->infos[i].value, position, read) || position >= written_.size() ||
                written_[position]) {
                damaged_ = true;
                return;
            }
            written_[position] = 1;
            made_.nodes[position] = std::move(read);
            ++seen_;
        }
        for (hwloc_obj_t child = object->first_child; child; child = child->next_sibling) visit(child);
        for (hwloc_obj_t child = object->memory_first_child; child; child = child->next_sibling) visit(child);
        for (hwloc_obj_t child = object->io_first_child; child; child = child->next_sibling) visit(child);
    }

    void read_root(hwloc_obj_t root) {
        const std::size_t nodes = made_.nodes.size();
        for (unsigned i = 0; i < root->infos_count && !damaged_; ++i) {
            const char *info = root->infos[i].name, *value = root->infos[i].value;
            link a_link;
            peer_grant a_grant;
            machine_note a_note;
            if (std::strcmp(info, link_info) == 0) {
                damaged_ = !read_link(value, nodes, a_link);
                made_.links.push_back(a_link);
            } else if (std::strcmp(info, grant_info) == 0) {
                damaged_ = !read_grant(value, nodes, a_grant);
                made_.grants.push_back(a_grant);
            } else if (std::strcmp(info, note_info) == 0) {
                damaged_ = !read_note(value, a_note);
                made_.notes.push_back(std::move(a_note));
            } else if (std::strcmp(info, cost_info) == 0) {
                damaged_ = !read_costs(value, made_.costs);
            } else if (std::strcmp(info, block_cost_info) == 0) {
                damaged_ = !read_costs(value, made_.blocks);
            } else if (std::strcmp(info, hardware_info) == 0) {
                word_reader words(value);
                made_.measured_on = words.coded();
                damaged_ = !words.done();
            } else if (std::strcmp(info, name_info) == 0) {
                word_reader words(value);
                made_.name = words.coded();
                damaged_ = !words.done();
            }
        }
    }

    [[nodiscard]] bool sane() const {
        return made_.count(node_kind::gpu) <= max_gpus && made_.count(node_kind::memory) <= max_memories &&
               made_.count(node_kind::package) <= max_packages;
    }

    machine made_;
    const char* name_ = "";
    std::vector<char> written_;
    std::size_t seen_ = 0;
    bool damaged_ = false;
};

/// The machine that a machine file was written from. Errors: parse, when it is damaged or of another version.
[[nodiscard]] inline result<machine> machine_from_infos(const hwloc_topology& topology, const char* name) {
    return machine_infos().read(topology, name);
}

} // namespace detail
BARELINK_END_NAMESPACE
