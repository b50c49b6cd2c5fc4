// The measure layer: statistics, calibration, doctor, the tax report. Not in <barelink/barelink.hpp>: programs that move bytes
// need none of it.
#pragma once

#include <barelink/measure/adopt_rates.hpp>
#include <barelink/measure/bootstrap.hpp>
#include <barelink/measure/calibrate.hpp>
#include <barelink/measure/calibration.hpp>
#include <barelink/measure/calibration_cache.hpp>
#include <barelink/measure/child_process.hpp>
#include <barelink/measure/clock_cost.hpp>
#include <barelink/measure/doctor.hpp>
#include <barelink/measure/doctor_effects.hpp>
#include <barelink/measure/equivalence.hpp>
#include <barelink/measure/finding.hpp>
#include <barelink/measure/gpu_checks/audit.hpp>
#include <barelink/measure/hardware_key.hpp>
#include <barelink/measure/live_system.hpp>
#include <barelink/measure/open_loop.hpp>
#include <barelink/measure/order_statistics.hpp>
#include <barelink/measure/rate_probe.hpp>
#include <barelink/measure/system_view.hpp>
#include <barelink/measure/tax_compare.hpp>
#include <barelink/measure/tax_comparison.hpp>
#include <barelink/measure/tax_report.hpp>
#include <barelink/measure/warm_up.hpp>
