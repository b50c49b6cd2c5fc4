// barelink doctor: what stands between the application and the wires. Also its children, `barelink doctor-part`.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <barelink/report/doctor_text.hpp>
#include <barelink/report/topology_text.hpp>

#include "commands.hpp"
#include "doctor_run.hpp"
#include "machine_argument.hpp"
#include "output.hpp"
#include "system_facts.hpp"

namespace tool {
namespace {

using json = nlohmann::ordered_json;

/// Columns of the terminal; 100 where there is none.
std::size_t terminal_width() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 100;
}

/// `20`, `20s`, `500ms`, `2min`: seconds. Negative for anything else.
double seconds_in(const std::string& written) {
    char* end = nullptr;
    const double number = std::strtod(written.c_str(), &end);
    const std::string unit = end ? end : "";
    if (end == written.c_str() || !(number > 0) || number > 86400) return -1;
    return unit.empty() || unit == "s" ? number : unit == "ms" ? number / 1000 : unit == "min" ? number * 60 : -1;
}

/// A check's id or the part of several before the dash; empty when it is, else what is wrong, for CLI11.
std::string check_problem(const std::string& named) {
    const barelink::doctor_options only{{named}, {}};
    for (const barelink::check_name& each : barelink::check_names)
        if (only.wants(each.id)) return {};
    return "there is no check '" + named + "'; write ids such as VRT-05 or groups such as VRT";
}

/// As `has_simulated_gpus`, by what has been read: the driver is not woken for it.
bool looks_simulated(const barelink::machine& m) {
    bool gpus = false;
    for (const barelink::node& each : m.nodes) {
        if (each.kind != barelink::node_kind::gpu || !each.cuda) continue;
        gpus = true;
        if (is_simulated(each.name)) return true;
    }
    for (const char* file : {"/dev/nvidiactl", "/dev/dxg", "/dev/nvgpu", "/dev/nvhost-ctrl-gpu", "/dev/nvmap"})
        if (::access(file, F_OK) == 0) return false;
    return gpus && has_cuda;
}

json outcome_json(const doctor_outcome& done) {
    json gpus = json::array(), effects = json::array();
    for (const barelink::node_index n : done.m.all(barelink::node_kind::gpu)) {
        const barelink::node& gpu = done.m.at(n);
        gpus.push_back({{"id", gpu.id()},
                        {"name", gpu.name},
                        {"bytes", gpu.bytes},
                        {"numa", gpu.numa == barelink::unknown_numa ? json() : json(gpu.numa.value)},
                        {"pci", gpu.pci.known ? json(to_string(gpu.pci)) : json()}});
    }
    for (const barelink::probe_result& each : done.learned) effects.push_back(effect_json(each));
    utsname system{};
    std::string kernel;
    if (::uname(&system) == 0) kernel = std::string(system.sysname) + " " + system.release + " " + system.machine;
    const barelink::finding_counts counts = barelink::count_findings(done.found);
    return {{"version", 1},
            {"machine",
             {{"name", done.m.name},
              {"hypervisor", done.under.name.empty() ? "unknown" : done.under.name},
              {"cpu", detail::cpu_model()},
              {"kernel", kernel},
              {"driver", detail::first_line_of("/proc/driver/nvidia/version")},
              {"date", utc_now()},
              {"simulated", looks_simulated(done.m)},
              {"gpus", std::move(gpus)}}},
            {"summary",
             {{"fail", counts.fail},
              {"warn", counts.warn},
              {"unknown", counts.unknown},
              {"info", counts.info},
              {"ok", counts.ok},
              {"exit_status", barelink::exit_status(done.found)},
              {"seconds", done.seconds}}},
            {"findings", findings_json(done.found)},
            {"effects", std::move(effects)}};
}

struct doctor_command {
    std::vector<std::string> only, skip;
    std::string json_file, save_file, gpus = "all", limit;
    bool no_gpu = false;

    void run() const {
        doctor_request asked;
        asked.checks = {only, skip};
        asked.gpus = !no_gpu;
        asked.gpu_list = gpus;
        if (!limit.empty()) asked.limit_s = seconds_in(limit);
        const doctor_outcome done = doctor_run(asked).run();
        const std::string as_json = json_file.empty() ? std::string() : dumped(outcome_json(done), 2) + "\n";
        if (!json_file.empty() && json_file != "-") write_file(json_file, as_json);
        if (json_file == "-") {
            print(as_json);
        } else {
            const barelink::text_style style{colours()};
            std::string head = style.bold(done.m.name) + ": " + barelink::detail::machine_summary(done.m);
            if (!done.under.name.empty()) head += ", hypervisor: " + done.under.name;
            if (looks_simulated(done.m)) head += std::string("; ") + simulated_warning;
            print(head + fmt::format("; {:.1f} s\n", done.seconds) +
                  barelink::doctor_text(done.found, style, terminal_width()));
        }
        if (!save_file.empty()) {
            barelink::machine heeding = done.m;
            barelink::apply_effects(done.learned, heeding);
            save_machine(heeding, save_file).value();
        }
        if (const int status = barelink::exit_status(done.found); status != 0) throw exit_with{status};
    }
};

/// What a child does: one part, said on standard output.
struct doctor_part_command {
    std::string part, ids, name, gpus = "all";
    int machine_fd = -1;

    void run() const {
        if (part == "machine" || part == "host-machine") {
            ::setenv("HWLOC_HIDE_ERRORS", "2", 0);
            machine_argument live;
            live.without_calibration = true; // measured rates would be judged by themselves
            const barelink::machine m = part == "machine" ? live.read() : barelink::discover().value();
            return print(barelink::machine_file_text(m, "this machine").value());
        }
        const barelink::machine m = machine();
        if (part == "host") return run_host(m);
        const gpu_part_result done =
            run_gpu_part(name, m,
                         gpus == "all" ? barelink::gpu_set::all()
                                       : detail::parse_gpus(m, gpus, "--gpus ", "write all or GPU numbers"));
        json effects = json::array();
        for (const barelink::probe_result& each : done.learned) effects.push_back(effect_json(each));
        print(dumped({{"findings", findings_json(done.found)}, {"effects", std::move(effects)}}) + "\n");
    }

private:
    /// An empty one where none was handed over: checks of the host then know no GPU.
    [[nodiscard]] barelink::machine machine() const {
        if (machine_fd < 0) return {};
        return machine_handover::take(machine_fd).value();
    }
    void run_host(const barelink::machine& m) const {
        const barelink::doctor_scene scene(barelink::live_system(), m);
        barelink::detail::host::for_words(
            ids,
            [&](std::string_view id) {
                for (const barelink::host_check& each : barelink::host_checks) {
                    if (id != each.id) continue;
                    print(
                        dumped({{"check", each.id}, {"findings", findings_json(run_check(each.id, each.run, scene))}}) +
                        "\n");
                    std::fflush(stdout); // what has been found is not lost with the child
                }
            },
            ",");
    }
};

} // namespace

void add_doctor_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "doctor",
        "Look for what stands between the application and the wires, without root\n"
        "Exit status: 0 nothing found, 3 warnings, 4 failures. What could not be judged is `unknown` and does "
        "not count.");
    auto options = std::make_shared<doctor_command>();
    command->add_option("--json", options->json_file, "Everything as JSON into this file; - for stdout")
        ->type_name("FILE");
    command->add_option("--only", options->only, "Only these checks: ids such as VRT-05, or groups such as PCI,NUM")
        ->delimiter(',')
        ->check(check_problem, "")
        ->type_name("ID,...");
    command->add_option("--skip", options->skip, "Not these checks")
        ->delimiter(',')
        ->check(check_problem, "")
        ->type_name("ID,...");
    command->add_flag("--no-gpu", options->no_gpu, "Use no GPU: only what files, the CPU and clocks tell");
    command->add_option("--gpus", options->gpus, "GPUs to use: all (the default) or numbers such as 0,1")
        ->type_name("LIST");
    command
        ->add_option(
            "--time-limit", options->limit,
            "Time for everything, such as 20s or 2min; what is not reached is unknown. Default: 20s for the host's "
            "checks, and what those of the GPUs take")
        ->check(
            [](const std::string& said) {
                return seconds_in(said) > 0 ? std::string() : "'" + said + "' is no time; write 20s, 500ms or 2min";
            },
            "")
        ->type_name("TIME");
    command
        ->add_option("--save", options->save_file,
                     "Save the machine, with what was found out about its paths, as a machine file for --machine")
        ->type_name("FILE");
    command->callback([options] { options->run(); });

    CLI::App* part = app.add_subcommand("doctor-part", "One part of doctor's checks, for doctor itself")->group("");
    auto child = std::make_shared<doctor_part_command>();
    part->add_option("PART", child->part)->required()->check(CLI::IsMember({"machine", "host-machine", "host", "gpu"}));
    part->add_option("--machine-fd", child->machine_fd);
    part->add_option("--ids", child->ids);
    part->add_option("--name", child->name);
    part->add_option("--gpus", child->gpus);
    part->callback([child] { child->run(); });
}

} // namespace tool
