// The four system calls about NUMA placement, answered for the simulated machine: 0, or an error number below 0.
#pragma once

#include <cstdint>

namespace simcuda::numa {

[[nodiscard]] long mbind(std::uintptr_t base, unsigned long bytes, long mode, const unsigned long* mask,
                         unsigned long bits, unsigned flags);
[[nodiscard]] long set_mempolicy(long mode, const unsigned long* mask, unsigned long bits);
[[nodiscard]] long get_mempolicy(int* mode, unsigned long* mask, unsigned long bits, std::uintptr_t address,
                                 unsigned long flags);
/// `nodes` may be null: then only asked. For this process only.
[[nodiscard]] long move_pages(unsigned long count, void* const* pages, const int* nodes, int* status);

} // namespace simcuda::numa
