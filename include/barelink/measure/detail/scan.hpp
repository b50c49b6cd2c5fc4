// Numbers, words and fields in the text of small system files; figures as text. Private to measure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail::host {

/// Three significant digits, without trailing zeros: `0.72`, `58.2`, `64`, `1500`.
[[nodiscard]] inline std::string figure(double value) {
    char digits[64];
    const double size = value < 0 ? -value : value;
    std::snprintf(digits, sizeof digits, size >= 100 ? "%.0f" : "%.3g", value);
    return digits;
}
[[nodiscard]] inline std::string counted(std::uint64_t count, const char* one, const char* many) {
    return std::to_string(count) + ' ' + (count == 1 ? one : many);
}
/// `64 MiB`: powers of two, rounded down.
[[nodiscard]] inline std::string bytes_text(std::uint64_t bytes) {
    constexpr const char* units[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
    return figure(value) + units[unit];
}

/// Parts of a path or a sentence, one after the other.
[[nodiscard]] inline std::string joined(std::initializer_list<std::string_view> parts) {
    std::string all;
    for (const std::string_view each : parts) all += each;
    return all;
}

/// The whole text as a number, decimal or after `0x`; false when it is none.
[[nodiscard]] inline bool parse(const std::string& text, long long& number) {
    char* end = nullptr;
    number = std::strtoll(text.c_str(), &end, 0);
    while (end && (*end == ' ' || *end == '\n' || *end == '\t')) ++end;
    return end != text.c_str() && *end == '\0';
}

/// Calls `each(line)` for every line of a text.
template <class Each>
void for_lines(std::string_view text, Each each) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        each(text.substr(0, end));
        text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    }
}
/// Calls `each(word)` for every word between blanks.
template <class Each>
void for_words(std::string_view text, Each each, const char* blanks = " \t\n") {
    for (std::size_t at = 0; (at = text.find_first_not_of(blanks, at)) != std::string_view::npos;) {
        std::size_t end = text.find_first_of(blanks, at);
        if (end == std::string_view::npos) end = text.size();
        each(text.substr(at, end - at));
        at = end;
    }
}
[[nodiscard]] inline bool has_word(std::string_view text, std::string_view word) {
    bool found = false;
    for_words(text, [&](std::string_view each) { found = found || each == word; });
    return found;
}
[[nodiscard]] inline bool contains(std::string_view text, std::string_view part) noexcept {
    return text.find(part) != std::string_view::npos;
}

/// The value of the first line `key: value`; blanks around the key and the value do not count. False when there is none.
[[nodiscard]] inline bool field(std::string_view text, std::string_view key, std::string& value) {
    bool found = false;
    for_lines(text, [&](std::string_view line) {
        const std::size_t colon = line.find(':');
        if (found || colon == std::string_view::npos) return;
        std::string_view name = line.substr(0, colon), rest = line.substr(colon + 1);
        const auto trim = [](std::string_view& part) {
            while (!part.empty() && (part.front() == ' ' || part.front() == '\t')) part.remove_prefix(1);
            while (!part.empty() && (part.back() == ' ' || part.back() == '\t' || part.back() == '\r'))
                part.remove_suffix(1);
        };
        trim(name);
        trim(rest);
        if (name != key) return;
        found = true;
        value = std::string(rest);
    });
    return found;
}

/// The number in the first line `key number`, as in `cpu.stat`; false when there is none.
[[nodiscard]] inline bool counter(std::string_view text, std::string_view key, std::uint64_t& value) {
    bool found = false;
    for_lines(text, [&](std::string_view line) {
        if (found || !line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ') return;
        const std::string digits(line.substr(key.size() + 1));
        char* end = nullptr;
        const unsigned long long read = std::strtoull(digits.c_str(), &end, 10);
        found = end != digits.c_str();
        if (found) value = read;
    });
    return found;
}

} // namespace detail::host
BARELINK_END_NAMESPACE
