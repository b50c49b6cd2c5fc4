// barelink tax: what lies between code and hardware, measured on one machine and compared between two.
#include "commands.hpp"

namespace tool {

void add_tax_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "tax", "What a layer between code and hardware costs: measure machines, compare two of them");
    command->require_subcommand(1);
    add_tax_measure(*command);
    add_tax_compare(*command);
}

} // namespace tool
