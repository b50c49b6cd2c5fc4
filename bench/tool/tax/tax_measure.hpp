// Runs the measuring processes one after the other within a time limit, and puts their pieces together.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <barelink/measure/child_process.hpp>

#include "tax_collector.hpp"
#include "tax_json.hpp"
#include "tax_merge.hpp"
#include "tax_progress.hpp"

namespace tool {

/// On one command line: `host_link,nvlink`.
[[nodiscard]] inline std::string names_of(const std::vector<barelink::tax_row>& rows) {
    std::string names;
    for (const barelink::tax_row each : rows) names += (names.empty() ? "" : ",") + std::string(to_string(each));
    return names;
}

[[nodiscard]] inline std::string list_of(const std::vector<int>& gpus) {
    std::string list;
    for (const int each : gpus) list += (list.empty() ? "" : ",") + std::to_string(each);
    return list;
}

/// The reports that a process wrote one after the other; what it was writing when it ended is left out.
[[nodiscard]] inline std::vector<barelink::tax_report> reports_in(const std::string& output, const std::string& name) {
    const std::string end = "\n}\n";
    std::vector<barelink::tax_report> found;
    for (std::size_t at = 0, next = 0; (next = output.find(end, at)) != std::string::npos; at = next + end.size())
        found.push_back(parse_tax_report(output.substr(at, next + end.size() - at), name).value());
    return found;
}

/// The row at which a process of this number ended early: the first of its order that it wrote nothing about.
[[nodiscard]] inline std::vector<barelink::tax_row>
rows_left(unsigned number, const std::vector<barelink::tax_row>& left_out, std::size_t written) {
    std::vector<barelink::tax_row> rows = rows_in_turn(number);
    std::erase_if(rows, [&](barelink::tax_row row) {
        return std::find(left_out.begin(), left_out.end(), row) != left_out.end();
    });
    rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(std::min(written, rows.size())));
    return rows;
}

struct tax_session {
    std::string command = "measure-process"; ///< of `tax`
    unsigned processes = 10;
    double limit_s = 600; ///< for all processes
    tax_parameters each;  ///< `seconds` and `number` are set here
};

/// Measures in fresh processes, which run this program. A process that hangs or dies ends alone; a row at which one hung, or two died,
/// is left out from then on, with the reason. When time runs out there are fewer processes, and a finding says so.
/// Errors: device when no process measured anything, with what the last one said.
[[nodiscard]] inline barelink::result<barelink::tax_report> measure_in_processes(const tax_session& session) {
    const std::string program = barelink::own_program();
    const double begin = tax_clock_s();
    const auto left_s = [&] { return session.limit_s - (tax_clock_s() - begin); };
    tax_merger merger;
    std::vector<barelink::tax_row> left_out, crashed;
    std::string last_words = "no process was started";
    double longest_s = 0;
    unsigned started = 0;
    tax_progress progress(session.processes, session.limit_s);
    for (; started < session.processes; ++started) {
        const double share_s = left_s() / (session.processes - started);
        if (started > 0 && longest_s > left_s()) break;
        progress.begin(started, fmt::format("process {} of {}", started + 1, session.processes),
                       longest_s > 0 ? longest_s : share_s);
        // Starting, making memory and ending take their time, too; a hang may take no more than two others' share.
        std::vector<std::string> command{program, "tax", session.command};
        command.insert(command.end(), {"--seconds", fmt::format("{:.3f}", 0.7 * share_s)});
        command.insert(command.end(), {"--number", std::to_string(started)});
        command.insert(command.end(), {"--gpus", list_of(session.each.gpus)});
        if (session.each.quick) command.push_back("--quick");
        if (!left_out.empty()) command.insert(command.end(), {"--leave-out", names_of(left_out)});
        const double most_s = std::max(1.0, std::min(left_s(), std::max(2 * share_s, 2 * longest_s)));
        const auto ended = barelink::run_child(command, most_s);
        if (!ended) return ended.error();
        longest_s = std::max(longest_s, ended->seconds);
        std::vector<barelink::tax_report> pieces = reports_in(ended->output, fmt::format("process {}", started + 1));
        const std::size_t written = pieces.size();
        merger.add(std::move(pieces));
        if (ended->succeeded()) continue;
        // One that gave up did so right after the row that broke CUDA; one that hung or crashed was in the next.
        const bool gave_up = !ended->timed_out && ended->signal == 0;
        const std::vector<barelink::tax_row> missing =
            rows_left(started, left_out, gave_up && written > 0 ? written - 1 : written);
        last_words = ended->errors.substr(0, ended->errors.find('\n'));
        if (last_words.rfind("barelink: ", 0) == 0) last_words.erase(0, 10);
        const std::string how = ended->said() + (last_words.empty() ? "" : " (" + last_words + ")");
        barelink::finding early;
        early.id = "TAX-03";
        early.title = "measuring processes end";
        early.level = barelink::severity::warn;
        early.object = fmt::format("process {}", started + 1);
        early.evidence =
            "it " + how + (missing.empty() ? "" : fmt::format(" while it measured {}", to_string(missing.front())));
        early.limit = fmt::format("{:.0f} s (project choice)", most_s);
        early.cost = "not quantified";
        early.reaction = "after a hang or a second crash at a row the other processes leave it out";
        merger.found(std::move(early));
        last_words = how;
        if (started == 0 && written == 0 && gave_up) break; // the next one would say the same
        if (missing.empty()) continue;
        // A crash may be a chance; a second one at the same row is not, and another hang would cost too much time.
        const auto again = [&] { return std::find(crashed.begin(), crashed.end(), missing.front()) != crashed.end(); };
        if (!ended->timed_out && !again()) {
            crashed.push_back(missing.front());
            continue;
        }
        left_out.push_back(missing.front());
        barelink::tax_report none;
        none.absent.push_back({missing.front(), "", fmt::format("process {} {}", started + 1, how)});
        std::vector<barelink::tax_report> one;
        one.push_back(std::move(none));
        merger.add(std::move(one));
        if (left_out.size() == barelink::tax_rows.size()) break;
    }
    barelink::tax_report report = merger.take();
    if (report.processes == 0)
        return barelink::error(barelink::errc::device,
                               barelink::text::join({"nothing could be measured: ", last_words.c_str()}));
    if (started < session.processes && left_out.size() < barelink::tax_rows.size()) {
        barelink::finding few;
        few.id = "TAX-04";
        few.title = "as many processes as asked for";
        few.level = barelink::severity::info;
        few.evidence = fmt::format("time was over after {} of {} processes", started, session.processes);
        few.limit = fmt::format("{:.0f} s in all", session.limit_s);
        few.cost = "wider intervals";
        few.remedy = "give it more time with --time-limit";
        report.findings.push_back(std::move(few));
    }
    return report;
}

} // namespace tool
