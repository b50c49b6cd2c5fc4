// The calibration of this machine in the user's cache: its key, its file, and taking it over.
#pragma once

#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include <barelink/machine/hwloc_machine_file.hpp>
#include <barelink/measure/adopt_rates.hpp>
#include <barelink/measure/calibration_cache.hpp>

#include "cuda_gpus.hpp"

namespace tool {

/// What this machine is, driver included. Creates no context.
[[nodiscard]] inline barelink::hardware_key hardware_of(const barelink::machine& live) {
    std::string driver, cuda;
    std::ifstream file("/proc/driver/nvidia/version");
    std::getline(file, driver);
#if BARELINK_TOOL_CUDA
    int of_driver = 0, of_runtime = 0;
    (void)cudaDriverGetVersion(&of_driver);
    (void)cudaRuntimeGetVersion(&of_runtime);
    (void)cudaGetLastError();
    cuda = std::to_string(of_driver) + " driver, " + std::to_string(of_runtime) + " runtime";
    if (has_simulated_gpus()) cuda += ", simulated";
#endif
    return barelink::hardware_key_of(live, driver, cuda);
}

/// Errors: not_found where none was saved, not_permitted, io, parse.
[[nodiscard]] inline barelink::result<barelink::machine> saved_calibration(const barelink::hardware_key& hardware) {
    const std::string path = barelink::calibration_file(hardware);
    auto bytes = barelink::read_calibration(path);
    if (!bytes) return bytes.error();
    return barelink::read_hwloc_xml_buffer(bytes->data(), bytes->size(), path.c_str());
}

/// Puts the rates of a saved calibration into this machine and says so in its notes; also, why one was not used. Without one, or
/// with BARELINK_NO_CALIBRATION set, nothing changes.
inline void use_saved_calibration(barelink::machine& live) {
    const char* refused = std::getenv("BARELINK_NO_CALIBRATION");
    if ((refused && *refused) || live.count(barelink::node_kind::gpu) == 0) return;
    const barelink::hardware_key hardware = hardware_of(live);
    auto saved = saved_calibration(hardware);
    if (!saved) {
        if (saved.error().code() != barelink::errc::not_found)
            live.note("calibration", std::string("not used: ") + saved.error().what());
        return;
    }
    if (auto adopted = barelink::adopt_rates(live, *saved, hardware); !adopted)
        live.note("calibration", std::string("not used: ") + adopted.error().what());
    else
        live.note("calibration", "rates as measured, from " + barelink::calibration_file(hardware));
}

} // namespace tool
