// Findings as JSON: what `doctor --json` prints and what its children say.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <barelink/measure/doctor_checks.hpp>
#include <barelink/measure/finding.hpp>

namespace tool {

[[nodiscard]] inline nlohmann::ordered_json finding_json(const barelink::finding& f) {
    return {{"id", f.id},         {"title", f.title},       {"severity", to_string(f.level)},
            {"object", f.object}, {"evidence", f.evidence}, {"limit", f.limit},
            {"cost", f.cost},     {"remedy", f.remedy},     {"reaction", f.reaction}};
}

/// The other way round; what is missing or of another type is empty, an unknown severity `unknown`.
[[nodiscard]] inline barelink::finding finding_of_json(const nlohmann::ordered_json& from) {
    const auto text = [&](const char* key) {
        const auto found = from.find(key);
        return found != from.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    barelink::finding f;
    f.id = text("id");
    f.title = text("title");
    f.object = text("object");
    f.evidence = text("evidence");
    f.limit = text("limit");
    f.cost = text("cost");
    f.remedy = text("remedy");
    f.reaction = text("reaction");
    const std::string level = text("severity");
    using barelink::severity;
    for (const severity each : {severity::ok, severity::info, severity::unknown, severity::warn, severity::fail})
        if (level == to_string(each)) f.level = each;
    return f;
}

[[nodiscard]] inline nlohmann::ordered_json findings_json(const std::vector<barelink::finding>& all) {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const barelink::finding& each : all) out.push_back(finding_json(each));
    return out;
}

/// On one line or indented. Text of the system that is no UTF-8 (DMI, variables) is replaced by marks rather than refused.
[[nodiscard]] inline std::string dumped(const nlohmann::ordered_json& value, int indent = -1) {
    return value.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace tool
