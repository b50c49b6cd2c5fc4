// What doctor found, for people: worst first, each with its evidence, its cost and the way out.
#pragma once

#include <cctype>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/finding.hpp>
#include <barelink/report/text_table.hpp>

BARELINK_BEGIN_NAMESPACE

/// How many findings there are of each level.
struct finding_counts {
    std::size_t fail = 0, warn = 0, unknown = 0, info = 0, ok = 0;
};
[[nodiscard]] inline finding_counts count_findings(const std::vector<finding>& all) noexcept {
    finding_counts counts;
    for (const finding& each : all) switch (each.level) {
        case severity::fail: ++counts.fail; break;
        case severity::warn: ++counts.warn; break;
        case severity::unknown: ++counts.unknown; break;
        case severity::info: ++counts.info; break;
        case severity::ok: ++counts.ok; break;
        }
    return counts;
}

/// `2 failures, 3 warnings, 5 unknown, 2 notes, 21 ok`: what there is none of is left out, but for failures and warnings.
[[nodiscard]] inline std::string findings_summary(const std::vector<finding>& all) {
    const finding_counts counts = count_findings(all);
    std::string said = fmt::format("{} {}, {} {}", counts.fail, counts.fail == 1 ? "failure" : "failures", counts.warn,
                                   counts.warn == 1 ? "warning" : "warnings");
    if (counts.unknown > 0) said += fmt::format(", {} unknown", counts.unknown);
    if (counts.info > 0) said += fmt::format(", {} {}", counts.info, counts.info == 1 ? "note" : "notes");
    if (counts.ok > 0) said += fmt::format(", {} ok", counts.ok);
    return said;
}

namespace detail {

/// Words on lines of at most `width` columns, each after `indent` blanks; the first line goes on at `first`. A word that is
/// too long has a line of its own. Ends with a line break.
[[nodiscard]] inline std::string wrapped(const std::string& said, std::size_t indent, std::size_t first,
                                         std::size_t width) {
    std::string out;
    std::size_t column = first;
    bool fresh = true;
    for (std::size_t at = 0; at < said.size();) {
        std::size_t end = said.find(' ', at);
        if (end == std::string::npos) end = said.size();
        const std::string word = said.substr(at, end - at);
        at = end + 1;
        if (word.empty()) continue;
        const std::size_t wide = text_width(word);
        if (!fresh && column + 1 + wide > width) {
            out += '\n' + std::string(indent, ' ');
            column = indent;
            fresh = true;
        }
        if (!fresh) {
            out += ' ';
            ++column;
        }
        out += word;
        column += wide;
        fresh = false;
    }
    return out + '\n';
}

/// `VRT-06 jitter, gpu:0`.
[[nodiscard]] inline std::string finding_heading(const finding& f) {
    return f.id + ' ' + f.title + (f.object.empty() ? "" : ", " + f.object);
}

/// A warning or failure in full.
[[nodiscard]] inline std::string full_finding(const finding& f, text_style style, std::size_t width) {
    const bool failed = f.level == severity::fail;
    std::string out = failed ? style.bad(style.bold("FAIL")) : style.bold("WARN");
    out += "  " + style.bold(finding_heading(f)) + '\n';
    const auto part = [&](const char* name, const std::string& said) {
        if (said.empty()) return;
        out += "      " + style.dim(fmt::format("{:<9}", name)) + wrapped(said, 15, 15, width);
    };
    part("found", f.evidence);
    part("limit", f.limit);
    part("cost", f.cost);
    part("remedy", f.remedy);
    part("barelink", f.reaction);
    return out + '\n';
}

/// Reasons that differ by nothing but PCI addresses are one: `0000:1b:00.0` becomes `*`.
[[nodiscard]] inline std::string without_addresses(const std::string& reason) {
    constexpr const char* shape = "xxxx:xx:xx.x";
    std::string out;
    for (std::size_t at = 0; at < reason.size();) {
        std::size_t length = 0;
        while (shape[length] && at + length < reason.size() &&
               (shape[length] == 'x' ? std::isxdigit(static_cast<unsigned char>(reason[at + length])) != 0
                                     : reason[at + length] == shape[length]))
            ++length;
        const bool address = shape[length] == '\0';
        out += address ? '*' : reason[at];
        at += address ? length : 1;
    }
    return out;
}

/// `VRT-09, PCI-01 (gpu:0, gpu:1)`: each check once.
[[nodiscard]] inline std::string listed_checks(const std::vector<const finding*>& alike, bool with_objects) {
    std::string out;
    for (std::size_t i = 0; i < alike.size(); ++i) {
        bool told = false;
        for (std::size_t before = 0; before < i; ++before) told = told || alike[before]->id == alike[i]->id;
        if (told) continue;
        out += (out.empty() ? "" : ", ") + alike[i]->id;
        std::string objects;
        for (std::size_t same = i; with_objects && same < alike.size(); ++same)
            if (alike[same]->id == alike[i]->id && !alike[same]->object.empty())
                objects += (objects.empty() ? "" : ", ") + alike[same]->object;
        if (!objects.empty()) out += " (" + objects + ')';
    }
    return out;
}

} // namespace detail

/// All findings, in their order, which is worst first: failures and warnings in full; unknown ones together by their reason;
/// notes in a line or two; ok ones by id. `width`: columns of the terminal.
[[nodiscard]] inline std::string doctor_text(const std::vector<finding>& all, text_style style = {},
                                             std::size_t width = 100) {
    if (width < 48) width = 48;
    std::string out = style.bold(findings_summary(all)) + "\n\n";
    for (const finding& each : all)
        if (each.level == severity::fail || each.level == severity::warn)
            out += detail::full_finding(each, style, width);

    std::vector<std::pair<std::string, std::vector<const finding*>>> reasons; // and the findings that have it
    for (const finding& each : all) {
        if (each.level != severity::unknown) continue;
        std::vector<const finding*>* alike = nullptr;
        for (auto& [why, who] : reasons)
            if (why == detail::without_addresses(each.evidence)) alike = &who;
        if (!alike)
            alike =
                &reasons.emplace_back(detail::without_addresses(each.evidence), std::vector<const finding*>()).second;
        alike->push_back(&each);
    }
    if (!reasons.empty()) out += style.bold("unknown") + style.dim(": could not be judged, which is not ok") + '\n';
    for (const auto& [why, who] : reasons)
        out += "      " + detail::wrapped(detail::listed_checks(who, true) + ": " +
                                              (who.size() == 1 ? who.front()->evidence : why),
                                          8, 6, width);
    if (!reasons.empty()) out += '\n';

    bool any = false;
    for (const finding& each : all) {
        if (each.level != severity::info) continue;
        if (!any) out += style.bold("notes") + '\n';
        any = true;
        out += "      " + detail::wrapped(detail::finding_heading(each) + ": " + each.evidence, 8, 6, width);
    }
    if (any) out += '\n';

    std::vector<const finding*> good;
    for (const finding& each : all)
        if (each.level == severity::ok) good.push_back(&each);
    if (!good.empty())
        out += style.good(style.bold("ok")) + "    " + detail::wrapped(detail::listed_checks(good, false), 6, 6, width);
    return out;
}

BARELINK_END_NAMESPACE
