// The kernel's NUMA calls, straight: plain CUDA programs need neither libnuma nor hwloc. Private to move.
#pragma once

#include <cerrno>
#include <cstdint>

#include <sys/syscall.h>
#include <unistd.h>

#include <barelink/core/ids.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// NUMA nodes as the kernel counts them; its own limit is 1024 (MAX_NUMNODES with NODES_SHIFT 10).
struct node_mask {
    static constexpr std::int32_t most_nodes = 1024;
    static constexpr std::int32_t word_bits = 8 * static_cast<std::int32_t>(sizeof(unsigned long));
    unsigned long words[most_nodes / word_bits]{};

    [[nodiscard]] static constexpr bool holds(numa_id node) noexcept {
        return node.value >= 0 && node.value < most_nodes;
    }
    /// Precondition: holds(node).
    constexpr void add(numa_id node) noexcept { words[node.value / word_bits] |= 1ul << (node.value % word_bits); }
};

/// MPOL_* of <linux/mempolicy.h>.
enum class memory_policy : int { usual = 0, preferred = 1, bind = 2, interleave = 3 };

/// Says where pages of the range come from when they are first touched; pages that are there already stay. Page-aligned.
/// Returns 0 or an errno: EPERM or ENOSYS under a container's seccomp profile, EINVAL for nodes that are not there or not in
/// the process's cpuset, ENOMEM when the process has too many mappings (vm.max_map_count).
[[nodiscard]] inline int bind_pages(void* at, std::uint64_t bytes, memory_policy policy,
                                    const node_mask& nodes) noexcept {
    // The kernel reads one bit less than it is told.
    constexpr unsigned long bits = node_mask::most_nodes + 1;
    return ::syscall(SYS_mbind, at, static_cast<unsigned long>(bytes), static_cast<long>(policy), nodes.words, bits,
                     0ul) == 0
               ? 0
               : errno;
}

/// What an errno of `bind_pages` means to the user.
[[nodiscard]] inline const char* why_not_bound(int code) noexcept {
    switch (code) {
    case EPERM: return "mbind: not permitted; containers need CAP_SYS_NICE";
    case ENOSYS: return "the kernel has no mbind";
    case EINVAL: return "this process has no such node";
    case ENOMEM: return "mbind: too many mappings; see vm.max_map_count, or take larger stripes";
    default: return "mbind failed";
    }
}

/// The node of the page at an address, which is read in when it is not there yet. Returns 0 or an errno: EFAULT for an
/// address that is not mapped.
[[nodiscard]] inline int node_of_page(const void* at, int& node) noexcept {
    constexpr unsigned long by_address = (1ul << 0) | (1ul << 1); // MPOL_F_NODE | MPOL_F_ADDR
    return ::syscall(SYS_get_mempolicy, &node, nullptr, 0ul, at, by_address) == 0 ? 0 : errno;
}

/// The nodes of `count` pages, moving none; a negative entry is an errno (-ENOENT: no page there). Returns 0 or an errno.
[[nodiscard]] inline int nodes_of_pages(void* const* pages, std::uint64_t count, int* nodes) noexcept {
    return ::syscall(SYS_move_pages, 0l, static_cast<unsigned long>(count), pages, nullptr, nodes, 0l) == 0 ? 0 : errno;
}

} // namespace detail
BARELINK_END_NAMESPACE
