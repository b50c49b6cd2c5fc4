// Rows of published measurements, from CSV, and sentences for those that the simulator is not expected to meet.
#pragma once

#include <cstddef>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <barelink/core/result.hpp>

namespace fidelity {

/// One measurement as its source printed it. `use`: `fit` when a constant was chosen by it, else `judge`.
struct published_row {
    std::string system, gpu, metric, from, to, direction, unit, tool, source, use;
    std::uint64_t bytes = 0; ///< 0: not said
    double value = 0;
};

/// Rows that a sentence covers: every field may be `*`, or be contained in the row's field.
struct reason {
    std::string system, metric, from, to, said;
};

namespace detail {

/// One record, quotes as in RFC 4180.
inline std::vector<std::string> split_csv(std::string_view line) {
    std::vector<std::string> fields(1);
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"')
            fields.back() += line[++i];
        else if (c == '"')
            quoted = !quoted;
        else if (c == ',' && !quoted)
            fields.emplace_back();
        else if (c != '\r')
            fields.back() += c;
    }
    return fields;
}

/// Calls `visit(fields by name)` for every record; false from it is an error. Errors: io; parse, also for a record with another
/// number of fields.
template <class Visit>
barelink::status read_csv(const std::string& path, Visit visit) {
    using barelink::errc;
    using barelink::error;
    std::ifstream file(path);
    if (!file) return error(errc::io, barelink::text::join({"cannot read '", path.c_str(), "'"})).about(path.c_str());
    std::string line;
    std::vector<std::string> names;
    for (std::size_t number = 1; std::getline(file, line); ++number) {
        if (line.empty()) continue;
        const std::vector<std::string> fields = split_csv(line);
        if (names.empty()) {
            names = fields;
            continue;
        }
        if (fields.size() != names.size()) {
            const std::string what = path + ", line " + std::to_string(number) + ": " + std::to_string(fields.size()) +
                                     " fields where the heading has " + std::to_string(names.size());
            return error(errc::parse, barelink::text::join({what.c_str()})).about(path.c_str());
        }
        std::map<std::string, std::string> record;
        for (std::size_t i = 0; i < names.size(); ++i) record[names[i]] = fields[i];
        if (!visit(record)) {
            const std::string where = path + ", line " + std::to_string(number);
            return error(errc::parse, barelink::text::join({where.c_str(), ": size or value is no positive number"}))
                .about(path.c_str());
        }
    }
    return {};
}

inline bool read_number(const std::string& text, double& value) {
    char* end = nullptr;
    value = std::strtod(text.c_str(), &end);
    return !text.empty() && *end == '\0';
}

} // namespace detail

/// Errors: io, parse.
inline barelink::result<std::vector<published_row>> read_published(const std::string& path) {
    std::vector<published_row> rows;
    auto read = detail::read_csv(path, [&](std::map<std::string, std::string>& r) {
        published_row row{r["system"], r["gpu"],  r["metric"], r["src"], r["dst"], r["direction"],
                          r["unit"],   r["tool"], r["source"], r["use"], 0,        0};
        double bytes = 0;
        const bool sized = r["size_bytes"].empty() || (detail::read_number(r["size_bytes"], bytes) && bytes > 0);
        if (!sized || bytes > 1e15 || !detail::read_number(r["value"], row.value) || !(row.value > 0) ||
            row.value > 1e12)
            return false;
        row.bytes = static_cast<std::uint64_t>(bytes);
        if (row.use.empty()) row.use = "judge";
        rows.push_back(std::move(row));
        return true;
    });
    if (!read) return read.error();
    return rows;
}

/// Errors: io, parse.
inline barelink::result<std::vector<reason>> read_reasons(const std::string& path) {
    std::vector<reason> reasons;
    auto read = detail::read_csv(path, [&](std::map<std::string, std::string>& r) {
        reasons.push_back({r["system"], r["metric"], r["src"], r["dst"], r["reason"]});
        return true;
    });
    if (!read) return read.error();
    return reasons;
}

/// The first sentence that covers a row, nullptr for none.
inline const reason* reason_for(const std::vector<reason>& reasons, const published_row& row) {
    const auto covers = [](const std::string& pattern, const std::string& field) {
        return pattern == "*" || field.find(pattern) != std::string::npos;
    };
    for (const reason& each : reasons)
        if (covers(each.system, row.system) && covers(each.metric, row.metric) && covers(each.from, row.from) &&
            covers(each.to, row.to))
            return &each;
    return nullptr;
}

} // namespace fidelity
