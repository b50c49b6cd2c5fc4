// Do stores of a kernel on one GPU arrive in the memory of another? Engines and kernels do not always go the same way.
#pragma once

#include <cstdint>

#include <barelink/move/delivery_proof.hpp>

BARELINK_BEGIN_NAMESPACE

/// A kernel of `from` stores a nonce in memory of `to`, whose own engine hands it back. Blocks for some 100 us. Precondition: peer
/// access is open. What is found is not kept: see `prove_delivery` for copies. Memory that may still be written after a
/// time-out is never freed. Errors: unsupported without a kernel, and what keeps the proof from being made.
template <has_block_kernels Runtime>
[[nodiscard]] result<delivery> prove_store(Runtime& on, node_index from, node_index to, proof_options options = {}) {
    if (!on.has_block_kernel()) return error(errc::unsupported, "there is no copy kernel to store with");
    const machine& m = on.topology();
    node_index host = m.at(to).numa == unknown_numa ? no_node : m.memory(m.at(to).numa);
    if (host == no_node) host = m.all(node_kind::memory).front();
    const std::uint64_t words = options.bytes / sizeof(std::uint64_t), bytes = words * sizeof(std::uint64_t);
    detail::proof_bench<Runtime> bench(on);
    if (auto made = bench.make(from, to, host, bytes); !made) return made.error();
    auto listed = on.allocate(host, sizeof(block));
    if (!listed) return listed.error();
    struct release_list {
        detail::proof_bench<Runtime>& bench;
        void* list;
        ~release_list() {
            if (!bench.abandoned) (void)bench.on.release(list);
        }
    };
    const auto [pattern, answer, source, destination] = bench.memory;
    const auto [push, pull] = bench.streams;
    const auto place = on.extent(*listed);
    const release_list scope{bench, *listed};
    if (!place) return place.error();
    *static_cast<block*>(*listed) = {destination, source, bytes};
    const auto* list = reinterpret_cast<const block*>(static_cast<const char*>(*listed) + place->device_offset);

    const std::uint64_t seed = (static_cast<std::uint64_t>(on.clock_us()) << 20) ^ ++detail::proofs_made;
    auto* sent = static_cast<std::uint64_t*>(pattern);
    auto* back = static_cast<std::uint64_t*>(answer);
    for (std::uint64_t w = 0; w < words; ++w) {
        sent[w] = detail::nonce_at(seed, w);
        back[w] = ~sent[w];
    }
    status done = on.copy(source, pattern, bytes, push);
    if (done) done = on.copy(destination, answer, bytes, pull); // what was there before must not pass for it
    if (done) done = on.record(bench.events[1], pull);
    if (done) done = on.wait(push, bench.events[1]);
    if (done) done = on.copy_blocks(list, 1, 1, push);
    if (done) done = on.record(bench.events[0], push);
    if (done) done = on.wait(pull, bench.events[0]);
    if (done) done = on.copy(answer, destination, bytes, pull);
    if (done) done = on.record(bench.events[2], pull);
    const auto arrived = done ? bench.arrives(options.timeout_us) : result<bool>(done.error());
    if (!arrived) {
        bench.abandoned = !bench.quiet(options.timeout_us);
        return arrived.error();
    }
    bench.abandoned = !*arrived;
    if (!*arrived) return delivery::failed;
    for (std::uint64_t w = 0; w < words; ++w)
        if (back[w] != detail::nonce_at(seed, w)) return delivery::failed;
    return delivery::proved;
}

BARELINK_END_NAMESPACE
