// Build switches, read once here and turned into constants. Nothing else in the library looks at a macro of its own.
#pragma once

#ifndef BARELINK_EXCEPTIONS
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define BARELINK_EXCEPTIONS 1
#else
#define BARELINK_EXCEPTIONS 0
#endif
#endif

// liburing is compiled in where the program links it: the target barelink::uring says so.
#ifndef BARELINK_LIBURING
#define BARELINK_LIBURING 0
#endif

// The inline namespace is the ABI: v0 is bumped when a type's layout changes, and every switch that changes inline code
// adds a tag, so that two translation units built differently link together without sharing a definition.
#if BARELINK_EXCEPTIONS
#define BARELINK_ABI v0
#else
#define BARELINK_ABI v0_noexceptions
#endif

// The one part that liburing changes has a namespace of its own inside, so that units with and without it share the rest.
#if BARELINK_LIBURING
#define BARELINK_FILE_ABI files_uring
#else
#define BARELINK_FILE_ABI files
#endif

#define BARELINK_BEGIN_NAMESPACE                                                                                       \
    namespace barelink {                                                                                               \
    inline namespace BARELINK_ABI {
#define BARELINK_END_NAMESPACE                                                                                         \
    }                                                                                                                  \
    }

BARELINK_BEGIN_NAMESPACE

/// True when `result::value()` throws `barelink::error`; false when it aborts with the message (-fno-exceptions).
inline constexpr bool exceptions_enabled = BARELINK_EXCEPTIONS != 0;

/// True when loads of files may use io_uring; false when threads read them.
inline constexpr bool liburing_enabled = BARELINK_LIBURING != 0;

BARELINK_END_NAMESPACE
