// Everything that needs no other library. For programs; nothing inside the library includes it.
#pragma once

#include <barelink/core.hpp>
#include <barelink/machine.hpp>
#include <barelink/move.hpp>
#include <barelink/plan.hpp>
