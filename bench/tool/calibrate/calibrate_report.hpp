// A calibration as text and as JSON.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/calibration.hpp>
#include <barelink/report/text_table.hpp>
#include <barelink/report/units.hpp>

#include "json.hpp"

namespace tool {

/// What stands around a calibration in its report.
struct calibrate_facts {
    bool simulated = false;
    std::string gpus;  ///< as listed on the command line
    std::string saved; ///< file; empty: not saved
};

namespace detail {

[[nodiscard]] inline std::string copies_text(const barelink::machine& m, const barelink::calibrated_set& set) {
    constexpr std::size_t most = 4;
    std::string text;
    for (std::size_t i = 0; i < set.copies.size() && i < most; ++i)
        text += fmt::format("{}{} -> {}", i ? ", " : "", m.at(set.copies[i].from).id(), m.at(set.copies[i].to).id());
    if (set.copies.size() > most) text += fmt::format(" and {} more", set.copies.size() - most);
    return text;
}
/// Copies to one GPU, or from one: that they share its link goes without saying.
[[nodiscard]] inline bool meets_at_a_gpu(const barelink::machine& m, const barelink::calibrated_set& set) {
    bool from = true, to = true;
    for (const barelink::calibrated_copy& each : set.copies) {
        from = from && each.from == set.copies.front().from && m.at(each.from).kind == barelink::node_kind::gpu;
        to = to && each.to == set.copies.front().to && m.at(each.to).kind == barelink::node_kind::gpu;
    }
    return from || to;
}
[[nodiscard]] inline std::string direction_text(const barelink::calibrated_link& one) {
    using barelink::link_knowledge;
    const std::string before = barelink::format_rate(one.before_gb_s), now = barelink::format_rate(one.gb_s);
    if (one.known == link_knowledge::unseen) return before;
    if (one.known == link_knowledge::at_least)
        return fmt::format("{} (at least {})", now, barelink::format_rate(one.seen_gb_s));
    return before == now ? now : fmt::format("{} -> {}", before, now);
}

} // namespace detail

[[nodiscard]] inline std::string calibrate_text(const barelink::calibration& found, const calibrate_facts& facts,
                                                barelink::text_style style) {
    const barelink::machine& m = found.calibrated;
    std::size_t measured = 0;
    for (const barelink::calibrated_link& each : found.links)
        measured += each.known == barelink::link_knowledge::measured;
    std::string out = fmt::format("{}: {} of {} link directions measured in {}\n", style.bold(m.name), measured,
                                  found.links.size(), barelink::format_us(found.took_us));
    if (facts.simulated) out += style.bad("simulated GPUs: times are not measurements") + "\n";
    if (!found.complete) out += style.bad("the time limit came first: not everything was measured") + "\n";

    barelink::text_table links("<>><");
    links.row({"link, GB/s", "forth", "back", "evidence"});
    for (std::size_t l = 0; 2 * l + 1 < found.links.size(); ++l) {
        const barelink::calibrated_link &ab = found.links[2 * l], &ba = found.links[2 * l + 1];
        std::string evidence = to_string(m.links[l].source);
        if (ab.chosen || ba.chosen) evidence += ", or another link of the same paths";
        links.row({m.id(barelink::link_index{static_cast<std::uint32_t>(l)}), detail::direction_text(ab),
                   detail::direction_text(ba), evidence});
    }
    out += "\n" + links.str("  ", style);

    barelink::text_table shared("<>>");
    shared.row({"together slower than alone, GB/s", "alone", "together"});
    constexpr std::size_t most_rows = 16;
    std::size_t rows = 0;
    for (const barelink::calibrated_set& set : found.together) {
        if (detail::meets_at_a_gpu(m, set)) continue;
        double alone = 0, together = 0;
        for (const barelink::calibrated_copy& each : set.copies) {
            alone += each.alone_gb_s;
            together += each.together_gb_s;
        }
        constexpr double slower = 0.95;
        if (together >= slower * alone) continue;
        if (++rows <= most_rows)
            shared.row({detail::copies_text(m, set), barelink::format_rate(alone), barelink::format_rate(together)});
    }
    if (rows > most_rows) shared.row({fmt::format("and {} more sets: see --json", rows - most_rows), "", ""});
    if (rows > 0) out += "\n" + shared.str("  ", style);

    barelink::text_table both("<>>>>");
    both.row({"both directions at once, GB/s", "in alone", "out alone", "in", "out"});
    for (const barelink::calibrated_set& set : found.both_ways)
        both.row({m.at(set.copies[0].to).id(), barelink::format_rate(set.copies[0].alone_gb_s),
                  barelink::format_rate(set.copies[1].alone_gb_s), barelink::format_rate(set.copies[0].together_gb_s),
                  barelink::format_rate(set.copies[1].together_gb_s)});
    if (!found.both_ways.empty()) out += "\n" + both.str("  ", style);

    barelink::text_table costs("<>>");
    costs.row({"costs, us and GB/s", "before", "measured"});
    for (const barelink::calibrated_cost& each : found.costs)
        costs.row({each.name, fmt::format("{:.4g}", each.before), fmt::format("{:.4g}", each.after)});
    if (!found.costs.empty()) out += "\n" + costs.str("  ", style);

    if (!found.notes.empty()) out += "\n";
    for (const barelink::machine_note& each : found.notes) out += fmt::format("  {}: {}\n", each.object, each.said);
    if (!facts.saved.empty()) out += fmt::format("\nsaved to {}\n", facts.saved);
    return out;
}

[[nodiscard]] inline json calibrate_json(const barelink::calibration& found, const calibrate_facts& facts) {
    const barelink::machine& m = found.calibrated;
    const auto sets = [&](const std::vector<barelink::calibrated_set>& all) {
        json list = json::array();
        for (const barelink::calibrated_set& set : all) {
            json copies = json::array();
            for (const barelink::calibrated_copy& each : set.copies)
                copies.push_back({{"from", m.at(each.from).id()},
                                  {"to", m.at(each.to).id()},
                                  {"alone_gb_s", each.alone_gb_s},
                                  {"together_gb_s", each.together_gb_s},
                                  {"explained_gb_s", each.explained_gb_s}});
            list.push_back(std::move(copies));
        }
        return list;
    };
    json out = {{"calibration", 1},
                {"machine", m.name},
                {"measured_on", m.measured_on},
                {"simulated", facts.simulated},
                {"gpus", facts.gpus},
                {"complete", found.complete},
                {"took_us", found.took_us},
                {"saved", facts.saved},
                {"links", json::array()}};
    for (const barelink::calibrated_link& each : found.links)
        out["links"].push_back({{"link", m.id(each.where.link)},
                                {"reverse", each.where.reverse},
                                {"before_gb_s", each.before_gb_s},
                                {"gb_s", each.gb_s},
                                {"seen_gb_s", each.seen_gb_s},
                                {"known", to_string(each.known)},
                                {"chosen", each.chosen}});
    out["alone"] = sets(found.alone);
    out["together"] = sets(found.together);
    out["both_ways"] = sets(found.both_ways);
    out["costs"] = json::array();
    for (const barelink::calibrated_cost& each : found.costs)
        out["costs"].push_back({{"name", each.name}, {"before", each.before}, {"after", each.after}});
    out["sizes"] = json::array();
    for (const barelink::calibrated_size& each : found.sizes)
        out["sizes"].push_back({{"bytes", each.bytes}, {"us", each.us}});
    out["notes"] = json::array();
    for (const barelink::machine_note& each : found.notes)
        out["notes"].push_back({{"object", each.object}, {"said", each.said}});
    return out;
}

} // namespace tool
