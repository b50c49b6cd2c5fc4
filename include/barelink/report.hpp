// Reports: text, pictures, traces. The only layer that needs fmt.
#pragma once

#include <barelink/report/bandwidth_matrix.hpp>
#include <barelink/report/baseline.hpp>
#include <barelink/report/broadcast_text.hpp>
#include <barelink/report/chrome_trace.hpp>
#include <barelink/report/doctor_text.hpp>
#include <barelink/report/explain.hpp>
#include <barelink/report/heat_map_svg.hpp>
#include <barelink/report/limits.hpp>
#include <barelink/report/machine_svg.hpp>
#include <barelink/report/plan_svg.hpp>
#include <barelink/report/plan_text.hpp>
#include <barelink/report/size_plot_svg.hpp>
#include <barelink/report/svg.hpp>
#include <barelink/report/tax_page.hpp>
#include <barelink/report/tax_text.hpp>
#include <barelink/report/text_table.hpp>
#include <barelink/report/timeline_svg.hpp>
#include <barelink/report/topology_text.hpp>
#include <barelink/report/units.hpp>
