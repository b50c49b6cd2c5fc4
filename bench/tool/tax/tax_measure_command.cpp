// barelink tax measure: the five rows of the tax report on this machine, in fresh processes, into a file.
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <barelink/report/tax_text.hpp>

#include "commands.hpp"
#include "output.hpp"
#include "system_facts.hpp"
#include "tax_doctor.hpp"
#include "tax_measure.hpp"
#include "tax_process_command.hpp"

namespace tool {
namespace {

/// So that this is known now, and not after ten minutes. Errors: io. What the file holds stays until there is a report.
void require_writable(const std::string& path) {
    if (std::FILE* file = std::fopen(path.c_str(), "ab")) {
        std::fclose(file);
        return;
    }
    write_file(path, ""); // says why it cannot
}

struct tax_measure_options {
    std::string out, name;
    std::vector<std::string> gpus;
    unsigned processes = 0;
    double limit_s = 0;
    bool quick = false, no_doctor = false;

    void run() const {
        require_cuda_gpus("measuring this machine's GPUs", needs_gpus);
        const barelink::machine m = tax_machine();
        const double begin = tax_clock_s();
        const double limit = limit_s > 0 ? limit_s : quick ? 60 : 600;
        tax_session session;
        session.processes = processes > 0 ? processes : quick ? 3 : 10;
        session.command = tax_process_command;
        session.each.quick = quick;
        session.each.gpus = gpus_named(m, gpus);
        if (session.each.gpus.empty()) refuse(barelink::errc::not_found, "this machine has no GPU that CUDA can drive");
        require_writable(out);
        const std::string taken = utc_now();
        std::vector<barelink::finding> doctors;
        if (!no_doctor) doctors = tax_doctor_findings(list_of(session.each.gpus), std::min(60.0, 0.15 * limit));
        session.limit_s = 0.97 * limit - (tax_clock_s() - begin);
        barelink::tax_report report = measure_in_processes(session).value();
        report.name = name.empty() ? m.name : name;
        report.taken = taken;
        report.findings.insert(report.findings.begin(), doctors.begin(), doctors.end());
        write_file(out, tax_json(report).value());
        print(barelink::tax_report_text(report, barelink::text_style{colours()}) + "\nwritten to " + out + "\n");
    }
};

} // namespace

void add_tax_measure(CLI::App& tax) {
    CLI::App* command = tax.add_subcommand(
        "measure", "The five rows of the tax report on this machine's GPUs, in fresh processes, into a file");
    auto options = std::make_shared<tax_measure_options>();
    command->add_option("--out", options->out, "The report, JSON, for `barelink tax compare`")
        ->type_name("FILE")
        ->required();
    command->add_option("--name", options->name, "What to call this machine (default: its maker's name for it)");
    command
        ->add_option("--processes", options->processes,
                     "Fresh processes, each with a run of every series: what a comparison counts (default: 10, with "
                     "--quick 3)")
        ->type_name("N")
        ->check(CLI::Range(1u, 1000u));
    command
        ->add_option("--gpus", options->gpus,
                     "The GPUs to use, and no other: all or a list such as 0,1; inference and latency are the first's "
                     "(default: all)")
        ->type_name("LIST")
        ->delimiter(',');
    command
        ->add_option("--time-limit", options->limit_s,
                     "For everything: seconds, or with a unit such as 90s or 10min (default: 10min, with --quick 1min)")
        ->type_name("TIME")
        ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"min", 60}, {"h", 3600}},
                                          CLI::AsNumberWithUnit::UNIT_OPTIONAL, "TIME"))
        ->check(CLI::Range(5.0, 86400.0));
    command->add_flag("--quick", options->quick, "Small sizes and few samples: to try it out, not to compare");
    command->add_flag("--no-doctor", options->no_doctor, "Without the findings of `barelink doctor`");
    command->callback([options] { options->run(); });
    add_tax_process(tax);
}

} // namespace tool
