// Where the tool writes: files with clear errors, a terminal with colours, a pipe without.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <system_error>

#include <unistd.h>

#include <barelink/core/result.hpp>

namespace tool {

/// Writes a file in one go. Errors: io, with the system's reason.
inline void write_file(const std::string& path, const std::string& content) {
    const auto refuse = [&](int code) {
        const std::string why = std::generic_category().message(code);
        barelink::detail::raise(
            barelink::error(barelink::errc::io,
                            barelink::text::join({"cannot write '", path.c_str(), "': ", why.c_str(),
                                                  "; name a file in a folder you may write to"}))
                .about(path.c_str())
                .natively(code));
    };
    std::FILE* file = std::fopen(path.c_str(), "wb");
    if (!file) return refuse(errno);
    const bool written = std::fwrite(content.data(), 1, content.size(), file) == content.size();
    const int code = errno;
    if (std::fclose(file) != 0) return refuse(errno);
    if (!written) return refuse(code);
}

/// Ends the command with one line on stderr.
[[noreturn]] inline void refuse(barelink::errc code, const std::string& why) {
    barelink::detail::raise(barelink::error(code, why.c_str()));
}

inline void print(const std::string& said) {
    std::fwrite(said.data(), 1, said.size(), stdout);
}

/// What a command found: as text, and as JSON into `json_file` where one is named; for `-` as JSON instead of text. `make_json()` gives
/// something with a `dump`, `make_text()` a string; neither is called for nothing.
template <class Json, class Text>
void show(const std::string& json_file, Json make_json, Text make_text) {
    const std::string as_json = json_file.empty() ? std::string() : make_json().dump(2) + "\n";
    if (json_file == "-") return print(as_json);
    if (!json_file.empty()) write_file(json_file, as_json);
    print(make_text());
}

/// A line for people beside the output: to stderr, so that pipes and JSON stay clean.
inline void remark(const std::string& said) {
    std::fprintf(stderr, "%s\n", said.c_str());
}

/// Colours only on a terminal, and not when NO_COLOR is set to anything (no-color.org) or the terminal is dumb.
inline bool colours() {
    const char* refused = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    return ::isatty(STDOUT_FILENO) == 1 && !(refused && *refused) && terminal && std::strcmp(terminal, "dumb") != 0;
}

} // namespace tool
