// The move layer: the runtime concept, the simulated server, the mover that runs plans, and pinned memory.
#pragma once

#include <barelink/move/blocks.hpp>
#include <barelink/move/delivery_proof.hpp>
#include <barelink/move/file.hpp>
#include <barelink/move/host_crews.hpp>
#include <barelink/move/host_mapping.hpp>
#include <barelink/move/host_threads.hpp>
#include <barelink/move/job.hpp>
#include <barelink/move/job_options.hpp>
#include <barelink/move/memory_extent.hpp>
#include <barelink/move/mover.hpp>
#include <barelink/move/pinned_pool.hpp>
#include <barelink/move/pinned_range.hpp>
#include <barelink/move/placement.hpp>
#include <barelink/move/runtime.hpp>
#include <barelink/move/sim_runtime.hpp>
#include <barelink/move/ticket.hpp>
#include <barelink/move/trace.hpp>
