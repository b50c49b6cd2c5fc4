// Where calibrations are kept: a folder of the user's, a file for each hardware, closed to others.
#pragma once

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <barelink/machine/detail/file_bytes.hpp>
#include <barelink/measure/hardware_key.hpp>

BARELINK_BEGIN_NAMESPACE

/// `$XDG_CACHE_HOME/barelink`, else `$HOME/.cache/barelink`; empty when neither is an absolute path. Looks at nothing else.
[[nodiscard]] inline std::string calibration_folder() {
    // As the XDG base directory specification says: a relative path is ignored.
    const char* cache = std::getenv("XDG_CACHE_HOME");
    if (cache && *cache == '/') return std::string(cache) + "/barelink";
    const char* home = std::getenv("HOME");
    return home && *home == '/' ? std::string(home) + "/.cache/barelink" : std::string();
}
/// The file for some hardware, in `calibration_folder()`; empty without a folder.
[[nodiscard]] inline std::string calibration_file(const hardware_key& hardware) {
    const std::string folder = calibration_folder();
    return folder.empty() ? folder : folder + "/" + hardware.digest() + ".xml";
}

namespace detail {

/// A folder that nobody else may write, and no link to one. Errors: not_found, not_permitted.
[[nodiscard]] inline status check_own_folder(const std::string& folder) {
    struct stat about {};
    if (::lstat(folder.c_str(), &about) != 0)
        return error(errc::not_found, text::join({folder.c_str(), ": ", std::strerror(errno)})).about(folder.c_str());
    const auto refuse = [&](const char* why) {
        return error(errc::not_permitted, text::join({folder.c_str(), " ", why})).about(folder.c_str());
    };
    if (!S_ISDIR(about.st_mode)) return refuse("is not a folder: calibrations are not kept through links");
    if (about.st_uid != ::geteuid()) return refuse("belongs to somebody else");
    if ((about.st_mode & 022) != 0) return refuse("may be written by others: chmod go-w it");
    return {};
}

} // namespace detail

/// Writes a file into the cache, whole or not at all, for the user alone; makes the folder when there is none. `path` is
/// `calibration_file(...)`. A link of that name is replaced, not followed.
/// Errors: not_found (no home folder), not_permitted (a folder of others, or a link), io.
[[nodiscard]] inline status write_calibration(const std::string& path, const std::string& bytes) {
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos || slash == 0)
        return error(errc::not_found, "there is no folder for calibrations: set XDG_CACHE_HOME or HOME");
    const std::string folder = path.substr(0, slash);
    // The folders above are the user's as they are; what is missing is made for the user alone.
    for (std::size_t at = folder.find('/', 1);; at = folder.find('/', at + 1)) {
        const std::string part = folder.substr(0, at);
        if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
            return error(errc::io, text::join({part.c_str(), " cannot be made: ", std::strerror(errno)}))
                .about(part.c_str())
                .natively(errno);
        if (at == std::string::npos) break;
    }
    if (auto own = detail::check_own_folder(folder); !own) return own;
    return detail::write_file(path.c_str(), bytes, 0600);
}

/// Reads a file of the cache. Errors: not_found, not_permitted (a folder or file of others, or a link), io (too large).
[[nodiscard]] inline result<std::string> read_calibration(const std::string& path) {
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos || slash == 0) return error(errc::not_found, "there is no folder for calibrations");
    if (auto own = detail::check_own_folder(path.substr(0, slash)); !own) return own.error();
    const int file = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        const int native = errno;
        if (native == ELOOP)
            return error(errc::not_permitted, text::join({path.c_str(), " is a link: it is not followed"}))
                .about(path.c_str());
        return error(native == ENOENT ? errc::not_found : errc::io,
                     text::join({path.c_str(), " cannot be opened: ", std::strerror(native)}))
            .about(path.c_str())
            .natively(native);
    }
    constexpr std::size_t most_bytes = 16u << 20; // a machine of 16 GPUs takes 60 kB
    std::string bytes;
    struct stat about {};
    bool good = ::fstat(file, &about) == 0 && S_ISREG(about.st_mode) && about.st_uid == ::geteuid() &&
                about.st_size >= 0 && static_cast<std::size_t>(about.st_size) <= most_bytes;
    char piece[4096];
    for (ssize_t got = 1; good && got != 0 && bytes.size() <= most_bytes;) {
        got = ::read(file, piece, sizeof piece);
        if (got > 0) bytes.append(piece, static_cast<std::size_t>(got));
        if (got < 0) good = errno == EINTR;
    }
    ::close(file);
    if (!good || bytes.size() > most_bytes)
        return error(errc::io, text::join({path.c_str(), " is no calibration of yours"})).about(path.c_str());
    return bytes;
}

BARELINK_END_NAMESPACE
