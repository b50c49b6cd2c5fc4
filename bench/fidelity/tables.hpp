// The comparison for people: equal GPUs folded into one line, errors by kind, and why the odd ones are off.
#pragma once

#include <string>
#include <vector>

#include <fmt/format.h>

#include <barelink/report/text_table.hpp>
#include <barelink/report/units.hpp>

#include "comparison.hpp"

namespace fidelity {

namespace detail {

/// Rows that one line stands for: the same measurement of one system on other GPUs, pairs, or sizes of one decade.
struct line {
    std::string name;
    std::vector<const compared_row*> rows;
};

inline std::string line_name(const compared_row& each) {
    std::string metric = each.row.metric;
    for (const char* detail : {" (min over pairs)", " (max over pairs)"})
        if (const std::size_t at = metric.find(detail); at != std::string::npos) metric.erase(at, 11 + 6);
    if (each.asked.what != kind::curve) return each.row.system + ": " + metric + " " + each.row.direction;
    std::uint64_t decade = 1;
    while (decade * 10 <= each.asked.bytes) decade *= 10;
    return each.row.system + ": " + metric + " " + each.row.direction + fmt::format(", {} kB up", decade / 1000);
}

template <class Value>
std::string range(const std::vector<const compared_row*>& rows, Value value) {
    double least = value(*rows[0]), most = least;
    for (const compared_row* each : rows) {
        least = std::min(least, value(*each));
        most = std::max(most, value(*each));
    }
    const auto text = [](double v) { return fmt::format("{:.{}f}", v, v < 100 ? 1 : 0); };
    return text(least) == text(most) ? text(most) : text(least) + ".." + text(most);
}

inline std::string percent(double share, bool sign = false) {
    return sign ? fmt::format("{:+.1f} %", 100 * share) : fmt::format("{:.1f} %", 100 * share);
}

} // namespace detail

/// A table for every kind: published beside simulated, GB/s or microseconds.
inline std::string kind_tables(const comparison& all, barelink::text_style style) {
    std::string out;
    for (const kind k : all_kinds) {
        std::vector<detail::line> lines;
        for (const compared_row& each : all.rows) {
            if (each.asked.what != k) continue;
            const std::string name = detail::line_name(each);
            std::size_t l = 0;
            while (l < lines.size() && lines[l].name != name) ++l;
            if (l == lines.size()) lines.push_back({name, {}});
            lines[l].rows.push_back(&each);
        }
        if (lines.empty()) continue;
        const bool time = lines[0].rows[0]->row.unit == "us";
        barelink::text_table table("<>>>>>>");
        table.row({"", "rows", "fit", time ? "published us" : "published GB/s", "simulated", "mean error", "worst"});
        for (const detail::line& each : lines) {
            double mean = 0, worst = 0;
            std::size_t fitted = 0;
            for (const compared_row* row : each.rows) {
                mean += std::abs(row->error) / static_cast<double>(each.rows.size());
                worst = std::abs(row->error) > std::abs(worst) ? row->error : worst;
                fitted += row->row.use == "fit";
            }
            table.row({each.name, std::to_string(each.rows.size()), fitted ? std::to_string(fitted) : "",
                       detail::range(each.rows, [](const compared_row& r) { return r.published; }),
                       detail::range(each.rows, [](const compared_row& r) { return r.simulated; }),
                       detail::percent(mean), detail::percent(worst, true)});
        }
        out += style.bold(to_string(k)) + "\n" + table.str("  ", style) + "\n";
    }
    return out;
}

/// Errors by kind, of all rows and of each set apart.
inline std::string summary_table(const comparison& all, barelink::text_style style) {
    barelink::text_table table("<>>>>>>");
    table.row({"mean error", "rows", "all", "fit rows", "fit", "judged rows", "judged"});
    const auto add = [&](const char* name, auto belongs) {
        const summary every = summarise(all.rows, belongs);
        const summary fit =
            summarise(all.rows, [&](const compared_row& r) { return belongs(r) && r.row.use == "fit"; });
        const summary judged =
            summarise(all.rows, [&](const compared_row& r) { return belongs(r) && r.row.use != "fit"; });
        if (every.rows == 0) return;
        const auto mean = [](const summary& s) { return s.rows ? detail::percent(s.mean) : std::string(); };
        table.row({name, std::to_string(every.rows), mean(every), std::to_string(fit.rows), mean(fit),
                   std::to_string(judged.rows), mean(judged)});
    };
    for (const kind k : all_kinds) add(to_string(k), [k](const compared_row& r) { return r.asked.what == k; });
    add("all", [](const compared_row&) { return true; });
    return table.str("  ", style);
}

/// Which machine stands for which system.
inline std::string stand_in_table(const comparison& all, barelink::text_style style) {
    barelink::text_table table("<<");
    table.row({"published system", "simulated machine"});
    std::vector<std::string> seen;
    for (const compared_row& each : all.rows) {
        const std::string pair = each.row.system + '\n' + each.machine;
        if (std::find(seen.begin(), seen.end(), pair) != seen.end()) continue;
        seen.push_back(pair);
        table.row({each.row.system, each.machine});
    }
    return table.str("  ", style);
}

/// Every row that is off by more than `most_off`, and why; grouped by reason.
inline std::string odd_rows(const comparison& all) {
    std::vector<std::string> reasons;
    for (const compared_row& each : all.rows)
        if (std::abs(each.error) > most_off && std::find(reasons.begin(), reasons.end(), each.reason) == reasons.end())
            reasons.push_back(each.reason);
    std::string out;
    for (const std::string& why : reasons) {
        out += "  " + (why.empty() ? std::string("NO REASON GIVEN") : why) + "\n";
        barelink::text_table table("<<>>>");
        for (const compared_row& each : all.rows)
            if (std::abs(each.error) > most_off && each.reason == why)
                table.row({each.row.system + ": " + each.row.metric, each.row.from + " to " + each.row.to,
                           fmt::format("{:.1f}", each.published), fmt::format("{:.1f}", each.simulated),
                           detail::percent(each.error, true)});
        out += table.str("      ", {}, false);
    }
    return out;
}

/// What was not asked, counted by why.
inline std::string left_out_table(const comparison& all, barelink::text_style style) {
    std::vector<std::pair<std::string, std::size_t>> counts;
    for (const left_out_row& each : all.left_out) {
        std::size_t c = 0;
        while (c < counts.size() && counts[c].first != each.why) ++c;
        if (c == counts.size()) counts.emplace_back(each.why, 0);
        ++counts[c].second;
    }
    if (counts.empty()) return {};
    barelink::text_table table("><");
    table.row({"rows", "left out because"});
    for (const auto& [why, count] : counts) table.row({std::to_string(count), why});
    return table.str("  ", style);
}

} // namespace fidelity
