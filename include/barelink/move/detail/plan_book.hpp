// From regions to plans: requests, proofs of paths, and the plans that are known already. Private to move.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <barelink/move/detail/peer_paths.hpp>
#include <barelink/move/detail/recent.hpp>
#include <barelink/move/detail/relay_roll.hpp>
#include <barelink/move/transfer.hpp>
#include <barelink/plan/broadcast.hpp>
#include <barelink/plan/plan_cache.hpp>
#include <barelink/plan/spare_routes.hpp>

BARELINK_BEGIN_NAMESPACE

/// What a mover may use, for all its copies; see `request`.
struct mover_options {
    gpu_set relays = gpu_set::none();
    bool stage_in_host = true;
    bool trust_unproved = false;
    std::uint64_t scratch_bytes = 64 * MiB;
    /// Memory that all rings of the mover on one relaying GPU take together, bytes, and so what is in flight through it. Room for
    /// four of the largest rings or some twenty of the usual 12 MiB, and a third of a percent of an 80 GB GPU that
    /// somebody else computes on.
    std::uint64_t relay_bytes = 256 * MiB;
};

namespace detail {

template <runtime Runtime, class Planner>
class plan_book {
public:
    plan_book(Runtime& on, const mover_options& options)
        : runtime_(on), options_(options), relays_(options.relays), cache_(Planner(on.topology())), peers_(on) {}

    [[nodiscard]] static status check_ends(const region& dst, const region& src);
    [[nodiscard]] request request_for(const region& dst, const region& src) const noexcept;

    /// nullptr when it is not planned yet.
    [[nodiscard]] result<const plan*> plan_if_known(const region& dst, const region& src) const {
        if (auto fine = check_ends(dst, src); !fine) return fine.error();
        return cache_.look(request_for(dst, src));
    }
    /// Proves and opens the paths that it might use, when it may. Valid until the next call that has to plan.
    [[nodiscard]] result<const plan*> plan_for(const region& dst, const region& src, bool may_prove) {
        if (auto fine = check_ends(dst, src); !fine) return fine.error();
        const request asked = request_for(dst, src);
        if (const plan* known = cache_.look(asked)) return known;
        if (may_prove) {
            peers_.make_ready(asked);
            return cache_.find(asked);
        }
        // Without the proofs that it may lack the plan is good for this capture and for nothing else.
        auto made = cache_.planner().make(asked);
        if (!made) return std::move(made).error();
        captured_plan_ = std::move(*made);
        return &captured_plan_;
    }
    /// A plan with the routes that it would want if a link were slow. Valid until the next call of this kind.
    [[nodiscard]] const spared_plan& with_spares(const plan& p) {
        if (const spared_plan* known = spared_.find(p.asked)) return *known;
        return spared_.keep(p.asked, with_spare_routes(cache_.planner(), p));
    }
    /// One plan for each, made to run at the same time. Errors name the transfer.
    [[nodiscard]] result<std::span<const plan>> plans_for(std::span<const transfer> together, bool may_prove);
    [[nodiscard]] result<const broadcast_plan*> plan_for(std::span<const region> dst, const region& src,
                                                         bool may_prove);

    /// A request between two GPUs with this mover's options and no relays, and whether copies may go directly between them.
    /// Proves and opens the pair when it may.
    [[nodiscard]] request pair_of(node_index from, node_index to) const noexcept {
        request pair;
        pair.from = endpoint::gpu(gpu_id{runtime_.topology().at(from).index});
        pair.to = endpoint::gpu(gpu_id{runtime_.topology().at(to).index});
        pair.trust_unproved = options_.trust_unproved;
        return pair;
    }
    [[nodiscard]] bool is_direct_pair(node_index from, node_index to, bool may_prove) {
        if (may_prove) peers_.make_ready(pair_of(from, to));
        const dma_path* path = runtime_.topology().path(from, to);
        return path && path->allowed && path->proof != delivery::failed &&
               (path->proof != delivery::unproved || options_.trust_unproved);
    }

    /// A relay without room for the smallest ring is left out from now on, or only `for_now`. False when the memory is no
    /// relay.
    [[nodiscard]] bool leave_out(node_index full, const error& failure, std::uint64_t bytes, bool for_now) {
        return relays_.leave_out(runtime_.topology().at(full), failure, bytes, for_now);
    }
    void welcome_back() noexcept { relays_.welcome_back(); }
    /// About relays that the copy being submitted does without, and no other.
    [[nodiscard]] const std::vector<std::string>& passing_notes() const noexcept { return relays_.passing(); }
    /// What such a copy had to do without; the notes stay where they are.
    template <class Found>
    void each_note(const request& asked, Found found) const {
        relays_.each_note(asked.bytes, found);
        if (peers_.any_lost()) peers_.each_note(asked, found);
    }
    /// Every GPU that a broadcast involves, as the relays of a request.
    [[nodiscard]] static request pairs_of(const broadcast_request& asked) noexcept {
        request pairs;
        pairs.from = asked.from;
        pairs.bytes = asked.bytes;
        pairs.relays = asked.relays;
        for (std::int32_t id = 0; id < gpu_set::capacity; ++id)
            if (asked.to.contains(gpu_id{id})) pairs.relays.insert(gpu_id{id});
        pairs.trust_unproved = asked.trust_unproved;
        return pairs;
    }

    void forget() noexcept {
        cache_.clear();
        spared_.clear();
        groups_.clear();
        broadcasts_.clear();
        peers_.try_again();
        relays_.try_again();
    }

private:
    [[nodiscard]] result<broadcast_request> broadcast_request_for(std::span<const region> dst, const region& src) const;
    template <class Request>
    void fill_in_options(Request& asked) const noexcept {
        asked.relays = relays_.now();
        asked.stage_in_host = options_.stage_in_host;
        asked.trust_unproved = options_.trust_unproved;
        asked.scratch_bytes = options_.scratch_bytes;
    }
    template <class Request>
    void fill_in_stripes(Request& asked, const placement& striped) const noexcept {
        asked.stripe_bytes = striped.stripe_bytes;
        asked.stripe_phase =
            striped.stripe_phase % (striped.stripe_bytes * runtime_.topology().count(node_kind::memory));
    }

    Runtime& runtime_;
    mover_options options_;
    relay_roll relays_;
    plan_cache<Planner> cache_;
    peer_paths<Runtime> peers_;
    recent<request, spared_plan> spared_;
    recent<std::vector<request>, std::vector<plan>> groups_;
    recent<broadcast_request, broadcast_plan> broadcasts_;
    std::vector<request> asked_together_;
    // Made while a stream captured: without the proofs that they may lack they are good for that capture only.
    plan captured_plan_;
    std::vector<plan> captured_group_;
    broadcast_plan captured_broadcast_;
};

template <runtime Runtime, class Planner>
status plan_book<Runtime, Planner>::check_ends(const region& dst, const region& src) {
    if (src.bytes != dst.bytes)
        return error(errc::invalid_argument, "source and destination differ in size").asking(src.bytes);
    for (const region* end : {&dst, &src})
        if (end->strided() && (end->pitch < end->row_bytes || end->bytes % end->row_bytes != 0))
            return error(errc::invalid_argument, "rows overlap or are no whole number of rows").asking(src.bytes);
    if (dst.strided() && src.strided() && dst.row_bytes != src.row_bytes)
        return error(errc::invalid_argument, "the rows of source and destination differ in length").asking(src.bytes);
    const auto a = reinterpret_cast<std::uintptr_t>(src.base), b = reinterpret_cast<std::uintptr_t>(dst.base);
    if (a < b + dst.extent_bytes() && b < a + src.extent_bytes() && src.bytes > 0)
        return error(errc::invalid_argument,
                     "source and destination overlap: copy through a buffer, or in an order that is safe")
            .asking(src.bytes);
    return {};
}

template <runtime Runtime, class Planner>
request plan_book<Runtime, Planner>::request_for(const region& dst, const region& src) const noexcept {
    request asked;
    asked.from = endpoint_of(runtime_.topology(), src.where);
    asked.to = endpoint_of(runtime_.topology(), dst.where);
    asked.bytes = src.bytes;
    fill_in_options(asked);
    const placement& striped = src.where.kind == memory_kind::striped ? src.where : dst.where;
    if (striped.kind != memory_kind::striped) return asked;
    if (!src.strided() && !dst.strided()) {
        fill_in_stripes(asked, striped);
        return asked;
    }
    // Rows and stripes do not meet: planned as if all of it lay on the first node.
    (src.where.kind == memory_kind::striped ? asked.from : asked.to) =
        endpoint::host(numa_id{runtime_.topology().at(striped.node).index});
    return asked;
}

template <runtime Runtime, class Planner>
result<std::span<const plan>> plan_book<Runtime, Planner>::plans_for(std::span<const transfer> together,
                                                                     bool may_prove) {
    asked_together_.clear();
    for (std::size_t i = 0; i < together.size(); ++i) {
        if (auto fine = check_ends(together[i].dst, together[i].src); !fine)
            return error(fine.error().code(),
                         text::join({"transfer ", std::to_string(i).c_str(), ": ", fine.error().what()}))
                .asking(together[i].src.bytes);
        asked_together_.push_back(request_for(together[i].dst, together[i].src));
    }
    if (const auto* known = groups_.find(asked_together_)) return std::span<const plan>(*known);
    if (may_prove)
        for (const request& each : asked_together_) peers_.make_ready(each);
    auto made = cache_.planner().make(std::span<const request>(asked_together_));
    if (!made) return std::move(made).error();
    if (may_prove) return std::span<const plan>(groups_.keep(asked_together_, std::move(*made)));
    captured_group_ = std::move(*made);
    return std::span<const plan>(captured_group_);
}

template <runtime Runtime, class Planner>
result<broadcast_request> plan_book<Runtime, Planner>::broadcast_request_for(std::span<const region> dst,
                                                                             const region& src) const {
    broadcast_request asked;
    for (std::size_t i = 0; i < dst.size(); ++i) {
        const gpu_id id{dst[i].where.node == no_node ? -1 : runtime_.topology().at(dst[i].where.node).index};
        const char* wrong = dst[i].where.kind != memory_kind::device ? "is no GPU's memory"
                            : dst[i].strided() || src.strided()   ? "or the source is rows; a broadcast is contiguous"
                            : dst[i].bytes != src.bytes           ? "is not as large as the source"
                            : dst[i].where.node == src.where.node ? "is on the source's GPU"
                            : asked.to.contains(id)               ? "is on the GPU of an earlier one"
                                                                  : nullptr;
        if (wrong)
            return error(errc::invalid_argument,
                         text::join({"broadcast: destination ", std::to_string(i).c_str(), " ", wrong}))
                .asking(dst[i].bytes);
        asked.to.insert(id);
    }
    asked.from = endpoint_of(runtime_.topology(), src.where);
    asked.bytes = src.bytes;
    fill_in_options(asked);
    if (src.where.kind == memory_kind::striped) fill_in_stripes(asked, src.where);
    return asked;
}

template <runtime Runtime, class Planner>
result<const broadcast_plan*> plan_book<Runtime, Planner>::plan_for(std::span<const region> dst, const region& src,
                                                                    bool may_prove) {
    auto asked = broadcast_request_for(dst, src);
    if (!asked) return std::move(asked).error();
    if (const broadcast_plan* known = broadcasts_.find(*asked)) return known;
    if (may_prove) peers_.make_ready(pairs_of(*asked));
    auto made = plan_broadcast(runtime_.topology(), *asked);
    if (!made) return std::move(made).error();
    if (may_prove) return &broadcasts_.keep(*asked, std::move(*made));
    captured_broadcast_ = std::move(*made);
    return &captured_broadcast_;
}

} // namespace detail
BARELINK_END_NAMESPACE
