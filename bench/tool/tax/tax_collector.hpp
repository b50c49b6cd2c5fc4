// What one measuring process gathers: series with samples, absences with reasons; and how samples are taken.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/tax_report.hpp>
#include <barelink/measure/warm_up.hpp>

#include "tax_clock.hpp"

namespace tool {

/// What a process was asked for.
struct tax_parameters {
    double seconds = 50;    ///< that it may take for all rows, about
    unsigned number = 0;    ///< of the process, from 0: the row that comes first
    bool quick = false;     ///< small sizes and few samples: to try it out
    bool simulated = false; ///< no figure is a measurement; bytes are moved by this CPU, so sizes are small
    std::vector<int> gpus;  ///< in the machine's numbers; at least one
};

/// How many samples a series gets.
struct tax_effort {
    double seconds = 1; ///< for warming up and sampling; `least` samples are taken whatever the time
    unsigned least = 3, most = 9;
};

/// Files hold nanoseconds, and rates to a MB/s: more digits would be noise.
[[nodiscard]] inline double rounded_sample(double value) noexcept {
    return std::max(1e-3, std::round(value * 1e3) / 1e3);
}

/// Samples in the order in which they were taken, after windows that agreed.
struct tax_samples {
    std::vector<double> values;
    bool settled = false; ///< whether three windows in a row agreed before time ran out
};

/// `measure()` gives one window's figure. Warms up until three agree within 1 %, for half the time at most, then samples.
template <class Measure>
[[nodiscard]] tax_samples settled_samples(const tax_effort& effort, Measure measure) {
    constexpr std::size_t most_windows = 60;
    const double begin = tax_clock_s();
    const auto spent = [&] { return tax_clock_s() - begin; };
    barelink::warm_up warm;
    while (!warm.add(measure()) && warm.windows() < most_windows &&
           (warm.windows() < barelink::warm_up::windows_needed || spent() < effort.seconds / 2)) {
    }
    tax_samples found;
    found.settled = warm.warm();
    while (found.values.size() < effort.least || (found.values.size() < effort.most && spent() < effort.seconds))
        found.values.push_back(rounded_sample(measure()));
    return found;
}

/// Fills a report with one run a series.
class tax_collector {
public:
    explicit tax_collector(barelink::tax_report& into) : into_(into) {}

    /// A series without its run.
    void add(barelink::tax_series series, tax_samples samples) {
        if (samples.values.empty()) return absent(series.row, series.what, "no sample was taken");
        if (!samples.settled) unsettled_.push_back(series.id);
        series.runs.assign(1, barelink::tax_run{std::move(samples.values)});
        into_.series.push_back(std::move(series));
    }
    void absent(barelink::tax_row row, std::string what, std::string why) {
        into_.absent.push_back({row, std::move(what), std::move(why)});
    }
    void found(barelink::finding what) { into_.findings.push_back(std::move(what)); }
    /// A quantity that cannot be measured is an absence with the reason, and the others go on.
    template <class Work>
    void guard(barelink::tax_row row, const std::string& what, Work work) {
        try {
            work();
        } catch (const std::exception& failure) {
            absent(row, what, failure.what());
        }
    }
    /// Says which series never settled.
    void finish() {
        if (unsettled_.empty()) return;
        std::string ids;
        for (const std::string& each : unsettled_) ids += (ids.empty() ? "" : ", ") + each;
        into_.findings.push_back(
            {"TAX-01", "measurements settle", barelink::severity::info, "",
             "no three windows in a row agreed within 1 % before the time for warming up was over: " + ids,
             "three windows within 1 % (project choice)", "not quantified",
             "give it more time with --time-limit, or look for what else uses the machine", ""});
    }

private:
    barelink::tax_report& into_;
    std::vector<std::string> unsettled_;
};

/// The order of the rows in one process: each process begins with another row, so that what drifts hits all alike.
[[nodiscard]] inline std::vector<barelink::tax_row> rows_in_turn(unsigned number) {
    std::vector<barelink::tax_row> rows(barelink::tax_rows.begin(), barelink::tax_rows.end());
    std::rotate(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(number % rows.size()), rows.end());
    return rows;
}

} // namespace tool
