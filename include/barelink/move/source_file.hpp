// Files to load from and to store into: open, and known in what way they can be read and written.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <barelink/core/result.hpp>
#include <barelink/move/detail/file_alignment.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// What the system says about a file, as an error with the file's name.
[[nodiscard]] inline error file_error(const char* path, const char* doing, int native) {
    const errc code = native == ENOENT || native == ENOTDIR                    ? errc::not_found
                      : native == EACCES || native == EPERM || native == EROFS ? errc::not_permitted
                                                                               : errc::io;
    return error(code, text::join({path, " ", doing, ": ", std::strerror(native)})).about(path).natively(native);
}

/// Owns a descriptor. -1 is none.
class file_handle {
public:
    file_handle() noexcept = default;
    explicit file_handle(int descriptor) noexcept : descriptor_(descriptor) {}
    file_handle(file_handle&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    file_handle& operator=(file_handle other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~file_handle() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    [[nodiscard]] int get() const noexcept { return descriptor_; }

private:
    int descriptor_ = -1;
};

/// The same file again, past the page cache; none where the file system refuses, or the name means another file by now.
[[nodiscard]] inline file_handle open_direct(const char* path, int flags, const struct stat& same) noexcept {
    file_handle direct(::open(path, flags | O_DIRECT | O_CLOEXEC));
    struct stat about {};
    if (direct.get() < 0 || ::fstat(direct.get(), &about) != 0) return {};
    return about.st_dev == same.st_dev && about.st_ino == same.st_ino ? std::move(direct) : file_handle();
}

} // namespace detail

/// A regular file, open for reading. Owns its descriptors. Movable. Reads of several threads and jobs may share it.
class source_file {
public:
    /// Errors: invalid_argument (no path), not_found, not_permitted, io (not a regular file, or what the system says).
    [[nodiscard]] static result<source_file> open(const char* path);

    [[nodiscard]] const char* path() const noexcept { return path_.c_str(); }
    /// Its size when it was opened.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    /// For ordinary reads; borrowed.
    [[nodiscard]] int descriptor() const noexcept { return buffered_.get(); }
    /// For reads past the page cache, -1 where the file system has none; borrowed.
    [[nodiscard]] int direct_descriptor() const noexcept { return direct_.get(); }
    /// What offsets, sizes and addresses of such reads must be multiples of; a power of two, at least 4 KiB.
    [[nodiscard]] std::uint64_t alignment() const noexcept { return alignment_; }

private:
    source_file() noexcept = default;

    text path_;
    detail::file_handle buffered_, direct_;
    std::uint64_t bytes_ = 0, alignment_ = 0;
};

/// A file that is being written, as PATH.partial until it is whole: `commit` gives it its name. Owns its descriptors; the
/// destructor removes what was not committed. Movable.
class target_file {
public:
    /// Begins with an empty PATH.partial, also where one was left behind. What PATH holds stays until `commit`.
    /// Errors: invalid_argument (no path), not_found (its folder), not_permitted, io (PATH is no regular file, the system).
    [[nodiscard]] static result<target_file> create(const char* path);
    target_file(target_file&& other) noexcept = default;
    target_file& operator=(target_file&& other) noexcept {
        if (this == &other) return *this;
        discard();
        path_ = std::move(other.path_);
        partial_ = std::move(other.partial_);
        buffered_ = std::move(other.buffered_);
        direct_ = std::move(other.direct_);
        alignment_ = other.alignment_;
        return *this;
    }
    ~target_file() { discard(); }

    [[nodiscard]] const char* path() const noexcept { return path_.c_str(); }
    [[nodiscard]] const char* partial_path() const noexcept { return partial_.c_str(); }
    [[nodiscard]] int descriptor() const noexcept { return buffered_.get(); }
    [[nodiscard]] int direct_descriptor() const noexcept { return direct_.get(); }
    [[nodiscard]] std::uint64_t alignment() const noexcept { return alignment_; }
    /// It was neither committed nor discarded.
    [[nodiscard]] bool is_open() const noexcept { return buffered_.get() >= 0; }

    /// Reserves room, so that a full disk shows before anything is written; no error where the file system cannot.
    /// Errors: io (no room, beyond a quota or the largest file).
    [[nodiscard]] status reserve(std::uint64_t bytes) {
        if (bytes == 0 || ::fallocate(buffered_.get(), 0, 0, static_cast<off_t>(bytes)) == 0) return {};
        if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR) return {};
        return detail::file_error(path(), "has no room", errno).asking(bytes);
    }
    /// Blocks until what was written is on the disk. Errors: io, not_permitted.
    [[nodiscard]] status sync() {
        if (!is_open())
            return error(errc::invalid_argument, "the file was committed or discarded before").about(path());
        return ::fsync(descriptor()) == 0 ? status() : detail::file_error(path(), "could not be completed", errno);
    }
    /// Blocks until all of it is on the disk under its name. Errors: those of `sync`, and then the file is discarded.
    [[nodiscard]] status commit();
    /// Removes it. Done twice it does nothing.
    void discard() noexcept {
        if (!is_open()) return;
        close();
        (void)::unlink(partial_path());
    }

private:
    target_file() noexcept = default;
    void close() noexcept {
        buffered_ = {};
        direct_ = {};
    }

    text path_, partial_;
    detail::file_handle buffered_, direct_;
    std::uint64_t alignment_ = 0;
};

inline result<source_file> source_file::open(const char* path) {
    if (!path || !*path) return error(errc::invalid_argument, "a file name is needed");
    source_file made;
    made.path_ = path;
    // A pipe without a writer would keep the caller waiting.
    made.buffered_ = detail::file_handle(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat about {};
    if (made.descriptor() < 0 || ::fstat(made.descriptor(), &about) != 0)
        return detail::file_error(path, "cannot be opened", errno);
    if (!S_ISREG(about.st_mode))
        return error(errc::io, text::join({path, S_ISDIR(about.st_mode) ? " is a directory: give a file in it"
                                                                        : " is no regular file: copy it into one"}))
            .about(path);
    (void)::fcntl(made.descriptor(), F_SETFL, 0);
    made.bytes_ = static_cast<std::uint64_t>(about.st_size);
    made.alignment_ = detail::direct_alignment(made.descriptor());
    if (made.alignment_ > 0) made.direct_ = detail::open_direct(path, O_RDONLY, about);
    if (made.alignment_ == 0) made.alignment_ = detail::least_alignment;
    return result<source_file>(std::move(made));
}

inline result<target_file> target_file::create(const char* path) {
    if (!path || !*path) return error(errc::invalid_argument, "a file name is needed");
    struct stat about {};
    if (::stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return error(errc::io, text::join({path, " is there and no regular file: choose another name"})).about(path);
    target_file made;
    made.path_ = path;
    made.partial_ = text::join({path, ".partial"});
    made.buffered_ =
        detail::file_handle(::open(made.partial_path(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (made.descriptor() < 0 || ::fstat(made.descriptor(), &about) != 0)
        return detail::file_error(made.partial_path(), "cannot be written", errno);
    made.alignment_ = detail::direct_alignment(made.descriptor());
    if (made.alignment_ > 0) made.direct_ = detail::open_direct(made.partial_path(), O_RDWR, about);
    if (made.alignment_ == 0) made.alignment_ = detail::least_alignment;
    return result<target_file>(std::move(made));
}

inline status target_file::commit() {
    if (auto done = sync(); !done) {
        discard();
        return done;
    }
    if (::rename(partial_path(), path()) != 0) {
        const int native = errno;
        discard();
        return detail::file_error(path(), "could not be given its name", native);
    }
    close();
    // The name is on the disk when its folder is.
    const char* const slash = std::strrchr(path(), '/');
    const text folder = slash ? text(path(), static_cast<std::size_t>(slash - path()) + 1) : text(".");
    const detail::file_handle parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent.get() >= 0 && ::fsync(parent.get()) != 0 && errno != EINVAL)
        return detail::file_error(path(), "is whole, but its folder is not on the disk", errno);
    return {};
}

BARELINK_END_NAMESPACE
