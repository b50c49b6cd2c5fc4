// A tax comparison as JSON: every figure that the text and the page show, and those that they leave out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <barelink/measure/tax_comparison.hpp>

#include "doctor/doctor_json.hpp"

namespace tool {

/// Field names do not change within a major version. Ratios and shares are numbers around 1, times are in us, rates in GB/s,
/// money in the bill's unit; `null` where there is no figure.
[[nodiscard]] nlohmann::ordered_json tax_comparison_json(const barelink::tax_comparison& c);

namespace tax_compare_json_detail {

using json = nlohmann::ordered_json;

[[nodiscard]] inline json interval_json(const barelink::tax_interval& i) {
    return {{"low", i.low}, {"estimate", i.mid}, {"high", i.high}};
}
[[nodiscard]] inline json interval_json(const std::optional<barelink::tax_interval>& i) {
    return i ? interval_json(*i) : json();
}

[[nodiscard]] inline json side_json(const barelink::tax_side& side) {
    const barelink::tax_subject& of = side.subject;
    return {{"name", side.name},
            {"taken", side.taken},
            {"processes", side.processes},
            {"gpu", of.gpu},
            {"gpus", of.gpus},
            {"driver", of.driver},
            {"cuda", of.cuda},
            {"ecc", of.ecc},
            {"mig", of.mig},
            {"power_cap", of.power_cap},
            {"cpu", of.cpu},
            {"hypervisor", of.hypervisor},
            {"simulated", of.simulated}};
}

[[nodiscard]] inline json line_json(const barelink::tax_line& line) {
    const bool told = line.verdict != barelink::tax_verdict::not_measured;
    const auto figure = [&](const auto& value) { return told ? json(value) : json(); };
    return {{"id", line.id},
            {"row", to_string(line.row)},
            {"what", line.what},
            {"unit", line.unit == barelink::tax_unit::gb_s ? "gb_s" : "us"},
            {"statistic", to_string(line.statistic)},
            {"headline", line.headline},
            {"a", figure(line.a)},
            {"b", figure(line.b)},
            {"ratio", told ? interval_json(line.ratio) : json()},
            {"kept", told ? interval_json(line.kept) : json()},
            {"added_us", told ? interval_json(line.added_us) : json()},
            {"level", line.level},
            {"noise", interval_json(line.noise)},
            {"margin", line.margin},
            {"verdict", to_string(line.verdict)},
            {"more_runs", line.more_runs},
            {"note", line.note},
            {"runs_a", line.runs_a},
            {"runs_b", line.runs_b},
            {"samples_a", line.samples_a},
            {"samples_b", line.samples_b}};
}

[[nodiscard]] inline json row_json(const barelink::tax_comparison& c, const barelink::tax_row_result& row) {
    const bool added = row.claim.kind == barelink::tax_claim_kind::added_us;
    json shown;
    if (row.shown) shown = {{"id", c.lines[*row.shown].id}, {"statistic", to_string(c.lines[*row.shown].statistic)}};
    return {{"row", to_string(row.claim.row)},
            {"title", row.claim.title},
            {"claim",
             {{"text", row.claim.text},
              {"counts", added ? "added_us" : "kept"},
              {"low", row.claim.low},
              {"high", row.claim.high},
              {"remark", row.claim.remark}}},
            {"verdict", to_string(row.verdict)},
            {"why", row.why},
            {"rests_on", std::move(shown)},
            {"against_claim", to_string(row.against_claim)},
            {"only_a", findings_json(row.only_a)},
            {"only_b", findings_json(row.only_b)},
            {"unexplained", row.unexplained},
            {"note", row.note}};
}

} // namespace tax_compare_json_detail

inline nlohmann::ordered_json tax_comparison_json(const barelink::tax_comparison& c) {
    using namespace tax_compare_json_detail;
    json rows = json::array(), lines = json::array(), money;
    for (const barelink::tax_row_result& row : c.rows) rows.push_back(row_json(c, row));
    for (const barelink::tax_line& line : c.lines) lines.push_back(line_json(line));
    if (c.money)
        money = {{"monthly_bill", c.money->monthly_bill},
                 {"lost", interval_json(c.money->lost)},
                 {"more", interval_json(c.money->more)},
                 {"level", c.money->level},
                 {"from", c.money->from}};
    return {{"title", c.title},
            {"one_host", c.one_host},
            {"simulated", c.simulated},
            {"watermark", c.watermark},
            {"cautions", c.cautions},
            {"a", side_json(c.a)},
            {"b", side_json(c.b)},
            {"rows", std::move(rows)},
            {"money", std::move(money)},
            {"no_money", c.no_money},
            {"lines", std::move(lines)},
            {"only_a", findings_json(c.only_a)},
            {"only_b", findings_json(c.only_b)},
            {"method", c.method}};
}

} // namespace tool
