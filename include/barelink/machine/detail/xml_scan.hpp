// A first look at an XML file from anywhere: is it one of ours, whole, and of sane proportions? Nothing reaches hwloc
// or pugixml before it has passed here. What passes is written out again in one plain form, less what barelink does not
// use, because hwloc's own parser takes no comments, no single quotes and no carriage returns, while libxml2 takes them
// all.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <barelink/core/result.hpp>
#include <barelink/machine/detail/hwloc_gate.hpp>
#include <barelink/machine/detail/hwloc_trim.hpp>
#include <barelink/machine/machine_format.hpp>

BARELINK_BEGIN_NAMESPACE

namespace detail {

/// Limits, each far above the largest server: 64 MiB of text, 256 levels (a captured server has 14), 32768 objects
/// (about 5000), matrices of 1024 objects, CPU and NUMA numbers below 65536.
inline constexpr std::size_t max_xml_bytes = std::size_t{64} << 20, max_xml_depth = 256, max_xml_elements = 1000000,
                             max_xml_objects = 32768, max_xml_matrix = 1024, max_xml_number = 65535,
                             max_xml_set_chars = 16384, max_xml_attribute_chars = std::size_t{1} << 20;

/// The info attribute by which a machine file is known, on the root object.
inline constexpr const char* machine_file_mark = "BarelinkMachineFile";

struct scanned_xml {
    machine_format format = machine_format::hwloc_xml;
    int major = 1;    ///< of hwloc's format, or of NCCL's `system version`
    std::string text; ///< the document without prologue and comments
};

/// Characters of an attribute's value that need a look: quotes, `<`, `&` and control characters.
struct noteworthy_characters {
    bool are[256] = {};
    constexpr noteworthy_characters() {
        for (int c = 0; c < 0x20; ++c) are[c] = true;
        for (const char c : {'"', '\'', '<', '&'}) are[static_cast<unsigned char>(c)] = true;
    }
    constexpr bool operator[](unsigned char c) const { return are[c]; }
};
inline constexpr noteworthy_characters noteworthy;

class xml_scanner {
public:
    xml_scanner(const char* data, std::size_t size, const char* name)
        : in_(data ? data : "", data ? size : 0), name_(name) {}

    [[nodiscard]] result<scanned_xml> run();

private:
    struct opened {
        std::string_view element;
        fate decided;
    };
    static constexpr const char* cut_off = "ends in the middle of an element: it was cut off; copy it again";

    [[nodiscard]] error refuse(const char* what, errc code = errc::parse) const {
        return error(code, text::join({name_, " ", what})).about(name_);
    }
    [[nodiscard]] error refuse_topology(const char* wrong) const {
        return error(errc::parse,
                     text::join({name_, " ", wrong, ": it is damaged; export it again with `lstopo --of xml FILE`"}))
            .about(name_);
    }
    [[nodiscard]] bool at(std::string_view what) const { return in_.substr(pos_, what.size()) == what; }
    [[nodiscard]] static bool space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
    [[nodiscard]] static bool name_char(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
               c == '.' || c == ':';
    }
    void skip_spaces() {
        while (pos_ < in_.size() && space(in_[pos_])) ++pos_;
    }
    [[nodiscard]] std::string_view take_name() {
        const std::size_t first = pos_;
        while (pos_ < in_.size() && name_char(in_[pos_])) ++pos_;
        return in_.substr(first, pos_ - first);
    }
    status scan_content();
    status scan_markup();
    status scan_doctype();
    status scan_closing();
    status scan_opening();
    status scan_attribute(std::string_view element);
    [[nodiscard]] static bool known_entity(std::string_view rest);
    void write_element(std::string_view element, bool closed);
    status check_root(std::string_view element);
    status check_attribute(std::string_view element, std::string_view attribute, std::string_view value);
    [[nodiscard]] static bool above(std::string_view digits, std::size_t limit);

    std::string_view in_;
    const char* name_;
    std::size_t pos_ = 0;
    std::vector<opened> open_;
    std::size_t muted_ = 0; ///< elements around this one that are not written out
    std::size_t elements_ = 0, objects_ = 0;
    bool root_seen_ = false, numbered_ = false;
    std::string_view version_;
    scanned_xml out_;
    std::vector<xml_attribute> attributes_; ///< of the element being read
    hwloc_gate gate_;
};

/// Checks and normalises a file. `name` is for messages. Errors: parse, unsupported; the message says what to do.
[[nodiscard]] inline result<scanned_xml> scan_xml(const char* data, std::size_t size, const char* name) {
    return xml_scanner(data, size, name).run();
}

inline result<scanned_xml> xml_scanner::run() {
    if (in_.substr(0, 3) == "\xef\xbb\xbf") in_.remove_prefix(3);
    if (in_.size() > max_xml_bytes)
        return refuse(
            "is larger than 64 MiB: no description of one server is; give the file that lstopo or NCCL wrote");
    skip_spaces();
    if (pos_ == in_.size())
        return refuse(
            "is empty: give an hwloc XML file (lstopo --of xml FILE), a machine file or an NCCL topology file");
    if (in_[pos_] != '<')
        return refuse(
            "is not XML: give an hwloc XML file (lstopo --of xml FILE), a machine file or an NCCL topology file");
    out_.text.reserve(in_.size());
    while (pos_ < in_.size())
        if (status step = in_[pos_] == '<' ? scan_markup() : scan_content(); !step) return step.error();
    if (!root_seen_) return refuse("holds no element: it is not a machine's description");
    if (!open_.empty()) return refuse(cut_off);
    if (out_.format != machine_format::nccl_xml)
        if (const char* wrong = gate_.finish()) return refuse_topology(wrong);
    return std::move(out_);
}

inline status xml_scanner::scan_content() {
    const std::size_t first = pos_;
    bool blank = true;
    for (; pos_ < in_.size() && in_[pos_] != '<'; ++pos_) {
        const char c = in_[pos_];
        if (space(c)) continue;
        blank = false;
        if (static_cast<unsigned char>(c) < 0x20) return refuse("holds binary data: it is not XML");
        if (c == '&') return refuse("has an entity in its text, which neither hwloc nor NCCL writes: it is not read");
    }
    if (blank) return {};
    if (open_.empty()) return refuse("has text outside its elements: it is not a machine's description");
    const std::string_view around = open_.back().element;
    if (around != "indexes" && around != "u64values" && around != "userdata")
        return refuse("has text between its elements, where neither hwloc nor NCCL writes any: it is damaged");
    if (open_.back().decided == fate::kept) out_.text.append(in_.substr(first, pos_ - first));
    return {};
}

inline status xml_scanner::scan_markup() {
    const auto skip_to = [&](std::string_view end) -> status {
        const std::size_t found = in_.find(end, pos_);
        if (found == std::string_view::npos)
            return refuse("ends in the middle of a comment: it was cut off; copy it again");
        pos_ = found + end.size();
        return {};
    };
    if (at("<!--")) {
        pos_ += 4;
        return skip_to("-->");
    }
    if (at("<?")) return skip_to("?>");
    if (at("<!DOCTYPE")) return scan_doctype();
    if (at("<!")) return refuse("holds declarations or CDATA, which neither hwloc nor NCCL writes: it is not read");
    return at("</") ? scan_closing() : scan_opening();
}

inline status xml_scanner::scan_doctype() {
    if (root_seen_) return refuse("has a document type after its first element: it is not read");
    for (; pos_ < in_.size() && in_[pos_] != '>'; ++pos_)
        if (in_[pos_] == '[')
            return refuse(
                "declares XML entities or types of its own, which neither hwloc nor NCCL does: it is not read");
    if (pos_ == in_.size()) return refuse("ends in the middle of its document type: it was cut off; copy it again");
    ++pos_;
    return {};
}

inline status xml_scanner::scan_closing() {
    pos_ += 2;
    const std::string_view element = take_name();
    skip_spaces();
    if (pos_ == in_.size()) return refuse(cut_off);
    if (in_[pos_] != '>' || open_.empty() || open_.back().element != element)
        return refuse("closes an element that is not open: it is damaged");
    ++pos_;
    const fate decided = open_.back().decided;
    open_.pop_back();
    gate_.close(element);
    muted_ -= decided == fate::dropped;
    if (decided == fate::kept) out_.text.append("</").append(element).append(open_.empty() ? ">\n" : ">");
    return {};
}

inline status xml_scanner::scan_opening() {
    ++pos_;
    const std::string_view element = take_name();
    if (element.empty()) return refuse("is not XML: an element has no name");
    if (open_.empty()) {
        if (root_seen_) return refuse("holds a second document after the first: it is damaged");
        root_seen_ = true;
    }
    if (open_.size() >= max_xml_depth) return refuse("nests deeper than 256 levels: no server does");
    if (++elements_ > max_xml_elements) return refuse("holds more than a million elements: no server does");
    if (element == "object" && ++objects_ > max_xml_objects)
        return refuse("holds more than 32768 objects: no server does");
    numbered_ = false;
    attributes_.clear();
    for (;;) {
        skip_spaces();
        if (pos_ == in_.size()) return refuse(cut_off);
        if (in_[pos_] == '>' || in_[pos_] == '/') break;
        if (status step = scan_attribute(element); !step) return step;
    }
    const bool closed = in_[pos_] == '/';
    if (closed && !at("/>")) return refuse(pos_ + 1 == in_.size() ? cut_off : "is not XML: a slash stands alone");
    pos_ += closed ? 2 : 1;
    if (open_.empty()) {
        if (status step = check_root(element); !step) return step;
    } else if (out_.format != machine_format::nccl_xml) {
        if (const char* wrong = gate_.open(element, attributes_)) return refuse_topology(wrong);
        if (closed) gate_.close(element);
    }
    const bool trimmed = out_.format != machine_format::nccl_xml && out_.major >= 2 && !open_.empty();
    const fate decided = muted_ > 0 ? fate::dropped : trimmed ? fate_of(element, attributes_) : fate::kept;
    if (decided == fate::kept) write_element(element, closed);
    if (closed) return {};
    open_.push_back({element, decided});
    muted_ += decided == fate::dropped;
    return {};
}

inline void xml_scanner::write_element(std::string_view element, bool closed) {
    std::string& out = out_.text;
    out.append("<").append(element);
    for (const xml_attribute& each : attributes_) {
        out.append(" ").append(each.name).append("=\"");
        std::size_t plain = 0;
        for (std::size_t i = 0; i < each.value.size(); ++i) {
            const char c = each.value[i];
            if (c != '"' && c != '>' && c != '&' && !(space(c) && c != ' ')) continue;
            out.append(each.value.substr(plain, i - plain));
            plain = i + 1;
            if (c == '"')
                out.append("&quot;");
            else if (c == '>')
                out.append("&gt;");
            else if (c != '&')
                out += ' ';
            else if (each.value.substr(i, 6) == "&apos;") {
                out += '\'';
                plain = i + 6;
            } else
                out += '&';
        }
        out.append(each.value.substr(plain)).append("\"");
    }
    out.append(closed ? "/>" : ">");
    if (open_.empty()) out.append("\n");
}

inline status xml_scanner::scan_attribute(std::string_view element) {
    const std::string_view attribute = take_name();
    skip_spaces();
    if (attribute.empty() || pos_ == in_.size() || in_[pos_] != '=')
        return refuse(pos_ == in_.size() ? cut_off : "is not XML: an attribute has no value");
    ++pos_;
    skip_spaces();
    if (pos_ == in_.size()) return refuse(cut_off);
    const char quote = in_[pos_];
    if (quote != '"' && quote != '\'') return refuse("is not XML: an attribute's value has no quotes");
    const std::size_t first = ++pos_;
    for (;; ++pos_) {
        while (pos_ < in_.size() && !noteworthy[static_cast<unsigned char>(in_[pos_])]) ++pos_;
        if (pos_ == in_.size() || in_[pos_] == quote) break;
        const char c = in_[pos_];
        if (c == '<') return refuse("is not XML: a quote is not closed");
        if (static_cast<unsigned char>(c) < 0x20 && !space(c)) return refuse("holds binary data: it is not XML");
        if (c == '&' && !known_entity(in_.substr(pos_, 12)))
            return refuse("uses an entity that it does not define: it is not read");
    }
    if (pos_ == in_.size()) return refuse(cut_off);
    const std::string_view value = in_.substr(first, pos_ - first);
    ++pos_;
    if (open_.empty() && attribute == "version") version_ = value;
    attributes_.push_back({attribute, value});
    return check_attribute(element, attribute, value);
}

/// One of XML's own five, or a printable character by number.
inline bool xml_scanner::known_entity(std::string_view rest) {
    for (const std::string_view entity : {"&lt;", "&gt;", "&amp;", "&quot;", "&apos;"})
        if (rest.substr(0, entity.size()) == entity) return true;
    if (rest.substr(0, 2) != "&#") return false;
    std::size_t at = 2;
    while (at < rest.size() && ((rest[at] >= '0' && rest[at] <= '9') || (rest[at] | 0x20) == 'x' ||
                                ((rest[at] | 0x20) >= 'a' && (rest[at] | 0x20) <= 'f')))
        ++at;
    return at > 2 && at < rest.size() && rest[at] == ';';
}

inline bool xml_scanner::above(std::string_view digits, std::size_t limit) {
    std::size_t number = 0;
    for (const char c : digits) {
        if (c < '0' || c > '9') return c != ' ';
        number = number * 10 + static_cast<std::size_t>(c - '0');
        if (number > limit) return true;
    }
    return false;
}

inline status xml_scanner::check_attribute(std::string_view element, std::string_view attribute,
                                           std::string_view value) {
    if (value.size() > max_xml_attribute_chars) return refuse("has an attribute of more than 1 MiB: no server has");
    if (attribute.size() >= 3 && attribute.substr(attribute.size() - 3) == "set" && value.size() > max_xml_set_chars)
        return refuse("has a CPU or NUMA set for more than 100000 of them: no server has so many");
    if (attribute == "nbobjs" && above(value, max_xml_matrix))
        return refuse("has a distance matrix of more than 1024 objects, or of no number: no server has");
    if (element == "object" && attribute == "type") numbered_ = value == "PU" || value == "NUMANode";
    if (numbered_ && attribute == "os_index" && above(value, max_xml_number))
        return refuse("numbers a CPU or a NUMA node above 65535: no server does");
    if (element == "info" && open_.size() == 2 && attribute == "name" && value == machine_file_mark)
        out_.format = machine_format::machine_file;
    return {};
}

inline status xml_scanner::check_root(std::string_view element) {
    const std::string_view digits = version_.substr(0, version_.find('.'));
    if (digits.size() > 4 || above(digits, 9999)) return refuse("has a version that is not a number: it is damaged");
    if (!digits.empty()) out_.major = 0;
    for (const char c : digits) out_.major = out_.major * 10 + (c - '0');
    if (element == "system") {
        out_.format = machine_format::nccl_xml;
        return {};
    }
    if (element == "root")
        return refuse(
            "is in hwloc's format 0.9, which hwloc 2 does not read: export it again with `lstopo --of xml FILE`",
            errc::unsupported);
    if (element != "topology")
        return refuse(
            "is XML of another kind: its first element is neither <topology> (hwloc, machine files) nor <system> "
            "(NCCL)");
    if (out_.major > 2)
        return refuse("is in hwloc's format 3, which hwloc 2 does not read: export it again where it was made, with "
                      "`lstopo --of xml --export-xml-flags v2 FILE`",
                      errc::unsupported);
    gate_ = hwloc_gate(out_.major);
    return {};
}

} // namespace detail
BARELINK_END_NAMESPACE
