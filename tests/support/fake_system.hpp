// A system made of what a test writes: files, CPUID, variables, limits and the figures that timing probes give.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/system_view.hpp>

namespace fake {

/// What is not written is not there; what is not given cannot be asked.
class system {
public:
    /// A file. Several texts: one for each reading, the last one from then on.
    void file(const std::string& path, std::vector<std::string> texts) { files_[path] = {std::move(texts), 0}; }
    void file(const std::string& path, const char* text) { file(path, std::vector<std::string>{text}); }
    void folder(const std::string& path) { folders_.insert(path); }
    void deny(const std::string& path) { denied_.insert(path); }
    /// `from` and everything below it lies at `to`.
    void link(const std::string& from, const std::string& to) { links_[from] = to; }
    void leaf(std::uint32_t number, barelink::cpuid_registers registers) { leaves_[number] = registers; }
    /// A leaf that spells twelve characters in EBX, ECX, EDX.
    void leaf(std::uint32_t number, const char* spelled) {
        char padded[12] = {};
        std::memcpy(padded, spelled, std::min<std::size_t>(std::strlen(spelled), 12));
        barelink::cpuid_registers registers;
        std::memcpy(&registers.ebx, padded, 4);
        std::memcpy(&registers.ecx, padded + 4, 4);
        std::memcpy(&registers.edx, padded + 8, 4);
        leaves_[number] = registers;
    }
    void hypervisor_bit(bool set) { leaf(1, barelink::cpuid_registers{0, 0, set ? 0x80000000u : 0u, 0}); }
    void variable(const std::string& name, const std::string& value) { variables_[name] = value; }

    bool variables_readable = true;
    std::optional<std::vector<int>> cpus;
    std::optional<std::uint64_t> locked;
    std::map<std::string, barelink::file_system_space> spaces;
    int bind_errno = -1; ///< 0: allowed; -1: not known
    std::optional<barelink::probe_times> clock, exit, call, wake;
    std::optional<barelink::gap_times> gap;
    mutable int gaps_asked = 0;

    [[nodiscard]] barelink::system_view view() const { return {functions, this}; }

private:
    using error = barelink::error;
    using errc = barelink::errc;
    template <class T>
    using result = barelink::result<T>;
    struct successive {
        std::vector<std::string> texts;
        std::size_t read = 0;
    };

    static const system& of(const void* context) { return *static_cast<const system*>(context); }
    [[nodiscard]] std::string real(std::string path) const {
        for (const auto& [from, to] : links_)
            if (path == from || path.rfind(from + '/', 0) == 0) path = to + path.substr(from.size());
        return path;
    }
    [[nodiscard]] bool refused(const std::string& path) const {
        for (const std::string& each : denied_)
            if (path == each || path.rfind(each + '/', 0) == 0) return true;
        return false;
    }
    [[nodiscard]] bool there(const std::string& path) const {
        if (files_.count(path) > 0 || folders_.count(path) > 0) return true;
        const auto below = files_.lower_bound(path + '/');
        return below != files_.end() && below->first.rfind(path + '/', 0) == 0;
    }
    template <class T>
    static result<T> given(const std::optional<T>& value, const char* what) {
        if (!value) return error(errc::unsupported, barelink::text::join({what, " cannot be asked here"}));
        return *value;
    }

    static result<std::string> read(const void* context, const char* path) {
        const std::string at = of(context).real(path);
        if (of(context).refused(at)) return barelink::unreadable(path, EACCES);
        const auto found = of(context).files_.find(at);
        if (found == of(context).files_.end()) return barelink::unreadable(path, ENOENT);
        successive& file = found->second;
        const std::string text = file.texts[file.read];
        if (file.read + 1 < file.texts.size()) ++file.read;
        return text;
    }
    static result<std::vector<std::string>> list(const void* context, const char* path) {
        const std::string at = of(context).real(path);
        if (of(context).refused(at)) return barelink::unreadable(path, EACCES);
        if (!of(context).there(at)) return barelink::unreadable(path, ENOENT);
        std::set<std::string> names;
        const auto add = [&](const std::string& each) {
            if (each.rfind(at + '/', 0) != 0) return;
            const std::string rest = each.substr(at.size() + 1);
            names.insert(rest.substr(0, rest.find('/')));
        };
        for (const auto& [each, ignored] : of(context).files_) add(each);
        for (const auto& [each, ignored] : of(context).links_) add(each);
        for (const std::string& each : of(context).folders_) add(each);
        return std::vector<std::string>(names.begin(), names.end());
    }
    static result<std::string> resolve(const void* context, const char* path) {
        const std::string at = of(context).real(path);
        if (!of(context).there(at)) return barelink::unreadable(path, ENOENT);
        return at;
    }
    static barelink::status find(const void* context, const char* path) {
        if (!of(context).there(of(context).real(path))) return barelink::unreadable(path, ENOENT);
        return {};
    }
    static result<barelink::file_system_space> space(const void* context, const char* path) {
        const auto found = of(context).spaces.find(path);
        if (found == of(context).spaces.end()) return barelink::unreadable(path, ENOENT);
        return found->second;
    }
    static result<barelink::cpuid_registers> cpuid(const void* context, std::uint32_t leaf, std::uint32_t) {
        if (of(context).leaves_.empty()) return error(errc::unsupported, "this CPU has no CPUID");
        const auto found = of(context).leaves_.find(leaf);
        return found == of(context).leaves_.end() ? barelink::cpuid_registers{} : found->second;
    }
    static result<std::string> environment(const void* context, const char* name) {
        if (!of(context).variables_readable) return error(errc::unsupported, "variables cannot be asked here");
        const auto found = of(context).variables_.find(name);
        if (found == of(context).variables_.end())
            return error(errc::not_found, barelink::text::join({name, " is not set"}));
        return found->second;
    }
    static result<std::vector<int>> allowed_cpus(const void* c) { return given(of(c).cpus, "affinity"); }
    static result<std::uint64_t> locked_memory(const void* c) { return given(of(c).locked, "RLIMIT_MEMLOCK"); }
    static barelink::status bind_memory(const void* context) {
        const int code = of(context).bind_errno;
        if (code == 0) return {};
        return error(code == EPERM ? errc::not_permitted : errc::unsupported,
                     barelink::text::join({"mbind: ", code < 0 ? "cannot be asked here" : std::strerror(code)}));
    }
    static result<barelink::probe_times> clock_reads(const void* c) { return given(of(c).clock, "the clock's cost"); }
    static result<barelink::probe_times> exits(const void* c) { return given(of(c).exit, "CPUID's cost"); }
    static result<barelink::probe_times> calls(const void* c) { return given(of(c).call, "a system call's cost"); }
    static result<barelink::probe_times> wake_ups(const void* c) { return given(of(c).wake, "a futex's cost"); }
    static result<barelink::gap_times> gaps(const void* c) {
        ++of(c).gaps_asked;
        return given(of(c).gap, "jitter");
    }

    static constexpr barelink::system_functions functions{
        &read,          &list,        &resolve,     &find,  &space, &cpuid,    &environment, &allowed_cpus,
        &locked_memory, &bind_memory, &clock_reads, &exits, &calls, &wake_ups, &gaps};

    mutable std::map<std::string, successive> files_;
    std::set<std::string> folders_, denied_;
    std::map<std::string, std::string> links_, variables_;
    std::map<std::uint32_t, barelink::cpuid_registers> leaves_;
};

} // namespace fake
