// The plan layer: from (machine, request) to a plan, as pure functions.
#pragma once

#include <barelink/plan/block_plan.hpp>
#include <barelink/plan/path_families.hpp>
#include <barelink/plan/plan.hpp>
#include <barelink/plan/plan_cache.hpp>
#include <barelink/plan/planner.hpp>
#include <barelink/plan/request.hpp>
