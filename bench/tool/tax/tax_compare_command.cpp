// barelink tax compare: what two reports say about each other, and what they do not.
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <unistd.h>

#include <barelink/measure/tax_compare.hpp>
#include <barelink/report/tax_page.hpp>
#include <barelink/report/tax_text.hpp>

#include "commands.hpp"
#include "output.hpp"
#include "tax_compare_json.hpp"
#include "tax_json.hpp"

namespace tool {
namespace {

struct tax_compare_files {
    std::string a, b, control, json_file, html_file;
    double monthly_bill = 0, margin_rate = 2, margin_latency = 5;
    bool anyway = false;

    void run() const {
        const barelink::tax_report of_a = read_tax_report(a).value(), of_b = read_tax_report(b).value();
        std::optional<barelink::tax_report> again;
        if (!control.empty()) again = read_tax_report(control).value();
        check_alike(of_a, of_b, again);

        barelink::tax_compare_options options;
        options.rate_margin = margin_rate / 100;
        options.tail_margin = margin_latency / 100;
        options.monthly_bill = monthly_bill;
        options.anyway = anyway;
        std::optional<barelink::tax_control_pair> pair;
        if (again) pair.emplace(barelink::tax_control_pair{of_a, *again});
        const bool patient = ::isatty(STDERR_FILENO) == 1;
        if (patient) std::fputs("comparing: resampling every quantity...", stderr);
        const auto compared = barelink::compare(of_a, of_b, options, pair);
        if (patient) std::fputs("\r\x1b[K", stderr);
        if (!compared) refuse(compared.error().what());

        if (!html_file.empty()) write_file(html_file, tax_page(*compared, of_a, of_b));
        const std::string as_json = json_file.empty() ? std::string() : json_text(*compared);
        if (!json_file.empty() && json_file != "-") write_file(json_file, as_json);
        print(json_file == "-" ? as_json : tax_text(*compared, barelink::text_style{colours()}));
    }

private:
    [[nodiscard]] static std::string json_text(const barelink::tax_comparison& compared) {
        return tax_comparison_json(compared).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
               "\n";
    }
    [[noreturn]] void refuse(const std::string& why) const {
        barelink::detail::raise(barelink::error(barelink::errc::invalid_argument,
                                                ("cannot compare '" + a + "' with '" + b + "': " + why).c_str()));
    }
    /// The library would refuse too; this says what to do in the command's words, and which file is meant.
    void check_alike(const barelink::tax_report& of_a, const barelink::tax_report& of_b,
                     const std::optional<barelink::tax_report>& again) const {
        if (anyway) return;
        const auto differ = barelink::tax_gate(of_a.subject, of_b.subject);
        if (!differ.empty()) refuse(differ.front() + "; --anyway compares them under a watermark");
        if (!again) return;
        const auto unlike = barelink::tax_gate(of_a.subject, again->subject);
        if (!unlike.empty())
            refuse("'" + control + "' is no control of A, " + unlike.front() + "; name a second report of A's machine");
        if (!of_a.subject.host.empty() && !again->subject.host.empty() && of_a.subject.host != again->subject.host)
            refuse("'" + control + "' is no control of A, it was taken on another host; name a second report of A's");
    }
};

} // namespace

void add_tax_compare(CLI::App& tax) {
    CLI::App* command = tax.add_subcommand(
        "compare",
        "Hold two reports of 'tax measure' against each other: intervals and a verdict for each of five rows");
    auto files = std::make_shared<tax_compare_files>();
    command->add_option("A", files->a, "The report to compare with, such as bare metal's")
        ->type_name("FILE")
        ->required();
    command->add_option("B", files->b, "The report that is judged, such as the VM's")->type_name("FILE")->required();
    command
        ->add_option("--control", files->control,
                     "A second report of A's machine: A against A is the noise floor, shown beside every row")
        ->type_name("FILE");
    command
        ->add_option("--monthly-bill", files->monthly_bill,
                     "A month's bill, in any currency: what B adds to it, from the decode proxy alone (default: none)")
        ->type_name("AMOUNT")
        ->check(CLI::Range(0.0, 1e15));
    command->add_option("--margin-rate", files->margin_rate, "Percent of a rate or a median that count as no tax")
        ->type_name("PERCENT")
        ->check(CLI::Range(0.01, 49.0))
        ->capture_default_str();
    command->add_option("--margin-latency", files->margin_latency, "Percent of a P99 or P99.9 that count as no tax")
        ->type_name("PERCENT")
        ->check(CLI::Range(0.01, 49.0))
        ->capture_default_str();
    command->add_flag("--anyway", files->anyway,
                      "Compare although GPU model, driver, CUDA, ECC, MIG or power cap differ; every page is marked");
    command->add_option("--json", files->json_file, "The comparison into this file; - for stdout")->type_name("FILE");
    command->add_option("--html", files->html_file, "A page that needs nothing else: no script, no network")
        ->type_name("FILE");
    command->callback([files] { files->run(); });
}

} // namespace tool
