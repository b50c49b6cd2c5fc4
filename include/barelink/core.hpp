// The core layer: results, errors, strong ids, sizes and rates.
#pragma once

#include <barelink/core/ids.hpp>
#include <barelink/core/result.hpp>
#include <barelink/core/size_text.hpp>
#include <barelink/core/units.hpp>
#include <barelink/core/version.hpp>
