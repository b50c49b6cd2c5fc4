// fidelity: the simulator's prediction beside published measurements, row by row, with the error of each and the mean by kind.
#include <cstdio>
#include <exception>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "../tool/output.hpp"
#include "tables.hpp"

namespace {

nlohmann::json as_json(const fidelity::comparison& all) {
    using fidelity::compared_row;
    using nlohmann::json;
    json rows = json::array(), left_out = json::array();
    for (const compared_row& each : all.rows)
        rows.push_back({{"system", each.row.system},
                        {"metric", each.row.metric},
                        {"from", each.row.from},
                        {"to", each.row.to},
                        {"bytes", each.asked.bytes},
                        {"copies", each.asked.copies},
                        {"kind", to_string(each.asked.what)},
                        {"machine", each.machine},
                        {"unit", each.row.unit == "us" ? "us" : "GB/s"},
                        {"published", each.published},
                        {"simulated", each.simulated},
                        {"error", each.error},
                        {"use", each.row.use},
                        {"reason", each.reason.empty() ? json() : json(each.reason)},
                        {"source", each.row.source}});
    for (const fidelity::left_out_row& each : all.left_out)
        left_out.push_back({{"system", each.row.system}, {"metric", each.row.metric}, {"why", each.why}});
    const auto summary = [&](auto chooses) {
        const fidelity::summary s = summarise(all.rows, chooses);
        return json{{"rows", s.rows}, {"mean_error", s.mean}, {"worst_error", s.worst}};
    };
    return {{"rows", rows},
            {"left_out", left_out},
            {"all", summary([](const compared_row&) { return true; })},
            {"fit", summary([](const compared_row& r) { return r.row.use == "fit"; })},
            {"judge", summary([](const compared_row& r) { return r.row.use != "fit"; })},
            {"unexplained", unexplained(all)},
            {"holds", holds(all)}};
}

void print_text(const fidelity::comparison& all) {
    const barelink::text_style style{tool::colours()};
    tool::print(kind_tables(all, style));
    tool::print(stand_in_table(all, style) + "\n");
    tool::print(left_out_table(all, style));
    const std::string odd = odd_rows(all);
    if (!odd.empty())
        tool::print(fmt::format("\nOff by more than {:.0f} %, and why:\n", 100 * fidelity::most_off) + odd);
    tool::print("\n" + summary_table(all, style));
}

} // namespace

int main(int argc, char** argv) {
    CLI::App app("Published measurements beside what the simulated server says to the same copies");
    std::string rows_path = FIDELITY_DATA "/published.csv", reasons_path = FIDELITY_DATA "/reasons.csv", json_path;
    bool check = false;
    app.add_option("--rows", rows_path, "CSV of published rows")->capture_default_str();
    app.add_option("--reasons", reasons_path, "CSV: why rows are off by more than 25 %")->capture_default_str();
    app.add_option("--json", json_path, "Write JSON to this file, - for standard output");
    app.add_flag("--check", check,
                 "Print the summary alone; exit 1 when the mean error is above 8 % or a row is off by more than 25 % "
                 "without a reason");
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp& asked) {
        return app.exit(asked);
    } catch (const CLI::ParseError& wrong) {
        std::fprintf(stderr, "fidelity: %s\n", wrong.what());
        return 2;
    }
    try {
        const auto rows = fidelity::read_published(rows_path).value();
        const auto reasons = fidelity::read_reasons(reasons_path).value();
        const fidelity::comparison all = compare(rows, reasons).value();
        if (json_path == "-")
            tool::print(as_json(all).dump(2) + "\n");
        else if (!json_path.empty())
            tool::write_file(json_path, as_json(all).dump(2) + "\n");
        if (check) {
            tool::print(summary_table(all, {}));
            if (unexplained(all) > 0) tool::print("\n" + odd_rows(all));
            if (!holds(all)) {
                std::fprintf(stderr, "fidelity: the simulator is further from what is published than it may be\n");
                return 1;
            }
        } else if (json_path != "-") {
            print_text(all);
        }
    } catch (const std::exception& failed) {
        std::fprintf(stderr, "fidelity: %s\n", failed.what());
        return 1;
    }
    return 0;
}
