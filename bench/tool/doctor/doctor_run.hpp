// A run of doctor: its children one after the other within the time there is, and what came of them.
#pragma once

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include <barelink/measure/child_process.hpp>
#include <barelink/measure/doctor.hpp>
#include <barelink/measure/live_system.hpp>

#include "doctor_gpu.hpp"
#include "doctor_json.hpp"
#include "machine_handover.hpp"
#include "transfer_argument.hpp"

namespace tool {

struct doctor_request {
    barelink::doctor_options checks;
    bool gpus = true;
    std::string gpu_list = "all";
    /// For everything, seconds. 0: 20 s for the host, and for GPUs what their parts take at most.
    double limit_s = 0;
};

struct doctor_outcome {
    barelink::machine m;
    barelink::virtualization under;
    barelink::findings found; ///< worst first
    std::vector<barelink::probe_result> learned;
    double seconds = 0;
};

/// Runs children of this program, `barelink doctor-part ...`, one at a time.
class doctor_run {
public:
    explicit doctor_run(doctor_request asked)
        : asked_(std::move(asked)), program_(barelink::own_program()), start_(barelink::detail::monotonic_s()),
          until_(start_ + (asked_.limit_s > 0 ? asked_.limit_s : host_s)) {}

    /// Blocks until all checks have run or the time is up. What could not run is `unknown` with the reason. Errors: those of
    /// the list of GPUs.
    [[nodiscard]] doctor_outcome run() {
        doctor_outcome out;
        read_machine(out.m);
        if (asked_.limit_s <= 0) until_ = barelink::detail::monotonic_s() + host_s; // waking GPUs takes its own time
        barelink::gpu_set gpus = barelink::gpu_set::all();
        if (asked_.gpu_list != "all")
            gpus = detail::parse_gpus(out.m, asked_.gpu_list, "--gpus ", "write all or GPU numbers such as 1,2,5");
        const barelink::system_view system = barelink::live_system();
        const barelink::doctor_scene scene(system, out.m); // stolen time and throttling count from here on
        out.under = scene.under;
        run_host(out);
        if (asked_.gpus) run_gpus(out, gpus);
        for (const barelink::host_check& each : barelink::host_checks)
            if (over_the_run(each) && asked_.checks.wants(each.id)) add(out, run_check(each.id, each.run, scene));
        if (::isatty(STDERR_FILENO) == 1) std::fputs("\r\x1b[K", stderr);
        out.seconds = barelink::detail::monotonic_s() - start_;
        return out;
    }

private:
    using json = nlohmann::ordered_json;
    static constexpr double host_s = 20; ///< for the host's checks, when no time was asked for

    /// What compares the end of the run with its beginning: here, not in a child that sees a part of it.
    [[nodiscard]] static bool over_the_run(const barelink::host_check& check) {
        return check.run == barelink::check_stolen_time || check.run == barelink::check_cpu_quota;
    }
    [[nodiscard]] double left_s() const { return until_ - barelink::detail::monotonic_s(); }
    static void tell(const std::string& said) {
        if (::isatty(STDERR_FILENO) == 1) std::fprintf(stderr, "\r\x1b[Kdoctor: %s", said.c_str());
    }
    static void add(doctor_outcome& out, const barelink::findings& more) {
        out.found = barelink::join_findings(std::move(out.found), more);
    }
    [[nodiscard]] std::string time_is_up() const {
        return "not reached: the time limit of " + barelink::detail::host::figure(until_ - start_) + " s was over";
    }

    /// How a child ended, or why there was none, as the reason of what it did not find out.
    [[nodiscard]] barelink::result<barelink::child_end> child(const std::string& part, std::vector<std::string> more,
                                                              double limit_s) const {
        std::vector<std::string> arguments{program_, "doctor-part", part, "--gpus", asked_.gpu_list};
        if (machine_fd_ >= 0) {
            arguments.emplace_back("--machine-fd");
            arguments.push_back(std::to_string(machine_fd_));
        }
        arguments.insert(arguments.end(), more.begin(), more.end());
        return barelink::run_child(arguments, std::min(limit_s, left_s()));
    }

    /// By a child, because asking CUDA may hang; without GPUs when it does.
    void read_machine(barelink::machine& m) {
        tell("reading the machine");
        std::string why;
        for (const bool with_gpus : {true, false}) {
            if (with_gpus && !asked_.gpus) continue;
            const auto end = child(with_gpus ? "machine" : "host-machine", {}, 15);
            if (end && end->succeeded()) {
                auto read = barelink::read_hwloc_xml_buffer(end->output.data(), end->output.size(), "this machine");
                if (read) {
                    m = *std::move(read);
                    file_.emplace_back(std::make_unique<machine_handover>(end->output));
                    machine_fd_ = file_.back()->number();
                    break;
                }
                why = read.error().what();
            } else {
                why = end ? end->said() + last_line(end->errors) : end.error().what();
            }
        }
        if (why.empty()) return;
        if (m.nodes.empty()) m.name = "this machine";
        m.note("machine", "reading it with its GPUs failed: " + why);
        unread_ = why;
    }
    [[nodiscard]] static std::string last_line(std::string errors) {
        while (!errors.empty() && errors.back() == '\n') errors.pop_back();
        errors.erase(0, errors.rfind('\n') == std::string::npos ? 0 : errors.rfind('\n') + 1);
        return errors.empty() ? errors : ": " + errors;
    }

    void run_host(doctor_outcome& out) {
        std::vector<std::string> waiting;
        for (const barelink::host_check& each : barelink::host_checks)
            if (!over_the_run(each) && asked_.checks.wants(each.id)) waiting.emplace_back(each.id);
        while (!waiting.empty()) {
            if (left_s() < 0.05) {
                for (const std::string& id : waiting) add(out, {barelink::unknown_finding(id.c_str(), time_is_up())});
                return;
            }
            tell("the host, " + waiting.front() + (waiting.size() > 1 ? " and others" : ""));
            std::string ids;
            for (const std::string& id : waiting) ids += (ids.empty() ? "" : ",") + id;
            const auto end = child("host", {"--ids", ids}, 12);
            if (end) take_lines(out, end->output, waiting);
            if (waiting.empty()) return;
            // The first that has not reported is where the child stopped; the others have another try.
            const std::string why =
                end ? "the check's process " + end->said() + last_line(end->errors) : end.error().what();
            add(out, {barelink::unknown_finding(waiting.front().c_str(), why)});
            waiting.erase(waiting.begin());
        }
    }
    /// A line for each check: `{"check": ID, "findings": [...]}`.
    static void take_lines(doctor_outcome& out, const std::string& output, std::vector<std::string>& waiting) {
        barelink::detail::host::for_lines(output, [&](std::string_view line) {
            const json said = json::parse(line, nullptr, false);
            if (!said.is_object() || !said.contains("check") || !said["check"].is_string()) return;
            const auto place = std::find(waiting.begin(), waiting.end(), said["check"].get<std::string>());
            if (place == waiting.end() || !said.contains("findings") || !said["findings"].is_array()) return;
            barelink::findings found;
            for (const json& each : said["findings"]) found.push_back(finding_of_json(each));
            add(out, found);
            waiting.erase(place);
        });
    }

    void run_gpus(doctor_outcome& out, const barelink::gpu_set& gpus) {
        const std::vector<doctor_part> parts = gpu_parts(out.m, gpus);
        if (parts.empty())
            for (const barelink::finding& each : without_gpu_parts(out.m))
                if (asked_.checks.wants(each.id)) {
                    barelink::finding said = each;
                    if (!unread_.empty()) said.evidence = "this machine's GPUs could not be read: " + unread_;
                    add(out, {said});
                }
        if (asked_.limit_s <= 0)
            for (const doctor_part& each : parts) until_ += each.limit_s;
        for (const doctor_part& each : parts) {
            const bool wanted = std::any_of(each.ids.begin(), each.ids.end(),
                                            [&](const std::string& id) { return asked_.checks.wants(id); });
            if (wanted) run_gpu_child(out, each);
        }
    }
    void run_gpu_child(doctor_outcome& out, const doctor_part& part) {
        if (left_s() < 0.05) return not_done(out, part, barelink::severity::unknown, time_is_up());
        tell("GPUs, " + part.name);
        const bool shortened = left_s() < part.limit_s;
        const auto end = child("gpu", {"--name", part.name}, part.limit_s);
        if (!end) return not_done(out, part, barelink::severity::unknown, end.error().what());
        const json said = json::parse(end->output, nullptr, false);
        // One that has said everything may still crash or hang when it leaves the driver: what it found stands.
        if (!said.is_object() || !said.contains("findings") || !said["findings"].is_array()) {
            // A child that said why it gave up, or that was cut short by our own limit, has not hung.
            const bool dead = end->signal != 0 || (end->timed_out && !shortened);
            return not_done(out, part, dead ? part.on_death : barelink::severity::unknown,
                            "the checks' process " + end->said() + last_line(end->errors));
        }
        barelink::findings found;
        for (const json& each : said["findings"]) {
            barelink::finding one = finding_of_json(each);
            if (asked_.checks.wants(one.id)) found.push_back(std::move(one));
        }
        add(out, found);
        if (said.contains("effects") && said["effects"].is_array())
            for (const json& each : said["effects"])
                if (barelink::result<barelink::probe_result> read = effect_of_json(each)) out.learned.push_back(*read);
    }
    void not_done(doctor_outcome& out, const doctor_part& part, barelink::severity level,
                  const std::string& why) const {
        for (const std::string& id : part.ids) {
            if (!asked_.checks.wants(id)) continue;
            barelink::finding f = barelink::unknown_finding(id.c_str(), why);
            f.level = level;
            if (level == barelink::severity::fail) {
                f.limit = "the check comes to its end";
                f.remedy = "look in the kernel's log for Xid messages; keep applications off these GPUs until it ends";
            }
            add(out, {f});
        }
    }

    doctor_request asked_;
    std::string program_;
    double start_, until_;
    std::vector<std::unique_ptr<machine_handover>> file_;
    int machine_fd_ = -1;
    std::string unread_; ///< why the machine was not read with its GPUs; empty when it was
};

} // namespace tool
