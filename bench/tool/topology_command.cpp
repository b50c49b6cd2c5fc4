// barelink topology: the machine as text, JSON or a picture.
#include <memory>
#include <string>

#include <barelink/report/bandwidth_matrix.hpp>
#include <barelink/report/machine_svg.hpp>
#include <barelink/report/topology_text.hpp>

#include "commands.hpp"
#include "json.hpp"
#include "machine_argument.hpp"
#include "output.hpp"

namespace tool {
namespace {

struct topology_options {
    machine_argument machine;
    std::string svg, save;
    bool json = false;

    void run() const {
        const barelink::machine m = machine.read();
        if (!svg.empty()) write_file(svg, machine_svg(m));
        if (!save.empty()) save_machine(m, save).value();
        if (json) return print(machine_json(m).dump(2) + "\n");
        const barelink::text_style style{colours()};
        print(topology_text(m, style) + "\n" + bandwidth_matrix(m, style));
    }
};

} // namespace

void add_topology_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand("topology", "Show the machine: its links, their rates and their evidence");
    auto options = std::make_shared<topology_options>();
    options->machine.add_to(*command);
    command->add_option("--svg", options->svg, "Also draw the machine into this file")->type_name("FILE");
    command->add_option("--save", options->save, "Also save the machine, its rates included, as hwloc XML")
        ->type_name("FILE");
    command->add_flag("--json", options->json, "The machine as JSON");
    command->callback([options] { options->run(); });
}

} // namespace tool
