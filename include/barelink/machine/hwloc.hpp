// Machines through hwloc: this one, XML files, machine files.
#pragma once

#include <barelink/machine/hwloc_live.hpp>
#include <barelink/machine/hwloc_machine_file.hpp>
#include <barelink/machine/hwloc_xml.hpp>
