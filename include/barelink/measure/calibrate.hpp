// Calibration: the rates of a machine's links, measured.
#pragma once

#include <utility>

#include <barelink/measure/calibration.hpp>
#include <barelink/measure/detail/calibrated_costs.hpp>
#include <barelink/measure/detail/calibrator.hpp>

BARELINK_BEGIN_NAMESPACE

/// Measures what the links and copies of a machine reach: every path alone, then sets of copies that meet on a link, then costs of
/// copies and blocks; and finds the rates that explain it all. `assumed` says what the machine looks like; the runtime's own
/// machine must have the same nodes. What was measured is `evidence::measured` in the result; what no set of copies can fill keeps its
/// rate and its evidence. Both directions of a link must be known for the link to be `measured`.
///
/// Blocks for seconds; see `calibrate_options` for bounds on time and memory. Works the GPUs' copy engines and links fully:
/// whatever else runs there is disturbed and disturbs. Opens peer access between the GPUs used and proves it first where it was only
/// granted. `progress(share, what)` is called between measurements, `share` from 0 to 1.
/// Errors: invalid_argument (machines of different shape, a GPU that is not one), unsupported (no GPU, no host memory), what
/// the runtime says when a copy fails, out_of_memory.
template <runtime Runtime, class Progress>
[[nodiscard]] result<calibration> calibrate(Runtime& on, const machine& assumed, const calibrate_options& options,
                                            Progress progress) {
    return detail::calibrator<Runtime, Progress>(on, assumed, options, progress).run();
}
template <runtime Runtime>
[[nodiscard]] result<calibration> calibrate(Runtime& on, const machine& assumed,
                                            const calibrate_options& options = {}) {
    return calibrate(on, assumed, options, [](double, const char*) {});
}

BARELINK_END_NAMESPACE
