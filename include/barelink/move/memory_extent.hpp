// The whole stretch of memory that an address lies in: what a thousand addresses are checked against with one question.
#pragma once

#include <cstdint>

#include <barelink/move/placement.hpp>

BARELINK_BEGIN_NAMESPACE

/// One allocation, or one piece of page-locked memory: no copy command may cross its end.
struct memory_extent {
    std::uintptr_t base = 0;
    /// 0: not known. So it is for pageable memory, whose ranges must be classified one by one.
    std::uint64_t bytes = 0;
    /// Of the first byte. A piece of memory that was page-locked in pieces has no pieces itself.
    placement where;
    /// Added to an address in it, gives the address by which GPUs read and write it. Not 0 only for registered host memory
    /// on systems where the two differ; copy engines take either.
    std::uint64_t device_offset = 0;

    [[nodiscard]] bool holds(std::uintptr_t address) const noexcept { return address - base < bytes; }
    /// Bytes from an address in it to its end.
    [[nodiscard]] std::uint64_t room(std::uintptr_t address) const noexcept { return base + bytes - address; }
};

BARELINK_END_NAMESPACE
