// The few functions of the simulated driver.
#pragma once

namespace simcuda {

/// nullptr for a function that the simulated driver does not have.
[[nodiscard]] void* driver_function(const char* name) noexcept;

} // namespace simcuda
