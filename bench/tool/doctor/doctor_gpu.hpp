// The checks of `barelink doctor` that use GPUs: in parts, each run by a child process, and what plans must heed as JSON.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <barelink/machine/machine.hpp>
#include <barelink/measure/doctor_effects.hpp>
#include <barelink/measure/finding.hpp>
#include <barelink/plan/request.hpp>

#include "doctor_parts.hpp"

namespace tool {

/// What a part found, and what plans must heed of it.
struct gpu_part_result {
    std::vector<barelink::finding> found;
    std::vector<barelink::probe_result> learned;
};

/// The parts there are for the listed GPUs of a machine, in their order: none without CUDA in this build or a GPU that CUDA
/// can drive. Uses no GPU.
[[nodiscard]] std::vector<doctor_part> gpu_parts(const barelink::machine& m, const barelink::gpu_set& gpus);

/// An `unknown` finding for every check that a part would have made, for a machine without parts.
[[nodiscard]] std::vector<barelink::finding> without_gpu_parts(const barelink::machine& m);

/// Runs one part, in a process that has not used CUDA yet. Blocks; may hang with a GPU. Throws not_found for another name.
[[nodiscard]] gpu_part_result run_gpu_part(const std::string& name, const barelink::machine& m,
                                           const barelink::gpu_set& gpus);

/// One thing learned: `{"what","from","to","proof","gb_s","check"}`.
[[nodiscard]] inline nlohmann::ordered_json effect_json(const barelink::probe_result& learned) {
    nlohmann::ordered_json out{{"what", to_string(learned.what)}, {"from", learned.from}, {"to", learned.to}};
    if (learned.what == barelink::probe_result::kind::delivery) out["proof"] = to_string(learned.proof);
    if (learned.what == barelink::probe_result::kind::link_rate) out["gb_s"] = learned.gb_s;
    out["check"] = learned.check;
    return out;
}

/// Errors: parse, for anything that `effect_json` does not write.
[[nodiscard]] inline barelink::result<barelink::probe_result> effect_of_json(const nlohmann::ordered_json& from) {
    using kind = barelink::probe_result::kind;
    const auto refuse = [](const char* why) {
        return barelink::error(barelink::errc::parse, barelink::text::join({"an effect of doctor's ", why}));
    };
    if (!from.is_object()) return refuse("is no object");
    const auto word = [&](const char* name) {
        const auto at = from.find(name);
        return at != from.end() && at->is_string() ? at->get<std::string>() : std::string();
    };
    barelink::probe_result read;
    const std::string what = word("what");
    bool known = false;
    for (const kind each : {kind::delivery, kind::path_off, kind::nearest_node, kind::link_rate})
        if (what == to_string(each)) {
            read.what = each;
            known = true;
        }
    read.from = word("from");
    read.to = word("to");
    read.check = word("check");
    if (!known || read.from.empty() || read.to.empty() || read.check.empty())
        return refuse("lacks what, from, to or check");
    if (read.what == kind::delivery) {
        const std::string proof = word("proof");
        if (proof != "proved" && proof != "failed") return refuse("says neither proved nor failed");
        read.proof = proof == "failed" ? barelink::delivery::failed : barelink::delivery::proved;
    }
    if (read.what == kind::link_rate) {
        const auto rate = from.find("gb_s");
        if (rate == from.end() || !rate->is_number()) return refuse("has no rate");
        read.gb_s = rate->get<double>();
        if (!std::isfinite(read.gb_s) || read.gb_s <= 0) return refuse("has a rate that no link has");
    }
    return read;
}

} // namespace tool
