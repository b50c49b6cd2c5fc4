// One report from the pieces that measuring processes wrote, a piece a row.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <barelink/measure/tax_report.hpp>

namespace tool {

/// Puts runs of equal series together, in the order of the processes.
class tax_merger {
public:
    /// What one process wrote. A piece without series counts too: it says what is absent.
    void add(std::vector<barelink::tax_report> pieces) {
        bool measured = false;
        for (barelink::tax_report& piece : pieces) {
            if (whole_.subject.gpu.empty()) {
                whole_.subject = piece.subject;
                whole_.tool = piece.tool;
            }
            if (piece.clock_ns > 0) clocks_.push_back(piece.clock_ns);
            measured = measured || !piece.series.empty();
            for (barelink::tax_series& each : piece.series) join(std::move(each));
            for (barelink::tax_absence& each : piece.absent)
                if (!knows(each)) whole_.absent.push_back(std::move(each));
            for (barelink::finding& each : piece.findings) found(std::move(each));
        }
        whole_.processes += measured ? 1 : 0;
    }
    /// Once each check and object: what a later process finds of it is the same.
    void found(barelink::finding what) {
        for (const barelink::finding& each : whole_.findings)
            if (each.id == what.id && each.object == what.object) return;
        whole_.findings.push_back(std::move(what));
    }

    /// Series row by row. What some process measured is not absent. The median of the clocks' costs.
    [[nodiscard]] barelink::tax_report take() {
        std::stable_sort(whole_.series.begin(), whole_.series.end(),
                         [](const auto& a, const auto& b) { return a.row < b.row; });
        std::erase_if(whole_.absent, [&](const barelink::tax_absence& absent) {
            return std::any_of(whole_.series.begin(), whole_.series.end(), [&](const barelink::tax_series& each) {
                return each.row == absent.row && (absent.what.empty() || each.what == absent.what);
            });
        });
        std::stable_sort(whole_.absent.begin(), whole_.absent.end(),
                         [](const auto& a, const auto& b) { return a.row < b.row; });
        std::sort(clocks_.begin(), clocks_.end());
        whole_.clock_ns = clocks_.empty() ? 0 : clocks_[clocks_.size() / 2];
        return std::move(whole_);
    }

private:
    void join(barelink::tax_series piece) {
        for (barelink::tax_series& each : whole_.series)
            if (each.id == piece.id) {
                for (barelink::tax_run& run : piece.runs) each.runs.push_back(std::move(run));
                return;
            }
        whole_.series.push_back(std::move(piece));
    }
    [[nodiscard]] bool knows(const barelink::tax_absence& absent) const {
        return std::any_of(whole_.absent.begin(), whole_.absent.end(), [&](const barelink::tax_absence& each) {
            return each.row == absent.row && each.what == absent.what;
        });
    }

    barelink::tax_report whole_;
    std::vector<double> clocks_;
};

} // namespace tool
