// Direct paths between GPUs, proved and opened before a plan may use them. Private to move.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include <barelink/move/delivery_proof.hpp>
#include <barelink/plan/request.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Remembers what it found out, so that every pair is asked about once.
template <runtime Runtime>
class peer_paths {
public:
    explicit peer_paths(Runtime& on) : runtime_(on) {}

    /// Makes the pairs ready that a transfer between the request's ends could use. Contexts are created only on GPUs that are
    /// its ends or its relays. Never fails: a pair that cannot be made ready is not used, and a note says why.
    void make_ready(const request& asked) {
        involved_.clear();
        const machine& m = runtime_.topology();
        for (std::uint32_t n = 0; n < m.nodes.size(); ++n) {
            const node& each = m.nodes[n];
            if (each.kind != node_kind::gpu || !each.cuda) continue;
            const gpu_id id{each.index};
            if (asked.relays.contains(id) || asked.from == endpoint::gpu(id) || asked.to == endpoint::gpu(id))
                involved_.push_back(node_index{n});
        }
        for (const node_index from : involved_)
            for (const node_index to : involved_)
                if (from != to) make_ready(from, to, asked.trust_unproved);
    }

    /// What went wrong with a pair that this request could have used.
    template <class Found>
    void each_note(const request& asked, Found found) const {
        for (const lost_pair& each : lost_)
            if (!each.over && concerns(asked, each.from) && concerns(asked, each.to)) found(each.note);
    }
    [[nodiscard]] bool any_lost() const noexcept { return !lost_.empty(); }
    /// Pairs whose proof could not be made get another chance.
    void try_again() noexcept {
        for (lost_pair& each : lost_) each.over |= each.unproved;
    }

private:
    struct lost_pair {
        gpu_id from, to;
        std::string note;
        bool unproved = false; ///< nothing is known about the pair
        bool over = false;
    };

    [[nodiscard]] static bool concerns(const request& asked, gpu_id id) noexcept {
        return asked.relays.contains(id) || asked.from == endpoint::gpu(id) || asked.to == endpoint::gpu(id);
    }

    void make_ready(node_index from, node_index to, bool trust_unproved) {
        const dma_path* path = runtime_.topology().path(from, to);
        if (!path || !path->allowed || path->proof == delivery::failed) return;
        if (path->proof == delivery::unproved && !trust_unproved) {
            if (is_lost(from, to)) return;
            const status opened = runtime_.open_peer(from, to);
            if (!opened && opened.error().code() == errc::not_permitted)
                return give_up(from, to, "peer access is refused, the direct path is not used: ", opened.error());
            const auto proof = opened ? prove_delivery(runtime_, from, to) : result<delivery>(opened.error());
            if (!proof)
                lose(from, to,
                     std::string("the proof of delivery could not be made, the direct path is not used: ") +
                         proof.error().what(),
                     true);
            else if (*proof == delivery::failed)
                lose(from, to, "peer access is granted and the bytes do not arrive: the direct path is not used");
            return;
        }
        if (const status opened = runtime_.open_peer(from, to); !opened)
            give_up(from, to, "peer access was withdrawn: ", opened.error());
    }
    void give_up(node_index from, node_index to, const char* why, const error& said) {
        runtime_.set_delivery(from, to, delivery::failed);
        lose(from, to, std::string(why) + said.what());
    }

    [[nodiscard]] gpu_id id_of(node_index n) const { return gpu_id{runtime_.topology().at(n).index}; }
    [[nodiscard]] bool is_lost(node_index from, node_index to) const {
        for (const lost_pair& each : lost_)
            if (!each.over && each.from == id_of(from) && each.to == id_of(to)) return true;
        return false;
    }
    void lose(node_index from, node_index to, const std::string& why, bool unproved = false) {
        const machine& m = runtime_.topology();
        lost_.push_back({id_of(from), id_of(to), m.at(from).id() + " -> " + m.at(to).id() + ": " + why, unproved});
    }

    Runtime& runtime_;
    std::vector<node_index> involved_;
    std::deque<lost_pair> lost_; ///< addresses stay
};

} // namespace detail
BARELINK_END_NAMESPACE
