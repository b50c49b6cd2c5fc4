// barelink, the command-line tool. Exit status: 0 done, 1 failed (one line on stderr), 2 bad usage.
#include <cstdio>
#include <exception>
#include <string>

#include <barelink/core/error.hpp>
#include <barelink/core/version.hpp>

#include "commands.hpp"

namespace {

/// The first line of a message: errors are one line each.
std::string first_line(const std::string& said) {
    return said.substr(0, said.find('\n'));
}

} // namespace

int main(int argc, char** argv) {
    const std::string version = "barelink " + std::to_string(BARELINK_VERSION_MAJOR) + "." +
                                std::to_string(BARELINK_VERSION_MINOR) + "." + std::to_string(BARELINK_VERSION_PATCH);
    CLI::App app(
        "Moves bytes between host memory and GPUs at the speed of the wires: reads the machine, plans, shows why.",
        "barelink");
    app.set_version_flag("--version", version);
    app.require_subcommand(1);
    app.failure_message([](const CLI::App*, const CLI::Error&) { return std::string(); });
    tool::add_topology_command(app);
    tool::add_plan_command(app);
    tool::add_copy_command(app);
    tool::add_bench_command(app);
    tool::add_calibrate_command(app);
    tool::add_doctor_command(app);
    tool::add_tax_command(app);
    tool::add_machines_command(app);
    tool::add_demo_command(app);
    try {
        int status = 0;
        try {
            app.parse(argc, argv);
        } catch (const tool::exit_with& done) {
            status = done.status;
        }
        if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
            std::fputs("barelink: writing to standard output failed; is the disk full?\n", stderr);
            return 1;
        }
        return status;
    } catch (const CLI::ParseError& failure) {
        if (failure.get_exit_code() == 0) return app.exit(failure); // --help and --version
        if (app.get_subcommands().empty() && argc > 1 && argv[1][0] != '-') {
            std::fprintf(stderr, "barelink: there is no command '%s'; see barelink --help\n", argv[1]);
            return 2;
        }
        std::string command = "barelink";
        for (const CLI::App* used = &app; !used->get_subcommands().empty();) {
            used = used->get_subcommands().front();
            command += " " + used->get_name();
        }
        std::fprintf(stderr, "barelink: %s; see %s --help\n", first_line(failure.what()).c_str(), command.c_str());
        return 2;
    } catch (const barelink::error& failure) {
        std::fprintf(stderr, "barelink: %s\n", first_line(failure.what()).c_str());
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "barelink: unexpected failure: %s\n", first_line(failure.what()).c_str());
    }
    return 1;
}
