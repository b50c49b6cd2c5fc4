// barelink machines: the built-in machines, by name.
#include <cstdio>
#include <memory>

#include <barelink/machine/builtin.hpp>

#include "commands.hpp"
#include "json.hpp"
#include "output.hpp"

namespace tool {

void add_machines_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand("machines", "List the built-in machines");
    auto as_json = std::make_shared<bool>(false);
    command->add_flag("--json", *as_json, "As a JSON array");
    command->callback([as_json] {
        json all = json::array();
        for (const barelink::builtin::entry& each : barelink::builtin::names()) {
            if (!*as_json) std::printf("%-22s %s\n", each.name, each.description);
            all.push_back({{"name", each.name}, {"description", each.description}});
        }
        if (*as_json) print(all.dump(2) + "\n");
    });
}

} // namespace tool
