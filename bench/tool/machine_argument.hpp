// --machine M: this machine, a built-in one by name, or a file.
#pragma once

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include <CLI/CLI.hpp>

#include <barelink/machine/builtin.hpp>
#include <barelink/machine/hwloc.hpp>
#include <barelink/machine/merge.hpp>
#include <barelink/machine/read.hpp>

#include "calibrate/calibration_store.hpp"
#include "cuda_gpus.hpp"
#if BARELINK_TOOL_CUDA
#include <barelink/machine/live.hpp>
#endif

namespace tool {

/// The options that name a machine, the same for every command that looks at one.
struct machine_argument {
    std::string named = "live";
    std::string topology_file;
    bool without_calibration = false; ///< of `live`: rates as they are read and assumed

    void add_to(CLI::App& command) {
        command
            .add_option("-m,--machine", named,
                        "live (this machine, the default), a built-in name (see `barelink machines`), or a file: hwloc "
                        "XML, machine file or NCCL topology")
            ->type_name("M");
        command
            .add_option("--topology-file", topology_file,
                        "A topology file, such as clouds ship for NCCL, that adds what a hypervisor hides of M")
            ->type_name("FILE");
        command.add_flag(
            "--no-calibration", without_calibration,
            "Rates as read and assumed, also where `barelink calibrate` saved measured ones of this machine "
            "(BARELINK_NO_CALIBRATION=1 does the same)");
    }

    [[nodiscard]] bool is_live() const { return named == "live"; }

    /// Reads it. Errors: those of the readers and of `merge`; not_found when M is none of the three, with the names there are.
    [[nodiscard]] barelink::machine read() const {
        ::setenv("HWLOC_HIDE_ERRORS", "2", 0); // our errors are one line each
        barelink::machine m = read_named();
        if (!topology_file.empty())
            m = barelink::merge(std::move(m), barelink::read_machine_file(topology_file).value()).value();
        if (is_live() && !without_calibration) use_saved_calibration(m);
        return m;
    }

    /// This machine, with a GPU that CUDA can drive. Errors: also those of `require_cuda_gpus`.
    [[nodiscard]] barelink::machine read_with_cuda(const char* doing) const {
        require_cuda_gpus(doing,
                          "to simulate instead, name a machine with --machine, such as hgx-h100-8 or a machine file");
        return read();
    }

    /// The machine of a transfer. Errors: also unsupported, when it has no GPU.
    [[nodiscard]] barelink::machine read_with_gpu() const {
        barelink::machine m = read();
        if (m.count(barelink::node_kind::gpu) == 0)
            barelink::detail::raise(
                barelink::error(barelink::errc::unsupported,
                                barelink::text::join({is_live() ? "this machine" : named.c_str(),
                                                      " has no GPU; name one that has with --machine, such as "
                                                      "hgx-h100-8 (`barelink machines` lists them)"})));
        return m;
    }

private:
    [[nodiscard]] barelink::machine read_named() const {
        if (is_live()) {
#if BARELINK_TOOL_CUDA
            return barelink::live_machine().value();
#else
            return barelink::discover().value();
#endif
        }
        for (const barelink::builtin::entry& each : barelink::builtin::names())
            if (named == each.name) return each.make();
        std::error_code ignored;
        const bool path = named.find_first_of("/.") != std::string::npos;
        if (path || std::filesystem::exists(named, ignored)) return barelink::read_machine_file(named).value();
        return barelink::builtin::find(named.c_str()).value(); // the error that lists the names
    }
};

} // namespace tool
