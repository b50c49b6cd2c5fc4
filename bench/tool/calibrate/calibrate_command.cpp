// barelink calibrate: the rates of this machine's links, measured, and kept for every later run.
#include <memory>
#include <string>
#include <utility>

#include <barelink/core/size_text.hpp>
#include <barelink/measure/calibrate.hpp>
#include <barelink/move/sim_runtime.hpp>
#include <barelink/report/topology_text.hpp>

#include "calibrate_report.hpp"
#include "calibration_store.hpp"
#include "commands.hpp"
#include "machine_argument.hpp"
#include "output.hpp"
#include "transfer_argument.hpp"
#if BARELINK_TOOL_CUDA
#include "bench/bench_blocks_ways.hpp"
#endif

namespace tool {
namespace {

/// `30s`, `500ms`, `30`: microseconds. Errors: invalid_argument.
double parse_time_us(const std::string& written) {
    std::size_t used = 0;
    double value = 0;
    try {
        value = std::stod(written, &used);
    } catch (const std::exception&) {
        used = 0;
    }
    const std::string unit = written.substr(used);
    const double us = unit == "ms" ? 1e3 : unit.empty() || unit == "s" ? 1e6 : 0;
    if (used == 0 || us == 0 || !(value > 0) || value > 1e6)
        refuse(barelink::errc::invalid_argument, "--time " + written + ": write seconds, such as 30s or 500ms");
    return value * us;
}

/// A bar for people at a terminal; nothing in a pipe.
void show_progress(double share, const char* what) {
    if (::isatty(STDERR_FILENO) != 1) return;
    if (share >= 1) {
        std::fputs("\r\x1b[K", stderr);
        return;
    }
    constexpr int width = 30;
    const int full = static_cast<int>(share * width);
    std::fprintf(stderr, "\r\x1b[K[%s%s] %3.0f %%  %s", std::string(static_cast<std::size_t>(full), '#').c_str(),
                 std::string(static_cast<std::size_t>(width - full), ' ').c_str(), 100 * share, what);
}

struct calibrate_command_options {
    machine_argument machine;
    std::string assumed, gpus = "all", time = "30s", memory = "8GiB", save, json_file;
    bool no_save = false, show_saved_one = false;

    void run() {
        machine.without_calibration = true; // it is what is made here
        if (show_saved_one) return show_saved();
        if (!save.empty() && no_save)
            refuse(barelink::errc::invalid_argument, "--save and --no-save exclude each other");
        calibrate_facts facts;
        facts.gpus = gpus;
        barelink::calibration found = machine.is_live() ? on_gpus(facts) : simulated(facts);
        if (!no_save && (machine.is_live() || !save.empty())) facts.saved = write(found);
        show(
            json_file, [&] { return calibrate_json(found, facts); },
            [&] { return calibrate_text(found, facts, barelink::text_style{colours()}); });
    }

private:
    [[nodiscard]] barelink::calibrate_options asked(const barelink::machine& m) const {
        barelink::calibrate_options options;
        options.time_limit_us = parse_time_us(time);
        options.memory_bytes = barelink::parse_size(memory.c_str()).value();
        if (options.memory_bytes < 256 * barelink::MiB)
            refuse(barelink::errc::invalid_argument, "--memory: copies need 256MiB at least");
        if (gpus != "all") {
            const barelink::gpu_set listed =
                detail::parse_gpus(m, gpus, "--gpus ", "write all or GPU numbers such as 0,1,4");
            for (const barelink::node_index n : m.all(barelink::node_kind::gpu))
                if (listed.contains(barelink::gpu_id{m.at(n).index})) options.gpus.push_back(n);
            if (options.gpus.empty()) refuse(barelink::errc::not_found, "--gpus " + gpus + ": no such GPU");
        }
        return options;
    }

    /// A server that is M; what calibration starts from is M, too, or another machine with the same nodes.
    [[nodiscard]] barelink::calibration simulated(calibrate_facts& facts) const {
        const barelink::machine real = machine.read_with_gpu();
        barelink::machine start = real;
        if (!assumed.empty()) {
            machine_argument other;
            other.named = assumed;
            start = other.read();
        }
        barelink::sim::options without_bytes;
        without_bytes.timing_only = true;
        barelink::sim::runtime server(real, without_bytes);
        barelink::calibrate_options options = asked(start);
        facts.simulated = true;
        barelink::calibration found = barelink::calibrate(server, start, options, show_progress).value();
        found.calibrated.measured_on = barelink::hardware_key_of(real, "", "simulated").text();
        return found;
    }

#if BARELINK_TOOL_CUDA
    [[nodiscard]] barelink::calibration on_gpus(calibrate_facts& facts) const {
        barelink::machine m = machine.read_with_cuda("calibrating this machine's GPUs");
        const std::string key = hardware_of(m).text();
        if (!assumed.empty())
            refuse(barelink::errc::invalid_argument, "--assume is for simulated runs: name a machine with --machine");
        barelink::calibrate_options options = asked(m);
        options.peers_closed = true;
        facts.simulated = has_simulated_gpus();
        barelink::cuda::options how;
        how.block_kernel = compiled_block_kernel();
        if (!options.gpus.empty()) how.home = barelink::gpu_id{m.at(options.gpus.front()).index};
        barelink::cuda::runtime runtime(m, how);
        barelink::calibration found = barelink::calibrate(runtime, m, options, show_progress).value();
        found.calibrated.measured_on = key;
        return found;
    }
#else
    [[nodiscard]] barelink::calibration on_gpus(calibrate_facts&) const {
        (void)machine.read_with_cuda("calibrating this machine's GPUs"); // refuses
        return {};
    }
#endif

    /// A machine file where the user wants it, or in his cache.
    [[nodiscard]] std::string write(const barelink::calibration& found) const {
        if (!save.empty()) {
            barelink::save_machine(found.calibrated, save).value();
            return save;
        }
        const std::string path = barelink::calibration_file(barelink::parse_hardware_key(found.calibrated.measured_on));
        const std::string text = barelink::machine_file_text(found.calibrated, path.c_str()).value();
        barelink::write_calibration(path, text).value();
        return path;
    }

    /// The saved calibration of this machine. Errors: why there is none that can be used.
    void show_saved() const {
        barelink::machine m = machine.read();
        const barelink::hardware_key hardware = hardware_of(m);
        const std::string path = barelink::calibration_file(hardware);
        const barelink::result<barelink::machine> saved = saved_calibration(hardware);
        if (!saved && saved.error().code() == barelink::errc::not_found)
            refuse(barelink::errc::not_found,
                   "there is no calibration of this machine: barelink calibrate makes one (" +
                       (path.empty() ? "set XDG_CACHE_HOME or HOME" : path) + ")");
        barelink::adopt_rates(m, saved.value(), hardware).value();
        if (json_file.empty()) {
            const barelink::text_style style{colours()};
            return print(topology_text(m, style) + "\n" + m.measured_on + "\n" + path + "\n");
        }
        json out = machine_json(m);
        out["measured_on"] = m.measured_on;
        out["file"] = path;
        if (json_file == "-") return print(out.dump(2) + "\n");
        write_file(json_file, out.dump(2) + "\n");
    }
};

} // namespace

void add_calibrate_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "calibrate",
        "Measure what this machine's links reach, alone and together, and keep it: later commands plan with it");
    auto options = std::make_shared<calibrate_command_options>();
    command
        ->add_option("-m,--machine", options->machine.named,
                     "live (this machine, the default), or a machine to simulate: a built-in name or a file")
        ->type_name("M");
    command
        ->add_option("--topology-file", options->machine.topology_file,
                     "A topology file, such as clouds ship for NCCL, that adds what a hypervisor hides of M")
        ->type_name("FILE");
    command
        ->add_option(
            "--assume", options->assumed,
            "Simulated runs: start from this machine instead of M; a built-in name or a file with the same nodes")
        ->type_name("A");
    command->add_option("--gpus", options->gpus, "GPUs to measure: all or a list such as 0,1,4; others are not touched")
        ->type_name("LIST")
        ->capture_default_str();
    command->add_option("--time", options->time, "No measurement begins after this long; s or ms")
        ->type_name("TIME")
        ->capture_default_str();
    command->add_option("--memory", options->memory, "Memory to hold at most, GPUs and host together, 256MiB at least")
        ->type_name("SIZE")
        ->capture_default_str();
    command
        ->add_option("--save", options->save,
                     "Save the machine into this file (default: this machine's file in ~/.cache/barelink, or in "
                     "$XDG_CACHE_HOME/barelink; simulated runs are not saved)")
        ->type_name("FILE");
    command->add_flag("--no-save", options->no_save, "Save nothing");
    command->add_flag("--show", options->show_saved_one, "Measure nothing: show the saved calibration of this machine");
    command->add_option("--json", options->json_file, "Everything into this file; - for stdout")->type_name("FILE");
    command->callback([options] { options->run(); });
}

} // namespace tool
