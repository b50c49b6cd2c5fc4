// Where the simulated process's host memory lies: what mbind and its kin were asked for.
#pragma once

#include <cstdint>
#include <vector>

#include <barelink/machine/machine.hpp>

namespace simcuda::numa {

struct run {
    std::uintptr_t end;
    std::int32_t node;
};

void set_nodes(const barelink::machine& m);
void deny(bool denied);
/// Bindings, the calling thread's policy and the denial.
void forget_all();

/// Binds or forgets the pages of a range.
void place(std::uintptr_t base, std::uint64_t bytes, std::int32_t node);
void forget(std::uintptr_t base, std::uint64_t bytes);

/// The node for memory that the calling thread touches first and nobody bound.
[[nodiscard]] std::int32_t local_node();
[[nodiscard]] std::int32_t node_of(std::uintptr_t address);
/// The nodes of a range, in order and merged.
[[nodiscard]] std::vector<run> runs_of(std::uintptr_t base, std::uint64_t bytes);

} // namespace simcuda::numa
