// Where a figure comes from. Every rate in a machine carries it, and every plan says which it rests on.
#pragma once

#include <cstdint>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// Ordered from weakest to strongest.
enum class evidence : std::uint8_t {
    assumed,  ///< a table: data sheet or somebody else's machine
    read,     ///< hwloc, sysfs, a topology file or a CUDA query on this machine
    measured, ///< calibration on this machine
};

[[nodiscard]] constexpr const char* to_string(evidence e) noexcept {
    switch (e) {
    case evidence::assumed: return "assumed";
    case evidence::read: return "read";
    case evidence::measured: return "measured";
    }
    return "assumed";
}

/// Whether bytes are known to arrive over a GPU-to-GPU path. Host paths are always `proved`.
enum class delivery : std::uint8_t {
    assumed,  ///< a machine that is not this one: built in, or read from a capture
    proved,   ///< a nonce was copied and checked by the owning GPU
    unproved, ///< granted by a query, or unknown; no plan uses it unless the caller says so
    failed,   ///< granted, and the bytes did not arrive
};

[[nodiscard]] constexpr const char* to_string(delivery d) noexcept {
    switch (d) {
    case delivery::assumed: return "assumed";
    case delivery::proved: return "proved";
    case delivery::unproved: return "unproved";
    case delivery::failed: return "failed";
    }
    return "unproved";
}

BARELINK_END_NAMESPACE
