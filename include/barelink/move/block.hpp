// One entry of a list of scattered blocks.
#pragma once

#include <cstdint>

#include <barelink/core/config.hpp>

BARELINK_BEGIN_NAMESPACE

/// `bytes` bytes from `from` to `to`. Borrows both. An entry of no bytes moves nothing, whatever its addresses.
struct block {
    void* to = nullptr;
    const void* from = nullptr;
    std::uint64_t bytes = 0;
};

BARELINK_END_NAMESPACE
