// What `tax measure` and the processes that it starts have in common.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <barelink/machine/machine.hpp>

#include "output.hpp"

namespace tool {

/// One of the processes of `tax measure`: a command that --help does not show.
void add_tax_process(CLI::App& tax);

/// This machine as hwloc and CUDA tell, whatever was measured of it before: rates to expect are those of the models.
[[nodiscard]] barelink::machine tax_machine();

inline constexpr const char* tax_process_command = "measure-process";
inline constexpr const char* needs_gpus = "a tax report needs a machine whose GPUs CUDA can drive";

/// All GPUs that CUDA can drive, or those of the list. Errors: not_found, invalid_argument.
[[nodiscard]] inline std::vector<int> gpus_named(const barelink::machine& m, const std::vector<std::string>& names) {
    std::vector<int> found;
    if (names.empty() || (names.size() == 1 && names.front() == "all")) {
        for (const barelink::node_index n : m.all(barelink::node_kind::gpu))
            if (m.at(n).cuda) found.push_back(m.at(n).index);
        return found;
    }
    for (const std::string& name : names) {
        const bool number =
            !name.empty() && name.size() < 4 && name.find_first_not_of("0123456789") == std::string::npos;
        if (!number) refuse(barelink::errc::invalid_argument, "--gpus takes all, or numbers such as 0,1,3");
        const int gpu = std::stoi(name);
        if (m.gpu(barelink::gpu_id{gpu}) == barelink::no_node)
            refuse(barelink::errc::not_found, "--gpus: this machine has no gpu:" + name);
        if (std::find(found.begin(), found.end(), gpu) == found.end()) found.push_back(gpu);
    }
    return found;
}

} // namespace tool
