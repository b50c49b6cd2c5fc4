// What `barelink doctor` says of the machine that is measured, for its report.
#pragma once

#include <string>
#include <vector>

#include <fmt/format.h>

#include <barelink/measure/child_process.hpp>
#include <barelink/measure/finding.hpp>

#include "doctor/doctor_json.hpp"

namespace tool {

/// Runs this program as `barelink doctor` for at most `limit_s` seconds, on these GPUs alone. Where it gives no findings, one that
/// is `unknown` says why.
[[nodiscard]] inline std::vector<barelink::finding> tax_doctor_findings(const std::string& gpus, double limit_s) {
    std::vector<barelink::finding> found;
    const auto nothing = [&](const std::string& why) {
        barelink::finding missing;
        missing.id = "TAX-00";
        missing.title = "doctor's findings";
        missing.evidence = "barelink doctor " + why;
        found.assign(1, missing);
        return found;
    };
    // It is killed a while after it should have ended by itself.
    const auto ended = barelink::run_child({barelink::own_program(), "doctor", "--json", "-", "--gpus", gpus,
                                            "--time-limit", fmt::format("{:.0f}s", limit_s)},
                                           limit_s + 5);
    if (!ended) return nothing(std::string("could not be started: ") + ended.error().what());
    const auto said = nlohmann::ordered_json::parse(ended->output, nullptr, false);
    if (!said.is_object() || !said.contains("findings") || !said["findings"].is_array())
        return nothing(ended->said() + ": " + ended->errors.substr(0, ended->errors.find('\n')));
    for (const auto& each : said["findings"]) found.push_back(finding_of_json(each));
    return found;
}

} // namespace tool
