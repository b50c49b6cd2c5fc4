// The tool's commands. Each lives in a file of its own and adds itself to the command line.
#pragma once

#include <CLI/CLI.hpp>

namespace tool {

/// Thrown by a command that is done and ends with another exit status than 0.
struct exit_with {
    int status;
};

void add_topology_command(CLI::App& app);
void add_plan_command(CLI::App& app);
void add_copy_command(CLI::App& app);
void add_bench_command(CLI::App& app);
void add_bench_blocks(CLI::App& bench);
void add_bench_load(CLI::App& bench);
void add_bench_broadcast(CLI::App& bench);
void add_bench_links(CLI::App& bench);
void add_calibrate_command(CLI::App& app);
void add_doctor_command(CLI::App& app);
void add_tax_command(CLI::App& app);
void add_tax_measure(CLI::App& tax);
void add_tax_compare(CLI::App& tax);
void add_machines_command(CLI::App& app);
void add_demo_command(CLI::App& app);

} // namespace tool
