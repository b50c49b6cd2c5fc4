// Checks that the objects of an hwloc document fit together. hwloc trusts what hwloc wrote: given sets that are missing
// or contradict each other it reads through null pointers or aborts, so nothing reaches it that has not passed here.
// Plain text in, no hwloc call.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

struct xml_attribute {
    std::string_view name;
    std::string_view value;
};

/// A set in hwloc's notation, `0x000000ff,,0xffffffff`: 32 bits at a time, the highest first, nothing for 0. Infinite
/// sets (`0xf...f`), which only topologies without CPUs have, are refused.
class hwloc_set {
public:
    [[nodiscard]] bool parse(std::string_view text) {
        words_.clear();
        if (text.empty()) return false;
        for (;;) {
            const std::size_t comma = text.find(',');
            std::string_view word = text.substr(0, comma);
            if (word.substr(0, 2) == "0x") word.remove_prefix(2);
            if (word.size() > 8) return false;
            std::uint32_t bits = 0;
            for (const char c : word) {
                if (c >= '0' && c <= '9')
                    bits = bits << 4 | static_cast<std::uint32_t>(c - '0');
                else if (c >= 'a' && c <= 'f')
                    bits = bits << 4 | static_cast<std::uint32_t>(c - 'a' + 10);
                else
                    return false;
            }
            words_.push_back(bits);
            if (comma == std::string_view::npos) break;
            text.remove_prefix(comma + 1);
        }
        for (std::size_t i = 0, j = words_.size(); i + 1 < j; ++i, --j) std::swap(words_[i], words_[j - 1]);
        return true;
    }
    [[nodiscard]] bool within(const hwloc_set& other) const {
        for (std::size_t w = 0; w < words_.size(); ++w)
            if (words_[w] & ~other.word(w)) return false;
        return true;
    }
    [[nodiscard]] bool meets(const hwloc_set& other) const {
        for (std::size_t w = 0; w < words_.size(); ++w)
            if (words_[w] & other.word(w)) return true;
        return false;
    }
    [[nodiscard]] bool is_only(std::uint32_t number) const {
        for (std::size_t w = 0; w < words_.size(); ++w)
            if (words_[w] != (w == number / 32 ? 1u << (number % 32) : 0)) return false;
        return number / 32 < words_.size();
    }
    [[nodiscard]] bool empty() const { return !meets(*this); }
    void add(const hwloc_set& other) {
        if (words_.size() < other.words_.size()) words_.resize(other.words_.size());
        for (std::size_t w = 0; w < other.words_.size(); ++w) words_[w] |= other.words_[w];
    }
    void clear() { words_.clear(); }

private:
    [[nodiscard]] std::uint32_t word(std::size_t w) const { return w < words_.size() ? words_[w] : 0; }
    std::vector<std::uint32_t> words_; ///< the lowest first
};

/// Fed every element of a document in order. `open` and `close` return what is wrong, nullptr for nothing.
class hwloc_gate {
public:
    explicit hwloc_gate(int major = 2) : major_(major) {}

    [[nodiscard]] const char* open(std::string_view element, const std::vector<xml_attribute>& attributes);
    void close(std::string_view element) {
        if (element == "object" && depth_ > 0) --depth_;
    }
    /// After the last element.
    [[nodiscard]] const char* finish() const {
        if (!rooted_) return "has no root object";
        if (major_ < 2) return pus_.empty() ? "has no CPU in it" : nullptr;
        return numas_.empty() ? "has no NUMA node in it" : nullptr;
    }

private:
    enum class role : unsigned char { unknown, normal, memory, io, misc };
    enum set { cpus, complete_cpus, nodes, complete_nodes, sets };
    struct level {
        role kind = role::unknown;
        bool is_pu = false;
        bool has[sets] = {};
        hwloc_set own[sets];
        hwloc_set used; ///< complete_cpuset of the normal children so far
    };

    [[nodiscard]] static role role_of(std::string_view type);
    [[nodiscard]] const char* open_object(const std::vector<xml_attribute>& attributes);
    [[nodiscard]] const char* check_place(const level& here, const level& parent, std::string_view type) const;
    [[nodiscard]] const char* check_sets(const level& here, const level* parent) const;
    [[nodiscard]] const char* number(const level& here, std::string_view type, std::uint32_t index);
    [[nodiscard]] static bool add_number(std::vector<bool>& numbers, std::uint32_t number) {
        if (numbers.size() <= number) numbers.resize(number + 1);
        if (numbers[number]) return false;
        numbers[number] = true;
        return true;
    }

    int major_;
    bool rooted_ = false;
    std::size_t depth_ = 0;
    std::vector<level> levels_; ///< kept from object to object, so that sets keep their storage
    std::vector<bool> pus_, numas_;
};

inline const char* hwloc_gate::open(std::string_view element, const std::vector<xml_attribute>& attributes) {
    if (element == "object") return open_object(attributes);
    if (element == "cpukind" || element == "memattr_value") {
        hwloc_set read;
        for (const xml_attribute& each : attributes)
            if ((each.name == "cpuset" || each.name == "initiator_cpuset") && !read.parse(each.value))
                return "has a CPU set that is none";
    }
    return nullptr;
}

inline hwloc_gate::role hwloc_gate::role_of(std::string_view type) {
    for (const std::string_view each : {"Machine", "System",  "Package", "Socket",   "Die",      "Core",    "PU",
                                        "Group",   "Cache",   "Tile",    "Module",   "Cluster",  "L1Cache", "L2Cache",
                                        "L3Cache", "L4Cache", "L5Cache", "L1iCache", "L2iCache", "L3iCache"})
        if (type == each) return role::normal;
    for (const std::string_view each : {"NUMANode", "Node", "MemCache", "MemSideCache"})
        if (type == each) return role::memory;
    for (const std::string_view each : {"Bridge", "PCIDev", "OSDev"})
        if (type == each) return role::io;
    return type == "Misc" ? role::misc : role::unknown;
}

inline const char* hwloc_gate::open_object(const std::vector<xml_attribute>& attributes) {
    if (depth_ == levels_.size()) levels_.emplace_back();
    level& here = levels_[depth_];
    here.kind = role::unknown;
    here.is_pu = false;
    here.used.clear();
    for (bool& each : here.has) each = false;
    std::string_view type;
    std::uint32_t index = 0xffffffff;
    for (const xml_attribute& each : attributes) {
        constexpr std::string_view names[sets] = {"cpuset", "complete_cpuset", "nodeset", "complete_nodeset"};
        if (&each == attributes.data() && each.name != "type") return "has an object without a type";
        if (each.name == "type") {
            if (!type.empty()) return "has an object of two types";
            type = each.value;
        }
        for (int s = 0; s < sets; ++s) {
            if (each.name != names[s]) continue;
            if (here.has[s] || !here.own[s].parse(each.value))
                return "has an object with a CPU or NUMA set that is none";
            here.has[s] = true;
        }
        if (each.name.substr(0, 8) == "allowed_" || each.name == "online_cpuset") {
            hwloc_set read;
            if (!read.parse(each.value) || (depth_ == 0 && read.empty()))
                return "has an object with a CPU or NUMA set that is none";
        }
        if (each.name == "bridge_type" && each.value != "0-1" && each.value != "1-1")
            return "has a bridge of a type that is not known";
        if (each.name == "osdev_type" && (each.value.size() != 1 || each.value[0] < '0' || each.value[0] > '7'))
            return "has a device of a type that is not known";
        if (each.name == "os_index" && each.value.size() < 6) {
            index = 0;
            for (const char c : each.value) index = index * 10 + static_cast<std::uint32_t>(c - '0');
        }
    }
    here.kind = role_of(type);
    if (here.kind == role::unknown) return "has an object of a type that is not known";
    here.is_pu = type == "PU";
    if (depth_ == 0) {
        if (rooted_) return "has two root objects";
        if (type != "Machine" && !(major_ < 2 && type == "System")) return "has a root object that is no machine";
        rooted_ = true;
    } else if (const char* wrong = check_place(here, levels_[depth_ - 1], type)) {
        return wrong;
    }
    if (const char* wrong = check_sets(here, depth_ > 0 ? &levels_[depth_ - 1] : nullptr)) return wrong;
    if (const char* wrong = number(here, type, index)) return wrong;
    ++depth_;
    return nullptr;
}

inline const char* hwloc_gate::check_place(const level& here, const level& parent, std::string_view type) const {
    constexpr const char* wrong = "has an object below one that cannot hold it";
    if (type == "Machine" || type == "System") return wrong;
    if (here.kind == role::misc) return nullptr;
    if (parent.kind == role::misc) return wrong;
    if (here.kind == role::io) return parent.kind == role::memory && major_ >= 2 ? wrong : nullptr;
    if (parent.kind == role::io) return wrong;
    if (here.kind == role::normal && parent.kind == role::memory && major_ >= 2) return wrong;
    return parent.is_pu && here.kind == role::normal ? wrong : nullptr;
}

/// Normal and memory objects have all sets, each within the parent's; siblings do not share CPUs. I/O has none.
inline const char* hwloc_gate::check_sets(const level& here, const level* parent) const {
    if (here.kind == role::io || here.kind == role::misc) {
        for (const bool each : here.has)
            if (each && major_ >= 2) return "has a device with a CPU or NUMA set";
        return nullptr;
    }
    if (!here.has[cpus] || !here.has[complete_cpus]) return "has an object without a CPU set";
    if (here.has[nodes] != here.has[complete_nodes] || (!here.has[nodes] && major_ >= 2))
        return "has an object without a NUMA set";
    if (!here.own[cpus].within(here.own[complete_cpus])) return "has an object whose CPU sets contradict each other";
    if (here.has[nodes] && !here.own[nodes].within(here.own[complete_nodes]))
        return "has an object whose NUMA sets contradict each other";
    if (!parent) return nullptr;
    for (int s = 0; s < sets; ++s)
        if (here.has[s] && (!parent->has[s] || !here.own[s].within(parent->own[s])))
            return "has an object that reaches beyond its parent";
    if (here.kind == role::normal && here.own[complete_cpus].meets(parent->used))
        return "has two objects that share CPUs";
    return nullptr;
}

inline const char* hwloc_gate::number(const level& here, std::string_view type, std::uint32_t index) {
    if (depth_ > 0 && here.kind == role::normal) levels_[depth_ - 1].used.add(here.own[complete_cpus]);
    if (here.is_pu) {
        if (index > 65535 || !here.own[complete_cpus].is_only(index) || !add_number(pus_, index))
            return "has a CPU that is not the one of its number";
    } else if (type == "NUMANode" || type == "Node") {
        const bool own = !here.has[complete_nodes] || here.own[complete_nodes].is_only(index);
        if (index > 65535 || !own || !add_number(numas_, index))
            return "has a NUMA node that is not the one of its number";
    }
    return nullptr;
}

} // namespace detail
BARELINK_END_NAMESPACE
