// What a check found: how bad it is, what was read, what it costs, what to do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// In the order in which a report lists them: worst first is from the end.
enum class severity : std::uint8_t {
    ok,      ///< looked at, and as it should be
    info,    ///< a fact worth knowing
    unknown, ///< the check could not run: nothing is known, which is not "ok"
    warn,    ///< likely costs something
    fail,    ///< costs something now, or makes copies wrong
};

[[nodiscard]] constexpr const char* to_string(severity level) noexcept {
    switch (level) {
    case severity::ok: return "ok";
    case severity::info: return "info";
    case severity::unknown: return "unknown";
    case severity::warn: return "warn";
    case severity::fail: return "fail";
    }
    return "unknown";
}

/// Plain sentences, no line breaks. One check may find several things, one for each object.
struct finding {
    std::string id;    ///< the check's, such as `VRT-05`
    std::string title; ///< the check's, in a few words
    severity level = severity::unknown;
    std::string object;   ///< `gpu:0`, `numa:1`, a file; empty: the machine
    std::string evidence; ///< what was read or measured, with its unit, and where
    std::string limit;    ///< what it was judged by, and the source of that; "project choice" where there is none
    std::string cost;     ///< a cited figure, or "not quantified"
    std::string remedy;   ///< for whoever runs the platform; empty where there is nothing to do
    std::string reaction; ///< what the library itself does about it; empty: nothing

    friend bool operator==(const finding&, const finding&) = default;
};

BARELINK_END_NAMESPACE
