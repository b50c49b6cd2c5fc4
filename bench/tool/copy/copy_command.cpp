// barelink copy: runs a plan and checks that the bytes arrived.
#include <memory>
#include <new>
#include <string>

#include <barelink/report/chrome_trace.hpp>
#include <barelink/report/timeline_svg.hpp>

#include "commands.hpp"
#include "copy_report.hpp"
#include "cuda_gpus.hpp"
#include "machine_argument.hpp"
#include "output.hpp"
#include "simulated_copy.hpp"
#if BARELINK_TOOL_CUDA
#include "cuda_copy.hpp"
#endif
#include "transfer_argument.hpp"

namespace tool {
namespace {

struct copy_options {
    machine_argument machine;
    transfer_argument transfer;
    std::string timeline, chrome;
    unsigned repeat = 0; ///< 0: what suits the runtime
    bool json = false;
    bool simulated = false;
    bool timing_only = false;

    void run() const {
        const bool on_gpus = machine.is_live() && !simulated && !timing_only;
        if (on_gpus && !(timeline.empty() && chrome.empty()))
            barelink::detail::raise(barelink::error(
                barelink::errc::unsupported,
                "only simulated copies have a timeline and a trace: add --simulate, or name a machine with --machine"));
        const barelink::machine m =
            on_gpus ? machine.read_with_cuda("copying on this machine's GPUs") : machine.read_with_gpu();
        if (transfer.is_broadcast()) {
            if (!(timeline.empty() && chrome.empty()))
                barelink::detail::raise(barelink::error(
                    barelink::errc::unsupported, "only copies to one GPU have a timeline and a trace: name one GPU"));
            return finish(m, run_on(m, transfer.read_broadcast(m), on_gpus));
        }
        const outcome done = run_on(m, transfer.read(m), on_gpus);
        if (!timeline.empty()) write_file(timeline, timeline_svg(m, done.plan, done.trace));
        if (!chrome.empty()) write_file(chrome, chrome_trace(m, done.plan, done.trace));
        finish(m, done);
    }

private:
    template <class Outcome>
    void finish(const barelink::machine& m, const Outcome& done) const {
        json ? print(copy_json(m, done).dump(2) + "\n")
             : print(copy_text(m, done, !timing_only, barelink::text_style{colours()}));
        if (!done.verified && !timing_only)
            barelink::detail::raise(barelink::error(
                barelink::errc::not_delivered,
                "the copy reported success and the bytes that arrived are wrong: do not trust this path"));
    }
    /// `Request`: of a copy or of a broadcast.
    template <class Request>
    outcome_for<Request> run_on(const barelink::machine& m, const Request& asked, bool on_gpus) const {
        return on_gpus ? copy_live(m, asked) : attempt(m, asked);
    }
    template <class Request>
    outcome_for<Request> attempt(const barelink::machine& m, const Request& asked) const {
        try {
            return simulate(m, asked, timing_only, {0, repeat > 0 ? repeat : 1});
        } catch (const std::bad_alloc&) {
            barelink::detail::raise(barelink::error(
                barelink::errc::out_of_memory,
                "the simulator has no memory for bytes of this size; use a smaller transfer or --timing-only"));
        }
    }
    template <class Request>
    outcome_for<Request> copy_live([[maybe_unused]] const barelink::machine& m,
                                   [[maybe_unused]] const Request& asked) const {
#if BARELINK_TOOL_CUDA
        return copy_on_gpus(m, asked, {1, repeat > 0 ? repeat : 5});
#else
        return {}; // read_with_cuda has refused
#endif
    }
};

} // namespace

void add_copy_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand(
        "copy", "Run a transfer and verify its bytes: on this machine's GPUs, or simulated for any other machine");
    auto options = std::make_shared<copy_options>();
    options->transfer.add_to(*command);
    options->machine.add_to(*command);
    command
        ->add_option("--timeline", options->timeline,
                     "Draw the chunks on every leg over time into this SVG file (simulated copies)")
        ->type_name("FILE");
    command
        ->add_option("--trace", options->chrome, "Write a Chrome trace, which ui.perfetto.dev opens (simulated copies)")
        ->type_name("FILE");
    command
        ->add_option("--repeat", options->repeat,
                     "Runs; the median is reported. On GPUs 5 after one to warm up, simulated 1")
        ->type_name("N")
        ->check(CLI::Range(1u, 1000u));
    command->add_flag("--simulate", options->simulated, "Simulate this machine instead of using its GPUs");
    command->add_flag("--timing-only", options->timing_only, "Simulate the time alone, without moving bytes");
    command->add_flag("--json", options->json, "Plan and outcome as JSON");
    command->callback([options] { options->run(); });
}

} // namespace tool
