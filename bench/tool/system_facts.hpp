// What a figure belongs to: CPU, kernel, driver, date, as the system tells them.
#pragma once

#include <ctime>
#include <fstream>
#include <string>

#include <sys/utsname.h>
#include <unistd.h>

#include <barelink/machine/machine.hpp>

#include "bench/bench_result.hpp"
#include "cuda_gpus.hpp"

namespace tool {

namespace detail {

[[nodiscard]] inline std::string cpu_model() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);)
        if (line.rfind("model name", 0) == 0) {
            const std::size_t colon = line.find(':');
            return colon == std::string::npos || colon + 2 > line.size() ? std::string() : line.substr(colon + 2);
        }
    return {};
}
[[nodiscard]] inline std::string first_line_of(const char* path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

} // namespace detail

/// UTC, ISO 8601.
[[nodiscard]] inline std::string utc_now() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    char text[32] = {};
    if (::gmtime_r(&now, &parts)) std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

[[nodiscard]] inline bench_facts read_facts(const barelink::machine& m) {
    bench_facts facts;
    facts.machine = m.name;
    facts.virtualized = m.virtualized;
    for (const barelink::node_index n : m.all(barelink::node_kind::gpu))
        facts.gpus.push_back({m.at(n).id(), m.at(n).name, m.at(n).bytes});
    facts.cpu = detail::cpu_model();
    const long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
    facts.cpus = cpus > 0 ? static_cast<unsigned>(cpus) : 0;
    utsname system{};
    if (::uname(&system) == 0) facts.kernel = std::string(system.sysname) + " " + system.release + " " + system.machine;
    facts.date = utc_now();
    facts.driver = detail::first_line_of("/proc/driver/nvidia/version");
#if BARELINK_TOOL_CUDA
    (void)cudaDriverGetVersion(&facts.cuda_driver);
    (void)cudaRuntimeGetVersion(&facts.cuda_runtime);
    (void)cudaGetLastError();
    facts.simulated = has_simulated_gpus();
#endif
    return facts;
}

} // namespace tool
