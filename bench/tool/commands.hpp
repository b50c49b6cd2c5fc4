// The tool's commands. Each lives in a file of its own and adds itself to the command line.
#pragma once

#include <CLI/CLI.hpp>

namespace tool {

void add_topology_command(CLI::App& app);
void add_plan_command(CLI::App& app);
void add_copy_command(CLI::App& app);
void add_bench_command(CLI::App& app);
void add_bench_blocks(CLI::App& bench);
void add_bench_load(CLI::App& bench);
void add_bench_broadcast(CLI::App& bench);
void add_machines_command(CLI::App& app);
void add_demo_command(CLI::App& app);

} // namespace tool
