// Tax reports as JSON: the file that `tax measure` writes and `tax compare` reads.
#pragma once

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <barelink/core/result.hpp>
#include <barelink/measure/tax_report.hpp>

#include "doctor/doctor_json.hpp"

namespace tool {

/// The whole report, losing nothing. Line by line: a series, an absence and a finding each take one, so that files can be read and
/// compared by eye. Text that is no UTF-8 is replaced by marks. Errors: invalid_argument when it holds what `parse_tax_report` would
/// refuse.
[[nodiscard]] barelink::result<std::string> tax_json(const barelink::tax_report& report);

/// A report of version 1. `name` is the file's, for messages. Fields that it does not know are left aside. Errors: parse, in one
/// line that names the file and the field: cut short, no JSON, no tax report, another version, a field missing or of another type,
/// a figure that is not finite or negative, a sample that is 0 (what was not measured is to be listed as absent), a series without
/// samples, with more runs than there were processes, or twice.
[[nodiscard]] barelink::result<barelink::tax_report> parse_tax_report(const std::string& text, const std::string& name);

/// The same from a file. Errors: io when it cannot be read, and those above.
[[nodiscard]] barelink::result<barelink::tax_report> read_tax_report(const std::string& path);

namespace tax_json_detail {

using json = nlohmann::ordered_json;

/// Thrown between the functions here alone.
struct refusal {
    std::string why;
};

[[nodiscard]] inline std::string shown(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

/// A value in the document and the way to it, for messages: `series[2].runs[0]`.
class field {
public:
    field(const json& value, std::string path) : value_(value), path_(std::move(path)) {}

    [[noreturn]] void refuse(const std::string& why) const {
        throw refusal{(path_.empty() ? "it" : "'" + path_ + "'") + " " + why};
    }
    [[nodiscard]] field operator[](const char* name) const {
        want(value_.is_object(), "an object");
        const auto found = value_.find(name);
        const std::string path = path_.empty() ? name : path_ + "." + name;
        if (found == value_.end()) throw refusal{"it lacks '" + path + "'"};
        return {*found, path};
    }
    template <class Each>
    void for_each(Each each) const {
        want(value_.is_array(), "an array");
        for (std::size_t i = 0; i < value_.size(); ++i) each(field(value_[i], path_ + "[" + std::to_string(i) + "]"));
    }
    [[nodiscard]] std::string text() const {
        want(value_.is_string(), "text");
        return value_.get<std::string>();
    }
    [[nodiscard]] bool flag() const {
        want(value_.is_boolean(), "true or false");
        return value_.get<bool>();
    }
    /// Finite, not negative.
    [[nodiscard]] double figure() const {
        want(value_.is_number(), "a number");
        const double found = value_.get<double>();
        if (!std::isfinite(found)) refuse("is not finite");
        if (found < 0) refuse("is negative: " + shown(found));
        return found;
    }
    [[nodiscard]] int count(int least, int most) const {
        want(value_.is_number_integer(), "a whole number");
        const bool large = value_.is_number_unsigned() && value_.get<std::uint64_t>() > 0x7fffffffu;
        const auto found = large ? std::int64_t{0x7fffffff} : value_.get<std::int64_t>();
        if (found < least || found > most)
            refuse("is not between " + std::to_string(least) + " and " + std::to_string(most));
        return static_cast<int>(found);
    }
    template <class Choice>
    [[nodiscard]] Choice one_of(std::initializer_list<std::pair<const char*, Choice>> choices) const {
        const std::string found = text();
        for (const auto& each : choices)
            if (found == each.first) return each.second;
        refuse("is '" + found.substr(0, 40) + "', which is none that this version knows");
    }

private:
    void want(bool right, const char* what) const {
        if (right) return;
        refuse(value_.is_null() ? "has no value (a figure that is not finite is written so)"
                                : std::string("is not ") + what);
    }

    const json& value_;
    std::string path_;
};

[[nodiscard]] inline barelink::tax_row row_of(const field& from) {
    using barelink::tax_row;
    return from.one_of<tax_row>({{"host_link", tax_row::host_link},
                                 {"memory", tax_row::memory},
                                 {"inference", tax_row::inference},
                                 {"nvlink", tax_row::nvlink},
                                 {"latency", tax_row::latency}});
}

[[nodiscard]] inline barelink::severity severity_of(const field& from) {
    using barelink::severity;
    return from.one_of<severity>({{"ok", severity::ok},
                                  {"info", severity::info},
                                  {"unknown", severity::unknown},
                                  {"warn", severity::warn},
                                  {"fail", severity::fail}});
}

[[nodiscard]] inline barelink::tax_series series_of(const field& from, int processes) {
    constexpr int most_block = 1 << 30, most_samples = 100'000'000;
    barelink::tax_series s;
    s.id = from["id"].text();
    if (s.id.empty()) from["id"].refuse("is empty");
    s.row = row_of(from["row"]);
    s.what = from["what"].text();
    s.method = from["method"].text();
    s.unit =
        from["unit"].one_of<barelink::tax_unit>({{"gb_s", barelink::tax_unit::gb_s}, {"us", barelink::tax_unit::us}});
    s.headline = from["headline"].flag();
    s.block = static_cast<std::uint32_t>(from["block"].count(1, most_block));
    s.bytes_per_token = from["bytes_per_token"].figure();
    from["runs"].for_each([&](const field& run) {
        barelink::tax_run& to = s.runs.emplace_back();
        run.for_each([&](const field& sample) {
            to.samples.push_back(sample.figure());
            if (to.samples.back() == 0) sample.refuse("is 0: what was not measured is to be listed as absent");
        });
        if (to.samples.empty() || to.samples.size() > most_samples) run.refuse("has no samples, or too many");
    });
    if (s.runs.empty()) from["runs"].refuse("is empty");
    if (static_cast<int>(s.runs.size()) > processes)
        from["runs"].refuse("has more runs than 'processes' says: " + std::to_string(s.runs.size()) + " of " +
                            std::to_string(processes));
    return s;
}

[[nodiscard]] inline barelink::tax_report report_of(const field& from) {
    constexpr int most_processes = 100'000, most_gpus = 10'000;
    barelink::tax_report r;
    const int version = from["barelink_tax_report"].count(0, 0x7fffffff);
    if (version != barelink::tax_report::version)
        throw refusal{"it has version " + std::to_string(version) + ", and this barelink reads version " +
                      std::to_string(barelink::tax_report::version) + ": measure both with one version of the tool"};
    r.name = from["name"].text();
    r.taken = from["taken"].text();
    r.tool = from["tool"].text();
    const field subject = from["subject"];
    r.subject.gpu = subject["gpu"].text();
    r.subject.gpus = subject["gpus"].count(0, most_gpus);
    r.subject.driver = subject["driver"].text();
    r.subject.cuda = subject["cuda"].text();
    r.subject.ecc = subject["ecc"].text();
    r.subject.mig = subject["mig"].text();
    r.subject.power_cap = subject["power_cap"].text();
    r.subject.host = subject["host"].text();
    r.subject.cpu = subject["cpu"].text();
    r.subject.hypervisor = subject["hypervisor"].text();
    r.subject.simulated = subject["simulated"].flag();
    r.clock_ns = from["clock_ns"].figure();
    r.processes = from["processes"].count(1, most_processes);
    std::set<std::string> ids;
    from["series"].for_each([&](const field& each) {
        r.series.push_back(series_of(each, r.processes));
        if (!ids.insert(r.series.back().id).second) each["id"].refuse("is there twice: '" + r.series.back().id + "'");
    });
    from["absent"].for_each([&](const field& each) {
        r.absent.push_back({row_of(each["row"]), each["what"].text(), each["why"].text()});
    });
    from["findings"].for_each([&](const field& each) {
        r.findings.push_back({each["id"].text(), each["title"].text(), severity_of(each["severity"]),
                              each["object"].text(), each["evidence"].text(), each["limit"].text(), each["cost"].text(),
                              each["remedy"].text(), each["reaction"].text()});
    });
    return r;
}

[[nodiscard]] inline barelink::error not_a_report(const std::string& name, const std::string& why) {
    return barelink::error(barelink::errc::parse,
                           barelink::text::join({"'", name.c_str(), "' is no usable tax report: ", why.c_str()}))
        .about(name.c_str());
}

[[nodiscard]] inline json series_json(const barelink::tax_series& s) {
    json runs = json::array();
    for (const barelink::tax_run& run : s.runs) runs.push_back(run.samples);
    return {{"id", s.id},
            {"row", to_string(s.row)},
            {"what", s.what},
            {"method", s.method},
            {"unit", s.unit == barelink::tax_unit::gb_s ? "gb_s" : "us"},
            {"headline", s.headline},
            {"block", s.block},
            {"bytes_per_token", s.bytes_per_token},
            {"runs", std::move(runs)}};
}

[[nodiscard]] inline json document(const barelink::tax_report& r) {
    const barelink::tax_subject& of = r.subject;
    json out = {{"barelink_tax_report", barelink::tax_report::version},
                {"name", r.name},
                {"taken", r.taken},
                {"tool", r.tool},
                {"subject",
                 {{"gpu", of.gpu},
                  {"gpus", of.gpus},
                  {"driver", of.driver},
                  {"cuda", of.cuda},
                  {"ecc", of.ecc},
                  {"mig", of.mig},
                  {"power_cap", of.power_cap},
                  {"host", of.host},
                  {"cpu", of.cpu},
                  {"hypervisor", of.hypervisor},
                  {"simulated", of.simulated}}},
                {"clock_ns", r.clock_ns},
                {"processes", r.processes},
                {"series", json::array()},
                {"absent", json::array()},
                {"findings", findings_json(r.findings)}};
    for (const barelink::tax_series& s : r.series) out["series"].push_back(series_json(s));
    for (const barelink::tax_absence& a : r.absent)
        out["absent"].push_back({{"row", to_string(a.row)}, {"what", a.what}, {"why", a.why}});
    return out;
}

/// One line a field, and one line an element of an array: a dump with indentation would give each sample a line.
[[nodiscard]] inline std::string lines_of(const json& document) {
    const auto line = [](const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); };
    std::string out = "{\n";
    for (auto each = document.begin(); each != document.end(); ++each) {
        if (each != document.begin()) out += ",\n";
        out += " " + line(json(each.key())) + ": ";
        if (!each.value().is_array() || each.value().empty()) {
            out += line(each.value());
            continue;
        }
        for (std::size_t i = 0; i < each.value().size(); ++i)
            out += (i == 0 ? "[\n  " : ",\n  ") + line(each.value()[i]);
        out += "\n ]";
    }
    return out + "\n}\n";
}

} // namespace tax_json_detail

inline barelink::result<std::string> tax_json(const barelink::tax_report& report) {
    using namespace tax_json_detail;
    const json made = document(report);
    try {
        (void)report_of(field(made, ""));
    } catch (const refusal& not_valid) {
        return barelink::error(
            barelink::errc::invalid_argument,
            barelink::text::join({"this tax report cannot be written as JSON: ", not_valid.why.c_str()}));
    }
    return lines_of(made);
}

inline barelink::result<barelink::tax_report> parse_tax_report(const std::string& text, const std::string& name) {
    using namespace tax_json_detail;
    try {
        const json found = json::parse(text);
        if (!found.is_object() || !found.contains("barelink_tax_report"))
            return not_a_report(name, "it has no field 'barelink_tax_report'; name a file of 'barelink tax measure'");
        return report_of(field(found, ""));
    } catch (const refusal& wrong) {
        return not_a_report(name, wrong.why);
    } catch (const json::parse_error& wrong) {
        const bool ended = wrong.byte > text.size();
        return not_a_report(name, ended ? "it ends early, after " + std::to_string(text.size()) + " bytes"
                                        : "it is no JSON from byte " + std::to_string(wrong.byte) + " on");
    } catch (const json::out_of_range&) {
        return not_a_report(name, "a number in it is not finite");
    }
}

inline barelink::result<barelink::tax_report> read_tax_report(const std::string& path) {
    const auto refuse = [&](int code) {
        const std::string why = std::generic_category().message(code);
        return barelink::error(barelink::errc::io,
                               barelink::text::join({"cannot read '", path.c_str(), "': ", why.c_str(),
                                                     "; name a file of 'barelink tax measure'"}))
            .about(path.c_str())
            .natively(code);
    };
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) return refuse(errno);
    std::string text;
    std::vector<char> piece(1 << 16);
    for (std::size_t got = 1; got > 0;) {
        got = std::fread(piece.data(), 1, piece.size(), file);
        text.append(piece.data(), got);
    }
    const int code = std::ferror(file) ? errno : 0;
    std::fclose(file);
    if (code != 0) return refuse(code);
    return parse_tax_report(text, path);
}

} // namespace tool
