// Copying threads for every NUMA node.
#pragma once

#include <atomic>
#include <cstddef>
#include <new>

#include <barelink/move/host_threads.hpp>

BARELINK_BEGIN_NAMESPACE
/// One crew a node, made on first use; several runtimes may share them. Owns the threads. Thread-safe.
class host_crews {
public:
    /// `threads` work on one copy, the caller among them; 0: as many as the node has CPUs, at most 8.
    explicit host_crews(unsigned threads = 0) noexcept : threads_(threads) {}
    host_crews(const host_crews&) = delete;
    host_crews& operator=(const host_crews&) = delete;
    ~host_crews() {
        for (std::atomic<host_threads*>& crew : crews_) delete crew.load(std::memory_order_acquire);
    }

    /// nullptr when there is no memory for one: then the caller copies by himself.
    [[nodiscard]] host_threads* near(numa_id node) noexcept {
        const std::size_t slot = node.value < 0 ? 0 : static_cast<std::size_t>(node.value) % most_nodes;
        host_threads* known = crews_[slot].load(std::memory_order_acquire);
        if (known) return known;
        auto* made = new (std::nothrow) host_threads(node, threads_);
        if (!made || crews_[slot].compare_exchange_strong(known, made, std::memory_order_acq_rel)) return made;
        delete made; // another thread was faster
        return known;
    }

private:
    static constexpr std::size_t most_nodes = 64;
    unsigned threads_;
    std::atomic<host_threads*> crews_[most_nodes]{};
};

BARELINK_END_NAMESPACE
