// The one error type: what failed, on which object, and the way out.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <barelink/core/config.hpp>
#include <barelink/core/text.hpp>

BARELINK_BEGIN_NAMESPACE

/// Kinds of failure, coarse enough to branch on.
enum class errc : std::uint8_t {
    invalid_argument, ///< the caller's values contradict each other or the machine
    not_found,        ///< a machine, GPU, NUMA node or file that is not there
    io,               ///< reading or writing a file failed
    parse,            ///< a file is not what it claims to be
    unsupported,      ///< understood, and not possible here
    out_of_memory,    ///< host, pinned or device memory
    not_permitted,    ///< the system or peer access refused
    not_delivered,    ///< a copy reported success and the bytes did not arrive
    device,           ///< a CUDA call failed; `native()` holds its code
    cancelled,        ///< the caller stopped it
};

[[nodiscard]] constexpr const char* to_string(errc code) noexcept {
    switch (code) {
    case errc::invalid_argument: return "invalid argument";
    case errc::not_found: return "not found";
    case errc::io: return "input/output";
    case errc::parse: return "parse";
    case errc::unsupported: return "unsupported";
    case errc::out_of_memory: return "out of memory";
    case errc::not_permitted: return "not permitted";
    case errc::not_delivered: return "not delivered";
    case errc::device: return "device";
    case errc::cancelled: return "cancelled";
    }
    return "unknown";
}

/// A failure. Thrown by `result::value()`, otherwise passed as a value. Building one allocates; nothing on a path that
/// succeeds ever does.
class error : public std::exception {
public:
    /// `message` says what happened and what to do about it, in one line, without a final stop.
    error(errc code, text message) : code_(code), message_(std::move(message)) {}

    [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }
    [[nodiscard]] errc code() const noexcept { return code_; }
    /// The object it is about: a file name, `gpu:3`, a link id. Empty when there is none.
    [[nodiscard]] const char* object() const noexcept { return object_.c_str(); }
    /// GPU index, -1 when no GPU is involved.
    [[nodiscard]] int device() const noexcept { return device_; }
    /// Bytes that were asked for, 0 when that makes no sense.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    /// Native code (`cudaError_t`, `errno`), 0 when there is none.
    [[nodiscard]] int native() const noexcept { return native_; }

    error& about(text object) & {
        object_ = std::move(object);
        return *this;
    }
    error&& about(text object) && { return std::move(about(std::move(object))); }
    error&& on_device(int device) && {
        device_ = device;
        return std::move(*this);
    }
    error&& asking(std::uint64_t bytes) && {
        bytes_ = bytes;
        return std::move(*this);
    }
    error&& natively(int native) && {
        native_ = native;
        return std::move(*this);
    }

private:
    errc code_;
    text message_;
    text object_;
    int device_ = -1;
    std::uint64_t bytes_ = 0;
    int native_ = 0;
};

namespace detail {

/// Throws, or without exceptions prints the message and aborts: the only place where the library ends a program.
[[noreturn]] inline void raise(error failure) {
#if BARELINK_EXCEPTIONS
    throw failure;
#else
    std::fprintf(stderr, "barelink: %s\n", failure.what());
    std::abort();
#endif
}

} // namespace detail

BARELINK_END_NAMESPACE
