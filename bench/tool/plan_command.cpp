// barelink plan: routes, shares, prediction, bound and reasons for one transfer.
#include <memory>
#include <string>

#include <barelink/plan/broadcast.hpp>
#include <barelink/plan/planner.hpp>
#include <barelink/report/explain.hpp>
#include <barelink/report/plan_svg.hpp>

#include "commands.hpp"
#include "json.hpp"
#include "machine_argument.hpp"
#include "output.hpp"
#include "transfer_argument.hpp"

namespace tool {
namespace {

auto planned(const barelink::machine& m, const barelink::request& asked) {
    return barelink::default_planner(m).make(asked);
}
auto planned(const barelink::machine& m, const barelink::broadcast_request& asked) {
    return barelink::plan_broadcast(m, asked);
}

/// One line when other GPUs could help and none was allowed to; else empty. `Plan`: of a copy or of a broadcast.
template <class Plan>
std::string relay_hint(const barelink::machine& m, const Plan& made) {
    if (!made.asked.relays.empty()) return {};
    auto more = made.asked;
    more.relays = barelink::gpu_set::all();
    const auto relayed = planned(m, more);
    if (!relayed || relayed->predicted_us > 0.98 * made.predicted_us) return {};
    return "hint: with --allow-relay all, through other GPUs' memory: " +
           barelink::format_gb_s(relayed->predicted_gb_s()) + " instead of " +
           barelink::format_gb_s(made.predicted_gb_s()) + "\n";
}

struct plan_options {
    machine_argument machine;
    transfer_argument transfer;
    std::string svg;
    bool json = false;
    bool explain = false;

    void run() const {
        const barelink::machine m = machine.read_with_gpu();
        if (transfer.is_broadcast()) return run_broadcast(m);
        const barelink::plan made = planned(m, transfer.read(m)).value();
        if (!svg.empty()) write_file(svg, plan_svg(m, made));
        if (json) {
            auto out = plan_json(m, made);
            if (explain) out["explain"] = barelink::explain(m, made);
            return print(out.dump(2) + "\n");
        }
        const barelink::text_style style{colours()};
        print(explain ? barelink::explain(m, made, style) : plan_text(m, made, style));
        print(relay_hint(m, made));
    }

private:
    void run_broadcast(const barelink::machine& m) const {
        if (!svg.empty() || explain)
            barelink::detail::raise(barelink::error(barelink::errc::unsupported,
                                                    "only plans to one GPU are drawn and explained: leave out --svg "
                                                    "and --explain, or name one GPU"));
        const barelink::broadcast_plan made = planned(m, transfer.read_broadcast(m)).value();
        if (json) return print(plan_json(m, made).dump(2) + "\n");
        print(plan_text(m, made, barelink::text_style{colours()}));
        print(relay_hint(m, made));
    }
};

} // namespace

void add_plan_command(CLI::App& app) {
    CLI::App* command = app.add_subcommand("plan", "Plan one transfer: routes, shares, prediction, bound, and why");
    auto options = std::make_shared<plan_options>();
    options->transfer.add_to(*command);
    options->machine.add_to(*command);
    command->add_option("--svg", options->svg, "Also draw the plan into this file")->type_name("FILE");
    command->add_flag("--explain", options->explain, "Also the crossover size, and what a naive copy reaches");
    command->add_flag("--json", options->json, "The plan as JSON");
    command->callback([options] { options->run(); });
}

} // namespace tool
