// The host's side of a machine from Linux's /sys and /proc, for programs without hwloc.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <barelink/machine/detail/number_list.hpp>
#include <barelink/machine/detail/sketch.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// The start of a small file, without the final newline; empty when it cannot be read. Files of sysfs have no size.
[[nodiscard]] inline std::string small_file(const std::string& path, std::size_t most = 4096) {
    std::string text;
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) return text;
    text.resize(most);
    text.resize(std::fread(text.data(), 1, most, file));
    std::fclose(file);
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    return text;
}

/// A file that holds one number, `otherwise` when it does not. `0x` makes it hexadecimal.
[[nodiscard]] inline long number_in(const std::string& path, long otherwise) {
    const std::string text = small_file(path, 64);
    char* end = nullptr;
    const long value = std::strtol(text.c_str(), &end, 0);
    return end == text.c_str() ? otherwise : value;
}

/// `key<blanks>: value` of /proc/cpuinfo, the first of that key; empty when there is none.
[[nodiscard]] inline std::string cpuinfo_value(const std::string& cpuinfo, const char* key) {
    const std::size_t length = std::strlen(key);
    for (std::size_t line = 0; line < cpuinfo.size();) {
        std::size_t end = cpuinfo.find('\n', line);
        if (end == std::string::npos) end = cpuinfo.size();
        if (cpuinfo.compare(line, length, key) == 0) {
            const std::size_t rest = cpuinfo.find_first_not_of(" \t", line + length);
            if (rest < end && cpuinfo[rest] == ':') {
                const std::size_t value = cpuinfo.find_first_not_of(" \t", rest + 1);
                return value < end ? cpuinfo.substr(value, end - value) : std::string();
            }
        }
        line = end + 1;
    }
    return {};
}

/// Fills packages, memories and the hypervisor flag of a sketch. `root` is what stands before /sys and /proc. Memories
/// without bytes are left out; without /sys nothing is filled.
class sysfs_host {
public:
    sysfs_host(std::string root, machine_sketch& seen) : root_(std::move(root)), seen_(seen) {
        const std::string cpuinfo = small_file(root_ + "/proc/cpuinfo", 16384);
        seen_.virtualized = (' ' + cpuinfo_value(cpuinfo, "flags") + ' ').find(" hypervisor ") != std::string::npos;
        if (seen_.virtualized)
            seen_.note("machine", "runs under a hypervisor (the CPU's hypervisor flag): link speeds may be invented, "
                                  "and none is taken as a limit");
        cpu_.name = cpuinfo_value(cpuinfo, "model name");
        if (cpu_.name.empty()) cpu_.name = cpuinfo_value(cpuinfo, "cpu"); // POWER
        cpu_.vendor = cpuinfo_value(cpuinfo, "vendor_id");
        cpu_.family = std::atoi(cpuinfo_value(cpuinfo, "cpu family").c_str());
        cpu_.model = std::atoi(cpuinfo_value(cpuinfo, "model").c_str());
        for (const int node : numbers_in(small_file(root_ + nodes + "online"), max_memories)) add_memory(node);
    }

private:
    static constexpr const char *nodes = "/sys/devices/system/node/", *cpus = "/sys/devices/system/cpu/cpu";

    void add_memory(int node) {
        const std::string folder = root_ + nodes + "node" + std::to_string(node) + "/";
        const std::string meminfo = small_file(folder + "meminfo");
        const std::size_t total = meminfo.find("MemTotal:");
        sketched_memory added;
        added.index = node;
        added.bytes = total == std::string::npos ? 0 : std::strtoull(meminfo.c_str() + total + 9, nullptr, 10) << 10;
        const std::vector<int> near = numbers_in(small_file(folder + "cpulist"), 1);
        // A node without CPUs goes with the first package: what it is near to matters little to copies of GPUs.
        if (!near.empty()) added.package = package_of(near.front());
        if (added.bytes > 0) seen_.memories.push_back(added);
    }

    int package_of(int cpu) {
        const long physical = number_in(root_ + cpus + std::to_string(cpu) + "/topology/physical_package_id", 0);
        for (std::size_t p = 0; p < physical_.size(); ++p)
            if (physical_[p] == physical) return static_cast<int>(p);
        physical_.push_back(physical);
        seen_.packages.push_back(cpu_);
        return static_cast<int>(seen_.packages.size()) - 1;
    }

    std::string root_;
    machine_sketch& seen_;
    sketched_package cpu_; ///< all packages of a server are alike
    std::vector<long> physical_;
};

} // namespace detail
BARELINK_END_NAMESPACE
