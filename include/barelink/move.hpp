// The move layer: the runtime concept, the simulated server, and the mover that runs plans.
#pragma once

#include <barelink/move/delivery_proof.hpp>
#include <barelink/move/mover.hpp>
#include <barelink/move/placement.hpp>
#include <barelink/move/runtime.hpp>
#include <barelink/move/sim_runtime.hpp>
#include <barelink/move/ticket.hpp>
#include <barelink/move/trace.hpp>
