// Build switches, read once here and turned into constants. Nothing else in the library looks at a macro of its own.
#pragma once

#ifndef BARELINK_EXCEPTIONS
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#define BARELINK_EXCEPTIONS 1
#else
#define BARELINK_EXCEPTIONS 0
#endif
#endif

// The inline namespace is the ABI: v0 is bumped when a type's layout changes, and every switch that changes inline code
// adds a tag, so that two translation units built differently link together without sharing a definition.
#if BARELINK_EXCEPTIONS
#define BARELINK_ABI v0
#else
#define BARELINK_ABI v0_noexceptions
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

BARELINK_END_NAMESPACE
