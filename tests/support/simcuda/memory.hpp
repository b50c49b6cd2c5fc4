// Which allocation an address is in.
#pragma once

#include <cstdint>

#include "process.hpp"

namespace simcuda {

/// `found` is nullptr for pageable memory. Errors: cudaErrorInvalidValue for a range that runs past its allocation, or
/// reaches from pageable memory into one.
[[nodiscard]] cudaError_t locate(process& p, const void* at, std::uint64_t bytes, const allocation*& found,
                                 std::uintptr_t& base);

} // namespace simcuda
