// Plans onto streams with the shares that they fix: fork from the user's stream, chunks over legs and rings, join. Private to move.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <barelink/move/detail/route_team.hpp>
#include <barelink/plan/chunking.hpp>

BARELINK_BEGIN_NAMESPACE
namespace detail {

/// Keeps its working memory between copies: submitting allocates nothing once it has seen plans of the same shape.
template <runtime Runtime>
class submission {
public:
    using stream_type = typename Runtime::stream_type;

    explicit submission(Runtime& on) : team_(on) {}

    [[nodiscard]] status run(std::span<const bound_plan> plans, stream_type user, node_index user_gpu,
                             lane_set<Runtime>& lanes, flight<Runtime>& f) {
        if (auto done = team_.gather(plans, user, user_gpu, lanes, f); !done) return done;
        chunks_.clear();
        for (const route_run<Runtime>& run : team_.runs()) {
            const route& r = *run.way;
            const std::uint64_t most = run.most_chunk_bytes;
            chunks_.push_back({{r.bytes, r.first_chunk_bytes < most ? r.first_chunk_bytes : most, most}, r.bytes});
        }
        status moved = team_.start(f);
        if (moved) moved = move_chunks();
        status joined = team_.join(f);
        if (!moved || !joined) team_.settle(f);
        return moved ? joined : moved;
    }
    /// See `route_team`.
    [[nodiscard]] node_index without_room() const noexcept { return team_.without_room(); }

private:
    /// What a route has still to do.
    struct rest {
        chunk_sequence sizes;
        std::uint64_t left;
    };

    /// Chunk by chunk over all routes, and within a round leg by leg: every engine gets its first work as early as possible.
    [[nodiscard]] status move_chunks() {
        auto& runs = team_.runs();
        for (bool more = true; more;) {
            more = false;
            for (std::size_t i = 0; i < runs.size(); ++i) {
                rest& r = chunks_[i];
                std::uint64_t bytes = runs[i].way->leg_count == 1 ? runs[i].way->chunk_bytes : r.sizes.next();
                if (bytes > r.left) bytes = r.left;
                runs[i].begin_chunk(runs[i].chunk_at, bytes);
                more |= bytes > 0;
            }
            for (std::size_t l = 0; more && l <= max_between; ++l)
                for (std::size_t i = 0; i < runs.size(); ++i) {
                    if (l >= runs[i].way->leg_count || runs[i].chunk_bytes == 0) continue;
                    if (auto done = team_.move(i, l); !done) return done;
                }
            for (std::size_t i = 0; i < runs.size(); ++i) {
                if (runs[i].chunk_bytes == 0) continue;
                chunks_[i].left -= runs[i].chunk_bytes;
                runs[i].chunk_at += runs[i].chunk_bytes;
                runs[i].end_chunk();
            }
        }
        return team_.drain_all();
    }

    route_team<Runtime> team_;
    std::vector<rest> chunks_;
};

} // namespace detail
BARELINK_END_NAMESPACE
