// barelink copy: runs a plan and checks that the bytes arrived.
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string>

#include <barelink/move/mover.hpp>
#include <barelink/move/sim_runtime.hpp>
#include <barelink/report/chrome_trace.hpp>
#include <barelink/report/timeline_svg.hpp>

#include "commands.hpp"
#include "json.hpp"
#include "machine_argument.hpp"
#include "output.hpp"
#include "simulated_copy.hpp"
#include "transfer_argument.hpp"

namespace tool {
namespace {

struct copy_options {
    machine_argument machine;
    transfer_argument transfer;
    std::string timeline, chrome;
    bool json = false;
    bool timing_only = false;

    void run() const {
        const barelink::machine m = machine.read_with_gpu();
        const barelink::request asked = transfer.read(m);
        const outcome done = attempt(m, asked);
        if (!timeline.empty()) write_file(timeline, timeline_svg(m, done.plan, done.trace));
        if (!chrome.empty()) write_file(chrome, chrome_trace(m, done.plan, done.trace));
        json ? print(as_json(m, done).dump(2) + "\n") : print(as_text(m, done));
        if (!done.verified && !timing_only)
            barelink::detail::raise(barelink::error(
                barelink::errc::not_delivered,
                "the copy reported success and the bytes that arrived are wrong: do not trust this path"));
    }

private:
    outcome attempt(const barelink::machine& m, const barelink::request& asked) const {
        try {
            return simulate(m, asked, timing_only);
        } catch (const std::bad_alloc&) {
            barelink::detail::raise(barelink::error(
                barelink::errc::out_of_memory,
                "the simulator has no memory for bytes of this size; use a smaller transfer or --timing-only"));
        }
    }
    static double gb_s(const outcome& done) {
        return barelink::rate_gb_s(static_cast<double>(done.plan.asked.bytes), done.elapsed_us);
    }
    static tool::json as_json(const barelink::machine& m, const outcome& done) {
        auto out = plan_json(m, done.plan);
        out["runtime"] = "sim";
        out["elapsed_us"] = done.elapsed_us;
        out["gb_s"] = gb_s(done);
        out["verified"] = done.verified;
        out["fallbacks"] = done.fallbacks;
        return out;
    }
    std::string as_text(const barelink::machine& m, const outcome& done) const {
        const barelink::text_style style{colours()};
        std::string out = plan_text(m, done.plan, style);
        const std::string checked = timing_only     ? "no bytes moved (--timing-only)"
                                    : done.verified ? style.good("every byte verified")
                                                    : style.bad("the bytes are wrong");
        out += fmt::format("\n  {}  {}, {}, {} of the bound; {}\n", style.bold("simulated"),
                           barelink::format_us(done.elapsed_us), style.good(barelink::format_gb_s(gb_s(done))),
                           barelink::format_percent(gb_s(done) / done.plan.bound_gb_s), checked);
        for (const std::string& fallback : done.fallbacks)
            out += "  " + style.bold("fallback") + "   " + fallback + "\n";
        return out;
    }
};

} // namespace

void add_copy_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand("copy", "Run a transfer, simulated, and verify its bytes");
    auto options = std::make_shared<copy_options>();
    options->transfer.add_to(*command);
    options->machine.add_to(*command);
    command->add_option("--timeline", options->timeline, "Draw the chunks on every leg over time into this SVG file")
        ->type_name("FILE");
    command->add_option("--trace", options->chrome, "Write a Chrome trace, which ui.perfetto.dev opens")
        ->type_name("FILE");
    command->add_flag("--timing-only", options->timing_only, "Simulate the time alone, without moving bytes");
    command->add_flag("--json", options->json, "Plan and outcome as JSON");
    command->callback([options] { options->run(); });
}

} // namespace tool
