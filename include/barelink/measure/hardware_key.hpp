// What a calibration belongs to: these GPUs in these slots, this CPU, this driver.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <barelink/machine/machine.hpp>

BARELINK_BEGIN_NAMESPACE

/// Facts that a rate depends on and that a program can see. Two servers of one model, with their GPUs in the same slots, have the
/// same key: calibrations are kept per machine, and none of these tells such two apart.
struct hardware_key {
    struct fact {
        std::string name; ///< `gpu 0000:1b:00.0`, `cpu package:0`, `numa`, `driver`, `cuda`
        std::string said;
        friend bool operator==(const fact&, const fact&) = default;
    };
    std::vector<fact> facts;

    /// One fact a line, `name: said`: what a machine file stores.
    [[nodiscard]] std::string text() const {
        std::string lines;
        for (const fact& each : facts) lines += each.name + ": " + each.said + "\n";
        return lines;
    }
    /// Sixteen hexadecimal digits over the hardware, without driver and CUDA, so that a calibration from before an update is
    /// found, and refused by name. FNV-1a, 64 bits.
    [[nodiscard]] std::string digest() const {
        std::uint64_t hash = 0xcbf29ce484222325ull;
        for (const fact& each : facts) {
            if (each.name == "driver" || each.name == "cuda") continue;
            for (const std::string& part : {each.name, each.said, std::string("\n")})
                for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
        }
        std::string digits;
        for (int shift = 60; shift >= 0; shift -= 4) digits += "0123456789abcdef"[(hash >> shift) & 0xf];
        return digits;
    }
    friend bool operator==(const hardware_key&, const hardware_key&) = default;
};

/// Reads what `hardware_key::text` writes; lines of another form are taken for facts without a name.
[[nodiscard]] inline hardware_key parse_hardware_key(std::string_view lines) {
    hardware_key key;
    while (!lines.empty()) {
        const std::size_t end = lines.find('\n');
        const std::string_view line = lines.substr(0, end);
        lines = end == std::string_view::npos ? std::string_view() : lines.substr(end + 1);
        // A name may hold colons, but none that a space follows.
        const std::size_t colon = line.find(": ");
        if (colon == std::string_view::npos)
            key.facts.push_back({"", std::string(line)});
        else
            key.facts.push_back({std::string(line.substr(0, colon)), std::string(line.substr(colon + 2))});
    }
    return key;
}

/// The key of a machine. `driver` and `cuda` are versions as whoever asked them wrote them; empty where unknown. GPUs in the
/// order of their slots, so that it does not depend on which of them CUDA shows.
[[nodiscard]] inline hardware_key hardware_key_of(const machine& m, std::string driver, std::string cuda) {
    const auto one_line = [](std::string said) {
        for (char& c : said)
            if (c == '\n' || c == '\r') c = ' ';
        return said;
    };
    constexpr const char* hex = "0123456789abcdef";
    const auto number = [&](std::uint16_t value) {
        std::string digits;
        for (int shift = 12; shift >= 0; shift -= 4) digits += hex[(value >> shift) & 0xf];
        return digits;
    };
    hardware_key key;
    std::string memories;
    for (const node& each : m.nodes) {
        if (each.kind == node_kind::gpu) {
            const std::string at = each.pci.known ? to_string(each.pci) : std::to_string(each.index);
            key.facts.push_back(
                {"gpu " + at, number(each.vendor) + ":" + number(each.device) + " " + one_line(each.name)});
        } else if (each.kind == node_kind::package) {
            key.facts.push_back({"cpu " + each.id(), one_line(each.name)});
        } else if (each.kind == node_kind::memory) {
            memories += (memories.empty() ? "" : ",") + std::to_string(each.index);
        }
    }
    std::sort(key.facts.begin(), key.facts.end(),
              [](const hardware_key::fact& a, const hardware_key::fact& b) { return a.name < b.name; });
    key.facts.push_back({"numa", memories});
    key.facts.push_back({"virtualized", m.virtualized ? "yes" : "no"});
    key.facts.push_back({"driver", one_line(std::move(driver))});
    key.facts.push_back({"cuda", one_line(std::move(cuda))});
    return key;
}

/// The first fact in which two keys differ, in words: `driver was 570.1, is 580.2`. Empty when they are the same.
[[nodiscard]] inline std::string difference(const hardware_key& before, const hardware_key& now) {
    const auto find = [](const hardware_key& key, const std::string& name) -> const hardware_key::fact* {
        for (const hardware_key::fact& each : key.facts)
            if (each.name == name) return &each;
        return nullptr;
    };
    for (const hardware_key::fact& each : before.facts) {
        const hardware_key::fact* other = find(now, each.name);
        if (!other) return each.name + " (" + each.said + ") is gone";
        if (other->said != each.said) return each.name + " was " + each.said + ", is " + other->said;
    }
    for (const hardware_key::fact& each : now.facts)
        if (!find(before, each.name)) return each.name + " (" + each.said + ") is new";
    return {};
}

BARELINK_END_NAMESPACE
