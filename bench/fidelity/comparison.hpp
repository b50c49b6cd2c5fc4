// Published rows with what the simulator says to each, and what that comes to.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "replay.hpp"
#include "stand_ins.hpp"

namespace fidelity {

/// One row and its answer. `error` is simulated / published - 1.
struct compared_row {
    published_row row;
    question asked;
    std::string machine;
    double published = 0, simulated = 0, error = 0;
    std::string reason; ///< of a row that is off by more than `most_off`
};

struct left_out_row {
    published_row row;
    std::string why;
};

struct comparison {
    std::vector<compared_row> rows;
    std::vector<left_out_row> left_out;
};

/// What the rows of a group are off by, whichever way.
struct summary {
    std::size_t rows = 0;
    double mean = 0, worst = 0;
};

inline constexpr double most_mean = 0.08; ///< of all rows, and of those used for judging
inline constexpr double most_off = 0.25;  ///< of any row without a reason

template <class Chooses>
summary summarise(const std::vector<compared_row>& rows, Chooses chooses) {
    summary s;
    for (const compared_row& each : rows) {
        if (!chooses(each)) continue;
        ++s.rows;
        s.mean += std::abs(each.error);
        s.worst = std::abs(each.error) > std::abs(s.worst) ? each.error : s.worst;
    }
    if (s.rows > 0) s.mean /= static_cast<double>(s.rows);
    return s;
}

/// Asks the simulator about every row. Errors: those of `replay::answer`, naming the row.
inline barelink::result<comparison> compare(const std::vector<published_row>& rows,
                                            const std::vector<reason>& reasons) {
    comparison all;
    for (const published_row& row : rows) {
        if (const char* why = not_modelled(row)) {
            all.left_out.push_back({row, why});
            continue;
        }
        compared_row made{row, {}, {}, in_our_units(row), 0, 0, {}};
        if (!read_question(row, made.asked) || made.published <= 0) {
            all.left_out.push_back({row, "a kind of measurement that is not modelled"});
            continue;
        }
        auto stands_in = stand_in_for(row);
        if (!stands_in) {
            all.left_out.push_back({row, "no machine here is like it"});
            continue;
        }
        made.machine = stands_in->says;
        if (made.asked.what == kind::pageable) stands_in->machine.costs.host_threads = 1; // the driver's
        const auto answer = replay(stands_in->machine).answer(made.asked);
        if (!answer && answer.error().code() == barelink::errc::not_found) {
            all.left_out.push_back({row, "the machine that stands for it has no such GPU or memory"});
            continue;
        }
        if (!answer) {
            const std::string why = row.system + ", " + row.metric + ", " + row.from + " to " + row.to + ", on " +
                                    made.machine + ": " + answer.error().what();
            return barelink::error(answer.error().code(), barelink::text::join({why.c_str()}));
        }
        made.simulated = *answer;
        made.error = made.simulated / made.published - 1;
        if (std::abs(made.error) > most_off)
            if (const reason* why = reason_for(reasons, row)) made.reason = why->said;
        all.rows.push_back(std::move(made));
    }
    return all;
}

/// Rows that are off by more than `most_off` and have no reason.
inline std::size_t unexplained(const comparison& all) {
    return static_cast<std::size_t>(std::count_if(all.rows.begin(), all.rows.end(), [](const compared_row& each) {
        return std::abs(each.error) > most_off && each.reason.empty();
    }));
}

/// Within the bounds, for all rows and for those that no constant was fitted to.
inline bool holds(const comparison& all) {
    const auto every = summarise(all.rows, [](const compared_row&) { return true; });
    const auto judged = summarise(all.rows, [](const compared_row& each) { return each.row.use != "fit"; });
    return judged.rows > 0 && every.mean <= most_mean && judged.mean <= most_mean && unexplained(all) == 0;
}

} // namespace fidelity
