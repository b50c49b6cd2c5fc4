// barelink demo: a server drawn, a transfer planned over several links, run simulated, its bytes verified; then the same for
// a topology file, and this machine.
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <barelink/core/size_text.hpp>
#include <barelink/report/machine_svg.hpp>
#include <barelink/report/plan_svg.hpp>
#include <barelink/report/plan_text.hpp>
#include <barelink/report/timeline_svg.hpp>
#include <barelink/report/topology_text.hpp>

#include "commands.hpp"
#include "copy/simulated_copy.hpp"
#include "machine_argument.hpp"
#include "output.hpp"

namespace tool {
namespace {

/// The direct copy alone and the plan over all links, predicted and simulated, against the bound.
std::string side_by_side(const outcome& single, const outcome& relayed, barelink::text_style style) {
    barelink::text_table table("<>>>>>");
    table.row({"", "predicted", "simulated", "of bound", "time", "bytes"});
    const auto row = [&](const char* what, const outcome& done) {
        const double gb_s = barelink::rate_gb_s(static_cast<double>(done.plan.asked.bytes), done.elapsed_us);
        table.row({what, barelink::format_gb_s(done.plan.predicted_gb_s()), barelink::format_gb_s(gb_s),
                   barelink::format_percent(gb_s / relayed.plan.bound_gb_s), barelink::format_us(done.elapsed_us),
                   done.verified ? "verified" : "WRONG"});
    };
    row("single link", single);
    row("all links", relayed);
    return table.str("  ", style) + fmt::format("  {:<11}  {:>9}   what the wires allow: no plan is faster\n", "bound",
                                                barelink::format_gb_s(relayed.plan.bound_gb_s));
}

struct demo_options {
    std::string folder = "barelink-demo";
    std::vector<std::string> files;
    std::string bytes = "1GiB";

    void run() const {
        std::error_code failed;
        std::filesystem::create_directories(folder, failed);
        if (failed)
            barelink::detail::raise(barelink::error(
                barelink::errc::io, barelink::text::join({"cannot make the folder '", folder.c_str(), "': ",
                                                          failed.message().c_str(), "; name another with --out"})));
        const barelink::text_style style{colours()};
        print(style.bold("1. A server that is built in") + "\n\n");
        show(machine_named("hgx-h100-8"), "host:all", "gpu:0", style);
        int number = 2;
        for (const std::string& file : files) {
            print("\n" + style.bold(fmt::format("{}. A server read from {}", number++, file)) + "\n\n");
            show(machine_named(file), "gpu:0", "gpu:1", style);
        }
        print("\n" + style.bold(fmt::format("{}. This machine", number)) + "\n\n");
        const barelink::machine live = machine_named("live");
        print(topology_text(live, style));
        write_file(folder + "/live.svg", machine_svg(live));
        std::size_t drivable = 0;
        for (const barelink::node& n : live.nodes) drivable += n.kind == barelink::node_kind::gpu && n.cuda;
        if (drivable == 0)
            print("\n  It has no GPU that CUDA can drive, so there is nothing to plan on it.\n");
        else
            show(live, "host:all", "gpu:0", style);
        print("\nPictures of the machines, the plans and every chunk on every link: " + folder + "/*.svg\n");
    }

private:
    static barelink::machine machine_named(const std::string& name) {
        machine_argument argument;
        argument.named = name;
        return argument.read();
    }

    void show(const barelink::machine& m, const char* from, const char* to, barelink::text_style style) const {
        barelink::request asked;
        asked.from = barelink::parse_endpoint(from).value();
        asked.to = barelink::parse_endpoint(to).value();
        asked.bytes = barelink::parse_size(bytes.c_str()).value();
        asked.stage_in_host = false;
        if (!barelink::default_planner(m).make(asked)) asked.stage_in_host = true; // no direct way
        const outcome single = simulate(m, asked, false);
        asked.stage_in_host = true;
        asked.relays = barelink::gpu_set::all();
        const outcome relayed = simulate(m, asked, false);
        print(topology_text(m, style) + "\n" + plan_text(m, relayed.plan, style) + "\n");
        print(side_by_side(single, relayed, style));
        const std::string stem = folder + "/" + m.name;
        write_file(stem + ".svg", machine_svg(m));
        write_file(stem + "-plan.svg", plan_svg(m, relayed.plan));
        write_file(stem + "-timeline.svg", timeline_svg(m, relayed.plan, relayed.trace));
        if (!single.verified || !relayed.verified)
            barelink::detail::raise(barelink::error(barelink::errc::not_delivered, "the bytes that arrived are wrong"));
    }
};

} // namespace

void add_demo_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "demo", "Draw a server, plan a transfer over several links, run it simulated, verify its bytes");
    auto options = std::make_shared<demo_options>();
    command->add_option("--out", options->folder, "Folder for the pictures")->type_name("FOLDER");
    command->add_option("--bytes", options->bytes, "Size of the transfers")->type_name("SIZE");
    command->add_option("FILES", options->files, "Topology files of other machines to show as well")->type_name("FILE");
    command->callback([options] { options->run(); });
}

} // namespace tool
