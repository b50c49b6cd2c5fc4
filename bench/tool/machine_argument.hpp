// --machine M: this machine, a built-in one by name, or a file.
#pragma once

#include <string>
#include <utility>

#include <CLI/CLI.hpp>

#include <barelink/machine/builtin.hpp>

namespace tool {

/// The option, the same for every command that looks at a machine.
struct machine_argument {
    std::string named = "live";

    void add_to(CLI::App& command) {
        command
            .add_option("-m,--machine", named,
                        "live (this machine), a built-in name (see `barelink machines`), or a file: hwloc XML, machine "
                        "file or NCCL topology")
            ->type_name("M");
    }
    /// Reads it. Errors: those of the readers; not_found when M is none of the three, with the names there are.
    [[nodiscard]] barelink::machine read() const { return barelink::builtin::find(named.c_str()).value(); }
};

} // namespace tool
