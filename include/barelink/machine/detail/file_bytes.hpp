// Whole files in and out of memory.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <barelink/core/result.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// The bytes of a file, one more than `limit` at most, so that the caller sees what is too large. Errors:
/// invalid_argument (no path), not_found, io (a directory, or it cannot be read).
[[nodiscard]] inline result<std::string> read_file(const char* path, std::size_t limit) {
    if (!path || !*path) return error(errc::invalid_argument, "a file name is needed");
    std::FILE* file = std::fopen(path, "rb");
    if (!file) {
        const int native = errno;
        return error(native == ENOENT ? errc::not_found : errc::io,
                     text::join({path, " cannot be opened: ", std::strerror(native)}))
            .about(path)
            .natively(native);
    }
    struct stat about {};
    if (::fstat(::fileno(file), &about) == 0 && S_ISDIR(about.st_mode)) {
        std::fclose(file);
        return error(errc::io, text::join({path, " is a directory: give a file in it"})).about(path);
    }
    // One block of the file's size, when it has one; pipes and devices come in pieces.
    std::string bytes;
    const bool sized = S_ISREG(about.st_mode) && about.st_size > 0;
    const std::size_t block = sized && static_cast<std::size_t>(about.st_size) < limit
                                  ? static_cast<std::size_t>(about.st_size) + 1
                                  : std::size_t{1} << 20;
    for (std::size_t done = 0, got = block; got == block && done <= limit; done += got) {
        bytes.resize(done + block);
        got = std::fread(bytes.data() + done, 1, block, file);
        if (got < block) bytes.resize(done + got);
    }
    const int native = errno;
    const bool failed = std::ferror(file) != 0;
    std::fclose(file);
    if (failed)
        return error(errc::io, text::join({path, " cannot be read: ", std::strerror(native)}))
            .about(path)
            .natively(native);
    return bytes;
}

/// Writes a file so that nobody ever sees half of it: under a temporary name beside it, then renamed. A link of that name is
/// replaced, not followed. `mode`: who may read it, before the process's umask. Errors: io.
[[nodiscard]] inline status write_file(const char* path, const std::string& bytes, ::mode_t mode = 0666) {
    const std::string temporary = std::string(path) + ".tmp." + std::to_string(::getpid());
    const auto fail = [&](const char* what, int native) {
        return error(errc::io, text::join({path, what, std::strerror(native)})).about(path).natively(native);
    };
    ::unlink(temporary.c_str()); // left by a process that died and had our number
    const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file < 0) return fail(" cannot be written: ", errno);
    int native = 0;
    for (std::size_t done = 0; done < bytes.size() && native == 0;) {
        const ssize_t wrote = ::write(file, bytes.data() + done, bytes.size() - done);
        if (wrote > 0)
            done += static_cast<std::size_t>(wrote);
        else if (errno != EINTR)
            native = wrote < 0 ? errno : EIO;
    }
    if (native == 0 && ::fsync(file) != 0 && errno != EINVAL) native = errno;
    if (::close(file) != 0 && native == 0) native = errno;
    if (native == 0 && ::rename(temporary.c_str(), path) != 0) native = errno;
    if (native == 0) return {};
    ::unlink(temporary.c_str());
    return fail(" cannot be written: ", native);
}

/// A machine's name from its file's: no folders, no ending.
[[nodiscard]] inline std::string file_stem(const char* path) {
    std::string stem = path ? path : "";
    if (const std::size_t slash = stem.find_last_of('/'); slash != std::string::npos) stem.erase(0, slash + 1);
    if (const std::size_t dot = stem.find_last_of('.'); dot != std::string::npos && dot > 0) stem.erase(dot);
    return stem;
}

} // namespace detail
BARELINK_END_NAMESPACE
