// Driver entry points: the functions of the simulated driver by their names.
#include "driver.hpp"
#include "process.hpp"

using simcuda::call;
using simcuda::process;

namespace {

cudaError_t look_up(const char* symbol, void** function, cudaDriverEntryPointQueryResult* found) {
    if (!symbol || !function) return cudaErrorInvalidValue;
    *function = simcuda::driver_function(symbol);
    if (!found) return *function ? cudaSuccess : cudaErrorSymbolNotFound;
    *found = *function ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess;
}

} // namespace

extern "C" {

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
    return call(__func__, [&](process&) { return look_up(symbol, function, found); });
}

#if CUDART_VERSION < 13000
cudaError_t cudaGetDriverEntryPoint(const char* symbol, void** function, unsigned long long,
                                    cudaDriverEntryPointQueryResult* found) {
    return call(__func__, [&](process&) { return look_up(symbol, function, found); });
}
#else
// Deprecated since, and declared so; still exported.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
cudaError_t cudaGetDriverEntryPoint(const char* symbol, void** function, unsigned long long,
                                    cudaDriverEntryPointQueryResult* found) {
    return call(__func__, [&](process&) { return look_up(symbol, function, found); });
}
#pragma GCC diagnostic pop
#endif

} // extern "C"
