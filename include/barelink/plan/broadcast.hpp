// From a machine and a broadcast request to a plan of trees. Pure, like the planner of copies.
#pragma once

#include <barelink/plan/broadcast_plan.hpp>
#include <barelink/plan/detail/broadcast_planning.hpp>

BARELINK_BEGIN_NAMESPACE

/// Plans one broadcast: every GPU of `asked.to` gets all the bytes. Host links carry each byte once where the links between GPUs
/// do the rest; small broadcasts take one tree, or one copy a GPU. A millisecond for eight GPUs, from a GPU over a mesh of links up to
/// a hundred: keep the plan, as a mover does. Thread-safe, allocates.
/// Errors: invalid_argument (no bytes, no destination), not_found, unsupported (pageable source, a GPU that no usable path
/// reaches).
[[nodiscard]] inline result<broadcast_plan> plan_broadcast(const machine& m, const broadcast_request& asked) {
    return detail::broadcast_planning(m, asked).make();
}

BARELINK_END_NAMESPACE
