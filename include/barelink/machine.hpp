// The machine layer: the machine as a value, the built-in ones, and how to describe or merge others. The readers need a
// library each and are included by name: <barelink/machine/hwloc.hpp>, <barelink/machine/nccl.hpp>, <barelink/machine/read.hpp>.
#pragma once

#include <barelink/core.hpp>
#include <barelink/machine/builtin.hpp>
#include <barelink/machine/driver_staging.hpp>
#include <barelink/machine/duplex.hpp>
#include <barelink/machine/gpu_model.hpp>
#include <barelink/machine/machine.hpp>
#include <barelink/machine/machine_builder.hpp>
#include <barelink/machine/merge.hpp>
#include <barelink/machine/pcie.hpp>
