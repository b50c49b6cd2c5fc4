// Writes a page: elements that close themselves in order, text that is escaped. Private to the report layer.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <barelink/report/svg.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Bytes of the code point that begins at `at`; 0 where it is not well-formed UTF-8 (RFC 3629).
[[nodiscard]] inline std::size_t utf8_bytes(std::string_view text, std::size_t at) noexcept {
    const auto byte = [&](std::size_t i) {
        return at + i < text.size() ? static_cast<unsigned>(static_cast<unsigned char>(text[at + i])) : 0u;
    };
    const unsigned first = byte(0), second = byte(1);
    const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0u) == 0x80u; };
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first < 0xe0) return follows(1) ? 2 : 0;
    if (first >= 0xe0 && first < 0xf0) {
        const bool shortest = first != 0xe0 || second >= 0xa0, no_surrogate = first != 0xed || second < 0xa0;
        return follows(1) && follows(2) && shortest && no_surrogate ? 3 : 0;
    }
    if (first >= 0xf0 && first < 0xf5) {
        const bool shortest = first != 0xf0 || second >= 0x90, in_range = first != 0xf4 || second < 0x90;
        return follows(1) && follows(2) && follows(3) && shortest && in_range ? 4 : 0;
    }
    return 0;
}

/// Names and sentences as files give them, fit to be shown: bytes that are not UTF-8 become U+FFFD, control characters
/// (a terminal would act on them) and the marks that reverse the direction of writing become spaces.
[[nodiscard]] inline std::string shown(std::string_view raw) {
    std::string out;
    for (std::size_t at = 0; at < raw.size();) {
        const std::size_t bytes = utf8_bytes(raw, at);
        const std::string_view point = raw.substr(at, bytes == 0 ? 1 : bytes);
        const auto is_between = [&](std::string_view low, std::string_view high) {
            return point.size() == low.size() && point >= low && point <= high;
        };
        const bool control = (bytes == 1 && (static_cast<unsigned char>(raw[at]) < 0x20 || raw[at] == 0x7f)) ||
                             is_between("\xc2\x80", "\xc2\x9f");
        const bool direction = is_between("\xe2\x80\xa8", "\xe2\x80\xae") || is_between("\xe2\x81\xa6", "\xe2\x81\xa9");
        if (bytes == 0)
            out += "\xef\xbf\xbd";
        else if (control || direction || is_between("\xef\xbf\xbe", "\xef\xbf\xbf"))
            out += ' ';
        else
            out += point;
        at += point.size();
    }
    return out;
}

/// Elements in the order in which a reader meets them. `attributes` are written as they are: `class="x"`.
class html_writer {
public:
    void open(std::string_view tag, std::string_view attributes = {}) {
        body_ += fmt::format("<{}{}{}>", tag, attributes.empty() ? "" : " ", attributes);
        open_.emplace_back(tag);
    }
    /// Ends the element opened last.
    void close() {
        if (open_.empty()) return;
        body_ += "</" + open_.back() + ">\n";
        open_.pop_back();
    }
    /// A number and its percent sign stay on one line.
    void text(std::string_view said) {
        std::string kept = xml_escaped(shown(said));
        for (std::size_t at = 0; (at = kept.find(" %", at)) != std::string::npos; at += 2)
            kept.replace(at, 1, "\xc2\xa0");
        body_ += kept;
    }
    void element(std::string_view tag, std::string_view said, std::string_view attributes = {}) {
        open(tag, attributes);
        text(said);
        close();
    }
    /// Markup from this layer's own functions.
    void raw(std::string_view markup) { body_ += markup; }

    /// A table's columns, as shares of its width in percent, and their headings.
    void head(std::initializer_list<int> widths, std::initializer_list<std::string_view> cells) {
        open("colgroup");
        for (const int width : widths) raw(fmt::format("<col style=\"width:{}%\"/>", width));
        close();
        open("thead");
        open("tr");
        for (const std::string_view cell : cells) element("th", cell, "scope=\"col\"");
        close();
        close();
    }

    /// What was written; every element is closed.
    [[nodiscard]] std::string str() {
        while (!open_.empty()) close();
        return body_;
    }

private:
    std::string body_;
    std::vector<std::string> open_;
};

} // namespace detail
BARELINK_END_NAMESPACE
