// One transfer on this machine's GPUs, with its bytes checked: what `copy` runs on a live machine.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <barelink/move/cuda.hpp>
#include <barelink/move/pinned_pool.hpp>
#include <barelink/report/broadcast_text.hpp>

#include "copy_run.hpp"
#include "cuda_gpus.hpp"

namespace tool {

/// Owns the memory of one end, placed as its name says.
class cuda_end {
public:
    cuda_end(barelink::cuda::runtime& on, barelink::endpoint end, std::uint64_t bytes) : on_(on) {
        const barelink::machine& m = on.topology();
        using place = barelink::endpoint::place;
        switch (end.where) {
        case place::host: take(pool::on(on, barelink::numa_id{end.index}), bytes); break;
        case place::striped_host: {
            barelink::pinned_pool_options options;
            options.stripe_bytes = stripe_for(m, bytes);
            take(pool::striped(on, options), bytes);
            break;
        }
        case place::pageable: {
            barelink::host_layout layout;
            layout.nodes = {barelink::numa_id{end.index}};
            mapping_.emplace(barelink::host_mapping::make(bytes, layout).value());
            const barelink::node_index node = m.find(barelink::node_kind::memory, end.index);
            memory_ = {mapping_->data(), bytes, {barelink::memory_kind::pageable, node, 0, 0}};
            break;
        }
        case place::gpu: {
            const barelink::node_index gpu = m.find(barelink::node_kind::gpu, end.index);
            memory_ = {on.allocate(gpu, bytes).value(), bytes, {barelink::memory_kind::device, gpu, 0, 0}};
        }
        }
    }
    cuda_end(const cuda_end&) = delete;
    cuda_end& operator=(const cuda_end&) = delete;
    ~cuda_end() {
        if (memory_.where.kind == barelink::memory_kind::device) (void)on_.release(memory_.base);
    }

    [[nodiscard]] const barelink::region& memory() const noexcept { return memory_; }
    /// What could not be done as asked.
    void add_notes(std::vector<std::string>& to) const {
        for (const std::string& said : pool_ ? pool_->notes() : mapping_ ? mapping_->notes() : none())
            to.push_back(said);
    }

private:
    using pool = barelink::pinned_pool<barelink::cuda::runtime>;

    [[nodiscard]] static std::vector<std::string> none() { return {}; }
    void take(barelink::result<pool> made, std::uint64_t bytes) {
        made.value();
        pool_ = std::make_unique<pool>(*std::move(made));
        memory_ = pool_->take(bytes).value();
    }

    barelink::cuda::runtime& on_;
    std::unique_ptr<pool> pool_;
    std::optional<barelink::host_mapping> mapping_;
    barelink::region memory_;
};

/// Times are those of CUDA's events. Throws what planning, allocating or a copy fails with.
inline outcome copy_on_gpus(const barelink::machine& m, const barelink::request& asked, repeats often) {
    // Plan first: its errors are about what the user wrote.
    (void)barelink::default_planner(m).make(asked).value();
    barelink::cuda::runtime on(m);
    const barelink::endpoint gpu = asked.to.on_host() ? asked.from : asked.to;
    const auto stream = on.make_stream(m.find(barelink::node_kind::gpu, gpu.index)).value();
    outcome done;
    done.runtime = "cuda";
    done.simulated = has_simulated_gpus();
    {
        const cuda_end from(on, asked.from, asked.bytes), to(on, asked.to, asked.bytes);
        memory_access access(on, m.all(barelink::node_kind::memory).front());
        barelink::mover<barelink::cuda::runtime> mover(on, mover_options_of(asked));
        access.fill(from.memory(), content::pattern);
        const auto clear = [&] { access.fill(to.memory(), content::complement); };
        run_transfer(mover, to.memory(), from.memory(), stream, often, clear, done);
        done.verified = access.holds_pattern(to.memory());
        from.add_notes(done.notes);
        to.add_notes(done.notes);
    }
    (void)on.destroy(stream);
    return done;
}

/// The same bytes to many GPUs.
inline broadcast_outcome copy_on_gpus(const barelink::machine& m, const barelink::broadcast_request& asked,
                                      repeats often) {
    const auto receivers = receivers_of(m, barelink::plan_broadcast(m, asked).value());
    barelink::cuda::runtime on(m);
    const auto stream = on.make_stream(receivers.front()).value();
    broadcast_outcome done;
    done.runtime = "cuda";
    done.simulated = has_simulated_gpus();
    {
        const cuda_end from(on, asked.from, asked.bytes);
        std::deque<cuda_end> to; // their addresses stay
        std::vector<barelink::region> targets;
        for (const barelink::node_index gpu : receivers)
            targets.push_back(
                to.emplace_back(on, barelink::endpoint::gpu(barelink::gpu_id{m.at(gpu).index}), asked.bytes).memory());
        memory_access access(on, m.all(barelink::node_kind::memory).front());
        barelink::mover<barelink::cuda::runtime> mover(on, mover_options_of(asked));
        access.fill(from.memory(), content::pattern);
        const auto clear = [&] {
            for (const barelink::region& each : targets) access.fill(each, content::complement);
        };
        run_broadcast(mover, targets, from.memory(), stream, often, clear, done);
        done.verified = true;
        for (const barelink::region& each : targets) done.verified = access.holds_pattern(each) && done.verified;
        from.add_notes(done.notes);
    }
    (void)on.destroy(stream);
    return done;
}

} // namespace tool
